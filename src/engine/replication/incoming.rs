//! Writes that arrived and wait for others that they depend on.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::engine::causality::VersionVector;
use crate::engine::id::ReplicaId;
use crate::engine::wire::message::{self, Malformed, WritesHead};

/// The unread rest of a batch of one replica's writes.
#[derive(Clone, Debug)]
pub struct Batch {
    pub origin: ReplicaId,
    /// Counter of the next write in it.
    pub next: u64,
    /// That write stands for so many before it as well.
    pub before: u64,
    /// What the origin covered before that write.
    pub seen: VersionVector,
    pub message: Bytes,
    /// Where the next item starts.
    pub at: usize,
    /// The peer that sent it.
    pub from: ReplicaId,
    /// Whether it was passed on to peers that have no link to the origin.
    pub relayed: bool,
}

impl Batch {
    pub fn decode(message: Bytes, from: ReplicaId) -> Result<Self, Malformed> {
        let (head, rest): (WritesHead, &[u8]) = message::decode_head(&message)?;
        if head.first == 0 {
            return Err(Malformed);
        }
        let at = message.len() - rest.len();
        let seen = head.seen.into();
        let (origin, next) = (head.origin, head.first);
        Ok(Batch { origin, next, before: 0, seen, message, at, from, relayed: false })
    }

    fn bytes(&self) -> usize {
        self.message.len() + 128
    }
}

/// Waiting batches, by origin and first counter.
#[derive(Clone, Debug)]
pub struct Waiting {
    origins: BTreeMap<ReplicaId, Origin>,
    bytes: usize,
    origin_bytes_max: usize,
}

#[derive(Clone, Debug)]
struct Origin {
    batches: BTreeMap<u64, Batch>,
    bytes: usize,
    wait: Wait,
}

/// Since when something waits, or since a peer was asked for what is missing; and how often one was.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    since_ms: u64,
    asked: u32,
}

impl Wait {
    pub fn from(now_ms: u64) -> Self {
        Wait { since_ms: now_ms, asked: 0 }
    }

    /// When a peer is to be asked. Twice as late each time: nobody may have what is missing.
    fn due_ms(&self, gap_ms: u64) -> u64 {
        self.since_ms + (gap_ms << self.asked.min(DOUBLED_MAX))
    }
}

/// So often a wait is doubled: from 200 ms to 25.6 s.
const DOUBLED_MAX: u32 = 7;
/// Writes of one may wait for those of another, and so on.
const CHAIN_MAX: usize = 16;
/// All origins together may hold so many times what one may.
const ORIGINS_MAX: usize = 8;

impl Waiting {
    pub fn new(origin_bytes_max: usize) -> Self {
        Waiting { origins: BTreeMap::new(), bytes: 0, origin_bytes_max }
    }

    /// Keeps a batch. `Err` if there is no room: everything of that origin was dropped, and the
    /// peer that sent it must be asked for what is missing.
    pub fn put(&mut self, wait: Wait, batch: Batch) -> Result<(), ReplicaId> {
        let (id, from) = (batch.origin, batch.from);
        let none = || Origin { batches: BTreeMap::new(), bytes: 0, wait };
        let origin = self.origins.entry(id).or_insert_with(none);
        origin.wait.since_ms = wait.since_ms.min(origin.wait.since_ms);
        origin.wait.asked = wait.asked.min(origin.wait.asked);
        let bytes = batch.bytes();
        if let Some(replaced) = origin.batches.insert(batch.next, batch) {
            origin.bytes -= replaced.bytes();
            self.bytes -= replaced.bytes();
        }
        origin.bytes += bytes;
        self.bytes += bytes;
        let full = origin.bytes > self.origin_bytes_max
            || self.bytes > self.origin_bytes_max * ORIGINS_MAX;
        if full {
            self.drop_origin(id);
            return Err(from);
        }
        Ok(())
    }

    /// Takes out the first waiting batch of every origin, and its wait.
    pub fn take_firsts(&mut self) -> Vec<(Wait, Batch)> {
        let mut firsts = Vec::new();
        for origin in self.origins.values_mut() {
            if let Some((_, batch)) = origin.batches.pop_first() {
                origin.bytes -= batch.bytes();
                self.bytes -= batch.bytes();
                firsts.push((origin.wait, batch));
            }
        }
        self.origins.retain(|_, origin| !origin.batches.is_empty());
        firsts
    }

    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// The origins of which something here can be applied once all of `reach` has come, or what waits here
    /// itself. Nothing comes of the others while what they depend on is nowhere. Longer chains than of
    /// [`CHAIN_MAX`] origins are not followed.
    pub fn to_come(&self, reach: &VersionVector) -> BTreeSet<ReplicaId> {
        let mut coming = BTreeSet::new();
        for _ in 0..CHAIN_MAX {
            let comes =
                |(id, counter): (ReplicaId, u64)| counter <= reach.get(id) || coming.contains(&id);
            let is_next = |(&id, origin): (&ReplicaId, &Origin)| {
                let (_, first) = origin.batches.first_key_value()?;
                let before = first.next.saturating_sub(first.before + 1);
                (before <= reach.get(id) && first.seen.iter().all(comes)).then_some(id)
            };
            let found: BTreeSet<ReplicaId> = self.origins.iter().filter_map(is_next).collect();
            if found == coming {
                break;
            }
            coming = found;
        }
        coming
    }

