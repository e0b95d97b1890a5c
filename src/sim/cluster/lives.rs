//! Processes start, end and pause.

use std::collections::{BTreeSet, VecDeque};

use super::{address, Clock, Cluster, Happening, Life, Watch};
use crate::engine::{Command, Context, Engine, Input, Now};
use crate::sim::chance::Chance;
use crate::sim::onlookers::Onlooker;
use crate::sim::plan::Plan;
use crate::sim::Trouble;

/// Some day in 2025.
const WALL_START_MS: u64 = 1_750_000_000_000;

impl Cluster {
    pub(super) fn start(&mut self, node: usize) -> Result<(), Trouble> {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        let seed = self.chance.seed();
        let origin_ms = *self.chance.pick(&[0, 1_000_000]);
        let mut config = self.plan.config.clone();
        config.advertised = (!self.plan.silent[node]).then(|| address(self.plan.advertises[node]));
        if self.plan.observer == Some(node) {
            (config.observer, config.learn_addresses) = (true, false);
        }
        let now = Now {
            monotonic_ms: self.now + origin_ms,
            wall_ms: self.nodes[node].clock.wall_ms(self.now),
        };
        let mut engine = Engine::new(config, seed, now);
        let watches: Vec<Watch> = (0..3)
            .map(|_| {
                let path = self.workload.some_path();
                let segments: Vec<&str> = path.iter().map(String::as_str).collect();
                let slot = engine.watch(&segments);
                Watch { path, slot, shown: None }
            })
            .collect();
        let above = watches[0].path.split_last().map_or(&[][..], |(_, above)| above);
        let observed = [&[][..], above, &watches[1].path];
        let onlookers = observed.map(|path| Onlooker::new(&mut engine, path)).into();
        self.jobs.started(self.now, node, &mut engine);
        self.nodes[node].life = Some(Life {
            replica: engine.id(),
            met: (engine.id(), Vec::new()),
            engine,
            started: self.now,
            origin_ms,
            leaving: false,
            paused: false,
            backlog: VecDeque::new(),
            closed: BTreeSet::new(),
            deadline: None,
            deadline_stale: true,
            late_deadlines: 0,
            rests_until: 0,
            inputs: 0,
            was_ready: false,
            peers: BTreeSet::new(),
            observers: BTreeSet::new(),
            context: Context::default(),
            watches,
            touched: Vec::new(),
            onlookers,
            looks: 0,
            tried: BTreeSet::new(),
            turn_due: false,
            wall_max_ms: now.wall_ms,
            alone: Vec::new(),
            comes_back: false,
            has_held_back: false,
            made_again: Vec::new(),
        });
        self.incarnations += 1;
        self.network.start(node);
        if let Some(story) = &mut self.story {
            story.started(self.now, node);
        }
        self.drain(node)?;
        for peer in self.plan.connects[node].clone() {
            let command = Command::Connect { address: address(peer), announce: self.plan.announce };
            self.handle(node, Input::Command(command))?;
        }
        Ok(())
    }

    pub(super) fn stop(&mut self, node: usize, power_lost: bool) {
        if let Some(life) = self.nodes[node].life.take() {
            self.ended.insert(life.replica);
            self.rare.join(life.engine.rare());
            self.jobs.stopped(self.now, node);
            self.pledges.stopped(node);
            self.network.stop(self.now, node, power_lost);
            if let Some(story) = &mut self.story {
                story.stopped(self.now, node);
            }
        }
    }

    pub(super) fn resume(&mut self, node: usize) -> Result<(), Trouble> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        life.paused = false;
        self.jobs.resumed(self.now, node);
        if life.turn_due {
            self.at(self.now + self.plan.turn_ms, Happening::Turn(node));
        }
        let life = self.nodes[node].life.as_mut().expect("seen above");
        for input in std::mem::take(&mut life.backlog) {
            self.handle(node, input)?;
        }
        Ok(())
    }

    /// Nodes that others would have to reach through the dead, or that are all there is. The one
    /// that is away does not count.
    pub(super) fn unreached(&self) -> Vec<usize> {
        let is_away = |node: usize| self.sides.as_ref().is_some_and(|sides| sides[node]);
        let here = |node: &usize| !is_away(*node);
        let live: Vec<usize> = self.live().into_iter().filter(here).collect();
        let all: Vec<usize> = (0..self.nodes.len()).filter(here).collect();
        let Some(&first) = live.first() else { return all };
        let mut reached = BTreeSet::from([first]);
        let mut rest = vec![first];
        while let Some(node) = rest.pop() {
            for &peer in &live {
                let connect = &self.plan.connects;
                let linked = connect[node].contains(&peer) || connect[peer].contains(&node);
                if linked && reached.insert(peer) {
                    rest.push(peer);
                }
            }
        }
        if live.len() > 1 && live.iter().all(|node| reached.contains(node)) {
            return Vec::new();
        }
        all.into_iter().filter(|node| !live.contains(node)).collect()
    }
}

impl Clock {
    pub(super) fn draw(chance: &mut Chance, plan: &Plan) -> Self {
        let mut around_zero =
            |most: u64| chance.between(0, 2 * most) as i64 - i64::try_from(most).unwrap_or(0);
        Clock { error_ms: around_zero(plan.clock_error_ms), drift_ppm: around_zero(plan.drift_ppm) }
    }

    pub(super) fn wall_ms(&self, now: u64) -> u64 {
        let drift = now as i64 * self.drift_ppm / 1_000_000;
        WALL_START_MS.saturating_add_signed(now as i64 + self.error_ms + drift)
    }
}
