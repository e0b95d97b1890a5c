//! Writes that arrived and wait for others that they depend on.

use std::collections::BTreeMap;

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

#[derive(Clone, Debug, Default)]
struct Origin {
    batches: BTreeMap<u64, Batch>,
    bytes: usize,
    since_ms: u64,
}

/// All origins together may hold so many times what one may.
const ORIGINS_MAX: usize = 8;

impl Waiting {
    pub fn new(origin_bytes_max: usize) -> Self {
        Waiting { origins: BTreeMap::new(), bytes: 0, origin_bytes_max }
    }

    /// Keeps a batch. `Err` if there is no room: everything of that origin was dropped, and the
    /// peer that sent it must be asked for what is missing.
    pub fn put(&mut self, since_ms: u64, batch: Batch) -> Result<(), ReplicaId> {
        let (id, from) = (batch.origin, batch.from);
        let origin = self.origins.entry(id).or_default();
        if origin.batches.is_empty() {
            origin.since_ms = since_ms;
        }
        origin.since_ms = origin.since_ms.min(since_ms);
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

    /// Takes out the first waiting batch of every origin, with the time since when it waits.
    pub fn take_firsts(&mut self) -> Vec<(u64, Batch)> {
        let mut firsts = Vec::new();
        for origin in self.origins.values_mut() {
            if let Some((_, batch)) = origin.batches.pop_first() {
                origin.bytes -= batch.bytes();
                self.bytes -= batch.bytes();
                firsts.push((origin.since_ms, batch));
            }
        }
        self.origins.retain(|_, origin| !origin.batches.is_empty());
        firsts
    }

    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Since when the longest waiting one waits, and who sent it.
    pub fn oldest(&self) -> Option<(u64, ReplicaId)> {
        let oldest = self.origins.values().min_by_key(|origin| origin.since_ms)?;
        let (_, batch) = oldest.batches.first_key_value()?;
        Some((oldest.since_ms, batch.from))
    }

    /// Starts the time of waiting again, after somebody was asked for what is missing.
    pub fn restart_time(&mut self, now_ms: u64) {
        for origin in self.origins.values_mut() {
            origin.since_ms = now_ms;
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
