//! Values kept as one text, taken apart when something is to stand below them.
//!
//! A value is whole only where its node has no child. So: before a child is added, the values here
//! are split one level; and a value put where children are is split at once.

use super::json::{self, Level};
use super::things::{Body, Value};
use super::tree::NodeId;
use super::Document;
use crate::engine::rare::Rare;

impl Document {
    /// The child of that name, added if need be; `id`'s whole values are split first.
    pub(super) fn child_or_add(&mut self, id: NodeId, name: &str) -> NodeId {
        self.split(id);
        match self.tree.child(id, name) {
            Some(child) => child,
            None => self.tree.add_child(id, name),
        }
    }

    /// Splits the whole values at a node by one level.
    pub(super) fn split(&mut self, id: NodeId) {
        if !self.tree.node(id).has_whole() {
            return;
        }
        self.rare.note(Rare::ValueSplit);
        let values = std::mem::take(&mut self.tree.node_mut(id).values);
        for value in values {
            if matches!(value.body, Body::Whole(_)) {
                self.uncount_value(self.tree.node(id).path_hash, &value);
                self.put_split(id, value);
            } else {
                self.tree.node_mut(id).values.push(value);
            }
        }
        // Who has the value has its pieces: they stand where it stood in the order of changes. But
        // who has been sent it from that place by a feed under way may get its shell instead.
        let is_read = self.tree.has_bookmarks();
        self.rare.note_if(is_read, Rare::ValueSplitWhileFed);
        if !is_read {
            self.tree.children_changed_with(id);
        }
        // Who reads our changes must learn that pieces may go from here on.
        self.tree.changed(id);
    }

    /// Splits what stands above a path and reaches down to it, so that what it means for the path
    /// stands at the path. Gives the node there, `None` if nothing is there.
    pub(super) fn split_down_to<S: AsRef<str>>(&mut self, path: &[S]) -> Option<NodeId> {
        let mut id = super::tree::ROOT;
        for (depth, segment) in path.iter().enumerate() {
            let reaches = self.tree.node(id).values.iter().any(|value| match &value.body {
                Body::Whole(text) => json::at(text, &path[depth..]).is_some(),
                _ => false,
            });
            if reaches {
                self.split(id);
            }
            id = self.tree.child(id, segment.as_ref())?;
        }
        Some(id)
    }

    /// Puts a value at a node: whole where nothing is below, split where something is. A write's
    /// value that is there already stays as it is.
    pub(super) fn put_value(&mut self, id: NodeId, value: Value) {
        let node = self.tree.node(id);
        if let Some(there) = node.values.iter().position(|there| there.same_write(&value)) {
            // A shell tells that pieces may be gone: take ours apart, so that they can go too. The
            // other way round all pieces are known here, and those missing were removed.
            if !matches!(value.body, Body::Whole(_)) && self.tree.node(id).values[there].is_whole()
            {
                self.rare.note(Rare::ValueResplit);
                self.split(id);
            }
            return;
        }
        if node.has_children() && matches!(value.body, Body::Whole(_)) {
            self.rare.note(Rare::ValueSplitAtOnce);
            self.put_split(id, value);
        } else {
            debug_assert!(!node.has_children() || !value.is_whole());
            let value = self.count_value(id, value);
            self.tree.node_mut(id).values.push(value);
        }
    }

    /// Puts the shell of a whole value at a node and its pieces one level below.
    fn put_split(&mut self, id: NodeId, value: Value) {
        let body = match &value.body {
            Body::Whole(text) => match json::level(text) {
                Level::Scalar => Body::Scalar(text.clone()),
                Level::Object(_) => Body::Object,
                Level::Array(elements) => Body::Array(elements.len() as u32),
            },
            other => other.clone(),
        };
        let shell = Value { body, hashed: false, ..value.clone() };
        let shell = self.count_value(id, shell);
        self.tree.node_mut(id).values.push(shell);
        self.put_pieces(id, &value);
    }

    fn put_pieces(&mut self, id: NodeId, value: &Value) {
        let Body::Whole(text) = &value.body else { return };
        let piece = |inner: &str| Value {
            dot: value.dot,
            hlc: value.hlc,
            rank: value.rank,
            at: value.at,
            body: Body::from_json(inner),
            hashed: false,
        };
        match json::level(text) {
            Level::Scalar => {}
            Level::Object(entries) => {
                for (name, inner) in entries {
                    self.put_piece(id, &name, piece(inner));
                }
            }
            Level::Array(elements) => {
                for (index, inner) in elements.into_iter().enumerate() {
                    self.put_piece(id, &index.to_string(), piece(inner));
                }
            }
        }
    }

