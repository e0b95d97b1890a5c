//! The applications of the nodes, as far as jobs, remote calls and events go: they offer names,
//! ask, emit, take items some time after the bell, run functions for a while and answer.
//!
//! [`ledger`] keeps the record and knows the rules. Deeds have a timetable of their own; the
//! cluster asks for the next that is due and gives it the engine of its node.

pub mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agenda::Agenda;
use super::chance::Chance;
use super::plan::{self, Plan};
use crate::engine::{
    Ask, AskError, Config, Engine, Event, Item, Now, Offer, Outcome, Refusal, ReplicaId, RunId, To,
};
use ledger::{trace_of, Handed, Ledger, Question};

/// Names of each kind are separate.
const NAMES: &[&str] = &["a", "b", "__proto__"];
/// Everybody offers this from the start and answers it at once.
const LAST: &str = "last";
/// And this, and never answers it.
const ENDLESS: &str = "endless";
const LAST_TIMEOUT_MS: u64 = 60_000;
const OFFERS: [Offer; 3] = [Offer::Worker, Offer::Function, Offer::Event];
/// How long an answer or reason may lie over the limits.
const TOO_MUCH_PERCENT: u64 = 2;

pub struct Jobs {
    pub ledger: Ledger,
    plan: Option<Arc<plan::Jobs>>,
    config: Config,
    duration_ms: u64,
    /// No faults happen: nodes that ask in time get their answers.
    calm: bool,
    chance: Chance,
    apps: Vec<Option<App>>,
    /// By a node, or whichever is able.
    deeds: Agenda<(Option<Whose>, Deed)>,
    asks_left: usize,
    emits_left: usize,
    /// No more is begun.
    quiet: bool,
}

/// A node, and the number of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whose {
    node: usize,
    life: usize,
}

#[derive(Clone, Debug)]
pub enum Deed {
    /// A node, any that is able, begins something.
    Ask,
    Emit,
    Change,
    Take,
    Answer(RunId),
    Cancel(usize),
    Postpone(usize, u64),
    /// Lets the engine know that the application knows a peer.
    Introduce(ReplicaId),
}

/// The application of one life.
struct App {
    life: usize,
    peers: BTreeSet<ReplicaId>,
    paused: bool,
    leaving: bool,
    /// What came due while it was paused.
    held: Vec<Deed>,
    /// The event loop does something else until then.
    busy_until: u64,
    /// The bell rang; whether urgently.
    rung: Option<bool>,
    take_at: Option<u64>,
    /// How often all items were taken.
    takes: u64,
    runs: BTreeMap<RunId, Running>,
}

struct Running {
    caller: ReplicaId,
    taken_ms: u64,
    /// When its time is over, as it was told.
    until_ms: u64,
    stopped: bool,
    /// It answers even after it was stopped.
    stubborn: bool,
    ok: bool,
    /// It is not run at all.
    refusal: Option<Refusal>,
    text: Arc<str>,
    /// What that is to become.
    answer: Outcome,
}

impl Jobs {
    pub fn new(chance: Chance, plan: &Plan) -> Self {
        let of = |part: fn(&plan::Jobs) -> usize| plan.jobs.as_ref().map_or(0, part);
        let calm = plan.faults.is_empty() && plan.away.is_none();
        let has_room = plan.config.window_bytes == Config::default().window_bytes;
        // One that takes few items at a time and is often busy may leave some for very long.
        let takes = |jobs: &plan::Jobs| jobs.take_max >= 100 || jobs.busy_percent == 0;
        let takes = plan.jobs.as_ref().is_some_and(takes);
        let prompt = calm && has_room && takes && plan.bytes_per_ms >= 1_000;
        let mut jobs = Jobs {
            ledger: Ledger::new(prompt.then_some(2_000), !takes && !has_room),
            plan: plan.jobs.clone().map(Arc::new),
            config: plan.config.clone(),
            duration_ms: plan.duration_ms,
            calm,
            chance,
            apps: (0..plan.nodes).map(|_| None).collect(),
            deeds: Agenda::default(),
            asks_left: of(|jobs| jobs.asks),
            emits_left: of(|jobs| jobs.emits),
            quiet: false,
        };
        jobs.schedule_next(0, Deed::Ask);
        jobs.schedule_next(0, Deed::Emit);
        for _ in 0..of(|jobs| jobs.changes) {
            let at = jobs.chance.below(plan.duration_ms);
            jobs.at(at, None, Deed::Change);
        }
        jobs
    }

