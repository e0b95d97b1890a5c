//! What a seed makes of a run: the cluster, its limits, what goes wrong and what is written.
//!
//! Each seed draws which faults are on at all, not only how often they come: a fault that is
//! always on hides what happens without it.

use super::chance::Chance;
use super::faults::{Fault, Faults, When};
use crate::engine::Config;

/// How long the others are parted then: longer than it takes to be sure of a death.
pub const SPLIT_MS: u64 = 90_000;
/// The kinds that the first streams draw from.
const FAULTS: &[Fault] = Fault::ALL.split_at(Fault::FIRST).0;

#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: usize,
    /// Who keeps a connection to whom.
    pub connects: Vec<Vec<usize>>,
    /// Whether nodes that are no neighbours can reach one another, should they learn addresses.
    pub open: bool,
    /// Who advertises no address.
    pub silent: Vec<bool>,
    /// Some nodes come late.
    pub starts_ms: Vec<u64>,
    /// Of a whole node's life; the same on all nodes, `advertised` apart.
    pub config: Config,
    pub latency_ms: (u64, u64),
    pub bytes_per_ms: u64,
    pub faults: Vec<Fault>,
    pub fault_gap_ms: u64,
    pub fault_length_ms: u64,
    pub restart_percent: u64,
    /// How long a node does nothing after it has kept a deadline, so that work done in steps lasts.
    pub step_ms: u64,
    /// How many outputs are taken when something has come to a node; the rest comes so much later,
    /// and more may come to it in between. `None`: all.
    pub outputs_max: Option<usize>,
    pub turn_ms: u64,
    /// Clocks: parts per million, and how far they are set wrong at the start.
    pub drift_ppm: u64,
    pub clock_error_ms: u64,
    pub duration_ms: u64,
    pub writes: usize,
    /// Only the first so many nodes write.
    pub writers: usize,
    /// Writes of a node in a row.
    pub burst: u64,
    pub workload: Workload,
    /// At the end everything is deleted, to see that memory returns to the start.
    pub emptied: bool,
    /// Dead replicas are forgotten within the run, which goes on until they are.
    pub forgets: bool,
    /// Jobs, remote calls and events, in some runs.
    pub jobs: Option<Jobs>,
    /// How much later than others some ways deliver.
    pub reorder_ms: u64,
    /// From when to the end of the faults one node is away.
    pub outrun_from_ms: Option<u64>,
    /// When the only node that writes leaves, and the others are parted.
    pub split_death_ms: Option<u64>,
    /// Whether applications want to hear of dials that fail.
    pub announce: bool,
    /// Whose address each node advertises: most often its own.
    pub advertises: Vec<usize>,
    /// Who speaks a higher minor version.
    pub newer: Vec<bool>,
    /// One node is cut off from all others, from when and, after all other faults, for how long:
    /// until they have forgotten it.
    pub away: Option<Away>,
    pub storm: Option<Storm>,
    /// Who looks on, and writes nothing.
    pub observer: Option<usize>,
    /// All nodes are on one machine: at a port that is refused no process listens.
    pub one_machine: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// From one kill to the next, in the mean.
    pub every_ms: u64,
    /// The longest that a node is away.
    pub back_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Away {
    pub from_ms: u64,
    pub for_ms: u64,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub names: Vec<&'static str>,
    pub depth_max: usize,
    /// How much of the writing goes to a few paths.
    pub hot_percent: u64,
    pub hot_paths: usize,
    pub set_weight: u64,
    pub increment_weight: u64,
    pub delete_weight: u64,
    /// How often a phase of nothing but deletes begins, and how long it is.
    pub purge_percent: u64,
    pub purge_length: u64,
    /// Numbers whose sums depend on the order in doubles.
    pub decimals: bool,
    /// How often a value is a long text, and how long.
    pub large_percent: u64,
    pub large_bytes_max: u64,
    /// How often a path has many segments.
    pub deep_percent: u64,
}

