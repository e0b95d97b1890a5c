//! What a replica that began again had been beyond.
//!
//! It held more of a dead replica than was folded, or had folded less of it, and so may others that it
//! is linked with: whoever takes the same from them again, before it has met the fold, begins again
//! with every turn, and tells nobody. See "Different amounts" in `docs/replication.md`.

use std::collections::BTreeMap;

use crate::engine::causality::VersionVector;
use crate::engine::id::ReplicaId;
use crate::engine::wire::message::Stub;

/// Of more folds than these nothing is kept.
const FOLDS_MAX: usize = 1024;

#[derive(Clone, Debug, Default)]
pub struct Beyond {
    /// How much of each dead replica was folded.
    folded: BTreeMap<ReplicaId, u64>,
    until_ms: u64,
}

impl Beyond {
    pub fn add(&mut self, stub: &Stub) {
        if self.folded.len() < FOLDS_MAX {
            let counter = self.folded.entry(stub.replica).or_default();
            *counter = stub.counter.max(*counter);
        }
    }

    /// For the replica that follows: until then it takes nothing of the kind.
    pub fn until(mut self, until_ms: u64) -> Self {
        self.until_ms = until_ms;
        self
    }

    pub fn until_ms(&self) -> u64 {
        self.until_ms
    }

    /// Until when nothing is to be taken of who covers this. Zero: it may be.
    pub fn bars_until_ms(&self, vector: &VersionVector) -> u64 {
        let has_more = |(&id, &counter): (&ReplicaId, &u64)| vector.get(id) > counter;
        if self.folded.iter().any(has_more) {
            self.until_ms
        } else {
            0
        }
    }

    /// Likewise of who has made these folds.
    pub fn bars_folder_until_ms(&self, stubs: &[Stub]) -> u64 {
        let has_less = |stub: &Stub| {
            self.folded.get(&stub.replica).is_some_and(|&counter| stub.counter < counter)
        };
        if stubs.iter().any(has_less) {
            self.until_ms
        } else {
            0
        }
    }
}
