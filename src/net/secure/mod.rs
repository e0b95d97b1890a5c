//! Who belongs to the cluster, and keeping everybody else from reading along.
//!
//! A connection of a node with [`Credentials`] begins with a handshake; what follows is sealed.
//! Neither knows a socket: bytes come in, bytes go out. `docs/security.md` says what it is worth.
//!
//! | file | is |
//! | --- | --- |
//! | `noise` | a secret that all nodes have: `Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s` |
//! | `tls` | certificates of a common authority: TLS 1.3 |
//! | `identity` | which key speaks for which node |

#[cfg(test)]
pub(super) mod certificates;
mod identity;
mod noise;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use thiserror::Error;

pub(super) use identity::Identities;
pub use noise::SECRET_BYTES;
use noise::{Secrets, StaticKey};
pub use tls::Files;
use tls::Tls;

use crate::engine::wire::message;

/// Bytes sealed in one go: few records and few system calls for much, and little kept twice.
const SEAL_BYTES_MAX: usize = 256 << 10;

/// Names what a connection was made with, without telling anything of a secret.
pub(super) type CredentialId = [u8; 8];

/// What a node proves with that it belongs. Clones share it.
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    Secrets(Arc<Secrets>),
    Tls(Arc<Tls>),
}

/// Why credentials were not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialsError {
    #[error("A secret is 32 random bytes; this one has {0}")]
    Length(usize),
    #[error("The secret is not random: make one with `npx collective-io keygen`")]
    NotRandom,
    #[error("The same secret is there twice")]
    Twice,
    #[error("From 1 to {} secrets are allowed", noise::SECRETS_MAX)]
    Count,
    /// Of `part` of what `tls` was given.
    #[error("`tls.{part}` {problem}")]
    Certificate { part: &'static str, problem: String },
}

impl CredentialsError {
    /// The stable code that JavaScript sees.
    pub fn code(&self) -> &'static str {
        match self {
            CredentialsError::Certificate { .. } => "ERR_INVALID_CERTIFICATE",
            _ => "ERR_INVALID_SECRET",
        }
    }
}

impl Credentials {
    /// The first secret is used, all are accepted. They are not kept: keys are made of them.
    pub fn secrets<'a>(
        secrets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Credentials, CredentialsError> {
        Ok(Credentials(Kind::Secrets(Arc::new(Secrets::new(secrets)?))))
    }

    pub fn tls(files: &Files<'_>) -> Result<Credentials, CredentialsError> {
        Credentials::tls_at(files, Arc::new(DefaultTimeProvider))
    }

    fn tls_at(
        files: &Files<'_>,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Credentials, CredentialsError> {
        Ok(Credentials(Kind::Tls(Arc::new(Tls::new(files, clock)?))))
    }

    /// Whether a running node may go from one to the other.
    pub fn is_of_same_kind(&self, other: &Credentials) -> bool {
        use Kind::{Secrets, Tls};
        matches!((&self.0, &other.0), (Secrets(_), Secrets(_)) | (Tls(_), Tls(_)))
    }

    /// Whether a connection may stay that was made like this.
    pub(super) fn accepts(&self, credential: CredentialId, session: &Session) -> bool {
        match (&self.0, session) {
            (Kind::Secrets(secrets), _) => secrets.find(credential).is_some(),
            (Kind::Tls(tls), Session::Tls(session)) => tls.accepts(session),
            (Kind::Tls(_), _) => false,
        }
    }

    /// Whether a connection made with this one is to be made anew by who has dialled it.
    pub(super) fn is_outdated(&self, credential: CredentialId, dialled: bool) -> bool {
        match &self.0 {
            Kind::Secrets(secrets) => secrets.first() != credential,
            // By which certificate it was dialled is the dialler's business.
            Kind::Tls(tls) => dialled && tls.id() != credential,
        }
    }

    /// Whether a connection that is not accepted any more may come to be when it is dialled anew: the
    /// other side may have another certificate by now, but no secret in common is none.
    pub(super) fn may_mend(&self) -> bool {
        matches!(self.0, Kind::Tls(_))
    }

    /// Whether names bind keys for good: a certificate may come to be for other names.
    pub(super) fn bind_for_good(&self) -> bool {
        matches!(self.0, Kind::Secrets(_))
    }
}

/// A node's part in all handshakes: its credentials, and the key that it has as long as it lives.
pub(super) struct Guard {
    credentials: Credentials,
    key: Arc<StaticKey>,
    cluster: Arc<str>,
}

