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
        // Who reads our changes must learn that pieces may go from here on.
        self.tree.changed(id);
        let values = std::mem::take(&mut self.tree.node_mut(id).values);
        for value in values {
            if matches!(value.body, Body::Whole(_)) {
                self.uncount_value(self.tree.node(id).path_hash, &value);
                self.put_split(id, value);
            } else {
                self.tree.node_mut(id).values.push(value);
            }
        }
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
