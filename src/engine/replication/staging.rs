//! The asker's side of a pull.
//!
//! What a feed brings is kept beside the document until its end has arrived. Then the donor's
//! vector is taken over in one step, and from that moment the document *is* the union of both. The
//! paths are merged one after the other, in the background; whoever touches a path before its turn
//! has it merged first. So no unfinished feed is ever seen, by a reader, a writer or a peer, and
//! no hold of the lock is long.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::checks;
use super::folds::Folds;
use super::sorted_run::{Position, SortedRun};
use crate::engine::causality::VersionVector;
use crate::engine::config::Limits;
use crate::engine::document::json;
use crate::engine::document::path::{self, PathKey};
use crate::engine::document::things::{Body, Cut, Value};
use crate::engine::document::watch::Whose;
use crate::engine::document::{Document, Kept, State};
use crate::engine::wire::message::{self, FeedHead, FeedItem, Malformed};

/// How far a node is in being brought up to date: first everything comes, then it is merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CatchUp {
    /// Since it was asked for.
    pub ms: u64,
    /// What has come so far. How much there will be nobody says before the end.
    pub bytes: u64,
    pub paths: usize,
    /// Of these.
    pub merged: usize,
}

/// What a feed has brought so far.
#[derive(Clone, Debug, Default)]
pub struct Staging {
    /// What came first, as long as it came in the order of keys: a walk through everything does.
    run: SortedRun,
    /// What came after that. It takes the place of an earlier state of the same path.
    late: BTreeMap<PathKey, Staged>,
    removals: Vec<Removal>,
    /// The same, by path.
    removed: BTreeMap<PathKey, Vec<usize>>,
    cuts: Vec<(PathKey, Cut)>,
    parts: u32,
    bytes: u64,
    /// States in the run.
    run_states: usize,
    last_key: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Staged {
    state: Bytes,
    /// Removals that came before it; later ones take from it what they cover.
    removals_before: usize,
    merged: bool,
}

#[derive(Clone, Debug)]
struct Removal {
    key: PathKey,
    below: bool,
    seen: Arc<VersionVector>,
}

impl Removal {
    /// What it covers, in our names.
    fn seen_by(&self, folds: &Folds) -> VersionVector {
        let mut seen = self.seen.as_ref().clone();
        folds.rename(&mut seen);
        folds.widen(&mut seen);
        seen
    }
}

impl Staging {
    /// Takes a part. `Ok(false)` if one before it is missing.
    pub fn take_part(&mut self, message: &Bytes, limits: &Limits) -> Result<bool, Malformed> {
        let (head, mut rest): (FeedHead, &[u8]) = message::decode_head(message)?;
        if head.number != self.parts {
            return Ok(false);
        }
        self.parts += 1;
        self.bytes += message.len() as u64;
        self.last_key.clear();
        while !rest.is_empty() {
            let (item, next): (FeedItem, &[u8]) = message::decode_item(rest)?;
            let (start, end) = (message.len() - rest.len(), message.len() - next.len());
            self.take_item(item, message, start..end, limits)?;
            rest = next;
        }
        self.run.end_part(message);
        Ok(true)
    }

    pub fn parts(&self) -> u32 {
        self.parts
    }

    /// But for the time.
    pub fn progress(&self) -> CatchUp {
        let paths = self.run_states + self.late.len();
        CatchUp { bytes: self.bytes, paths, ..CatchUp::default() }
    }

    fn take_item(
        &mut self,
        item: FeedItem<'_>,
        message: &Bytes,
        at: std::ops::Range<usize>,
        limits: &Limits,
    ) -> Result<(), Malformed> {
        if let Some((shared, key)) = item.path() {
            if shared > self.last_key.len() {
                return Err(Malformed);
            }
            self.last_key.truncate(shared);
            self.last_key.extend_from_slice(key);
        }
        match item {
            FeedItem::State { .. } | FeedItem::Kept { .. } => {
                let depth = path::depth(&self.last_key).ok_or(Malformed)?;
                checks::key(&self.last_key, depth, limits)?;
                if let FeedItem::State { values, marks, parts, .. } = &item {
                    checks::things(depth, values, marks, parts, limits)?;
                }
                if self.run.push(&self.last_key, message, at.clone()) {
                    self.run_states += 1;
                } else {
                    let key = PathKey::from_bytes(&self.last_key).ok_or(Malformed)?;
                    let (state, removals_before) = (message.slice(at), self.removals.len());
                    self.late.insert(key, Staged { state, removals_before, merged: false });
                }
            }
            FeedItem::Removal { key, below, seen } => {
                self.run.close();
                let key = PathKey::from_bytes(key).ok_or(Malformed)?;
                let seen: Arc<VersionVector> = Arc::new(seen.into_iter().collect());
                self.removed.entry(key.clone()).or_default().push(self.removals.len());
                self.removals.push(Removal { key, below, seen });
            }
            FeedItem::Cut { key, cut } => {
                self.run.close();
                checks::cut(&cut)?;
                let key = PathKey::from_bytes(key).ok_or(Malformed)?;
                self.cuts.push((key, cut));
            }
        }
        Ok(())
    }

