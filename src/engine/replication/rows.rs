//! What we know of the vectors of all replicas, and what follows from it.
//!
//! Needed to forget: a record may go once everybody who could need it is known to have seen what it
//! tells.

use std::collections::BTreeMap;

use super::folds::Folds;
use crate::engine::causality::VersionVector;
use crate::engine::document::things::Cut;
use crate::engine::id::{Dot, ReplicaId};

#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: BTreeMap<ReplicaId, VersionVector>,
    /// Of our writes, those that a replica has answered that it covers. That is no vector: it may
    /// have written something before that we know nothing of.
    confirmed: BTreeMap<ReplicaId, u64>,
}

impl Rows {
    /// A replica covers at least this, and had written no more when it did.
    pub fn learn(&mut self, replica: ReplicaId, vector: &VersionVector) {
        self.rows.entry(replica).or_default().join(vector);
    }

    /// A replica covers so many of our writes.
    pub fn learn_confirmed(&mut self, replica: ReplicaId, counter: u64) {
        let confirmed = self.confirmed.entry(replica).or_default();
        *confirmed = counter.max(*confirmed);
    }

    pub fn confirmed(&self, replica: ReplicaId) -> u64 {
        self.confirmed.get(&replica).copied().unwrap_or(0)
    }

    pub fn get(&self, replica: ReplicaId) -> Option<&VersionVector> {
        self.rows.get(&replica)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, &VersionVector)> {
        self.rows.iter().map(|(&replica, row)| (replica, row))
    }

    pub fn retain(&mut self, mut known: impl FnMut(ReplicaId) -> bool) {
        self.rows.retain(|&replica, _| known(replica));
        self.confirmed.retain(|&replica, _| known(replica));
    }

    /// A replica was folded: it is no longer known by its name.
    pub fn rename(&mut self, folds: &Folds) {
        self.rows.retain(|&replica, _| !folds.is_folded(replica));
        self.confirmed.retain(|&replica, _| !folds.is_folded(replica));
        self.rows.values_mut().for_each(|row| folds.rename(row));
    }

    /// Whether all of these are known to cover a write.
    pub fn all_cover(&self, dot: Dot, replicas: &[ReplicaId]) -> bool {
        replicas.iter().all(|id| self.rows.get(id).is_some_and(|row| row.covers(dot)))
    }

    /// Whether anybody may still need a cut: until its owner has seen the removal, and we hold
    /// everything that the owner wrote before it had. From then on what is left of the owner's
    /// counter says by itself where it was cut, or that counter has begun anew.
    pub fn needs_cut(&self, cut: &Cut, own: ReplicaId, vector: &VersionVector) -> bool {
        // A cut of increments that nobody is known to have made is no use to anybody.
        if cut.replica == own || vector.get(cut.replica) == 0 {
            return false;
        }
        match self.rows.get(&cut.replica) {
            Some(row) => !row.covers(cut.by) || vector.get(cut.replica) < row.get(cut.replica),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::document::amount::Amount;

    const OWN: ReplicaId = ReplicaId(1);
    const OWNER: ReplicaId = ReplicaId(2);
    const BY: Dot = Dot { replica: ReplicaId(3), counter: 5 };

    fn vector(owner: u64, by: u64) -> VersionVector {
        [(OWNER, owner), (BY.replica, by)].into_iter().collect()
    }

    #[test]
    fn a_cut_is_needed_until_its_owner_has_seen_it_and_all_it_wrote_before_is_here() {
        let total = Amount::from_f64(1.0);
        let cut = Cut { by: BY, replica: OWNER, epoch: 1, counter: 4, total };
        let mut rows = Rows::default();
        assert!(rows.needs_cut(&cut, OWN, &vector(9, 5)), "nothing is known of its owner");
        rows.learn(OWNER, &vector(7, 4));
        assert!(rows.needs_cut(&cut, OWN, &vector(9, 5)), "its owner has not seen it");
        rows.learn(OWNER, &vector(8, 5));
        assert!(rows.needs_cut(&cut, OWN, &vector(7, 5)), "a write made before is not here");
        assert!(!rows.needs_cut(&cut, OWN, &vector(8, 5)));
        assert!(!rows.needs_cut(&cut, OWNER, &vector(7, 5)), "it is the owner");
    }
}
