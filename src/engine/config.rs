//! Every knob, with its default, unit and reason.

use super::event::{Address, Profile};
use super::id::NodeId;

/// What an engine is built with. All times are milliseconds, all sizes bytes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Peers with another name are refused. Default `"collective"`.
    pub cluster: String,
    /// This node's name for applications; drawn at random when `None`.
    pub node: Option<NodeId>,
    /// What else peers are told of this node: told once a connection, so it must stay small.
    pub profile: Profile,
    /// This node looks on: to the applications of others it is no peer, and nobody asks it to do
    /// anything. As long as it has written nothing it is no replica to others either.
    pub observer: bool,
    /// Whether the state is brought here. Off, for an observer that asks others and reads nothing:
    /// it must not write.
    pub follows: bool,
    /// The address told to peers, `None` when this node does not listen.
    pub advertised: Option<Address>,
    /// Ask peers for the addresses of nodes that they know, and dial those too: a full mesh
    /// through one seed. Off: only the addresses given are dialled.
    pub learn_addresses: bool,
    /// What a peer asks for and sends waits until the application says that it knows the peer
    /// (`Engine::introduce`): it may offer something on hearing of it. Off: it is taken at once.
    pub introductions: bool,
    /// A learned address that leads nowhere is dialled for so long. 10 min.
    pub learned_address_ms: u64,
    /// How often a digest goes to every peer; it is the heartbeat too. 1 s: two may be lost
    /// before suspicion.
    pub heartbeat_interval_ms: u64,
    /// A peer not heard for so long is lost. 5 s.
    pub loss_timeout_ms: u64,
    /// From open to hello. 2 s.
    pub handshake_timeout_ms: u64,
    /// First and longest pause between dials; doubling, full jitter. 0.1 s and 5 s.
    pub redial_min_ms: u64,
    pub redial_max_ms: u64,
    /// `Ready` comes at the latest so long after the start. 5 s.
    pub ready_timeout_ms: u64,
    /// `Ready` comes as soon as what one peer has is here. Off: what every peer has.
    pub ready_with_one: bool,
    /// How long a write may wait for one it depends on before a peer is asked for it. 200 ms:
    /// longer than a direct link needs, shorter than anybody notices.
    pub gap_timeout_ms: u64,
    /// A pull whose donor sends nothing for so long goes to another peer. 2 s, and twice as long
    /// after each that did.
    pub pull_timeout_ms: u64,
    /// Bytes queued for one peer beyond which writes are no longer pushed; it is brought up to
    /// date from the changes feed later. 16 MiB.
    pub queue_bytes_max: usize,
    /// Bytes of writes from one replica that may wait for others. 1 MiB.
    pub pending_bytes_max: usize,
    /// Removals kept for the feed; a peer that lacks more gets a snapshot. 65,536.
    pub removals_max: usize,
    /// Bytes of one part of a feed or snapshot, and of one batch of writes. 64 KiB: the lock is
    /// held for the making and the applying of one.
    pub part_bytes_max: usize,
    /// Paths merged or folded in one go. 256: the lock is held meanwhile.
    pub merge_paths: usize,
    /// Changes between two places from which a feed can start. 64: fewer would cost memory, more
    /// would send again what the asker has.
    pub checkpoint_changes: u64,
    /// Changes that a feed looks back through, under the lock; one that must start earlier sends
    /// everything. 100,000.
    pub look_back_changes: usize,
    /// Peers that are connected; others are refused. 1,024: a full mesh has far fewer, and each may
    /// cost a queue and a window.
    pub peers_max: usize,
    /// Own jobs and calls that have not ended; more are refused. 65,536.
    pub jobs_max: usize,
    /// Functions running for one peer; more are answered "busy". 16,384.
    pub runs_per_peer_max: usize,
    /// Bytes of jobs, answers and events that one peer may have sent and the application has not
    /// taken, and that may wait here for one peer. 16 MiB; never less than what two of the largest
    /// messages cost.
    pub window_bytes: usize,
    /// A peer that has broken a rule of the protocol is kept out for so long, and for twice as long
    /// each time that it does so again. 1 s and 10 min.
    pub keep_out_min_ms: u64,
    pub keep_out_max_ms: u64,
    /// Bytes that the document may take here, about: local writes that would add to more are
    /// refused. What peers write is taken all the same. `None`: as many as there are.
    pub document_bytes_max: Option<usize>,
    /// A remote stamp moves our clock at most so far ahead of the wall clock. 500 ms.
    pub clock_skew_max_ms: u64,
    /// How long a dead replica is remembered, and how long a node may be away. 30 days.
    pub forget_after_ms: u64,
    /// Limits that peers compare when they shake hands.
    pub limits: Limits,
}

/// Static limits, equal on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a key: its segments and the dots between them. 4 KiB.
    pub key_bytes_max: usize,
    /// Path segments plus depth of the value. 64.
    pub depth_max: usize,
    /// Bytes of a value as JSON text. 1 MiB.
    pub value_bytes_max: usize,
}

/// Array elements are addressed by canonical decimals up to this one.
pub const ARRAY_INDEX_MAX: u32 = 65_535;

impl Default for Limits {
    fn default() -> Self {
        Limits { key_bytes_max: 4096, depth_max: 64, value_bytes_max: 1 << 20 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            cluster: "collective".into(),
            node: None,
            profile: Profile::default(),
            observer: false,
            follows: true,
            advertised: None,
            learn_addresses: false,
            introductions: false,
            learned_address_ms: 10 * 60 * 1000,
            heartbeat_interval_ms: 1000,
            loss_timeout_ms: 5000,
            handshake_timeout_ms: 2000,
            redial_min_ms: 100,
            redial_max_ms: 5000,
            ready_timeout_ms: 5000,
            ready_with_one: false,
            gap_timeout_ms: 200,
            pull_timeout_ms: 2000,
            queue_bytes_max: 16 << 20,
            pending_bytes_max: 1 << 20,
            removals_max: 65_536,
            part_bytes_max: 64 << 10,
            merge_paths: 256,
            checkpoint_changes: 64,
            look_back_changes: 100_000,
            peers_max: 1024,
            jobs_max: 65_536,
            runs_per_peer_max: 16_384,
            window_bytes: 16 << 20,
            keep_out_min_ms: 1000,
            keep_out_max_ms: 10 * 60 * 1000,
            document_bytes_max: None,
            clock_skew_max_ms: 500,
            forget_after_ms: 30 * 24 * 3600 * 1000,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The largest message a peer may send. A path goes out as one piece, with all values that
    /// concurrent SETs left there: room for eight of the largest, with their keys.
    pub fn message_bytes_max(&self) -> usize {
        (8 * (self.limits.value_bytes_max + self.limits.key_bytes_max)).max(self.part_bytes_max)
            + (64 << 10)
    }
}
