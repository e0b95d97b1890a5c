//! The caller's side: jobs that were asked, until every node asked has an outcome.
//!
//! A job ends when the last outcome is in, at its deadline, or when it is cancelled; never later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::event::{End, Now, Running, Status};
use crate::engine::id::{JobId, ReplicaId};

#[derive(Clone, Debug, Default)]
pub struct Gathers {
    gathers: BTreeMap<JobId, Gather>,
    deadlines: BTreeSet<(u64, JobId)>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Gather {
    name: Arc<str>,
    started_ms: u64,
    deadline_ms: u64,
    pending: BTreeSet<ReplicaId>,
    /// Those that are in.
    settled: Vec<(ReplicaId, Status)>,
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

    /// The oldest of those whose name is of the application's, at most so many.
    pub fn running(&self, now: Now, own: &str, max: usize) -> Vec<Running> {
        let told = self.gathers.iter().filter(|(_, gather)| !gather.name.starts_with(own));
        let tell = |(&job, gather): (&JobId, &Gather)| {
            let settled = gather.settled.iter().map(|&(node, status)| (node, Some(status)));
            Running {
                job,
                name: gather.name.clone(),
                age_ms: now.monotonic_ms.saturating_sub(gather.started_ms),
                remaining_ms: gather.deadline_ms.saturating_sub(now.monotonic_ms),
                outcomes: settled.chain(gather.pending.iter().map(|&node| (node, None))).collect(),
            }
        };
        told.take(max).map(tell).collect()
    }

    /// Starts a job. With nobody to ask it has ended.
    pub fn start(
        &mut self,
        now: Now,
        name: &str,
        deadline_ms: u64,
        nodes: &[ReplicaId],
    ) -> (JobId, Settled) {
        self.last += 1;
        let job = JobId(self.last);
        if nodes.is_empty() {
            return (job, Settled::Ended(End::Complete));
        }
        let pending = nodes.iter().copied().collect();
        let (name, started_ms) = (name.into(), now.monotonic_ms);
        let gather = Gather { name, started_ms, deadline_ms, pending, settled: Vec::new() };
        self.gathers.insert(job, gather);
        self.deadlines.insert((deadline_ms, job));
        (job, Settled::GoesOn)
    }

    /// A node has its outcome.
    pub fn settle(&mut self, job: JobId, node: ReplicaId, status: Status) -> Settled {
        let Some(gather) = self.gathers.get_mut(&job) else { return Settled::Late };
        if !gather.pending.remove(&node) {
            return Settled::Late;
        }
        gather.settled.push((node, status));
        if !gather.pending.is_empty() {
            return Settled::GoesOn;
        }
        let is_late = gather.settled.iter().any(|&(_, status)| status == Status::Timeout);
        let end = if is_late { End::Timeout } else { End::Complete };
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
