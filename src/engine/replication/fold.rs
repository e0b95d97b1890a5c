//! Folding dead replicas: who does it, when, and what it does to what we know.
//!
//! See the section of that name in `docs/replication.md`.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::beyond::Beyond;
use super::{Replication, Waits, LATELY_MS};
use crate::engine::causality::VersionVector;
use crate::engine::document::path::PathKey;
use crate::engine::document::things::Cut;
use crate::engine::document::watch::{Watch, Whose};
use crate::engine::document::Fold;
use crate::engine::event::{Again, Now};
use crate::engine::id::{Dot, ReplicaId};
use crate::engine::rare::Rare;
use crate::engine::wire::message::{self, Digest, DigestClock, Item, Kind, Stub};

/// For so many heartbeats who folds has been the lowest of those alive.
const FOLD_PATIENCE_BEATS: u64 = 3;

impl Replication {
    /// A peer's process has ended: it said goodbye, or another one has its address.
    pub fn peer_dead(&mut self, now: Now, replica: ReplicaId) {
        if !self.is_bystander(replica) {
            self.folds.is_dead(replica, now.monotonic_ms);
        }
        self.waits.forget(replica);
    }

    /// Whether this replica was folded by others.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) fn begin_again(&mut self, by: &Stub) {
        self.forgotten = true;
        self.beyond.add(by);
    }

    /// What to say to a peer whose replica was folded.
    pub fn farewell(&self, peer: ReplicaId) -> Option<bytes::Bytes> {
        let stub = self.folds.stub(peer)?;
        let digest = Digest { forgotten: vec![stub], ..Digest::default() };
        Some(message::encode(Kind::Digest, &(digest, DigestClock::default())))
    }

    /// Once a heartbeat: those that have written, are silent, and not known to be dead.
    pub fn take_missing(&mut self) -> Option<Vec<ReplicaId>> {
        self.missing.take()
    }

    /// Whether it matters if a replica is dead: it is alive, or has written and may be.
    pub fn concerns(&self, now: Now, replica: ReplicaId) -> bool {
        let is_missed = self.vector.get(replica) > 0 && !self.folds.said_dead(replica);
        self.is_alive(now, replica) || is_missed
    }

    pub fn forgotten_count(&self) -> usize {
        self.folds.len()
    }

    /// Replicas heard by anybody lately, and their beats, our own first.
    pub(super) fn beats(&self, now: Now) -> Vec<(ReplicaId, u64)> {
        let own = (!self.looks_on()).then_some((self.own, now.monotonic_ms));
        let since_ms = now.monotonic_ms.saturating_sub(LATELY_MS);
        own.into_iter().chain(self.folds.all_heard_since(since_ms)).collect()
    }

    /// Folds what may be folded, and forgets what may be forgotten.
    pub(super) fn look_after_the_dead(&mut self, now: Now) {
        let forget_after_ms = self.config.forget_after_ms;
        self.folds.expire(now.monotonic_ms);
        let peers: Vec<ReplicaId> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.heard(peer, now.monotonic_ms);
        }
        let vector = self.vector.clone();
        for (replica, _) in vector.iter() {
            // From now at the latest: one that is known by its writes only.
            if replica != self.own && !self.folds.heard_since(replica, 0) {
                self.folds.heard(replica, now.monotonic_ms);
            }
        }
        self.vouch_for_the_coming(now);
        let is_missing = |&id: &ReplicaId| {
            id != self.own && !self.folds.said_dead(id) && !self.is_alive(now, id)
        };
        self.missing = Some(vector.iter().map(|(id, _)| id).filter(is_missing).collect());
        // A node with no peer hears nobody, which says nothing about the others.
        let company_ms = self.company_since_ms.unwrap_or(now.monotonic_ms);
        let since_ms = now.monotonic_ms.checked_sub(forget_after_ms);
        if let Some(since_ms) = since_ms.filter(|&since_ms| company_ms <= since_ms) {
            let silent: Vec<ReplicaId> = vector
                .iter()
                .map(|(replica, _)| replica)
                .filter(|&id| id != self.own && !self.folds.heard_since(id, since_ms))
                .collect();
            silent.into_iter().for_each(|it| self.folds.is_dead(it, now.monotonic_ms));
        }
        // Twice as long as they are told of: what is forgotten would be news again.
        let since_ms = now.monotonic_ms.saturating_sub(2 * LATELY_MS);
        self.folds.forget_idle(since_ms, &self.vector);
        // While one is away nothing is forgotten, whatever it covers. With a row of each that came and
        // went, what is kept and told would grow with the square of their number.
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|id| self.is_alive(now, id));
        self.rows = rows;
        if self.looks_on() || self.is_settling() || self.pull.is_some() || self.batching {
            return;
        }
        let Some(others) = self.others_alive(now) else { return };
        if !others.iter().all(|&id| self.own < id) {
            self.lowest_since_ms = None;
            return;
        }
        // Whoever was the lowest before may have died of a fold that only some have, or have made one
        // that is on its way: their next digests tell.
        let lowest_since_ms = *self.lowest_since_ms.get_or_insert(now.monotonic_ms);
        let patience_ms = FOLD_PATIENCE_BEATS * self.config.heartbeat_interval_ms;
        // All that it has written, and all that it has of the dead, who may have folded others.
        let has_all_of = |&id: &ReplicaId| {
            let has = |(replica, counter)| {
                let may_come = replica != id && others.contains(&replica);
                may_come || counter <= self.vector.get(replica)
            };
            self.rows.get(id).is_some_and(|row| row.iter().all(has))
        };
        // Where one is not heard now another may be that has more of the dead, and that nobody here knows.
        let fresh_ms = now.monotonic_ms.saturating_sub(self.config.loss_timeout_ms + patience_ms);
        let is_heard = |&id: &ReplicaId| self.folds.heard_since(id, fresh_ms);
        let is_late = now.monotonic_ms >= lowest_since_ms + patience_ms;
        if is_late && others.iter().all(is_heard) && others.iter().all(has_all_of) {
            self.note_coverage_of_the_dead(now, &others);
            for replica in self.foldable(now, &others) {
                self.fold_dead(now, replica);
            }
        }
    }

    /// How much of the dead those cover who live, all of whom have told what they have.
    fn note_coverage_of_the_dead(&mut self, now: Now, others: &[ReplicaId]) {
        let has_written = |&dead: &ReplicaId| self.vector.get(dead) > 0;
        let all_dead: Vec<ReplicaId> = self.folds.all_dead().filter(has_written).collect();
        for dead in all_dead {
            let covered = |&id: &ReplicaId| self.rows.get(id).map_or(0, |row| row.get(dead));
            let (counter, covered) = (self.vector.get(dead), others.iter().map(covered));
            self.folds.told_coverage(dead, counter, covered, now.monotonic_ms);
        }
    }

    /// Keeps those of the dead from being folded whose writes are here and wait for others that peers
    /// have: nobody covers them yet.
    fn vouch_for_the_coming(&mut self, now: Now) {
        if self.waiting.is_empty() {
            return;
        }
        let mut reach = self.vector.as_ref().clone();
        let peers = self.sessions.keys().filter_map(|&peer| self.rows.get(peer));
        peers.for_each(|row| reach.join(row));
        let since_ms = now.monotonic_ms.saturating_sub(self.config.loss_timeout_ms);
        let mut coming = self.waiting.to_come(&reach);
        coming.retain(|&origin| self.folds.said_dead(origin));
        for dead in coming {
            self.rare.note(Rare::DeadToCome);
            if !self.folds.heard_since(dead, since_ms) {
                self.folds.vouch(dead, now.monotonic_ms);
            }
        }
    }

    /// When the first of those died who may have left writes with a living one that are not here. Whoever
    /// has told, since it was told of a death, that it has no link to the dead one, has told all it has of
    /// it. Of who is no peer that is not known; it is over with the silence. One that is heard for longer is
    /// not dead.
    fn last_words_awaited_since(&self, now: Now, others: &[ReplicaId]) -> Option<u64> {
        let has_told_all = |id: &ReplicaId, dead: ReplicaId, since_ms: u64| {
            let Some(session) = self.sessions.get(id) else { return false };
            session.echoed_ms.is_some_and(|echoed_ms| echoed_ms > since_ms)
                && session.links.as_ref().is_some_and(|links| !links.contains(&dead))
        };
        let awaited = self.folds.all_dead_since().filter(|&(dead, since_ms)| {
            now.monotonic_ms < since_ms + LATELY_MS
                && self.is_alive(now, dead)
                && !self.sessions.contains_key(&dead)
                && !others.iter().all(|id| has_told_all(id, dead, since_ms))
        });
        awaited.map(|(_, since_ms)| since_ms).min()
    }

    /// The dead of whom everybody alive covers the same, and that nothing depends on by name which
    /// still has to be told. A cut of what one of them wrote goes with it, and not before: should it live
    /// all the same, and not be folded yet, the cut is needed.
    fn foldable(&self, now: Now, others: &[ReplicaId]) -> BTreeSet<ReplicaId> {
        let awaited_since_ms = self.last_words_awaited_since(now, others).unwrap_or(u64::MAX);
        // Who died later has lived, and had all of the dead, when all were known to.
        let has_last_words = |dead: ReplicaId| {
            let agreed_ms = self.folds.agreed_since(dead);
            agreed_ms.is_some_and(|at_ms| at_ms + self.config.loss_timeout_ms < awaited_since_ms)
        };
        let is_over = |&dead: &ReplicaId| {
            self.vector.get(dead) > 0 && self.is_over(now, dead, others) && has_last_words(dead)
        };
        let mut dead: BTreeSet<ReplicaId> = self.folds.all_dead().filter(is_over).collect();
        while !dead.is_empty() {
            let goes =
                |cut: &Cut| dead.contains(&cut.replica) && self.rows.all_cover(cut.by, others);
            let stays: Vec<ReplicaId> = self
                .document
                .all_cuts()
                .filter(|cut| !goes(cut))
                .flat_map(|cut| [cut.replica, cut.by.replica])
                .filter(|named| dead.contains(named))
                .collect();
            if stays.is_empty() {
                break;
            }
            dead.retain(|replica| !stays.contains(replica));
        }
        dead
    }

    /// Folds a dead replica, which is for this node to do.
    fn fold_dead(&mut self, now: Now, dead: ReplicaId) {
        let counter = self.vector.get(dead);
        let into = Dot::new(self.own, self.vector.get(self.own) + 1);
        let item = Item::Fold { replica: dead, counter };
        if !self.sessions.is_empty() {
            // An item this small always fits.
            let _ = self.outbox.push(self.own, into.counter, &self.vector, &item);
        }
        self.apply_fold(now, Stub { replica: dead, counter, into });
        self.advanced();
    }

    /// Whether no write of a dead replica is to be expected any more: it is silent, and all that live
    /// cover the same of it.
    fn is_over(&self, now: Now, dead: ReplicaId, others: &[ReplicaId]) -> bool {
        let counter = self.vector.get(dead);
        let agrees =
            |&id: &ReplicaId| self.rows.get(id).is_some_and(|row| row.get(dead) == counter);
        !self.is_alive(now, dead) && others.iter().all(agrees)
    }

    pub(super) fn apply_fold(&mut self, now: Now, stub: Stub) {
        if stub.replica == self.own || self.vector.get(stub.replica) > stub.counter {
            // What is here of it beyond its fold nobody else will ever have.
            self.begin_again(&stub);
            return;
        }
        self.counts.folds += 1;
        self.rare.note(Rare::DeadFolded);
        let vector = Arc::make_mut(&mut self.vector);
        vector.remove(stub.replica);
        vector.raise(stub.into.replica, stub.into.counter);
        if self.take_fold(now, stub) {
            self.rename_known();
        }
    }

    /// Renames what a dead replica made. Says whether that changes what we know of others.
    fn take_fold(&mut self, now: Now, stub: Stub) -> bool {
        if self.folds.beside(&stub) != Ordering::Equal {
            // Another part of the cluster had more of it, or less: who had less begins again.
            if self.folds.beside(&stub) == Ordering::Less {
                self.begin_again(&stub);
            }
            return false;
        }
        if !self.folds.is_folded(stub.replica) {
            self.document.fold(Fold { from: stub.replica, twin: None, into: stub.into });
            self.take_stub(now, stub);
            true
        } else if let Some((stands, gives_way)) = self.folds.reconcile(stub.replica, stub.into) {
            self.rare.note(Rare::FoldedTwice);
            self.document.fold(Fold { from: stub.replica, twin: Some(gives_way), into: stands });
            true
        } else {
            false
        }
    }

    /// A feed's donor has folded replicas that we know by name, or not at all. `ours` is what we
    /// covered before the feed.
    pub(super) fn adopt_stubs(
        &mut self,
        now: Now,
        stubs: &[Stub],
        theirs: &VersionVector,
        ours: &mut VersionVector,
    ) {
        let mut renames = false;
        // Those first that have folded others, who go along with them.
        let mut stubs: Vec<&Stub> = stubs.iter().collect();
        stubs.sort_by_key(|stub| !self.folds.is_folder(stub.replica));
        for stub in stubs {
            if stub.replica == self.own {
                self.begin_again(stub);
                continue;
            }
            if !theirs.covers(stub.into) {
                continue;
            }
            if ours.get(stub.replica) > stub.counter {
                // What is here of it beyond its fold nobody else will ever have.
                self.begin_again(stub);
                continue;
            }
            Arc::make_mut(&mut self.vector).remove(stub.replica);
            let known = self.folds.is_folded(stub.replica);
            self.rare.note_if(!known, Rare::StubAdopted);
            if known || ours.get(stub.replica) >= stub.counter {
                renames |= self.take_fold(now, stub.clone());
            } else {
                self.take_stub(now, stub.clone());
                renames = true;
            }
        }
        // Once: who joins may be told of all that ended within a month.
        if renames {
            self.rename_known();
        }
        self.folds.rename(ours);
    }

    fn take_stub(&mut self, now: Now, stub: Stub) {
        self.folds.add(stub, now.monotonic_ms + self.config.forget_after_ms);
    }

    /// Gives what we know of others the names that folds have changed.
    fn rename_known(&mut self) {
        self.rows.rename(&self.folds);
        // What is received of them from here on is not taken either.
        self.waiting.drop_origins(|origin| self.folds.is_folded(origin));
        self.checkpoints.clear();
    }

    pub(super) fn forget_cuts(&mut self, now: Now) {
        // What a feed has brought may hold increments that a cut has yet to take away.
        if self.document.cuts() == 0 || self.merging.is_some() {
            return;
        }
        let others = self.others_alive(now);
        let (rows, own, vector) = (&self.rows, self.own, &self.vector);
        let all_know =
            |cut: &Cut| others.as_ref().is_some_and(|others| rows.all_cover(cut.by, others));
        self.document.retain_cuts(|cut| {
            !self.folds.is_folded(cut.by.replica)
                && rows.needs_cut(cut, own, vector)
                && !(self.folds.is_folded(cut.replica) && all_know(cut))
        });
    }

    /// Whether it is here, or was heard not long ago. One that is said to be dead may be alive all the
    /// same: two can have one address.
    pub(super) fn is_alive(&self, now: Now, replica: ReplicaId) -> bool {
        let silence_ms = 2 * self.config.loss_timeout_ms + 2 * self.config.heartbeat_interval_ms;
        let since_ms = now.monotonic_ms.saturating_sub(silence_ms);
        self.sessions.contains_key(&replica) || self.folds.heard_since(replica, since_ms)
    }

    /// All other replicas that may still write. `None` if one of them is away.
    fn others_alive(&self, now: Now) -> Option<Vec<ReplicaId>> {
        let lately = self.folds.all_heard_since(now.monotonic_ms.saturating_sub(LATELY_MS));
        let known = self.vector.iter().map(|(id, _)| id).chain(lately.map(|(id, _)| id));
        let known: BTreeSet<ReplicaId> = known.chain(self.sessions.keys().copied()).collect();
        let mut others = Vec::new();
        for id in known {
            if id == self.own || self.is_bystander(id) {
                continue;
            }
            match (self.is_alive(now, id), self.folds.said_dead(id)) {
                (true, _) if self.sessions.contains_key(&id) => others.push(id),
                (true, false) => others.push(id),
                (_, true) => {}
                // Away: it may come back with more, of its own or of others.
                (false, false) => return None,
            }
        }
        Some(others)
    }

    /// What is to be written again under a new name, and how many DELETEs cannot be.
    pub fn take_unseen(&mut self) -> (Vec<(PathKey, Again)>, usize) {
        self.alone.take()
    }

    /// What this one was beyond its successor takes of nobody, for as long as it may take until it
    /// meets again who has told it.
    pub fn take_beyond(&mut self, now: Now) -> Beyond {
        let patience_ms = 2 * self.config.loss_timeout_ms;
        std::mem::take(&mut self.beyond).until(now.monotonic_ms + patience_ms)
    }

    pub fn put_beyond(&mut self, beyond: Beyond) {
        self.beyond = beyond;
    }

    /// So do waits for peers to have what this one wrote.
    pub fn take_waits(&mut self) -> Waits {
        std::mem::take(&mut self.waits)
    }

    pub fn put_waits(&mut self, mut waits: Waits) {
        waits.restart(self.vector.get(self.own));
        self.waits = waits;
    }

    /// The watched paths go on to the replica that takes this one's place.
    pub fn take_watch(&mut self) -> Watch {
        std::mem::take(&mut self.document.watch)
    }

    pub fn put_watch(&mut self, mut watch: Watch) {
        watch.touch_all(Whose::Remote);
        self.document.watch = watch;
    }
}

