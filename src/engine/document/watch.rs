//! Which cached reads a write may change.
//!
//! A reader that keeps what a path showed watches it and gets a slot. Writes collect the slots they
//! touch; nothing is told until somebody asks. Slots touched by local and by remote writes are kept
//! apart: a program sees its own writes at once, those of others only between turns.

use ecow::EcoString;
use rustc_hash::FxHashMap;

use super::observe::Observers;
use super::tree::{child_hash, ROOT_HASH};

/// Names a watched path.
pub type Slot = u32;

/// Stands for no place.
const NONE: Slot = 0;
/// The place of the empty path, which is there even when nobody watches it.
const ROOT: Slot = 1;

/// The watched paths and all that lead to one, as a tree. A slot is the index of a path's place.
#[derive(Clone, Debug)]
pub struct Watch {
    places: Vec<Place>,
    free: Vec<Slot>,
    /// By hash of the path, the first of the places that have it.
    by_hash: FxHashMap<u64, Slot>,
    touched_local: Vec<Slot>,
    touched_remote: Vec<Slot>,
    pub observers: Observers,
}

#[derive(Clone, Debug, Default)]
struct Place {
    name: EcoString,
    path_hash: u64,
    above: Slot,
    /// The first of those below it; the others follow by `after`.
    below: Slot,
    before: Slot,
    after: Slot,
    /// The next place of the same hash.
    alike: Slot,
    watchers: u32,
    local: bool,
    remote: bool,
}

/// Whose write touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Own,
    Remote,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            places: vec![Place::default(), Place { path_hash: ROOT_HASH, ..Place::default() }],
            free: Vec::new(),
            by_hash: FxHashMap::from_iter([(ROOT_HASH, ROOT)]),
            touched_local: Vec::new(),
            touched_remote: Vec::new(),
            observers: Observers::default(),
        }
    }
}

impl Watch {
    /// Watches a path; the same path gives the same slot, and must be unwatched as often.
    pub fn watch<S: AsRef<str>>(&mut self, path: &[S]) -> Slot {
        let mut slot = ROOT;
        let mut hash = ROOT_HASH;
        for segment in path {
            let name = segment.as_ref();
            hash = child_hash(hash, name);
            slot = match self.child(slot, name, hash) {
                Some(child) => child,
                None => self.add_child(slot, name, hash),
            };
        }
        self.at_mut(slot).watchers += 1;
        slot
    }

    pub fn unwatch(&mut self, slot: Slot) {
        let watched = self.places.get_mut(slot as usize).filter(|place| place.watchers > 0);
        let Some(place) = watched else { return };
        place.watchers -= 1;
        let mut slot = slot;
        while slot != ROOT && self.at(slot).watchers == 0 && self.at(slot).below == NONE {
            slot = self.remove(slot);
        }
    }

    pub fn is_idle(&self) -> bool {
        let root = self.at(ROOT);
        root.watchers == 0 && root.below == NONE && self.observers.is_idle()
    }

    /// A path changed, given by its hash.
    pub fn touch(&mut self, path_hash: u64, whose: Whose) {
        let mut slot = self.first(path_hash);
        while slot != NONE {
            self.mark(slot, whose);
            slot = self.at(slot).alike;
        }
    }

    /// A path and everything below it may have changed.
    pub fn touch_below(&mut self, path_hash: u64, whose: Whose) {
        let mut top = self.first(path_hash);
        while top != NONE {
            let mut slot = top;
            while slot != NONE {
                self.mark(slot, whose);
                slot = self.next_below(top, slot);
            }
            top = self.at(top).alike;
        }
    }

    /// Everything may have changed.
    pub fn touch_all(&mut self, whose: Whose) {
        self.touch_below(ROOT_HASH, whose);
        self.observers.note_all();
    }

    fn at(&self, slot: Slot) -> &Place {
        &self.places[slot as usize]
    }

    fn at_mut(&mut self, slot: Slot) -> &mut Place {
        &mut self.places[slot as usize]
    }

    fn first(&self, path_hash: u64) -> Slot {
        self.by_hash.get(&path_hash).copied().unwrap_or(NONE)
    }

    fn child(&self, above: Slot, name: &str, path_hash: u64) -> Option<Slot> {
        let mut slot = self.first(path_hash);
        while slot != NONE {
            let place = self.at(slot);
            if place.above == above && place.name == name {
                return Some(slot);
            }
            slot = place.alike;
        }
        None
    }

