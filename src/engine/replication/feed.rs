//! The donor's side of a pull: what has changed since the asker's vector, or everything.
//!
//! Each path goes out once, as it is now; what changes meanwhile comes again, later. When nothing
//! is left, the donor's vector ends the feed.

use bytes::Bytes;

use super::checkpoints::Checkpoints;
use crate::engine::causality::VersionVector;
use crate::engine::document::path::PathKey;
use crate::engine::document::{Bookmark, Change, Document, NodeId, Outrun, Removal};
use crate::engine::wire::message::{self, FeedEnd, FeedHead, FeedItem, Kind};

#[derive(Clone, Debug)]
pub struct Feed {
    id: u32,
    /// What the asker covers.
    asker: VersionVector,
    parts: u32,
    /// Where a walk through everything stands; `None` if there is none, or it is done.
    walk: Option<PathKey>,
    full: bool,
    changes: Bookmark,
    /// The last path whose cuts were sent.
    cuts: Option<PathKey>,
    /// How many cuts there had ever been when the first was sent.
    cuts_added: u64,
}

/// What comes next in a feed.
pub enum Next {
    Part(Bytes),
    /// The last message. The feed is over; drop its bookmark.
    End(Bytes),
    /// Too much was removed meanwhile: start again with everything.
    Outrun,
}

impl Feed {
    /// Looks back through so many changes at most.
    pub fn start(
        id: u32,
        asker: VersionVector,
        document: &mut Document,
        checkpoints: &Checkpoints,
        steps: usize,
    ) -> Self {
        let bookmark = match checkpoints.reached_by(&asker) {
            // Nothing is known to be there: walk in order, which the receiver likes better.
            0 => Err(Outrun),
            after => document.bookmark(after, steps),
        };
        match bookmark {
            Ok(changes) => Self::new(id, asker, changes, false),
            Err(Outrun) => Self::new(id, asker, document.bookmark_at_end(), true),
        }
    }

    /// A feed for one who lacks nothing.
    pub fn nothing(id: u32, asker: VersionVector, document: &mut Document) -> Self {
        Self::new(id, asker, document.bookmark_at_end(), false)
    }

    fn new(id: u32, asker: VersionVector, changes: Bookmark, full: bool) -> Self {
        let walk = full.then(PathKey::default);
        Feed { id, asker, parts: 0, walk, full, changes, cuts: None, cuts_added: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn has_begun(&self) -> bool {
        self.parts > 0
    }

    pub fn drop_bookmark(self, document: &mut Document) {
        document.drop_bookmark(self.changes);
    }

    /// Makes the next message, of about `bytes`.
    pub fn next(
        &mut self,
        document: &mut Document,
        vector: &VersionVector,
        forgotten: &[message::Stub],
        bytes: usize,
    ) -> Next {
        let mut part = Part::begin(self.id, self.parts);
        if let Some(key) = self.walk.take() {
            self.walk = self.walk_on(document, key, &mut part, bytes);
        }
        while self.walk.is_none() && part.bytes.len() < bytes {
            match document.next_change(&mut self.changes) {
                Ok(Some(Change::Node(id))) => part.push_node(document, id, &self.asker),
                Ok(Some(Change::Removal(removal))) => part.push_removal(&removal, forgotten),
                Ok(None) => {
                    if self.cuts_added != document.cuts_added() {
                        // Some came after their path was passed: send all again.
                        self.cuts_added = document.cuts_added();
                        self.cuts = None;
                    }
                    if part.push_cuts(document, &mut self.cuts, bytes) {
                        break;
                    }
                }
                Err(Outrun) => return Next::Outrun,
            }
        }
        if part.items > 0 {
            self.parts += 1;
            return Next::Part(message::finish(&part.bytes));
        }
        let end = FeedEnd {
            id: self.id,
            parts: self.parts,
            full: self.full,
            vector: vector.iter().collect(),
            forgotten: forgotten.to_vec(),
        };
        Next::End(message::encode(Kind::FeedEnd, &end))
    }

    /// Sends nodes in the order of their keys. Gives the key to go on from.
    fn walk_on(
        &self,
        document: &Document,
        key: PathKey,
        part: &mut Part,
        bytes: usize,
    ) -> Option<PathKey> {
        for id in document.nodes_from(document.first_after(&key)?) {
            if document.has_things(id) {
                part.push_node(document, id, &self.asker);
            }
            if part.bytes.len() >= bytes {
                return Some(document.key(id));
            }
        }
        None
    }
}

/// A vector of a removal for others. Replicas that it had covered by their own names, before they were
/// folded, go by these: no other name says that without all that their folder did before.
fn told(seen: &VersionVector, forgotten: &[message::Stub]) -> message::Vector {
    if !seen.has_aliases() {
        return seen.iter().collect();
    }
    let mut told = seen.clone();
    for stub in forgotten.iter().filter(|stub| seen.covers(stub.into)) {
        told.raise(stub.replica, stub.counter);
    }
    told.iter().collect()
}

/// A part being filled.
struct Part {
    bytes: Vec<u8>,
    items: usize,
    key: Vec<u8>,
    last_key: Vec<u8>,
}

impl Part {
    fn begin(id: u32, number: u32) -> Self {
        let mut bytes = message::begin(Kind::Feed);
        message::append(&mut bytes, &FeedHead { id, number });
        Part { bytes, items: 0, key: Vec::new(), last_key: Vec::new() }
    }

    fn push_node(&mut self, document: &Document, id: NodeId, asker: &VersionVector) {
        self.key.clear();
        document.push_key(id, &mut self.key);
        let key = &self.key;
        let shared = key.iter().zip(&self.last_key).take_while(|(a, b)| a == b).count();
        let shared = shared.min(u16::MAX as usize);
        let (shared, key) = (shared as u16, &key[shared..]);
        let item = match document.kept(id, asker) {
            Some(kept) => FeedItem::Kept { shared, key, kept },
            None => FeedItem::State {
                shared,
                key,
                values: document.values(id).collect(),
                marks: document.marks(id).to_vec(),
                parts: document.parts(id).to_vec(),
            },
        };
        message::append(&mut self.bytes, &item);
        self.items += 1;
        std::mem::swap(&mut self.key, &mut self.last_key);
    }

    fn push_removal(&mut self, removal: &Removal, forgotten: &[message::Stub]) {
        let Removal { key, below, seen, .. } = removal;
        let seen = told(seen, forgotten);
        let item = FeedItem::Removal { key: key.as_bytes(), below: *below, seen };
        message::append(&mut self.bytes, &item);
        self.items += 1;
    }

    /// Says whether all were sent.
    fn push_cuts(
        &mut self,
        document: &Document,
        after: &mut Option<PathKey>,
        bytes: usize,
    ) -> bool {
        for (key, cuts) in document.cuts_after(after.as_ref()) {
            for cut in cuts {
                let item = FeedItem::Cut { key: key.as_bytes(), cut: cut.clone() };
                message::append(&mut self.bytes, &item);
                self.items += 1;
            }
            *after = Some(key.clone());
            if self.bytes.len() >= bytes {
                return false;
            }
        }
        true
    }
}
