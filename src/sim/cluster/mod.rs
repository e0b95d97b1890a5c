//! A cluster of real engines on a fake network, under a fake clock, with things going wrong.
//!
//! One queue of happenings, one simulated time in milliseconds. Each engine is driven as the tokio
//! shell drives it: one input, then `poll_output` until it is dry, then its next deadline. What is
//! checked here is what must hold at any time on one node; `checker` compares nodes.

mod drive;
mod lives;
mod strike;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::agenda::Agenda;
use super::chance::Chance;
use super::faults::{Fault, Faults, When};
use super::jobs::Jobs;
use super::model::{comparable, Kind, Model};
use super::network::{Delivery, Network};
use super::onlookers::Onlooker;
use super::plan::{Plan, Wishes};
use super::pledges::Pledges;
use super::story::Story;
use super::workload::Workload;
use super::Trouble;
use crate::engine::rare::Gone;
use crate::engine::{Address, Context, Dot, Engine, Input, LinkId, ReplicaId};

pub struct Cluster {
    pub plan: Plan,
    pub now: u64,
    pub model: Model,
    pub nodes: Vec<Node>,
    /// Where each node is dialled.
    addresses: Vec<[Address; 2]>,
    /// Of each of the model's writes: when and by which node.
    pub journal: Vec<(u64, usize)>,
    /// Replicas whose node crashed, left or rejoined: their last writes may be lost.
    pub ended: BTreeSet<ReplicaId>,
    /// Engines started and replicas rejoined.
    pub incarnations: usize,
    pub jobs: Jobs,
    pub pledges: Pledges,
    network: Network,
    workload: Workload,
    chance: Chance,
    faults: Chance,
    /// Who reads in the middle of a merge.
    looks: Chance,
    agenda: Agenda<Happening>,
    writes_left: usize,
    /// Kept while a run that failed is played again.
    pub story: Option<Story>,
    /// Who is kept apart from whom, whatever is mended: those on different sides.
    sides: Option<Vec<bool>>,
    /// The next node that is in the middle of a feed crashes.
    armed: Option<Fault>,
    strikes: Vec<Fault>,
    /// The dead are being forgotten: which of their writes a node holds it no longer says.
    pub forgetting: bool,
    /// How long it took after the last fault until all agreed and were linked.
    pub settled_in_ms: u64,
    /// The kinds of faults that there were.
    pub struck: Faults,
    /// The rare ways that engines went which are no more.
    pub rare: Gone,
    /// What a replica covered when it first said hello to another one.
    first_meetings: BTreeMap<(ReplicaId, ReplicaId), Context>,
    /// Whom peers have met that know them by name, since the node that was away can be reached: they
    /// had not folded them.
    taken_for_themselves: BTreeSet<ReplicaId>,
}

pub struct Node {
    pub life: Option<Life>,
    clock: Clock,
}

/// From one start of a process to its end.
pub struct Life {
    pub engine: Engine,
    replica: ReplicaId,
    started: u64,
    /// Where its monotonic clock stood at time 0.
    origin_ms: u64,
    leaving: bool,
    paused: bool,
    /// What came while it was paused.
    backlog: VecDeque<Input>,
    /// Links it closed: what was under way from them no longer reaches it.
    closed: BTreeSet<LinkId>,
    /// In simulated time.
    deadline: Option<u64>,
    /// The engine was busy since, and `deadline` may be another.
    deadline_stale: bool,
    late_deadlines: usize,
    rests_until: u64,
    inputs: u64,
    was_ready: bool,
    /// As its events tell.
    peers: BTreeSet<ReplicaId>,
    /// Those that looked on, or do.
    observers: BTreeSet<ReplicaId>,
    context: Context,
    watches: Vec<Watch>,
    touched: Vec<u32>,
    onlookers: Vec<Onlooker>,
    /// How often it was looked at.
    looks: usize,
    /// Addresses whose first dial was answered.
    tried: BTreeSet<Address>,
    /// Outputs are left for the next turn.
    turn_due: bool,
    /// The latest that its wall clock has shown.
    wall_max_ms: u64,
    /// The latest writes of its replica, if made when no peer had.
    alone: Vec<usize>,
    /// It was away and is forgotten: what it made alone must be made again.
    comes_back: bool,
    /// A batch has held back what came to it.
    has_held_back: bool,
    made_again: Vec<(Vec<String>, Kind)>,
    /// As which replica it last had which peers.
    met: (ReplicaId, Vec<ReplicaId>),
}

