//! What a path can hold. `docs/replication.md` defines each.

use ecow::EcoString;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::amount::Amount;
use super::tree::text_bytes;
use crate::engine::causality::VersionVector;
use crate::engine::clock::Stamp;
use crate::engine::id::{Dot, Rank, ReplicaId};

/// A root or a piece: what one SET wrote at this path.
#[derive(Clone, Debug)]
pub struct Value {
    pub dot: Dot,
    pub hlc: u64,
    pub body: Body,
    pub rank: Rank,
    /// Segments of the path of its SET; equal to the depth of this path for a root.
    pub at: u8,
    /// It is counted in the document's hash.
    pub(super) hashed: bool,
}

/// The content of a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// JSON text of a scalar.
    Scalar(EcoString),
    /// JSON text of an object or array that nothing was written below yet. It stands for the shell
    /// here and the pieces below. Only where the tree has no child.
    Whole(EcoString),
    /// The shell of an object; its pieces stand below.
    Object,
    /// The shell of an array of this length.
    Array(u32),
}

/// "Something is or was below": the latest write below that had seen all earlier marks here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub dot: Dot,
    pub hlc: u64,
    pub rank: Rank,
    /// Of an array; `None` for an object.
    pub length: Option<u32>,
}

/// The INCREMENTs of one replica at this path that no write has removed: those with dots above
/// `low`, up to `high`.
///
/// After Weidner and Almeida, "An Oblivious Observed-Reset Embeddable Replicated Counter" (PaPoC
/// 2022): totals run from the first increment after the part was last removed whole (`epoch`), so a
/// removal that saw a prefix is the pair of that prefix's last dot and total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub replica: ReplicaId,
    pub hlc: u64,
    pub rank: Rank,
    /// Counter of the first increment that the totals count.
    pub epoch: u64,
    /// All increments up to this counter are removed; `epoch - 1` if none is.
    pub low: u64,
    pub low_total: Amount,
    pub high: u64,
    pub high_total: Amount,
    pub run: Option<Run>,
    /// Not the replica's own increments but those of a dead one, folded by its write `epoch`.
    pub settled: bool,
}

/// What JavaScript would have got, adding step by step: see "Numbers" in `docs/replication.md`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The scalar it started from.
    pub base: Option<Dot>,
    pub value: f64,
}

/// A removal that saw a part of a replica's increments at a path: enough to take exactly these
/// from a counter that has seen more.
///
/// Kept until that replica is known to have seen the removal; from then on no counter anywhere
/// can be in need of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The removing write.
    pub by: Dot,
    /// Whose increments.
    pub replica: ReplicaId,
    pub epoch: u64,
    /// The last increment removed.
    pub counter: u64,
    pub total: Amount,
}

/// Tells a value or a mark from all others that were ever at its path, to those who have it: its
/// stamp, hashed. It stays when the write's replica is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 8]);

impl Fingerprint {
    /// `rank` is that of the writer.
    fn new(hlc: u64, rank: Rank, at: u8, form: u8) -> Self {
        let mut bytes = [0; 14];
        bytes[..8].copy_from_slice(&hlc.to_le_bytes());
        bytes[8..12].copy_from_slice(&rank.to_bits().to_le_bytes());
        bytes[12..].copy_from_slice(&[at, form]);
        Fingerprint(xxh3_64(&bytes).to_le_bytes())
    }

    pub fn of_mark(hlc: u64, rank: Rank) -> Self {
        Self::new(hlc, rank, 0, 0)
    }

    /// Of what a SET at a path of so many segments has made, kept as a text.
    pub fn of_text(hlc: u64, rank: Rank, at: u8) -> Self {
        Self::new(hlc, rank, at, 1)
    }

    /// Of the same, its pieces apart.
    pub fn of_shell(hlc: u64, rank: Rank, at: u8) -> Self {
        Self::new(hlc, rank, at, 2)
    }
}

impl Value {
    pub fn new(dot: Dot, hlc: u64, at: usize, body: Body) -> Self {
        Value { dot, hlc, body, rank: Rank::OWN, at: at as u8, hashed: false }
    }

    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.hlc, self.rank, self.dot.replica)
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.body, Body::Whole(_))
    }

    pub fn is_shell(&self) -> bool {
        matches!(self.body, Body::Object | Body::Array(_))
    }

    pub fn fingerprint(&self) -> Fingerprint {
        match self.is_shell() {
            false => self.fingerprint_of_text(),
            true => self.fingerprint_of_shell(),
        }
    }

    /// That of the same value where it is kept as a text.
    pub fn fingerprint_of_text(&self) -> Fingerprint {
        Fingerprint::of_text(self.hlc, self.rank.or_of(self.dot.replica), self.at)
    }

    /// That of the same value where its pieces are apart.
    pub fn fingerprint_of_shell(&self) -> Fingerprint {
        Fingerprint::of_shell(self.hlc, self.rank.or_of(self.dot.replica), self.at)
    }

    /// What it takes, about.
    pub fn bytes(&self) -> usize {
        let text = match &self.body {
            Body::Scalar(text) | Body::Whole(text) => text_bytes(text),
            Body::Object | Body::Array(_) => 0,
        };
        size_of::<Value>() + text
    }

    /// Gives it the dot of a fold.
    pub fn rename(&mut self, into: Dot) {
        self.rank = self.rank.or_of(self.dot.replica);
        self.dot = into;
    }

    /// Whether both are what the same SET wrote here. What several wrote may have one dot: that of a
    /// fold.
    pub fn same_write(&self, other: &Value) -> bool {
        self.dot == other.dot && self.at == other.at && self.stamp() == other.stamp()
    }
}