#[derive(Clone, Debug)]
pub struct Jobs {
    pub asks: usize,
    pub emits: usize,
    /// Asks or emits of a node in a row.
    pub burst: u64,
    /// How often a node asks or emits as soon as it has a new peer.
    pub eager_percent: u64,
    /// How often a node offers a name, and how many times one is withdrawn or offered anew.
    pub offer_percent: u64,
    pub changes: usize,
    /// Arguments and answers: mostly small.
    pub large_percent: u64,
    pub large_bytes_max: u64,
    pub timeouts_ms: Vec<u64>,
    /// How long functions run.
    pub run_ms_max: u64,
    /// How often a function ends after its deadline, and how often never.
    pub late_percent: u64,
    pub never_percent: u64,
    pub cancel_percent: u64,
    pub postpone_percent: u64,
    /// From the bell to the taking of items, and how many are taken at once.
    pub take_delay_ms: u64,
    pub take_max: usize,
    /// How often the event loop is kept busy for seconds after taking items.
    pub busy_percent: u64,
}

/// `__proto__`, the empty name and indexes are names like others, and have all been trouble once.
const NAMES: &[&str] = &["a", "b", "0", "1", "2", "3", "", "__proto__", "01", "c"];

/// What is asked of every seed.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// These kinds of faults and no others, in every seed; `None`: as each seed draws.
    pub faults: Option<Faults>,
    /// Of a run that fails, the story of this path; `None`: of the one where it failed.
    pub story: Option<Vec<String>>,
    /// None of these kinds.
    pub without: Faults,
    /// Only what the first streams of a seed draw: as seeds were before there was the rest.
    pub first_streams: bool,
    /// The run that speed is measured by: 5 nodes in a full mesh, 500 writes in 10 s, every kind of
    /// fault that strikes, no jobs, and nothing that is waited for.
    pub reference: bool,
    /// A node looks on in every seed in which nobody is taken for dead; there are no jobs.
    pub observer: bool,
}

impl Plan {
    pub fn draw(seed: u64, wishes: &Wishes) -> Self {
        let stream = |stream| Chance::new(seed, stream);
        let mut plan = match wishes.reference {
            true => Plan::draw_reference(&mut stream(0)),
            false => Plan::draw_first(&mut stream(0), &mut stream(5), &mut stream(7)),
        };
        let mut chance = stream(8);
        if let Some(faults) = wishes.faults {
            plan.faults.clear();
            faults.iter().for_each(|fault| plan.switch_on(fault, &mut chance));
        } else if !wishes.first_streams && !wishes.reference {
            plan.draw_more(&mut chance, wishes.without);
            plan.draw_room(&mut stream(10));
            let storms = &mut stream(13);
            if storms.percent(Fault::Storm.percent()) && !wishes.without.has(Fault::Storm) {
                plan.faults.retain(|fault| fault.goes_with_storms());
                plan.switch_on(Fault::Storm, storms);
            }
        }
        plan.switch_off(wishes.without);
        if wishes.observer {
            plan.jobs = None;
            plan.add_observer(&mut stream(11));
        }
        plan.one_machine = stream(12).percent(50);
        plan
    }

    /// In some runs there is less room than the writes would take.
    fn draw_room(&mut self, chance: &mut Chance) {
        if chance.percent(8) {
            self.config.document_bytes_max = Some(*chance.pick(&[512, 2 << 10, 8 << 10, 32 << 10]));
        }
    }

    /// Jobs are drawn from a stream of their own, and change nothing else but `config` and, in
    /// runs where nothing goes wrong, `faults`.
    fn draw_first(chance: &mut Chance, of_jobs: &mut Chance, late: &mut Chance) -> Self {
        let nodes = chance.between(3, 7) as usize;
        let mut plan = Plan::draw_state(chance, nodes);
        if of_jobs.percent(60) {
            if of_jobs.percent(15) {
                plan.faults.clear();
            }
            plan.jobs = Some(jobs(of_jobs, &plan.faults, &mut plan.config));
        }
        draw_late(late, &mut plan);
        plan
    }

    fn draw_reference(chance: &mut Chance) -> Self {
        let mut plan = Plan::draw_state(chance, 5);
        plan.connects = connects(chance, 5, false);
        plan.open = true;
        plan.starts_ms = vec![0; 5];
        plan.faults = FAULTS.to_vec();
        plan.fault_gap_ms = 1_000;
        plan.duration_ms = 10_000;
        plan.writes = 500;
        plan.forgets = false;
        plan.config.forget_after_ms = Config::default().forget_after_ms;
        plan
    }

