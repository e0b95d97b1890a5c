//! Names of things: replicas, links, writes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One writer identity of the replicated state, drawn at random when a node starts.
///
/// A node that loses its state gets a new one, so that no two writes ever share a [`Dot`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(pub u64);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{:04x}", self.0 >> 48)
    }
}

/// One running process's node, as its application knows it: stays when its replica changes.
///
/// 12 bytes, shown as 24 upper-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 12]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One job or call of this node. Counted from 1 and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// One function that runs here, for a peer or for this node itself. Counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// One wait for peers to have this node's writes. Counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

/// Names one write: the `counter`-th of `replica`, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    pub replica: ReplicaId,
    pub counter: u64,
}

impl Dot {
    pub fn new(replica: ReplicaId, counter: u64) -> Self {
        Dot { replica, counter }
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.replica, self.counter)
    }
}

/// One transport connection, named by the shell that opened it. Never reused within an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Orders writes with equal clocks, by who made them, whoever their replica was folded into since.
///
/// Part of a replica id: two that differ have different ones but once in four billion times.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Rank(u32);

impl Rank {
    /// That of the replica named beside it.
    pub const OWN: Rank = Rank(0);

    pub fn of(replica: ReplicaId) -> Rank {
        Rank(((replica.0 >> 32) as u32).max(1))
    }

    /// With `OWN` spelt out.
    pub fn or_of(self, replica: ReplicaId) -> Rank {
        if self == Rank::OWN {
            Rank::of(replica)
        } else {
            self
        }
    }

    pub fn to_bits(self) -> u32 {
        self.0
    }
}
