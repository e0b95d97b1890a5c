//! What goes wrong, and how it is mended.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{alias, pairs, Cluster, Happening, Life, Strobe};
use crate::engine::{Command, Input};
use crate::sim::faults::Fault;
use crate::sim::model::Kind;
use crate::sim::plan::SPLIT_MS;
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
        let fault = *self.faults.pick(&self.strikes);
        if fault.ends_lives() && !self.may_end(node) {
            return Ok(());
        }
        self.struck.add(fault);
        match fault {
            Fault::LinkReset => {
                if let Some((a, b)) = self.network.some_connected_pair() {
                    self.network.cut(self.now, a, b);
                }
            }
            Fault::PartitionHalves => {
                let side: Vec<bool> = (0..nodes).map(|_| self.faults.percent(50)).collect();
                self.part(end, |a, b| side[a] != side[b]);
            }
            Fault::PartitionRing => {
                let mut ring: Vec<usize> = (0..nodes).collect();
                for place in (1..nodes).rev() {
                    ring.swap(place, self.faults.index(place + 1));
                }
                // To both sides so far that with the node itself it is a majority.
                let reach = (nodes / 2).div_ceil(2);
                self.part(end, |a, b| {
                    let apart = ring[a].abs_diff(ring[b]);
                    apart.min(nodes - apart) > reach
                });
            }
            Fault::OneWay => {
                self.network.open_void(node, other);
                self.at(end, Happening::Mend(vec![(node, other)]));
            }
            Fault::PartitionOne => {
                let around = around(node, nodes);
                for &(a, b) in &around {
                    self.network.open_void(a, b);
                    self.network.open_void(b, a);
                }
                self.at(end, Happening::Mend(around));
            }
            Fault::HalfOpen => self.network.half_open(node, other),
            Fault::Delay => {
                let bytes_per_ms = self.faults.between(5, 50);
                self.network.slow_down(node, other, bytes_per_ms, (50, 500));
                self.at(end, Happening::Mend(vec![(node, other)]));
            }
            Fault::SlowReader => {
                let bytes_per_ms = self.faults.between(1, 10);
                self.network.slow_reader(node, bytes_per_ms);
                self.at(end, Happening::Mend(around(node, nodes)));
            }
            Fault::DuplicateLink => {
                if self.nodes[node].life.as_ref().is_some_and(|life| !life.leaving) {
                    let command = Command::Connect { address: alias(other), announce: false };
                    self.handle(node, Input::Command(command))?;
                    if self.faults.percent(50) {
                        let at = self.now + self.faults.between(5, 500);
                        self.at(at, Happening::CutOldest(node, other));
                    }
                }
            }
            Fault::Crash | Fault::PowerLoss => {
                self.stop(node, fault == Fault::PowerLoss);
                self.perhaps_restart(node, end);
            }
            Fault::Comeback => {
                let power_lost = self.faults.percent(50);
                self.stop(node, power_lost);
                let back = self.now + self.faults.below(3);
                self.at(back, Happening::Start(node));
            }
            Fault::CrashDonor | Fault::CrashAsker => self.armed = Some(fault),
            Fault::Leave => {
                self.leave(node)?;
                self.perhaps_restart(node, end.max(self.now + LEAVING_MS + 1));
            }
            Fault::Freeze => self.freeze(node, end),
            Fault::FreezeLong => {
                let loss_ms = self.plan.config.loss_timeout_ms;
                let length = loss_ms + self.faults.between(500, 4_000);
                self.freeze(node, self.now + length);
            }
            Fault::ClockJump => {
                let jump = *self.faults.pick(&[HOUR_MS, 60_000, 1_000]);
                let ahead = self.faults.percent(50);
                let error = &mut self.nodes[node].clock.error_ms;
                *error = (*error + if ahead { jump } else { -jump }).clamp(-HOUR_MS, HOUR_MS);
            }
            Fault::ClockStrobe => {
                let by_ms = *self.faults.pick(&[50, 1_000, 60_000]);
                let every_ms = self.faults.between(5, 300);
                self.strobe(Strobe { node, by_ms, every_ms, until: end });
            }
            Fault::MassDelete => self.delete_all(node % self.plan.writers)?,
            Fault::Reorder
            | Fault::DoubleDial
            | Fault::Crowd
            | Fault::Outrun
            | Fault::Forgotten
            | Fault::SplitDeath
            | Fault::Storm
            | Fault::SharedAddress
            | Fault::NewerMinor
            | Fault::ClockDrift
            | Fault::LargeValues
            | Fault::DeepPaths
            | Fault::HotKey => {}
        }
        Ok(())
    }

    /// Severs the ways between nodes that are apart, for a while.
    fn part(&mut self, end: u64, apart: impl Fn(usize, usize) -> bool) {
        let pairs = pairs(self.plan.nodes).into_iter();
        let across: Vec<_> = pairs.filter(|&(a, b)| apart(a, b)).collect();
        for &(a, b) in &across {
            self.network.sever(self.now, a, b);
        }
        self.at(end, Happening::Mend(across));
    }

    fn freeze(&mut self, node: usize, until: u64) {
        if let Some(life) = &mut self.nodes[node].life {
            life.paused = true;
            self.jobs.paused(node);
            self.at(until, Happening::Resume(node));
        }
    }

    pub(super) fn strobe(&mut self, strobe: Strobe) {
        let Strobe { node, by_ms, every_ms, until } = strobe;
        self.nodes[node].clock.error_ms += by_ms;
        // An even number of leaps, so that it ends where it began.
        if self.now < until || by_ms > 0 {
            let next = Strobe { by_ms: -by_ms, ..strobe };
            self.at(self.now + every_ms, Happening::Strobe(next));
        }
    }

    fn delete_all(&mut self, node: usize) -> Result<(), Trouble> {
        let able = |life: &Life| !life.leaving && !life.paused;
        if !self.nodes[node].life.as_ref().is_some_and(able) {
            return Ok(());
        }
        if let Some(Value::Object(members)) = self.shown(node, &[])? {
            for name in members.keys() {
                self.write(node, std::slice::from_ref(name), Kind::Delete)?;
            }
        }
        Ok(())
    }

    /// A node in the middle of a feed, if one was to crash there.
    pub(super) fn spring(&mut self, node: usize) {
        let Some(fault) = self.armed else { return };
        let engine = self.nodes[node].life.as_ref().map(|life| &life.engine);
        let there = engine.is_some_and(|engine| match fault {
            Fault::CrashDonor => engine.is_feeding(),
            _ => engine.is_fed(),
        });
        if there && self.may_end(node) {
            self.armed = None;
            self.at(self.now, Happening::Crash(node));
        }
    }

    pub(super) fn crash(&mut self, node: usize, power_lost: bool) {
        if self.may_end(node) {
            self.stop(node, power_lost);
            let end = self.now + 1 + self.faults.gap(self.plan.fault_length_ms);
            self.perhaps_restart(node, end);
        }
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
        let sides = self.sides.as_deref();
        let together = |&&(a, b): &&(usize, usize)| sides.is_none_or(|sides| sides[a] == sides[b]);
        for &(a, b) in pairs.iter().filter(together) {
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
        self.keep_apart((0..self.nodes.len()).map(|other| other == node).collect());
    }

    /// Kills any but the first, which is back soon.
    pub(super) fn kill_one(&mut self) {
        let Some(storm) = self.plan.storm else { return };
        let next = self.now + 1 + self.faults.gap(storm.every_ms);
        self.at(next, Happening::Kill);
        let node = 1 + self.faults.index(self.plan.nodes - 1);
        if self.may_end(node) {
            self.stop(node, false);
            let back = self.now + self.faults.below(storm.back_ms + 1);
            self.at(back, Happening::Start(node));
        }
    }

    /// The node that writes leaves for good, and the others soon take sides.
    pub(super) fn split_death(&mut self) -> Result<(), Trouble> {
        if self.may_end(0) {
            self.leave(0)?;
        }
        self.at(self.now + 2 * LEAVING_MS, Happening::Split);
        Ok(())
    }

    pub(super) fn split(&mut self) {
        let sides = (0..self.nodes.len()).map(|_| self.faults.percent(50)).collect();
        self.keep_apart(sides);
        self.at(self.now + SPLIT_MS, Happening::Rejoin);
    }

    pub(super) fn rejoin(&mut self) {
        self.sides = None;
        self.mend(&pairs(self.nodes.len()));
    }

    fn keep_apart(&mut self, sides: Vec<bool>) {
        for (a, b) in pairs(self.nodes.len()).into_iter().filter(|&(a, b)| sides[a] != sides[b]) {
            self.network.sever(self.now, a, b);
        }
        self.sides = Some(sides);
    }

    fn leave(&mut self, node: usize) -> Result<(), Trouble> {
        self.handle(node, Input::Command(Command::Leave))?;
        if let Some(life) = &mut self.nodes[node].life {
            life.leaving = true;
            self.jobs.left(node);
        }
        self.at(self.now + LEAVING_MS, Happening::Gone(node));
        Ok(())
    }
}

/// The ways between a node and all others.
fn around(node: usize, nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes).filter(|&to| to != node).map(|to| (node, to)).collect()
}