    /// The kinds of faults that the first streams do not draw, and limits.
    fn draw_more(&mut self, chance: &mut Chance, without: Faults) {
        let more = &Fault::ALL[Fault::FIRST..Fault::TOGETHER];
        let drawn: Vec<Fault> =
            more.iter().copied().filter(|fault| chance.percent(fault.percent())).collect();
        // Some runs are for what happens when nothing goes wrong.
        let calm = self.faults.is_empty();
        for fault in drawn.into_iter().filter(|&fault| !without.has(fault)) {
            if !calm || fault.is_harmless() {
                self.switch_on(fault, chance);
            }
        }
        self.announce = chance.percent(30);
        if chance.percent(30) {
            self.config.learned_address_ms = chance.between(2_000, 10_000);
        }
        let Some(jobs) = &mut self.jobs else { return };
        self.config.introductions = chance.percent(30);
        if chance.percent(10) {
            // More at once than a line has room for.
            self.config.limits.value_bytes_max = 4 << 10;
            self.config.window_bytes = 0;
            (jobs.large_percent, jobs.large_bytes_max) = (40, 3_800);
            jobs.burst = 40;
            self.workload.large_bytes_max = self.workload.large_bytes_max.min(3_000);
        }
    }

    fn switch_on(&mut self, fault: Fault, chance: &mut Chance) {
        // Others that die early would be forgotten before the end, when all is compared.
        let is_apart = self.away.is_some() || self.split_death_ms.is_some();
        let parts = matches!(fault, Fault::Outrun | Fault::Forgotten | Fault::SplitDeath);
        if is_apart && (fault.ends_lives() || parts) {
            return;
        }
        self.faults.push(fault);
        match fault {
            Fault::Reorder => self.reorder_ms = *chance.pick(&[20, 100, 400]),
            Fault::ClockDrift => self.drift_ppm = *chance.pick(&[50_000, 200_000]),
            Fault::Outrun => {
                self.outrun_from_ms = Some(chance.below(self.duration_ms / 2));
                let config = &mut self.config;
                match chance.below(4) {
                    0 => config.removals_max = chance.below(6) as usize,
                    1 | 2 => config.look_back_changes = chance.between(1, 20) as usize,
                    _ => {}
                }
                config.checkpoint_changes = *chance.pick(&[1, 4]);
            }
            Fault::SharedAddress => {
                let node = chance.index(self.nodes);
                let owner = (node + 1 + chance.index(self.nodes - 1)) % self.nodes;
                self.advertises[node] = owner;
                // Who is away is taken for dead as soon as nobody hears it, and forgotten the sooner.
                if let Some(away) = &mut self.away {
                    away.for_ms = away.for_ms * 2 / 5;
                }
                // Who is linked with the one takes the address of both for connected.
                for peer in (0..self.nodes).filter(|&peer| peer != owner) {
                    if self.connects[peer].contains(&owner) && !self.connects[owner].contains(&peer)
                    {
                        self.connects[owner].push(peer);
                    }
                }
            }
            Fault::NewerMinor => {
                self.newer = (0..self.nodes).map(|_| chance.percent(40)).collect();
            }
            Fault::Crowd => self.add_crowd(chance),
            Fault::DoubleDial => {
                for a in 0..self.nodes {
                    for b in self.connects[a].clone().into_iter().filter(|&b| b != a) {
                        if !self.connects[b].contains(&a) {
                            self.connects[b].push(a);
                        }
                    }
                }
                self.faults.push(Fault::LinkReset);
                self.fault_gap_ms = 300;
                self.latency_ms = *chance.pick(&[(5, 50), (1, 200)]);
                self.bytes_per_ms = *chance.pick(&[5, 20, 100]);
                self.config.part_bytes_max = *chance.pick(&[64, 64, 512]);
                self.config.queue_bytes_max = *chance.pick(&[1, 1, 4 << 10]);
                if let Some(jobs) = &mut self.jobs {
                    (jobs.eager_percent, jobs.large_percent) = (100, 50);
                    // What waits must be able to go within the time that the last jobs have.
                    let most = (self.bytes_per_ms * 600).min(16_000);
                    jobs.large_bytes_max = jobs.large_bytes_max.clamp(3_000, most);
                    jobs.asks = jobs.asks.min(self.bytes_per_ms as usize * 16);
                    jobs.emits = jobs.emits.min(self.bytes_per_ms as usize * 8);
                    jobs.burst = jobs.burst.min(4);
                }
            }
            Fault::Forgotten => {
                self.jobs = None;
                self.forgets = true;
                self.config.forget_after_ms = 120_000;
                self.draw_away(chance);
            }
            Fault::SplitDeath => {
                self.writers = 1;
                // Nobody is folded while others are merely away.
                self.faults.retain(|fault| !fault.ends_lives());
                let at = chance.between(1_000, 5_000);
                self.split_death_ms = Some(at);
                self.duration_ms = self.duration_ms.max(at + SPLIT_MS + 2_000);
            }
            Fault::Storm => self.draw_storm(chance),
            Fault::LargeValues => {
                self.workload.large_percent = 3;
                let part = self.config.part_bytes_max as u64;
                let limit = self.config.limits.value_bytes_max as u64 * 3 / 4;
                self.workload.large_bytes_max = (part * 8).clamp(2_000, 20_000).min(limit);
            }
            Fault::DeepPaths => self.workload.deep_percent = *chance.pick(&[5, 40]),
            Fault::HotKey => {
                self.workload.hot_percent = 97;
                self.workload.hot_paths = 1;
            }
            _ => {}
        }
        if [Fault::Crowd, Fault::DoubleDial].iter().all(|kind| self.faults.contains(kind)) {
            // What is folded late must reach the farthest of many nodes while agreement is waited for.
            self.bytes_per_ms = self.bytes_per_ms.max(20);
        }
    }