#[cfg(test)]
mod tests {
    use super::super::incoming::{Batch, Wait};
    use super::super::staging::{Merging, Staging};
    use super::*;
    use crate::engine::config::Config;
    use crate::engine::document::amount::Amount;
    use crate::engine::document::{Action, Op};
    use crate::engine::wire::message::{ActionItem, WriteItem, WritesHead};

    const OWN: ReplicaId = ReplicaId(2);
    const OTHER: ReplicaId = ReplicaId(3);
    const DEAD: ReplicaId = ReplicaId(4);
    const LOWER: ReplicaId = ReplicaId(1);
    const GONE: ReplicaId = ReplicaId(9);

    fn at(monotonic_ms: u64) -> Now {
        Now { monotonic_ms, wall_ms: monotonic_ms }
    }

    /// Increments of this one were removed by that one's write.
    fn add_cut(node: &mut Replication, replica: ReplicaId, by: Dot) {
        let (known, total) = (node.vector.clone(), Amount::from_f64(1.0));
        let cut = Cut { by, replica, epoch: 1, counter: 2, total };
        node.document.add_cut(PathKey::new(&["p"]), cut, &known, Whose::Remote);
    }

    fn covers(node: &mut Replication, replica: ReplicaId, counter: u64) {
        Arc::make_mut(&mut node.vector).raise(replica, counter);
    }