    fn contains(&self, key: &PathKey, near: &mut Position) -> bool {
        self.run.find(key, near).is_some() || self.late.contains_key(key)
    }

    /// The state of a path, less what later removals took from it.
    fn state(&self, key: &PathKey, near: &mut Position) -> Option<State> {
        let (item, removals_before) = self.item(key, near)?;
        Some(self.decode(key, item, removals_before))
    }

    /// The same as it came, and how many removals came before it.
    fn item(&self, key: &PathKey, near: &mut Position) -> Option<(&[u8], usize)> {
        match self.late.get(key) {
            Some(staged) => Some((&staged.state, staged.removals_before)),
            None => self.run.find(key, near).map(|item| (item, 0)),
        }
    }

    fn decode(&self, key: &PathKey, item: &[u8], removals_before: usize) -> State {
        // Decoding succeeded when it arrived.
        let mut state = decode_state(item).unwrap_or_default();
        for Removal { seen, .. } in self.removals_after(key, removals_before) {
            state.values.retain(|value| !seen.covers(value.dot));
            state.marks.retain(|mark| !seen.covers(mark.dot));
            state.parts.retain(|part| !part.is_covered_by(seen));
        }
        state
    }

    /// Of the removals at a path, and of those above it that reach down to it, those that came after
    /// so many.
    fn removals_after<'a>(
        &'a self,
        key: &'a PathKey,
        removals_before: usize,
    ) -> impl Iterator<Item = &'a Removal> + 'a {
        let prefixes = key.prefixes().filter(|_| !self.removed.is_empty());
        let at = prefixes.filter_map(|prefix| self.removed.get(prefix)).flatten().copied();
        let after = at.filter(move |&at| at >= removals_before).map(|at| &self.removals[at]);
        after.filter(|removal| removal.below || removal.key == *key)
    }
}

/// A feed that ended: the union is declared and being carried out.
#[derive(Clone, Debug)]
pub struct Merging {
    staging: Staging,
    /// Everything the donor had was sent.
    full: bool,
    /// What the donor covered at the end, and what we covered before.
    theirs: Arc<VersionVector>,
    ours: Arc<VersionVector>,
    removals_done: usize,
    /// How far the run is merged; of what comes after that, `touched` is.
    run_done: Position,
    touched: BTreeSet<PathKey>,
    /// Merged in the order of keys up to here.
    late_cursor: Option<PathKey>,
    late_done: bool,
    sweep_cursor: Option<PathKey>,
    /// States behind `run_done` and `late_cursor`.
    merged: usize,
    /// Where the run was last looked into.
    near: Position,
}

impl Merging {
    pub fn begin(
        staging: Staging,
        full: bool,
        theirs: Arc<VersionVector>,
        ours: Arc<VersionVector>,
        document: &mut Document,
    ) -> Self {
        let mut merging = Merging {
            staging,
            full,
            theirs,
            ours,
            removals_done: 0,
            run_done: Position::default(),
            touched: BTreeSet::new(),
            late_cursor: None,
            late_done: false,
            sweep_cursor: Some(PathKey::default()),
            merged: 0,
            near: Position::default(),
        };
        if !full || document.nodes() == 0 {
            // Nothing tells what is gone, or nothing was here that could be.
            merging.sweep_cursor = None;
        }
        for (key, cut) in std::mem::take(&mut merging.staging.cuts) {
            document.add_cut(key, cut, &merging.ours, Whose::Remote);
        }
        merging
    }

    /// But for the time.
    pub fn progress(&self) -> CatchUp {
        CatchUp { merged: self.merged, ..self.staging.progress() }
    }

