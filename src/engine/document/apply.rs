//! What a write does to the tree, local and remote alike.

use std::sync::Arc;

use super::amount::Amount;
use super::path::PathKey;
use super::things::{Body, Cut, Mark, Part, Run, Value};
use super::tree::{push_tight, NodeId, ROOT};
use super::watch::Whose;
use super::Document;
use crate::engine::causality::VersionVector;
use crate::engine::id::{Dot, Rank, ReplicaId};
use crate::engine::rare::Rare;

/// One write.
#[derive(Clone, Debug)]
pub struct Op<'a> {
    pub dot: Dot,
    pub hlc: u64,
    pub path: &'a [&'a str],
    pub action: Action<'a>,
    /// The ancestors that showed an array to the writer, by depth, with the array's new length.
    pub arrays: &'a [(u8, u32)],
}

#[derive(Clone, Debug)]
pub enum Action<'a> {
    /// JSON text.
    Set(&'a str),
    /// The replica's total at the path after this increment, counted from `epoch`.
    Increment {
        epoch: u64,
        total: Amount,
        run: Option<Run>,
    },
    Delete,
}

/// Which things of a node a write removes.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    All,
    /// Scalars and counter parts: what cannot stand above other things.
    ScalarsAndParts,
}

impl Document {
    /// Applies a write that had seen the writes in `seen`. Gives the increments of others that it
    /// removed, which a local write must tell everybody.
    ///
    /// The cuts that came with a remote write must have been added before. `known`: the writes
    /// whose effect is here; what they had made at a path that is freed is gone.
    pub fn apply(
        &mut self,
        op: &Op<'_>,
        seen: &Arc<VersionVector>,
        known: &Arc<VersionVector>,
        whose: Whose,
    ) -> Vec<(PathKey, Cut)> {
        let mut removed = Vec::new();
        // Before and after: what the write takes away may have hidden, or shown, something else.
        self.touch_path(op.path, whose);
        match &op.action {
            Action::Delete => {
                if let Some(id) = self.split_down_to(op.path) {
                    self.remove_seen(id, Some(op.dot), seen, known, &mut removed);
                    self.free_if_empty(id, known);
                }
                return removed;
            }
            Action::Set(json) => {
                let id = self.make_way(op, seen, &mut removed);
                self.remove_seen(id, Some(op.dot), seen, known, &mut removed);
                let body = Body::from_json(json);
                self.put_value(id, Value::new(op.dot, op.hlc, op.path.len(), body));
                self.tree.changed(id);
            }
            Action::Increment { epoch, total, run } => {
                let id = self.make_way(op, seen, &mut removed);
                let part = Part {
                    replica: op.dot.replica,
                    hlc: op.hlc,
                    rank: Rank::OWN,
                    epoch: *epoch,
                    low: epoch - 1,
                    low_total: Amount::ZERO,
                    high: op.dot.counter,
                    high_total: total.clone(),
                    run: *run,
                    settled: false,
                };
                self.put_part(id, part);
                self.tree.changed(id);
                self.free_if_empty(id, known);
            }
        }
        self.touch_path(op.path, whose);
        removed
    }

    /// Whether a DELETE at the path would find anything.
    pub fn holds_anything<S: AsRef<str>>(&self, path: &[S]) -> bool {
        let mut id = ROOT;
        for (depth, segment) in path.iter().enumerate() {
            let inside = self.tree.node(id).values.iter().any(|value| match &value.body {
                Body::Whole(text) => super::json::at(text, &path[depth..]).is_some(),
                _ => false,
            });
            if inside {
                return true;
            }
            match self.tree.child(id, segment.as_ref()) {
                Some(child) => id = child,
                None => return false,
            }
        }
        // A node is there only while something is at or below it.
        true
    }

    /// Whether all things at and below a path come from one replica's writes after `counter`.
    pub fn all_written_by(&self, path: &[&str], replica: ReplicaId, counter: u64) -> bool {
        let Some(top) = self.tree.find(path) else { return false };
        let fresh = |dot: Dot| dot.replica == replica && dot.counter > counter;
        self.tree.subtree(top).into_iter().all(|id| {
            let node = self.tree.node(id);
            node.values.iter().all(|value| fresh(value.dot))
                && node.marks().iter().all(|mark| fresh(mark.dot))
                && node.parts().iter().all(|part| fresh(Dot::new(part.replica, part.epoch)))
        })
    }

