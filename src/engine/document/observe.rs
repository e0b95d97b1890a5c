//! Which paths have changed below those that somebody observes.
//!
//! An observer is told of places: of each it is to read anew what stands there and below. A place
//! that changes often is told once. What is told covers every change since it was told last, so
//! whoever keeps a copy by it has, when nothing is left to tell, what is shown.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::path::PathKey;
use super::tree::{child_hash, ROOT_HASH};
use super::watch::Whose;

/// Names an observer. Used again when it is gone.
pub type ObserverId = u32;

/// Places that wait for one observer, and the bytes of their keys. Beyond either it is told to read
/// everything.
const PLACES_MAX: usize = 16_384;
const BYTES_MAX: usize = 1 << 20;

/// What an observer is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// More places have changed than were kept: anything at or below the observed path may have.
    pub skipped: bool,
    /// In order, none of them below another; and whether writes of this node alone have done it.
    pub places: Vec<(PathKey, bool)>,
    /// Others wait.
    pub more: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// Who observes a path, by its hash. Two paths of one hash differ in their keys.
    exact: FxHashMap<u64, Vec<ObserverId>>,
    ordered: BTreeMap<PathKey, Vec<ObserverId>>,
    /// How many observe paths of so many segments; the last is not 0.
    depths: Vec<u32>,
    observers: Vec<Option<Observer>>,
    free: Vec<ObserverId>,
    /// Those with places that nobody was told of.
    news: Vec<ObserverId>,
}

#[derive(Clone, Debug)]
struct Observer {
    key: PathKey,
    hash: u64,
    depth: usize,
    changed: BTreeMap<PathKey, bool>,
    bytes: usize,
    skipped: bool,
    /// It is in `news`, or was and has not taken what there is.
    told: bool,
}

impl Observers {
    /// Observes what the path shows and what lies below it.
    pub fn add<S: AsRef<str>>(&mut self, path: &[S]) -> ObserverId {
        let key = PathKey::new(path);
        let hash = path.iter().fold(ROOT_HASH, |hash, name| child_hash(hash, name.as_ref()));
        let observer = Observer {
            key: key.clone(),
            hash,
            depth: path.len(),
            changed: BTreeMap::new(),
            bytes: 0,
            skipped: false,
            told: false,
        };
        let id = self.free.pop().unwrap_or(self.observers.len() as ObserverId);
        match self.observers.get_mut(id as usize) {
            Some(place) => *place = Some(observer),
            None => self.observers.push(Some(observer)),
        }
        self.ordered.entry(key).or_default().push(id);
        self.exact.entry(hash).or_default().push(id);
        self.depths.resize(self.depths.len().max(path.len() + 1), 0);
        self.depths[path.len()] += 1;
        id
    }

    pub fn remove(&mut self, id: ObserverId) {
        let Some(gone) = self.observers.get_mut(id as usize).and_then(Option::take) else { return };
        leave(&mut self.ordered, &gone.key, id);
        if let Some(ids) = self.exact.get_mut(&gone.hash) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.exact.remove(&gone.hash);
            }
        }
        self.depths[gone.depth] -= 1;
        while self.depths.last() == Some(&0) {
            self.depths.pop();
        }
        self.news.retain(|&other| other != id);
        self.free.push(id);
    }

    pub fn is_idle(&self) -> bool {
        self.ordered.is_empty()
    }

    /// What a path shows may have changed, and all that lies at or below its first `region`
    /// segments.
    pub fn note<S: AsRef<str>>(&mut self, path: &[S], region: usize, whose: Whose) {
        if self.is_idle() {
            return;
        }
        let top = LazyCell::new(|| PathKey::new(&path[..region]));
        let mut hash = ROOT_HASH;
        for depth in 0..self.depths.len().min(path.len() + 1) {
            if let Some(ids) = self.exact.get(&hash) {
                let place = if depth > region { &PathKey::new(&path[..depth]) } else { &*top };
                for &id in ids {
                    note_place(&mut self.observers, &mut self.news, id, place, whose);
                }
            }
            if let Some(name) = path.get(depth) {
                hash = child_hash(hash, name.as_ref());
            }
        }
        if self.depths.len() <= region + 1 {
            return; // nobody observes a path below
        }
        let below = self.ordered.range::<PathKey, _>(&*top..);
        for (key, ids) in below.take_while(|(key, _)| key.starts_with(&top)) {
            for &id in ids {
                note_place(&mut self.observers, &mut self.news, id, key, whose);
            }
        }
    }

    /// Anything may have changed.
    pub fn note_all(&mut self) {
        for (key, ids) in &self.ordered {
            for &id in ids {
                note_place(&mut self.observers, &mut self.news, id, key, Whose::Remote);
            }
        }
    }

    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Moves those that have something to take to `into`. Each is told again when something comes
    /// after it has taken all there is.
    pub fn take_news(&mut self, into: &mut Vec<ObserverId>) {
        into.append(&mut self.news);
    }

    /// What has changed since this observer took it last, at most so many places.
    pub fn take(&mut self, id: ObserverId, max: usize) -> Changed {
        let Some(Some(observer)) = self.observers.get_mut(id as usize) else {
            return Changed::default();
        };
        let mut changed =
            Changed { skipped: std::mem::take(&mut observer.skipped), ..Changed::default() };
        while let Some((place, own)) = observer.changed.pop_first() {
            let is_full = changed.places.len() == max;
            match changed.places.last_mut().filter(|(above, _)| place.starts_with(above)) {
                Some((_, by_own)) => *by_own &= own,
                None if is_full => {
                    observer.changed.insert(place, own);
                    changed.more = true;
                    return changed;
                }
                None => changed.places.push((place, own)),
            }
        }
        observer.clear();
        observer.told = false;
        self.news.retain(|&other| other != id);
        changed
    }
}