    pub fn is_on(&self) -> bool {
        self.plan.is_some()
    }

    // ---- what becomes of nodes

    pub fn started(&mut self, at: u64, node: usize, engine: &mut Engine) {
        let life = self.ledger.begin(node, engine.id());
        let app = App {
            life,
            peers: BTreeSet::new(),
            paused: false,
            leaving: false,
            held: Vec::new(),
            busy_until: 0,
            rung: None,
            take_at: None,
            takes: 0,
            runs: BTreeMap::new(),
        };
        self.apps[node] = Some(app);
        let Some(plan) = &self.plan else { return };
        for offer in OFFERS {
            for &name in NAMES.iter().chain(&[LAST, ENDLESS]) {
                if !NAMES.contains(&name) || self.chance.percent(plan.offer_percent) {
                    engine.offer(offer, name);
                    self.ledger.offer(at, life, offer, name);
                }
            }
        }
    }

    pub fn stopped(&mut self, at: u64, node: usize) {
        if let Some(app) = self.apps[node].take() {
            self.ledger.end(at, app.life);
        }
    }

    pub fn left(&mut self, node: usize) {
        if let Some(app) = &mut self.apps[node] {
            app.leaving = true;
            self.ledger.leave(app.life);
        }
    }

    /// The last moment of a node that left: everything has ended, and nothing can be begun.
    pub fn gone(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
    ) -> Result<(), String> {
        let Some(app) = &mut self.apps[node] else { return Ok(()) };
        let life = app.life;
        app.take_at = Some(at);
        while self.take(at, now, node, engine)? {}
        self.ledger.check_life(life)?;
        let ask = Ask {
            offer: Offer::Worker,
            name: LAST,
            args: "[]",
            to: To::All,
            timeout_ms: 1,
            trace: "",
        };
        match (engine.ask(now, ask), engine.emit(To::All, LAST, "[]")) {
            (Err(AskError::Closed), Err(AskError::Closed)) => Ok(()),
            other => Err(format!("it has left, and asks and emits: {other:?}")),
        }
    }

    pub fn paused(&mut self, node: usize) {
        if let Some(app) = &mut self.apps[node] {
            app.paused = true;
        }
    }

    pub fn resumed(&mut self, at: u64, node: usize) {
        let Some(app) = &mut self.apps[node] else { return };
        app.paused = false;
        let whose = Whose { node, life: app.life };
        for deed in std::mem::take(&mut app.held) {
            if matches!(deed, Deed::Take) {
                app.take_at = Some(at);
            }
            self.deeds.push(at, (Some(whose), deed));
        }
    }

