//! The replicated tree: what paths hold, what writes do to it, what it shows.
//!
//! Pure data: it knows version vectors but neither peers nor messages. `docs/replication.md` has
//! the semantics; the rules are kept in these places:
//!
//! | | |
//! | --- | --- |
//! | what a write removes and adds | `apply.rs` |
//! | joining another replica's state of a path | `merge.rs` |
//! | splitting values kept as one text | `split.rs` |
//! | what is shown | `read.rs`, a page at a time `listing.rs` |
//! | who is to be told | `watch.rs`, `observe.rs` |
//! | why, for people | `explain.rs` |
//! | what was removed, for who asks later | `removals.rs` |
//! | dead replicas folded into live ones | `fold.rs` |
//! | exact sums | `amount.rs` |
//! | how much room all takes, and a write would | `room.rs` |
//! | the state's hash | `hash.rs` |

pub mod amount;
mod apply;
mod children;
pub mod explain;
mod few;
mod fold;
mod hash;
pub mod json;
mod listing;
mod merge;
pub mod observe;
pub mod path;
mod read;
mod removals;
mod room;
mod split;
pub mod things;
mod tree;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

pub use apply::{Action, Op};
pub use explain::Explanation;
pub use fold::Fold;
pub use listing::Page;
pub use merge::{BodyState, Kept, State, ValueState};
pub use read::{Container, Reading, Shown};
pub use tree::NodeId;

use super::causality::VersionVector;
use super::id::ReplicaId;
use super::rare::{Gone, Rare};
use path::PathKey;
pub use removals::Removal;
use removals::Removals;
use things::{Body, Cut, Value};
use tree::Tree;
use watch::{Watch, Whose};

#[derive(Clone, Debug)]
pub struct Document {
    tree: Tree,
    things: usize,
    thing_bytes: usize,
    hash: u64,
    /// Nodes with a whole value whose hash is not worked out yet.
    unhashed: Vec<NodeId>,
    /// Removals of increments that their owner has not seen yet, by path.
    cuts: BTreeMap<PathKey, Vec<Cut>>,
    cuts_count: usize,
    /// Cuts ever added: tells a reader of cuts whether it has missed some.
    cuts_added: u64,
    removals: Removals,
    folding: fold::Folding,
    pub watch: Watch,
    rare: Gone,
}

/// A place in the order of changes where a reader of changes stands.
#[derive(Clone, Debug)]
pub struct Bookmark {
    node: NodeId,
    /// Removals up to here were read.
    removals: u64,
}

/// Changes not yet read are no longer kept, or are too many to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outrun;

/// What a reader of changes meets.
#[derive(Clone, Debug)]
pub enum Change {
    Node(NodeId),
    Removal(Removal),
}

impl Document {
    pub fn new(removals_max: usize) -> Self {
        Document {
            tree: Tree::new(),
            things: 0,
            thing_bytes: 0,
            hash: 0,
            unhashed: Vec::new(),
            cuts: BTreeMap::new(),
            cuts_count: 0,
            cuts_added: 0,
            removals: Removals::new(removals_max),
            folding: fold::Folding::default(),
            watch: Watch::default(),
            rare: Gone::default(),
        }
    }

    // ---- counts

    pub fn nodes(&self) -> usize {
        self.tree.len()
    }

    pub fn things(&self) -> usize {
        self.things
    }

    pub fn cuts(&self) -> usize {
        self.cuts_count
    }

    pub fn rare(&self) -> Gone {
        let mut gone = self.rare;
        gone.join(self.removals.rare);
        gone
    }

    /// The place of the latest change.
    pub fn sequence(&self) -> u64 {
        self.tree.sequence()
    }

    // ---- reading changes

    /// Starts reading the changes after a place. `Err` if too much has changed since, or removals
    /// since then are no longer kept: only a walk through everything will do.
    pub fn bookmark(&mut self, after: u64, steps: usize) -> Result<Bookmark, Outrun> {
        if after < self.removals.floor() {
            self.rare.note(Rare::RemovalsOutrun);
            return Err(Outrun);
        }
        let first = self.tree.first_changed_after(after, steps);
        self.rare.note_if(first.is_none(), Rare::LookBackOutrun);
        let first = first.ok_or(Outrun)?;
        Ok(Bookmark { node: self.tree.add_bookmark(first), removals: after })
    }

    /// A bookmark at the end.
    pub fn bookmark_at_end(&mut self) -> Bookmark {
        Bookmark { node: self.tree.add_bookmark(None), removals: self.tree.sequence() }
    }

    /// The next change, in order. `Err` if removals not yet read are no longer kept.
    pub fn next_change(&mut self, bookmark: &mut Bookmark) -> Result<Option<Change>, Outrun> {
        if bookmark.removals < self.removals.floor() {
            return Err(Outrun);
        }
        if let Some(removal) = self.removals.after(bookmark.removals) {
            bookmark.removals = removal.sequence;
            return Ok(Some(Change::Removal(removal.clone())));
        }
        while let Some(id) = self.tree.advance_bookmark(bookmark.node) {
            if !self.tree.is_bookmark(id) {
                return Ok(Some(Change::Node(id)));
            }
        }
        Ok(None)
    }

