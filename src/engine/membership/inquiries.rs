//! Which replicas to ask peers for.

use std::collections::BTreeMap;

use crate::engine::id::ReplicaId;
use crate::engine::wire::message::REPLICAS_MAX;

/// Replicas asked for lately; others wait until some have been answered or given up.
const ASKED_MAX: usize = 1024;
/// An answer is waited for so many times the pause between questions.
const PATIENCE: u64 = 10;

#[derive(Clone, Debug)]
pub struct Inquiries {
    /// The last question for each, and when it was.
    asked: BTreeMap<ReplicaId, u64>,
    interval_ms: u64,
}

impl Inquiries {
    /// At most one question for a replica in `interval_ms`.
    pub fn new(interval_ms: u64) -> Self {
        Inquiries { asked: BTreeMap::new(), interval_ms }
    }

    /// Of these, those to ask for now.
    pub fn select(&mut self, now_ms: u64, from: impl Iterator<Item = ReplicaId>) -> Vec<ReplicaId> {
        let patience_ms = self.interval_ms.saturating_mul(PATIENCE);
        self.asked.retain(|_, at| now_ms.saturating_sub(*at) < patience_ms);
        let mut selected = Vec::new();
        for replica in from {
            let last = self.asked.get(&replica);
            let full = last.is_none() && self.asked.len() >= ASKED_MAX;
            if full || last.is_some_and(|at| now_ms.saturating_sub(*at) < self.interval_ms) {
                continue;
            }
            self.asked.insert(replica, now_ms);
            selected.push(replica);
            if selected.len() == REPLICAS_MAX {
                break;
            }
        }
        selected
    }

    pub fn is_asked(&self, replica: ReplicaId) -> bool {
        self.asked.contains_key(&replica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_for_twice_within_the_interval() {
        let mut inquiries = Inquiries::new(1000);
        let (a, b) = (ReplicaId(1), ReplicaId(2));
        assert_eq!(inquiries.select(0, [a].into_iter()), [a]);
        assert_eq!(inquiries.select(999, [a, b].into_iter()), [b]);
        assert_eq!(inquiries.select(1000, [a, b].into_iter()), [a]);
        assert!(inquiries.is_asked(a) && !inquiries.is_asked(ReplicaId(3)));
    }

    #[test]
    fn a_peer_with_countless_links_does_not_make_it_grow() {
        let mut inquiries = Inquiries::new(1000);
        for round in 0..10 {
            let ids = (0..10_000).map(|n| ReplicaId(round * 10_000 + n));
            assert!(inquiries.select(0, ids).len() <= REPLICAS_MAX);
        }
        assert_eq!(inquiries.asked.len(), ASKED_MAX);
        assert_eq!(inquiries.select(10_000, [ReplicaId(9)].into_iter()), [ReplicaId(9)]);
    }
}
