//! The engine (stub: signatures only).
#![deny(clippy::disallowed_methods)]
#![forbid(unsafe_code)]

pub mod config;
pub mod error;
pub mod event;
pub mod id;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};

pub use config::{Config, Limits};
pub use error::{CloseReason, WarningCode, WriteError};
pub use event::{Address, Command, Event, Input, Now, Output, Write};
pub use id::{Dot, LinkId, ReplicaId};

/// A set of writes: all up to a counter per replica, plus single ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub vector: BTreeMap<ReplicaId, u64>,
    pub dots: BTreeSet<Dot>,
}

impl Context {
    pub fn covers(&self, dot: Dot) -> bool {
        self.vector.get(&dot.replica).is_some_and(|&n| dot.counter <= n) || self.dots.contains(&dot)
    }
}

/// What a local write became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub dot: Dot,
    /// The hybrid logical clock of its stamp: milliseconds << 16 | counter.
    pub hlc: u64,
}

/// What is shown at a path that shows an object or an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub array: bool,
    /// Of an array; 0 for an object.
    pub length: u32,
    /// The names of the children that show something.
    pub keys: Vec<String>,
}

/// Counts for `stats()`, tests and checkers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Tree nodes that hold a thing or lead to one, the root not counted.
    pub document_nodes: usize,
    /// Things (roots, pieces, marks, counter parts).
    pub things: usize,
    /// Cut records kept for owners that have not seen them.
    pub cuts: usize,
    /// Entries of the version vector.
    pub replicas: usize,
    /// Single dots beside the vector.
    pub dots: usize,
    /// Dead replicas still remembered after their folding.
    pub forgotten: usize,
    pub peers: usize,
    pub writes_local: u64,
    pub writes_remote: u64,
    pub writes_duplicate: u64,
    pub pulls: u64,
    pub feeds: u64,
    pub snapshots: u64,
    pub overflows: u64,
    pub bad_messages: u64,
    pub clock_skews: u64,
    pub state_mismatches: u64,
    pub rejoins: u64,
    pub folds: u64,
}

pub struct Engine {
    id: ReplicaId,
}

impl Engine {
    /// `seed`: entropy for the replica id and the jitter.
    pub fn new(_config: Config, _seed: [u8; 32], _now: Now) -> Self {
        Engine { id: ReplicaId(1) }
    }

    // ---- getters
    pub fn id(&self) -> ReplicaId {
        self.id
    }
    /// JSON text of what is shown at the path; the empty path is the whole document.
    pub fn read(&self, _path: &[&str]) -> Option<String> {
        None
    }
    pub fn container(&self, _path: &[&str]) -> Option<Container> {
        None
    }
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
    /// The writes this replica covers.
    pub fn context(&self) -> Context {
        Context::default()
    }
    /// All writes whose effect it holds: the context and what an unfinished feed has brought.
    pub fn held(&self) -> Context {
        Context::default()
    }
    /// Whether it holds the write's effect, even if its replica has been folded since.
    pub fn knows(&self, _dot: Dot) -> bool {
        false
    }
    /// The hash of the whole state, of the split form.
    pub fn hash(&mut self) -> u64 {
        0
    }
    /// Peers with a finished handshake.
    pub fn peers(&self) -> Vec<ReplicaId> {
        Vec::new()
    }

    // ---- mutators: drain `poll_output` after each
    /// `None`: a DELETE that found nothing.
    pub fn write(&mut self, _now: Now, _write: Write<'_>) -> Result<Option<Written>, WriteError> {
        Ok(None)
    }
    /// Watches what `read(path)` gives. The slot is touched whenever that may have changed.
    pub fn watch(&mut self, _path: &[&str]) -> u32 {
        0
    }
    pub fn unwatch(&mut self, _slot: u32) {}
    /// Moves the slots touched since the last call to `into`. After `Event::Touched`, no other
    /// comes until this was called.
    pub fn take_touched(&mut self, _into: &mut Vec<u32>) {}

    // ---- handle, poll
    pub fn handle_input(&mut self, _now: Now, _input: Input) {}
    /// Call when `poll_timeout` has passed (and whenever convenient).
    pub fn handle_timeout(&mut self, _now: Now) {}
    pub fn poll_output(&mut self, _now: Now) -> Option<Output> {
        None
    }
    /// When `handle_timeout` wants to be called, on the monotonic clock in ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }
}
