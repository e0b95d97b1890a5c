//! Certificates of a common authority: TLS 1.3, in which both sides show one.
//!
//! A node is not looked for by its name: whoever has a certificate of the authority, for one of the
//! names that are allowed, belongs.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ring::digest::{digest, Context, SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, Resumption};
use rustls::crypto::{ring as provider, verify_tls13_signature, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    DistinguishedName, Error, InconsistentKeys, OtherError, PeerIncompatible, RootCertStore,
    ServerConfig, ServerConnection, SignatureScheme,
};
use webpki::EndEntityCert;
use zeroize::Zeroize;

use super::{spoken, Broken, CredentialId, CredentialsError, Failure, Proof, Shaken};

/// The first byte of a handshake, and of what refuses one.
const HANDSHAKE: u8 = 0x16;
const ALERT: u8 = 0x15;
/// The protocol inside. Another version is another one.
const ALPN: &[u8] = b"clio/1";
/// Bytes sealed at once, in records of 16 KiB.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// Pieces given to rustls in one call.
const SLICES_MAX: usize = 64;
/// Names of a refused certificate that are told, and those allowed.
const NAMES_TOLD_MAX: usize = 8;

/// A node's certificate and what it asks of those of others.
pub struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    verifier: Arc<Verifier>,
    clock: Arc<dyn TimeProvider>,
    /// Of what it was made of.
    id: CredentialId,
}

/// What `tls` was given: PEM, and names of which others must have one, if there are any.
pub struct Files<'a> {
    pub key: &'a [u8],
    pub cert: &'a [u8],
    pub ca: &'a [u8],
    pub names: &'a [String],
}

impl Tls {
    /// `clock` says which certificates have expired.
    pub fn new(files: &Files<'_>, clock: Arc<dyn TimeProvider>) -> Result<Self, CredentialsError> {
        let chain = certificates("cert", files.cert)?;
        let mut key = PrivateKeyDer::from_pem_slice(files.key).map_err(|error| match error {
            pem::Error::NoItemsFound if is_encrypted(files.key) => {
                invalid("key", "is encrypted: decrypt it first")
            }
            error => invalid("key", pem_problem(&error)),
        })?;
        let signing = provider::sign::any_supported_type(&key);
        key.zeroize();
        let signing = signing.map_err(|_| invalid("key", "is of a kind that is not supported"))?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(invalid("key", "does not belong to `tls.cert`")),
        }
        let verifier = Arc::new(Verifier::new(files.ca, files.names)?);
        let (leaf, others) = certified.cert.split_first().ok_or_else(|| invalid("cert", NONE))?;
        // Otherwise every peer would refuse it, and tell nobody here why.
        verifier.verify(leaf, others, now(&*clock)).map_err(|error| {
            invalid(
                "cert",
                &format!("is not one that peers with this `tls.ca` take: {}", reason(&error)),
            )
        })?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));

        let algorithms = Arc::new(provider::default_provider());
        let versions = &[&TLS13];
        // The provider has what TLS 1.3 needs.
        let mut client =
            ClientConfig::builder_with_details(Arc::clone(&algorithms), Arc::clone(&clock))
                .with_protocol_versions(versions)
                .expect("TLS 1.3")
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
                .with_client_cert_resolver(Arc::clone(&resolver) as _);
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        let mut server = ServerConfig::builder_with_details(algorithms, Arc::clone(&clock))
            .with_protocol_versions(versions)
            .expect("TLS 1.3")
            .with_client_cert_verifier(Arc::clone(&verifier) as _)
            .with_cert_resolver(resolver);
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let (client, server) = (Arc::new(client), Arc::new(server));
        Ok(Tls { client, server, verifier, clock, id: id_of(files) })
    }

    pub fn id(&self) -> CredentialId {
        self.id
    }

    /// Whether a connection of before would be accepted.
    pub fn accepts(&self, session: &Session) -> bool {
        let chain = session.connection.peer_certificates().unwrap_or_default();
        chain.split_first().is_some_and(|(leaf, others)| {
            self.verifier.verify(leaf, others, now(&*self.clock)).is_ok()
        })
    }
}

/// Without a clock nothing is valid.
fn now(clock: &dyn TimeProvider) -> UnixTime {
    clock.current_time().unwrap_or(UnixTime::since_unix_epoch(Duration::MAX))
}

const NONE: &str = "has no PEM of this kind";

fn invalid(part: &'static str, problem: &str) -> CredentialsError {
    CredentialsError::Certificate { part, problem: problem.to_owned() }
}

fn certificates(
    part: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(invalid(part, NONE)),
        Ok(found) => Ok(found),
        Err(error) => Err(invalid(part, pem_problem(&error))),
    }
}

fn pem_problem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => NONE,
        _ => "is broken PEM",
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    let marker = b"ENCRYPTED";
    pem.windows(marker.len()).any(|window| window == marker)
}