struct Watch {
    path: Vec<String>,
    slot: u32,
    /// JSON text.
    shown: Option<String>,
}

#[derive(Debug)]
struct Clock {
    error_ms: i64,
    drift_ppm: i64,
}

enum Happening {
    Start(usize),
    Write,
    Fault,
    /// A fault ends.
    Mend(Vec<(usize, usize)>),
    Resume(usize),
    /// A node that was told to leave is gone.
    Gone(usize),
    /// The rest of a node's outputs.
    Turn(usize),
    /// A process ends in the middle of a feed.
    Crash(usize),
    Strobe(Strobe),
    EndBatch(usize),
    /// A node is cut off from all others.
    GoAway,
    SplitDeath,
    /// A process is killed.
    Kill,
    /// The others are parted.
    Split,
    /// Those kept apart are so no more.
    Rejoin,
    /// Of the links between two nodes the oldest breaks.
    CutOldest(usize, usize),
}

/// A wall clock goes to and fro.
struct Strobe {
    node: usize,
    by_ms: i64,
    every_ms: u64,
    until: u64,
}

impl Cluster {
    pub fn new(seed: u64, wishes: &Wishes) -> Self {
        let plan = Plan::draw(seed, wishes);
        let mut chance = Chance::new(seed, 1);
        let mut network = Network::new(
            Chance::new(seed, 2),
            plan.nodes,
            plan.latency_ms,
            plan.bytes_per_ms,
            plan.config.message_bytes_max(),
        );
        network.one_machine = plan.one_machine;
        if !plan.open {
            for (a, b) in pairs(plan.nodes) {
                if !plan.connects[a].contains(&b) && !plan.connects[b].contains(&a) {
                    network.remove_path(a, b);
                }
            }
        }
        let nodes = (0..plan.nodes)
            .map(|_| Node { life: None, clock: Clock::draw(&mut chance, &plan) })
            .collect();
        let workload = Workload::new(Chance::new(seed, 3), plan.workload.clone());
        let mut cluster = Cluster {
            now: 0,
            model: Model::default(),
            nodes,
            addresses: (0..plan.nodes).map(|node| [address(node), alias(node)]).collect(),
            journal: Vec::new(),
            ended: BTreeSet::new(),
            incarnations: 0,
            jobs: Jobs::new(Chance::new(seed, 6), &plan),
            pledges: Pledges::new(Chance::new(seed, 7)),
            network,
            workload,
            chance,
            faults: Chance::new(seed, 4),
            looks: Chance::new(seed, 9),
            agenda: Agenda::default(),
            writes_left: plan.writes,
            story: None,
            sides: None,
            armed: None,
            forgetting: false,
            settled_in_ms: 0,
            strikes: plan.strikes(),
            struck: plan.faults.iter().copied().filter(|f| f.when() == When::Lasts).collect(),
            rare: Gone::default(),
            first_meetings: BTreeMap::new(),
            taken_for_themselves: BTreeSet::new(),
            plan,
        };
        for node in 0..cluster.plan.nodes {
            cluster.at(cluster.plan.starts_ms[node], Happening::Start(node));
        }
        cluster.at(0, Happening::Write);
        if cluster.plan.reorder_ms > 0 {
            cluster.network.draw_detours(cluster.plan.reorder_ms);
        }
        let away_ms = cluster.plan.away.map(|away| away.from_ms);
        if let Some(from_ms) = away_ms.or(cluster.plan.outrun_from_ms) {
            cluster.at(from_ms, Happening::GoAway);
        }
        if let Some(at) = cluster.plan.split_death_ms {
            cluster.at(at, Happening::SplitDeath);
        }
        if let Some(storm) = cluster.plan.storm {
            cluster.at(storm.every_ms, Happening::Kill);
        }
        if !cluster.strikes.is_empty() {
            cluster.at(cluster.plan.fault_gap_ms, Happening::Fault);
        }
        cluster
    }