impl Body {
    /// From the JSON text of any value.
    pub fn from_json(json: &str) -> Self {
        match super::json::kind(json) {
            super::json::Kind::Scalar => Body::Scalar(json.into()),
            _ => Body::Whole(json.into()),
        }
    }

    pub fn is_scalar(&self) -> bool {
        matches!(self, Body::Scalar(_))
    }
}

impl Mark {
    /// Gives it the dot of a fold.
    pub fn rename(&mut self, into: Dot) {
        self.rank = self.rank.or_of(self.dot.replica);
        self.dot = into;
    }

    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.hlc, self.rank, self.dot.replica)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_mark(self.hlc, self.rank.or_of(self.dot.replica))
    }

    /// Whether both are of the same write. Those of several may have one dot: that of a fold.
    pub fn same_write(&self, other: &Mark) -> bool {
        self.dot == other.dot && self.stamp() == other.stamp()
    }
}

impl Part {
    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.hlc, self.rank, self.replica)
    }

    /// What tells parts at one path apart: a replica's own increments are one part, those of all the
    /// dead that it folded another.
    pub fn slot(&self) -> (ReplicaId, bool) {
        (self.replica, self.settled)
    }

    /// What it takes, about.
    pub fn bytes(&self) -> usize {
        size_of::<Part>() + self.low_total.bytes_beside() + self.high_total.bytes_beside()
    }

    /// Whether a vector covers all its increments.
    pub fn is_covered_by(&self, seen: &VersionVector) -> bool {
        match self.settled {
            true => seen.covers(Dot::new(self.replica, self.epoch)),
            false => seen.get(self.replica) >= self.high,
        }
    }

    /// The sum of the increments that are left.
    pub fn sum(&self) -> Amount {
        self.high_total.minus(&self.low_total)
    }

    /// Whether nothing was removed from it.
    pub fn is_uncut(&self) -> bool {
        self.low < self.epoch
    }

    /// Makes it what a fold of its replica makes of it.
    pub fn settle(&mut self, into: Dot) {
        *self = Part {
            replica: into.replica,
            hlc: self.hlc,
            rank: self.rank.or_of(self.replica),
            epoch: into.counter,
            low: into.counter - 1,
            low_total: Amount::ZERO,
            high: into.counter,
            high_total: self.sum(),
            run: None,
            settled: true,
        };
    }

    /// Adds what another fold of the same replica has settled: the last of its folds names both.
    pub fn add_settled(&mut self, other: &Part) {
        let high = self.high.max(other.high);
        (self.epoch, self.low, self.high) = (high, high - 1, high);
        self.high_total = self.high_total.plus(&other.high_total);
        (self.hlc, self.rank) = (self.hlc, self.rank).max((other.hlc, other.rank));
    }

    /// Takes away the increments up to `counter`. False if none is left: drop the part.
    pub fn cut(&mut self, counter: u64, total: &Amount) -> bool {
        if counter >= self.high {
            return false;
        }
        if counter > self.low {
            self.low = counter;
            self.low_total = total.clone();
            self.run = None;
        }
        true
    }
}

#[cfg(test)]
impl Part {
    /// The increments of a replica up to this one, with this sum.
    pub fn of(replica: ReplicaId, high: u64, sum: f64) -> Part {
        Part {
            replica,
            hlc: 1,
            rank: Rank::OWN,
            epoch: 1,
            low: 0,
            low_total: Amount::ZERO,
            high,
            high_total: Amount::from_f64(sum),
            run: None,
            settled: false,
        }
    }

    /// The same, folded.
    pub fn settled(mut self, into: Dot) -> Part {
        self.settle(into);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_does_not_change_a_fingerprint() {
        let (dot, into) = (Dot::new(ReplicaId(7 << 32), 3), Dot::new(ReplicaId(8 << 32), 9));
        let again = Dot::new(ReplicaId(6 << 32), 1);
        for body in [Body::Scalar("1".into()), Body::Whole("{}".into()), Body::Object] {
            let mut value = Value::new(dot, 5, 2, body);
            let before = (value.fingerprint(), value.fingerprint_of_text());
            value.rename(into);
            value.rename(again);
            assert_eq!((value.fingerprint(), value.fingerprint_of_text()), before);
            let other = Value::new(again, 5, 2, value.body.clone());
            assert_ne!(other.fingerprint(), value.fingerprint());
        }
        let mut mark = Mark { dot, hlc: 5, rank: Rank::OWN, length: None };
        let before = mark.fingerprint();
        mark.rename(into);
        assert_eq!(mark.fingerprint(), before);
    }
}
