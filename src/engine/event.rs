//! The whole vocabulary between the engine and what surrounds it, on one page.
//!
//! The shell (the tokio driver, or the simulator) turns what happens into an [`Input`], gives it
//! to `Engine::handle_input`, then drains `Engine::poll_output`. Local writes ([`Write`]) return
//! their result at once and are drained the same way.

use bytes::Bytes;

use super::error::{CloseReason, WarningCode};
use super::id::{LinkId, ReplicaId};

/// The two clocks, read by the shell once per input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds on a clock that never goes back, from any start. Deadlines use this one.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970 as the machine believes. Stamps use this one; it may jump.
    pub wall_ms: u64,
}

/// What happens to an engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The application asks for something that has no immediate result.
    Command(Command),
    /// A transport connection is open. `dialled` holds the address of the
    /// [`Output::Dial`] it answers; `None` when the other side dialled.
    Opened { link: LinkId, dialled: Option<Address> },
    /// A dial failed. `code` is the system's name of the reason (`ECONNREFUSED`).
    DialFailed { address: Address, code: String },
    /// One whole message arrived (the shell has put its frames together, see `wire::frame`).
    Received { link: LinkId, message: Bytes },
    /// So many bytes of frames sent on this link have left our memory for the operating system.
    Drained { link: LinkId, bytes: usize },
    /// The connection is gone, whoever closed it. Not given after an [`Output::Close`].
    Closed { link: LinkId, reason: CloseReason },
}

/// What an engine wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write these bytes (whole frames, header included) to the link, in order.
    Send { link: LinkId, frames: Bytes },
    /// Drop the connection after what was sent before. No `Closed` input follows.
    Close { link: LinkId, reason: CloseReason },
    /// Try to connect once; answer with `Opened` or `DialFailed` within the dial timeout.
    Dial { address: Address },
    /// Tell the application.
    Event(Event),
}

/// Asked by the application.
#[derive(Clone, Debug)]
pub enum Command {
    /// Keep a connection to this address, for ever.
    Connect { address: Address },
    /// Say goodbye to every peer and stop dialling. Nothing may follow but `Closed` and `Drained`.
    Leave,
}

/// A local write. Takes effect at once.
#[derive(Clone, Copy, Debug)]
pub enum Write<'a> {
    /// `json` is valid JSON text.
    Set {
        path: &'a [&'a str],
        json: &'a str,
    },
    Increment {
        path: &'a [&'a str],
        by: f64,
    },
    Delete {
        path: &'a [&'a str],
    },
}

impl<'a> Write<'a> {
    pub fn path(&self) -> &'a [&'a str] {
        match self {
            Write::Set { path, .. } | Write::Increment { path, .. } | Write::Delete { path } => {
                path
            }
        }
    }
}

/// Told to the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A peer passed the handshake. `advertised` is the address it says it listens on; `dialled`
    /// the one of ours that led to it.
    PeerUp { peer: ReplicaId, advertised: Option<Address>, dialled: Option<Address> },
    /// Its connection is gone.
    PeerDown { peer: ReplicaId, reason: CloseReason },
    /// Every address given was tried, and all that the peers reached had when they said hello is
    /// here. Once.
    Ready,
    /// Something the engine handled itself.
    Warning { code: WarningCode, peer: Option<ReplicaId>, detail: String },
    /// Some watched path changed: publish the slots between turns (see `document::watch`).
    Touched,
}

/// Where to dial: `host:port`, as the user wrote it. Resolving names is the shell's business.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub std::sync::Arc<str>);

impl Address {
    pub fn new(text: impl Into<std::sync::Arc<str>>) -> Self {
        Address(text.into())
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
