//! Joining another replica's state of a path with ours.
//!
//! An optimised OR-set in the manner of Bieniusa et al., "An Optimized Conflict-free Replicated
//! Set" (2012): a thing that one side lacks though it covers the thing's dot was removed there.

use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use super::path::PathKey;
use super::things::{Body, Fingerprint, Mark, Part, Value};
use super::tree::{push_tight, NodeId};
use super::watch::Whose;
use super::Document;
use crate::engine::causality::VersionVector;
use crate::engine::id::{Dot, Rank, ReplicaId};
use crate::engine::rare::Rare;

/// All things of one path.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub values: Vec<Value>,
    pub marks: Vec<Mark>,
    pub parts: Vec<Part>,
    pub kept: Kept,
}

/// What is left at a path of the things that the receiver covers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its values and marks; of counter parts none.
    pub things: Vec<Fingerprint>,
}

impl Kept {
    pub fn has_value(&self, value: &Value) -> bool {
        self.has_text(value) || self.has_shell(value)
    }

    fn has_mark(&self, mark: &Mark) -> bool {
        self.things.contains(&mark.fingerprint())
    }

    /// A value of which the receiver has a piece below the path stands there as a text, if at all so.
    pub fn has_text(&self, value: &Value) -> bool {
        self.things.contains(&value.fingerprint_of_text())
    }

    fn has_shell(&self, value: &Value) -> bool {
        self.things.contains(&value.fingerprint_of_shell())
    }
}