    fn add_child(&mut self, above: Slot, name: &str, path_hash: u64) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as Slot
        });
        let after = std::mem::replace(&mut self.at_mut(above).below, slot);
        if after != NONE {
            self.at_mut(after).before = slot;
        }
        let alike = self.by_hash.insert(path_hash, slot).unwrap_or(NONE);
        // Who had the slot before may have been touched, and the touch not been taken.
        let Place { local, remote, .. } = *self.at(slot);
        let name = name.into();
        *self.at_mut(slot) =
            Place { name, path_hash, above, after, alike, local, remote, ..Place::default() };
        slot
    }

    /// Takes out a place that nothing is below, and gives the one above it.
    fn remove(&mut self, slot: Slot) -> Slot {
        let place = self.at_mut(slot);
        place.name = EcoString::new();
        let Place { path_hash, above, before, after, alike, .. } = *place;
        match before {
            NONE => self.at_mut(above).below = after,
            before => self.at_mut(before).after = after,
        }
        if after != NONE {
            self.at_mut(after).before = before;
        }
        match self.first(path_hash) {
            first if first != slot => {
                let mut other = first;
                while self.at(other).alike != slot {
                    other = self.at(other).alike;
                }
                self.at_mut(other).alike = alike;
            }
            _ if alike == NONE => {
                self.by_hash.remove(&path_hash);
            }
            _ => {
                self.by_hash.insert(path_hash, alike);
            }
        }
        self.free.push(slot);
        above
    }

    /// The place after one in a walk through all that is below `top`, from above downwards.
    fn next_below(&self, top: Slot, slot: Slot) -> Slot {
        let below = self.at(slot).below;
        if below != NONE {
            return below;
        }
        let mut slot = slot;
        while slot != top {
            let Place { above, after, .. } = *self.at(slot);
            if after != NONE {
                return after;
            }
            slot = above;
        }
        NONE
    }

    fn mark(&mut self, slot: Slot, whose: Whose) {
        let watched = &mut self.places[slot as usize];
        if watched.watchers == 0 {
            return;
        }
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
            let watched = &mut self.places[slot as usize];
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
    use std::collections::BTreeMap;

    use proptest::{collection, prelude::*};

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
        watch.touch_below(path_hash(&["a"]), Whose::Remote);
        assert_eq!(touched(&mut watch), [a, ab, abc]);
        watch.unwatch(ab);
        watch.touch_below(path_hash(&["a"]), Whose::Remote);
        watch.touch(path_hash(&["ab"]), Whose::Remote);
        assert_eq!(touched(&mut watch), [a, abc, b]);
        for slot in [a, abc, b] {
            watch.unwatch(slot);
        }
        assert!(watch.is_idle() && watch.by_hash.len() == 1);
        assert_eq!(watch.free.len() + 2, watch.places.len());
    }

    /// No two paths of one hash are at hand: a made-up hash stands in.
    #[test]
    fn paths_of_one_hash_are_touched_together() {
        let mut watch = Watch::default();
        let places: Vec<Slot> = ["a", "b", "c"]
            .map(|name| {
                let slot = watch.add_child(ROOT, name, 7);
                watch.at_mut(slot).watchers += 1;
                slot
            })
            .into();
        let below: Vec<Slot> = places
            .iter()
            .map(|&above| {
                let slot = watch.add_child(above, "d", 8 + u64::from(above));
                watch.at_mut(slot).watchers += 1;
                slot
            })
            .collect();
        for (name, &slot) in ["a", "b", "c"].iter().zip(&places) {
            assert_eq!(watch.child(ROOT, name, 7), Some(slot));
        }
        watch.touch(7, Whose::Remote);
        assert_eq!(touched(&mut watch), places);
        watch.touch_below(7, Whose::Remote);
        assert_eq!(touched(&mut watch), [places.clone(), below.clone()].concat());
        // The one in the middle, the first and the last of those that are alike.
        for at in [1, 2, 0] {
            watch.unwatch(below[at]);
            watch.unwatch(places[at]);
            watch.touch(7, Whose::Remote);
            assert_eq!(touched(&mut watch).len(), (watch.places.len() - watch.free.len() - 2) / 2);
        }
        assert!(watch.is_idle() && watch.by_hash.len() == 1);
    }

    proptest! {
        #[test]
        fn is_a_set_of_paths(steps in collection::vec((0..3u8, collection::vec(0..3u8, 0..4)), 0..60)) {
            let mut watch = Watch::default();
            let mut set: BTreeMap<Vec<String>, (Slot, u32)> = BTreeMap::new();
            for (what, path) in steps {
                let path: Vec<String> = path.iter().map(|name| name.to_string()).collect();
                match what {
                    0 => {
                        let slot = watch.watch(&path);
                        let known = set.entry(path).or_insert((slot, 0));
                        prop_assert_eq!(known.0, slot);
                        known.1 += 1;
                    }
                    1 => {
                        if let Some((slot, count)) = set.get_mut(&path) {
                            watch.unwatch(*slot);
                            *count -= 1;
                            if *count == 0 {
                                set.remove(&path);
                            }
                        }
                    }
                    _ => {
                        watch.touch_below(path_hash(&path), Whose::Remote);
                        let below = set.iter().filter(|(key, _)| key.starts_with(&path));
                        let mut below: Vec<Slot> = below.map(|(_, &(slot, _))| slot).collect();
                        below.sort_unstable();
                        prop_assert_eq!(touched(&mut watch), below);
                    }
                }
                prop_assert_eq!(watch.is_idle(), set.is_empty());
            }
            for (slot, count) in set.into_values() {
                (0..count).for_each(|_| watch.unwatch(slot));
            }
            prop_assert_eq!(watch.free.len() + 2, watch.places.len());
        }
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
