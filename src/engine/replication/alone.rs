//! What a replica writes while it has no peer.
//!
//! Kept in case it stays alone for longer than it is remembered: then it rejoins as a new replica
//! and makes these writes again, which nobody can have seen. Per path, so it is bounded by the
//! paths written.

use std::collections::BTreeMap;

use super::Replication;
use crate::engine::document::path::PathKey;
use crate::engine::event::{Again, Write};
use crate::engine::id::ReplicaId;

#[derive(Clone, Debug, Default)]
pub struct AloneLog {
    /// Whether there ever was a peer: before that, nobody can have forgotten this replica.
    had_peers: bool,
    /// Own writes up to here may have been seen.
    exposed: u64,
    paths: BTreeMap<PathKey, Unseen>,
}

/// The unseen writes at one path, in order of effect.
#[derive(Clone, Debug, Default)]
struct Unseen {
    /// `Some(None)`: a DELETE.
    set: Option<Option<Box<str>>>,
    increment: f64,
}

impl AloneLog {
    /// A peer has taken this replica for what it is, and gets everything.
    pub fn meet(&mut self, own_counter: u64) {
        self.had_peers = true;
        self.exposed = own_counter;
        self.paths.clear();
    }

    pub fn exposed(&self) -> u64 {
        self.exposed
    }

    /// Takes note of a write made while alone. `fresh`: all that a DELETE removes was itself unseen.
    pub fn note(&mut self, write: Write<'_>, fresh: bool) {
        if !self.had_peers {
            return;
        }
        let key = PathKey::new(write.path());
        if !matches!(write, Write::Increment { .. }) {
            let below: Vec<PathKey> = self
                .paths
                .range(key.clone()..)
                .take_while(|(below, _)| below.starts_with(&key))
                .map(|(below, _)| below.clone())
                .collect();
            for below in below {
                self.paths.remove(&below);
            }
        }
        match write {
            Write::Set { json, .. } => {
                self.paths.insert(key, Unseen { set: Some(Some(json.into())), increment: 0.0 });
            }
            Write::Delete { .. } if fresh => {}
            Write::Delete { .. } => {
                self.paths.insert(key, Unseen { set: Some(None), increment: 0.0 });
            }
            Write::Increment { by, .. } => self.paths.entry(key).or_default().increment += by,
        }
    }

    /// What can be made again, and how many DELETEs cannot: what they removed is not here then.
    pub fn take(&mut self) -> (Vec<(PathKey, Again)>, usize) {
        let (mut writes, mut deletes) = (Vec::new(), 0);
        for (key, unseen) in std::mem::take(&mut self.paths) {
            match unseen.set {
                Some(Some(json)) => writes.push((key.clone(), Again::Set(json))),
                Some(None) => deletes += 1,
                None => {}
            }
            if unseen.increment != 0.0 {
                writes.push((key, Again::Increment(unseen.increment)));
            }
        }
        (writes, deletes)
    }
}

impl Replication {
    /// Whether everything at and below a path was written by this replica, after it was last seen.
    pub(super) fn is_unseen(&self, path: &[&str], own: ReplicaId) -> bool {
        self.document.all_written_by(path, own, self.alone.exposed())
    }
}
