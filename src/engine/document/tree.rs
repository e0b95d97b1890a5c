//! The tree of paths: an arena of nodes, and the order in which they last changed.

use std::cmp::Ordering;

use ecow::EcoString;
use thin_vec::ThinVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::children::{Children, Place};
use super::few::Few;
use super::path::{push_segment, PathKey};
use super::things::{Body, Mark, Part, Value};

/// Index of a node in the arena. Reused after the node is freed.
pub type NodeId = u32;

pub const ROOT: NodeId = 0;
const NONE: NodeId = NodeId::MAX;

/// Most nodes are leaves with one short scalar: everything such a node needs stands in it, and what
/// other nodes have besides is a pointer away.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: EcoString,
    pub values: Few<Value>,
    pub path_hash: u64,
    /// When it last changed; 0 for never. Grows along the order of changes.
    pub sequence: u64,
    more: Option<Box<More>>,
    pub parent: NodeId,
    previous: NodeId,
    next: NodeId,
    /// Segments from the root.
    pub depth: u8,
    /// Something was taken from here while the node lived on, so that a removal record of a write
    /// above does not tell all that is gone.
    pub lost: bool,
}

/// What leaves with a value do not have.
#[derive(Clone, Debug, Default)]
struct More {
    children: Children,
    marks: ThinVec<Mark>,
    parts: ThinVec<Part>,
}

/// Text up to here stands in an [`EcoString`] itself.
const TEXT_INLINE: usize = 15;
/// What a node takes by itself, its place among its parent's children included; its first value is
/// counted with the things.
pub const NODE_BYTES: usize = size_of::<Node>() - size_of::<Value>() + 2 * size_of::<NodeId>();
/// Nodes of a chunk of the arena, which grows by chunks so that no growth moves what is there.
const CHUNK: usize = 1024;

/// All nodes. Node 0 is the root and always there; it holds no things.
#[derive(Clone, Debug)]
pub struct Tree {
    chunks: Vec<Vec<Node>>,
    free: Vec<NodeId>,
    oldest: NodeId,
    newest: NodeId,
    sequence: u64,
    bookmarks: usize,
    /// Bytes of the names that do not stand in their nodes.
    name_bytes: usize,
}

/// What a text takes outside the [`EcoString`] that holds it, about.
pub fn text_bytes(text: &str) -> usize {
    if text.len() > TEXT_INLINE {
        text.len()
    } else {
        0
    }
}

impl Tree {
    pub fn new() -> Self {
        let root = Node::new(EcoString::new(), NONE, 0, 0);
        let chunks = vec![vec![root]];
        let free = Vec::new();
        let (oldest, newest) = (NONE, NONE);
        Tree { chunks, free, oldest, newest, sequence: 0, bookmarks: 0, name_bytes: 0 }
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    /// For an id that may be out of date.
    pub fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.chunks.get_mut(id as usize / CHUNK)?.get_mut(id as usize % CHUNK)
    }

    /// Places in the arena.
    fn places(&self) -> usize {
        (self.chunks.len() - 1) * CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    /// Nodes below the root.
    pub fn len(&self) -> usize {
        self.places() - self.free.len() - 1
    }

    pub fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let children = &self.node(id).more.as_ref()?.children;
        children.find(self.compare(name)).ok().and_then(|place| children.get(place))
    }

    /// Compares the name of a node with this one.
    fn compare<'a>(&'a self, name: &'a str) -> impl Fn(NodeId) -> Ordering + 'a {
        move |id| self.node(id).name.as_str().cmp(name)
    }