    pub fn drop_bookmark(&mut self, bookmark: Bookmark) {
        self.tree.remove_bookmark(bookmark.node);
    }

    /// The first node whose key is greater, for a walk through everything.
    pub fn first_after(&self, key: &PathKey) -> Option<NodeId> {
        self.tree.first_after(key)
    }

    /// A node and those after it in the order of their keys.
    pub fn nodes_from(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.tree.walk(id)
    }

    pub fn key(&self, id: NodeId) -> PathKey {
        self.tree.key(id)
    }

    /// Appends the bytes of a node's key.
    pub fn push_key(&self, id: NodeId, out: &mut Vec<u8>) {
        self.tree.push_key(id, out);
    }

    /// Keys of the nodes at and below a path, or of all.
    pub fn keys_below(&self, key: &PathKey) -> Vec<PathKey> {
        match self.tree.find(&key.segments()) {
            Some(id) => self.tree.subtree(id).into_iter().map(|id| self.tree.key(id)).collect(),
            None => Vec::new(),
        }
    }

    /// Appends everything at every path, a line a thing, for reports of failures.
    pub fn describe(&self, out: &mut String) {
        use std::fmt::Write;
        let mut next = Some(tree::ROOT);
        while let Some(id) = next {
            let node = self.tree.node(id);
            let path = self.tree.key(id);
            for value in &node.values {
                let Value { dot, hlc, at, body, .. } = value;
                let _ = writeln!(out, "  {path:?}: {dot:?} at {at} {hlc:x} {body:?}");
            }
            for mark in node.marks() {
                let _ = writeln!(out, "  {path:?}: {mark:?}");
            }
            for part in node.parts() {
                let _ = writeln!(out, "  {path:?}: {part:?}");
            }
            next = self.tree.next_in_order(id);
        }
        for (path, cuts) in &self.cuts {
            let _ = writeln!(out, "  {path:?}: {cuts:?}");
        }
    }

    /// What a reader of changes meets, each with its place, for the same reports.
    pub fn describe_changes(&self) -> Vec<(u64, String)> {
        let mut changes = Vec::new();
        let mut next = self.tree.first_changed_after(0, usize::MAX).flatten();
        while let Some(id) = next {
            if !self.tree.is_bookmark(id) {
                changes.push((self.tree.node(id).sequence, format!("{:?}", self.tree.key(id))));
            }
            next = self.tree.next_changed(id);
        }
        for Removal { sequence, key, below, seen } in self.removals.iter() {
            let and_below = if *below { " and below" } else { "" };
            changes.push((*sequence, format!("gone from {key:?}{and_below}: {seen:?}")));
        }
        changes.push((self.removals.floor(), "removals are kept from here on".into()));
        let mut next = Some(tree::ROOT);
        while let Some(id) = next {
            let node = self.tree.node(id);
            if node.lost {
                changes
                    .push((node.sequence, format!("{:?} has lost something", self.tree.key(id))));
            }
            next = self.tree.next_in_order(id);
        }
        changes
    }

    // ---- cuts

    /// Takes note of a removal of increments and applies it to the counter there.
    pub fn add_cut(&mut self, key: PathKey, cut: Cut, known: &Arc<VersionVector>, whose: Whose) {
        let noted = self.cuts.get(&key).is_some_and(|cuts| cuts.contains(&cut));
        if noted {
            return;
        }
        self.apply_cut(&key, &cut, known, whose);
        self.cuts.entry(key).or_default().push(cut);
        self.cuts_count += 1;
        self.cuts_added += 1;
    }