/// A value as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueState<'a> {
    pub dot: Dot,
    pub hlc: u64,
    pub rank: Rank,
    pub at: u8,
    #[serde(borrow)]
    pub body: BodyState<'a>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BodyState<'a> {
    /// JSON text, scalar or whole.
    Text(&'a str),
    Object,
    Array(u32),
}

impl Document {
    /// The things of a node, to be sent.
    pub fn values(&self, id: NodeId) -> impl Iterator<Item = ValueState<'_>> {
        self.tree.node(id).values.iter().map(|value| ValueState {
            dot: value.dot,
            hlc: value.hlc,
            rank: value.rank,
            at: value.at,
            body: match &value.body {
                Body::Scalar(text) | Body::Whole(text) => BodyState::Text(text),
                Body::Object => BodyState::Object,
                Body::Array(length) => BodyState::Array(*length),
            },
        })
    }

    pub fn marks(&self, id: NodeId) -> &[Mark] {
        self.tree.node(id).marks()
    }

    pub fn parts(&self, id: NodeId) -> &[Part] {
        self.tree.node(id).parts()
    }

    pub fn has_things(&self, id: NodeId) -> bool {
        !self.tree.node(id).is_empty()
    }

    /// The things of a node, if that is enough for whoever covers `seen`: each is of a write that it
    /// covers, and cannot have changed since. From the increments of a part more may have been removed.
    pub fn kept(&self, id: NodeId, seen: &VersionVector) -> Option<Kept> {
        let node = self.tree.node(id);
        let (values, marks) = (node.values.iter(), node.marks().iter());
        let knows = node.parts().is_empty()
            && values.clone().all(|value| seen.covers(value.dot))
            && marks.clone().all(|mark| seen.covers(mark.dot));
        let things = values.map(Value::fingerprint).chain(marks.map(Mark::fingerprint));
        knows.then(|| Kept { things: things.collect() })
    }

    /// Joins the state that a replica covering `theirs` has at a path into ours, which covered
    /// `ours`. `implied` says of a value here whether theirs has it as part of a whole value above;
    /// `known` is as in [`Document::apply`]. Gives the node, if there is one then.
    pub fn merge(
        &mut self,
        key: &PathKey,
        state: State,
        theirs: &VersionVector,
        ours: &Arc<VersionVector>,
        known: &Arc<VersionVector>,
        implied: impl Fn(&Value) -> bool,
    ) -> Option<NodeId> {
        let path = key.segments();
        let is_new = |dot: Dot| !ours.covers(dot);
        let brings = state.values.iter().any(|value| is_new(value.dot))
            || state.marks.iter().any(|mark| is_new(mark.dot))
            || state.parts.iter().any(|part| !part.is_covered_by(ours));
        let id = match self.tree.find(&path) {
            Some(id) => id,
            None if brings => {
                let mut id = super::tree::ROOT;
                for segment in &path {
                    id = self.child_or_add(id, segment);
                }
                id
            }
            // Nothing here and nothing new; but a piece may stand in a whole value above.
            None => self.split_down_to(&path)?,
        };
        self.fold_node(id);
        let before = self.hash_of_things(id);
        let object_before = self.is_plain_object(id).then(|| self.hash_of_values(id));
        let kept = state.kept;
        self.rare.note_if(!kept.things.is_empty(), Rare::KeptTold);
        let mut mine = self.tree.node(id).values.iter();
        if mine.any(|value| value.is_whole() && kept.has_shell(value)) {
            self.rare.note(Rare::ValueResplit);
            self.split(id);
        }
        let is_kept = |value: &Value| kept.has_value(value) || implied(value);
        let gone = self.merge_values(id, state.values, theirs, ours, is_kept);
        self.merge_marks(id, state.marks, theirs, ours, |mark| kept.has_mark(mark));
        self.merge_parts(id, state.parts, theirs, ours);
        let changed = self.hash_of_things(id) != before;
        if changed {
            self.tree.node_mut(id).lost = true;
            self.tree.changed(id);
        }
        if !gone.is_empty() {
            // What is below may still be to be merged: only what we covered before is gone.
            self.remove_pieces_below(id, &gone, ours);
        }
        // Another mark of an object that stays one shows nothing else.
        let is_same = object_before
            .is_some_and(|values| self.is_plain_object(id) && self.hash_of_values(id) == values);
        let freed = self.free_if_empty(id, known);
        // A feed tells much that is known here.
        if (changed && !is_same) || !gone.is_empty() {
            self.touch_path(&path, Whose::Remote);
        }
        (!freed).then_some(id)
    }

    /// Whatever removed the shell of a value removed its pieces, of which theirs has no trace if it
    /// kept the value whole.
    fn remove_pieces_below(&mut self, top: NodeId, gone: &[Value], ours: &Arc<VersionVector>) {
        for id in self.tree.subtree(top).into_iter().skip(1).rev() {
            let path_hash = self.tree.node(id).path_hash;
            let mut values = std::mem::take(&mut self.tree.node_mut(id).values);
            let before = values.len();
            values.retain(|value| {
                let keep = !gone.iter().any(|shell| shell.same_write(value));
                if !keep {
                    self.uncount_value(path_hash, value);
                }
                keep
            });
            let lost = values.len() < before;
            self.rare.note_if(lost, Rare::PiecesSwept);
            self.tree.node_mut(id).values = values;
            let node = self.tree.node(id);
            if node.is_empty() && !node.has_children() {
                self.note_removal(self.tree.key(id), false, ours);
                self.tree.remove_leaf(id);
            } else if lost {
                self.tree.node_mut(id).lost = true;
                self.tree.changed(id);
            }
        }
    }

    /// Removes at a path, and below it if `below`, what `seen` covers. `implied` is as in
    /// [`Document::merge`]: who noted that nothing is left at a path may have it in a whole value.
    pub fn clear(
        &mut self,
        key: &PathKey,
        below: bool,
        seen: &Arc<VersionVector>,
        known: &Arc<VersionVector>,
        implied: impl Fn(&Value) -> bool,
    ) {
        if !below {
            self.merge(key, State::default(), seen, known, known, implied);
            return;
        }
        let path = key.segments();
        let Some(id) = self.split_down_to(&path) else { return };
        self.touch_path(&path, Whose::Remote);
        // The increments that it takes from parts with later ones come as cuts.
        self.remove_seen(id, None, seen, known, &mut Vec::new());
        self.free_if_empty(id, known);
    }

    /// `is_kept` says of a value that is not among those incoming whether theirs has it all the
    /// same. Gives the shells that are gone.
    fn merge_values(
        &mut self,
        id: NodeId,
        incoming: Vec<Value>,
        theirs: &VersionVector,
        ours: &VersionVector,
        is_kept: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut gone = Vec::new();
        let path_hash = self.tree.node(id).path_hash;
        let mut values = std::mem::take(&mut self.tree.node_mut(id).values);
        values.retain(|mine| {
            let keep = !theirs.covers(mine.dot)
                || incoming.iter().any(|value| value.same_write(mine))
                || is_kept(mine);
            if !keep {
                self.uncount_value(path_hash, mine);
                if !mine.body.is_scalar() {
                    gone.push(mine.clone());
                }
            }
            keep
        });
        self.tree.node_mut(id).values = values;
        for value in incoming {
            let here = self.tree.node(id).values.iter().any(|mine| mine.same_write(&value));
            if here || !ours.covers(value.dot) {
                if !here && value.is_whole() {
                    // A shell among the others may take it apart, and its pieces have not been anywhere
                    // before.
                    self.tree.changed(id);
                }
                self.put_value(id, value);
            }
        }
        gone
    }

    fn merge_marks(
        &mut self,
        id: NodeId,
        incoming: Vec<Mark>,
        theirs: &VersionVector,
        ours: &VersionVector,
        is_kept: impl Fn(&Mark) -> bool,
    ) {
        let path_hash = self.tree.node(id).path_hash;
        let mut marks = self.tree.node_mut(id).take_marks();
        marks.retain(|mine| {
            let keep = !theirs.covers(mine.dot)
                || incoming.iter().any(|mark| mark.same_write(mine))
                || is_kept(mine);
            if !keep {
                self.uncount_mark(path_hash, mine);
            }
            keep
        });
        for mark in incoming {
            if !ours.covers(mark.dot) && !marks.iter().any(|mine| mine.same_write(&mark)) {
                self.count_mark(path_hash, &mark);
                push_tight(&mut marks, mark);
            }
        }
        self.tree.node_mut(id).set_marks(marks);
    }

    fn merge_parts(
        &mut self,
        id: NodeId,
        incoming: Vec<Part>,
        theirs: &VersionVector,
        ours: &VersionVector,
    ) {
        let path_hash = self.tree.node(id).path_hash;
        let mut parts = self.tree.node_mut(id).take_parts();
        parts.retain(|mine| {
            let there = incoming.iter().any(|part| part.slot() == mine.slot());
            // A part that they lack and of which we hold more than they covered is cut by the
            // record of their removal.
            let keep = there || !mine.is_covered_by(theirs);
            if !keep {
                self.uncount_part(path_hash, mine);
            }
            keep
        });
        self.tree.node_mut(id).set_parts(parts);
        for mut part in incoming {
            let mine = self.tree.node(id).parts().iter().find(|mine| mine.slot() == part.slot());
            match mine {
                // Who has got further with the folds has what they made; the other one may have put it
                // together from the parts of the dead.
                Some(_) if part.settled && ours.get(part.replica) > theirs.get(part.replica) => {
                    continue;
                }
                Some(_) if part.settled => {}
                Some(mine) if mine.epoch > part.epoch => continue,
                Some(mine) if mine.epoch == part.epoch && mine.high >= part.high => {
                    // Ours has more increments; theirs may have more of them removed.
                    let (low, total) = (part.low, part.low_total.clone());
                    part = mine.clone();
                    if !part.cut(low, &total) {
                        self.drop_part(id, part.slot());
                        continue;
                    }
                }
                Some(_) => {}
                None if part.is_covered_by(ours) => continue,
                None => {}
            }
            self.put_part(id, part);
        }
    }

    fn drop_part(&mut self, id: NodeId, slot: (ReplicaId, bool)) {
        let path_hash = self.tree.node(id).path_hash;
        let mut parts = self.tree.node_mut(id).take_parts();
        parts.retain(|part| {
            if part.slot() == slot {
                self.uncount_part(path_hash, part);
            }
            part.slot() != slot
        });
        self.tree.node_mut(id).set_parts(parts);
    }

    /// Tells whether a merge changed which values are here.
    fn hash_of_values(&self, id: NodeId) -> (usize, u64) {
        let values = &self.tree.node(id).values;
        let hash = |value: &Value| FxBuildHasher.hash_one((value.dot, value.at, value.stamp()));
        (values.len(), values.iter().map(hash).fold(0, u64::wrapping_add))
    }

    /// Tells whether a merge changed anything here. Whole values count by their names alone.
    fn hash_of_things(&self, id: NodeId) -> (usize, u64) {
        let node = self.tree.node(id);
        let values = node.values.iter().map(|value| {
            let is_whole = value.is_whole();
            FxBuildHasher.hash_one((value.dot, value.at, value.stamp(), is_whole))
        });
        let marks =
            node.marks().iter().map(|mark| FxBuildHasher.hash_one((mark.dot, mark.stamp())));
        let parts = node
            .parts()
            .iter()
            .map(|part| FxBuildHasher.hash_one((part.slot(), part.high, part.low)));
        let sum = values.chain(marks).chain(parts).fold(0, u64::wrapping_add);
        (node.things(), sum)
    }
}