    /// The latest clock of what a write at the path must be later than: all at and below it, and
    /// values and counter parts above it.
    pub fn latest_around<S: AsRef<str>>(&self, path: &[S]) -> u64 {
        let mut latest = 0;
        let mut id = ROOT;
        for segment in path {
            let node = self.tree.node(id);
            latest = node.values.iter().map(|value| value.hlc).fold(latest, u64::max);
            latest = node.parts().iter().map(|part| part.hlc).fold(latest, u64::max);
            match self.tree.child(id, segment.as_ref()) {
                Some(child) => id = child,
                None => return latest,
            }
        }
        let mut rest = vec![id];
        while let Some(id) = rest.pop() {
            let node = self.tree.node(id);
            latest = node.values.iter().map(|value| value.hlc).fold(latest, u64::max);
            latest = node.parts().iter().map(|part| part.hlc).fold(latest, u64::max);
            latest = node.marks().iter().map(|mark| mark.hlc).fold(latest, u64::max);
            rest.extend(self.tree.children(id));
        }
        latest
    }

    /// The node's counter part of one replica.
    pub fn part(&self, path: &[&str], replica: ReplicaId) -> Option<&Part> {
        let node = self.tree.node(self.tree.find(path)?);
        node.parts().iter().find(|part| part.slot() == (replica, false))
    }

    /// Walks to the path, adding nodes and splitting values; at each proper ancestor takes away
    /// what cannot stand above something and puts the mark.
    fn make_way(
        &mut self,
        op: &Op<'_>,
        seen: &VersionVector,
        removed: &mut Vec<(PathKey, Cut)>,
    ) -> NodeId {
        let mut id = ROOT;
        for (depth, segment) in op.path.iter().enumerate() {
            if id != ROOT {
                // Whoever frees this node has removed the mark, and so has seen what goes here.
                self.strip(id, Which::ScalarsAndParts, Some(op.dot), seen, removed);
                let length = op.arrays.iter().find(|(at, _)| *at as usize == depth);
                let mark = Mark {
                    dot: op.dot,
                    hlc: op.hlc,
                    rank: Rank::OWN,
                    length: length.map(|&(_, length)| length),
                };
                self.put_mark(id, mark, seen);
                self.tree.changed(id);
            }
            id = self.child_or_add(id, segment);
        }
        id
    }

    fn put_mark(&mut self, id: NodeId, mark: Mark, seen: &VersionVector) {
        let path_hash = self.tree.node(id).path_hash;
        let marks = self.tree.node_mut(id).take_marks();
        let mut kept: thin_vec::ThinVec<Mark> = marks;
        kept.retain(|old| {
            let replaced = seen.covers(old.dot);
            if replaced {
                self.uncount_mark(path_hash, old);
            }
            !replaced
        });
        self.count_mark(path_hash, &mark);
        push_tight(&mut kept, mark);
        self.tree.node_mut(id).set_marks(kept);
    }

    /// Puts a counter part in the place of the same replica's older state, less what is known to be
    /// removed from it.
    pub(super) fn put_part(&mut self, id: NodeId, mut part: Part) {
        let path_hash = self.tree.node(id).path_hash;
        let mut parts = self.tree.node_mut(id).take_parts();
        let old = parts.iter().position(|old| old.slot() == part.slot());
        if let Some(old) = old.map(|at| parts.remove(at)) {
            self.uncount_part(path_hash, &old);
            if old.epoch == part.epoch && old.low > part.low {
                part.cut(old.low, &old.low_total);
            }
        }
        let mut left = part.low < part.high;
        if self.cuts_count > 0 && !part.settled {
            for cut in self.cuts.get(&self.tree.key(id)).into_iter().flatten() {
                if cut.replica == part.replica && cut.epoch == part.epoch {
                    let before = part.low;
                    left &= part.cut(cut.counter, &cut.total);
                    self.rare.note_if(part.low > before, Rare::CutLate);
                }
            }
        }
        if left {
            self.count_part(path_hash, &part);
            // One order everywhere, so that sums add up the same way.
            let at = parts.partition_point(|other| other.slot() < part.slot());
            parts.reserve_exact(1);
            parts.insert(at, part);
        }
        self.tree.node_mut(id).set_parts(parts);
    }

