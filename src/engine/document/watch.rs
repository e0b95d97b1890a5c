//! Which cached reads a write may change.
//!
//! A reader that keeps what a path showed watches it and gets a slot. Writes collect the slots they
//! touch; nothing is told until somebody asks. Slots touched by local and by remote writes are kept
//! apart: a program sees its own writes at once, those of others only between turns.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::observe::Observers;
use super::path::PathKey;
use super::tree::{child_hash, ROOT_HASH};

/// Names a watched path.
pub type Slot = u32;

#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// By hash of the path: two paths of one hash touch each other, which only costs a read.
    exact: FxHashMap<u64, Slot>,
    /// How many watched paths lie below a path, by its hash.
    below: FxHashMap<u64, u32>,
    ordered: BTreeMap<PathKey, Slot>,
    slots: Vec<Watched>,
    free: Vec<Slot>,
    touched_local: Vec<Slot>,
    touched_remote: Vec<Slot>,
    pub observers: Observers,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    key: PathKey,
    count: u32,
    local: bool,
    remote: bool,
}

/// Whose write touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Own,
    Remote,
}

impl Watch {
    /// Watches a path; the same path gives the same slot, and must be unwatched as often.
    pub fn watch<S: AsRef<str>>(&mut self, path: &[S]) -> Slot {
        let key = PathKey::new(path);
        if let Some(&slot) = self.ordered.get(&key) {
            self.slots[slot as usize].count += 1;
            return slot;
        }
        let slot = self.free.pop().unwrap_or(self.slots.len() as Slot);
        let watched = Watched { key: key.clone(), count: 1, ..Watched::default() };
        match self.slots.get_mut(slot as usize) {
            Some(old) => *old = Watched { local: old.local, remote: old.remote, ..watched },
            None => self.slots.push(watched),
        }
        self.ordered.insert(key, slot);
        let mut hash = ROOT_HASH;
        for segment in path {
            *self.below.entry(hash).or_default() += 1;
            hash = child_hash(hash, segment.as_ref());
        }
        self.exact.insert(hash, slot);
        slot
    }

    pub fn unwatch(&mut self, slot: Slot) {
        let Some(watched) = self.slots.get_mut(slot as usize).filter(|w| w.count > 0) else {
            return;
        };
        watched.count -= 1;
        if watched.count > 0 {
            return;
        }
        let key = std::mem::take(&mut watched.key);
        self.ordered.remove(&key);
        let mut hash = ROOT_HASH;
        for segment in key.segments() {
            if let Some(count) = self.below.get_mut(&hash) {
                *count -= 1;
                if *count == 0 {
                    self.below.remove(&hash);
                }
            }
            hash = child_hash(hash, &segment);
        }
        if self.exact.get(&hash) == Some(&slot) {
            self.exact.remove(&hash);
        }
        self.free.push(slot);
    }

    pub fn is_idle(&self) -> bool {
        self.ordered.is_empty() && self.observers.is_idle()
    }

    /// A path changed, given by its hash.
    pub fn touch(&mut self, path_hash: u64, whose: Whose) {
        if let Some(&slot) = self.exact.get(&path_hash) {
            self.mark(slot, whose);
        }
    }

    /// Everything below a path may have changed.
    pub fn touch_below(&mut self, path_hash: u64, key: impl FnOnce() -> PathKey, whose: Whose) {
        if !self.below.contains_key(&path_hash) {
            return;
        }
        let key = key();
        let slots: Vec<Slot> = self
            .ordered
            .range(key.clone()..)
            .take_while(|(below, _)| below.starts_with(&key))
            .map(|(_, &slot)| slot)
            .collect();
        for slot in slots {
            self.mark(slot, whose);
        }
    }

    fn mark(&mut self, slot: Slot, whose: Whose) {
        let watched = &mut self.slots[slot as usize];
        let (flag, list) = match whose {
            Whose::Own => (&mut watched.local, &mut self.touched_local),
            Whose::Remote => (&mut watched.remote, &mut self.touched_remote),
        };
        if !std::mem::replace(flag, true) {
            list.push(slot);
        }
    }

    /// Whether remote writes have touched slots that nobody took yet.
    pub fn has_touched_remote(&self) -> bool {
        !self.touched_remote.is_empty()
    }

    /// Takes the touched slots, those of `whose` writes.
    pub fn take_touched(&mut self, whose: Whose, into: &mut Vec<Slot>) {
        let list = match whose {
            Whose::Own => &mut self.touched_local,
            Whose::Remote => &mut self.touched_remote,
        };
        for &slot in list.iter() {
            let watched = &mut self.slots[slot as usize];
            match whose {
                Whose::Own => watched.local = false,
                Whose::Remote => watched.remote = false,
            }
        }
        into.append(list);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::path_hash;
    use super::*;

    fn touched(watch: &mut Watch) -> Vec<Slot> {
        let mut slots = Vec::new();
        watch.take_touched(Whose::Remote, &mut slots);
        slots.sort_unstable();
        slots
    }

    #[test]
    fn a_path_a_subtree_and_what_is_no_longer_watched() {
        let mut watch = Watch::default();
        let (a, ab, abc, b) = (
            watch.watch(&["a"]),
            watch.watch(&["a", "b"]),
            watch.watch(&["a", "b", "c"]),
            watch.watch(&["ab"]),
        );
        watch.touch(path_hash(&["a", "b"]), Whose::Remote);
        watch.touch(path_hash(&["a", "b"]), Whose::Remote);
        assert_eq!(touched(&mut watch), [ab]);
        watch.touch_below(path_hash(&["a"]), || PathKey::new(&["a"]), Whose::Remote);
        assert_eq!(touched(&mut watch), [a, ab, abc]);
        watch.unwatch(ab);
        watch.touch_below(path_hash(&["a"]), || PathKey::new(&["a"]), Whose::Remote);
        watch.touch(path_hash(&["ab"]), Whose::Remote);
        assert_eq!(touched(&mut watch), [a, abc, b]);
        for slot in [a, abc, b] {
            watch.unwatch(slot);
        }
        assert!(watch.is_idle() && watch.below.is_empty() && watch.exact.is_empty());
    }

    #[test]
    fn own_and_remote_touches_are_apart() {
        let mut watch = Watch::default();
        let slot = watch.watch(&["a"]);
        watch.touch(path_hash(&["a"]), Whose::Own);
        assert!(!watch.has_touched_remote());
        watch.touch(path_hash(&["a"]), Whose::Remote);
        let mut own = Vec::new();
        watch.take_touched(Whose::Own, &mut own);
        assert_eq!(own, [slot]);
        assert_eq!(touched(&mut watch), [slot]);
    }
}
