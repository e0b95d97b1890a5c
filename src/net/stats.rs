//! Counts of the network side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use parking_lot::Mutex;
use serde::Serialize;

use crate::engine::{Stats, Whereabouts};

/// What `stats()` tells: the engine's counts and the network's, side by side.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStats {
    #[serde(flatten)]
    pub engine: Stats,
    #[serde(flatten)]
    pub whereabouts: Whereabouts,
    /// Open connections, those before their handshake included.
    pub connections: usize,
    /// Connections that have passed their handshake, so far.
    pub handshakes: u64,
    /// Connections made with a secret or certificate that is not the preferred one any more, until
    /// others take their place.
    pub outdated: usize,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Given to connections and not taken by a socket yet.
    pub bytes_queued: usize,
    pub frames_in: u64,
    pub frames_out: u64,
    /// Times the event loop was woken.
    pub rings: u64,
    /// Events and warnings that the application did not get because there were too many.
    pub events_dropped: u64,
    /// Connections that ended before their handshake, by the code of the reason.
    pub refused: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub connections: AtomicUsize,
    pub handshakes: AtomicU64,
    pub outdated: AtomicUsize,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub bytes_queued: AtomicUsize,
    pub frames_in: AtomicU64,
    pub frames_out: AtomicU64,
    pub rings: AtomicU64,
    /// Keyed by codes from our own tables, so it cannot grow.
    pub refused: Mutex<BTreeMap<&'static str, u64>>,
}