    /// Takes from a counter the increments that a removal elsewhere had seen.
    pub(super) fn apply_cut(
        &mut self,
        key: &PathKey,
        cut: &Cut,
        known: &Arc<VersionVector>,
        whose: Whose,
    ) {
        let path = key.segments();
        let Some(id) = self.tree.find(&path) else { return };
        let path_hash = self.tree.node(id).path_hash;
        let mine = |part: &Part| part.slot() == (cut.replica, false) && part.epoch == cut.epoch;
        let Some(at) = self.tree.node(id).parts().iter().position(mine) else { return };
        if self.tree.node(id).parts()[at].low >= cut.counter {
            return;
        }
        let mut parts = self.tree.node_mut(id).take_parts();
        let mut part = parts.remove(at);
        self.uncount_part(path_hash, &part);
        if part.cut(cut.counter, &cut.total) {
            self.rare.note(Rare::CutApplied);
            self.count_part(path_hash, &part);
            parts.insert(at, part);
        }
        self.tree.node_mut(id).set_parts(parts);
        self.tree.node_mut(id).lost = true;
        self.tree.changed(id);
        self.free_if_empty(id, known);
        self.touch_path(&path, whose);
    }

    /// Removes what `seen` covers at and below a node, for the write `by`, and frees what is left empty below it (the
    /// node itself is the caller's). Leaves a removal record if anything was freed.
    pub(super) fn remove_seen(
        &mut self,
        top: NodeId,
        by: Option<Dot>,
        seen: &Arc<VersionVector>,
        known: &Arc<VersionVector>,
        removed: &mut Vec<(PathKey, Cut)>,
    ) {
        if !self.tree.node(top).has_children() {
            if self.strip(top, Which::All, by, seen, removed) {
                self.tree.node_mut(top).lost = true;
                self.tree.changed(top);
            }
            return;
        }
        let key = self.tree.key(top);
        let mut freed = false;
        for id in self.tree.subtree(top).into_iter().rev() {
            let lost = self.strip(id, Which::All, by, seen, removed);
            let node = self.tree.node(id);
            if id != top && node.is_empty() && !node.has_children() {
                if node.lost {
                    self.note_removal(self.tree.key(id), false, known);
                }
                self.tree.remove_leaf(id);
                freed = true;
            } else if lost {
                self.tree.node_mut(id).lost = true;
                self.tree.changed(id);
            }
        }
        if freed {
            self.note_removal(key, true, seen);
        }
    }

    /// Takes the things that `seen` covers from one node. Says whether there were any.
    fn strip(
        &mut self,
        id: NodeId,
        which: Which,
        by: Option<Dot>,
        seen: &VersionVector,
        removed: &mut Vec<(PathKey, Cut)>,
    ) -> bool {
        let before = self.tree.node(id).things();
        if before == 0 {
            return false;
        }
        let path_hash = self.tree.node(id).path_hash;
        let mut values = std::mem::take(&mut self.tree.node_mut(id).values);
        values.retain(|value| {
            let keep = !seen.covers(value.dot) || (which != Which::All && !value.body.is_scalar());
            if !keep {
                self.uncount_value(path_hash, value);
            }
            keep
        });
        self.tree.node_mut(id).values = values;
        if which == Which::All && !self.tree.node(id).marks().is_empty() {
            let mut marks = self.tree.node_mut(id).take_marks();
            marks.retain(|mark| {
                let keep = !seen.covers(mark.dot);
                if !keep {
                    self.uncount_mark(path_hash, mark);
                }
                keep
            });
            self.tree.node_mut(id).set_marks(marks);
        }
        if !self.tree.node(id).parts().is_empty() {
            let mut parts = self.tree.node_mut(id).take_parts();
            parts.retain(|part| {
                // A part with later increments is cut by the record that comes with the write.
                let keep = !part.is_covered_by(seen);
                if !keep {
                    self.uncount_part(path_hash, part);
                    // Its owner needs no telling; what is settled goes as a whole.
                    let told = by.filter(|by| by.replica != part.replica && !part.settled);
                    if let Some(by) = told {
                        removed.push((self.tree.key(id), cut_whole(part, by)));
                    }
                }
                keep
            });
            self.tree.node_mut(id).set_parts(parts);
        }
        self.tree.node(id).things() < before
    }
}