    fn learn(node: &mut Replication, entries: &[(ReplicaId, u64)]) {
        node.rows.learn(OTHER, &entries.iter().copied().collect());
    }

    /// Nothing is left to do, but nobody has looked yet.
    fn merging(node: &mut Replication) -> Merging {
        let (vector, staging) = (node.vector.clone(), Staging::default());
        Merging::begin(staging, false, vector.clone(), vector, &mut node.document)
    }

    /// A node with one peer. Both have 4 writes of the peer, and 5 of one that is dead.
    fn node() -> Replication {
        let mut node = Replication::new(OWN, Arc::new(Config::default()), at(0));
        node.peer_up(at(0), OTHER, false);
        covers(&mut node, OTHER, 4);
        covers(&mut node, DEAD, 5);
        node.peer_dead(at(0), DEAD);
        node
    }

    /// How many are folded once the dead have been silent for long enough.
    fn folds(mut node: Replication) -> u64 {
        node.look_after_the_dead(at(1_000));
        assert_eq!(node.counts.folds, 0, "it was heard not long ago");
        node.look_after_the_dead(at(30_000));
        node.counts.folds
    }

    #[test]
    fn the_dead_are_folded_once_nothing_can_come_that_knows_a_part_of_them() {
        let with = |change: fn(&mut Replication)| {
            let mut node = node();
            change(&mut node);
            folds(node)
        };
        assert_eq!(with(|node| learn(node, &[(OTHER, 4), (DEAD, 5)])), 1);
        assert_eq!(with(|_| {}), 0, "nothing is known of the peer");
        assert_eq!(with(|node| learn(node, &[(OTHER, 4), (DEAD, 4)])), 0, "the peer lacks a write");
        assert_eq!(with(|node| learn(node, &[(OTHER, 5), (DEAD, 5)])), 0, "this node lacks one");
        let agrees = |node: &mut Replication| learn(node, &[(OTHER, 4), (DEAD, 5)]);
        let with = |change: fn(&mut Replication)| {
            let mut node = node();
            agrees(&mut node);
            change(&mut node);
            folds(node)
        };
        assert_eq!(with(|node| add_cut(node, DEAD, Dot::new(OTHER, 3))), 1);
        let unknown = |node: &mut Replication| add_cut(node, DEAD, Dot::new(OWN, 1));
        assert_eq!(with(unknown), 0, "the peer has not seen a removal of what it wrote");
        let of_another = |node: &mut Replication| add_cut(node, OTHER, Dot::new(DEAD, 4));
        assert_eq!(with(of_another), 0, "a living one is not known to have seen its removal");
        assert_eq!(with(|node| node.batching = true), 0, "within a batch");
        assert_eq!(with(|node| covers(node, ReplicaId(9), 1)), 0, "somebody is away");
        let other_died = |more: u64| {
            let mut node = node();
            covers(&mut node, GONE, 1);
            node.peer_dead(at(0), GONE);
            learn(&mut node, &[(OTHER, 4), (DEAD, 5), (GONE, more)]);
            folds(node)
        };
        assert_eq!(other_died(1), 2);
        let both_died = |of: ReplicaId, by: Dot| {
            let mut node = node();
            covers(&mut node, GONE, 1);
            node.peer_dead(at(0), GONE);
            learn(&mut node, &[(OTHER, 4), (DEAD, 5), (GONE, 1)]);
            add_cut(&mut node, of, by);
            folds(node)
        };
        assert_eq!(both_died(GONE, Dot::new(DEAD, 4)), 2);
        assert_eq!(both_died(DEAD, Dot::new(GONE, 1)), 2);
        assert_eq!(both_died(OTHER, Dot::new(GONE, 1)), 1);
        let and_one_lives_on = |by: Dot| {
            let mut node = node();
            covers(&mut node, GONE, 1);
            learn(&mut node, &[(OTHER, 4), (DEAD, 5), (GONE, 1)]);
            node.folds.heard(GONE, 29_000);
            node.rows.learn(GONE, &[(OTHER, 4), (DEAD, 5), (GONE, 1)].into_iter().collect());
            add_cut(&mut node, GONE, by);
            folds(node)
        };
        assert_eq!(and_one_lives_on(Dot::new(OTHER, 3)), 1);
        assert_eq!(and_one_lives_on(Dot::new(DEAD, 4)), 0);
        assert_eq!(other_died(2), 0, "the peer has more of another, who may have folded it");
        let not_heard_for_10_s = |node: &mut Replication| {
            node.folds.heard(GONE, 20_000);
            node.rows.learn(GONE, &[(OTHER, 4), (DEAD, 5)].into_iter().collect());
        };
        assert_eq!(
            with(not_heard_for_10_s),
            0,
            "one is not heard, and another may be in its place"
        );
        let mut lower = node();
        agrees(&mut lower);
        lower.peer_up(at(0), LOWER, false);
        lower.rows.learn(LOWER, &[(OTHER, 4), (DEAD, 5)].into_iter().collect());
        assert_eq!(folds(lower.clone()), 0, "it is for another to do");
        lower.look_after_the_dead(at(1_000));
        lower.peer_dead(at(29_400), LOWER);
        lower.peer_down(at(29_500), LOWER);
        lower.look_after_the_dead(at(30_000));
        assert_eq!(lower.counts.folds, 0, "what the other did last may be on its way");
        lower.look_after_the_dead(at(33_000));
        assert_eq!(lower.counts.folds, 0, "the peer may have more of it");
        let folds_once_told = |echoed_ms: u64, links: &[ReplicaId]| {
            let mut lower = lower.clone();
            let session = lower.sessions.get_mut(&OTHER).expect("it is here");
            session.echoed_ms = Some(echoed_ms);
            session.links = Some(links.iter().copied().collect());
            lower.look_after_the_dead(at(34_000));
            lower.counts.folds
        };
        assert_eq!(folds_once_told(33_000, &[OWN]), 1);
        assert_eq!(folds_once_told(29_400, &[OWN]), 0, "it may not have known of that death");
        assert_eq!(folds_once_told(33_000, &[OWN, LOWER]), 0, "it has a link to the dead one");
        let folds_once_another_died = |died_ms: u64| {
            let mut lower = lower.clone();
            lower.peer_dead(at(died_ms), GONE);
            lower.folds.told_beat(GONE, 1, 41_500);
            lower.look_after_the_dead(at(42_000));
            lower.counts.folds
        };
        assert_eq!(folds_once_another_died(41_000), 1, "it lived when all had all of the dead");
        assert_eq!(folds_once_another_died(37_000), 0, "it may have had a part only");
        let folds_beside_who_was_heard = |at_ms: u64| {
            let mut lower = lower.clone();
            lower.peer_dead(at(37_000), GONE);
            lower.folds.told_beat(GONE, 1, at_ms);
            lower.look_after_the_dead(at(at_ms));
            lower.counts.folds
        };
        assert_eq!(folds_beside_who_was_heard(96_000), 0);
        assert_eq!(folds_beside_who_was_heard(98_000), 1, "it lives");
        lower.look_after_the_dead(at(42_000));
        assert_eq!(lower.counts.folds, 1, "the silence of the dead one is over");
    }

