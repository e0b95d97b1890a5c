//! Own writes on their way out: encoded once, the same bytes for every peer.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::engine::causality::VersionVector;
use crate::engine::id::ReplicaId;
use crate::engine::wire::message::{self, ActionItem, Item, Kind, WriteItem, WritesHead};

#[derive(Clone, Debug)]
pub struct Outbox {
    /// The batch being filled.
    batch: Vec<u8>,
    /// What the origin covered at the last write of the batch.
    seen: VersionVector,
    /// The increment that the batch ends with.
    tail: Option<Tail>,
    /// Finished batches.
    ready: VecDeque<Bytes>,
    batch_bytes_max: usize,
    message_bytes_max: usize,
    /// The batch is to go out as one, and was too much for that.
    held: bool,
    spilled: bool,
}

/// An increment tells the sum of all that its writer has added, so of several in a row that nobody has
/// been told of the last one does.
#[derive(Clone, Copy, Debug)]
struct Tail {
    /// Where it begins in the batch, with what belongs to it, and where its write does.
    at: usize,
    write_at: usize,
    /// For how many writes it stands.
    writes: u64,
}

/// The write is too large for a message: peers must get its effect from a feed.
pub struct TooLarge;

impl Outbox {
    pub fn new(batch_bytes_max: usize, message_bytes_max: usize) -> Self {
        Outbox {
            batch: Vec::new(),
            seen: VersionVector::new(),
            tail: None,
            ready: VecDeque::new(),
            batch_bytes_max,
            message_bytes_max,
            held: false,
            spilled: false,
        }
    }

    /// Adds the write `counter`, made when `seen` was covered. Says whether it took the place of the
    /// one before.
    pub fn push(
        &mut self,
        origin: ReplicaId,
        counter: u64,
        seen: &VersionVector,
        item: &Item<'_>,
    ) -> Result<bool, TooLarge> {
        let replaced = self.tail.take().filter(|tail| goes_on(&self.batch[tail.write_at..], item));
        let before = replaced.map_or(0, |tail| tail.writes);
        if let Some(tail) = replaced {
            self.batch.truncate(tail.at);
        }
        if self.batch.is_empty() {
            self.begin(origin, counter, seen);
        } else if seen.iter().any(|(id, n)| id != origin && n > self.seen.get(id)) {
            let grown = seen.iter().filter(|&(id, n)| id != origin && n > self.seen.get(id));
            message::append(&mut self.batch, &Item::Seen(grown.collect()));
            self.seen = seen.clone();
        }
        let end = self.batch.len();
        self.append(before, item);
        if self.held {
            self.spilled |= self.batch.len() > self.message_bytes_max;
            if self.spilled {
                self.clear_batch();
            }
            return Ok(replaced.is_some());
        }
        if self.batch.len() > self.message_bytes_max {
            // Perhaps only together with what was there before.
            self.batch.truncate(end);
            self.seal();
            let mut others = seen.clone();
            others.remove(origin);
            self.begin(origin, counter - before, &others);
            self.append(before, item);
            if self.batch.len() > self.message_bytes_max {
                self.clear_batch();
                return Err(TooLarge);
            }
        }
        if self.batch.len() >= self.batch_bytes_max {
            self.seal();
        }
        Ok(replaced.is_some())
    }

    /// Adds an item that stands for so many before it.
    fn append(&mut self, before: u64, item: &Item<'_>) {
        let at = self.batch.len();
        if before > 0 {
            message::append(&mut self.batch, &Item::Before(before));
        }
        let write_at = self.batch.len();
        message::append(&mut self.batch, item);
        self.tail = is_mere_increment(item).then_some(Tail { at, write_at, writes: before + 1 });
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
        self.clear_batch();
        self.ready.clear();
    }

    fn clear_batch(&mut self) {
        self.batch.clear();
        self.tail = None;
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
            self.clear_batch();
        }
    }
}

/// Whether an item does nothing but add to a counter.
pub(super) fn is_mere_increment(item: &Item<'_>) -> bool {
    match item {
        Item::Write(WriteItem { action: ActionItem::Increment { .. }, cuts, .. }) => {
            cuts.is_empty()
        }
        _ => false,
    }
}

/// Whether an item adds to the counter that the encoded increment added to, and leaves nothing of it to
/// be told.
fn goes_on(encoded: &[u8], item: &Item<'_>) -> bool {
    let (true, Item::Write(next)) = (is_mere_increment(item), item) else { return false };
    let Ok((Item::Write(last), _)) = message::decode_item::<Item<'_>>(encoded) else {
        return false;
    };
    let epoch = |write: &WriteItem<'_>| match write.action {
        ActionItem::Increment { epoch, .. } => Some(epoch),
        _ => None,
    };
    // No two counters share an epoch of one replica's.
    epoch(&last) == epoch(next) && last.arrays == next.arrays
}
