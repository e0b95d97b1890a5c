//! How much room the document takes, and how much a write would add.
//!
//! Counted as things come and go, so that it can be asked before every write. It is about what the
//! nodes and things take in memory. Records of removals and cuts have limits of their own.

use super::json::{self, Kind, Level};
use super::things::{Body, Mark, Part, Value};
use super::tree::{text_bytes, NodeId, NODE_BYTES, ROOT};
use super::Document;
use crate::engine::id::ReplicaId;

impl Document {
    /// What everything here takes, about.
    pub fn held_bytes(&self) -> usize {
        self.tree.held_bytes() + self.thing_bytes
    }

    /// Whether a SET by a writer who has seen all that is here would leave more than `max` bytes,
    /// and more than there are.
    pub fn outgrows_by_set(&self, path: &[&str], json: &str, max: usize) -> bool {
        let added = self.way_bytes(path) + size_of::<Value>() + text_bytes(json);
        // What it replaces is counted only if that matters: it takes a walk.
        self.held_bytes() + added > max && {
            let gone = self.tree.find(path).map_or(0, |id| self.bytes_below(id));
            added > gone && self.held_bytes() - gone + added > max
        }
    }

    /// The same of an INCREMENT. A counter that the writer has a part of stays as large as it is.
    pub fn outgrows_by_increment(&self, path: &[&str], own: ReplicaId, max: usize) -> bool {
        let part = if self.part(path, own).is_some() { 0 } else { size_of::<Part>() };
        let added = self.way_bytes(path) + part;
        added > 0 && self.held_bytes() + added > max
    }

    /// What the way to a path would take besides what is there: nodes, marks, and the pieces of
    /// values on it that are whole.
    fn way_bytes(&self, path: &[&str]) -> usize {
        let mut bytes = 0;
        let mut node = Some(ROOT);
        let mut texts: Vec<&str> = Vec::new();
        for (depth, segment) in path.iter().enumerate() {
            if depth > 0 {
                let is_marked = node.is_some_and(|id| !self.tree.node(id).marks().is_empty());
                bytes += if is_marked { 0 } else { size_of::<Mark>() };
                texts.extend(node.into_iter().flat_map(|id| self.whole_texts(id)));
            }
            let mut inner = Vec::new();
            for text in texts {
                let (pieces, below) = split_bytes(text, segment);
                bytes += pieces;
                inner.extend(below);
            }
            texts = inner;
            node = node.and_then(|id| self.tree.child(id, segment));
            bytes += if node.is_some() { 0 } else { NODE_BYTES + text_bytes(segment) };
        }
        bytes
    }

    fn whole_texts(&self, id: NodeId) -> impl Iterator<Item = &str> {
        self.tree.node(id).values.iter().filter_map(|value| match &value.body {
            Body::Whole(text) => Some(&**text),
            _ => None,
        })
    }

    /// What a node holds and all that is below it take.
    fn bytes_below(&self, top: NodeId) -> usize {
        let of = |id: NodeId| {
            let node = self.tree.node(id);
            let itself = if id == top { 0 } else { NODE_BYTES + text_bytes(&node.name) };
            itself
                + node.values.iter().map(Value::bytes).sum::<usize>()
                + size_of_val(node.marks())
                + node.parts().iter().map(Part::bytes).sum::<usize>()
        };
        self.tree.subtree(top).into_iter().map(of).sum()
    }

    /// [`Document::held_bytes`] by a walk.
    #[cfg(test)]
    pub(super) fn walked_bytes(&self) -> usize {
        self.bytes_below(ROOT)
    }
}

/// What the pieces of a whole value take beside its text, and the piece of this name, if that is
/// one to be split as well.
fn split_bytes<'a>(text: &'a str, name: &str) -> (usize, Option<&'a str>) {
    let pieces = match json::level(text) {
        Level::Scalar => 0,
        Level::Object(members) => members.len(),
        Level::Array(elements) => elements.len(),
    };
    let below = json::at(text, &[name]).filter(|inner| json::kind(inner) != Kind::Scalar);
    (pieces * (NODE_BYTES + size_of::<Value>()), below)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::causality::VersionVector;
    use crate::engine::document::watch::Whose;
    use crate::engine::document::{Action, Op};
    use crate::engine::id::Dot;

    struct Writer {
        document: Document,
        known: Arc<VersionVector>,
        writes: u64,
    }

    impl Writer {
        fn new() -> Self {
            Writer { document: Document::new(0), known: Arc::default(), writes: 0 }
        }

        fn write(&mut self, path: &[&str], action: Action<'_>) {
            self.writes += 1;
            let dot = Dot::new(ReplicaId(1), self.writes);
            let op = Op { dot, hlc: self.writes, path, action, arrays: &[] };
            self.document.apply(&op, &self.known, &self.known, Whose::Own);
            Arc::make_mut(&mut self.known).raise(dot.replica, dot.counter);
            assert_eq!(self.document.held_bytes(), self.document.walked_bytes());
        }

        /// Sets it, and checks that the limit at which that is too much is what it then takes, or a
        /// little less.
        fn set(&mut self, path: &[&str], json: &str) {
            let before = self.document.held_bytes();
            let guess = (0..1 << 20)
                .step_by(8)
                .find(|&max| !self.document.outgrows_by_set(path, json, max));
            self.write(path, Action::Set(json));
            let (guess, after) = (guess.expect("a limit"), self.document.held_bytes());
            if after > before {
                assert!(guess >= after && guess <= after + after / 4 + 8, "{guess} for {after}");
            } else {
                assert_eq!(guess, 0);
            }
        }
    }

    #[test]
    fn a_set_is_known_to_be_too_much_before_it_is_made() {
        let mut writer = Writer::new();
        let long = format!("\"{}\"", "x".repeat(5000));
        writer.set(&["a"], "1");
        writer.set(&["a"], &long);
        writer.set(&["a"], "2");
        writer.set(&["b", "a name of more than fifteen bytes", "c"], &long);
        writer.set(&["b", "d"], "[1,2,3]");
        writer.set(&["b"], "{}");
        let members: Vec<_> = (0..500).map(|n| format!("\"{n}\":{{\"m\":[{n}]}}")).collect();
        writer.set(&["whole"], &format!("{{{}}}", members.join(",")));
        // Takes it apart, three levels deep.
        writer.set(&["whole", "250", "m", "0"], "1");
        writer.write(&["whole"], Action::Delete);
        writer.write(&["a"], Action::Delete);
        writer.write(&["b"], Action::Delete);
        assert_eq!(writer.document.held_bytes(), 0);
    }

    #[test]
    fn a_counter_that_is_there_goes_on_where_there_is_no_room() {
        let mut writer = Writer::new();
        let own = ReplicaId(1);
        assert!(writer.document.outgrows_by_increment(&["n"], own, 0));
        let total = super::super::amount::Amount::from_f64(1.0);
        writer.write(&["n"], Action::Increment { epoch: 1, total, run: None });
        assert!(!writer.document.outgrows_by_increment(&["n"], own, 0));
        assert!(writer.document.outgrows_by_increment(&["n"], ReplicaId(2), 0));
        assert!(writer.document.outgrows_by_increment(&["n", "below"], own, 0));
    }
}
