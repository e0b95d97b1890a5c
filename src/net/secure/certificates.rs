//! Certificates for tests, made when they are needed.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::{Credentials, CredentialsError, Files};

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, and the authorities whose certificates it takes.
#[derive(Clone)]
pub struct Member {
    pub key: String,
    pub cert: String,
    pub ca: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(&[]);
        // Each has a name of its own, as they have.
        let name = key.public_key_raw()[..8].iter().map(|byte| format!("{byte:02x}"));
        params.distinguished_name.push(DnType::CommonName, name.collect::<String>());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn issue(&self, names: &[&str]) -> Member {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Member {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Member { key: key.serialize_pem(), cert: certificate.pem(), ca: self.pem() }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "collective-io tests");
    params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
    params
}

fn alternative(name: &str) -> SanType {
    let text = || name.try_into().expect("a name");
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains("://") => SanType::URI(text()),
        Err(_) => SanType::DnsName(text()),
    }
}

impl Member {
    /// Takes also what another authority has signed.
    pub fn trusting(mut self, other: &Authority) -> Self {
        self.ca.push_str(&other.pem());
        self
    }

    pub fn credentials(&self, names: &[&str]) -> Credentials {
        self.try_credentials(names).expect("good certificates")
    }

    pub fn try_credentials(&self, names: &[&str]) -> Result<Credentials, CredentialsError> {
        self.credentials_in(0, names)
    }

    /// Of a machine whose clock is so many days ahead.
    pub fn credentials_in(
        &self,
        days: u64,
        names: &[&str],
    ) -> Result<Credentials, CredentialsError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let files = Files {
            key: self.key.as_bytes(),
            cert: self.cert.as_bytes(),
            ca: self.ca.as_bytes(),
            names: &names,
        };
        Credentials::tls_at(&files, Arc::new(Ahead(days)))
    }
}

/// For servers, for clients.
pub const SERVER: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ServerAuth;
pub const CLIENT: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ClientAuth;

#[derive(Debug)]
struct Ahead(u64);

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let now = UnixTime::now().as_secs() + self.0 * 24 * 3600;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now)))
    }
}