    /// What its engine tells a node.
    pub fn told(
        &mut self,
        at: u64,
        node: usize,
        own: ReplicaId,
        event: &Event,
    ) -> Result<(), String> {
        let Some(app) = &mut self.apps[node] else { return Ok(()) };
        match *event {
            Event::PeerUp { peer, .. } => {
                app.peers.insert(peer);
                self.ledger.up(at, app.life, peer);
                let whose = Whose { node, life: app.life };
                if self.config.introductions {
                    let in_ms = if self.quiet { 0 } else { self.chance.below(100) };
                    self.at(at + in_ms, Some(whose), Deed::Introduce(peer));
                }
                self.greet(at, node);
                Ok(())
            }
            Event::PeerDown { peer, .. } => {
                app.peers.remove(&peer);
                self.ledger.down(at, app.life, peer);
                match self.calm {
                    true => Err(format!("peer {peer:?} goes and nothing went wrong")),
                    false => Ok(()),
                }
            }
            Event::Warning { .. } => {
                if self.ledger.node_of(own).is_none() {
                    self.ledger.rejoin(app.life, own);
                }
                Ok(())
            }
            Event::Items { urgent } => {
                if app.rung.is_some_and(|before| before || !urgent) {
                    return Err("told of items for the second time".into());
                }
                app.rung = Some(urgent);
                let most = self.plan.as_ref().map_or(0, |plan| plan.take_delay_ms);
                let delay = if self.quiet { 0 } else { self.chance.below(most + 1) };
                let take_at = at + delay.max(u64::from(!urgent));
                let sooner = app.take_at.is_none_or(|before| before > take_at);
                if sooner {
                    app.take_at = Some(take_at);
                    let whose = Whose { node, life: app.life };
                    self.at(take_at, Some(whose), Deed::Take);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Some ask a new peer at once: that is when links may be doubled.
    fn greet(&mut self, at: u64, node: usize) {
        let Some(plan) = &self.plan else { return };
        if self.quiet || !self.chance.percent(plan.eager_percent) {
            return;
        }
        let app = self.apps[node].as_ref().expect("the caller has it");
        let whose = Whose { node, life: app.life };
        let in_ms = self.chance.below(3);
        let deed = if self.chance.percent(50) { Deed::Ask } else { Deed::Emit };
        self.at(at + in_ms, Some(whose), deed);
    }

    // ---- the timetable

    pub fn poll_timeout(&self) -> Option<u64> {
        self.deeds.next_at()
    }

    /// The node that has something to do now.
    pub fn next_due(&mut self, at: u64) -> Option<(usize, Deed)> {
        loop {
            let (whose, deed) = self.deeds.pop_due(at)?;
            let Some(whose) = whose else {
                self.schedule_next(at, deed.clone());
                match self.some_able(at) {
                    Some(node) => return Some((node, deed)),
                    None => continue,
                }
            };
            let Some(app) = &mut self.apps[whose.node] else { continue };
            if app.life != whose.life {
                continue;
            }
            if app.paused {
                app.held.push(deed);
            } else if app.busy_until > at {
                let until = app.busy_until;
                if matches!(deed, Deed::Take) {
                    app.take_at = Some(until);
                }
                self.at(until, Some(whose), deed);
            } else {
                return Some((whose.node, deed));
            }
        }
    }

    pub fn act(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
        deed: Deed,
    ) -> Result<(), String> {
        let Some(app) = &mut self.apps[node] else { return Ok(()) };
        match deed {
            Deed::Take if app.take_at == Some(at) => self.take(at, now, node, engine).map(|_| ()),
            Deed::Take => Ok(()),
            _ if app.leaving => Ok(()),
            Deed::Ask | Deed::Emit | Deed::Change if self.quiet => Ok(()),
            Deed::Ask => self.ask_some(at, now, node, engine),
            Deed::Emit => self.emit_some(at, node, engine),
            Deed::Change => {
                self.change(at, node, engine);
                Ok(())
            }
            Deed::Answer(run) => {
                self.answer(node, engine, run);
                Ok(())
            }
            Deed::Cancel(number) => {
                if self.ledger.open_ask(number).is_some() {
                    let reason = format!("\"reason {number}\"");
                    engine.cancel(self.ledger.job(number), &reason);
                    self.ledger.cancelled(at, number, &reason);
                }
                Ok(())
            }
            Deed::Introduce(peer) => {
                engine.introduce(peer);
                Ok(())
            }
            Deed::Postpone(number, timeout_ms) => {
                if self.ledger.open_ask(number).is_some() {
                    engine.set_timeout(now, self.ledger.job(number), timeout_ms);
                    self.ledger.postponed(at, number, timeout_ms);
                }
                Ok(())
            }
        }
    }

    fn at(&mut self, at: u64, whose: Option<Whose>, deed: Deed) {
        self.deeds.push(at, (whose, deed));
    }

    /// Asks and emits come one after the other, as long as there are some left.
    fn schedule_next(&mut self, at: u64, deed: Deed) {
        let Some(plan) = &self.plan else { return };
        let (left, all) = match deed {
            Deed::Ask => (self.asks_left, plan.asks),
            Deed::Emit => (self.emits_left, plan.emits),
            _ => return,
        };
        if left > 0 && !self.quiet {
            let mean = self.duration_ms * plan.burst.div_ceil(2) / all as u64;
            let gap = self.chance.gap(mean.max(1));
            self.at(at + gap, None, deed);
        }
    }

    fn some_able(&mut self, at: u64) -> Option<usize> {
        let able = |app: &App| !app.paused && !app.leaving && app.busy_until <= at;
        let able = |&node: &usize| self.apps[node].as_ref().is_some_and(able);
        let nodes: Vec<usize> = (0..self.apps.len()).filter(able).collect();
        (!nodes.is_empty()).then(|| *self.chance.pick(&nodes))
    }

    // ---- the end

    /// Nothing more is begun, and applications are prompt from here on.
    pub fn quiet(&mut self) {
        self.quiet = true;
    }

    /// A node asks all for what all have, and tells them all.
    pub fn ask_all(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
    ) -> Result<(), String> {
        let args = self.args(0);
        self.ask(at, now, node, engine, Offer::Worker, LAST, args, To::All, LAST_TIMEOUT_MS)?;
        self.emit(at, node, engine, LAST, 0, To::All)
    }

    /// A node asks all for what ends only with the job: one that lasts, and one that is cancelled
    /// while it may still be on its way.
    pub fn ask_endless(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
    ) -> Result<(), String> {
        let pieces = 3 * self.config.part_bytes_max;
        let large = pieces.min(self.config.limits.value_bytes_max - 100).min(16 << 10);
        for padding in [0, large] {
            let number = self.ledger.next_ask();
            let args = self.args(padding);
            let offer = Offer::Function;
            let asked =
                self.ask(at, now, node, engine, offer, ENDLESS, args, To::All, LAST_TIMEOUT_MS)?;
            if asked && padding > 0 {
                let life = self.apps[node].as_ref().expect("it just asked").life;
                let in_ms = self.chance.below(3);
                self.at(at + in_ms, Some(Whose { node, life }), Deed::Cancel(number));
            }
        }
        Ok(())
    }

    /// Ends what would otherwise last long, and what never would end.
    pub fn hurry(&mut self, at: u64) {
        for (node, app) in self.apps.iter().enumerate() {
            let Some(app) = app else { continue };
            for number in self.ledger.open_asks(app.life) {
                if self.ledger.is_sure(number) {
                    continue;
                }
                let deed = match self.chance.percent(50) {
                    true => Deed::Cancel(number),
                    false => Deed::Postpone(number, self.chance.below(200)),
                };
                let whose = Whose { node, life: app.life };
                self.deeds.push(at, (Some(whose), deed));
            }
        }
    }

    /// What is not at rest at this node.
    pub fn restless(&self, node: usize, engine: &Engine) -> Option<String> {
        let app = self.apps[node].as_ref()?;
        let open = self.ledger.open_asks(app.life).len();
        let runs = app.runs.values().filter(|run| !run.stopped).count();
        let stats = engine.stats();
        let left = (stats.jobs, stats.runs, stats.items_waiting, stats.job_bytes_queued);
        (open > 0 || runs > 0 || left != (0, 0, 0, 0)).then(|| {
            let running = app.runs.iter().filter(|(_, run)| !run.stopped);
            let asked: Vec<_> =
                running.map(|(&run, _)| self.ledger.asked_for(app.life, run)).collect();
            format!(
                "n{node}: {open} jobs have not ended and {runs} functions run; \
                 jobs, runs, items waiting and bytes queued: {left:?}; they run for {asked:?}"
            )
        })
    }

    pub fn check_at_rest(&self) -> Result<(), String> {
        for app in self.apps.iter().flatten() {
            self.ledger.check_life(app.life)?;
        }
        self.ledger.check_events()
    }

    // ---- asking

    fn ask_some(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
    ) -> Result<(), String> {
        let Some(plan) = self.plan.clone() else { return Ok(()) };
        for _ in 0..self.chance.between(1, plan.burst) {
            self.asks_left = self.asks_left.saturating_sub(1);
            let number = self.ledger.next_ask();
            let offer = *self.chance.pick(&[Offer::Worker, Offer::Function]);
            let name = *self.chance.pick(NAMES);
            let padding = self.bytes(&plan);
            let args = self.args(padding);
            let timeout_ms = *self.chance.pick(&plan.timeouts_ms);
            let some = self.some_nodes(node, engine.id());
            let to = match self.chance.below(4) {
                0 | 1 => To::All,
                2 => To::Others,
                _ => To::Only(&some),
            };
            if !self.ask(at, now, node, engine, offer, name, args, to, timeout_ms)? {
                continue;
            }
            let life = self.apps[node].as_ref().expect("it just asked").life;
            let whose = Some(Whose { node, life });
            if self.chance.percent(plan.cancel_percent) {
                let in_ms = self.chance.below(timeout_ms.min(500) + 1);
                self.at(at + in_ms, whose, Deed::Cancel(number));
            }
            if self.chance.percent(plan.postpone_percent) {
                // At once: a large call may still be on its way.
                let most = if self.chance.percent(30) { 3 } else { 1_000 };
                let in_ms = self.chance.below(timeout_ms.min(most) + 1);
                let timeout_ms = *self.chance.pick(&plan.timeouts_ms);
                self.at(at + in_ms, whose, Deed::Postpone(number, timeout_ms));
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "an ask has so many properties")]
    fn ask(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
        offer: Offer,
        name: &str,
        args: Arc<str>,
        to: To<'_>,
        timeout_ms: u64,
    ) -> Result<bool, String> {
        let life = self.apps[node].as_ref().expect("the caller has it").life;
        let open = self.ledger.open_asks(life).len();
        let expected = self.targets(node, engine.id(), to, true);
        let too_large = args.len() > self.config.limits.value_bytes_max;
        let trace = trace_of(self.ledger.next_ask());
        let ask = Ask { offer, name, args: &args, to, timeout_ms, trace: &trace };
        let asked = match engine.ask(now, ask) {
            Ok(asked) if !too_large => asked,
            Err(AskError::TooLarge { .. }) if too_large => return Ok(false),
            Err(AskError::Busy { .. }) if open >= self.config.jobs_max => return Ok(false),
            other => return Err(format!("asks with {} bytes: {other:?}", args.len())),
        };
        if engine.stats().jobs > self.config.jobs_max {
            return Err("too many jobs".into());
        }
        let in_time = (self.calm || self.quiet) && timeout_ms >= LAST_TIMEOUT_MS && name != ENDLESS;
        let replica = engine.id();
        let question = Question { life, replica, offer, name, args, timeout_ms, sure: in_time };
        self.ledger.asked(at, question, &expected, asked)?;
        Ok(true)
    }

    /// As far as its events tell.
    fn targets(
        &self,
        node: usize,
        own: ReplicaId,
        to: To<'_>,
        own_too: bool,
    ) -> BTreeSet<ReplicaId> {
        let app = self.apps[node].as_ref().expect("the caller has it");
        let own = own_too.then_some(own);
        let is_there = |id: &ReplicaId| app.peers.contains(id) || own == Some(*id);
        match to {
            To::All => app.peers.iter().copied().chain(own).collect(),
            To::Others => app.peers.clone(),
            To::Only(nodes) => nodes.iter().copied().filter(is_there).collect(),
        }
    }

    /// Peers, perhaps the node itself, some that were here once.
    fn some_nodes(&mut self, node: usize, own: ReplicaId) -> Vec<ReplicaId> {
        let app = self.apps[node].as_ref().expect("the caller has it");
        let mut nodes: Vec<ReplicaId> = app.peers.iter().copied().collect();
        nodes.retain(|_| self.chance.percent(60));
        if self.chance.percent(30) {
            nodes.push(own);
        }
        if self.chance.percent(20) {
            let all: Vec<ReplicaId> = self.ledger.replicas().collect();
            nodes.push(*self.chance.pick(&all));
        }
        nodes
    }

    /// Those of the next ask.
    fn args(&self, padding: usize) -> Arc<str> {
        format!("[{},\"{}\"]", self.ledger.next_ask(), "x".repeat(padding)).into()
    }

    /// The size of arguments or of an answer.
    fn bytes(&mut self, plan: &plan::Jobs) -> usize {
        let most = if self.chance.percent(plan.large_percent) { plan.large_bytes_max } else { 60 };
        let limit = self.config.limits.value_bytes_max;
        let bytes = self.chance.below(most + 1) as usize;
        match self.chance.percent(TOO_MUCH_PERCENT) {
            true if limit < 100_000 => limit,
            _ => bytes.min(limit - 100),
        }
    }

    // ---- events

    fn emit_some(&mut self, at: u64, node: usize, engine: &mut Engine) -> Result<(), String> {
        let Some(plan) = self.plan.clone() else { return Ok(()) };
        for _ in 0..self.chance.between(1, plan.burst) {
            self.emits_left = self.emits_left.saturating_sub(1);
            let name = *self.chance.pick(NAMES);
            let padding = self.bytes(&plan);
            let some = self.some_nodes(node, engine.id());
            let to = match self.chance.below(3) {
                0 => To::All,
                1 => To::Others,
                _ => To::Only(&some),
            };
            self.emit(at, node, engine, name, padding, to)?;
        }
        Ok(())
    }

    fn emit(
        &mut self,
        at: u64,
        node: usize,
        engine: &mut Engine,
        name: &str,
        padding: usize,
        to: To<'_>,
    ) -> Result<(), String> {
        let life = self.apps[node].as_ref().expect("the caller has it").life;
        let args = format!("[{},\"{}\"]", self.ledger.next_emit(), "x".repeat(padding));
        let targets = self.targets(node, engine.id(), to, false);
        let too_large = args.len() > self.config.limits.value_bytes_max;
        let count = match engine.emit(to, name, &args) {
            Ok(count) if !too_large => count,
            Err(AskError::TooLarge { .. }) if too_large => return Ok(()),
            other => return Err(format!("emits {} bytes: {other:?}", args.len())),
        };
        self.ledger.emitted(at, life, engine.id(), name, args.into(), targets, count)
    }

    fn change(&mut self, at: u64, node: usize, engine: &mut Engine) {
        let life = self.apps[node].as_ref().expect("the caller has it").life;
        let (offer, name) = (*self.chance.pick(&OFFERS), *self.chance.pick(NAMES));
        if self.chance.percent(50) {
            engine.offer(offer, name);
            self.ledger.offer(at, life, offer, name);
        } else {
            engine.withdraw(offer, name);
            self.ledger.withdraw(at, life, offer, name);
        }
    }

    // ---- taking and answering

    /// Whether others wait.
    fn take(
        &mut self,
        at: u64,
        now: Now,
        node: usize,
        engine: &mut Engine,
    ) -> Result<bool, String> {
        let app = self.apps[node].as_mut().expect("the caller has it");
        app.take_at = None;
        let rung = app.rung.take();
        let life = app.life;
        let plan = self.plan.as_ref();
        let most = plan.filter(|_| !self.quiet).map_or(1_024, |plan| plan.take_max);
        let busy_percent = plan.filter(|_| !self.quiet).map_or(0, |plan| plan.busy_percent);
        let mut items = Vec::new();
        let more = engine.take_items(now, most, &mut items);
        if items.len() > most || (more && items.len() < most) {
            return Err(format!("gives {} items of {most}, more: {more}", items.len()));
        }
        let mut bytes_of: BTreeMap<ReplicaId, usize> = BTreeMap::new();
        for item in items {
            if rung == Some(false) && !matches!(item, Item::Outcome { .. }) {
                return Err(format!("not urgent was {item:.60?}"));
            }
            if let Some((from, bytes)) = weight(&item) {
                *bytes_of.entry(from).or_default() += bytes;
            }
            self.take_item(at, node, item)?;
        }
        bytes_of.remove(&engine.id());
        if let Some((peer, bytes)) =
            bytes_of.iter().find(|&(_, &bytes)| bytes > ledger::window_bytes(&self.config))
        {
            return Err(format!("{bytes} bytes of {peer:?} waited: more than its window"));
        }
        let app = self.apps[node].as_mut().expect("as above");
        if more {
            app.take_at = Some(at + 1);
            self.at(at + 1, Some(Whose { node, life }), Deed::Take);
        } else {
            app.takes += 1;
            let lost = |run: &&Running| self.ledger.saw_go(life, run.caller, run.taken_ms + 1);
            if let Some(run) = app.runs.values().filter(|run| !run.stopped).find(lost) {
                return Err(format!("a function runs on for {:?}, which is gone", run.caller));
            }
            let over = |(run, running): &(&RunId, &Running)| {
                let postponed = || self.ledger.was_postponed(life, **run);
                !running.stopped && running.until_ms < at && !postponed()
            };
            if let Some((run, running)) = app.runs.iter().find(over) {
                let until_ms = running.until_ms;
                return Err(format!("{run:?} goes on, and its time was over at {until_ms}"));
            }
            self.ledger.check_overdue(at, life)?;
        }
        if self.chance.percent(busy_percent) {
            let busy_ms = self.chance.between(300, 3_000);
            self.apps[node].as_mut().expect("as above").busy_until = at + busy_ms;
        }
        Ok(more)
    }

    fn take_item(&mut self, at: u64, node: usize, item: Item) -> Result<(), String> {
        let app = self.apps[node].as_mut().expect("the caller has it");
        let life = app.life;
        match item {
            Item::Run { run, offer, name, args, caller, job, remaining_ms, trace } => {
                let (name, args, trace) = (&*name, &*args, &*trace);
                let handed = Handed { run, offer, name, args, caller, job, remaining_ms, trace };
                self.ledger.ran(at, life, handed)?;
                if !self.ledger.is_or_was(life, caller) && !app.peers.contains(&caller) {
                    return Err(format!("{run:?} is for {caller:?}, which is gone"));
                }
                let under_way = app.runs.values();
                let active = under_way.filter(|of| of.caller == caller && !of.stopped).count();
                if active >= self.config.runs_per_peer_max {
                    return Err(format!("{active} functions run for {caller:?} already"));
                }
                self.run(at, node, run, name, caller, remaining_ms);
                Ok(())
            }
            Item::Stop { run, why } => {
                if let Some(running) = app.runs.get_mut(&run) {
                    running.stopped = true;
                    if !running.stubborn {
                        app.runs.remove(&run);
                    }
                }
                self.ledger.stopped(at, life, run, &why, app.takes)
            }
            Item::Outcome { job, node, outcome } => {
                self.ledger.outcome(at, life, job, node, &outcome)
            }
            Item::Ended { job, end } => {
                self.ledger.ended(at, life, job, end)?;
                if self.asks_left > 0 && self.chance.percent(5) {
                    self.at(at, Some(Whose { node, life }), Deed::Ask);
                }
                Ok(())
            }
            Item::Emitted { peer, name, args } => self.ledger.heard(life, peer, &name, &args),
        }
    }

    /// Begins to run a function: draws how long it takes and what it will answer.
    fn run(
        &mut self,
        at: u64,
        node: usize,
        run: RunId,
        name: &str,
        caller: ReplicaId,
        remaining_ms: u64,
    ) {
        let Some(plan) = self.plan.clone() else { return };
        let (never, late) = match name {
            LAST => (0, 0),
            ENDLESS => (100, 0),
            _ => (plan.never_percent, plan.late_percent),
        };
        let in_ms = match self.chance.below(100) {
            drawn if drawn < never => None,
            drawn if drawn < never + late => Some(remaining_ms + self.chance.below(500)),
            _ if name == LAST || self.chance.percent(40) => Some(0),
            _ => Some(self.chance.below(plan.run_ms_max + 1)),
        };
        let life = self.apps[node].as_ref().expect("the caller has it").life;
        let padding = self.bytes(&plan);
        let text = format!("[{life},{},\"{}\"]", run.0, "y".repeat(padding));
        let (limits, ok) = (&self.config.limits, self.chance.percent(85));
        let (text, answer): (Arc<str>, _) = if text.len() > limits.value_bytes_max {
            (text.into(), Outcome::Error("ERR_VALUE_TOO_LARGE".into()))
        } else if self.chance.percent(TOO_MUCH_PERCENT) {
            let levels = limits.depth_max + 1;
            let deep = "[".repeat(levels) + &"]".repeat(levels);
            (deep.into(), Outcome::Error("ERR_TOO_DEEP".into()))
        } else {
            let text: Arc<str> = text.into();
            (text.clone(), if ok { Outcome::Ok(text) } else { Outcome::Error(text) })
        };
        let stubborn = self.chance.percent(20);
        let refusal = match run.0 % 7 {
            0 if !ok => Some(Refusal::Busy),
            1 if !ok => Some(Refusal::NoWorker),
            _ => None,
        };
        let answer = match refusal {
            Some(Refusal::Busy) => Outcome::Busy,
            Some(Refusal::NoWorker) => Outcome::NoWorker,
            None => answer,
        };
        let (taken_ms, until_ms, stopped) = (at, at + remaining_ms, false);
        let running =
            Running { caller, taken_ms, until_ms, stopped, stubborn, ok, refusal, text, answer };
        self.apps[node].as_mut().expect("as above").runs.insert(run, running);
        if let Some(in_ms) = in_ms {
            self.at(at + in_ms, Some(Whose { node, life }), Deed::Answer(run));
        }
    }

    fn answer(&mut self, node: usize, engine: &mut Engine, run: RunId) {
        let app = self.apps[node].as_mut().expect("the caller has it");
        let Some(running) = app.runs.remove(&run) else { return };
        let text = &*running.text;
        match running.refusal {
            Some(why) => engine.refuse(run, why),
            None => engine.answer(run, if running.ok { Ok(text) } else { Err(text) }),
        }
        self.ledger.answered(app.life, run, app.takes, running.answer);
    }
}

/// What an item takes of the window of the peer it comes from.
fn weight(item: &Item) -> Option<(ReplicaId, usize)> {
    match item {
        Item::Run { caller, name, args, .. } => Some((*caller, name.len() + args.len())),
        Item::Emitted { peer, name, args } => Some((*peer, name.len() + args.len())),
        Item::Outcome { node, outcome: Outcome::Ok(text) | Outcome::Error(text), .. } => {
            Some((*node, text.len()))
        }
        Item::Outcome { .. } | Item::Stop { .. } | Item::Ended { .. } => None,
    }
}