    #[test]
    fn who_is_dead_counts_as_heard_while_writes_of_it_are_to_come() {
        let heard_at_7_s = |counter: u64, seen: &[(ReplicaId, u64)]| {
            let mut node = node();
            learn(&mut node, &[(OTHER, 7), (DEAD, 5)]);
            node.folds.told_beat(DEAD, 90, 0);
            let batch = Batch {
                origin: DEAD,
                next: counter,
                before: 0,
                seen: seen.iter().copied().collect(),
                message: bytes::Bytes::new(),
                at: 0,
                from: OTHER,
                relayed: false,
            };
            node.waiting.put(Wait::from(0), batch).expect("there is room");
            node.look_after_the_dead(at(4_000));
            assert!(node.beats(at(4_000)).contains(&(DEAD, 90)), "it was heard not long ago");
            node.look_after_the_dead(at(7_000));
            let beats = node.beats(at(7_000));
            let (_, beat) = *beats.iter().find(|(id, _)| *id == DEAD).expect("it was heard");
            assert_eq!(node.folds.heard_since(DEAD, 7_000), beat > 90, "others hear it as well");
            beat > 90
        };
        assert!(heard_at_7_s(6, &[(DEAD, 5), (OTHER, 7)]));
        assert!(!heard_at_7_s(6, &[(DEAD, 5), (OTHER, 8)]), "nobody has what it depends on");
        assert!(!heard_at_7_s(6, &[(DEAD, 5), (GONE, 1)]), "nobody has what it depends on");
        assert!(!heard_at_7_s(7, &[(DEAD, 6)]), "nobody has the one before");
    }