    /// Appends what is left to do, in a line, for reports of failures.
    pub fn describe(&self, out: &mut String) {
        use std::fmt::Write;
        let Merging { theirs, ours, sweep_cursor, .. } = self;
        let _ = write!(out, "from {ours:?} by {theirs:?}");
        for removal in &self.staging.removals[self.removals_done..] {
            let _ = write!(out, "; {removal:?}");
        }
        let is_left = |key: &PathKey| match self.staging.late.get(key) {
            Some(staged) => !staged.merged,
            None => !self.touched.contains(key),
        };
        let mut left = Vec::new();
        self.staging.run.keys_below(&PathKey::default(), &self.run_done, &mut left);
        left.extend(self.staging.late.keys().cloned());
        left.retain(is_left);
        if let Some(cursor) = sweep_cursor {
            let _ = write!(out, "; what was not sent after {cursor:?}");
            // What was sent tells what was not.
            let all = Position::default();
            self.staging.run.keys_below(&PathKey::default(), &all, &mut left);
            left.extend(self.staging.late.keys().cloned());
        }
        for key in left {
            let state = self.staging.state(&key, &mut Position::default());
            let _ = write!(out, "; {key:?}: {state:?}");
        }
    }

    /// Merges about `paths` more paths. True when all is done.
    pub fn step(
        &mut self,
        document: &mut Document,
        known: &Arc<VersionVector>,
        folds: &Folds,
        mut paths: usize,
    ) -> bool {
        while self.removals_done < self.staging.removals.len() {
            if paths == 0 {
                return false;
            }
            paths -= 1;
            self.remove_next(document, folds);
        }
        while let Some(key) = self.staging.run.key_at(&mut self.run_done) {
            if paths == 0 {
                return false;
            }
            paths -= 1;
            let key = PathKey::from_bytes(key).unwrap_or_default();
            if !self.touched.contains(&key) && !self.staging.late.contains_key(&key) {
                let item = self.staging.run.item_at(&self.run_done);
                if let Some(state) = item.map(|item| self.staging.decode(&key, item, 0)) {
                    self.merge_state(document, known, folds, &key, state);
                }
            }
            self.staging.run.advance(&mut self.run_done);
            self.merged += 1;
            // Nobody asks for it again: where a value above a path is whole though the path is
            // staged, the value came after it, as taking it apart is a change too.
            if self.sweep_cursor.is_none() {
                self.staging.run.drop_before(&self.run_done);
            }
        }
        while !self.late_done {
            if paths == 0 {
                return false;
            }
            paths -= 1;
            let from = self.late_cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.staging.late.range::<PathKey, _>((from, Bound::Unbounded)).next();
            match next.map(|(key, _)| key.clone()) {
                Some(key) => {
                    self.merge_path(document, known, folds, &key);
                    self.late_cursor = Some(key);
                    self.merged += 1;
                }
                None => self.late_done = true,
            }
        }
        while let Some(cursor) = self.sweep_cursor.take() {
            if paths == 0 {
                self.sweep_cursor = Some(cursor);
                return false;
            }
            paths -= 1;
            let Some(id) = document.first_after(&cursor) else { break };
            let key = document.key(id);
            self.sweep(document, known, folds, &key);
            self.sweep_cursor = Some(key);
        }
        true
    }

    /// Merges a path, what is above it and what is below it, now.
    pub fn touch(
        &mut self,
        document: &mut Document,
        known: &Arc<VersionVector>,
        folds: &Folds,
        path: &[impl AsRef<str>],
    ) {
        while self.removals_done < self.staging.removals.len() {
            self.remove_next(document, folds);
        }
        let above: Vec<PathKey> =
            (1..path.len()).map(|depth| PathKey::new(&path[..depth])).collect();
        for key in &above {
            self.merge_path(document, known, folds, key);
            if self.sweep_cursor.is_some() {
                self.sweep(document, known, folds, key);
            }
        }
        // Where more than an object stands, what is shown depends on all below it.
        let top = PathKey::new(&path[..document.region(path)]);
        let below = self.staging.late.range(top.clone()..);
        let mut below: Vec<PathKey> = below
            .take_while(|(key, _)| key.starts_with(&top))
            .filter(|(_, staged)| !staged.merged)
            .map(|(key, _)| key.clone())
            .collect();
        self.staging.run.keys_below(&top, &self.run_done, &mut below);
        for key in &below {
            self.merge_path(document, known, folds, key);
        }
        if self.sweep_cursor.is_some() {
            for key in &document.keys_below(&top) {
                self.sweep(document, known, folds, key);
            }
        }
    }

    fn remove_next(&mut self, document: &mut Document, folds: &Folds) {
        let removal = &self.staging.removals[self.removals_done];
        document.fold_touch(&removal.key.segments());
        let seen = Arc::new(removal.seen_by(folds));
        let key = &removal.key;
        let is_there =
            |value: &Value| self.has(folds, key, value) || self.implied(folds, key, value);
        document.clear(key, removal.below, &seen, &self.ours, is_there);
        document.pass_on_removal(key, removal.below, &seen);
        self.removals_done += 1;
    }

