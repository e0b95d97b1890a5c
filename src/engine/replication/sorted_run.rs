//! States of a feed in the order of their keys, kept as the bytes that came.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::engine::document::path::PathKey;
use crate::engine::wire::message::{self, FeedItem};

/// Whoever looks for a key reads half a block on average.
const BLOCK_BYTES: usize = 2 << 10;

#[derive(Clone, Debug, Default)]
pub struct SortedRun {
    blocks: Vec<Block>,
    /// The block being filled: its first key, and where it is in the message being read.
    open: Option<(PathKey, std::ops::Range<usize>)>,
    last_key: Vec<u8>,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Block {
    first_key: PathKey,
    items: Bytes,
}

/// A place between, or at, the items of a run.
#[derive(Clone, Debug, Default)]
pub struct Position {
    block: usize,
    offset: usize,
    /// Of the item here, and where the next one begins; 0 if it was not read yet.
    key: Vec<u8>,
    next: usize,
}

impl SortedRun {
    /// Adds a state, which is part of the message being read. False if it is out of order: the run
    /// ends before it.
    pub fn push(&mut self, key: &[u8], message: &Bytes, at: std::ops::Range<usize>) -> bool {
        self.closed |= key <= self.last_key.as_slice();
        if self.closed {
            return false;
        }
        match &mut self.open {
            Some((_, items)) => items.end = at.end,
            None => {
                let Some(key) = PathKey::from_bytes(key) else { return false };
                self.open = Some((key, at));
            }
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        if self.open.as_ref().is_some_and(|(_, items)| items.len() >= BLOCK_BYTES) {
            self.end_block(message);
        }
        true
    }

    /// Something else came: the run is over.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The message is read.
    pub fn end_part(&mut self, message: &Bytes) {
        self.end_block(message);
    }

    fn end_block(&mut self, message: &Bytes) {
        if let Some((first_key, items)) = self.open.take() {
            self.blocks.push(Block { first_key, items: message.slice(items) });
        }
    }

    /// The key at a position, `None` at the end.
    pub fn key_at<'a>(&self, at: &'a mut Position) -> Option<&'a [u8]> {
        let block = self.blocks.get(at.block)?;
        if at.next == 0 {
            let rest = &block.items[at.offset..];
            // Decoding succeeded when it came.
            let (item, next): (FeedItem, &[u8]) = message::decode_item(rest).ok()?;
            let (shared, key) = item.path()?;
            at.next = block.items.len() - next.len();
            if at.offset == 0 {
                at.key.clear();
                at.key.extend_from_slice(block.first_key.as_bytes());
            } else {
                at.key.truncate(shared);
                at.key.extend_from_slice(key);
            }
        }
        Some(&at.key)
    }

    /// The item at a position whose key was read; `None` if it was dropped since.
    pub fn item_at(&self, at: &Position) -> Option<&[u8]> {
        self.blocks.get(at.block)?.items.get(at.offset..at.next)
    }

    /// To the next item; the key at the position must have been read.
    pub fn advance(&self, at: &mut Position) {
        (at.offset, at.next) = (at.next, 0);
        if self.blocks.get(at.block).is_some_and(|block| at.offset >= block.items.len()) {
            (at.block, at.offset) = (at.block + 1, 0);
        }
    }

    /// The item of a key. `near` is where the search may begin, and then where it ended.
    pub fn find(&self, key: &PathKey, near: &mut Position) -> Option<&[u8]> {
        self.seek(key, near);
        let here = self.key_at(near).is_some_and(|here| here == key.as_bytes());
        here.then(|| self.item_at(near))?
    }

    /// To the first item whose key is not less.
    fn seek(&self, key: &PathKey, near: &mut Position) {
        let after = self.blocks.partition_point(|block| block.first_key <= *key);
        let block = after.saturating_sub(1);
        let goes_on = near.block == block && near.next > 0 && near.key.as_slice() <= key.as_bytes();
        if !goes_on {
            (near.block, near.offset, near.next) = (block, 0, 0);
        }
        while self.key_at(near).is_some_and(|here| here < key.as_bytes()) {
            self.advance(near);
        }
    }

