//! Which replicas are alive, which are dead, and what is left of those that were folded.
//!
//! See "Folding dead replicas" in `docs/replication.md`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::causality::VersionVector;
use crate::engine::document::State;
use crate::engine::id::{Dot, ReplicaId};
use crate::engine::wire::message::Stub;

/// What is kept of a dead replica: 32 bytes, for `forget_after_ms`.
#[derive(Clone, Copy, Debug)]
struct Folded {
    counter: u64,
    into: Dot,
}

#[derive(Clone, Debug, Default)]
pub struct Folds {
    stubs: BTreeMap<ReplicaId, Folded>,
    /// Whose folds these are, or were.
    folders: BTreeSet<ReplicaId>,
    /// For folds that not everybody is known to have yet: the earlier folds that they absorb.
    absorbs: BTreeMap<Dot, Vec<u64>>,
    /// Folds of a replica that another node folded at the same time, and the fold that stands.
    twins: BTreeMap<Dot, Dot>,
    /// When each stub may go. Soonest first, as all live equally long.
    expiry: Vec<(u64, ReplicaId)>,
    /// When each replica was last heard, by us or by others.
    heard: BTreeMap<ReplicaId, u64>,
    /// Replicas whose process said goodbye, or whose address another one has.
    dead: BTreeSet<ReplicaId>,
}

impl Folds {
    // ---- alive or dead

    pub fn heard(&mut self, replica: ReplicaId, at_ms: u64) {
        if !self.stubs.contains_key(&replica) {
            let heard = self.heard.entry(replica).or_insert(at_ms);
            *heard = at_ms.max(*heard);
        }
    }

    /// Others say when they have heard it, later by what their word took to come. Whoever is alive is
    /// heard anew with each heartbeat; a gain of less than `slack_ms` may be one's own word that came
    /// back, by which nodes would keep for alive among themselves who is gone.
    pub fn told_heard(&mut self, replica: ReplicaId, at_ms: u64, slack_ms: u64) {
        if self.heard.get(&replica).is_none_or(|&known| known + slack_ms <= at_ms) {
            self.heard(replica, at_ms);
        }
    }

    /// Its process has ended, as far as one can know.
    pub fn is_dead(&mut self, replica: ReplicaId) {
        if !self.stubs.contains_key(&replica) {
            self.dead.insert(replica);
        }
    }

    pub fn heard_since(&self, replica: ReplicaId, since_ms: u64) -> bool {
        self.heard.get(&replica).is_some_and(|&at| at >= since_ms)
    }

    pub fn said_dead(&self, replica: ReplicaId) -> bool {
        self.dead.contains(&replica)
    }

    pub fn all_heard(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.heard.iter().map(|(&replica, &at)| (replica, at))
    }

    pub fn all_dead(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.dead.iter().copied()
    }

    /// Those that nobody has heard since and that have written nothing need not be known.
    pub fn forget_idle(&mut self, since_ms: u64, vector: &VersionVector) {
        self.heard.retain(|&replica, at| *at >= since_ms || vector.get(replica) > 0);
        // As long as it is told when it was heard: else it would seem to be away.
        let heard = &self.heard;
        self.dead.retain(|replica| vector.get(*replica) > 0 || heard.contains_key(replica));
    }

    // ---- folded

    pub fn add(&mut self, stub: Stub, expires_ms: u64) {
        let folded = Folded { counter: stub.counter, into: stub.into };
        // What was folded into the one that is folded now goes along.
        if self.folders.remove(&stub.replica) {
            for earlier in self.stubs.values_mut() {
                if earlier.into.replica == stub.replica {
                    earlier.into = stub.into;
                }
            }
        }
        self.folders.insert(stub.into.replica);
        for standing in self.twins.values_mut().filter(|into| into.replica == stub.replica) {
            *standing = stub.into;
        }
        if self.stubs.insert(stub.replica, folded).is_none() {
            self.expiry.push((expires_ms, stub.replica));
        }
        if !stub.absorb.is_empty() {
            self.absorbs.insert(stub.into, stub.absorb);
        }
        self.heard.remove(&stub.replica);
        self.dead.remove(&stub.replica);
    }

    /// A replica was folded twice. Gives the fold that stands and the one that gives way: everybody
    /// picks the same.
    pub fn reconcile(&mut self, replica: ReplicaId, other: Dot) -> Option<(Dot, Dot)> {
        let known = self.stubs.get(&replica)?.into;
        if known == other || self.twins.contains_key(&other) {
            return None;
        }
        let (stands, gives_way) = if known < other { (known, other) } else { (other, known) };
        self.twins.insert(gives_way, stands);
        for standing in self.twins.values_mut().filter(|into| **into == gives_way) {
            *standing = stands;
        }
        for folded in self.stubs.values_mut().filter(|folded| folded.into == gives_way) {
            folded.into = stands;
        }
        self.folders.insert(stands.replica);
        Some((stands, gives_way))
    }

    /// How far the fold known here goes, beside another fold of the same replica: if not as far, or
    /// farther, what was folded is not the same.
    pub fn beside(&self, other: &Stub) -> Ordering {
        let known = self.stubs.get(&other.replica);
        known.map_or(Ordering::Equal, |known| known.counter.cmp(&other.counter))
    }

