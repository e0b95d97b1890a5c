//! Dead replicas folded into live ones.
//!
//! A fold is a write of a live replica. From it on, what the dead replica wrote counts as written
//! by the fold: values and marks change their dot, its counter parts become settled ones. That is
//! declared in one step and carried out path by path, in the background; a path that is touched
//! before its turn is done first, like a path that waits to be merged.

use super::path::PathKey;
use super::things::Part;
use super::tree::NodeId;
use super::watch::Whose;
use super::Document;
use crate::engine::id::{Dot, ReplicaId};
use crate::engine::rare::Rare;

/// One dead replica and the write that folds it.
#[derive(Clone, Debug)]
pub struct Fold {
    pub from: ReplicaId,
    /// Another fold of the same replica, made at the same time, which gives way to `into`.
    pub twin: Option<Dot>,
    pub into: Dot,
}

impl Fold {
    fn takes(&self, dot: Dot) -> bool {
        dot.replica == self.from || self.twin == Some(dot)
    }

    fn takes_part(&self, part: &Part) -> bool {
        part.replica == self.from || self.takes_twin(part)
    }

    fn takes_twin(&self, part: &Part) -> bool {
        part.settled && self.twin == Some(Dot::new(part.replica, part.epoch))
    }
}

/// Folds that are not carried out everywhere yet.
#[derive(Clone, Debug, Default)]
pub struct Folding {
    folds: Vec<Fold>,
    /// Paths up to here are done.
    cursor: PathKey,
}

impl Document {
    pub fn fold(&mut self, fold: Fold) {
        self.cuts_drop(fold.from);
        self.folding.folds.push(fold);
        self.folding.cursor = PathKey::default();
    }

    pub fn is_folding(&self) -> bool {
        !self.folding.folds.is_empty()
    }

    /// Carries folds out at about `paths` more paths.
    pub fn fold_some(&mut self, paths: usize) {
        let mut next = self.tree.first_after(&self.folding.cursor);
        for _ in 0..paths {
            let Some(id) = next else {
                self.folding = Folding::default();
                return;
            };
            self.fold_node(id);
            next = self.tree.next_in_order(id);
            if next.is_some() {
                self.folding.cursor = self.tree.key(id);
            }
        }
        if next.is_none() {
            self.folding = Folding::default();
        }
    }

    /// Carries folds out at a path, above it and below it.
    pub fn fold_touch<S: AsRef<str>>(&mut self, path: &[S]) {
        if !self.is_folding() {
            return;
        }
        let mut id = super::tree::ROOT;
        for segment in path {
            self.fold_node(id);
            match self.tree.child(id, segment.as_ref()) {
                Some(child) => id = child,
                None => return,
            }
        }
        for id in self.tree.subtree(id) {
            self.fold_node(id);
        }
    }

    /// Carries folds out at one node. Doing it again changes nothing.
    pub(super) fn fold_node(&mut self, id: NodeId) {
        if self.folding.folds.is_empty() || self.tree.node(id).is_empty() {
            return;
        }
        let folds = std::mem::take(&mut self.folding.folds);
        for fold in &folds {
            self.fold_values(id, fold);
            self.fold_parts(id, fold);
        }
        self.folding.folds = folds;
    }

    fn fold_values(&mut self, id: NodeId, fold: &Fold) {
        let node = self.tree.node(id);
        if node.values.iter().any(|value| fold.takes(value.dot)) {
            let values = std::mem::take(&mut self.tree.node_mut(id).values);
            for mut value in values {
                if fold.takes(value.dot) {
                    self.uncount_value(self.tree.node(id).path_hash, &value);
                    value.rename(fold.into);
                    value = self.count_value(id, value);
                }
                self.tree.node_mut(id).values.push(value);
            }
        }
        let path_hash = self.tree.node(id).path_hash;
        if self.tree.node(id).marks().iter().any(|mark| fold.takes(mark.dot)) {
            let mut marks = self.tree.node_mut(id).take_marks();
            for mark in marks.iter_mut().filter(|mark| fold.takes(mark.dot)) {
                self.uncount_mark(path_hash, mark);
                mark.rename(fold.into);
                self.count_mark(path_hash, mark);
            }
            self.tree.node_mut(id).set_marks(marks);
        }
    }