impl From<ValueState<'_>> for Value {
    fn from(state: ValueState<'_>) -> Self {
        let body = match state.body {
            BodyState::Text(text) => Body::from_json(text),
            BodyState::Object => Body::Object,
            BodyState::Array(length) => Body::Array(length),
        };
        Value { rank: state.rank, ..Value::new(state.dot, state.hlc, state.at as usize, body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::document::{Action, Fold, Op};

    const PATH: &[&str] = &["p"];
    const FOLDER: ReplicaId = ReplicaId(9);
    const DEAD: [ReplicaId; 2] = [ReplicaId(1), ReplicaId(2)];

    fn vector(entries: &[(ReplicaId, u64)]) -> Arc<VersionVector> {
        Arc::new(entries.iter().copied().collect())
    }

    fn apply(document: &mut Document, dot: Dot, hlc: u64, path: &[&str], action: Action<'_>) {
        let op = Op { dot, hlc, path, action, arrays: &[] };
        document.apply(&op, &Arc::default(), &Arc::default(), Whose::Remote);
    }

    fn fold(document: &mut Document, from: ReplicaId, counter: u64) {
        document.fold(Fold { from, twin: None, into: Dot::new(FOLDER, counter) });
        document.fold_some(usize::MAX);
    }

    fn state(document: &Document) -> State {
        let id = document.tree.find(PATH).expect("something is there");
        State {
            values: document.values(id).map(Value::from).collect(),
            marks: document.marks(id).to_vec(),
            parts: document.parts(id).to_vec(),
            kept: Kept::default(),
        }
    }

    fn settled(sum: f64) -> Part {
        Part::of(DEAD[0], 5, sum).settled(Dot::new(FOLDER, 4))
    }

    /// Of two sums that a fold is said to have made.
    #[test]
    fn the_settled_part_stands_of_the_side_that_has_more_of_its_folder() {
        let key = PathKey::new(PATH);
        for (ours, theirs, stands) in [(7, 5, 3.0), (5, 7, 8.0), (5, 5, 8.0)] {
            let mut document = Document::new(10);
            let (ours, theirs) = (vector(&[(FOLDER, ours)]), vector(&[(FOLDER, theirs)]));
            let here = State { parts: vec![settled(3.0)], ..State::default() };
            document.merge(&key, here, &ours, &Arc::default(), &ours, |_| false);
            let there = State { parts: vec![settled(8.0)], ..State::default() };
            let id = document.merge(&key, there, &theirs, &ours, &ours, |_| false);
            let parts = document.parts(id.expect("a part is here"));
            assert_eq!(parts.iter().map(|part| part.sum().to_f64()).collect::<Vec<_>>(), [stands]);
        }
    }

    /// A feed that begins at that place must bring the pieces of the later value.
    #[test]
    fn a_value_that_is_taken_apart_as_it_comes_has_all_its_pieces_changed_since() {
        let (earlier, later) = (Dot::new(DEAD[0], 1), Dot::new(DEAD[1], 1));
        let whole = |dot, hlc, json| Value::new(dot, hlc, PATH.len(), Body::from_json(json));
        let shell = Value::new(earlier, 1, PATH.len(), Body::Object);
        let both = [whole(later, 2, r#"{"b":2}"#), shell];
        for order in [[0, 1], [1, 0]] {
            let mut document = Document::new(10);
            apply(&mut document, earlier, 1, PATH, Action::Set(r#"{"a":1}"#));
            let place = document.sequence();
            let values = order.map(|at| both[at].clone()).into();
            let (theirs, ours) = ([earlier, later], [earlier]);
            let [theirs, ours] = [&theirs[..], &ours]
                .map(|dots| dots.iter().map(|dot| (dot.replica, dot.counter)).collect::<Vec<_>>())
                .map(|entries| vector(&entries));
            let state = State { values, ..State::default() };
            document.merge(&PathKey::new(PATH), state, &theirs, &ours, &theirs, |_| false);
            let piece = document.tree.find(&["p", "b"]).expect("it is apart");
            assert!(document.tree.node(piece).sequence > place);
        }
    }

    /// Whom a replica had folded goes along when it is folded in turn: then one dot stands for what
    /// several wrote.
    #[test]
    fn what_several_wrote_under_one_dot_are_several_things() {
        let documents = DEAD.map(|dead| {
            let mut document = Document::new(10);
            apply(&mut document, Dot::new(dead, 1), dead.0, PATH, Action::Set("0"));
            apply(&mut document, Dot::new(dead, 2), dead.0, &["p", "q"], Action::Set("0"));
            fold(&mut document, dead, 4);
            document
        });
        let [mut ours, theirs] = documents;
        let (key, covers) = (PathKey::new(PATH), vector(&[(FOLDER, 4)]));
        // Neither has seen the other's: with nothing covered all is taken, and all that is here stays.
        let nothing = Arc::default();
        let id = ours.merge(&key, state(&theirs), &nothing, &nothing, &covers, |_| false);
        let id = id.expect("something is there");
        assert_eq!((ours.values(id).count(), ours.marks(id).len()), (2, 2));
        // And of what the other side covers, and has but one of, the other one goes.
        ours.merge(&key, state(&theirs), &covers, &covers, &covers, |_| false);
        assert_eq!((ours.values(id).count(), ours.marks(id).len()), (1, 1));
    }
}
