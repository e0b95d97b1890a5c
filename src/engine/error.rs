//! What can go wrong, one place for all codes.
//!
//! Three kinds, by whose doing it is: [`WriteError`] is the caller's (nothing changed, nothing was
//! sent), [`CloseReason`] says why a connection ended (the peer's doing or the network's),
//! [`WarningCode`] names what the engine handled itself. Each has a stable `code()`; the table in
//! `docs/errors.md` and `lib/errors.js` agree with it (tested).

use thiserror::Error;

/// A local write or read that was refused. Nothing changed and nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    #[error("The key has {bytes} bytes; at most {limit} are allowed")]
    KeyTooLong { bytes: usize, limit: usize },
    #[error("Key and value are {depth} levels deep together; at most {limit} are allowed")]
    TooDeep { depth: usize, limit: usize },
    #[error("The value has {bytes} bytes of JSON; at most {limit} are allowed")]
    ValueTooLarge { bytes: usize, limit: usize },
    #[error("The value is not JSON: {detail}")]
    InvalidValue { detail: String },
    #[error("Cannot increment {path}: it holds {holds}")]
    NotANumber { path: String, holds: &'static str },
    #[error("Cannot increment by a value that is not a finite number")]
    InvalidIncrement,
    #[error("{path} is an array: {segment:?} is not an index from 0 to 65535")]
    NotAnIndex { path: String, segment: String },
    #[error(
        "The document takes {bytes} bytes of memory here and this write would add to them; \
         at most {limit} are allowed"
    )]
    StateFull { bytes: usize, limit: usize },
    #[error("The node is closed")]
    Closed,
}

impl WriteError {
    /// The stable code that JavaScript sees.
    pub fn code(&self) -> &'static str {
        match self {
            WriteError::KeyTooLong { .. } => "ERR_KEY_TOO_LONG",
            WriteError::TooDeep { .. } => "ERR_TOO_DEEP",
            WriteError::ValueTooLarge { .. } => "ERR_VALUE_TOO_LARGE",
            WriteError::InvalidValue { .. } => "ERR_INVALID_VALUE",
            WriteError::NotANumber { .. } | WriteError::InvalidIncrement => "ERR_NOT_A_NUMBER",
            WriteError::NotAnIndex { .. } => "ERR_NOT_AN_INDEX",
            WriteError::StateFull { .. } => "ERR_STATE_FULL",
            WriteError::Closed => "ERR_CLOSED",
        }
    }
}

/// A job, call or event that was refused. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    #[error("A name has 1 to {limit} bytes; this one has {bytes}")]
    InvalidName { bytes: usize, limit: usize },
    #[error("The arguments are {depth} levels deep; at most {limit} are allowed")]
    TooDeep { depth: usize, limit: usize },
    #[error("The arguments have {bytes} bytes of JSON; at most {limit} are allowed")]
    TooLarge { bytes: usize, limit: usize },
    #[error("The arguments are not a JSON array: {detail}")]
    Invalid { detail: String },
    #[error("{limit} jobs and calls are under way already")]
    Busy { limit: usize },
    #[error("The node is closed")]
    Closed,
}