    /// Cuts a node off for so long that the others forget it, and it is still told so.
    fn draw_away(&mut self, chance: &mut Chance) {
        let from_ms = chance.below(self.duration_ms * 2 / 3);
        // Who is away for twice as long as it is remembered is not recognised.
        let all_ms = self.config.forget_after_ms * chance.between(130, 185) / 100;
        self.away = Some(Away { from_ms, for_ms: all_ms - (self.duration_ms - from_ms) });
        // Others that die early would be forgotten before the end, when all is compared.
        self.faults.retain(|fault| !fault.ends_lives());
    }

    /// A mesh of processes of one application, from which one after another is killed, all but the
    /// first. They lose and find each other fast.
    fn draw_storm(&mut self, chance: &mut Chance) {
        let nodes = chance.between(4, 8) as usize;
        self.nodes = nodes;
        self.connects =
            (0..nodes).map(|node| (0..nodes).filter(|&to| to != node).collect()).collect();
        self.open = true;
        self.silent = vec![false; nodes];
        self.starts_ms = vec![0; nodes];
        self.advertises = (0..nodes).collect();
        self.newer = vec![false; nodes];
        self.writers = nodes;
        (self.away, self.outrun_from_ms, self.split_death_ms) = (None, None, None);
        (self.forgets, self.jobs) = (false, None);
        self.config.learn_addresses = true;
        (self.config.loss_timeout_ms, self.config.heartbeat_interval_ms) = (2_000, 400);
        self.config.forget_after_ms = Config::default().forget_after_ms;
        self.latency_ms = *chance.pick(&[(0, 1), (1, 5), (5, 50), (20, 150), (1, 500)]);
        self.bytes_per_ms = self.bytes_per_ms.max(1_000);
        self.fault_length_ms = *chance.pick(&[300, 2_000]);
        self.storm = Some(Storm {
            every_ms: *chance.pick(&[300, 1_000, 1_000, 2_000]),
            back_ms: *chance.pick(&[0, 3, 300, 2_000]),
        });
        self.duration_ms = chance.between(10_000, 40_000);
        self.writes = *chance.pick(&[100, 300, 600]);
        if chance.percent(60) {
            (self.workload.increment_weight, self.workload.delete_weight) = (20, chance.below(3));
            self.workload.names.truncate(3);
        }
        // Counters that outlive many who have added to them.
        if chance.percent(60) {
            let workload = &mut self.workload;
            (workload.set_weight, workload.delete_weight, workload.purge_percent) = (1, 0, 0);
            (workload.increment_weight, workload.depth_max) = (40, 2);
            (workload.hot_percent, workload.hot_paths) = (90, 2);
        }
    }