    fn fold_parts(&mut self, id: NodeId, fold: &Fold) {
        let node = self.tree.node_mut(id);
        for run in node.parts_mut().iter_mut().filter_map(|part| part.run.as_mut()) {
            if run.base.is_some_and(|base| fold.takes(base)) {
                run.base = Some(fold.into);
            }
        }
        if !node.parts().iter().any(|part| fold.takes_part(part)) {
            return;
        }
        let path_hash = node.path_hash;
        let (taken, mut parts): (Vec<Part>, Vec<Part>) =
            node.take_parts().into_iter().partition(|part| fold.takes_part(part));
        let mut stepped = false;
        for mut part in taken {
            self.uncount_part(path_hash, &part);
            stepped |= part.run.is_some();
            let is_twin = fold.takes_twin(&part);
            part.settle(fold.into);
            match parts.iter_mut().find(|other| other.slot() == part.slot()) {
                // Two folds of one replica settle the same increments: once is enough.
                Some(earlier) if is_twin && earlier.epoch >= part.epoch => {}
                Some(earlier) => {
                    self.rare.note(Rare::FoldsAbsorbed);
                    self.uncount_part(path_hash, earlier);
                    earlier.add_settled(&part);
                    self.count_part(path_hash, earlier);
                }
                None => {
                    self.count_part(path_hash, &part);
                    let at = parts.partition_point(|other| other.slot() < part.slot());
                    parts.insert(at, part);
                }
            }
        }
        self.tree.node_mut(id).set_parts(parts.into_iter().collect());
        if stepped {
            // Shown until now as its writer had added it up, from here on as the exact sum is.
            let key = self.tree.key(id);
            self.touch_path(&key.segments(), Whose::Remote);
        }
    }

    /// Everybody has seen the removals that a folded replica made or suffered.
    fn cuts_drop(&mut self, replica: ReplicaId) {
        self.retain_cuts(|cut| cut.replica != replica && cut.by.replica != replica);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::document::amount::Amount;
    use crate::engine::document::things::Run;
    use crate::engine::document::{Action, Op, Reading, State};

    const DEAD: ReplicaId = ReplicaId(1);

    /// The sums that are left at a path where two folds of one replica have met.
    fn sums_after(parts: Vec<Part>, stands: Dot, gives_way: Dot) -> Vec<f64> {
        let (key, nothing) = (PathKey::new(&["p"]), Arc::default());
        let mut document = Document::new(10);
        let state = State { parts, ..State::default() };
        let id = document.merge(&key, state, &nothing, &nothing, &nothing, |_| false);
        document.fold(Fold { from: DEAD, twin: Some(gives_way), into: stands });
        document.fold_some(usize::MAX);
        let parts = document.parts(id.expect("a part is here"));
        parts.iter().map(|part| part.sum().to_f64()).collect()
    }

    #[test]
    fn what_two_have_folded_counts_once() {
        let (stands, gives_way) = (Dot::new(ReplicaId(3), 2), Dot::new(ReplicaId(4), 7));
        let [first, second] = [stands, gives_way].map(|fold| Part::of(DEAD, 5, 3.0).settled(fold));
        assert_eq!(sums_after(vec![first, second.clone()], stands, gives_way), [3.0]);
        assert_eq!(sums_after(vec![second.clone()], stands, gives_way), [3.0]);
        // With something else that the first had settled before.
        let earlier = Part::of(DEAD, 5, 0.5).settled(Dot::new(ReplicaId(3), 1));
        assert_eq!(sums_after(vec![earlier, second], stands, gives_way), [3.5]);
    }

    /// A counter that one writer adds to shows what adding step by step gives, as long as it stands on
    /// the number that it began with.
    #[test]
    fn a_counter_stands_on_its_number_when_the_number_is_folded() {
        let mut document = Document::new(10);
        let (base, nothing) = (Dot::new(DEAD, 1), Arc::default());
        let run = Some(Run { base: Some(base), value: 42.5 });
        let increment = Action::Increment { epoch: 1, total: Amount::from_f64(2.0), run };
        for (dot, action) in [(base, Action::Set("1")), (Dot::new(ReplicaId(2), 1), increment)] {
            let op = Op { dot, hlc: 1, path: &["p"], action, arrays: &[] };
            document.apply(&op, &nothing, &nothing, Whose::Remote);
        }
        let shown = |document: &mut Document| document.reading(&["p"]).map(Reading::into_json);
        assert_eq!(shown(&mut document).as_deref(), Some("42.5"));
        document.fold(Fold { from: DEAD, twin: None, into: Dot::new(ReplicaId(3), 1) });
        document.fold_some(usize::MAX);
        assert_eq!(shown(&mut document).as_deref(), Some("42.5"));
    }
}
