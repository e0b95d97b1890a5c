//! A cluster of real engines on a fake network, under a fake clock, with things going wrong.
//!
//! One queue of happenings, one simulated time in milliseconds. Each engine is driven as the tokio
//! shell drives it: one input, then `poll_output` until it is dry, then its next deadline. What is
//! checked here is what must hold at any time on one node; `checker` compares nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::agenda::Agenda;
use super::chance::Chance;
use super::jobs::{Deed, Jobs};
use super::model::{alike, comparable, Kind, Model, Op, Seen};
use super::network::{Delivery, Network};
use super::plan::{Fault, Plan, Wishes};
use super::story::Story;
use super::workload::Workload;
use super::Trouble;
use crate::engine::{
    Address, Again, CloseReason, Command, Context, Dot, Engine, Event, Input, LinkId, Now, Output,
    ReplicaId, WarningCode, Write,
};

/// An engine that puts out more than this for one input would do so for ever.
const OUTPUTS_MAX: usize = 100_000;
/// Times that a deadline may lie in the past in a row.
const LATE_DEADLINES_MAX: usize = 1_000;
/// How long an engine that was told to leave may take to say so.
const LEAVING_MS: u64 = 100;
/// Some day in 2025.
const WALL_START_MS: u64 = 1_750_000_000_000;
const HOUR_MS: i64 = 3_600_000;