impl Observer {
    fn clear(&mut self) {
        self.changed.clear();
        self.bytes = 0;
    }
}

fn note_place(
    observers: &mut [Option<Observer>],
    news: &mut Vec<ObserverId>,
    id: ObserverId,
    place: &PathKey,
    whose: Whose,
) {
    let Some(observer) = observers[id as usize].as_mut() else { return };
    // Two paths of one hash.
    if !place.starts_with(&observer.key) {
        return;
    }
    if !std::mem::replace(&mut observer.told, true) {
        news.push(id);
    }
    if observer.skipped {
        return;
    }
    let own = whose == Whose::Own;
    match observer.changed.get_mut(place) {
        Some(by_own) => *by_own &= own,
        None => {
            observer.bytes += place.as_bytes().len();
            observer.changed.insert(place.clone(), own);
        }
    }
    if observer.changed.len() > PLACES_MAX || observer.bytes > BYTES_MAX {
        observer.skipped = true;
        observer.clear();
    }
}

fn leave(ordered: &mut BTreeMap<PathKey, Vec<ObserverId>>, key: &PathKey, id: ObserverId) {
    if let Some(ids) = ordered.get_mut(key) {
        ids.retain(|&other| other != id);
        if ids.is_empty() {
            ordered.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(changed: &Changed) -> Vec<(String, bool)> {
        changed.places.iter().map(|(key, own)| (format!("{key:?}"), *own)).collect()
    }

    fn news(observers: &mut Observers) -> Vec<ObserverId> {
        let mut ids = Vec::new();
        observers.take_news(&mut ids);
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_is_below_and_above_is_told_once_at_the_highest_place() {
        let mut observers = Observers::default();
        let (root, a, ab) =
            (observers.add::<&str>(&[]), observers.add(&["a"]), observers.add(&["a", "b"]));
        observers.note(&["a", "b", "c"], 3, Whose::Own);
        observers.note(&["a", "b", "c", "d"], 4, Whose::Remote);
        observers.note(&["a", "x"], 2, Whose::Own);
        assert_eq!(news(&mut observers), [root, a, ab]);
        observers.note(&["a", "b", "c"], 3, Whose::Own);
        assert_eq!(news(&mut observers), Vec::<u32>::new(), "they were told and have not taken it");
        let expected = [("a.b.c".to_owned(), false), ("a.x".to_owned(), true)];
        for id in [root, a] {
            assert_eq!(places(&observers.take(id, 10)), expected);
        }
        assert_eq!(places(&observers.take(ab, 10)), expected[..1]);
        assert_eq!(observers.take(ab, 10), Changed::default());
        observers.note(&["a"], 1, Whose::Own);
        assert_eq!(places(&observers.take(ab, 10)), [("a.b".to_owned(), true)]);
        observers.note(&["a", "b", "c"], 1, Whose::Remote);
        assert_eq!(places(&observers.take(a, 10)), [("a".to_owned(), false)]);
        assert_eq!(places(&observers.take(ab, 10)), [("a.b".to_owned(), false)]);
    }

    #[test]
    fn in_part_and_too_much() {
        let mut observers = Observers::default();
        let id = observers.add(&["a"]);
        let note = |observers: &mut Observers, n: usize| {
            observers.note(&["a", &format!("{n:05}")], 2, Whose::Remote);
        };
        (0..3).for_each(|n| note(&mut observers, n));
        let first = observers.take(id, 2);
        assert_eq!((first.places.len(), first.more), (2, true));
        note(&mut observers, 0);
        let rest = observers.take(id, 2);
        assert_eq!((rest.places.len(), rest.more, rest.skipped), (2, false, false));
        assert_eq!(places(&rest)[1].0, "a.00002");

        (0..=PLACES_MAX).for_each(|n| note(&mut observers, n));
        note(&mut observers, 1);
        assert_eq!(observers.take(id, 2), Changed { skipped: true, ..Changed::default() });
        assert_eq!(observers.take(id, 2), Changed::default());
        note(&mut observers, 1);
        assert_eq!(observers.take(id, 2).places.len(), 1);
    }

    #[test]
    fn one_that_is_gone_is_told_nothing_and_leaves_nothing() {
        let mut observers = Observers::default();
        let (first, second) = (observers.add(&["a"]), observers.add(&["a"]));
        observers.note(&["a"], 1, Whose::Own);
        observers.remove(first);
        observers.remove(first);
        assert_eq!(news(&mut observers), [second]);
        assert_eq!(observers.take(first, 9), Changed::default());
        observers.remove(second);
        assert!(observers.is_idle() && observers.exact.is_empty());
        observers.note(&["a"], 1, Whose::Own);
        assert_eq!((observers.add(&["b"]), observers.has_news()), (second, false));
    }
}
