//! The asker's side of a pull.
//!
//! What a feed brings is kept beside the document until its end has arrived. Then the donor's
//! vector is taken over in one step, and from that moment the document *is* the union of both. The
//! paths are merged one after the other, in the background; whoever touches a path before its turn
//! has it merged first. So no unfinished feed is ever seen, by a reader, a writer or a peer, and
//! no hold of the lock is long.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::checks;
use super::folds::Folds;
use crate::engine::causality::VersionVector;
use crate::engine::config::Limits;
use crate::engine::document::json;
use crate::engine::document::path::PathKey;
use crate::engine::document::things::{Body, Cut, Value};
use crate::engine::document::watch::Whose;
use crate::engine::document::{Document, State};
use crate::engine::wire::message::{self, FeedHead, FeedItem, Malformed};

/// What a feed has brought so far.
#[derive(Clone, Debug, Default)]
pub struct Staging {
    states: BTreeMap<PathKey, Staged>,
    removals: Vec<Removal>,
    cuts: Vec<(PathKey, Cut)>,
    parts: u32,
    last_key: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Staged {
    state: Bytes,
    /// Removals that came later in the feed take from this state what they cover.
    less: Vec<Arc<VersionVector>>,
    merged: bool,
}

#[derive(Clone, Debug)]
struct Removal {
    key: PathKey,
    below: bool,
    seen: Arc<VersionVector>,
}

impl Staging {
    /// Takes a part. `Ok(false)` if one before it is missing.
    pub fn take_part(&mut self, message: &Bytes, limits: &Limits) -> Result<bool, Malformed> {
        let (head, mut rest): (FeedHead, &[u8]) = message::decode_head(message)?;
        if head.number != self.parts {
            return Ok(false);
        }
        self.parts += 1;
        self.last_key.clear();
        while !rest.is_empty() {
            let (item, next): (FeedItem, &[u8]) = message::decode_item(rest)?;
            let start = message.len() - rest.len();
            let end = message.len() - next.len();
            self.take_item(item, message.slice(start..end), limits)?;
            rest = next;
        }
        Ok(true)
    }

    pub fn parts(&self) -> u32 {
        self.parts
    }

    fn take_item(
        &mut self,
        item: FeedItem<'_>,
        bytes: Bytes,
        limits: &Limits,
    ) -> Result<(), Malformed> {
        match item {
            FeedItem::State { shared, key, values, marks, parts } => {
                if shared as usize > self.last_key.len() {
                    return Err(Malformed);
                }
                self.last_key.truncate(shared as usize);
                self.last_key.extend_from_slice(key);
                let key = PathKey::from_bytes(&self.last_key).ok_or(Malformed)?;
                checks::state(&key, &values, &marks, &parts, limits)?;
                self.states.insert(key, Staged { state: bytes, less: Vec::new(), merged: false });
            }
            FeedItem::Removal { key, below, seen } => {
                let key = PathKey::from_bytes(key).ok_or(Malformed)?;
                let seen: Arc<VersionVector> = Arc::new(seen.into_iter().collect());
                for (at, staged) in self.states.range_mut(key.clone()..) {
                    if !at.starts_with(&key) || (!below && *at != key) {
                        break;
                    }
                    staged.less.push(seen.clone());
                }
                self.removals.push(Removal { key, below, seen });
            }
            FeedItem::Cut { key, cut } => {
                checks::cut(&cut)?;
                let key = PathKey::from_bytes(key).ok_or(Malformed)?;
                self.cuts.push((key, cut));
            }
        }
        Ok(())
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
    /// Merged in the order of keys up to here.
    states_cursor: Option<PathKey>,
    states_done: bool,
    sweep_cursor: Option<PathKey>,
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
            states_cursor: None,
            states_done: false,
            sweep_cursor: Some(PathKey::default()),
        };
        for (key, cut) in std::mem::take(&mut merging.staging.cuts) {
            document.add_cut(key, cut, &merging.ours, Whose::Remote);
        }
        merging
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
        while !self.states_done {
            if paths == 0 {
                return false;
            }
            paths -= 1;
            let from = self.states_cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.staging.states.range::<PathKey, _>((from, Bound::Unbounded)).next();
            match next.map(|(key, _)| key.clone()) {
                Some(key) => {
                    self.merge_state(document, known, folds, &key);
                    self.states_cursor = Some(key);
                }
                None => self.states_done = true,
            }
        }
        while self.full {
            let Some(cursor) = self.sweep_cursor.take() else { break };
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
            self.merge_state(document, known, folds, key);
            if self.full {
                self.sweep(document, known, folds, key);
            }
        }
        // Where more than an object stands, what is shown depends on all below it.
        let top = PathKey::new(&path[..document.region(path)]);
        let below = self.staging.states.range(top.clone()..);
        let below: Vec<PathKey> = below
            .take_while(|(key, _)| key.starts_with(&top))
            .filter(|(_, staged)| !staged.merged)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &below {
            self.merge_state(document, known, folds, key);
        }
        if self.full {
            for key in &document.keys_below(&top) {
                self.sweep(document, known, folds, key);
            }
        }
    }

    fn remove_next(&mut self, document: &mut Document, folds: &Folds) {
        let removal = &self.staging.removals[self.removals_done];
        document.fold_touch(&removal.key.segments());
        let mut seen = removal.seen.as_ref().clone();
        folds.rename(&mut seen);
        folds.widen(&mut seen);
        let seen = Arc::new(seen);
        document.clear(&removal.key, removal.below, &seen, &self.ours);
        document.note_removal(removal.key.clone(), removal.below, &seen);
        self.removals_done += 1;
    }

    fn merge_state(
        &mut self,
        document: &mut Document,
        known: &Arc<VersionVector>,
        folds: &Folds,
        key: &PathKey,
    ) {
        let Some(staged) = self.staging.states.get_mut(key) else { return };
        if std::mem::replace(&mut staged.merged, true) {
            return;
        }
        // Decoding succeeded when it arrived.
        let mut state = decode_state(&staged.state).unwrap_or_default();
        for seen in &staged.less {
            state.values.retain(|value| !seen.covers(value.dot));
            state.marks.retain(|mark| !seen.covers(mark.dot));
            state.parts.retain(|part| !part.is_covered_by(seen));
        }
        folds.rename_state(&mut state);
        // An older state of a path may come with a younger whole value above it.
        let implied = |value: &Value| self.implied(folds, key, value);
        document.merge(key, state, &self.theirs, &self.ours, known, implied);
        document.pass_on(key, known);
    }

    /// A replica was folded meanwhile.
    pub fn rename(&mut self, folds: &Folds) {
        folds.rename(Arc::make_mut(&mut self.theirs));
        folds.widen(Arc::make_mut(&mut self.theirs));
        folds.rename(Arc::make_mut(&mut self.ours));
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
        if self.staging.states.contains_key(key) {
            return;
        }
        let implied = |value: &Value| self.implied(folds, key, value);
        document.merge(key, State::default(), &self.theirs, &self.ours, known, implied);
    }

    /// Whether the donor holds this piece within a value that it keeps whole, above the path.
    fn implied(&self, folds: &Folds, key: &PathKey, value: &Value) -> bool {
        let path = key.segments();
        for depth in (value.at as usize..path.len()).rev() {
            let Some(staged) = self.staging.states.get(&PathKey::new(&path[..depth])) else {
                continue;
            };
            let mut state = decode_state(&staged.state).unwrap_or_default();
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
            Ok(State { values: values.into_iter().map(Value::from).collect(), marks, parts })
        }
        _ => Err(Malformed),
    }
}
