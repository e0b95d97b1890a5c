//! The tree of paths: an arena of nodes, and the order in which they last changed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use thin_vec::ThinVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::path::PathKey;
use super::things::{Body, Mark, Part, Value};

/// Index of a node in the arena. Reused after the node is freed.
pub type NodeId = u32;

pub const ROOT: NodeId = 0;
const NONE: NodeId = NodeId::MAX;

#[derive(Clone, Debug)]
pub struct Node {
    pub name: Arc<str>,
    pub parent: NodeId,
    /// Segments from the root.
    pub depth: u8,
    /// Something was taken from here while the node lived on, so that a removal record of a write
    /// above does not tell all that is gone.
    pub lost: bool,
    pub path_hash: u64,
    pub children: BTreeMap<Arc<str>, NodeId>,
    pub values: ThinVec<Value>,
    pub marks: ThinVec<Mark>,
    pub parts: ThinVec<Part>,
    /// When it last changed; 0 for never. Grows along the order of changes.
    pub sequence: u64,
    previous: NodeId,
    next: NodeId,
}

/// All nodes. Node 0 is the root and always there; it holds no things.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    oldest: NodeId,
    newest: NodeId,
    sequence: u64,
}

impl Tree {
    pub fn new() -> Self {
        let root = Node::new("".into(), NONE, 0, 0);
        Tree { nodes: vec![root], free: Vec::new(), oldest: NONE, newest: NONE, sequence: 0 }
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// For an id that may be out of date.
    pub fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)
    }

    /// Nodes below the root.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len() - 1
    }

    pub fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.node(id).children.get(name).copied()
    }

    pub fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<NodeId> {
        path.iter().try_fold(ROOT, |id, segment| self.child(id, segment.as_ref()))
    }

    /// Adds a child that is not there.
    pub fn add_child(&mut self, parent: NodeId, name: &str) -> NodeId {
        debug_assert!(!self.node(parent).has_whole());
        let name: Arc<str> = name.into();
        let (depth, path_hash) = {
            let node = self.node(parent);
            (node.depth + 1, child_hash(node.path_hash, &name))
        };
        let id = self.place(Node::new(name.clone(), parent, depth, path_hash));
        self.node_mut(parent).children.insert(name, id);
        id
    }

    fn place(&mut self, node: Node) -> NodeId {
        match self.free.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as NodeId
            }
        }
    }

    /// Takes an empty leaf out of the tree.
    pub fn remove_leaf(&mut self, id: NodeId) {
        debug_assert!(id != ROOT && self.node(id).is_empty() && self.node(id).children.is_empty());
        self.unlink(id);
        let name = std::mem::replace(&mut self.node_mut(id).name, "".into());
        let parent = self.node(id).parent;
        self.node_mut(parent).children.remove(&name);
        self.free.push(id);
        if self.free.len() + 1 == self.nodes.len() {
            // Nothing is left but the root: give the memory back.
            *self = Tree { sequence: self.sequence, ..Tree::new() };
        }
    }

    pub fn key(&self, id: NodeId) -> PathKey {
        PathKey::new(&self.path(id))
    }

    pub fn path(&self, mut id: NodeId) -> Vec<Arc<str>> {
        let mut path = Vec::with_capacity(self.node(id).depth as usize);
        while id != ROOT {
            path.push(self.node(id).name.clone());
            id = self.node(id).parent;
        }
        path.reverse();
        path
    }

    // ---- walking

    /// The next node in the order of [`PathKey`]s: below, then beside, then beside what is above.
    pub fn next_in_order(&self, id: NodeId) -> Option<NodeId> {
        match self.node(id).children.first_key_value() {
            Some((_, &first)) => Some(first),
            None => self.next_beside(id),
        }
    }

    fn next_beside(&self, mut id: NodeId) -> Option<NodeId> {
        while id != ROOT {
            let node = self.node(id);
            if let Some(next) = self.sibling_after(node.parent, &node.name) {
                return Some(next);
            }
            id = node.parent;
        }
        None
    }

    fn sibling_after(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let range = (Bound::Excluded(name), Bound::Unbounded);
        self.node(parent).children.range::<str, _>(range).next().map(|(_, &id)| id)
    }

    /// The first node whose key is greater than `key`, whether or not a node has that key.
    pub fn first_after(&self, key: &PathKey) -> Option<NodeId> {
        let mut id = ROOT;
        for segment in key.segments() {
            match self.child(id, &segment) {
                Some(child) => id = child,
                None => {
                    let beside = self.sibling_after(id, &segment);
                    return beside.or_else(|| self.next_beside(id));
                }
            }
        }
        self.next_in_order(id)
    }

    /// A node and all below it, parents first.
    pub fn subtree(&self, id: NodeId) -> Vec<NodeId> {
        let mut all = vec![id];
        let mut at = 0;
        while at < all.len() {
            all.extend(self.node(all[at]).children.values());
            at += 1;
        }
        all
    }

    // ---- the order of changes

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next place in the order, for a change that no node stands for.
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Makes it the node that changed last.
    pub fn changed(&mut self, id: NodeId) {
        self.unlink(id);
        self.sequence += 1;
        let newest = self.newest;
        let sequence = self.sequence;
        let node = self.node_mut(id);
        (node.sequence, node.previous, node.next) = (sequence, newest, NONE);
        match newest {
            NONE => self.oldest = id,
            newest => self.node_mut(newest).next = id,
        }
        self.newest = id;
    }

    /// The first node that changed after `sequence`, if any; `None` if more than `steps` have.
    pub fn first_changed_after(&self, sequence: u64, steps: usize) -> Option<Option<NodeId>> {
        if sequence == 0 {
            return Some((self.oldest != NONE).then_some(self.oldest));
        }
        let mut found = None;
        let mut id = self.newest;
        for _ in 0..steps {
            if id == NONE || self.node(id).sequence <= sequence {
                return Some(found);
            }
            found = Some(id);
            id = self.node(id).previous;
        }
        None
    }

    /// The node that changed next after this one.
    pub fn next_changed(&self, id: NodeId) -> Option<NodeId> {
        let next = self.node(id).next;
        (next != NONE).then_some(next)
    }

    /// Puts a node that stands for a reader's place before `before`, or at the end.
    pub fn add_bookmark(&mut self, before: Option<NodeId>) -> NodeId {
        let id = self.place(Node::new("".into(), NONE, 0, 0));
        self.link_before(id, before);
        id
    }

    /// Moves a bookmark on by one. Gives the node it has passed.
    pub fn advance_bookmark(&mut self, id: NodeId) -> Option<NodeId> {
        let passed = self.next_changed(id)?;
        let before = self.next_changed(passed);
        self.unlink(id);
        self.link_before(id, before);
        Some(passed)
    }

    pub fn remove_bookmark(&mut self, id: NodeId) {
        self.unlink(id);
        self.free.push(id);
    }

    pub fn is_bookmark(&self, id: NodeId) -> bool {
        id != ROOT && self.node(id).parent == NONE
    }

    fn link_before(&mut self, id: NodeId, before: Option<NodeId>) {
        let next = before.unwrap_or(NONE);
        let previous = if next == NONE { self.newest } else { self.node(next).previous };
        let sequence = if previous == NONE { 0 } else { self.node(previous).sequence };
        let node = self.node_mut(id);
        (node.sequence, node.previous, node.next) = (sequence, previous, next);
        match previous {
            NONE => self.oldest = id,
            previous => self.node_mut(previous).next = id,
        }
        match next {
            NONE => self.newest = id,
            next => self.node_mut(next).previous = id,
        }
    }

    fn unlink(&mut self, id: NodeId) {
        let (previous, next) = (self.node(id).previous, self.node(id).next);
        if previous == NONE && next == NONE && self.oldest != id {
            return;
        }
        match previous {
            NONE => self.oldest = next,
            previous => self.node_mut(previous).next = next,
        }
        match next {
            NONE => self.newest = previous,
            next => self.node_mut(next).previous = previous,
        }
        let node = self.node_mut(id);
        (node.previous, node.next) = (NONE, NONE);
    }
}

