//! What a node tells of itself in numbers.

use super::event::Now;
use super::id::ReplicaId;
use super::replication::CatchUp;
use super::wire::message::{self, Kind};
use super::Engine;

/// Counts for `stats()`, tests and checkers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Tree nodes that hold a thing or lead to one, the root not counted.
    pub document_nodes: usize,
    /// Things: roots, pieces, marks, counter parts. A value not split counts once.
    pub things: usize,
    /// Removals of increments kept for owners that have not seen them.
    pub cuts: usize,
    /// Bytes of memory that these take, about.
    pub document_bytes: usize,
    /// Entries of the version vector.
    pub replicas: usize,
    /// Dead replicas still remembered after their folding.
    pub forgotten: usize,
    pub peers: usize,
    /// Those that look on, and are no peers.
    pub observers: usize,
    pub writes_local: u64,
    pub writes_remote: u64,
    /// Writes that arrived more than once, and were applied once.
    pub writes_duplicate: u64,
    /// Feeds asked for, served, and served from the beginning.
    pub pulls: u64,
    pub feeds: u64,
    pub snapshots: u64,
    /// Queues that were full: the peer was brought up to date from a feed.
    pub overflows: u64,
    pub bad_messages: u64,
    pub clock_skews: u64,
    pub state_mismatches: u64,
    pub rejoins: u64,
    pub folds: u64,
    /// Own jobs and calls that have not ended.
    pub jobs: usize,
    /// Functions running here.
    pub runs: usize,
    /// What the application has not taken yet of calls, outcomes and events.
    pub items_waiting: usize,
    /// Bytes of calls, answers and events that peers have not acknowledged.
    pub job_bytes_queued: usize,
    /// Events of peers that nobody listens to here.
    pub events_unheard: u64,
    /// Bytes of messages by what they are for.
    pub traffic_in: Traffic,
    pub traffic_out: Traffic,
}

/// Bytes of messages, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Traffic {
    /// Writes, as they were made.
    pub writes: u64,
    /// What brings a peer up to date.
    pub feeds: u64,
    /// Heartbeats, with what each covers.
    pub digests: u64,
    /// Jobs, calls, events.
    pub jobs: u64,
    pub other: u64,
}

impl Traffic {
    /// `kind`: the first byte of the message.
    pub(super) fn add(&mut self, kind: Option<u8>, bytes: usize) {
        let class = match kind.and_then(|kind| Kind::of(&[kind])) {
            _ if kind >= Some(message::PARCELS) => &mut self.jobs,
            Some(Kind::Resume | Kind::Ack) => &mut self.jobs,
            Some(Kind::Writes) => &mut self.writes,
            Some(Kind::Pull | Kind::Feed | Kind::FeedEnd | Kind::Behind) => &mut self.feeds,
            Some(Kind::Digest) => &mut self.digests,
            _ => &mut self.other,
        };
        *class += bytes as u64;
    }
}

/// One connection, for `stats()`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStats {
    /// As it is named in events.
    pub peer: String,
    pub rtt_ms: Option<u64>,
    /// Writes that this node covers and the peer has not said to cover; and for how long it has
    /// lacked some of them.
    pub lag: u64,
    pub lag_ms: u64,
    /// Whether it covered the same at its last digest, and if so had the same state.
    pub same_context: bool,
    pub same_hash: Option<bool>,
    /// How far its wall clock is ahead of ours.
    pub clock_ahead_ms: Option<i64>,
    pub queue_bytes: usize,
    pub catch_ups: u64,
    /// How far it is in bringing this node up to date, if it does.
    pub catching_up: Option<CatchUp>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Where this node stands, for `stats()`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Whereabouts {
    /// Two nodes with the same cover the same writes.
    pub context: String,
    /// Of the state; two that cover the same writes must have the same. `None`: not worked out.
    pub hash: Option<String>,
    /// How far the clock that stamps writes is ahead of the machine's.
    pub clock_lead_ms: u64,
    /// One of each peer.
    pub links: Vec<LinkStats>,
}

impl Engine {
    pub fn stats(&self) -> Stats {
        let counts = &self.replication.counts;
        let document = self.replication.document();
        let is_observer = |&peer: &ReplicaId| self.membership.is_observer(peer);
        let observers = self.membership.peers().filter(is_observer).count();
        Stats {
            document_nodes: document.nodes(),
            things: document.things(),
            cuts: document.cuts(),
            document_bytes: document.held_bytes(),
            replicas: self.replication.vector().len(),
            forgotten: self.replication.forgotten_count(),
            peers: self.membership.peers().count() - observers,
            observers,
            writes_local: counts.writes_local,
            writes_remote: counts.writes_remote,
            writes_duplicate: counts.writes_duplicate,
            pulls: counts.pulls,
            feeds: counts.feeds,
            snapshots: counts.snapshots,
            overflows: counts.overflows,
            bad_messages: self.bad_messages,
            clock_skews: counts.clock_skews,
            state_mismatches: counts.state_mismatches,
            rejoins: self.rejoins,
            folds: counts.folds,
            jobs: self.jobs.running(),
            runs: self.jobs.runs(),
            items_waiting: self.jobs.items_waiting(),
            job_bytes_queued: self.jobs.bytes_queued(),
            events_unheard: self.jobs.events_unheard,
            traffic_in: self.traffic_in,
            traffic_out: self.traffic_out,
        }
    }

    /// Where this node and each of its peers stand. Walks through peers and replicas, never through
    /// the document.
    pub fn whereabouts(&mut self, now: Now) -> Whereabouts {
        let link = |peer| {
            let linked = self.replication.linked(now, peer)?;
            let (bytes_in, bytes_out) = self.membership.bytes(peer);
            Some(LinkStats {
                peer: peer.to_string(),
                rtt_ms: linked.standing.rtt_ms,
                lag: linked.standing.lag,
                lag_ms: linked.lag_ms,
                same_context: linked.standing.same_context,
                same_hash: linked.standing.same_hash,
                clock_ahead_ms: linked.clock_ahead_ms,
                queue_bytes: linked.queue_bytes,
                catch_ups: linked.feeds,
                catching_up: linked.catching_up,
                bytes_in,
                bytes_out,
            })
        };
        let links = self.membership.peers().filter_map(link).collect();
        Whereabouts {
            context: format!("{:016x}", self.replication.context_fingerprint()),
            hash: self.replication.known_hash().map(|hash| format!("{hash:016x}")),
            clock_lead_ms: self.replication.clock_lead_ms(now),
            links,
        }
    }
}
