//! Who belongs to the cluster, and keeping everybody else from reading along.
//!
//! A connection of a node with [`Credentials`] begins with a handshake; what follows is sealed.
//! Neither knows a socket: bytes come in, bytes go out. `docs/security.md` says what it is worth.
//!
//! | file | is |
//! | --- | --- |
//! | `noise` | a secret that all nodes have: `Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s` |
//! | `identity` | which key speaks for which node |

mod identity;
mod noise;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

pub(super) use identity::Identities;
pub use noise::SECRET_BYTES;
use noise::{CredentialId, Secrets, StaticKey};

use crate::engine::wire::message;

/// Bytes sealed in one go: few records and few system calls for much, and little kept twice.
const SEAL_BYTES_MAX: usize = 256 << 10;

/// What a node proves with that it belongs. Clones share it.
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    Secrets(Arc<Secrets>),
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
}

impl CredentialsError {
    /// The stable code that JavaScript sees.
    pub fn code(&self) -> &'static str {
        "ERR_INVALID_SECRET"
    }
}

impl Credentials {
    /// The first secret is used, all are accepted. They are not kept: keys are made of them.
    pub fn secrets<'a>(
        secrets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Credentials, CredentialsError> {
        Ok(Credentials(Kind::Secrets(Arc::new(Secrets::new(secrets)?))))
    }

    /// Whether a running node may go from one to the other.
    pub fn is_of_same_kind(&self, other: &Credentials) -> bool {
        match (&self.0, &other.0) {
            (Kind::Secrets(_), Kind::Secrets(_)) => true,
        }
    }

    /// Whether a connection made with this one may stay.
    pub(super) fn accepts(&self, credential: CredentialId) -> bool {
        match &self.0 {
            Kind::Secrets(secrets) => secrets.find(credential).is_some(),
        }
    }

    /// Whether a connection made with this one is as a newly dialled one would be.
    pub(super) fn prefers(&self, credential: CredentialId) -> bool {
        match &self.0 {
            Kind::Secrets(secrets) => secrets.first() == credential,
        }
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
        let Kind::Secrets(secrets) = &self.credentials.0;
        let (secrets, key) = (Arc::clone(secrets), Arc::clone(&self.key));
        let cluster = Arc::clone(&self.cluster);
        Handshake(Side::Noise(Box::new(if dialled {
            noise::Handshake::dial(&secrets, &key, &cluster)
        } else {
            noise::Handshake::answer(secrets, key, cluster)
        })))
    }
}

/// One side of a handshake.
pub(super) struct Handshake(Side);

enum Side {
    Noise(Box<noise::Handshake>),
}

/// What a handshake gives.
pub(super) struct Shaken {
    pub session: Session,
    pub proof: Proof,
}

/// What the other side has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Who it is: the same for all connections of one node, and of no other.
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
        }
    }
}

/// The traffic of one connection after its handshake, in both directions.
pub(super) enum Session {
    Noise(noise::Session),
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
        }
    }
}

/// Why a handshake came to nothing. For this node's people: the other side is told nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Failure {
    #[error("it has none of the secrets of this node")]
    UnknownSecret,
    #[error("it {0}, and this node asks for a secret")]
    OtherMode(&'static str),
    #[error("it speaks another version of the protocol")]
    OtherVersion,
    #[error("its part of the handshake is not genuine, or it has another `cluster`")]
    NotGenuine,
    #[error("it has ended the handshake: does it have the same secret and `cluster`?")]
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
    const TLS_HANDSHAKE: u8 = 0x16;
    let first = *start.first()?;
    let may_be = |expected: &[u8]| start.iter().zip(expected).all(|(a, b)| a == b);
    if may_be(&noise::MAGIC) {
        return (start.len() >= noise::MAGIC.len()).then_some("offers a secret");
    }
    if first == TLS_HANDSHAKE {
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
