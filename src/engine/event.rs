//! The whole vocabulary between the engine and what surrounds it, on one page.
//!
//! The shell (the tokio driver, or the simulator) turns what happens into an [`Input`], gives it
//! to `Engine::handle_input`, then drains `Engine::poll_output`. Local writes ([`Write`]) and jobs
//! ([`Ask`]) return their result at once and are drained the same way. What the application must
//! do or know of jobs ([`Item`]) waits in the engine until it is taken.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::{CloseReason, WarningCode};
use super::id::{Dot, JobId, LinkId, NodeId, ReplicaId, RunId, WaitId};

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
    /// A dial failed. `code` is the system's name of the reason (`ECONNREFUSED`). `vacant`: the
    /// address is of this machine alone, and no process listens there.
    DialFailed { address: Address, code: String, vacant: bool },
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
    /// Keep a connection to this address, for ever. `announce`: tell
    /// [`Event::ConnectFailed`] if the first dial leads to no peer.
    Connect { address: Address, announce: bool },
    /// The address is not one of those given any more. A connection that it led to stays.
    Forget { address: Address },
    /// Close the connection to a peer; neither side dials the other again.
    Dismiss { peer: ReplicaId },
    /// Dial again where this link leads, and close it when the other can take its place. Nothing if
    /// this node did not dial it.
    Renew { link: LinkId },
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

/// What a node has under a name, for its peers. Each kind has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Offer {
    /// A worker function, run by jobs.
    Worker,
    /// An exposed function, run by remote calls.
    Function,
    /// Listeners of an event.
    Event,
}

/// A function to be run on nodes: a job, or a remote call.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// [`Offer::Worker`] or [`Offer::Function`].
    pub offer: Offer,
    pub name: &'a str,
    /// JSON text of an array.
    pub args: &'a str,
    pub to: To<'a>,
    pub timeout_ms: u64,
    /// Goes along unread, for the function: the caller's trace. One of more than 600 bytes does not.
    pub trace: &'a str,
}

/// Which nodes.
#[derive(Clone, Copy, Debug)]
pub enum To<'a> {
    /// Every live node, this one included.
    All,
    /// Every peer.
    Others,
    /// These, as far as they are peers or this node itself.
    Only(&'a [ReplicaId]),
}

/// A job that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub job: JobId,
    /// Each of these gets one outcome.
    pub nodes: Vec<ReplicaId>,
}

/// What became of a job on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// JSON text of the result.
    Ok(Arc<str>),
    /// JSON text that describes the error of the function.
    Error(Arc<str>),
    /// Nothing of this name is there.
    NoWorker,
    /// The connection is gone; nobody knows whether the function ran.
    Lost,
    Timeout,
    Aborted,
    /// Too much is under way to or on that node. It did not run.
    Busy,
}

/// An [`Outcome`] without what came with it, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Ok,
    Error,
    NoWorker,
    Lost,
    Timeout,
    Aborted,
    Busy,
}

impl Outcome {
    pub fn status(&self) -> Status {
        match self {
            Outcome::Ok(_) => Status::Ok,
            Outcome::Error(_) => Status::Error,
            Outcome::NoWorker => Status::NoWorker,
            Outcome::Lost => Status::Lost,
            Outcome::Timeout => Status::Timeout,
            Outcome::Aborted => Status::Aborted,
            Outcome::Busy => Status::Busy,
        }
    }
}

/// An own job or call that has not ended, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub job: JobId,
    pub name: Arc<str>,
    pub age_ms: u64,
    pub remaining_ms: u64,
    /// The nodes asked; `None`: it has not answered.
    pub outcomes: Vec<(ReplicaId, Option<Status>)>,
}

/// Why an application does not run a function that was handed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has just been taken away.
    NoWorker,
    /// Too many of its kind run or wait here.
    Busy,
}

/// Why a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every node has an outcome that is not by its deadline or by being aborted.
    Complete,
    Timeout,
    Aborted,
}

/// Why a run is to stop. Nobody waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    Timeout,
    /// The caller has cancelled it; JSON text of the reason.
    Cancelled(Arc<str>),
    CallerLost,
}

/// Something of jobs that the application takes with `Engine::take_items`, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Call the function and give its result to `Engine::answer`, or do not and tell
    /// `Engine::refuse`. `job` is the caller's number; `remaining_ms` is what is left until the
    /// deadline.
    Run {
        run: RunId,
        offer: Offer,
        name: Arc<str>,
        args: Arc<str>,
        caller: ReplicaId,
        job: JobId,
        remaining_ms: u64,
        trace: Arc<str>,
    },
    Stop {
        run: RunId,
        why: Stop,
    },
    Outcome {
        job: JobId,
        node: ReplicaId,
        outcome: Outcome,
    },
    /// Nothing more comes of this job.
    Ended {
        job: JobId,
        end: End,
    },
    /// A peer's event; `args` is JSON text of an array.
    Emitted {
        peer: ReplicaId,
        name: Arc<str>,
        args: Arc<str>,
    },
}

/// Told to the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A peer passed the handshake. `advertised` is the address it says it listens on; `dialled`
    /// the one of ours that led to it.
    PeerUp {
        peer: ReplicaId,
        node: NodeId,
        profile: Profile,
        advertised: Option<Address>,
        dialled: Option<Address>,
        /// It looks on; what else comes of it is told as of others.
        observer: bool,
    },
    /// Its connection is gone.
    PeerDown { peer: ReplicaId, reason: CloseReason },
    /// Its application has not answered for a while, as it says; told once until it does again.
    PeerBusy { peer: ReplicaId },
    /// Every address given was tried, and all that the peers reached had when they said hello is
    /// here; or what one of them had, if `Config::ready_with_one`. Once.
    Ready,
    /// Something the engine handled itself.
    Warning { code: WarningCode, peer: Option<ReplicaId>, detail: String },
    /// After a rejoin: an own write that nobody can have seen was made once more, under the new name.
    MadeAgain { dot: Dot, hlc: u64, path: Vec<Box<str>>, write: Again },
    /// These peers have what this node had written when it began to wait.
    Replicated { wait: WaitId, peers: Vec<ReplicaId> },
    /// An address that was to be announced could not be reached; it is dialled again in silence.
    ConnectFailed { address: Address, code: String },
    /// Some watched or observed path changed: publish the slots between turns, and tell observers
    /// (see `document::watch` and `document::observe`).
    Touched,
    /// Items wait to be taken; told once until they are. Not `urgent`: outcomes of a job that goes
    /// on, which may wait a little for others.
    Items { urgent: bool },
}

/// A write that was made once more. Of DELETEs there are none: the new replica has nothing yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Again {
    /// JSON text.
    Set(Box<str>),
    Increment(f64),
}

/// What a node says of itself to people and programs on other nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: Arc<str>,
    pub tags: Arc<[(Box<str>, Box<str>)]>,
}

/// Where to dial: `host:port`, as the user wrote it. Resolving names is the shell's business.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub Arc<str>);

impl Address {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Address(text.into())
    }

    /// Cuts `host:port` (an IPv6 address in brackets) in two.
    pub fn split(text: &str) -> Option<(&str, u16)> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        if host.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        Some((host, port.parse().ok()?))
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