    fn put_piece(&mut self, parent: NodeId, name: &str, piece: Value) {
        let id = match self.tree.child(parent, name) {
            Some(child) => child,
            None => self.tree.add_child(parent, name),
        };
        self.put_value(id, piece);
        self.tree.changed(id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{json, Value as Json};

    use super::*;
    use crate::engine::causality::VersionVector;
    use crate::engine::document::watch::Whose;
    use crate::engine::document::{Action, Op};
    use crate::engine::id::{Dot, ReplicaId};

    const NAMES: &[&str] = &["a", "b", "0", "1"];

    #[derive(Clone, Debug)]
    struct Write {
        replica: usize,
        path: Vec<&'static str>,
        /// `None`: a DELETE.
        json: Option<String>,
        /// Of the other replica's writes it had seen all, or none.
        saw_all: bool,
    }

    fn path() -> impl Strategy<Value = Vec<&'static str>> {
        vec(proptest::sample::select(NAMES), 1..5)
    }

    fn json() -> impl Strategy<Value = Json> {
        let scalar =
            prop_oneof![Just(json!(null)), Just(json!("s")), (0..9).prop_map(|n| json!(n))];
        scalar.prop_recursive(3, 12, 3, |inner| {
            let name = proptest::sample::select(NAMES).prop_map(String::from);
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Json::from),
                vec((name, inner), 0..3).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    fn write() -> impl Strategy<Value = Write> {
        let json =
            prop_oneof![4 => json().prop_map(|json| Some(json.to_string())), 1 => Just(None)];
        (0..2usize, path(), json, any::<bool>()).prop_map(|(replica, path, json, saw_all)| Write {
            replica,
            path,
            json,
            saw_all,
        })
    }

    /// Applies the writes; before each one, and after the last, values that stand above these paths
    /// are split down to them.
    fn apply(writes: &[Write], splits: &[Vec<Vec<&str>>]) -> Document {
        let mut document = Document::new(1000);
        let mut made = [0; 2];
        for (index, write) in writes.iter().enumerate() {
            split_at(&mut document, splits, index);
            let id = |replica: usize| ReplicaId(replica as u64 + 1);
            let known: Arc<VersionVector> =
                Arc::new([(id(0), made[0]), (id(1), made[1])].into_iter().collect());
            let own = [(id(write.replica), made[write.replica])];
            let seen = match write.saw_all {
                true => known.clone(),
                false => Arc::new(own.into_iter().collect()),
            };
            made[write.replica] += 1;
            let action = write.json.as_deref().map_or(Action::Delete, Action::Set);
            let dot = Dot::new(id(write.replica), made[write.replica]);
            let hlc = index as u64 + 1;
            let op = Op { dot, hlc, path: &write.path, action, arrays: &[] };
            document.apply(&op, &seen, &known, Whose::Remote);
        }
        split_at(&mut document, splits, writes.len());
        document
    }

    fn split_at(document: &mut Document, splits: &[Vec<Vec<&str>>], index: usize) {
        for path in splits.get(index).into_iter().flatten() {
            document.split_down_to(path);
        }
    }

    fn shown(document: &mut Document, path: &[&str]) -> Option<Json> {
        document.read(path).map(|text| serde_json::from_str(&text).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn split_or_whole_means_the_same(
            writes in vec(write(), 1..6),
            splits in vec(vec(path(), 0..3), 1..7),
            paths in vec(path(), 8),
        ) {
            let mut whole = apply(&writes, &[]);
            let mut split = apply(&writes, &splits);
            prop_assert_eq!(whole.hash(usize::MAX), split.hash(usize::MAX));
            prop_assert_eq!(shown(&mut whole, &[]), shown(&mut split, &[]));
            prop_assert_eq!(whole.held_bytes(), whole.walked_bytes());
            prop_assert_eq!(split.held_bytes(), split.walked_bytes());
            for path in paths.iter().chain(writes.iter().map(|write| &write.path)) {
                prop_assert_eq!(whole.holds_anything(path), split.holds_anything(path));
                prop_assert_eq!(whole.latest_around(path), split.latest_around(path));
                prop_assert_eq!(shown(&mut whole, path), shown(&mut split, path));
            }
        }
    }
}
