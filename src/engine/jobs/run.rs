//! The other side: functions that run here for somebody, from their arrival to their answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::id::{JobId, ReplicaId, RunId};

#[derive(Clone, Debug, Default)]
pub struct Runs {
    runs: BTreeMap<RunId, Running>,
    by_job: BTreeMap<(ReplicaId, JobId), RunId>,
    deadlines: BTreeSet<(u64, RunId)>,
    per_caller: BTreeMap<ReplicaId, usize>,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub caller: ReplicaId,
    pub job: JobId,
    pub deadline_ms: u64,
    /// The application has it.
    pub handed_out: bool,
}

impl Runs {
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// How many run for a caller.
    pub fn count(&self, caller: ReplicaId) -> usize {
        self.per_caller.get(&caller).copied().unwrap_or(0)
    }

    /// `None`: it runs already.
    pub fn start(&mut self, caller: ReplicaId, job: JobId, deadline_ms: u64) -> Option<RunId> {
        if self.by_job.contains_key(&(caller, job)) {
            return None;
        }
        self.last += 1;
        let run = RunId(self.last);
        self.runs.insert(run, Running { caller, job, deadline_ms, handed_out: false });
        self.by_job.insert((caller, job), run);
        self.deadlines.insert((deadline_ms, run));
        *self.per_caller.entry(caller).or_default() += 1;
        Some(run)
    }

    /// Hands it to the application, unless it has ended or its time is over.
    pub fn hand_out(&mut self, now_ms: u64, run: RunId) -> Option<Running> {
        let running = self.runs.get_mut(&run).filter(|running| running.deadline_ms > now_ms)?;
        running.handed_out = true;
        Some(*running)
    }

    pub fn find(&self, caller: ReplicaId, job: JobId) -> Option<RunId> {
        self.by_job.get(&(caller, job)).copied()
    }

    pub fn remove(&mut self, run: RunId) -> Option<Running> {
        let running = self.runs.remove(&run)?;
        self.by_job.remove(&(running.caller, running.job));
        self.deadlines.remove(&(running.deadline_ms, run));
        if let Some(count) = self.per_caller.get_mut(&running.caller) {
            *count -= 1;
            if *count == 0 {
                self.per_caller.remove(&running.caller);
            }
        }
        Some(running)
    }

    pub fn postpone(&mut self, run: RunId, deadline_ms: u64) {
        if let Some(running) = self.runs.get_mut(&run) {
            self.deadlines.remove(&(running.deadline_ms, run));
            self.deadlines.insert((deadline_ms, run));
            running.deadline_ms = deadline_ms;
        }
    }

    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// A run whose time is over.
    pub fn next_due(&self, now_ms: u64) -> Option<RunId> {
        self.deadlines.first().filter(|&&(at, _)| at <= now_ms).map(|&(_, run)| run)
    }

    /// Those of one caller.
    pub fn of(&self, caller: ReplicaId) -> Vec<RunId> {
        let from = (caller, JobId(0));
        let to = (caller, JobId(u64::MAX));
        self.by_job.range(from..=to).map(|(_, &run)| run).collect()
    }

    pub fn all(&self) -> Vec<RunId> {
        self.runs.keys().copied().collect()
    }
}