impl Guard {
    /// # Panics
    ///
    /// If the system gives no random bytes.
    pub fn new(credentials: Credentials, cluster: &str) -> Self {
        Guard { credentials, key: Arc::new(StaticKey::draw()), cluster: cluster.into() }
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub fn rotate(&mut self, credentials: Credentials) {
        self.credentials = credentials;
    }

    pub fn handshake(&self, dialled: bool) -> Handshake {
        Handshake(match (&self.credentials.0, dialled) {
            (Kind::Secrets(secrets), true) => {
                Side::Noise(Box::new(noise::Handshake::dial(secrets, &self.key, &self.cluster)))
            }
            (Kind::Secrets(secrets), false) => Side::Noise(Box::new(noise::Handshake::answer(
                Arc::clone(secrets),
                Arc::clone(&self.key),
                Arc::clone(&self.cluster),
            ))),
            (Kind::Tls(tls), true) => Side::Tls(tls::Handshake::dial(tls)),
            (Kind::Tls(tls), false) => Side::Tls(tls::Handshake::answer(tls)),
        })
    }
}

/// One side of a handshake.
pub(super) struct Handshake(Side);

enum Side {
    Noise(Box<noise::Handshake>),
    Tls(tls::Handshake),
}

/// What a handshake gives.
pub(super) struct Shaken {
    pub session: Session,
    pub proof: Proof,
}

/// What the other side has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Who it is: the same for all connections of one node. Others have another, unless they share
    /// a certificate.
    pub key: [u8; 32],
    /// What it belongs by.
    pub credential: CredentialId,
}

impl Handshake {
    /// Takes from `from` what it understands, and appends what is to be sent. To be called once
    /// before anything has arrived, and whenever something has.
    pub fn advance(
        &mut self,
        from: &mut BytesMut,
        into: &mut BytesMut,
    ) -> Result<Option<Shaken>, Failure> {
        match &mut self.0 {
            Side::Noise(noise) => noise.advance(from, into),
            Side::Tls(tls) => tls.advance(from, into),
        }
    }
}

/// The traffic of one connection after its handshake, in both directions.
pub(super) enum Session {
    Noise(noise::Session),
    Tls(tls::Session),
}

/// What arrived was not sealed by the other side. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Session {
    /// Seals what waits, in few records, and tells how many bytes of it that were. Not all if it
    /// is much.
    pub fn seal(&mut self, from: &mut VecDeque<Bytes>, into: &mut BytesMut) -> usize {
        match self {
            Session::Noise(noise) => noise.seal(from, into, SEAL_BYTES_MAX),
            Session::Tls(tls) => tls.seal(from, into, SEAL_BYTES_MAX),
        }
    }

    /// Opens the whole records in `from`, each of at most `record_bytes_max`, and appends what was
    /// in them.
    pub fn open(
        &mut self,
        from: &mut BytesMut,
        into: &mut BytesMut,
        record_bytes_max: usize,
    ) -> Result<(), Broken> {
        match self {
            Session::Noise(noise) => noise.open(from, into, record_bytes_max),
            // rustls has a limit of its own, 16 KiB, and takes records apart as they come.
            Session::Tls(tls) => tls.open(from, into),
        }
    }
}

/// Why a handshake came to nothing. For this node's people: the other side is told nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Failure {
    #[error("it has none of the secrets of this node")]
    UnknownSecret,
    #[error("it {0}, and this node does not")]
    OtherMode(&'static str),
    #[error("its certificate: {0}")]
    Certificate(String),
    #[error("it speaks another version of the protocol")]
    OtherVersion,
    #[error("its part of the handshake is not genuine, or it has another `cluster`")]
    NotGenuine,
    #[error("it has ended the handshake: its own warnings may tell why")]
    Ended,
    #[error("the connection broke: {0}")]
    Lost(&'static str),
    #[error("it has sent more than {0} bytes without being done")]
    TooLarge(usize),
}

impl Failure {
    pub fn code(&self) -> &'static str {
        match self {
            Failure::UnknownSecret => "ERR_UNKNOWN_SECRET",
            Failure::OtherMode(_) => "ERR_MODE_MISMATCH",
            Failure::Certificate(_) => "ERR_CERTIFICATE_REFUSED",
            Failure::OtherVersion => "ERR_INCOMPATIBLE_PEER",
            Failure::NotGenuine | Failure::Ended => "ERR_HANDSHAKE_FAILED",
            Failure::Lost(_) => "ERR_PEER_LOST",
            Failure::TooLarge(_) => "ERR_MESSAGE_TOO_LARGE",
        }
    }
}

/// What somebody speaks who does not begin as this node's mode has it. `None` while too little has
/// arrived to tell.
fn spoken(start: &[u8]) -> Option<&'static str> {
    /// A frame's header, the kind of the message, and its magic.
    const HELLO_START: usize = 4 + 1 + message::MAGIC.len();
    const TLS: [u8; 2] = [0x15, 0x16];
    let first = *start.first()?;
    let may_be = |expected: &[u8]| start.iter().zip(expected).all(|(a, b)| a == b);
    if may_be(&noise::MAGIC) {
        return (start.len() >= noise::MAGIC.len()).then_some("offers a secret");
    }
    if TLS.contains(&first) {
        return Some("speaks TLS");
    }
    if start.len() >= 4 && (start[2], start[3]) != (0, 0) {
        return Some("speaks another protocol");
    }
    if start.len() < HELLO_START {
        return None;
    }
    let hello = start[4] == message::Kind::Hello as u8 && start[5..HELLO_START] == message::MAGIC;
    Some(if hello { "speaks in the clear" } else { "speaks another protocol" })
}
