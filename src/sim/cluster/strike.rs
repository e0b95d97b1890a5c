//! What goes wrong, and how it is mended.

use std::collections::BTreeSet;

use super::{pairs, Cluster, Happening};
use crate::engine::{Command, Input};
use crate::sim::plan::Fault;
use crate::sim::Trouble;

/// How long an engine that was told to leave may take to say so.
const LEAVING_MS: u64 = 100;
const HOUR_MS: i64 = 3_600_000;

impl Cluster {
    pub(super) fn fault(&mut self) -> Result<(), Trouble> {
        let next = self.now + 1 + self.faults.gap(self.plan.fault_gap_ms);
        self.at(next, Happening::Fault);
        let end = self.now + 1 + self.faults.gap(self.plan.fault_length_ms);
        let nodes = self.plan.nodes;
        let node = self.faults.index(nodes);
        let other = (node + 1 + self.faults.index(nodes - 1)) % nodes;
        match *self.faults.pick(&self.plan.faults) {
            Fault::Cut => {
                if let Some((a, b)) = self.network.some_connected_pair() {
                    self.network.cut(self.now, a, b);
                }
            }
            Fault::Partition => {
                let side: Vec<bool> = (0..nodes).map(|_| self.faults.percent(50)).collect();
                let across: Vec<_> =
                    pairs(nodes).into_iter().filter(|&(a, b)| side[a] != side[b]).collect();
                for &(a, b) in &across {
                    self.network.sever(self.now, a, b);
                }
                self.at(end, Happening::Mend(across));
            }
            Fault::OneWay => {
                self.network.open_void(node, other);
                self.at(end, Happening::Mend(vec![(node, other)]));
            }
            Fault::Void => {
                let around: Vec<_> =
                    (0..nodes).filter(|&to| to != node).map(|to| (node, to)).collect();
                for &(a, b) in &around {
                    self.network.open_void(a, b);
                    self.network.open_void(b, a);
                }
                self.at(end, Happening::Mend(around));
            }
            Fault::Slow => {
                let bytes_per_ms = self.faults.between(5, 50);
                self.network.slow_down(node, other, bytes_per_ms, (50, 500));
                self.at(end, Happening::Mend(vec![(node, other)]));
            }
            Fault::Crash | Fault::PowerLoss if !self.may_end(node) => {}
            fault @ (Fault::Crash | Fault::PowerLoss) => {
                self.stop(node, fault == Fault::PowerLoss);
                self.perhaps_restart(node, end);
            }
            Fault::Leave => {
                if self.may_end(node) {
                    self.handle(node, Input::Command(Command::Leave))?;
                    if let Some(life) = &mut self.nodes[node].life {
                        life.leaving = true;
                        self.jobs.left(node);
                    }
                    self.at(self.now + LEAVING_MS, Happening::Gone(node));
                    self.perhaps_restart(node, end.max(self.now + LEAVING_MS + 1));
                }
            }
            Fault::Pause => {
                if let Some(life) = &mut self.nodes[node].life {
                    life.paused = true;
                    self.jobs.paused(node);
                    self.at(end, Happening::Resume(node));
                }
            }
            Fault::ClockJump => {
                let jump = *self.faults.pick(&[HOUR_MS, 60_000, 1_000]);
                let ahead = self.faults.percent(50);
                let error = &mut self.nodes[node].clock.error_ms;
                *error = (*error + if ahead { jump } else { -jump }).clamp(-HOUR_MS, HOUR_MS);
            }
        }
        Ok(())
    }

    /// The last one doesn't go: with it all state would.
    pub(super) fn may_end(&self, node: usize) -> bool {
        let stays =
            |node: &usize| self.nodes[*node].life.as_ref().is_some_and(|life| !life.leaving);
        let staying: Vec<usize> = (0..self.nodes.len()).filter(stays).collect();
        let paused = self.nodes[node].life.as_ref().is_some_and(|life| life.paused);
        staying.len() > 1 && staying.contains(&node) && !paused
    }

    pub(super) fn perhaps_restart(&mut self, node: usize, at: u64) {
        if self.faults.percent(self.plan.restart_percent) {
            self.at(at, Happening::Start(node));
        }
    }

    pub(super) fn mend(&mut self, pairs: &[(usize, usize)]) {
        let (bytes_per_ms, latency_ms) = (self.plan.bytes_per_ms, self.plan.latency_ms);
        let away = self.away;
        for &(a, b) in pairs.iter().filter(|&&(a, b)| away != Some(a) && away != Some(b)) {
            self.network.mend(self.now, a, b, bytes_per_ms, latency_ms);
        }
    }

    /// Cuts a node off, if the others hold together without it.
    pub(super) fn go_away(&mut self) {
        let node = self.faults.index(self.nodes.len());
        let mut reached = BTreeSet::from([(node + 1) % self.nodes.len()]);
        while let Some(more) = (0..self.nodes.len()).find(|&more| {
            let linked = |&one: &usize| {
                self.plan.connects[one].contains(&more) || self.plan.connects[more].contains(&one)
            };
            more != node && !reached.contains(&more) && reached.iter().any(linked)
        }) {
            reached.insert(more);
        }
        if reached.len() + 1 < self.nodes.len() {
            return;
        }
        self.away = Some(node);
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            self.network.sever(self.now, node, other);
        }
    }
}