    /// Lets everything happen that happens until then.
    pub fn run_until(&mut self, end: u64) -> Result<(), Trouble> {
        while let Some(next) = self.next_at().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            while let Some(Delivery { node, input }) = self.network.poll(self.now) {
                self.handle(node, input)?;
            }
            if let Some(happening) = self.agenda.pop_due(self.now) {
                self.happen(happening)?;
            }
            for node in 0..self.nodes.len() {
                self.keep_deadline(node)?;
            }
            // Only now, as an application may expect that what is due has been done.
            while let Some((node, deed)) = self.jobs.next_due(self.now) {
                self.act(node, deed)?;
            }
        }
        self.now = end;
        Ok(())
    }

    /// No more writes and faults; all is mended, and every node lives that must.
    pub fn heal(&mut self) -> Result<(), Trouble> {
        self.jobs.quiet();
        self.armed = None;
        if self.plan.away.is_none() {
            self.sides = None;
        }
        for happening in self.agenda.take_all() {
            match happening {
                Happening::Write
                | Happening::Fault
                | Happening::Mend(_)
                | Happening::GoAway
                | Happening::SplitDeath
                | Happening::Kill
                | Happening::Split
                | Happening::Rejoin
                | Happening::CutOldest(..)
                | Happening::Crash(_)
                | Happening::Strobe(_) => {}
                Happening::Start(_)
                | Happening::Resume(_)
                | Happening::Gone(_)
                | Happening::EndBatch(_)
                | Happening::Turn(_) => self.happen(happening)?,
            }
        }
        self.mend(&pairs(self.plan.nodes));
        // Whoever is still dead stays so, unless the others cannot do without.
        while let Some(&missed) = self.unreached().first() {
            self.start(missed)?;
        }
        Ok(())
    }

    /// The node that was away can be reached again.
    pub fn come_back(&mut self) -> Result<(), Trouble> {
        let sides = self.sides.take().unwrap_or_default();
        self.taken_for_themselves.clear();
        if let Some(node) = sides.iter().position(|&apart| apart) {
            if let Some(life) = &mut self.nodes[node].life {
                life.comes_back = life.engine.peers().is_empty();
            }
        }
        self.heal()
    }

    pub fn live(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&node| self.nodes[node].life.is_some()).collect()
    }

    /// Nodes that should have said that they are ready and have not.
    pub fn late(&self) -> Vec<usize> {
        // The second is for a deadline that a pause or a timer kept.
        let patience_ms = self.plan.config.ready_timeout_ms + 1000;
        let late = |life: &Life| !life.was_ready && life.started + patience_ms <= self.now;
        let live = self.live().into_iter();
        live.filter(|&node| self.nodes[node].life.as_ref().is_some_and(late)).collect()
    }

    /// Whether numbers add up to the same in any order.
    pub fn sums_are_exact(&self) -> bool {
        !self.plan.workload.decimals
    }

    pub fn engine(&mut self, node: usize) -> &mut Engine {
        &mut self.nodes[node].life.as_mut().expect("the caller asks for a live node").engine
    }

    pub fn shown(&mut self, node: usize, path: &[&str]) -> Result<Option<Value>, Trouble> {
        read(self.engine(node), path).map_err(|message| format!("n{node}: {message}").into())
    }

    fn next_at(&mut self) -> Option<u64> {
        let deadlines = self.nodes.iter_mut().filter_map(|node| node.life.as_mut()?.deadline());
        let others = self.agenda.next_at().into_iter().chain(self.network.poll_timeout());
        deadlines.chain(others).chain(self.jobs.poll_timeout()).min()
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Trouble> {
        match happening {
            Happening::Start(node) => self.start(node),
            Happening::Write => self.write_some(),
            Happening::Fault => self.fault(),
            Happening::Mend(pairs) => {
                self.mend(&pairs);
                Ok(())
            }
            Happening::Resume(node) => self.resume(node),
            Happening::Turn(node) => self.turn(node),
            Happening::Crash(node) => {
                self.crash(node, false);
                Ok(())
            }
            Happening::SplitDeath => self.split_death(),
            Happening::Kill => {
                self.kill_one();
                Ok(())
            }
            Happening::Split => {
                self.split();
                Ok(())
            }
            Happening::Rejoin => {
                self.rejoin();
                Ok(())
            }
            Happening::CutOldest(a, b) => {
                self.network.cut_oldest(self.now, a, b);
                Ok(())
            }
            Happening::Strobe(strobe) => {
                self.strobe(strobe);
                Ok(())
            }
            Happening::EndBatch(node) => self.end_batch(node),
            Happening::GoAway => {
                self.go_away();
                Ok(())
            }
            Happening::Gone(node) => {
                let now = self.clocks(node);
                if let Some(life) = self.nodes[node].life.as_mut().filter(|life| life.leaving) {
                    let gone = self.jobs.gone(self.now, now, node, &mut life.engine);
                    gone.map_err(|what| format!("n{node}: {what}"))?;
                    self.stop(node, false);
                }
                Ok(())
            }
        }
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.agenda.push(at, happening);
    }

    /// The first path written at that nodes explain differently.
    pub fn diverging_path(&mut self) -> Option<Vec<String>> {
        let mut paths: Vec<_> = self.model.ops().iter().map(|op| op.path.clone()).collect();
        paths.sort_by_key(|path| (path.len(), path.clone()));
        paths.dedup();
        let live = self.live();
        paths.into_iter().find(|path| {
            let segments: Vec<&str> = path.iter().map(String::as_str).collect();
            let mut told = live.iter().map(|&node| {
                let explanation = self.engine(node).explain(&segments);
                let things: Vec<_> = explanation
                    .things
                    .iter()
                    .map(|thing| (thing.key.clone(), thing.write))
                    .collect();
                (explanation.json, things)
            });
            let first = told.next();
            told.any(|other| Some(&other) != first.as_ref())
        })
    }

    /// Everything that each live node holds.
    pub fn describe(&mut self) -> String {
        let mut lines = Vec::new();
        for node in self.live() {
            let engine = self.engine(node);
            let state = engine.describe() + &engine.describe_lines();
            let (id, context) = (engine.id(), engine.context());
            lines.push(format!("n{node} {id:?} {context:?}\n{state}"));
        }
        lines.join("\n")
    }

    /// The live nodes that hold a write's effect.
    pub fn knowers(&self, dot: Dot) -> Vec<usize> {
        let knows = |node: &usize| {
            self.nodes[*node].life.as_ref().is_some_and(|life| life.engine.knows(dot))
        };
        (0..self.nodes.len()).filter(knows).collect()
    }
}

fn address(node: usize) -> Address {
    Address::new(format!("n{node}:1"))
}

/// Another name of the same.
fn alias(node: usize) -> Address {
    Address::new(format!("alias{node}:1"))
}

fn pairs(nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes).flat_map(|b| (0..b).map(move |a| (a, b))).collect()
}

fn read(engine: &mut Engine, path: &[&str]) -> Result<Option<Value>, String> {
    parsed(&engine.read(path)).map_err(|what| format!("{path:?} {what}"))
}

pub(super) fn parsed(json: &Option<String>) -> Result<Option<Value>, String> {
    let Some(json) = json else { return Ok(None) };
    let value = serde_json::from_str(json).map_err(|e| format!("reads {json}: {e}"))?;
    Ok(Some(comparable(value)))
}