    /// The cuts at paths after `key`, path by path.
    pub fn cuts_after(&self, key: Option<&PathKey>) -> impl Iterator<Item = (&PathKey, &Vec<Cut>)> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.cuts.range::<PathKey, _>((from, Bound::Unbounded))
    }

    pub fn cuts_added(&self) -> u64 {
        self.cuts_added
    }

    pub fn cut_owners(&self) -> BTreeSet<ReplicaId> {
        self.cuts.values().flatten().map(|cut| cut.replica).collect()
    }

    pub fn all_cuts(&self) -> impl Iterator<Item = &Cut> {
        self.cuts.values().flatten()
    }

    /// Forgets the cuts that nobody can need any more.
    pub fn retain_cuts(&mut self, mut needed: impl FnMut(&Cut) -> bool) {
        if self.cuts_count == 0 {
            return;
        }
        self.cuts.retain(|_, cuts| {
            cuts.retain(&mut needed);
            !cuts.is_empty()
        });
        let before = self.cuts_count;
        self.cuts_count = self.cuts.values().map(Vec::len).sum();
        self.rare.note_if(self.cuts_count < before, Rare::CutForgotten);
    }

    /// Another replica's state of a path was merged, into this node if there is one. It may have
    /// told that something is gone which was never here, so whoever reads our changes must be told
    /// too.
    pub fn pass_on(&mut self, key: &PathKey, id: Option<NodeId>, known: &Arc<VersionVector>) {
        match id {
            Some(id) => self.tree.changed(id),
            None => self.note_told_removal(key.clone(), false, known),
        }
    }

    /// Another replica's record of what is gone was taken over. What stands at its path all the same
    /// must go wherever the record goes.
    pub fn pass_on_removal(&mut self, key: &PathKey, below: bool, seen: &Arc<VersionVector>) {
        self.note_told_removal(key.clone(), below, seen);
        let there = self.tree.find(&key.segments()).filter(|_| !below);
        there.into_iter().for_each(|id| self.tree.changed(id));
    }

    /// The same after merging everything that another replica had: what it did not have is gone,
    /// and no record tells of that. Readers of earlier changes must read everything.
    pub fn forget_changes(&mut self) {
        self.removals.clear(self.tree.next_sequence());
    }

    /// When nothing is left, one record tells of all that is gone. `known` are all the writes whose
    /// effect is here, and nothing waits to be merged.
    pub fn tidy(&mut self, known: &Arc<VersionVector>) {
        if self.tree.len() > 0 {
            return;
        }
        self.unhashed = Vec::new();
        if self.removals.len() > 1 {
            self.removals.note_all(known, || self.tree.next_sequence());
        }
    }

    /// The memory it takes, about; watched paths not counted.
    pub fn bytes(&self) -> usize {
        let cut = size_of::<PathKey>() + size_of::<Vec<Cut>>() + size_of::<Cut>();
        self.tree.bytes()
            + self.removals.bytes()
            + self.cuts_count * cut
            + self.unhashed.capacity() * size_of::<NodeId>()
    }

    pub fn note_removal(&mut self, key: PathKey, below: bool, seen: &Arc<VersionVector>) {
        self.removals.note(key, below, seen, || self.tree.next_sequence());
    }

    fn note_told_removal(&mut self, key: PathKey, below: bool, seen: &Arc<VersionVector>) {
        self.removals.note_told(key, below, seen, || self.tree.next_sequence());
    }

    // ---- small things shared by apply and merge

    /// Frees a node that holds nothing and leads nowhere, and its ancestors likewise. Says whether
    /// it did.
    fn free_if_empty(&mut self, mut id: NodeId, known: &Arc<VersionVector>) -> bool {
        let mut freed = false;
        while id != tree::ROOT {
            let node = self.tree.node(id);
            if !node.is_empty() || node.has_children() {
                break;
            }
            freed = true;
            self.note_removal(self.tree.key(id), false, known);
            let parent = self.tree.node(id).parent;
            self.tree.remove_leaf(id);
            id = parent;
        }
        freed
    }

    /// A write at a path, or a change of its state, may change what watched paths show.
    fn touch_path<S: AsRef<str>>(&mut self, path: &[S], whose: Whose) {
        if !self.watch.is_idle() {
            self.touch_region(path, self.region(path), whose);
        }
    }

    /// The same for a path of which everything at and below its first `region` segments may show
    /// something else.
    fn touch_region<S: AsRef<str>>(&mut self, path: &[S], region: usize, whose: Whose) {
        if self.watch.is_idle() {
            return;
        }
        let mut hash = tree::ROOT_HASH;
        self.watch.touch(hash, whose);
        if path.is_empty() {
            self.watch.touch_below(hash, whose);
        }
        for (depth, segment) in path.iter().enumerate() {
            hash = tree::child_hash(hash, segment.as_ref());
            self.watch.touch(hash, whose);
            if depth + 1 == region {
                self.watch.touch_below(hash, whose);
            }
        }
        self.watch.observers.note(path, region, whose);
    }

    /// Whether an object stands here and nothing that it competes with.
    fn is_plain_object(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        // A mark cannot be hidden, as a shell can: with one it is an object and stays one.
        !node.marks().is_empty()
            && node.parts().is_empty()
            && node.marks().iter().all(|mark| mark.length.is_none())
            && node.values.iter().all(|value| matches!(value.body, Body::Object))
    }

    /// How many segments of a path name the place below which everything shown may depend on what
    /// the path holds: the first ancestor that is not just an object. What hides or shows there,
    /// and how long an array is, decides for all below it.
    pub fn region<S: AsRef<str>>(&self, path: &[S]) -> usize {
        let mut id = tree::ROOT;
        for (depth, segment) in path.iter().enumerate() {
            let Some(child) = self.tree.child(id, segment.as_ref()) else { return depth + 1 };
            id = child;
            if !self.is_plain_object(id) {
                return depth + 1;
            }
        }
        path.len()
    }
}
