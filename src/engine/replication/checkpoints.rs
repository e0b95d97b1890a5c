//! Which vector stood at which place in the order of changes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::causality::VersionVector;

/// Kept at most; older ones are thinned out, so the last ones lie closest.
const CHECKPOINTS_MAX: usize = 256;

/// A peer that covers a checkpoint's vector lacks nothing that changed up to its place.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// Changes between two at least.
    changes_min: u64,
    ring: VecDeque<(u64, Arc<VersionVector>)>,
}

impl Checkpoints {
    pub fn new(changes_min: u64) -> Self {
        Checkpoints { changes_min, ring: VecDeque::new() }
    }

    /// Takes note that all changes up to `sequence` are effects of the writes in `vector`.
    pub fn record(&mut self, sequence: u64, vector: &Arc<VersionVector>) {
        if self.ring.back().is_some_and(|(last, _)| sequence < last + self.changes_min) {
            return;
        }
        self.ring.push_back((sequence, vector.clone()));
        if self.ring.len() > CHECKPOINTS_MAX {
            let mut index = 0;
            let half = self.ring.len() / 2;
            self.ring.retain(|_| {
                index += 1;
                index > half || index % 2 == 0
            });
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &VersionVector)> {
        self.ring.iter().map(|(place, vector)| (*place, &**vector))
    }

    pub fn clear(&mut self) {
        self.ring.clear();
    }

    /// The furthest place up to which a peer with this vector lacks nothing; 0 is the start.
    pub fn reached_by(&self, vector: &VersionVector) -> u64 {
        // Vectors grow along the ring, so those that the peer includes come first.
        let reached = self.ring.partition_point(|(_, at)| vector.includes(at));
        reached.checked_sub(1).map_or(0, |last| self.ring[last].0)
    }
}
