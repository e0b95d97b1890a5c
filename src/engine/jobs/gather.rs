//! The caller's side: jobs that were asked, until every node asked has an outcome.
//!
//! A job ends when the last outcome is in, at its deadline, or when it is cancelled; never later.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::event::End;
use crate::engine::id::{JobId, ReplicaId};

#[derive(Clone, Debug, Default)]
pub struct Gathers {
    gathers: BTreeMap<JobId, Gather>,
    deadlines: BTreeSet<(u64, JobId)>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Gather {
    deadline_ms: u64,
    pending: BTreeSet<ReplicaId>,
    timed_out: bool,
}

/// What an outcome did to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The job has ended, or the node has an outcome already: this one does not count.
    Late,
    /// Others are pending.
    GoesOn,
    Ended(End),
}

impl Gathers {
    pub fn len(&self) -> usize {
        self.gathers.len()
    }

    /// Starts a job. With nobody to ask it has ended.
    pub fn start(&mut self, deadline_ms: u64, nodes: &[ReplicaId]) -> (JobId, Settled) {
        self.last += 1;
        let job = JobId(self.last);
        if nodes.is_empty() {
            return (job, Settled::Ended(End::Complete));
        }
        let pending = nodes.iter().copied().collect();
        self.gathers.insert(job, Gather { deadline_ms, pending, timed_out: false });
        self.deadlines.insert((deadline_ms, job));
        (job, Settled::GoesOn)
    }

    /// A node has its outcome.
    pub fn settle(&mut self, job: JobId, node: ReplicaId, by_timeout: bool) -> Settled {
        let Some(gather) = self.gathers.get_mut(&job) else { return Settled::Late };
        if !gather.pending.remove(&node) {
            return Settled::Late;
        }
        gather.timed_out |= by_timeout;
        if !gather.pending.is_empty() {
            return Settled::GoesOn;
        }
        let end = if gather.timed_out { End::Timeout } else { End::Complete };
        self.remove(job);
        Settled::Ended(end)
    }

    /// Ends a job, and gives the nodes that have no outcome.
    pub fn remove(&mut self, job: JobId) -> Option<BTreeSet<ReplicaId>> {
        let gather = self.gathers.remove(&job)?;
        self.deadlines.remove(&(gather.deadline_ms, job));
        Some(gather.pending)
    }

    /// Moves the deadline, and gives the nodes that should know.
    pub fn postpone(&mut self, job: JobId, deadline_ms: u64) -> Option<&BTreeSet<ReplicaId>> {
        let gather = self.gathers.get_mut(&job)?;
        self.deadlines.remove(&(gather.deadline_ms, job));
        self.deadlines.insert((deadline_ms, job));
        gather.deadline_ms = deadline_ms;
        Some(&gather.pending)
    }

    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// A job whose time is over.
    pub fn next_due(&self, now_ms: u64) -> Option<JobId> {
        self.deadlines.first().filter(|&&(at, _)| at <= now_ms).map(|&(_, job)| job)
    }

    pub fn all(&self) -> Vec<JobId> {
        self.gathers.keys().copied().collect()
    }

    /// The jobs that wait for a node.
    pub fn waiting_for(&self, node: ReplicaId) -> Vec<JobId> {
        let waits = |(_, gather): &(&JobId, &Gather)| gather.pending.contains(&node);
        self.gathers.iter().filter(waits).map(|(&job, _)| job).collect()
    }
}
