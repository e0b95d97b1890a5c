//! The children of a node, in the order of their names.
//!
//! Only their ids are kept, four bytes each; the names stand in the nodes, and who searches brings
//! the comparison. Beyond one block it is a B+ tree of two levels: an insertion moves part of one
//! block, and, once in a hundred, the list of blocks.

use std::cmp::Ordering;

use thin_vec::ThinVec;

use super::tree::NodeId;

/// A block that is full is split.
const BLOCK_MAX: usize = 256;

#[derive(Clone, Debug)]
pub enum Children {
    One(ThinVec<NodeId>),
    /// None of them is empty.
    Blocks(Vec<ThinVec<NodeId>>),
}

/// Where a child stands, or would.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    block: usize,
    index: usize,
}

impl Default for Children {
    fn default() -> Self {
        Children::One(ThinVec::new())
    }
}

impl Children {
    fn blocks(&self) -> &[ThinVec<NodeId>] {
        match self {
            Children::One(block) => std::slice::from_ref(block),
            Children::Blocks(blocks) => blocks,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.blocks().iter().all(|block| block.is_empty())
    }

    /// The memory that they take.
    pub fn bytes(&self) -> usize {
        self.blocks().iter().map(|block| block.capacity() * size_of::<NodeId>()).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.blocks().iter().flatten().copied()
    }

    /// The place of the child that `order` says is equal, or where such a one is to be inserted.
    /// `order` compares a child with what is sought.
    pub fn find(&self, order: impl Fn(NodeId) -> Ordering) -> Result<Place, Place> {
        let blocks = self.blocks();
        // The last block that does not begin after it.
        let begin = |block: &ThinVec<NodeId>| block.first().is_some_and(|&id| order(id).is_le());
        let block = match blocks.len() {
            1 => 0,
            _ => blocks.partition_point(begin).saturating_sub(1),
        };
        match blocks[block].binary_search_by(|&id| order(id)) {
            Ok(index) => Ok(Place { block, index }),
            Err(index) => Err(Place { block, index }),
        }
    }

    /// The same for a child that stands after all others, which costs one comparison.
    pub fn find_last(&self, order: impl Fn(NodeId) -> Ordering) -> Option<Place> {
        let block = self.blocks().len() - 1;
        let index = self.blocks()[block].len();
        let last = self.blocks()[block].last()?;
        order(*last).is_lt().then_some(Place { block, index })
    }

    pub fn get(&self, place: Place) -> Option<NodeId> {
        self.blocks().get(place.block)?.get(place.index).copied()
    }

    /// The child at a place, or the next one after it.
    pub fn at_or_after(&self, place: Place) -> Option<NodeId> {
        let next = || self.blocks().get(place.block + 1)?.first().copied();
        self.get(place).or_else(next)
    }

    /// The child after the one at a place.
    pub fn after(&self, place: Place) -> Option<NodeId> {
        self.next_place(place).and_then(|next| self.get(next))
    }

    /// The place of the next child after a place.
    pub fn next_place(&self, place: Place) -> Option<Place> {
        let beside = Place { index: place.index + 1, ..place };
        let beyond = Place { block: place.block + 1, index: 0 };
        [beside, beyond].into_iter().find(|&next| self.get(next).is_some())
    }

    pub fn insert(&mut self, place: Place, id: NodeId) {
        if let Children::One(block) = self {
            if block.len() < BLOCK_MAX {
                block.insert(place.index, id);
                return;
            }
            *self = Children::Blocks(vec![std::mem::take(block)]);
        }
        let Children::Blocks(blocks) = self else { return };
        let is_last = place.block + 1 == blocks.len();
        let block = &mut blocks[place.block];
        if block.len() < BLOCK_MAX {
            block.insert(place.index, id);
        } else if is_last && place.index == block.len() {
            // In order, as states are merged: blocks stay full.
            let mut block = ThinVec::with_capacity(BLOCK_MAX);
            block.push(id);
            blocks.push(block);
        } else {
            let mut upper = ThinVec::with_capacity(BLOCK_MAX);
            upper.extend(block.drain(BLOCK_MAX / 2..));
            match place.index.checked_sub(BLOCK_MAX / 2) {
                Some(index) if index > 0 => upper.insert(index, id),
                _ => block.insert(place.index, id),
            }
            blocks.insert(place.block + 1, upper);
        }
    }

    pub fn remove(&mut self, place: Place) {
        match self {
            Children::One(block) => {
                block.remove(place.index);
            }
            Children::Blocks(blocks) => {
                blocks[place.block].remove(place.index);
                if blocks[place.block].is_empty() {
                    blocks.remove(place.block);
                }
                if let [only] = blocks.as_mut_slice() {
                    *self = Children::One(std::mem::take(only));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(children: &Children, sought: NodeId) -> Result<Place, Place> {
        children.find(|id| id.cmp(&sought))
    }

    proptest! {
        #[test]
        fn is_a_sorted_set(changes in proptest::collection::vec((any::<bool>(), 0..3000u32), 0..3000)) {
            let mut children = Children::default();
            let mut set = std::collections::BTreeSet::new();
            for (add, id) in changes.into_iter().chain((0..1000).map(|id| (true, id * 7))) {
                let last = children.find_last(|other| other.cmp(&id));
                prop_assert_eq!(last.is_some(), set.last().is_some_and(|&last| last < id));
                match (find(&children, id), add) {
                    (Err(place), true) => {
                        prop_assert!(set.insert(id));
                        prop_assert_eq!(children.at_or_after(place), set.range(id + 1..).next().copied());
                        children.insert(place, id);
                    }
                    (Ok(place), _) => {
                        prop_assert_eq!(children.get(place), Some(id));
                        prop_assert_eq!(children.after(place), set.range(id + 1..).next().copied());
                        if !add {
                            set.remove(&id);
                            children.remove(place);
                        }
                    }
                    (Err(_), false) => prop_assert!(!set.contains(&id)),
                }
            }
            prop_assert_eq!(children.is_empty(), set.is_empty());
            prop_assert!(children.iter().eq(set.iter().copied()));
            let full = children.blocks().iter().all(|block| block.len() <= BLOCK_MAX);
            prop_assert!(full && children.blocks().len() > 1);
            for id in set {
                let place = find(&children, id).expect("it is in");
                children.remove(place);
            }
            prop_assert!(children.is_empty());
        }
    }
}
