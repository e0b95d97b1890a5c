//! Who has this node's writes: asked for when the application waits for it.
//!
//! Digests tell the same once a second. Whoever waits has peers asked: "tell me when you cover my
//! writes up to this one". Of each peer one answer is waited for at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::Replication;
use crate::engine::id::{ReplicaId, WaitId};
use crate::engine::wire::message::{self, Confirm, Kind, Malformed};

/// How many peers are to have the writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// So many of those that are linked.
    Count(usize),
    /// All that are linked at the beginning, but for those that leave.
    All,
}

#[derive(Clone, Debug, Default)]
pub struct Waits {
    waits: BTreeMap<WaitId, Wait>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Wait {
    counter: u64,
    who: Who,
}

#[derive(Clone, Debug)]
enum Who {
    Count(usize),
    These(BTreeSet<ReplicaId>),
}

impl Waits {
    /// The peer's process has ended: nobody waits for it.
    pub fn forget(&mut self, peer: ReplicaId) {
        for wait in self.waits.values_mut() {
            if let Who::These(peers) = &mut wait.who {
                peers.remove(&peer);
            }
        }
    }

    /// All writes were made again under another name.
    pub fn restart(&mut self, counter: u64) {
        self.waits.values_mut().for_each(|wait| wait.counter = counter);
    }

    /// The first write after `covered` that somebody waits for.
    fn next_after(&self, covered: u64) -> Option<u64> {
        let counters = self.waits.values().map(|wait| wait.counter);
        counters.filter(|&counter| counter > covered).min()
    }
}

impl Replication {
    /// Waits until peers have what this node has written so far.
    pub fn wait_for(&mut self, need: Need) -> WaitId {
        let who = match need {
            Need::Count(count) => Who::Count(count),
            Need::All => Who::These(self.members().collect()),
        };
        self.waits.last += 1;
        let id = WaitId(self.waits.last);
        self.waits.waits.insert(id, Wait { counter: self.vector.get(self.own), who });
        self.ask_to_confirm();
        id
    }

    pub fn stop_waiting(&mut self, id: WaitId) {
        self.waits.waits.remove(&id);
    }

    /// A wait that is over, and the peers that have the writes.
    pub fn poll_confirmed(&mut self) -> Option<(WaitId, Vec<ReplicaId>)> {
        let over = |wait: &Wait| {
            let has = |peer: &ReplicaId| self.covered_by(*peer) >= wait.counter;
            let is_over = match &wait.who {
                Who::Count(count) => self.members().filter(has).count() >= *count,
                Who::These(peers) => peers.iter().all(has),
            };
            is_over.then(|| self.members().filter(has).collect::<Vec<_>>())
        };
        let (id, peers) =
            self.waits.waits.iter().find_map(|(&id, wait)| Some((id, over(wait)?)))?;
        self.waits.waits.remove(&id);
        Some((id, peers))
    }

    /// Who looks on keeps nothing for anybody.
    fn members(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        let members = self.sessions.iter().filter(|(_, session)| !session.observer);
        members.map(|(&peer, _)| peer)
    }

    /// Of this node's writes, those that a peer has, as far as is known.
    pub(super) fn covered_by(&self, peer: ReplicaId) -> u64 {
        let told = self.rows.get(peer).map_or(0, |row| row.get(self.own));
        told.max(self.rows.confirmed(peer))
    }

    /// Asks each peer for the next answer that somebody waits for.
    pub(super) fn ask_to_confirm(&mut self) {
        if self.waits.waits.is_empty() {
            return;
        }
        let peers: Vec<ReplicaId> = self.sessions.keys().copied().collect();
        for peer in peers {
            let next = self.waits.next_after(self.covered_by(peer));
            let Some(session) = self.sessions.get_mut(&peer) else { continue };
            let Some(counter) = next.filter(|_| !session.confirming) else { continue };
            session.confirming = true;
            self.send(peer, message::encode(Kind::Confirm, &Confirm { counter }));
        }
    }

    /// A peer wants to know when we cover its writes.
    pub(super) fn receive_confirm(&mut self, peer: ReplicaId, asked: Confirm) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.to_confirm = Some(asked.counter);
        }
        self.confirm();
    }

    /// Tells peers that we cover what they have asked for.
    pub(super) fn confirm(&mut self) {
        let vector = &self.vector;
        let due = |(&peer, session): (&ReplicaId, &super::Session)| {
            let covered = vector.get(peer);
            session.to_confirm.filter(|&counter| counter <= covered).map(|_| (peer, covered))
        };
        let due: Vec<(ReplicaId, u64)> = self.sessions.iter().filter_map(due).collect();
        for (peer, counter) in due {
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.to_confirm = None;
            }
            self.send(peer, message::encode(Kind::Confirmed, &Confirm { counter }));
        }
    }

    pub(super) fn receive_confirmed(
        &mut self,
        peer: ReplicaId,
        told: Confirm,
    ) -> Result<(), Malformed> {
        self.told_vector(vec![(self.own, told.counter)])?;
        self.rows.learn_confirmed(peer, told.counter);
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.confirming = false;
        }
        self.ask_to_confirm();
        Ok(())
    }
}