    /// Nodes that all start at one moment, each with one or two to begin with.
    fn add_crowd(&mut self, chance: &mut Chance) {
        let (first, more) = (self.nodes, chance.between(4, 8) as usize);
        let at = chance.below(self.duration_ms);
        for node in first..first + more {
            let mut connects = vec![chance.index(first)];
            if chance.percent(50) {
                connects.push((connects[0] + 1) % first);
            }
            self.connects.push(connects);
            self.silent.push(chance.percent(20));
            self.starts_ms.push(at);
            self.advertises.push(node);
            self.newer.push(false);
        }
        self.nodes += more;
    }

    /// One more node, which looks on by way of one of the others: from some time on, and through all
    /// that goes wrong.
    fn add_observer(&mut self, chance: &mut Chance) {
        if self.may_rejoin() {
            return;
        }
        let observer = self.nodes;
        self.observer = Some(observer);
        self.connects.push(vec![chance.index(observer)]);
        self.silent.push(true);
        self.starts_ms.push(chance.below(self.duration_ms));
        self.advertises.push(observer);
        self.newer.push(false);
        self.nodes += 1;
    }

    /// Takes kinds of faults out of the plan, those included that every plan has a little of.
    fn switch_off(&mut self, without: Faults) {
        self.faults.retain(|&fault| !without.has(fault));
        for fault in without.iter() {
            match fault {
                Fault::Delay => self.latency_ms = (0, 1),
                Fault::ClockDrift => self.drift_ppm = 0,
                Fault::ClockJump => self.clock_error_ms = 0,
                Fault::HotKey => self.workload.hot_percent = 0,
                Fault::MassDelete => self.workload.purge_percent = 0,
                _ => {}
            }
        }
    }

    /// Whether a node may find that the others have taken it for dead.
    pub fn may_rejoin(&self) -> bool {
        let kinds = [Fault::SharedAddress, Fault::SplitDeath];
        self.forgets || kinds.iter().any(|kind| self.faults.contains(kind))
    }

    /// Who can be dialled at the address that it advertises, and is known by it: of two at one address
    /// a third takes the one it met for the one it would dial.
    pub fn is_reachable(&self, node: usize) -> bool {
        let at = |other: usize| self.advertises[other] == node;
        !self.silent[node] && (0..self.nodes).all(|other| at(other) == (other == node))
    }

    /// The kinds that strike.
    pub fn strikes(&self) -> Vec<Fault> {
        self.faults.iter().copied().filter(|fault| fault.when() == When::Strikes).collect()
    }

    fn draw_state(chance: &mut Chance, nodes: usize) -> Self {
        let sparse = chance.percent(40);
        let mut starts_ms = vec![0; nodes];
        let duration_ms = chance.between(3_000, 30_000);
        if chance.percent(40) {
            let late = chance.index(nodes);
            starts_ms[late] = chance.below(duration_ms);
        }
        let few_faults = chance.percent(25);
        let faults = match few_faults {
            true => vec![*chance.pick(FAULTS)],
            false => FAULTS.iter().copied().filter(|_| chance.percent(40)).collect(),
        };
        let forgets = chance.percent(10);
        let mut plan = Plan {
            nodes,
            connects: connects(chance, nodes, sparse),
            open: !sparse || chance.percent(50),
            silent: vec![false; nodes],
            starts_ms,
            config: config(chance, forgets),
            latency_ms: *chance.pick(&[(0, 1), (1, 5), (5, 50), (1, 200)]),
            bytes_per_ms: *chance.pick(&[100_000, 1_000, 100]),
            faults,
            fault_gap_ms: *chance.pick(&[300, 1_000, 3_000, 8_000]),
            fault_length_ms: *chance.pick(&[300, 2_000, 8_000]),
            restart_percent: *chance.pick(&[50, 90, 100]),
            step_ms: 0,
            outputs_max: None,
            turn_ms: 1,
            drift_ppm: *chance.pick(&[0, 50, 10_000]),
            clock_error_ms: *chance.pick(&[0, 20, 700, 3_600_000]),
            duration_ms,
            writes: *chance.pick(&[20, 60, 150, 300]),
            writers: nodes,
            burst: *chance.pick(&[1, 1, 3, 20]),
            workload: workload(chance),
            emptied: chance.percent(30),
            forgets,
            jobs: None,
            reorder_ms: 0,
            outrun_from_ms: None,
            split_death_ms: None,
            announce: false,
            advertises: (0..nodes).collect(),
            newer: vec![false; nodes],
            away: None,
            storm: None,
            observer: None,
            one_machine: false,
        };
        if chance.percent(40) {
            plan.config.learn_addresses = true;
            plan.silent = (0..nodes).map(|_| chance.percent(20)).collect();
        }
        plan
    }
}

