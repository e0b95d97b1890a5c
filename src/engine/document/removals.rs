//! Records of what was removed and left no node to tell of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::path::PathKey;
use crate::engine::causality::VersionVector;
use crate::engine::rare::{Gone, Rare};

/// Something was removed that no node is left to tell of.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Its place in the order of changes.
    pub sequence: u64,
    pub key: PathKey,
    /// At the path alone, or at and below it.
    pub below: bool,
    /// All that these writes made there is gone.
    pub seen: Arc<VersionVector>,
}

/// The records kept, one for each path: what is gone once stays so, so records of one path are one.
///
/// Were they kept apart, two nodes that pull from one another would hand each record back and forth
/// and keep it once more each time.
#[derive(Clone, Debug)]
pub struct Removals {
    records: BTreeMap<u64, Removal>,
    places: FxHashMap<(PathKey, bool), u64>,
    max: usize,
    floor: u64,
    pub rare: Gone,
}

impl Removals {
    pub fn new(max: usize) -> Self {
        Removals {
            records: BTreeMap::new(),
            places: FxHashMap::default(),
            max,
            floor: 0,
            rare: Gone::default(),
        }
    }

    /// Removals up to this place in the order of changes are no longer kept.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    pub fn iter(&self) -> impl Iterator<Item = &Removal> {
        self.records.values()
    }

    /// The first one after a place.
    pub fn after(&self, sequence: u64) -> Option<&Removal> {
        self.records.range(sequence + 1..).next().map(|(_, removal)| removal)
    }

    /// Takes note that something was removed here, at the place that `next` gives. A record that covers it
    /// is no reason not to: what was removed may have come after that.
    pub fn note(
        &mut self,
        key: PathKey,
        below: bool,
        seen: &Arc<VersionVector>,
        next: impl FnOnce() -> u64,
    ) {
        let mut seen = seen.clone();
        let place = self.places.get(&(key.clone(), below)).copied();
        if let Some(known) = place.and_then(|place| self.records.get(&place)) {
            if !seen.includes_all(&known.seen) {
                self.rare.note(Rare::RemovalsJoined);
                Arc::make_mut(&mut seen).join_all(&known.seen);
            }
        }
        let sequence = next();
        if let Some(place) = place {
            self.records.remove(&place);
        }
        self.places.insert((key.clone(), below), sequence);
        self.records.insert(sequence, Removal { sequence, key, below, seen });
        while self.records.len() > self.max {
            if let Some((sequence, oldest)) = self.records.pop_first() {
                self.places.remove(&(oldest.key, oldest.below));
                self.floor = sequence;
                self.rare.note(Rare::RemovalDropped);
            }
        }
    }

    /// The same of a removal that another replica tells of, and of which nothing was here. A record that
    /// covers it is enough.
    pub fn note_told(
        &mut self,
        key: PathKey,
        below: bool,
        seen: &Arc<VersionVector>,
        next: impl FnOnce() -> u64,
    ) {
        let place = self.places.get(&(key.clone(), below));
        let known = place.and_then(|place| self.records.get(place));
        if known.is_none_or(|known| !known.seen.includes_all(seen)) {
            self.note(key, below, seen, next);
        }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The memory they take, about.
    pub fn bytes(&self) -> usize {
        let record = size_of::<Removal>() + size_of::<(PathKey, bool)>() + 3 * size_of::<u64>();
        let outside = |removal: &Removal| 2 * removal.key.as_bytes().len() + removal.seen.bytes();
        self.records.len() * record
            + self.places.capacity() * size_of::<((PathKey, bool), u64)>()
            + self.records.values().map(outside).sum::<usize>()
    }

    /// All that these writes made anywhere is gone: one record tells it.
    pub fn note_all(&mut self, seen: &Arc<VersionVector>, next: impl FnOnce() -> u64) {
        self.records.clear();
        self.places = FxHashMap::default();
        self.note(PathKey::default(), true, seen, next);
    }

    /// Forgets all, up to a place.
    pub fn clear(&mut self, floor: u64) {
        self.records.clear();
        self.places = FxHashMap::default();
        self.floor = floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::id::ReplicaId;

    fn seen(a: u64, b: u64) -> Arc<VersionVector> {
        Arc::new([(ReplicaId(1), a), (ReplicaId(2), b)].into_iter().collect())
    }

    #[test]
    fn one_record_a_path_at_its_latest_place() {
        let mut removals = Removals::new(2);
        let key = |name: &str| PathKey::new(&[name]);
        removals.note(key("x"), false, &seen(1, 0), || 1);
        removals.note(key("x"), false, &seen(0, 1), || 2);
        removals.note_told(key("x"), false, &seen(1, 1), || panic!("known"));
        removals.note(key("x"), true, &seen(1, 0), || 3);
        let kept: Vec<_> = removals.iter().map(|r| (r.sequence, r.below)).collect();
        assert_eq!(kept, [(2, false), (3, true)]);
        assert!(removals.iter().next().is_some_and(|r| *r.seen == *seen(1, 1)));
        assert_eq!(removals.floor(), 0);
        removals.note(key("y"), false, &seen(1, 0), || 4);
        assert_eq!((removals.floor(), removals.after(2).map(|r| r.sequence)), (2, Some(3)));
        assert!(removals.after(4).is_none());
        removals.note(key("x"), true, &seen(0, 0), || 5);
        assert_eq!(
            removals.after(4).map(|r| (r.sequence, (*r.seen).clone())),
            Some((5, (*seen(1, 0)).clone()))
        );
    }
}
