//! Which key speaks for which node.

use std::collections::BTreeMap;

use crate::engine::{NodeId, ReplicaId};

/// Nodes whose keys are remembered. Beyond these the one not heard of for longest goes.
const IDENTITIES_MAX: usize = 4096;

/// The first key that says hello as a node or replica keeps its name: no other can take it over.
///
/// An honest node draws key and names when it is opened, and has them as long as it lives, so
/// that it never meets a key before its own.
#[derive(Default)]
pub struct Identities {
    nodes: Keys<NodeId>,
    replicas: Keys<ReplicaId>,
}

struct Keys<Id> {
    keys: BTreeMap<Id, ([u8; 32], u64)>,
    clock: u64,
}

impl Identities {
    /// Whether this key may speak for this node; remembered if so.
    #[must_use]
    pub fn claim(&mut self, node: NodeId, replica: ReplicaId, key: [u8; 32]) -> bool {
        let is_free = self.nodes.is_free(node, key) && self.replicas.is_free(replica, key);
        if is_free {
            self.nodes.keep(node, key);
            self.replicas.keep(replica, key);
        }
        is_free
    }

    /// The names are free again.
    pub fn release(&mut self, node: NodeId, replica: ReplicaId) {
        self.nodes.keys.remove(&node);
        self.replicas.keys.remove(&replica);
    }
}

impl<Id: Ord + Copy> Keys<Id> {
    fn is_free(&self, id: Id, key: [u8; 32]) -> bool {
        self.keys.get(&id).is_none_or(|(owner, _)| *owner == key)
    }

    fn keep(&mut self, id: Id, key: [u8; 32]) {
        self.clock += 1;
        self.keys.insert(id, (key, self.clock));
        if self.keys.len() > IDENTITIES_MAX {
            let oldest = self.keys.iter().min_by_key(|(_, (_, heard))| *heard);
            if let Some((&oldest, _)) = oldest {
                self.keys.remove(&oldest);
            }
        }
    }
}

impl<Id> Default for Keys<Id> {
    fn default() -> Self {
        Keys { keys: BTreeMap::new(), clock: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64) -> NodeId {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&number.to_be_bytes());
        NodeId(id)
    }

    #[test]
    fn a_name_stays_with_the_key_that_had_it_first() {
        let mut identities = Identities::default();
        assert!(identities.claim(node(1), ReplicaId(1), [1; 32]));
        assert!(identities.claim(node(1), ReplicaId(1), [1; 32]));
        // Joined again as a new replica.
        assert!(identities.claim(node(1), ReplicaId(2), [1; 32]));
        assert!(!identities.claim(node(1), ReplicaId(3), [2; 32]));
        assert!(!identities.claim(node(2), ReplicaId(1), [2; 32]));
        assert!(identities.claim(node(2), ReplicaId(3), [2; 32]), "a refusal keeps nothing");
        identities.release(node(2), ReplicaId(3));
        assert!(identities.claim(node(2), ReplicaId(3), [3; 32]));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut identities = Identities::default();
        let count = IDENTITIES_MAX as u64 + 1;
        for number in 0..count {
            assert!(identities.claim(node(0), ReplicaId(number), [0; 32]));
            assert!(identities.claim(node(number), ReplicaId(number), [0; 32]));
        }
        assert_eq!(identities.nodes.keys.len(), IDENTITIES_MAX);
        assert!(identities.claim(node(1), ReplicaId(count + 1), [1; 32]), "the oldest is free");
        assert!(!identities.claim(node(0), ReplicaId(count + 2), [1; 32]), "heard of since");
    }
}
