//! How many runs had each kind of fault, and went each of the rare ways through the engine.

use std::fmt;

use super::faults::{Fault, Faults};
use crate::engine::rare::{Gone, Rare};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub runs: u64,
    faults: [u64; Fault::ALL.len()],
    rare: [u64; Rare::ALL.len()],
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage { runs: 0, faults: [0; Fault::ALL.len()], rare: [0; Rare::ALL.len()] }
    }
}

impl Coverage {
    /// Of one run.
    pub fn of(faults: Faults, rare: Gone) -> Self {
        Coverage {
            runs: 1,
            faults: std::array::from_fn(|at| u64::from(faults.has(Fault::ALL[at]))),
            rare: std::array::from_fn(|at| u64::from(rare.has(Rare::ALL[at]))),
        }
    }

    pub fn add(&mut self, other: &Coverage) {
        self.runs += other.runs;
        self.faults.iter_mut().zip(&other.faults).for_each(|(all, one)| *all += one);
        self.rare.iter_mut().zip(&other.rare).for_each(|(all, one)| *all += one);
    }

    pub fn runs_with(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// Names, meanings, and the runs that had them.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let faults = Fault::ALL.iter().zip(&self.faults);
        let rare = Rare::ALL.iter().zip(&self.rare);
        faults
            .map(|(fault, &runs)| (fault.name(), fault.what(), runs))
            .chain(rare.map(|(rare, &runs)| (rare.name(), rare.what(), runs)))
    }

    /// What fewer than one run in a hundred had.
    pub fn missed(&self) -> Vec<&'static str> {
        let missed = self.all().filter(|&(_, _, runs)| runs * 100 < self.runs);
        missed.map(|(name, ..)| name).collect()
    }
}

/// A table, a line a name.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, what, runs) in self.all() {
            let percent = runs as f64 * 100.0 / self.runs.max(1) as f64;
            writeln!(f, "{percent:>6.1} %  {name:<20} {what}")?;
        }
        Ok(())
    }
}