fn id_of(files: &Files<'_>) -> CredentialId {
    let mut context = Context::new(&SHA256);
    for part in [files.cert, files.ca].into_iter().chain(files.names.iter().map(String::as_bytes)) {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    // A SHA-256 has more bytes than an id.
    *context.finish().as_ref().first_chunk().expect("32 bytes")
}

/// Whom this node takes for a member.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    names: Vec<Allowed>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// A name that a certificate may be for.
#[derive(Debug)]
enum Allowed {
    Name(ServerName<'static>),
    /// One label more than this.
    Below(String),
    Uri(String),
}

impl Verifier {
    fn new(ca: &[u8], names: &[String]) -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca", ca)? {
            roots
                .add(certificate)
                .map_err(|_| invalid("ca", "has a certificate that cannot be read"))?;
        }
        let names = names.iter().map(|name| Allowed::new(name)).collect::<Result<_, _>>()?;
        let algorithms = provider::default_provider().signature_verification_algorithms;
        Ok(Verifier { roots, names, algorithms })
    }

    /// One check for both sides, since every node both dials and is dialled.
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, others, now, algorithms)?;
        if self.names.is_empty() {
            return Ok(());
        }
        let certificate =
            EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
        if self.names.iter().any(|allowed| allowed.is_of(&certificate)) {
            return Ok(());
        }
        Err(CertificateError::Other(OtherError(Arc::new(OtherName::of(&certificate)))).into())
    }
}

impl Allowed {
    fn new(name: &str) -> Result<Self, CredentialsError> {
        let bad = |_| invalid("names", "has something that is no host name, IP address or URI");
        if name.contains("://") {
            return Ok(Allowed::Uri(name.to_owned()));
        }
        if let Some(below) = name.strip_prefix("*.") {
            ServerName::try_from(below).map_err(bad)?;
            return Ok(Allowed::Below(below.to_ascii_lowercase()));
        }
        ServerName::try_from(name.to_owned()).map(Allowed::Name).map_err(bad)
    }

    fn is_of(&self, certificate: &EndEntityCert<'_>) -> bool {
        match self {
            Allowed::Name(name) => certificate.verify_is_valid_for_subject_name(name).is_ok(),
            Allowed::Uri(uri) => certificate.valid_uri_names().any(|name| name == uri),
            Allowed::Below(below) => certificate.valid_dns_names().any(|name| {
                let (label, rest) = name.split_once('.').unwrap_or_default();
                !label.is_empty() && rest.eq_ignore_ascii_case(below)
            }),
        }
    }
}

/// A certificate has none of the names.
#[derive(Debug)]
struct OtherName(Vec<String>);

impl OtherName {
    fn of(certificate: &EndEntityCert<'_>) -> Self {
        let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
        OtherName(names.take(NAMES_TOLD_MAX).map(str::to_owned).collect())
    }
}

impl std::fmt::Display for OtherName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_slice() {
            [] => write!(f, "it has no name that is allowed"),
            names => write!(f, "it is for {}, and none of its names is allowed", names.join(", ")),
        }
    }
}

impl std::error::Error for OtherName {}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    /// Who asks is not told which authority it is.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// One side of a handshake.
pub struct Handshake {
    /// `None` once it is over.
    connection: Option<Box<Connection>>,
    /// The other side has begun as TLS does.
    is_tls: bool,
    id: CredentialId,
}

impl Handshake {
    pub fn dial(tls: &Tls) -> Self {
        // Asked for by TLS and looked at by nobody.
        let name = ServerName::IpAddress(IpAddr::V4([0, 0, 0, 0].into()));
        let connection = ClientConnection::new(Arc::clone(&tls.client), name);
        Handshake::new(connection.expect("a sound configuration").into(), tls)
    }

    pub fn answer(tls: &Tls) -> Self {
        let connection = ServerConnection::new(Arc::clone(&tls.server));
        Handshake::new(connection.expect("a sound configuration").into(), tls)
    }

    fn new(connection: Connection, tls: &Tls) -> Self {
        Handshake { connection: Some(Box::new(connection)), is_tls: false, id: tls.id }
    }

    pub fn advance(
        &mut self,
        from: &mut BytesMut,
        into: &mut BytesMut,
    ) -> Result<Option<Shaken>, Failure> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        match from.first() {
            Some(&first) if !self.is_tls && first != HANDSHAKE && first != ALERT => {
                return spoken(from).map_or(Ok(None), |other| Err(Failure::OtherMode(other)));
            }
            Some(_) => self.is_tls = true,
            None => {}
        }
        loop {
            flush(connection, into);
            if !connection.is_handshaking() {
                return self.shaken().map(Some);
            }
            // Reading from memory fails when rustls has no room for more, which is too much.
            if from.is_empty() || connection.read_tls(&mut from.reader()).is_err() {
                return Ok(None);
            }
            // What rustls would tell the other side of an error is not sent.
            connection.process_new_packets().map_err(|error| failure(&error))?;
        }
    }

    fn shaken(&mut self) -> Result<Shaken, Failure> {
        let connection = self.connection.take().ok_or(Failure::NotGenuine)?;
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(Failure::OtherVersion);
        }
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        let key = leaf.and_then(names_of).ok_or(Failure::NotGenuine)?;
        let proof = Proof { key, credential: self.id };
        let session = Session { connection, is_first: true };
        Ok(Shaken { session: super::Session::Tls(session), proof })
    }
}