impl AskError {
    /// The stable code that JavaScript sees.
    pub fn code(&self) -> &'static str {
        match self {
            AskError::InvalidName { .. } => "ERR_INVALID_NAME",
            AskError::TooDeep { .. } => "ERR_TOO_DEEP",
            AskError::TooLarge { .. } => "ERR_VALUE_TOO_LARGE",
            AskError::Invalid { .. } => "ERR_INVALID_VALUE",
            AskError::Busy { .. } => "ERR_BUSY",
            AskError::Closed => "ERR_CLOSED",
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The peer said goodbye: its process ends on purpose.
    #[error("the peer left")]
    Left,
    /// We are closing.
    #[error("this node is closing")]
    Closing,
    /// The connection was reset or ended without a goodbye.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing arrived for the time of loss detection.
    #[error("nothing was heard for too long")]
    Silent,
    /// Another connection to the same peer is kept instead.
    #[error("another connection to the same peer is kept")]
    Duplicate,
    /// The address dialled is our own.
    #[error("the address is this node's own")]
    Oneself,
    /// No hello within the handshake timeout.
    #[error("no handshake in time")]
    HandshakeTimeout,
    /// The bytes are not of our protocol.
    #[error("not a message of this protocol: {0}")]
    BadMessage(String),
    /// A frame or message over the limit.
    #[error("a message over the limit of {limit} bytes")]
    TooLarge { limit: usize },
    /// Another protocol version, cluster or set of limits.
    #[error("the peer is not compatible: {0}")]
    Incompatible(String),
    /// The peer has broken a rule of the protocol not long ago.
    #[error("the peer has broken a rule and is kept out for another {ms} ms")]
    KeptOut { ms: u64 },
    /// There are as many peers as there may be.
    #[error("{limit} peers are connected already")]
    Crowded { limit: usize },
    /// One side's application wants no connection with the other.
    #[error("the peer was dismissed")]
    Dismissed,
    /// This node was away so long that its replica was forgotten; it rejoins as a new one.
    #[error("this node rejoins as a new replica")]
    Rejoin,
    /// What arrived was changed on the way, or is not from the peer.
    #[error("what arrived was changed on the way")]
    Corrupt,
    /// One side does not trust the other, for a reason of the shell's.
    #[error("{detail}")]
    Untrusted { code: &'static str, detail: String },
}

impl CloseReason {
    pub fn code(&self) -> &'static str {
        match self {
            CloseReason::Left => "ERR_PEER_LEFT",
            CloseReason::Closing => "ERR_CLOSED",
            CloseReason::Lost(_) | CloseReason::Silent => "ERR_PEER_LOST",
            CloseReason::Duplicate => "ERR_DUPLICATE_CONNECTION",
            CloseReason::Oneself => "ERR_CONNECTED_TO_SELF",
            CloseReason::HandshakeTimeout => "ERR_HANDSHAKE_TIMEOUT",
            CloseReason::BadMessage(_) => "ERR_BAD_MESSAGE",
            CloseReason::TooLarge { .. } => "ERR_MESSAGE_TOO_LARGE",
            CloseReason::Incompatible(_) => "ERR_INCOMPATIBLE_PEER",
            CloseReason::KeptOut { .. } => "ERR_PEER_KEPT_OUT",
            CloseReason::Crowded { .. } => "ERR_BUSY",
            CloseReason::Dismissed => "ERR_PEER_DISMISSED",
            CloseReason::Rejoin => "ERR_REJOIN",
            CloseReason::Corrupt => "ERR_CORRUPT_RECORD",
            CloseReason::Untrusted { code, .. } => code,
        }
    }
}

/// What the engine handled itself and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarningCode {
    /// A connection was closed for what it sent.
    BadMessage,
    /// A peer of another protocol version, cluster or set of limits was refused.
    IncompatiblePeer,
    /// A peer's clock is further ahead than the bound; ours was not moved.
    ClockSkew,
    /// Two nodes with equal contexts have different hashes. A defect: please report it.
    StateMismatch,
    /// This node was away longer than `forgetAfter` and rejoined as a new replica.
    Rejoined,
    /// An address that the application wanted to hear of is this node's own.
    ConnectedToSelf,
    /// The document takes more memory than `Config::document_bytes_max`, or a local write would
    /// have made it so.
    StateFull,
}

impl WarningCode {
    pub fn code(self) -> &'static str {
        match self {
            WarningCode::BadMessage => "ERR_BAD_MESSAGE",
            WarningCode::IncompatiblePeer => "ERR_INCOMPATIBLE_PEER",
            WarningCode::ClockSkew => "ERR_CLOCK_SKEW",
            WarningCode::StateMismatch => "ERR_STATE_MISMATCH",
            WarningCode::Rejoined => "ERR_REJOINED",
            WarningCode::ConnectedToSelf => "ERR_CONNECTED_TO_SELF",
            WarningCode::StateFull => "ERR_STATE_FULL",
        }
    }
}

/// Every code above, for the test that compares the tables.
pub const CODES: &[&str] = &[
    "ERR_KEY_TOO_LONG",
    "ERR_TOO_DEEP",
    "ERR_VALUE_TOO_LARGE",
    "ERR_INVALID_VALUE",
    "ERR_NOT_A_NUMBER",
    "ERR_NOT_AN_INDEX",
    "ERR_STATE_FULL",
    "ERR_CLOSED",
    "ERR_INVALID_NAME",
    "ERR_BUSY",
    "ERR_NO_WORKER",
    "ERR_TIMEOUT",
    "ABORT_ERR",
    "ERR_PEER_LEFT",
    "ERR_PEER_LOST",
    "ERR_DUPLICATE_CONNECTION",
    "ERR_CONNECTED_TO_SELF",
    "ERR_HANDSHAKE_TIMEOUT",
    "ERR_BAD_MESSAGE",
    "ERR_MESSAGE_TOO_LARGE",
    "ERR_INCOMPATIBLE_PEER",
    "ERR_PEER_KEPT_OUT",
    "ERR_PEER_DISMISSED",
    "ERR_REJOIN",
    "ERR_CORRUPT_RECORD",
    "ERR_CLOCK_SKEW",
    "ERR_STATE_MISMATCH",
    "ERR_REJOINED",
];
