//! The hash of the whole state: the sum, modulo 2^64, of a hash for each thing.
//!
//! A value kept as one text counts as the shell and pieces it stands for, so splitting it changes
//! nothing. As that takes a walk through the text, it is put off until the hash is asked for.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::{self, Level};
use super::things::{Body, Mark, Part, Value};
use super::tree::{child_hash, NodeId};
use super::Document;
use crate::engine::id::{Dot, Rank};

impl Document {
    /// Works out pending hashes for about `bytes` of values. `None` if some are left, or a fold
    /// is not carried out everywhere yet.
    pub fn hash(&mut self, mut bytes: usize) -> Option<u64> {
        if self.is_folding() {
            return None;
        }
        while let Some(id) = self.unhashed.pop() {
            // The node may have been freed or reused since; then there is nothing to do, or as well
            // done now as later.
            let Some(node) = self.tree.get_mut(id) else { continue };
            let path_hash = node.path_hash;
            for value in node.values.iter_mut().filter(|value| !value.hashed) {
                value.hashed = true;
                self.hash = self.hash.wrapping_add(value_hash(path_hash, value));
                if let Body::Whole(text) = &value.body {
                    bytes = bytes.saturating_sub(text.len() + 32);
                }
            }
            if bytes == 0 && !self.unhashed.is_empty() {
                return None;
            }
        }
        Some(self.hash)
    }

    /// Counts a value that was just put at a node.
    pub(super) fn count_value(&mut self, id: NodeId, mut value: Value) -> Value {
        self.count_thing(value.bytes());
        if matches!(value.body, Body::Whole(_)) {
            value.hashed = false;
            self.unhashed.push(id);
            if self.unhashed.len() > 2 * self.tree.len() + UNHASHED_MIN {
                // Nobody has asked for long: each node once will do.
                self.unhashed.sort_unstable();
                self.unhashed.dedup();
            }
        } else {
            value.hashed = true;
            let hash = value_hash(self.tree.node(id).path_hash, &value);
            self.hash = self.hash.wrapping_add(hash);
        }
        value
    }

    pub(super) fn uncount_value(&mut self, path_hash: u64, value: &Value) {
        self.uncount_thing(value.bytes());
        if value.hashed {
            self.hash = self.hash.wrapping_sub(value_hash(path_hash, value));
        }
    }

    pub(super) fn count_mark(&mut self, path_hash: u64, mark: &Mark) {
        self.count_thing(size_of::<Mark>());
        self.hash = self.hash.wrapping_add(mark_hash(path_hash, mark));
    }

    pub(super) fn uncount_mark(&mut self, path_hash: u64, mark: &Mark) {
        self.uncount_thing(size_of::<Mark>());
        self.hash = self.hash.wrapping_sub(mark_hash(path_hash, mark));
    }

    pub(super) fn count_part(&mut self, path_hash: u64, part: &Part) {
        self.count_thing(part.bytes());
        self.hash = self.hash.wrapping_add(part_hash(path_hash, part));
    }

    pub(super) fn uncount_part(&mut self, path_hash: u64, part: &Part) {
        self.uncount_thing(part.bytes());
        self.hash = self.hash.wrapping_sub(part_hash(path_hash, part));
    }

    fn count_thing(&mut self, bytes: usize) {
        self.things += 1;
        self.thing_bytes += bytes;
    }

    fn uncount_thing(&mut self, bytes: usize) {
        self.things -= 1;
        self.thing_bytes -= bytes;
    }
}

/// The list of pending nodes is left alone up to here.
const UNHASHED_MIN: usize = 1024;

fn value_hash(path_hash: u64, value: &Value) -> u64 {
    let Value { dot, hlc, rank, at, .. } = *value;
    let head = Head { dot, hlc, rank, at };
    match &value.body {
        Body::Scalar(text) => head.hash(path_hash, 1, text.as_bytes()),
        Body::Object => head.hash(path_hash, 2, &[]),
        Body::Array(length) => head.hash(path_hash, 3, &length.to_le_bytes()),
        Body::Whole(text) => whole_hash(path_hash, head, text),
    }
}

fn whole_hash(path_hash: u64, head: Head, text: &str) -> u64 {
    match json::level(text) {
        Level::Scalar => head.hash(path_hash, 1, text.as_bytes()),
        Level::Object(entries) => {
            entries.iter().fold(head.hash(path_hash, 2, &[]), |sum, (name, inner)| {
                sum.wrapping_add(whole_hash(child_hash(path_hash, name), head, inner))
            })
        }
        Level::Array(elements) => {
            let shell = head.hash(path_hash, 3, &(elements.len() as u32).to_le_bytes());
            elements.iter().enumerate().fold(shell, |sum, (index, inner)| {
                let name = index.to_string();
                sum.wrapping_add(whole_hash(child_hash(path_hash, &name), head, inner))
            })
        }
    }
}

#[derive(Clone, Copy)]
struct Head {
    dot: Dot,
    hlc: u64,
    rank: Rank,
    at: u8,
}

impl Head {
    fn hash(self, path_hash: u64, kind: u8, content: &[u8]) -> u64 {
        let mut bytes = [0u8; 38];
        bytes[..8].copy_from_slice(&self.dot.replica.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.dot.counter.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.hlc.to_le_bytes());
        bytes[24..32].copy_from_slice(&xxh3_64_with_seed(content, path_hash).to_le_bytes());
        (bytes[32], bytes[33]) = (kind, self.at);
        bytes[34..].copy_from_slice(&self.rank.to_bits().to_le_bytes());
        xxh3_64_with_seed(&bytes, path_hash)
    }
}

fn mark_hash(path_hash: u64, mark: &Mark) -> u64 {
    let head = Head { dot: mark.dot, hlc: mark.hlc, rank: mark.rank, at: 0 };
    match mark.length {
        None => head.hash(path_hash, 4, &[]),
        Some(length) => head.hash(path_hash, 5, &length.to_le_bytes()),
    }
}

fn part_hash(path_hash: u64, part: &Part) -> u64 {
    let mut content = Vec::with_capacity(64);
    content.extend(part.epoch.to_le_bytes());
    content.extend(part.low.to_le_bytes());
    part.low_total.hash_into(&mut content);
    content.push(0xff);
    part.high_total.hash_into(&mut content);
    let dot = Dot::new(part.replica, part.high);
    Head { dot, hlc: part.hlc, rank: part.rank, at: 0 }.hash(path_hash, 6, &content)
}