/// A full mesh, or a random connected graph. Of two neighbours one dials or both do.
fn connects(chance: &mut Chance, nodes: usize, sparse: bool) -> Vec<Vec<usize>> {
    let mut connects = vec![Vec::new(); nodes];
    let names_itself = chance.percent(20);
    for node in 0..nodes {
        let backbone = if node == 0 { None } else { Some(chance.index(node)) };
        for earlier in 0..node {
            if sparse && backbone != Some(earlier) && chance.percent(80) {
                continue;
            }
            match chance.below(3) {
                0 => connects[node].push(earlier),
                1 => connects[earlier].push(node),
                _ => {
                    connects[node].push(earlier);
                    connects[earlier].push(node);
                }
            }
        }
        if names_itself {
            connects[node].push(node);
        }
    }
    connects
}

/// Small limits bring what is rare with large ones: overflows, feeds, snapshots.
fn config(chance: &mut Chance, forgets: bool) -> Config {
    let mut config = Config::default();
    if chance.percent(30) {
        config.queue_bytes_max = *chance.pick(&[1 << 10, 4 << 10, 32 << 10]);
    }
    if chance.percent(30) {
        config.pending_bytes_max = *chance.pick(&[256, 2 << 10, 16 << 10]);
    }
    if chance.percent(30) {
        config.removals_max = *chance.pick(&[0, 1, 5, 50]);
    }
    if chance.percent(30) {
        config.part_bytes_max = *chance.pick(&[128, 512, 4 << 10]);
    }
    if forgets {
        config.forget_after_ms = 120_000;
    }
    config
}

/// Steps so small that much happens between them, one way of replication alone, a long absence.
/// Drawn from a stream of its own, after all else, so that the rest of a seed stays what it was
/// before there were these. What would keep jobs waiting is left to runs without them.
fn draw_late(chance: &mut Chance, plan: &mut Plan) {
    let config = &mut plan.config;
    let alone = plan.jobs.is_none();
    if chance.percent(40) {
        config.merge_paths = chance.between(1, 4) as usize;
        plan.step_ms = if alone { *chance.pick(&[0, 1, 5]) } else { 0 };
    }
    if chance.percent(60) {
        config.checkpoint_changes = *chance.pick(&[1, 4, 16]);
    }
    if chance.percent(10) {
        config.look_back_changes = chance.between(1, 20) as usize;
    }
    if chance.percent(40) {
        config.gap_timeout_ms = *chance.pick(&[20, 2_000]);
    }
    if chance.percent(15) {
        plan.writers = chance.between(1, 2) as usize;
    }
    let workload = &mut plan.workload;
    workload.decimals = chance.percent(15);
    // Counters below paths that are deleted.
    if chance.percent(30) {
        workload.depth_max = workload.depth_max.clamp(2, 3);
        (workload.set_weight, workload.increment_weight) = (1, 10);
        workload.delete_weight = chance.between(1, 5);
    }
    if !alone {
        return;
    }
    // Much at once on few paths.
    if chance.percent(60) {
        workload.names.truncate(chance.between(1, 3) as usize);
        plan.duration_ms = plan.duration_ms.min(chance.between(2_000, 8_000));
        plan.writes = 300;
    }
    // Nothing is pushed: all travels by feeds, which pass on what others have fed.
    if chance.percent(30) {
        config.queue_bytes_max = 1;
        config.checkpoint_changes = *chance.pick(&[1, 1, 4]);
    }
    // Feeds last, and much changes while they do.
    if chance.percent(30) {
        config.part_bytes_max = *chance.pick(&[64, 128, 256]);
        plan.bytes_per_ms = *chance.pick(&[5, 20]);
        workload.purge_percent = 5;
    }
    if plan.forgets && chance.percent(75) {
        plan.draw_away(chance);
    } else if chance.percent(40) {
        plan.outputs_max = Some(chance.between(0, 4) as usize);
        plan.turn_ms = *chance.pick(&[1, 30, 200]);
    }
}