    /// In the order of their names.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.node(id).more.iter().flat_map(|more| more.children.iter())
    }

    /// The same with their names.
    pub fn named_children(&self, id: NodeId) -> impl Iterator<Item = (&str, NodeId)> + '_ {
        self.children(id).map(|child| (self.node(child).name.as_str(), child))
    }

    pub fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<NodeId> {
        path.iter().try_fold(ROOT, |id, segment| self.child(id, segment.as_ref()))
    }

    /// Adds a child that is not there.
    pub fn add_child(&mut self, parent: NodeId, name: &str) -> NodeId {
        debug_assert!(!self.node(parent).has_whole());
        let node = self.node(parent);
        let (depth, path_hash) = (node.depth + 1, child_hash(node.path_hash, name));
        let place = match node.more.as_ref().map(|more| &more.children) {
            None => Err(Place::default()),
            Some(children) => match children.find_last(self.compare(name)) {
                Some(place) => Err(place),
                None => children.find(self.compare(name)),
            },
        };
        let (Ok(place) | Err(place)) = place;
        debug_assert!(self.child(parent, name).is_none());
        self.name_bytes += text_bytes(name);
        let id = self.place(Node::new(name.into(), parent, depth, path_hash));
        self.node_mut(parent).more.get_or_insert_default().children.insert(place, id);
        id
    }

    fn place(&mut self, node: Node) -> NodeId {
        match self.free.pop() {
            Some(id) => {
                *self.node_mut(id) = node;
                id
            }
            None => {
                let id = self.places() as NodeId;
                match self.chunks.last_mut() {
                    Some(chunk) if chunk.len() < CHUNK => chunk.push(node),
                    _ => {
                        let mut chunk = Vec::with_capacity(CHUNK);
                        chunk.push(node);
                        self.chunks.push(chunk);
                    }
                }
                id
            }
        }
    }

    /// Takes an empty leaf out of the tree.
    pub fn remove_leaf(&mut self, id: NodeId) {
        debug_assert!(id != ROOT && self.node(id).is_empty() && !self.node(id).has_children());
        self.unlink(id);
        let parent = self.node(id).parent;
        let name = std::mem::take(&mut self.node_mut(id).name);
        self.name_bytes -= text_bytes(&name);
        // The node has lost its name already.
        let order = |other| if other == id { Ordering::Equal } else { self.compare(&name)(other) };
        let more = self.node(parent).more.as_ref();
        let place = more.and_then(|more| more.children.find(order).ok());
        let parent = self.node_mut(parent);
        if let (Some(place), Some(more)) = (place, &mut parent.more) {
            more.children.remove(place);
            parent.drop_more();
        }
        self.release(id);
    }

    fn release(&mut self, id: NodeId) {
        self.free.push(id);
        if self.free.len() + 1 == self.places() {
            // Nothing is left but the root: give the memory back.
            *self = Tree { sequence: self.sequence, ..Tree::new() };
        }
    }

    /// What its nodes take without what they hold, about: a count that is kept, not a walk.
    pub fn held_bytes(&self) -> usize {
        self.len() * NODE_BYTES + self.name_bytes
    }

    /// The memory it takes, about.
    pub fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Node>());
        let beside: usize = self.chunks.iter().flatten().map(Node::bytes_beside).sum();
        chunks.sum::<usize>() + beside + self.free.capacity() * size_of::<NodeId>()
    }

    pub fn key(&self, id: NodeId) -> PathKey {
        let mut bytes = Vec::with_capacity(64);
        self.push_key(id, &mut bytes);
        PathKey::from_segments(bytes)
    }

    /// Appends the bytes of a node's key.
    pub fn push_key(&self, id: NodeId, out: &mut Vec<u8>) {
        if id != ROOT {
            let node = self.node(id);
            self.push_key(node.parent, out);
            push_segment(out, &node.name);
        }
    }

    pub fn path(&self, mut id: NodeId) -> Vec<EcoString> {
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
        let first = self.children(id).next();
        first.or_else(|| self.next_beside(id))
    }

    fn next_beside(&self, mut id: NodeId) -> Option<NodeId> {
        while id != ROOT {
            let node = self.node(id);
            if let Some(next) = self.child_after(node.parent, &node.name) {
                return Some(next);
            }
            id = node.parent;
        }
        None
    }

    /// The first child whose name is greater, whether or not there is one of that name.
    pub fn child_after(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let children = &self.node(parent).more.as_ref()?.children;
        match children.find(self.compare(name)) {
            Ok(place) => children.after(place),
            Err(place) => children.at_or_after(place),
        }
    }

    /// The first node whose key is greater than `key`, whether or not a node has that key.
    pub fn first_after(&self, key: &PathKey) -> Option<NodeId> {
        let mut id = ROOT;
        for segment in key.segments() {
            match self.child(id, &segment) {
                Some(child) => id = child,
                None => {
                    let beside = self.child_after(id, &segment);
                    return beside.or_else(|| self.next_beside(id));
                }
            }
        }
        self.next_in_order(id)
    }

    /// A node and those after it, in the order of keys.
    pub fn walk(&self, from: NodeId) -> Walk<'_> {
        let mut way = Vec::new();
        let mut id = from;
        while id != ROOT {
            let parent = self.node(id).parent;
            let more = self.node(parent).more.as_ref();
            let name = &self.node(id).name;
            let place = more.and_then(|more| more.children.find(self.compare(name)).ok());
            way.extend(place.map(|place| (parent, place)));
            id = parent;
        }
        way.reverse();
        Walk { tree: self, way, next: Some(from) }
    }

    /// A node and all below it, parents first.
    pub fn subtree(&self, id: NodeId) -> Vec<NodeId> {
        let mut all = vec![id];
        let mut at = 0;
        while at < all.len() {
            let children = self.node(all[at]).more.iter().flat_map(|more| more.children.iter());
            all.extend(children);
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

    /// Gives the children of a node, which has changed, its place.
    pub fn children_changed_with(&mut self, id: NodeId) {
        let sequence = self.node(id).sequence;
        debug_assert!(sequence > 0);
        for child in self.children(id).collect::<Vec<_>>() {
            self.unlink(child);
            self.link_before(child, Some(id));
            self.node_mut(child).sequence = sequence;
        }
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
        self.bookmarks += 1;
        let id = self.place(Node::new(EcoString::new(), NONE, 0, 0));
        self.link_before(id, before);
        id
    }

    pub fn has_bookmarks(&self) -> bool {
        self.bookmarks > 0
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
        self.bookmarks -= 1;
        self.unlink(id);
        self.release(id);
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

/// See [`Tree::walk`].
pub struct Walk<'a> {
    tree: &'a Tree,
    /// The parents down to the next node, and the place of the next child of each.
    way: Vec<(NodeId, Place)>,
    next: Option<NodeId>,
}

impl Iterator for Walk<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let id = self.next.take()?;
        let tree = self.tree;
        let children = |id| tree.node(id).more.as_ref().map(|more| &more.children);
        self.next = children(id).and_then(|children| children.get(Place::default()));
        if self.next.is_some() {
            self.way.push((id, Place::default()));
        }
        while self.next.is_none() {
            let Some((parent, place)) = self.way.last_mut() else { break };
            let beside = children(*parent).and_then(|children| children.next_place(*place));
            match beside {
                Some(beside) => {
                    *place = beside;
                    self.next = children(*parent).and_then(|children| children.get(beside));
                }
                None => {
                    self.way.pop();
                }
            }
        }
        Some(id)
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
    fn new(name: EcoString, parent: NodeId, depth: u8, path_hash: u64) -> Self {
        Node {
            name,
            values: Few::None,
            path_hash,
            sequence: 0,
            more: None,
            parent,
            previous: NONE,
            next: NONE,
            depth,
            lost: false,
        }
    }

    pub fn marks(&self) -> &[Mark] {
        self.more.as_ref().map_or(&[], |more| &more.marks)
    }

    pub fn parts(&self) -> &[Part] {
        self.more.as_ref().map_or(&[], |more| &more.parts)
    }

    pub fn parts_mut(&mut self) -> &mut [Part] {
        self.more.as_mut().map_or(&mut [], |more| &mut more.parts)
    }

    pub fn take_marks(&mut self) -> ThinVec<Mark> {
        self.more.as_mut().map(|more| std::mem::take(&mut more.marks)).unwrap_or_default()
    }

    pub fn take_parts(&mut self) -> ThinVec<Part> {
        self.more.as_mut().map(|more| std::mem::take(&mut more.parts)).unwrap_or_default()
    }

    pub fn set_marks(&mut self, marks: ThinVec<Mark>) {
        if self.more.is_some() || !marks.is_empty() {
            self.more.get_or_insert_default().marks = marks;
            self.drop_more();
        }
    }

    pub fn set_parts(&mut self, parts: ThinVec<Part>) {
        if self.more.is_some() || !parts.is_empty() {
            self.more.get_or_insert_default().parts = parts;
            self.drop_more();
        }
    }

    /// Back to what a leaf with a value takes, if it is no more than that.
    fn drop_more(&mut self) {
        let is_empty = |more: &mut Box<More>| {
            more.children.is_empty() && more.marks.is_empty() && more.parts.is_empty()
        };
        self.more.take_if(is_empty);
    }

    /// The memory that it takes outside itself, about.
    fn bytes_beside(&self) -> usize {
        let bodies = self.values.iter().map(|value| match &value.body {
            Body::Scalar(body) | Body::Whole(body) => text_bytes(body),
            Body::Object | Body::Array(_) => 0,
        });
        let more = self.more.as_ref().map_or(0, |more| {
            size_of::<More>()
                + more.children.bytes()
                + more.marks.capacity() * size_of::<Mark>()
                + more.parts.capacity() * size_of::<Part>()
        });
        let values = if self.values.len() > 1 { self.values.len() * size_of::<Value>() } else { 0 };
        text_bytes(&self.name) + bodies.sum::<usize>() + values + more
    }

    pub fn has_children(&self) -> bool {
        self.more.as_ref().is_some_and(|more| !more.children.is_empty())
    }

    /// Whether it holds no thing.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.marks().is_empty() && self.parts().is_empty()
    }

    pub fn things(&self) -> usize {
        self.values.len() + self.marks().len() + self.parts().len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_as_keys_sort() {
        let mut tree = Tree::new();
        let mut keys = Vec::new();
        for n in 0..2000u32 {
            let path = [format!("{}", n % 3), format!("{}", n % 601), format!("{n}")];
            let mut id = ROOT;
            for (depth, name) in path.iter().enumerate().take(1 + n as usize % 3) {
                id = tree.child(id, name).unwrap_or_else(|| tree.add_child(id, name));
                keys.push((PathKey::new(&path[..=depth]), id));
            }
        }
        keys.sort();
        keys.dedup();
        for start in (0..keys.len()).step_by(71) {
            let walked: Vec<_> = tree.walk(keys[start].1).map(|id| (tree.key(id), id)).collect();
            assert_eq!(walked, keys[start..]);
            let next = keys.get(start + 1).map(|&(_, id)| id);
            assert_eq!(tree.first_after(&keys[start].0), next);
            assert_eq!(tree.next_in_order(keys[start].1), next);
        }
    }

    #[test]
    fn a_leaf_with_a_short_scalar_takes_this_much() {
        assert_eq!(std::mem::size_of::<Value>(), 56);
        assert_eq!(std::mem::size_of::<Node>(), 112);
    }
}
