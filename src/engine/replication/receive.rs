//! What peers send.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use super::checks;
use super::incoming::{Batch, Wait};
use super::outbox::is_mere_increment;
use super::{Merging, Replication, Target};
use crate::engine::causality::VersionVector;
use crate::engine::document::path::PathKey;
use crate::engine::document::watch::Whose;
use crate::engine::document::{Action, Op};
use crate::engine::error::WarningCode;
use crate::engine::event::Now;
use crate::engine::id::{Dot, ReplicaId};
use crate::engine::rare::Rare;
use crate::engine::wire::message::{
    self, ActionItem, FeedEnd, Item, Kind, Malformed, Pull, Stub, WriteItem,
};

/// How often at most the same origin's clock is reported.
const SKEW_REPORT_INTERVAL_MS: u64 = 60_000;

/// How far a batch of writes got.
enum Progress {
    Done,
    /// The next write depends on others that are not here.
    Waits,
}

impl Replication {
    /// A message of replication from a peer with a session.
    pub fn receive(
        &mut self,
        now: Now,
        peer: ReplicaId,
        kind: Kind,
        message: Bytes,
    ) -> Result<(), Malformed> {
        if !self.sessions.contains_key(&peer) {
            return Ok(());
        }
        match kind {
            Kind::Writes => self.receive_writes(now, Batch::decode(message, peer)?),
            Kind::Digest => {
                let (digest, more) = message::decode_head(&message)?;
                if !more.is_empty() {
                    let (clock, _) = message::decode_item(more)?;
                    self.receive_clock(now, peer, clock);
                }
                self.receive_digest(now, peer, digest)
            }
            Kind::Confirm => {
                self.receive_confirm(peer, message::decode(&message)?);
                Ok(())
            }
            Kind::Confirmed => self.receive_confirmed(peer, message::decode(&message)?),
            Kind::Pull => {
                let pull: Pull = message::decode(&message)?;
                let mut vector = self.told_vector(pull.vector)?;
                self.folds.rename(&mut vector);
                self.rows.learn(peer, &vector);
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.asked = Some((pull.id, vector));
                }
                Ok(())
            }
            Kind::Feed => self.receive_part(now, peer, message),
            Kind::FeedEnd => self.receive_end(now, peer, message::decode(&message)?),
            Kind::Behind => {
                self.abandon_pull_from(now, peer);
                self.aim(peer, None, now.monotonic_ms);
                Ok(())
            }
            _ => Ok(()),
        }?;
        self.pull_if_due(now);
        Ok(())
    }

    pub(super) fn told_vector(&self, told: message::Vector) -> Result<VersionVector, Malformed> {
        checks::vector(told, self.own, self.vector.get(self.own))
    }

    // ---- writes

    fn receive_writes(&mut self, now: Now, batch: Batch) -> Result<(), Malformed> {
        if batch.origin == self.own || self.folds.is_folded(batch.origin) {
            return Ok(());
        }
        self.take_in(now, Wait::from(now.monotonic_ms), batch)?;
        self.retry_waiting(now)
    }

    /// Applies waiting writes until nothing moves any more.
    pub(super) fn retry_waiting(&mut self, now: Now) -> Result<(), Malformed> {
        let mut moved = true;
        while moved && !self.waiting.is_empty() {
            moved = false;
            for (wait, batch) in self.waiting.take_firsts() {
                // A batch with a mistake is dropped; its sender has been told apart long ago.
                moved |= self.take_in(now, wait, batch).unwrap_or(true);
            }
        }
        self.advanced();
        Ok(())
    }

    /// Applies what can be applied of a batch and keeps the rest, waiting since then. Says whether
    /// it got anywhere.
    fn take_in(&mut self, now: Now, wait: Wait, mut batch: Batch) -> Result<bool, Malformed> {
        let next = batch.next;
        let Progress::Waits = self.read_batch(now, &mut batch)? else { return Ok(true) };
        let moved = batch.next > next;
        let wait = if moved { Wait::from(now.monotonic_ms) } else { wait };
        if let Err(from) = self.waiting.put(wait, batch) {
            self.counts.overflows += 1;
            self.rare.note(Rare::WaitingOverflow);
            self.aim(from, None, now.monotonic_ms);
        }
        Ok(moved)
    }

    fn read_batch(&mut self, now: Now, batch: &mut Batch) -> Result<Progress, Malformed> {
        let message = batch.message.clone();
        self.folds.rename(&mut batch.seen);
        while batch.at < message.len() {
            let rest = &message[batch.at..];
            let (item, after): (Item<'_>, &[u8]) = message::decode_item(rest)?;
            match item {
                Item::Seen(grown) => {
                    batch.seen.join(&self.told_vector(grown)?);
                    self.folds.rename(&mut batch.seen);
                }
                Item::Before(writes) => {
                    batch.before = batch.before.checked_add(writes).ok_or(Malformed)?;
                    batch.next = batch.next.checked_add(writes).ok_or(Malformed)?;
                }
                Item::Write(_) | Item::Fold { .. } => {
                    if batch.before > 0 && !is_mere_increment(&item) {
                        return Err(Malformed);
                    }
                    let dot = Dot::new(batch.origin, batch.next);
                    checks::counter(dot.counter)?;
                    if self.vector.covers(dot) {
                        self.counts.writes_duplicate += 1;
                    } else {
                        let first = dot.counter - batch.before;
                        // States of before are merged under the names of before.
                        let is_early = matches!(item, Item::Fold { .. }) && self.merging.is_some();
                        let ready = self.vector.get(dot.replica) + 1 >= first
                            && self.vector.includes(&batch.seen)
                            && !is_early;
                        if !ready {
                            self.rare.note(Rare::WriteWaits);
                            return Ok(Progress::Waits);
                        }
                        // A feed may have brought some of those that it stands for.
                        batch.seen.raise(dot.replica, dot.counter - 1);
                        match item {
                            Item::Write(write) => {
                                self.counts.writes_remote +=
                                    dot.counter - self.vector.get(dot.replica);
                                self.apply_remote(now, dot, write, &batch.seen)?;
                            }
                            Item::Fold { replica, counter } => {
                                self.apply_fold(now, Stub { replica, counter, into: dot });
                                self.folds.rename(&mut batch.seen);
                            }
                            Item::Seen(_) | Item::Before(_) => {}
                        }
                        self.relay(batch);
                    }
                    batch.seen.raise(dot.replica, dot.counter);
                    batch.next += 1;
                    batch.before = 0;
                }
            }
            batch.at = message.len() - after.len();
        }
        Ok(Progress::Done)
    }

    fn apply_remote(
        &mut self,
        now: Now,
        dot: Dot,
        write: WriteItem<'_>,
        seen: &VersionVector,
    ) -> Result<(), Malformed> {
        let limits = &self.config.limits;
        let depth_max = checks::path(&write.path, limits)?;
        checks::hlc(write.hlc)?;
        for &(depth, length) in &write.arrays {
            checks::array_length(length, limits)?;
            if depth as usize >= write.path.len() {
                return Err(Malformed);
            }
        }
        let action = match write.action {
            ActionItem::Set(json) => {
                checks::value(json, depth_max, limits)?;
                Action::Set(json)
            }
            ActionItem::Increment { epoch, total, run } => {
                checks::run(run)?;
                if epoch == 0 || epoch > dot.counter {
                    return Err(Malformed);
                }
                Action::Increment { epoch, total, run }
            }
            ActionItem::Delete => Action::Delete,
        };
        let mut cuts = Vec::with_capacity(write.cuts.len());
        for (key, cut) in write.cuts {
            checks::cut(&cut)?;
            cuts.push((PathKey::from_bytes(key).ok_or(Malformed)?, cut));
        }
        self.observe(now, dot.replica, write.hlc);
        self.settle(&write.path);
        for (key, cut) in cuts {
            self.document.add_cut(key, cut, &self.vector, Whose::Remote);
        }
        let op = Op { dot, hlc: write.hlc, path: &write.path, action, arrays: &write.arrays };
        let seen = Arc::new(seen.clone());
        self.document.apply(&op, &seen, &self.vector, Whose::Remote);
        Arc::make_mut(&mut self.vector).raise(dot.replica, dot.counter);
        Ok(())
    }

    fn observe(&mut self, now: Now, origin: ReplicaId, hlc: u64) {
        if self.clock.observe(now, hlc, self.config.clock_skew_max_ms) {
            return;
        }
        self.counts.clock_skews += 1;
        self.rare.note(Rare::StampBounded);
        let is_recent = |at: u64| now.monotonic_ms < at + SKEW_REPORT_INTERVAL_MS;
        if !self.skews.get(&origin).is_some_and(|&at| is_recent(at)) {
            self.skews.retain(|_, &mut at| is_recent(at));
            self.skews.insert(origin, now.monotonic_ms);
            let ahead_ms = (hlc >> 16).saturating_sub(now.wall_ms);
            let detail = format!("the clock of {origin} is {ahead_ms} ms ahead");
            self.report(WarningCode::ClockSkew, Some(origin), detail);
        }
    }

    /// Passes a batch on, once, to peers that have no link to its origin.
    fn relay(&mut self, batch: &mut Batch) {
        if std::mem::replace(&mut batch.relayed, true) {
            return;
        }
        let mut to = self.not_linked_with(batch.origin);
        to.remove(&batch.from);
        if to.is_empty() {
            return;
        }
        self.rare.note(Rare::Relayed);
        let frames = message::finish(&batch.message);
        for peer in to {
            self.push(peer, frames.clone());
        }
    }

    /// Sets what is to be got from a peer, unless something is set already. `None`: whatever it
    /// has, and only the end of a feed will do.
    pub(super) fn aim(&mut self, peer: ReplicaId, vector: Option<VersionVector>, due_ms: u64) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        match (&mut session.target, vector) {
            (Some(_), Some(_)) => {}
            (Some(target), None) => {
                *target = Target { vector: None, due_ms: target.due_ms.min(due_ms) };
            }
            (none, vector) => *none = Some(Target { vector, due_ms }),
        }
    }

    // ---- feeds

    fn receive_part(&mut self, now: Now, peer: ReplicaId, message: Bytes) -> Result<(), Malformed> {
        let (head, _): (message::FeedHead, &[u8]) = message::decode_head(&message)?;
        let Some(pull) = &mut self.pull else { return Ok(()) };
        if pull.peer != peer || pull.id != head.id {
            return Ok(());
        }
        pull.heard_ms = now.monotonic_ms;
        if !pull.staging.take_part(&message, &self.config.limits)? {
            self.abandon_pull_from(now, peer);
        }
        Ok(())
    }

    fn receive_end(&mut self, now: Now, peer: ReplicaId, end: FeedEnd) -> Result<(), Malformed> {
        let matches = |p: &super::Pulling| p.peer == peer && p.id == end.id;
        let Some(pull) = self.pull.take_if(|pull| matches(pull)) else { return Ok(()) };
        self.pull_patience_ms = self.config.pull_timeout_ms;
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.target = None;
        }
        if pull.staging.parts() != end.parts {
            self.aim(peer, None, now.monotonic_ms);
            return Ok(());
        }
        let mut theirs = self.told_vector(end.vector)?;
        end.forgotten.iter().try_for_each(checks::stub)?;
        self.folds.rename(&mut theirs);
        let farther = |stub: &Stub| self.folds.beside(stub) == Ordering::Greater;
        if self.folds.lacks_some_of(&theirs) || end.forgotten.iter().any(farther) {
            // It has more of a dead replica than was folded here, or folded less of it: it finds out
            // when it pulls from here, and begins again.
            return Ok(());
        }
        let folds_bar_ms = self.beyond.bars_folder_until_ms(&end.forgotten);
        let barred_until_ms = self.beyond.bars_until_ms(&theirs).max(folds_bar_ms);
        if now.monotonic_ms < barred_until_ms {
            self.aim(peer, None, barred_until_ms);
            return Ok(());
        }
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.caught_up = true;
        }
        let mut ours = self.vector.as_ref().clone();
        self.adopt_stubs(now, &end.forgotten, &theirs, &mut ours);
        self.folds.rename(&mut theirs);
        self.rows.learn(peer, &theirs);
        Arc::make_mut(&mut self.vector).join(&theirs);
        self.folds.widen(&mut theirs);
        let (theirs, ours) = (Arc::new(theirs), Arc::new(ours));
        self.merging =
            Some(Merging::begin(pull.staging, end.full, theirs, ours, &mut self.document));
        self.advanced();
        self.merge_some(now);
        // Writes that waited for what came.
        self.retry_waiting(now)?;
        Ok(())
    }
}