    #[test]
    fn no_cut_is_forgotten_while_what_it_cuts_may_wait_to_be_merged() {
        let mut node = node();
        learn(&mut node, &[(OTHER, 4), (DEAD, 5)]);
        node.rows.learn(DEAD, &[(OTHER, 3), (DEAD, 5)].into_iter().collect());
        add_cut(&mut node, DEAD, Dot::new(OTHER, 3));
        node.merging = Some(merging(&mut node));
        node.forget_cuts(at(30_000));
        assert_eq!(node.document.cuts(), 1);
        node.merging = None;
        node.forget_cuts(at(30_000));
        assert_eq!(node.document.cuts(), 0);
    }

    /// Who is taken for dead may live, and write more of the same counter, until it is folded.
    #[test]
    fn what_cuts_the_dead_goes_when_they_are_folded_and_not_before() {
        let mut node = node();
        learn(&mut node, &[(OTHER, 4), (DEAD, 5)]);
        add_cut(&mut node, DEAD, Dot::new(OTHER, 3));
        node.look_after_the_dead(at(1_000));
        node.forget_cuts(at(30_000));
        assert_eq!((node.document.cuts(), node.counts.folds), (1, 0));
        node.look_after_the_dead(at(30_000));
        assert_eq!((node.document.cuts(), node.counts.folds), (0, 1));
    }

