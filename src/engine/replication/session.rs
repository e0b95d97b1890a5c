//! What we know of one peer and owe to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::feed::Feed;
use crate::engine::causality::VersionVector;
use crate::engine::id::ReplicaId;

#[derive(Clone, Debug, Default)]
pub struct Session {
    /// It looks on.
    pub observer: bool,
    /// Bytes given to its link and not yet taken by the operating system.
    pub outstanding: usize,
    /// Writes were left out because too much was outstanding.
    pub behind: bool,
    /// Writes that were left out because it has said nothing yet; and the bytes of all that were,
    /// also of those that found no room here.
    pub unsaid: Vec<Bytes>,
    pub unsaid_bytes: usize,
    /// The peers it is linked with; `None` until it has said.
    pub links: Option<BTreeSet<ReplicaId>>,
    /// A vector it was seen to cover and we do not, and when to ask it for that.
    pub target: Option<Target>,
    /// Its first digest came, and what it covered then is here.
    pub caught_up: bool,
    /// It waits for this feed of ours.
    pub feed: Option<Feed>,
    /// It asked for a feed, from this vector, which is not started yet.
    pub asked: Option<(u32, VersionVector)>,
    /// It has not answered yet whether it covers our writes.
    pub confirming: bool,
    /// It is to be told when we cover its writes up to here.
    pub to_confirm: Option<u64>,
    /// The fingerprint of the vector in its last digest, and the hash there.
    pub told: Option<(u64, Option<u64>)>,
    /// The time on its clock that its last digest named, and when that came.
    pub clock: Option<(u64, u64)>,
    /// When the last of our digests was sent that had come when its own was.
    pub echoed_ms: Option<u64>,
    /// How long a message took to it and back, when that was measured last.
    pub rtt_ms: Option<u64>,
    /// How far its wall clock was ahead of ours at its last digest.
    pub clock_ahead_ms: Option<i64>,
    /// What we covered at some time that it has not said to cover since, and that time.
    pub lacks: Option<(Arc<VersionVector>, u64)>,
    /// Feeds that it was served.
    pub feeds: u64,
}

#[derive(Clone, Debug)]
pub struct Target {
    /// `None`: whatever it has; only the end of a feed will do.
    pub vector: Option<VersionVector>,
    pub due_ms: u64,
}