    /// When a peer is to be asked for what is missing, and which: the one that sent what waits for it.
    pub fn due(&self, gap_ms: u64) -> Option<(u64, ReplicaId)> {
        let due_ms = |origin: &&Origin| origin.wait.due_ms(gap_ms);
        let first = self.origins.values().min_by_key(due_ms)?;
        let (_, batch) = first.batches.first_key_value()?;
        Some((first.wait.due_ms(gap_ms), batch.from))
    }

    /// A peer was asked for what is missing: what it has sent begins to wait anew.
    pub fn asked(&mut self, peer: ReplicaId, now_ms: u64) {
        let is_of = |origin: &&mut Origin| {
            origin.batches.first_key_value().is_some_and(|(_, first)| first.from == peer)
        };
        for origin in self.origins.values_mut().filter(is_of) {
            origin.wait = Wait { since_ms: now_ms, asked: origin.wait.asked + 1 };
        }
    }

    pub fn drop_origins(&mut self, is_over: impl Fn(ReplicaId) -> bool) {
        let over: Vec<ReplicaId> = self.origins.keys().copied().filter(|&id| is_over(id)).collect();
        over.into_iter().for_each(|id| self.drop_origin(id));
    }

    fn drop_origin(&mut self, id: ReplicaId) {
        if let Some(origin) = self.origins.remove(&id) {
            self.bytes -= origin.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: ReplicaId = ReplicaId(1);
    const OTHER: ReplicaId = ReplicaId(2);
    const LAST: ReplicaId = ReplicaId(3);

    fn vector(entries: &[(ReplicaId, u64)]) -> VersionVector {
        entries.iter().copied().collect()
    }

    /// A write of an origin that had seen so much.
    fn batch(origin: ReplicaId, next: u64, seen: &[(ReplicaId, u64)]) -> Batch {
        let (seen, message) = (vector(seen), Bytes::new());
        Batch { origin, next, before: 0, seen, message, at: 0, from: origin, relayed: false }
    }

    fn to_come(batches: Vec<Batch>, reach: &[(ReplicaId, u64)]) -> Vec<ReplicaId> {
        let mut waiting = Waiting::new(1 << 20);
        for batch in batches {
            waiting.put(Wait::from(0), batch).expect("there is room");
        }
        waiting.to_come(&vector(reach)).into_iter().collect()
    }

    #[test]
    fn who_asks_in_vain_asks_ever_less_often_until_something_comes() {
        let mut waiting = Waiting::new(1 << 20);
        let put = |waiting: &mut Waiting, wait: Wait, next: u64| {
            waiting.put(wait, batch(GONE, next, &[])).expect("there is room");
        };
        put(&mut waiting, Wait::from(1_000), 3);
        let mut dues = Vec::new();
        for _ in 0..10 {
            let (due_ms, from) = waiting.due(200).expect("one waits");
            assert_eq!(from, GONE);
            dues.push(due_ms);
            waiting.asked(from, due_ms);
            // It is tried, and waits on.
            let (wait, batch) = waiting.take_firsts().pop().expect("one waits");
            waiting.put(wait, batch).expect("there is room");
        }
        let waits: Vec<u64> = dues.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(dues[0], 1_200);
        assert_eq!(waits, [400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 25_600, 25_600]);
        let now_ms = dues[9] + 50;
        put(&mut waiting, Wait::from(now_ms), 4);
        assert_eq!(waiting.due(200), Some((dues[9] + 200, GONE)));
        waiting.put(Wait::from(now_ms), batch(OTHER, 4, &[])).expect("there is room");
        waiting.asked(GONE, now_ms);
        assert_eq!(waiting.due(200), Some((now_ms + 200, OTHER)), "another was not asked");
    }

    #[test]
    fn a_write_is_to_come_if_what_it_depends_on_is_somewhere() {
        let of_gone = || batch(GONE, 3, &[(GONE, 2), (OTHER, 5)]);
        assert_eq!(to_come(vec![of_gone()], &[(GONE, 2), (OTHER, 5)]), [GONE]);
        assert_eq!(to_come(vec![of_gone()], &[(GONE, 2), (OTHER, 4)]), []);
        assert_eq!(to_come(vec![of_gone()], &[(GONE, 1), (OTHER, 5)]), [], "one before is missing");
    }

    #[test]
    fn a_write_is_to_come_if_what_it_depends_on_is_to_come() {
        let of_gone = || batch(GONE, 3, &[(OTHER, 5)]);
        let of_other = |next| batch(OTHER, next, &[(LAST, 1)]);
        let reach = [(GONE, 2), (OTHER, 4), (LAST, 1)];
        assert_eq!(to_come(vec![of_gone(), of_other(5)], &reach), [GONE, OTHER]);
        assert_eq!(to_come(vec![of_gone(), of_other(6)], &reach), []);
        let in_a_ring = vec![of_gone(), batch(OTHER, 5, &[(GONE, 3)])];
        assert_eq!(to_come(in_a_ring, &reach), [], "each waits for the other");
    }
}
