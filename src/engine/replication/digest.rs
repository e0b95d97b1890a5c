//! Digests: what nodes tell each other of what they cover, of whom they hear, and of their clocks.

use super::{fingerprint, Replication, HASH_BYTES};
use crate::engine::error::WarningCode;
use crate::engine::event::Now;
use crate::engine::id::ReplicaId;
use crate::engine::rare::Rare;
use crate::engine::wire::message::{self, Digest, DigestClock, DigestOf, Kind, Malformed};

/// News of links waits for the next heartbeat where more than this waits to be sent.
const WAITING_BYTES_MAX: usize = 16 << 10;

impl Replication {
    pub(super) fn send_digests(&mut self, now: Now) {
        let peers: Vec<ReplicaId> = self.sessions.keys().copied().collect();
        self.send_digests_to(now, &peers);
    }

    /// The links of this node have changed. Where much waits to be sent the next heartbeat tells of it: a
    /// link that comes and goes would fill all others.
    pub(super) fn tell_of_links(&mut self, now: Now) {
        let mut peers: Vec<ReplicaId> = self.sessions.keys().copied().collect();
        peers.retain(|&peer| self.outstanding(peer) <= WAITING_BYTES_MAX);
        self.send_digests_to(now, &peers);
    }

    pub(super) fn send_digests_to(&mut self, now: Now, peers: &[ReplicaId]) {
        let hash = match self.merging {
            None => self.document.hash(HASH_BYTES),
            Some(_) => None,
        };
        self.rare.note_if(hash.is_none(), Rare::HashPutOff);
        let rows = self.rows.iter().filter(|&(id, _)| self.is_alive(now, id));
        let rows: Vec<_> = rows.map(|(id, row)| (id, row.entries())).collect();
        let links = self.sessions.keys().copied().filter(|&id| !self.is_bystander(id));
        let links: Vec<ReplicaId> = links.collect();
        let beats = self.beats(now);
        let dead: Vec<ReplicaId> = self.folds.all_dead().collect();
        let mut told = Vec::with_capacity(rows.len());
        for &peer in peers {
            let Some(session) = self.sessions.get_mut(&peer) else { continue };
            let theirs = session.links.as_ref();
            let knows_itself = |id: ReplicaId| {
                id == peer || id == self.own || theirs.is_some_and(|links| links.contains(&id))
            };
            told.clear();
            told.extend(rows.iter().filter(|&&(id, _)| !knows_itself(id)));
            let digest = DigestOf {
                vector: self.vector.entries(),
                hash,
                links: &links,
                rows: &told,
                beats: &beats,
                dead: &dead,
                forgotten: Vec::new(),
            };
            let echo = session.clock.map(|(sent_ms, at_ms)| (sent_ms, now.monotonic_ms - at_ms));
            let clock = DigestClock { sent_ms: now.monotonic_ms, echo, wall_ms: now.wall_ms };
            let frames = message::encode(Kind::Digest, &(digest, clock));
            session.outstanding += frames.len();
            self.sends.push_back((peer, frames));
        }
    }

    pub(super) fn receive_clock(&mut self, now: Now, peer: ReplicaId, clock: DigestClock) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.clock = Some((clock.sent_ms, now.monotonic_ms));
        let echoed_ms = clock.echo.map(|(sent_ms, _)| sent_ms);
        session.echoed_ms = echoed_ms.filter(|&at| at <= now.monotonic_ms).or(session.echoed_ms);
        let since =
            |(sent_ms, held_ms)| now.monotonic_ms.checked_sub(sent_ms)?.checked_sub(held_ms);
        session.rtt_ms = clock.echo.and_then(since).or(session.rtt_ms);
        let sent_ms = i128::from(clock.wall_ms) + i128::from(session.rtt_ms.unwrap_or(0) / 2);
        let ahead_ms = sent_ms - i128::from(now.wall_ms);
        session.clock_ahead_ms = i64::try_from(ahead_ms).ok();
    }

    pub(super) fn receive_digest(
        &mut self,
        now: Now,
        peer: ReplicaId,
        digest: Digest,
    ) -> Result<(), Malformed> {
        if let Some(stub) = digest.forgotten.iter().find(|stub| stub.replica == self.own) {
            self.begin_again(stub);
            return Ok(());
        }
        self.alone.meet(self.vector.get(self.own));
        let mut vector = self.told_vector(digest.vector)?;
        self.folds.rename(&mut vector);
        self.rows.learn(peer, &vector);
        self.heard(peer, now.monotonic_ms);
        for (replica, beat) in digest.beats {
            if replica != self.own && !self.is_bystander(replica) {
                self.folds.told_beat(replica, beat, now.monotonic_ms);
            }
        }
        for replica in digest.dead.into_iter().filter(|&id| id != self.own) {
            self.folds.is_dead(replica, now.monotonic_ms);
        }
        for (replica, row) in digest.rows {
            if replica != self.own && !self.folds.is_folded(replica) && self.is_alive(now, replica)
            {
                let mut row = self.told_vector(row)?;
                self.folds.rename(&mut row);
                self.rows.learn(replica, &row);
            }
        }
        if let Some(session) = self.sessions.get_mut(&peer) {
            let same = session.links.as_ref().is_some_and(|links| links.iter().eq(&digest.links));
            if !same {
                session.links = Some(digest.links.into_iter().collect());
            }
            session.told = Some((fingerprint(&vector), digest.hash));
            // What was folded meanwhile has no place in a vector any more.
            let has = |(id, n): (ReplicaId, u64)| vector.get(id) >= n || self.folds.is_folded(id);
            if session.lacks.as_ref().is_none_or(|(lacked, _)| lacked.iter().all(has)) {
                let is_behind = !vector.includes(&self.vector);
                session.lacks = is_behind.then(|| (self.vector.clone(), now.monotonic_ms));
            }
        }
        self.say_unsaid(peer);
        // What it was not sent it can pull now.
        self.drained(peer, 0);
        if self.vector.includes(&vector) {
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.caught_up = true;
            }
            if vector.includes(&self.vector) {
                self.compare(peer, digest.hash);
            }
        } else {
            let first = self.sessions.get(&peer).is_some_and(|session| !session.caught_up);
            let grace_ms = if first { 0 } else { self.config.gap_timeout_ms };
            let due_ms = self.beyond.bars_until_ms(&vector).max(now.monotonic_ms + grace_ms);
            self.aim(peer, Some(vector), due_ms);
        }
        Ok(())
    }

    /// Both cover the same writes, so both must hold the same state.
    fn compare(&mut self, peer: ReplicaId, hash: Option<u64>) {
        let (Some(theirs), None) = (hash, &self.merging) else { return };
        if self.document.hash(usize::MAX).is_some_and(|ours| ours != theirs) {
            self.counts.state_mismatches += 1;
            let detail = format!("this node and {peer} cover the same writes with another state");
            self.report(WarningCode::StateMismatch, Some(peer), detail);
        }
    }
}