    /// Whether a vector covers writes of a folded replica that its fold does not.
    pub fn lacks_some_of(&self, vector: &VersionVector) -> bool {
        let beyond = |(id, counter): (ReplicaId, u64)| {
            self.stubs.get(&id).is_some_and(|folded| counter > folded.counter)
        };
        vector.iter().any(beyond)
    }

    pub fn expire(&mut self, now_ms: u64) {
        if self.stubs.is_empty() {
            self.twins.clear();
            self.folders.clear();
        }
        let stubs = &mut self.stubs;
        self.expiry.retain(|&(at, replica)| {
            if at <= now_ms {
                stubs.remove(&replica);
            }
            at > now_ms
        });
    }

    pub fn len(&self) -> usize {
        self.stubs.len()
    }

    pub fn knows(&self, dot: Dot) -> bool {
        self.stubs.get(&dot.replica).is_some_and(|folded| dot.counter <= folded.counter)
    }

    pub fn is_folded(&self, replica: ReplicaId) -> bool {
        self.stubs.contains_key(&replica)
    }

    pub fn stubs(&self) -> Vec<Stub> {
        self.stubs.keys().filter_map(|&replica| self.stub(replica)).collect()
    }

    pub fn stub(&self, replica: ReplicaId) -> Option<Stub> {
        let Folded { counter, into } = *self.stubs.get(&replica)?;
        let absorb = self.absorbs.get(&into).cloned().unwrap_or_default();
        Some(Stub { replica, counter, into, absorb })
    }

    /// Drops what only those need who do not have a fold yet.
    pub fn forget_absorbed(&mut self, known_to_all: impl Fn(Dot) -> bool) {
        self.absorbs.retain(|&into, _| !known_to_all(into));
    }

    /// Rewrites a vector told by another replica in our names: one that covers all of a folded
    /// replica covers its fold.
    pub fn rename(&self, vector: &mut VersionVector) {
        // By what the vector names: there is a stub for each process that ended within a month.
        let folded = vector.iter().filter_map(|(id, counter)| {
            let folded = *self.stubs.get(&id)?;
            // More than was folded has no other name.
            (counter <= folded.counter).then_some((id, counter, folded))
        });
        for (replica, counter, folded) in folded.collect::<Vec<_>>() {
            vector.remove(replica);
            if counter == folded.counter {
                vector.add_alias(folded.into);
            }
        }
        for (&gives_way, &stands) in &self.twins {
            if vector.covers(gives_way) {
                vector.add_alias(stands);
            }
        }
    }

    /// The other way round, for comparing things that still bear the old names: a vector that
    /// covers the fold covers all of the folded replica.
    pub fn widen(&self, vector: &mut VersionVector) {
        for (&replica, folded) in &self.stubs {
            if vector.covers(folded.into) {
                vector.raise(replica, folded.counter);
            }
        }
    }

    /// Rewrites another replica's state of a path in our names.
    pub fn rename_state(&self, state: &mut State) {
        if self.stubs.is_empty() {
            return;
        }
        let renamed = |dot: Dot| match self.stubs.get(&dot.replica) {
            Some(folded) => Some(folded.into),
            None => self.twins.get(&dot).copied(),
        };
        for value in &mut state.values {
            if let Some(into) = renamed(value.dot) {
                value.rename(into);
            }
        }
        for mark in &mut state.marks {
            if let Some(into) = renamed(mark.dot) {
                mark.rename(into);
            }
        }
        for part in &mut state.parts {
            if let Some(base) = part.run.as_mut().and_then(|run| run.base.as_mut()) {
                *base = renamed(*base).unwrap_or(*base);
            }
            if let Some(folded) = self.stubs.get(&part.replica) {
                part.settle(folded.into);
            } else if part.settled {
                let fold = Dot::new(part.replica, part.epoch);
                if let Some(&stands) = self.twins.get(&fold) {
                    part.settle(stands);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_go_to_and_fro_keep_nobody_alive() {
        const ON_THE_WAY_MS: u64 = 100;
        let gone = ReplicaId(1);
        let mut nodes = [Folds::default(), Folds::default()];
        nodes[0].heard(gone, 0);
        for exchange in 1..200 {
            let now = exchange * ON_THE_WAY_MS;
            let [from, to] = if exchange % 2 == 1 { [0, 1] } else { [1, 0] };
            let (_, at) = nodes[from].all_heard().next().expect("heard");
            let ago = now - ON_THE_WAY_MS - at;
            nodes[to].told_heard(gone, now - ago, 500);
        }
        assert!(nodes.iter().all(|node| !node.heard_since(gone, ON_THE_WAY_MS + 1)));
    }

    #[test]
    fn who_is_heard_with_every_heartbeat_is_alive_for_those_who_are_told() {
        let mut node = Folds::default();
        for second in 0..10 {
            node.told_heard(ReplicaId(1), second * 1000 + second % 3, 500);
        }
        assert!(node.heard_since(ReplicaId(1), 9000));
    }
}
