//! Which replicas are alive, which are dead, and what is left of those that were folded.
//!
//! See "Folding dead replicas" in `docs/replication.md`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::causality::VersionVector;
use crate::engine::document::things::Part;
use crate::engine::document::State;
use crate::engine::id::{Dot, ReplicaId};
use crate::engine::wire::message::Stub;

/// What is kept of a dead replica: 32 bytes, for `forget_after_ms`.
#[derive(Clone, Copy, Debug)]
struct Folded {
    counter: u64,
    into: Dot,
}

/// When a replica was last heard, by us or by others, as far as we know.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at_ms: u64,
    /// The last of its beats that we were told.
    beat: u64,
}

/// What is known of a dead replica that is not folded yet.
#[derive(Clone, Copy, Debug)]
struct Dead {
    /// Since when that is known.
    since_ms: u64,
    /// So much of it all that live covered, and when that was known first. Who came later has all of that or
    /// nothing.
    agreed: Option<(u64, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct Folds {
    stubs: BTreeMap<ReplicaId, Folded>,
    /// Whose folds these are, or were.
    folders: BTreeSet<ReplicaId>,
    /// Folds of a replica that another node folded at the same time, and the fold that stands.
    twins: BTreeMap<Dot, Dot>,
    /// When each stub may go. Soonest first, as all live equally long.
    expiry: Vec<(u64, ReplicaId)>,
    heard: BTreeMap<ReplicaId, Heard>,
    /// Replicas whose process said goodbye, or whose address another one has.
    dead: BTreeMap<ReplicaId, Dead>,
}

impl Folds {
    // ---- alive or dead

    pub fn heard(&mut self, replica: ReplicaId, at_ms: u64) {
        if !self.stubs.contains_key(&replica) {
            let heard = self.heard.entry(replica).or_insert(Heard { at_ms, beat: 0 });
            heard.at_ms = at_ms.max(heard.at_ms);
        }
    }

    /// A beat of a replica, told by itself or by others. It is heard if its heart goes on: what is told
    /// twice, however late, keeps nobody alive who is gone (van Renesse, Minsky and Hayden, "A
    /// Gossip-Style Failure Detection Service", 1998).
    pub fn told_beat(&mut self, replica: ReplicaId, beat: u64, now_ms: u64) {
        if self.heard.get(&replica).is_none_or(|known| known.beat < beat) {
            self.heard(replica, now_ms);
            if let Some(heard) = self.heard.get_mut(&replica) {
                heard.beat = beat;
            }
        }
    }

    /// A replica that is silent counts as heard, here and with all who are told, as with a last beat of
    /// it that comes late.
    pub fn vouch(&mut self, replica: ReplicaId, now_ms: u64) {
        let beat = self.heard.get(&replica).map_or(0, |heard| heard.beat);
        self.told_beat(replica, beat.saturating_add(1), now_ms);
    }

    /// Its process has ended, as far as one can know.
    pub fn is_dead(&mut self, replica: ReplicaId, now_ms: u64) {
        if !self.stubs.contains_key(&replica) {
            self.dead.entry(replica).or_insert(Dead { since_ms: now_ms, agreed: None });
        }
    }

    pub fn heard_since(&self, replica: ReplicaId, since_ms: u64) -> bool {
        self.heard.get(&replica).is_some_and(|heard| heard.at_ms >= since_ms)
    }

    pub fn said_dead(&self, replica: ReplicaId) -> bool {
        self.dead.contains_key(&replica)
    }

    /// Those heard since then, and their last beats.
    pub fn all_heard_since(&self, since_ms: u64) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        let heard = self.heard.iter().filter(move |(_, heard)| heard.at_ms >= since_ms);
        heard.map(|(&replica, heard)| (replica, heard.beat))
    }

    pub fn all_dead(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.dead.keys().copied()
    }

    /// The dead, and since when each is known to be.
    pub fn all_dead_since(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.dead.iter().map(|(&replica, dead)| (replica, dead.since_ms))
    }

    /// So much of a dead one is covered here, and that by each of the others that live.
    pub fn told_coverage(
        &mut self,
        replica: ReplicaId,
        counter: u64,
        others: impl Iterator<Item = u64> + Clone,
        now_ms: u64,
    ) {
        let Some(dead) = self.dead.get_mut(&replica) else { return };
        let has_part = |covered: u64| covered != counter && covered != 0;
        if others.clone().any(has_part) || dead.agreed.is_some_and(|(agreed, _)| agreed != counter)
        {
            dead.agreed = None;
        }
        if others.clone().all(|covered| covered == counter) {
            dead.agreed.get_or_insert((counter, now_ms));
        }
    }

    /// Since when all that lived then covered the same of a dead one.
    pub fn agreed_since(&self, replica: ReplicaId) -> Option<u64> {
        Some(self.dead.get(&replica)?.agreed?.1)
    }

    /// Those that nobody has heard since and that have written nothing need not be known.
    pub fn forget_idle(&mut self, since_ms: u64, vector: &VersionVector) {
        self.heard.retain(|&replica, it| it.at_ms >= since_ms || vector.get(replica) > 0);
        // As long as others tell of it: else it would seem to be away.
        let heard = &self.heard;
        self.dead.retain(|replica, _| vector.get(*replica) > 0 || heard.contains_key(replica));
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
        self.heard.remove(&stub.replica);
        self.dead.remove(&stub.replica);
    }

    /// Whether others were folded into a replica.
    pub fn is_folder(&self, replica: ReplicaId) -> bool {
        self.folders.contains(&replica)
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
        Some(Stub { replica, counter, into })
    }

    /// Rewrites a vector told by another replica in our names: one that covers all of a folded
    /// replica covers its fold. If its folder was folded in turn, the vector must cover all of that too:
    /// the name stands for both. Too little is mended by what a feed does not send, too much by nothing.
    pub fn rename(&self, vector: &mut VersionVector) {
        // By what the vector names: there is a stub for each process that ended within a month.
        let folded = vector.iter().filter_map(|(id, counter)| {
            let folded = *self.stubs.get(&id)?;
            // More than was folded has no other name.
            (counter <= folded.counter).then_some((id, counter, folded))
        });
        let folded: Vec<_> = folded.collect();
        let partly = folded.iter().filter(|(_, counter, folded)| *counter < folded.counter);
        let partly: BTreeSet<Dot> = partly.map(|(.., folded)| folded.into).collect();
        for (replica, _, Folded { into, .. }) in folded {
            vector.remove(replica);
            if !partly.contains(&into) {
                vector.add_alias(into);
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
            }
        }
        if !self.twins.is_empty() {
            self.settle_twins(&mut state.parts);
        }
        join_settled(&mut state.parts);
    }

    /// Of two folds of one replica the one that gives way gets the name of the other, unless that is
    /// there: both settle the same increments.
    fn settle_twins(&self, parts: &mut Vec<Part>) {
        let fold = |part: &Part| Dot::new(part.replica, part.epoch);
        let folds: BTreeSet<Dot> = parts.iter().filter(|part| part.settled).map(fold).collect();
        let is_there = |into: Dot| {
            let later = folds.range(into..).next();
            later.is_some_and(|later| later.replica == into.replica)
        };
        parts.retain_mut(|part| match self.twins.get(&fold(part)).filter(|_| part.settled) {
            Some(&stands) if is_there(stands) => false,
            Some(&stands) => {
                part.settle(stands);
                true
            }
            None => true,
        });
    }
}

/// All that one replica has settled is one part, as in `Document::fold_parts`.
fn join_settled(parts: &mut Vec<Part>) {
    parts.sort_by_key(Part::slot);
    parts.dedup_by(|part, earlier| {
        let joins = part.settled && part.slot() == earlier.slot();
        if joins {
            earlier.add_settled(part);
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Eight nodes that tell each other every 400 ms of one that is gone, on a machine so busy that it
    /// takes longer than that until a word is heard.
    #[test]
    fn words_that_go_to_and_fro_keep_nobody_alive() {
        const EVERY_MS: u64 = 400;
        let gone = ReplicaId(1);
        for on_the_way_ms in [100, 300, 900, 2500] {
            let mut nodes = vec![Folds::default(); 8];
            nodes[0].told_beat(gone, 7, 0);
            let mut told: VecDeque<(u64, usize, u64)> = VecDeque::new();
            for now in (0..60_000u64).step_by(10) {
                while told.front().is_some_and(|&(due, ..)| due <= now) {
                    let (_, from, beat) = told.pop_front().expect("it is there");
                    for node in nodes.iter_mut().enumerate().filter(|&(at, _)| at != from) {
                        node.1.told_beat(gone, beat, now);
                    }
                }
                for (from, node) in nodes.iter().enumerate() {
                    if (now + 50 * from as u64).is_multiple_of(EVERY_MS) {
                        let heard = node.all_heard_since(0).next();
                        told.extend(heard.map(|(_, beat)| (now + on_the_way_ms, from, beat)));
                    }
                }
            }
            let late =
                nodes.iter().filter(|node| node.heard_since(gone, 2 * on_the_way_ms + EVERY_MS));
            assert_eq!(late.count(), 0, "{on_the_way_ms} ms on the way");
        }
    }

    #[test]
    fn a_name_for_two_stands_for_who_covers_both() {
        let [dead, folder, last] = [1, 2, 3].map(ReplicaId);
        let mut folds = Folds::default();
        let stub = |replica, counter, into| Stub { replica, counter, into };
        folds.add(stub(dead, 2, Dot::new(folder, 20)), 0);
        folds.add(stub(folder, 25, Dot::new(last, 5)), 0);
        for (of_folder, covers) in [(18, false), (25, true)] {
            let mut vector = VersionVector::from_iter([(dead, 2), (folder, of_folder), (last, 4)]);
            folds.rename(&mut vector);
            assert_eq!(vector.covers(Dot::new(last, 5)), covers, "{of_folder} of the folder");
            assert_eq!(vector.entries(), [(last, 4)]);
        }
    }

    #[test]
    fn who_is_heard_with_every_heartbeat_is_alive_for_those_who_are_told() {
        let mut node = Folds::default();
        for second in 0..10 {
            node.told_beat(ReplicaId(1), 500 + second, second * 1000);
        }
        assert!(node.heard_since(ReplicaId(1), 9000));
    }

    /// Two whom one replica has folded, one after the other.
    #[test]
    fn what_a_state_has_of_two_that_one_has_folded_is_one_part() {
        let (one, two, folder) = (ReplicaId(1), ReplicaId(2), ReplicaId(9));
        let mut folds = Folds::default();
        for (replica, counter) in [(one, 1), (two, 2)] {
            folds.add(Stub { replica, counter: 5, into: Dot::new(folder, counter) }, u64::MAX);
        }
        let mut state =
            State { parts: vec![Part::of(one, 5, 3.0), Part::of(two, 5, 0.5)], ..State::default() };
        folds.rename_state(&mut state);
        let parts: Vec<_> =
            state.parts.iter().map(|part| (part.slot(), part.high, part.sum().to_f64())).collect();
        assert_eq!(parts, [((folder, true), 2, 3.5)]);
    }
}