    /// What is merged before it and after it would bear two names.
    #[test]
    fn a_fold_that_comes_in_the_middle_of_a_merge_waits_for_its_end() {
        let mut node = node();
        node.merging = Some(merging(&mut node));
        let mut bytes = message::begin(Kind::Writes);
        let seen = vec![(OTHER, 4), (DEAD, 5)];
        message::append(&mut bytes, &WritesHead { origin: OTHER, first: 5, seen });
        message::append(&mut bytes, &Item::Fold { replica: DEAD, counter: 5 });
        assert_eq!(node.receive(at(1), OTHER, Kind::Writes, bytes.into()), Ok(()));
        assert!(!node.folds.is_folded(DEAD));
        node.merge_some(at(2));
        assert!(node.merging.is_none() && node.folds.is_folded(DEAD));
    }

    const PATH: &[&str] = &["p"];

    fn set(path: &'static str) -> Item<'static> {
        let (path, action) = (vec![path], ActionItem::Set("1"));
        Item::Write(WriteItem { hlc: 2, path, action, arrays: Vec::new(), cuts: Vec::new() })
    }

    /// A node where the dead one's value stands at the path.
    fn node_with_a_value() -> Replication {
        let mut node = node();
        let op = Op {
            dot: Dot::new(DEAD, 5),
            hlc: 1,
            path: PATH,
            action: Action::Set("0"),
            arrays: &[],
        };
        let known = node.vector.clone();
        node.document.apply(&op, &Arc::default(), &known, Whose::Remote);
        node
    }

    /// The writers of the values at the path.
    fn writers(node: &mut Replication) -> Vec<Dot> {
        node.document.fold_some(usize::MAX);
        let key = PathKey::new(PATH);
        let id = node.document.first_after(&PathKey::default()).expect("something is there");
        assert_eq!(node.document.key(id), key);
        node.document.values(id).map(|value| value.dot).collect()
    }

    /// Who writes before it hears of a fold says that it has seen the one that was folded.
    #[test]
    fn a_write_that_has_seen_the_folded_has_seen_its_fold() {
        let fold = Item::Fold { replica: DEAD, counter: 5 };
        let seen = || vec![(DEAD, 5)];
        let batches = [
            (true, seen(), vec![set("q"), set("p")]),
            (true, Vec::new(), vec![set("q"), Item::Seen(seen()), set("p")]),
            // Its own fold.
            (false, seen(), vec![fold, set("p")]),
        ];
        for (is_folded, seen, items) in batches {
            let mut node = node_with_a_value();
            if is_folded {
                let into = Dot::new(OWN, 1);
                node.apply_fold(at(1), Stub { replica: DEAD, counter: 5, into });
            }
            let mut bytes = message::begin(Kind::Writes);
            message::append(&mut bytes, &WritesHead { origin: OTHER, first: 5, seen });
            items.iter().for_each(|item| message::append(&mut bytes, item));
            assert_eq!(node.receive(at(1), OTHER, Kind::Writes, bytes.into()), Ok(()));
            assert_eq!(node.vector.get(OTHER), 6, "{items:?}");
            assert_eq!(writers(&mut node), [Dot::new(OTHER, 6)], "{items:?}");
        }
    }

    #[test]
    fn what_is_here_of_one_that_a_donor_has_folded_gets_the_name_of_the_fold() {
        let mut node = node_with_a_value();
        let into = Dot::new(OTHER, 5);
        let theirs: VersionVector = [(OTHER, 5)].into_iter().collect();
        let mut ours = node.vector.as_ref().clone();
        let stub = Stub { replica: DEAD, counter: 5, into };
        node.adopt_stubs(at(1), &[stub], &theirs, &mut ours);
        assert!(ours.covers(into) && ours.get(DEAD) == 0);
        assert_eq!(writers(&mut node), [into]);
    }

    /// The folded go along with their folder, and are not folded twice.
    #[test]
    fn who_has_folded_others_is_known_as_folded_before_them() {
        let mut node = node_with_a_value();
        node.apply_fold(at(1), Stub { replica: DEAD, counter: 5, into: Dot::new(OTHER, 5) });
        let into = Dot::new(ReplicaId(9), 1);
        let stubs =
            [(DEAD, 5), (OTHER, 5)].map(|(replica, counter)| Stub { replica, counter, into });
        let theirs: VersionVector = [(into.replica, 1)].into_iter().collect();
        let mut ours = node.vector.as_ref().clone();
        node.adopt_stubs(at(2), &stubs, &theirs, &mut ours);
        assert!(!node.rare().has(Rare::FoldedTwice));
        assert_eq!(node.folds.stub(DEAD).map(|stub| stub.into), Some(into));
        assert_eq!(writers(&mut node), [into]);
    }
}