fn workload(chance: &mut Chance) -> Workload {
    let mut names: Vec<_> = NAMES.iter().copied().filter(|_| chance.percent(40)).collect();
    if names.is_empty() {
        names.push("a");
    }
    Workload {
        names,
        depth_max: chance.between(1, 4) as usize,
        hot_percent: *chance.pick(&[0, 50, 90]),
        hot_paths: chance.between(1, 4) as usize,
        set_weight: chance.between(1, 10),
        increment_weight: *chance.pick(&[0, 2, 10]),
        delete_weight: *chance.pick(&[0, 1, 5]),
        purge_percent: *chance.pick(&[0, 0, 2, 5]),
        purge_length: chance.between(3, 15),
        decimals: false,
        large_percent: 0,
        large_bytes_max: 0,
        deep_percent: 0,
    }
}

fn jobs(chance: &mut Chance, faults: &[Fault], config: &mut Config) -> Jobs {
    if chance.percent(40) {
        // The window is never smaller than two of the largest messages.
        config.limits.value_bytes_max = *chance.pick(&[4 << 10, 12 << 10]);
        config.window_bytes = *chance.pick(&[0, 32 << 10]);
    }
    if chance.percent(20) {
        config.jobs_max = *chance.pick(&[1, 4, 16]);
    }
    if chance.percent(20) {
        config.runs_per_peer_max = *chance.pick(&[1, 2, 8]);
    }
    // What goes in pieces costs simulation time by the byte.
    let large_percent = *chance.pick(&[0, 0, 5, 20]);
    if large_percent > 0 && chance.percent(70) {
        config.part_bytes_max = config.part_bytes_max.min(1 << 10);
    }
    let large_bytes = match config.part_bytes_max {
        part if part > 8 << 10 => part * 2,
        part => (part * *chance.pick(&[1, 3, 30])).min(16 << 10),
    };
    // Nothing but the application's own doing then keeps an answer away.
    let generous = faults.is_empty() && chance.percent(70);
    let rarely = |chance: &mut Chance, percents: &[u64]| match generous {
        true => 0,
        false => *chance.pick(percents),
    };
    let timeouts_ms: &[u64] = match chance.below(5) {
        _ if generous => &[60_000],
        0 => &[0, 1, 5, 20, 50, 200],
        1 | 2 => &[20, 200, 1_000, 3_000, 10_000],
        _ => &[3_000, 10_000],
    };
    Jobs {
        asks: *chance.pick(&[10, 20, 20, 40, 80, 200]),
        emits: *chance.pick(&[0, 10, 30, 100]),
        burst: *chance.pick(&[1, 1, 4, 40]),
        eager_percent: *chance.pick(&[0, 50, 100]),
        offer_percent: *chance.pick(&[50, 90, 100]),
        changes: *chance.pick(&[0, 0, 3, 20]),
        large_percent: if large_bytes > 64 << 10 { large_percent.min(2) } else { large_percent },
        large_bytes_max: large_bytes as u64,
        timeouts_ms: timeouts_ms.to_vec(),
        run_ms_max: *chance.pick(&[0, 5, 300]),
        late_percent: rarely(chance, &[0, 5, 20]),
        never_percent: rarely(chance, &[0, 2, 20]),
        cancel_percent: *chance.pick(&[0, 0, 5, 20]),
        postpone_percent: *chance.pick(&[0, 0, 5, 20]),
        take_delay_ms: *chance.pick(&[0, 2, 20]),
        take_max: *chance.pick(&[1_024, 1_024, 1_024, 3]),
        busy_percent: *chance.pick(&[0, 0, 2, 10]),
    }
}
