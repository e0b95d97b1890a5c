//! Peers that are not wanted any more.

use std::collections::VecDeque;

use crate::engine::id::ReplicaId;

/// Beyond these the oldest is forgotten.
const DISMISSED_MAX: usize = 1024;

/// Each with its place in the order of what the user wants: an address given later stands.
#[derive(Clone, Debug, Default)]
pub struct Dismissals {
    dismissed: VecDeque<(ReplicaId, u64)>,
}

impl Dismissals {
    pub fn add(&mut self, peer: ReplicaId, order: u64) {
        self.lift(peer);
        if self.dismissed.len() == DISMISSED_MAX {
            self.dismissed.pop_front();
        }
        self.dismissed.push_back((peer, order));
    }

    pub fn lift(&mut self, peer: ReplicaId) {
        self.dismissed.retain(|&(dismissed, _)| dismissed != peer);
    }

    pub fn order_of(&self, peer: ReplicaId) -> Option<u64> {
        let found = self.dismissed.iter().find(|&&(dismissed, _)| dismissed == peer);
        found.map(|&(_, order)| order)
    }

    pub fn contains(&self, peer: ReplicaId) -> bool {
        self.order_of(peer).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut dismissals = Dismissals::default();
        for n in 0..DISMISSED_MAX as u64 + 1 {
            dismissals.add(ReplicaId(n), n);
        }
        assert!(!dismissals.contains(ReplicaId(0)));
        assert_eq!(dismissals.order_of(ReplicaId(1)), Some(1));
        dismissals.lift(ReplicaId(1));
        assert!(!dismissals.contains(ReplicaId(1)));
    }
}