/// What a node is known by: all that its certificate calls it, which stays when the certificate is
/// made anew.
fn names_of(leaf: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let certificate = EndEntityCert::try_from(leaf).ok()?;
    let mut names: Vec<&str> =
        certificate.valid_dns_names().chain(certificate.valid_uri_names()).collect();
    names.sort_unstable();
    let mut text = names.join("\n").into_bytes();
    text.push(0);
    text.extend_from_slice(certificate.subject());
    digest(&SHA256, &text).as_ref().try_into().ok()
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
            Failure::Certificate(reason(error))
        }
        Error::NoApplicationProtocol => Failure::OtherVersion,
        Error::AlertReceived(_) => Failure::Ended,
        Error::PeerIncompatible(PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon) => {
            Failure::Certificate("there is no kind of signature that both sides know".into())
        }
        _ => Failure::NotGenuine,
    }
}

/// What is wrong with a certificate, in words.
fn reason(error: &Error) -> String {
    use CertificateError::*;
    let Error::InvalidCertificate(error) = error else { return "it was not shown".into() };
    let words = match error {
        Expired | ExpiredContext { .. } => "it has expired",
        NotValidYet | NotValidYetContext { .. } => "it is not valid yet",
        UnknownIssuer => "it is of another authority",
        BadEncoding => "it cannot be read",
        BadSignature => "it is not signed by the authority that it names",
        InvalidPurpose | InvalidPurposeContext { .. } => "it is not made for servers",
        Other(OtherError(name)) => return name.to_string(),
        error => return error.to_string(),
    };
    words.into()
}

/// What rustls has to say goes out. After the handshake that is what was sealed, and with it a change
/// of keys if the other side has asked for one.
fn flush(connection: &mut Connection, into: &mut BytesMut) {
    while connection.wants_write() {
        // Memory takes everything.
        if connection.write_tls(&mut into.writer()).is_err() {
            return;
        }
    }
}

/// The traffic after the handshake.
pub struct Session {
    connection: Box<Connection>,
    is_first: bool,
}

impl Session {
    pub fn seal(
        &mut self,
        from: &mut VecDeque<Bytes>,
        into: &mut BytesMut,
        bytes_max: usize,
    ) -> usize {
        let mut bytes = 0;
        loop {
            flush(&mut self.connection, into);
            if from.is_empty() || into.len() >= bytes_max {
                return bytes;
            }
            // The hello goes by itself: who does not know us yet takes no more than that.
            let pieces = if std::mem::take(&mut self.is_first) { 1 } else { SLICES_MAX };
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let (mut count, mut left) = (0, WRITE_BYTES_MAX);
            for piece in from.iter().take(pieces) {
                let some = piece.len().min(left);
                slices[count] = IoSlice::new(&piece[..some]);
                count += 1;
                left -= some;
                if left == 0 {
                    break;
                }
            }
            // Takes less when its buffer is full, which was just emptied.
            let taken = self.connection.writer().write_vectored(&slices[..count]).unwrap_or(0);
            if taken == 0 {
                return bytes;
            }
            bytes += taken;
            advance(from, taken);
        }
    }

    pub fn open(&mut self, from: &mut BytesMut, into: &mut BytesMut) -> Result<(), Broken> {
        loop {
            self.take_opened(into)?;
            if from.is_empty() {
                return Ok(());
            }
            let read = self.connection.read_tls(&mut from.reader()).map_err(|_| Broken)?;
            self.connection.process_new_packets().map_err(|_| Broken)?;
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn take_opened(&mut self, into: &mut BytesMut) -> Result<(), Broken> {
        let mut reader = self.connection.reader();
        loop {
            let opened = match io::BufRead::fill_buf(&mut reader) {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Broken),
            };
            let bytes = opened.len();
            if bytes == 0 {
                return Ok(());
            }
            into.put_slice(opened);
            io::BufRead::consume(&mut reader, bytes);
        }
    }
}

fn advance(from: &mut VecDeque<Bytes>, mut bytes: usize) {
    while let Some(front) = from.front_mut() {
        if front.len() > bytes {
            front.advance(bytes);
            return;
        }
        bytes -= front.len();
        from.pop_front();
    }
}

#[cfg(test)]
impl Session {
    /// Changes the key, and asks the other side to do so too.
    pub fn change_keys(&mut self) {
        self.connection.refresh_traffic_keys().expect("a TLS 1.3 connection");
    }
}