pub struct Cluster {
    pub plan: Plan,
    pub now: u64,
    pub model: Model,
    pub nodes: Vec<Node>,
    /// Of each of the model's writes: when and by which node.
    pub journal: Vec<(u64, usize)>,
    /// Replicas whose node crashed, left or rejoined: their last writes may be lost.
    pub ended: BTreeSet<ReplicaId>,
    /// Engines started and replicas rejoined.
    pub incarnations: usize,
    pub jobs: Jobs,
    network: Network,
    workload: Workload,
    chance: Chance,
    faults: Chance,
    agenda: Agenda<Happening>,
    writes_left: usize,
    /// Kept while a run that failed is played again.
    pub story: Option<Story>,
    /// Cut off from all others, whatever is mended.
    away: Option<usize>,
    /// What a replica covered when it first said hello to another one.
    first_meetings: BTreeMap<(ReplicaId, ReplicaId), Context>,
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
    context: Context,
    rejoins: u64,
    watches: Vec<Watch>,
    touched: Vec<u32>,
    /// Addresses whose first dial was answered.
    tried: BTreeSet<Address>,
    /// Outputs are left for the next turn.
    turn_due: bool,
    /// The latest that its wall clock has shown.
    wall_max_ms: u64,
    /// The latest writes of its replica, if made with no peer.
    alone: Vec<usize>,
    /// It was away and is forgotten: what it made alone must be made again.
    comes_back: bool,
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
    GoAway,
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
            journal: Vec::new(),
            ended: BTreeSet::new(),
            incarnations: 0,
            jobs: Jobs::new(Chance::new(seed, 6), &plan),
            network,
            workload,
            chance,
            faults: Chance::new(seed, 4),
            agenda: Agenda::default(),
            writes_left: plan.writes,
            story: None,
            away: None,
            first_meetings: BTreeMap::new(),
            plan,
        };
        for node in 0..cluster.plan.nodes {
            cluster.at(cluster.plan.starts_ms[node], Happening::Start(node));
        }
        cluster.at(0, Happening::Write);
        if let Some(away) = cluster.plan.away {
            cluster.at(away.from_ms, Happening::GoAway);
        }
        if !cluster.plan.faults.is_empty() {
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
        for happening in self.agenda.take_all() {
            match happening {
                Happening::Write | Happening::Fault | Happening::Mend(_) | Happening::GoAway => {}
                Happening::Start(_)
                | Happening::Resume(_)
                | Happening::Gone(_)
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
        if let Some(node) = self.away.take() {
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

    pub fn engine(&mut self, node: usize) -> &mut Engine {
        &mut self.nodes[node].life.as_mut().expect("the caller asks for a live node").engine
    }

    pub fn shown(&mut self, node: usize, path: &[&str]) -> Result<Option<Value>, Trouble> {
        read(self.engine(node), path).map_err(|message| format!("n{node}: {message}").into())
    }

    /// Makes a local write, tells the model, and checks that the node shows what it did.
    pub fn write(&mut self, node: usize, path: &[String], kind: Kind) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let at = self.model.ops().len();
        let seen = self.seen(node);
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let write = match &kind {
            Kind::Set(json) => Write::Set { path: &segments, json },
            Kind::Increment(by) => Write::Increment { path: &segments, by: *by },
            Kind::Delete => Write::Delete { path: &segments },
        };
        let watch_hash = at.is_multiple_of(8);
        let hash = if watch_hash { self.engine(node).hash() } else { 0 };
        let alone = self.engine(node).peers().is_empty();
        let result = self.engine(node).write(now, write);
        let trouble = |message: String| Trouble { message, path: Some(path.to_vec()) };
        let failed = |what: String| trouble(format!("n{node}'s {kind:?} at {path:?} {what}"));
        let written = match result {
            Ok(Some(written)) => written,
            Ok(None) => {
                if kind != Kind::Delete {
                    return Err(failed("became no write".into()));
                }
                if self.model.deletes_anything(path, &seen) {
                    return Err(failed("found nothing where something is".into()));
                }
                return self.turn_later(node);
            }
            Err(error) => {
                if self.model.refuses(path, &kind, &seen).is_none() {
                    return Err(failed(format!("was refused: {error}")));
                }
                return self.turn_later(node);
            }
        };
        let life = self.nodes[node].life.as_mut().expect("it just wrote");
        if alone {
            life.alone.push(at);
        }
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        let bound_ms = life.wall_max_ms + self.plan.config.clock_skew_max_ms + 1;
        let engine = &mut life.engine;
        if watch_hash && engine.hash() == hash {
            return Err(failed("left the hash as it was".into()));
        }
        if written.dot.replica != engine.id() || seen.covers(written.dot) {
            return Err(failed(format!("got {:?}, not a new dot", written.dot)));
        }
        let after = read(engine, &segments).map_err(trouble)?;
        if !engine.context().covers(written.dot) || !engine.knows(written.dot) {
            return Err(failed("is not held by its own writer".into()));
        }
        let held = self.seen(node);
        let op = Op { dot: written.dot, hlc: written.hlc, path: path.to_vec(), kind, seen };
        let recorded = self.model.record(op);
        let floor = recorded.map_err(|message| trouble(format!("n{node}: {message}")))?;
        if written.hlc > (bound_ms << 16).max(floor + 1) {
            let message = format!("n{node}'s write has a stamp too far ahead: {:x}", written.hlc);
            return Err(trouble(message));
        }
        self.journal.push((self.now, node));
        self.check_shown(after, &held).map_err(|message| trouble(format!("n{node}: {message}")))?;
        if at.is_multiple_of(8) {
            self.check_whole(node)?;
        }
        self.turn_later(node)
    }

    /// An application's write wakes the shell, which may come a little later.
    fn turn_later(&mut self, node: usize) -> Result<(), Trouble> {
        if self.plan.outputs_max.is_none() {
            return self.drain(node);
        }
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if !std::mem::replace(&mut life.turn_due, true) {
            self.at(self.now + self.plan.turn_ms, Happening::Turn(node));
        }
        Ok(())
    }

    fn turn(&mut self, node: usize) -> Result<(), Trouble> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.paused {
            return Ok(());
        }
        life.turn_due = false;
        self.drain_some(node, OUTPUTS_MAX)
    }

    /// Lets a node ask all for what all have; `endless`: that they never answer.
    pub fn ask_all(&mut self, node: usize, endless: bool) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let engine = &mut self.nodes[node].life.as_mut().expect("it is live").engine;
        let asked = match endless {
            true => self.jobs.ask_endless(self.now, now, node, engine),
            false => self.jobs.ask_all(self.now, now, node, engine),
        };
        asked.map_err(|what| format!("n{node}: {what}"))?;
        self.drain(node)
    }

    /// The writes that a node holds, those of replicas folded since included.
    fn seen(&self, node: usize) -> Seen {
        let engine =
            &self.nodes[node].life.as_ref().expect("the caller asks for a live node").engine;
        let mut seen = Seen::from(engine.context());
        for (replica, dots) in self.model.dots() {
            if seen.all_up_to(replica).is_none() {
                seen.dots.extend(dots.filter(|&dot| engine.knows(dot)));
            }
        }
        seen
    }

    /// What the last write did is visible at once to its writer.
    fn check_shown(&self, after: Option<Value>, held: &Seen) -> Result<(), String> {
        let op = self.model.ops().last().ok_or("no write")?;
        let right = match &op.kind {
            Kind::Set(json) => {
                let set: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
                alike(after.as_ref(), Some(&comparable(set)))
            }
            // Not always the number shown before and the increment: the write may remove a scalar
            // above that hid an older SET, with a number here.
            Kind::Increment(_) => {
                alike(after.as_ref(), self.model.value_at(&op.path, held).as_ref())
            }
            // A hole may read as what an array shows for it.
            Kind::Delete => matches!(after, None | Some(Value::Null)),
        };
        match right {
            true => Ok(()),
            false => Err(format!("{:?} at {:?} then reads {after:?}", op.kind, op.path)),
        }
    }

    /// A node shows the whole that the model makes of what it covers, at any time.
    fn check_whole(&mut self, node: usize) -> Result<(), Trouble> {
        let engine =
            &self.nodes[node].life.as_ref().expect("the caller asks for a live node").engine;
        let held = Seen::from(engine.context());
        let expected = self.model.value(&|dot| held.covers(dot) || engine.knows(dot));
        let shown = self.shown(node, &[])?.unwrap_or(Value::Null);
        super::checker::same(&format!("n{node}"), &shown, "the model", &expected)
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

    // Lives.

    fn start(&mut self, node: usize) -> Result<(), Trouble> {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        let seed = self.chance.seed();
        let origin_ms = *self.chance.pick(&[0, 1_000_000]);
        let mut config = self.plan.config.clone();
        config.advertised = (!self.plan.silent[node]).then(|| address(node));
        let now = Now {
            monotonic_ms: self.now + origin_ms,
            wall_ms: self.nodes[node].clock.wall_ms(self.now),
        };
        let mut engine = Engine::new(config, seed, now);
        let watches = (0..3)
            .map(|_| {
                let path = self.workload.some_path();
                let segments: Vec<&str> = path.iter().map(String::as_str).collect();
                let slot = engine.watch(&segments);
                Watch { path, slot, shown: None }
            })
            .collect();
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
            context: Context::default(),
            rejoins: 0,
            watches,
            touched: Vec::new(),
            tried: BTreeSet::new(),
            turn_due: false,
            wall_max_ms: now.wall_ms,
            alone: Vec::new(),
            comes_back: false,
            made_again: Vec::new(),
        });
        self.incarnations += 1;
        self.network.start(node);
        if let Some(story) = &mut self.story {
            story.started(self.now, node);
        }
        self.drain(node)?;
        for peer in self.plan.connects[node].clone() {
            let command = Command::Connect { address: address(peer), announce: false };
            self.handle(node, Input::Command(command))?;
        }
        Ok(())
    }

    fn stop(&mut self, node: usize, power_lost: bool) {
        if let Some(life) = self.nodes[node].life.take() {
            self.ended.insert(life.replica);
            self.jobs.stopped(self.now, node);
            self.network.stop(self.now, node, power_lost);
            if let Some(story) = &mut self.story {
                story.stopped(self.now, node);
            }
        }
    }

    fn resume(&mut self, node: usize) -> Result<(), Trouble> {
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
    fn unreached(&self) -> Vec<usize> {
        let here = |node: &usize| self.away != Some(*node);
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

    /// Cuts a node off, if the others hold together without it.
    fn go_away(&mut self) {
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

    // Engines.

    fn handle(&mut self, node: usize, input: Input) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.paused {
            life.backlog.push_back(input);
            return Ok(());
        }
        let link = match &input {
            Input::Opened { link, .. }
            | Input::Received { link, .. }
            | Input::Drained { link, .. }
            | Input::Closed { link, .. } => Some(link),
            Input::Command(_) | Input::DialFailed { .. } => None,
        };
        if link.is_some_and(|link| life.closed.contains(link)) {
            return Ok(());
        }
        if life.leaving && !matches!(input, Input::Closed { .. } | Input::Drained { .. }) {
            return Ok(());
        }
        if let Some(story) = &mut self.story {
            let from = link.and_then(|&link| self.network.other_end(link));
            story.expect(self.now, node, &input, from, &self.model);
        }
        match &input {
            Input::Opened { dialled: Some(address), .. } | Input::DialFailed { address, .. } => {
                life.tried.insert(address.clone());
            }
            _ => {}
        }
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        let may_meet = !matches!(input, Input::Drained { .. });
        life.engine.handle_input(now, input);
        if may_meet {
            self.note_meetings(node);
        }
        self.drain(node)
    }

    fn note_meetings(&mut self, node: usize) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let peers = life.engine.peers();
        if !peers.is_empty() && !life.comes_back {
            life.alone.clear();
        }
        let met = (life.engine.id(), peers);
        if life.met == met {
            return;
        }
        for &peer in &met.1 {
            let context = || life.engine.context().clone();
            self.first_meetings.entry((met.0, peer)).or_insert_with(context);
        }
        life.met = met;
    }

    fn keep_deadline(&mut self, node: usize) -> Result<(), Trouble> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.deadline().is_none_or(|deadline| deadline > self.now) {
            return Ok(());
        }
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if let Some(story) = &mut self.story {
            story.expect_timeout();
        }
        life.rests_until = self.now + self.plan.step_ms;
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        life.engine.handle_timeout(now);
        self.drain(node)?;
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let late = life.deadline().is_some_and(|deadline| deadline <= self.now);
        life.late_deadlines = if late { life.late_deadlines + 1 } else { 0 };
        if life.late_deadlines > LATE_DEADLINES_MAX {
            return Err(format!("n{node}: its deadline never moves into the future").into());
        }
        Ok(())
    }

    fn act(&mut self, node: usize, deed: Deed) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let acted = self.jobs.act(self.now, now, node, &mut life.engine, deed);
        acted.map_err(|what| format!("n{node}: {what}"))?;
        self.drain(node)
    }

    fn drain(&mut self, node: usize) -> Result<(), Trouble> {
        self.drain_some(node, self.plan.outputs_max.unwrap_or(OUTPUTS_MAX))
    }

    /// Does what the engine puts out; if that is more, the rest comes in the next turn.
    fn drain_some(&mut self, node: usize, outputs_max: usize) -> Result<(), Trouble> {
        let now = self.clocks(node);
        for count in 0..=OUTPUTS_MAX {
            let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
            if count == outputs_max && outputs_max < OUTPUTS_MAX {
                life.deadline_stale = true;
                return self.turn_later(node);
            }
            let Some(output) = life.engine.poll_output(now) else {
                if let Some(story) = &mut self.story {
                    story.note(self.now, node, &life.engine, &self.model);
                }
                life.deadline_stale = true;
                return self.check_node(node);
            };
            match output {
                Output::Send { link, frames } => {
                    if life.closed.contains(&link) {
                        return Err(format!("n{node}: sends on {link:?}, which it closed").into());
                    }
                    self.network.send(self.now, link, frames);
                }
                Output::Close { link, .. } => {
                    life.closed.insert(link);
                    self.network.close(self.now, link);
                }
                Output::Dial { address } => {
                    let to = (0..self.plan.nodes).find(|&to| self::address(to) == address);
                    self.network.dial(self.now, node, address, to);
                }
                Output::Event(event) => {
                    self.check_event(node, event).map_err(|what| format!("n{node}: {what}"))?;
                }
            }
        }
        Err(format!("n{node}: its output never ends").into())
    }

    fn check_event(&mut self, node: usize, event: Event) -> Result<(), String> {
        let life = self.nodes[node].life.as_mut().expect("its engine just spoke");
        self.jobs.told(self.now, node, life.engine.id(), &event)?;
        let faulty = |reason: &CloseReason| {
            matches!(
                reason,
                CloseReason::BadMessage(_)
                    | CloseReason::TooLarge { .. }
                    | CloseReason::Incompatible(_)
                    | CloseReason::HandshakeTimeout
            )
        };
        match event {
            Event::Ready if std::mem::replace(&mut life.was_ready, true) => {
                Err("ready for the second time".into())
            }
            Event::Ready => self.check_ready(node),
            Event::MadeAgain { dot, hlc, path, write } => {
                let path: Vec<String> = path.iter().map(|segment| segment.to_string()).collect();
                let kind = match write {
                    Again::Set(json) => Kind::Set(json.into()),
                    Again::Increment(by) => Kind::Increment(by),
                };
                life.made_again.push((path.clone(), kind.clone()));
                let vector = vec![(dot.replica, dot.counter - 1)];
                let seen = Seen { vector, dots: BTreeSet::new() };
                self.model.record(Op { dot, hlc, path, kind, seen })?;
                self.journal.push((self.now, node));
                Ok(())
            }
            Event::PeerUp { peer, .. } if !life.peers.insert(peer) => {
                Err(format!("peer {peer:?} comes up and is up"))
            }
            Event::PeerUp { advertised, .. } => {
                life.tried.extend(advertised);
                Ok(())
            }
            Event::PeerDown { peer, .. } if !life.peers.remove(&peer) => {
                Err(format!("peer {peer:?} goes down and is not up"))
            }
            Event::PeerDown { reason, .. } if faulty(&reason) => {
                Err(format!("peer down: {reason}"))
            }
            Event::Warning { code, detail, .. } => match code {
                WarningCode::ClockSkew => Ok(()),
                WarningCode::Rejoined if self.plan.forgets => self.check_made_again(node),
                _ => Err(format!("warning {code:?}: {detail}")),
            },
            _ => Ok(()),
        }
    }

    /// Before its time is over, a node is ready only with all that its peers had when they met.
    fn check_ready(&self, node: usize) -> Result<(), String> {
        let life = self.nodes[node].life.as_ref().expect("its engine just spoke");
        let in_time = self.now < life.started + self.plan.config.ready_timeout_ms;
        // Told late, it may have met others since.
        if !in_time || self.plan.outputs_max.is_some() {
            return Ok(());
        }
        for &peer in &self.plan.connects[node] {
            if !life.tried.contains(&address(peer)) {
                return Err(format!("ready before n{peer} was dialled"));
            }
        }
        for peer in life.engine.peers() {
            let meeting = (peer, life.engine.id());
            let Some(had) = self.first_meetings.get(&meeting) else {
                return Err(format!("ready before {peer:?} has said hello"));
            };
            let had = had.iter().map(|(replica, counter)| Dot::new(replica, counter));
            if let Some(dot) = had.into_iter().find(|&dot| !life.engine.knows(dot)) {
                return Err(format!("ready without {dot:?}, which {peer:?} had"));
            }
        }
        Ok(())
    }

    /// What it wrote with no peer, a node that was forgotten makes again: the last SET of a path,
    /// the sum of the increments since; unless it cannot, as what stood there then does not now.
    fn check_made_again(&mut self, node: usize) -> Result<(), String> {
        let life = self.nodes[node].life.as_mut().expect("its engine just spoke");
        let made = std::mem::take(&mut life.made_again);
        let alone = std::mem::take(&mut life.alone);
        if !std::mem::take(&mut life.comes_back) {
            return Ok(());
        }
        let mut due: BTreeMap<&[String], (Option<&str>, f64)> = BTreeMap::new();
        for op in alone.iter().map(|&index| &self.model.ops()[index]) {
            if !matches!(op.kind, Kind::Increment(_)) {
                due.retain(|path, _| !path.starts_with(&op.path));
            }
            match &op.kind {
                Kind::Set(json) => {
                    due.insert(&op.path, (Some(json), 0.0));
                }
                Kind::Increment(by) => due.entry(&op.path).or_default().1 += by,
                Kind::Delete => {}
            }
        }
        let mut due_writes = Vec::new();
        for (path, (set, by)) in due {
            let path = path.to_vec();
            due_writes.extend(set.map(|json| (path.clone(), Kind::Set(json.into()))));
            if by != 0.0 {
                due_writes.push((path, Kind::Increment(by)));
            }
        }
        let seen = Seen::from(life.engine.context());
        let missed = due_writes.iter().filter(|due| !made.contains(due));
        let refused =
            |(path, kind): &(Vec<String>, Kind)| self.model.refuses(path, kind, &seen).is_some();
        let wrong = made.iter().find(|write| !due_writes.contains(write));
        match wrong.or(missed.into_iter().find(|due| !refused(due))) {
            None => Ok(()),
            Some(write) => Err(format!("made {made:?} again, which is wrong for {write:?}")),
        }
    }

    /// Sampled, as the checks cost more than what they check.
    fn check_node(&mut self, node: usize) -> Result<(), Trouble> {
        let life = self.nodes[node].life.as_mut().expect("its engine was just drained");
        life.inputs += 1;
        // Parcels of jobs change nothing that is looked at here.
        if !life.inputs.is_multiple_of(if self.jobs.is_on() { 16 } else { 8 }) {
            return Ok(());
        }
        let rejoins = life.engine.stats().rejoins;
        if rejoins != std::mem::replace(&mut life.rejoins, rejoins) {
            self.incarnations += 1;
            self.ended.insert(std::mem::replace(&mut life.replica, life.engine.id()));
            life.context = life.engine.context().clone();
        }
        life.check_context(self.plan.forgets).map_err(|what| format!("n{node}: {what}"))?;
        life.check_peers().map_err(|what| format!("n{node}: {what}"))?;
        life.check_watches().map_err(|what| format!("n{node}: {what}").into())
    }

    fn clocks(&self, node: usize) -> Now {
        let origin_ms = self.nodes[node].life.as_ref().map_or(0, |life| life.origin_ms);
        let wall_ms = self.nodes[node].clock.wall_ms(self.now);
        Now { monotonic_ms: self.now + origin_ms, wall_ms }
    }

    // Writes and faults.

    fn write_some(&mut self) -> Result<(), Trouble> {
        let able = |node: &usize| {
            self.nodes[*node].life.as_ref().is_some_and(|life| !life.leaving && !life.paused)
        };
        let writers: Vec<usize> = (0..self.plan.writers).filter(able).collect();
        if !writers.is_empty() {
            let node = *self.chance.pick(&writers);
            for _ in 0..self.chance.between(1, self.plan.burst) {
                let (path, kind) = self.workload.next_write();
                self.write(node, &path, kind)?;
                self.writes_left = self.writes_left.saturating_sub(1);
            }
        }
        if self.writes_left > 0 {
            let mean = self.plan.duration_ms * (self.plan.burst + 1) / 2 / self.plan.writes as u64;
            let gap = self.chance.gap(mean.max(1));
            self.at(self.now + gap, Happening::Write);
        }
        Ok(())
    }

    fn fault(&mut self) -> Result<(), Trouble> {
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
    fn may_end(&self, node: usize) -> bool {
        let stays =
            |node: &usize| self.nodes[*node].life.as_ref().is_some_and(|life| !life.leaving);
        let staying: Vec<usize> = (0..self.nodes.len()).filter(stays).collect();
        let paused = self.nodes[node].life.as_ref().is_some_and(|life| life.paused);
        staying.len() > 1 && staying.contains(&node) && !paused
    }

    fn perhaps_restart(&mut self, node: usize, at: u64) {
        if self.faults.percent(self.plan.restart_percent) {
            self.at(at, Happening::Start(node));
        }
    }

    fn mend(&mut self, pairs: &[(usize, usize)]) {
        let (bytes_per_ms, latency_ms) = (self.plan.bytes_per_ms, self.plan.latency_ms);
        let away = self.away;
        for &(a, b) in pairs.iter().filter(|&&(a, b)| away != Some(a) && away != Some(b)) {
            self.network.mend(self.now, a, b, bytes_per_ms, latency_ms);
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
            let (id, context, state) = (engine.id(), engine.context(), engine.describe());
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

impl Life {
    fn deadline(&mut self) -> Option<u64> {
        if std::mem::take(&mut self.deadline_stale) {
            let at = self.engine.poll_timeout();
            self.deadline = at.map(|at| at.saturating_sub(self.origin_ms));
        }
        self.deadline.filter(|_| !self.paused).map(|at| at.max(self.rests_until))
    }

    /// What a replica has once covered it covers for ever, or has folded; and perhaps forgotten.
    fn check_context(&mut self, forgets: bool) -> Result<(), String> {
        let context = self.engine.context();
        if *context == self.context {
            return Ok(());
        }
        let ends = self.context.iter().map(|(replica, counter)| Dot::new(replica, counter));
        for dot in ends {
            let forgotten = forgets && context.get(dot.replica) == 0;
            if !context.covers(dot) && !self.engine.knows(dot) && !forgotten {
                return Err(format!("its context no longer covers {dot:?}"));
            }
        }
        self.context.clone_from(context);
        Ok(())
    }

    /// Events and getter tell of the same peers.
    fn check_peers(&self) -> Result<(), String> {
        let peers = self.engine.peers();
        match self.leaving || self.peers.iter().eq(&peers) {
            true => Ok(()),
            false => Err(format!("events told of peers {:?}, it has {peers:?}", self.peers)),
        }
    }

    /// No watched value changes unless its slot was touched.
    fn check_watches(&mut self) -> Result<(), String> {
        // Reading may finish merging, which touches too: first all are read.
        let mut changed = Vec::new();
        for (index, watch) in self.watches.iter().enumerate() {
            let segments: Vec<&str> = watch.path.iter().map(String::as_str).collect();
            let shown = self.engine.read(&segments);
            if shown != watch.shown {
                changed.push((index, shown));
            }
        }
        self.touched.clear();
        self.engine.take_touched(&mut self.touched);
        self.engine.take_touched_local(&mut self.touched);
        for (index, shown) in changed {
            let watch = &mut self.watches[index];
            let (before, after) = (parsed(&watch.shown)?, parsed(&shown)?);
            if before != after && !self.touched.contains(&watch.slot) {
                return Err(format!(
                    "{:?} went from {before:?} to {after:?} and was not touched",
                    watch.path
                ));
            }
            watch.shown = shown;
        }
        Ok(())
    }
}

impl Clock {
    fn draw(chance: &mut Chance, plan: &Plan) -> Self {
        let mut around_zero =
            |most: u64| chance.between(0, 2 * most) as i64 - i64::try_from(most).unwrap_or(0);
        Clock { error_ms: around_zero(plan.clock_error_ms), drift_ppm: around_zero(plan.drift_ppm) }
    }

    fn wall_ms(&self, now: u64) -> u64 {
        let drift = now as i64 * self.drift_ppm / 1_000_000;
        WALL_START_MS.saturating_add_signed(now as i64 + self.error_ms + drift)
    }
}

fn address(node: usize) -> Address {
    Address::new(format!("n{node}:1"))
}

fn pairs(nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes).flat_map(|b| (0..b).map(move |a| (a, b))).collect()
}

fn read(engine: &mut Engine, path: &[&str]) -> Result<Option<Value>, String> {
    parsed(&engine.read(path)).map_err(|what| format!("{path:?} {what}"))
}

fn parsed(json: &Option<String>) -> Result<Option<Value>, String> {
    let Some(json) = json else { return Ok(None) };
    let value = serde_json::from_str(json).map_err(|e| format!("reads {json}: {e}"))?;
    Ok(Some(comparable(value)))
}