/// Adds to a list that seldom holds more than one thing, without room for more.
pub fn push_tight<T>(list: &mut ThinVec<T>, thing: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1);
    }
    list.push(thing);
}

impl Node {
    fn new(name: Arc<str>, parent: NodeId, depth: u8, path_hash: u64) -> Self {
        Node {
            name,
            parent,
            depth,
            lost: false,
            path_hash,
            children: BTreeMap::new(),
            values: ThinVec::new(),
            marks: ThinVec::new(),
            parts: ThinVec::new(),
            sequence: 0,
            previous: NONE,
            next: NONE,
        }
    }

    /// Whether it holds no thing.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.marks.is_empty() && self.parts.is_empty()
    }

    pub fn things(&self) -> usize {
        self.values.len() + self.marks.len() + self.parts.len()
    }

    pub fn has_whole(&self) -> bool {
        self.values.iter().any(|value| matches!(value.body, Body::Whole(_)))
    }

    pub fn is_root_value(&self, value: &Value) -> bool {
        value.at == self.depth
    }
}

/// The hash of a path from its parent's and its last segment. Equal on all machines.
pub fn child_hash(parent: u64, name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), parent)
}

/// The hash of the document's root.
pub const ROOT_HASH: u64 = 0;

#[cfg(test)]
/// The hash of a path.
pub fn path_hash<S: AsRef<str>>(path: &[S]) -> u64 {
    path.iter().fold(ROOT_HASH, |hash, segment| child_hash(hash, segment.as_ref()))
}