    /// Merges the state of a path, if there is one and it is not merged yet.
    fn merge_path(
        &mut self,
        document: &mut Document,
        known: &Arc<VersionVector>,
        folds: &Folds,
        key: &PathKey,
    ) {
        if let Some(staged) = self.staging.late.get_mut(key) {
            if std::mem::replace(&mut staged.merged, true) {
                return;
            }
        } else {
            let there = self.staging.run.find(key, &mut self.near).is_some();
            if !there || self.near < self.run_done || !self.touched.insert(key.clone()) {
                return;
            }
        }
        if let Some(state) = self.staging.state(key, &mut self.near) {
            self.merge_state(document, known, folds, key, state);
        }
    }

    fn merge_state(
        &self,
        document: &mut Document,
        known: &Arc<VersionVector>,
        folds: &Folds,
        key: &PathKey,
        mut state: State,
    ) {
        folds.rename_state(&mut state);
        // An older state of a path may come with a younger whole value above it.
        let implied = |value: &Value| self.implied(folds, key, value);
        let id = document.merge(key, state, &self.theirs, &self.ours, known, implied);
        document.pass_on(key, id, known);
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Removes at a path of ours what the donor covered and did not send.
    fn sweep(
        &mut self,
        document: &mut Document,
        known: &Arc<VersionVector>,
        folds: &Folds,
        key: &PathKey,
    ) {
        if self.staging.contains(key, &mut self.near) {
            return;
        }
        let implied = |value: &Value| self.implied(folds, key, value);
        document.merge(key, State::default(), &self.theirs, &self.ours, known, implied);
    }

    /// Whether the donor has sent this value, or that it is left, at the path itself: when it noted that
    /// nothing is left there, it may have had it within a whole value above.
    fn has(&self, folds: &Folds, key: &PathKey, value: &Value) -> bool {
        let Some(mut state) = self.staging.state(key, &mut Position::default()) else {
            return false;
        };
        folds.rename_state(&mut state);
        state.values.iter().any(|theirs| theirs.same_write(value))
            || (state.kept.has_value(value) && !self.is_taken_later(folds, key, value))
    }

    /// Whether a removal takes a value that the state of the path before tells to be left.
    fn is_taken_later(&self, folds: &Folds, key: &PathKey, value: &Value) -> bool {
        let Some((_, before)) = self.staging.item(key, &mut Position::default()) else {
            return false;
        };
        let mut later = self.staging.removals_after(key, before);
        later.any(|removal| removal.seen_by(folds).covers(value.dot))
    }

    /// Whether the donor holds this piece within a value that it keeps whole, above the path.
    fn implied(&self, folds: &Folds, key: &PathKey, value: &Value) -> bool {
        let path = key.segments();
        for depth in (value.at as usize..path.len()).rev() {
            let above = PathKey::new(&path[..depth]);
            let Some(mut state) = self.staging.state(&above, &mut Position::default()) else {
                continue;
            };
            if state.kept.has_text(value) && !self.is_taken_later(folds, &above, value) {
                return true;
            }
            folds.rename_state(&mut state);
            let Some(above) = state.values.iter().find(|above| above.same_write(value)) else {
                continue;
            };
            return match &above.body {
                Body::Whole(text) => json::at(text, &path[depth..]).is_some(),
                _ => false,
            };
        }
        false
    }
}

fn decode_state(item: &[u8]) -> Result<State, Malformed> {
    match message::decode_item(item)?.0 {
        FeedItem::State { values, marks, parts, .. } => {
            let values = values.into_iter().map(Value::from).collect();
            Ok(State { values, marks, parts, kept: Kept::default() })
        }
        FeedItem::Kept { kept, .. } => Ok(State { kept, ..State::default() }),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::document::amount::Amount;
    use crate::engine::document::{Action, Op};
    use crate::engine::id::{Dot, ReplicaId};
    use crate::engine::wire::message::Kind;

    const OWN: Dot = Dot { replica: ReplicaId(1), counter: 1 };
    const OTHER: Dot = Dot { replica: ReplicaId(2), counter: 1 };

    fn apply(document: &mut Document, dot: Dot, path: &[&str], action: Action<'_>) {
        let op = Op { dot, hlc: 1, path, action, arrays: &[] };
        document.apply(&op, &Arc::default(), &Arc::default(), Whose::Remote);
    }

    fn vector(dots: &[Dot]) -> Arc<VersionVector> {
        Arc::new(dots.iter().map(|dot| (dot.replica, dot.counter)).collect())
    }

    /// The donor has noted, when it had the value already, that nothing was left at a path within.
    #[test]
    fn what_is_gone_at_a_path_may_stand_in_a_whole_value_above() {
        let (top, inner) = (PathKey::new(&["a"]), PathKey::new(&["a", "b"]));
        let mut donor = Document::new(0);
        apply(&mut donor, OWN, &["a"], Action::Set(r#"{"b":59.5}"#));
        let whole = donor.first_after(&PathKey::default()).expect("a node");
        let mut part = message::begin(Kind::Feed);
        message::append(&mut part, &FeedHead { id: 1, number: 0 });
        let values = donor.values(whole).collect();
        let key = top.as_bytes();
        let state = FeedItem::State { shared: 0, key, values, marks: vec![], parts: vec![] };
        message::append(&mut part, &state);
        let seen = vec![(OWN.replica, OWN.counter)];
        let removal = FeedItem::Removal { key: inner.as_bytes(), below: false, seen };
        message::append(&mut part, &removal);

        let mut document = Document::new(100);
        apply(&mut document, OWN, &["a"], Action::Set(r#"{"b":59.5}"#));
        let increment = Action::Increment { epoch: 1, total: Amount::from_f64(1.0), run: None };
        apply(&mut document, OTHER, &["a", "b"], increment);
        let mut staging = Staging::default();
        assert!(staging.take_part(&Bytes::from(part), &Limits::default()).expect("sound"));
        let (theirs, ours) = (vector(&[OWN]), vector(&[OWN, OTHER]));
        let mut merging = Merging::begin(staging, false, theirs, Arc::clone(&ours), &mut document);
        assert!(merging.step(&mut document, &ours, &Folds::default(), 100));
        let piece = document.first_after(&top).expect("a node");
        assert_eq!(document.key(piece), inner);
        assert!(document.values(piece).any(|value| value.dot == OWN), "the piece is gone");
        assert_goes_with_its_record(&document);
    }

    /// Whoever is told from here that nothing is left at `a.b` is told after that what is there.
    fn assert_goes_with_its_record(document: &Document) {
        let changes = document.describe_changes();
        let place = |what: &str| changes.iter().find(|(_, told)| told.starts_with(what)).unwrap().0;
        assert!(place("gone from a.b") < place("a.b"), "{changes:?}");
    }

    /// What a feed tells of a piece of a value that both sides have taken apart: that it is left, and that
    /// at its path is gone what the value's writer made.
    fn told_of_a_piece(removal_first: bool) -> Document {
        let inner = PathKey::new(&["a", "b"]);
        let document = || {
            let mut document = Document::new(100);
            apply(&mut document, OWN, &["a"], Action::Set(r#"{"b":59.5}"#));
            apply(&mut document, OTHER, &["a", "c"], Action::Set("1"));
            document
        };
        let donor = document();
        let both = vector(&[OWN, OTHER]);
        let piece = donor.first_after(&PathKey::new(&["a"])).expect("a node");
        let kept = donor.kept(piece, &both).expect("all of it is known");
        let left = FeedItem::Kept { shared: 0, key: inner.as_bytes(), kept };
        let seen = vec![(OWN.replica, OWN.counter)];
        let gone = FeedItem::Removal { key: inner.as_bytes(), below: false, seen };
        let mut part = message::begin(Kind::Feed);
        message::append(&mut part, &FeedHead { id: 1, number: 0 });
        let items = if removal_first { [gone, left] } else { [left, gone] };
        items.iter().for_each(|item| message::append(&mut part, item));

        let mut asker = document();
        let mut staging = Staging::default();
        assert!(staging.take_part(&Bytes::from(part), &Limits::default()).expect("sound"));
        let mut merging =
            Merging::begin(staging, false, Arc::clone(&both), Arc::clone(&both), &mut asker);
        assert!(merging.step(&mut asker, &both, &Folds::default(), 100));
        asker
    }

    /// The record is of when the donor had the value, but whole.
    #[test]
    fn what_is_gone_at_a_path_may_stand_there_since() {
        let asker = told_of_a_piece(true);
        let key = PathKey::new(&["a", "b"]);
        let piece = asker.first_after(&PathKey::new(&["a"])).expect("a node");
        assert_eq!(asker.key(piece), key);
        assert_goes_with_its_record(&asker);
    }

    #[test]
    fn what_was_left_may_be_gone_since() {
        let asker = told_of_a_piece(false);
        let next = asker.first_after(&PathKey::new(&["a"])).expect("a node");
        assert_eq!(asker.key(next), PathKey::new(&["a", "c"]));
    }
}
