//! Own writes on their way out: encoded once, the same bytes for every peer.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::engine::causality::VersionVector;
use crate::engine::id::ReplicaId;
use crate::engine::wire::message::{self, Item, Kind, WritesHead};

#[derive(Clone, Debug)]
pub struct Outbox {
    /// The batch being filled.
    batch: Vec<u8>,
    /// What the origin covered at the last write of the batch.
    seen: VersionVector,
    /// Finished batches.
    ready: VecDeque<Bytes>,
    batch_bytes_max: usize,
    message_bytes_max: usize,
    /// The batch is to go out as one, and was too much for that.
    held: bool,
    spilled: bool,
}

/// The write is too large for a message: peers must get its effect from a feed.
pub struct TooLarge;

impl Outbox {
    pub fn new(batch_bytes_max: usize, message_bytes_max: usize) -> Self {
        Outbox {
            batch: Vec::new(),
            seen: VersionVector::new(),
            ready: VecDeque::new(),
            batch_bytes_max,
            message_bytes_max,
            held: false,
            spilled: false,
        }
    }

    /// Adds the write `counter`, made when `seen` was covered.
    pub fn push(
        &mut self,
        origin: ReplicaId,
        counter: u64,
        seen: &VersionVector,
        item: &Item<'_>,
    ) -> Result<(), TooLarge> {
        if self.batch.is_empty() {
            self.begin(origin, counter, seen);
        } else if seen.iter().any(|(id, n)| id != origin && n > self.seen.get(id)) {
            let grown = seen.iter().filter(|&(id, n)| id != origin && n > self.seen.get(id));
            message::append(&mut self.batch, &Item::Seen(grown.collect()));
            self.seen = seen.clone();
        }
        let before = self.batch.len();
        message::append(&mut self.batch, item);
        if self.held {
            self.spilled |= self.batch.len() > self.message_bytes_max;
            if self.spilled {
                self.batch.clear();
            }
            return Ok(());
        }
        if self.batch.len() > self.message_bytes_max {
            // Perhaps only together with what was there before.
            self.batch.truncate(before);
            self.seal();
            self.begin(origin, counter, seen);
            message::append(&mut self.batch, item);
            if self.batch.len() > self.message_bytes_max {
                self.batch.clear();
                return Err(TooLarge);
            }
        }
        if self.batch.len() >= self.batch_bytes_max {
            self.seal();
        }
        Ok(())
    }

    /// What comes from here on goes out as one message, or not at all.
    pub fn hold(&mut self) {
        self.seal();
        self.held = true;
    }

    /// The end of that. `Err`: it was too much for a message.
    pub fn release(&mut self) -> Result<(), TooLarge> {
        self.held = false;
        if std::mem::take(&mut self.spilled) {
            return Err(TooLarge);
        }
        self.seal();
        Ok(())
    }

    /// The next batch to send to everybody.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            self.seal();
        }
        self.ready.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.ready.is_empty()
    }

    /// Nobody is there to send to.
    pub fn clear(&mut self) {
        self.batch.clear();
        self.ready.clear();
    }

    fn begin(&mut self, origin: ReplicaId, first: u64, seen: &VersionVector) {
        self.batch.push(Kind::Writes as u8);
        let head = WritesHead { origin, first, seen: seen.iter().collect() };
        message::append(&mut self.batch, &head);
        self.seen = seen.clone();
    }

    fn seal(&mut self) {
        if !self.batch.is_empty() {
            self.ready.push_back(message::finish(&self.batch));
            self.batch.clear();
        }
    }
}