    /// Adds the keys at and below a path, from a position on. What stands before that may have been
    /// dropped.
    pub fn keys_below(&self, top: &PathKey, from: &Position, keys: &mut Vec<PathKey>) {
        let mut at = from.clone();
        if self.key_at(&mut at).is_some_and(|key| key < top.as_bytes()) {
            self.seek(top, &mut at);
        }
        while let Some(key) = self.key_at(&mut at).filter(|key| key.starts_with(top.as_bytes())) {
            keys.extend(PathKey::from_bytes(key));
            self.advance(&mut at);
        }
    }

    /// Frees what stands before a position: it is not looked for any more.
    pub fn drop_before(&mut self, at: &Position) {
        let before = at.block.min(self.blocks.len());
        for block in self.blocks[..before].iter_mut().rev() {
            if std::mem::take(&mut block.items).is_empty() {
                return;
            }
        }
    }
}

impl Position {
    fn place(&self) -> (usize, usize) {
        (self.block, self.offset)
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.place().partial_cmp(&other.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message of states with these keys, each sharing what it can with the one before.
    fn message_of(keys: &[PathKey]) -> (Bytes, Vec<std::ops::Range<usize>>) {
        let (mut bytes, mut at) = (Vec::new(), Vec::new());
        let mut last: &[u8] = &[];
        for key in keys {
            let key = key.as_bytes();
            let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
            let start = bytes.len();
            let (values, marks, parts) = (Vec::new(), Vec::new(), Vec::new());
            let key_left = &key[shared..];
            let shared = shared as u16;
            let item = FeedItem::State { shared, key: key_left, values, marks, parts };
            message::append(&mut bytes, &item);
            at.push(start..bytes.len());
            last = key;
        }
        (bytes.into(), at)
    }

    fn run_of(keys: &[PathKey], part: usize) -> SortedRun {
        let mut run = SortedRun::default();
        for keys in keys.chunks(part) {
            let (message, places) = message_of(keys);
            for (key, at) in keys.iter().zip(places) {
                assert!(run.push(key.as_bytes(), &message, at));
            }
            run.end_part(&message);
        }
        run
    }

    proptest! {
        #[test]
        fn finds_what_it_holds(
            names in proptest::collection::btree_set("[a-c]{1,12}", 1..400),
            part in 1..300usize,
            sought in proptest::collection::vec("[a-c]{1,3}", 1..50),
        ) {
            let keys: Vec<PathKey> = names.iter().map(|name| PathKey::new(&["t", name])).collect();
            let mut run = run_of(&keys, part);
            let mut near = Position::default();
            for name in names.iter().rev().chain(&names).chain(&sought) {
                let key = PathKey::new(&["t", name]);
                prop_assert_eq!(run.find(&key, &mut near).is_some(), names.contains(name));
            }
            let mut below = Vec::new();
            run.keys_below(&PathKey::new(&["t"]), &Position::default(), &mut below);
            prop_assert_eq!(&below, &keys);

            let mut at = Position::default();
            for (index, key) in keys.iter().enumerate() {
                prop_assert_eq!(run.key_at(&mut at), Some(key.as_bytes()));
                if index % 16 == 0 {
                    let mut left = Vec::new();
                    run.keys_below(&PathKey::default(), &at, &mut left);
                    prop_assert_eq!(&left, &keys[index..]);
                }
                run.advance(&mut at);
                run.drop_before(&at);
            }
            prop_assert!(run.key_at(&mut at).is_none());
            prop_assert!(run.blocks.iter().all(|block| block.items.is_empty()));
        }
    }

    #[test]
    fn ends_where_the_order_does() {
        let keys = ["b", "a", "c"].map(|name| PathKey::new(&[name]));
        let (message, at) = message_of(&keys);
        let mut run = SortedRun::default();
        let taken: Vec<bool> =
            keys.iter().zip(at).map(|(key, at)| run.push(key.as_bytes(), &message, at)).collect();
        run.end_part(&message);
        assert_eq!(taken, [true, false, false]);
        assert!(run.find(&keys[0], &mut Position::default()).is_some());
        assert!(run.find(&keys[2], &mut Position::default()).is_none());
    }
}