/// The removal of all of a part.
fn cut_whole(part: &Part, by: Dot) -> Cut {
    Cut {
        by,
        replica: part.replica,
        epoch: part.epoch,
        counter: part.high,
        total: part.high_total.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::document::{Change, State};

    const PATH: &[&str] = &["p", "q"];
    const GONE: Dot = Dot { replica: ReplicaId(1), counter: 1 };
    const STAYS: Dot = Dot { replica: ReplicaId(2), counter: 1 };
    const REMOVES_GONE: Dot = Dot { replica: ReplicaId(3), counter: 1 };
    const REMOVES_ALL: Dot = Dot { replica: ReplicaId(2), counter: 2 };

    fn vector(dots: &[Dot]) -> Arc<VersionVector> {
        Arc::new(dots.iter().map(|dot| (dot.replica, dot.counter)).collect())
    }

    fn known() -> Arc<VersionVector> {
        vector(&[GONE, REMOVES_GONE, STAYS])
    }

    fn apply(document: &mut Document, dot: Dot, path: &[&str], action: Action<'_>, seen: &[Dot]) {
        let op = Op { dot, hlc: dot.counter, path, action, arrays: &[] };
        document.apply(&op, &vector(seen), &known(), Whose::Remote);
    }

    fn increment(document: &mut Document, dot: Dot) {
        let total = Amount::from_f64(dot.counter as f64);
        apply(document, dot, PATH, Action::Increment { epoch: 1, total, run: None }, &[]);
    }

    /// Takes the first increment of the replica whose write goes.
    fn cut(document: &mut Document) {
        let (replica, total) = (GONE.replica, Amount::from_f64(1.0));
        let cut = Cut { by: REMOVES_GONE, replica, epoch: 1, counter: 1, total };
        document.add_cut(PathKey::new(PATH), cut, &known(), Whose::Remote);
    }

    /// Two concurrent SETs.
    fn document() -> Document {
        let mut document = Document::new(100);
        apply(&mut document, GONE, PATH, Action::Set("1"), &[]);
        apply(&mut document, STAYS, PATH, Action::Set("2"), &[]);
        document
    }

    /// Whether somebody who holds what a write made at the path is told that it is gone.
    fn tells(document: &Document, write: Dot) -> bool {
        let key = PathKey::new(PATH);
        document.removals.iter().any(|removal| {
            let there = removal.key == key || removal.below && key.starts_with(&removal.key);
            there && removal.seen.covers(write)
        })
    }

    /// The last write has not seen the one whose effect had gone before.
    fn assert_told(mut document: Document) {
        assert!(document.tree.find(PATH).is_some() && !tells(&document, GONE));
        apply(&mut document, REMOVES_ALL, &PATH[..1], Action::Delete, &[STAYS]);
        assert!(document.tree.find(PATH).is_none());
        assert!(tells(&document, STAYS) && tells(&document, GONE));
    }

    #[test]
    fn what_a_write_above_took_before_is_told_when_the_rest_goes() {
        let mut document = document();
        apply(&mut document, REMOVES_GONE, &PATH[..1], Action::Delete, &[GONE]);
        assert_told(document);
    }

    #[test]
    fn what_a_feed_took_before_is_told_when_the_rest_goes() {
        let mut document = document();
        let stays = Value::new(STAYS, STAYS.counter, PATH.len(), Body::from_json("2"));
        let state = State { values: vec![stays], ..State::default() };
        let ours = vector(&[GONE, STAYS]);
        document.merge(&PathKey::new(PATH), state, &known(), &ours, &known(), |_| false);
        assert_told(document);
    }

    #[test]
    fn what_a_cut_took_before_is_told_when_the_rest_goes() {
        let mut document = Document::new(100);
        increment(&mut document, GONE);
        apply(&mut document, STAYS, PATH, Action::Set("2"), &[]);
        cut(&mut document);
        assert_told(document);
    }

    #[test]
    fn who_reads_changes_is_told_of_a_counter_that_was_cut() {
        let mut document = Document::new(100);
        increment(&mut document, Dot { counter: 2, ..GONE });
        let mut bookmark = document.bookmark_at_end();
        cut(&mut document);
        let change = document.next_change(&mut bookmark).ok().flatten();
        let Some(Change::Node(id)) = change else { panic!("nothing is told") };
        assert_eq!((document.key(id), document.parts(id)[0].low), (PathKey::new(PATH), 1));
    }

    #[test]
    fn what_was_taken_before_is_told_when_a_piece_goes_with_its_shell() {
        let mut document = Document::new(100);
        apply(&mut document, STAYS, &PATH[..1], Action::Set(r#"{"q":2}"#), &[]);
        apply(&mut document, GONE, PATH, Action::Set("1"), &[]);
        apply(&mut document, REMOVES_GONE, PATH, Action::Delete, &[GONE]);
        assert!(document.tree.find(PATH).is_some() && !tells(&document, GONE));
        let (key, theirs) = (PathKey::new(&PATH[..1]), vector(&[STAYS]));
        document.merge(&key, State::default(), &theirs, &known(), &known(), |_| false);
        assert!(document.tree.find(PATH).is_none());
        assert!(tells(&document, STAYS) && tells(&document, GONE));
    }
}
