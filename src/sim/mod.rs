//! A seeded cluster simulator: the real engines, a fake network, a fake clock.
//!
//! [`run`] plays one seed: [`plan`] draws what will happen, [`cluster`] lets it happen on a
//! [`network`] while the [`workload`] writes and the [`model`] keeps the record, then [`checker`]
//! compares what all nodes show with what the record means. The applications of [`jobs`] ask one
//! another meanwhile, and its ledger knows what may come of it. The same seed gives the same run, on
//! every machine.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::fmt;
use std::panic;
use std::sync::Once;

pub mod checker;
pub mod cluster;
pub mod coverage;
pub mod faults;
pub mod jobs;
pub mod model;
pub mod network;
mod newer;
pub mod onlookers;
pub mod plan;
pub mod pledges;
pub mod story;
pub mod workload;

mod agenda;
mod chance;

use cluster::Cluster;
pub use plan::Wishes;
use story::Story;

/// What a run that passed was like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub nodes: usize,
    pub incarnations: usize,
    pub writes: usize,
    pub simulated_ms: u64,
    pub feeds: u64,
    pub snapshots: u64,
    pub overflows: u64,
    pub folds: u64,
    pub jobs: jobs::ledger::Counts,
    pub rejoins: u64,
    /// The longest time from the last fault until all agreed and were linked.
    pub settled_in_ms: u64,
    pub coverage: coverage::Coverage,
}

impl Report {
    /// Sums up runs.
    pub fn add(&mut self, other: &Report) {
        self.nodes += other.nodes;
        self.incarnations += other.incarnations;
        self.writes += other.writes;
        self.simulated_ms += other.simulated_ms;
        self.feeds += other.feeds;
        self.snapshots += other.snapshots;
        self.overflows += other.overflows;
        self.folds += other.folds;
        self.jobs.add(&other.jobs);
        self.rejoins += other.rejoins;
        self.settled_in_ms = self.settled_in_ms.max(other.settled_in_ms);
        self.coverage.add(&other.coverage);
    }
}

/// A run that did not pass.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    /// One line.
    pub message: String,
    /// What a person needs to find the cause.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.message)
    }
}

/// A rule that was broken, and where in the document if it was there.
#[derive(Debug)]
pub struct Trouble {
    pub message: String,
    pub path: Option<Vec<String>>,
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Trouble { message, path: None }
    }
}

/// Characters of a failure's line.
const MESSAGE_MAX: usize = 1_000;

/// Plays one seed. Panics where the engine does.
pub fn run(seed: u64, wishes: &Wishes) -> Result<Report, Failure> {
    let mut cluster = Cluster::new(seed, wishes);
    match play(&mut cluster) {
        Ok(()) => Ok(report(&mut cluster)),
        Err(Trouble { message, path }) => {
            // Of a large value the beginning is enough.
            let message = match message.char_indices().nth(MESSAGE_MAX) {
                Some((end, _)) => format!("{}...", &message[..end]),
                None => message,
            };
            let held = if path.is_none() { cluster.describe() } else { String::new() };
            let path = wishes.story.clone().or(path).or_else(|| cluster.diverging_path());
            let story = path.map_or(String::new(), |path| tell(seed, wishes, path));
            let plan = format!("{:#?}\nat {} ms", cluster.plan, cluster.now);
            Err(Failure { seed, message, detail: format!("{plan}\n{held}\n{story}") })
        }
    }
}

/// Plays a seed that has failed again, for the story of a path.
fn tell(seed: u64, wishes: &Wishes, path: Vec<String>) -> String {
    let mut cluster = Cluster::new(seed, wishes);
    cluster.story = Some(Story::of(path, cluster.plan.nodes));
    let end = play(&mut cluster).err().map_or("it passed".into(), |trouble| trouble.message);
    format!("{}\nthe second run ended like this: {end}", story::tell(&mut cluster))
}

/// Three phases: with faults nothing wrong may happen; then all is mended; and then everything
/// must come about that is to, within [`checker::SETTLING_MS`].
fn play(cluster: &mut Cluster) -> Result<(), Trouble> {
    cluster.run_until(cluster.plan.duration_ms)?;

    cluster.heal()?;
    if let Some(away) = cluster.plan.away {
        cluster.run_until(cluster.now + away.for_ms)?;
        cluster.come_back()?;
    }

    let healed_ms = cluster.now;
    let by_ms = healed_ms + checker::SETTLING_MS;
    checker::ask_all(cluster)?;
    checker::settle(cluster, by_ms)?;
    checker::check_links(cluster, by_ms)?;
    cluster.settled_in_ms = cluster.now - healed_ms;
    checker::check(cluster)?;
    checker::check_onlookers(cluster)?;
    checker::check_observer(cluster)?;
    checker::check_waits(cluster, by_ms)?;
    checker::check_jobs(cluster, by_ms)?;

    // What takes longer by its nature.
    if cluster.plan.forgets {
        checker::check_forgotten(cluster)?;
    }
    if cluster.plan.emptied && !cluster.plan.forgets {
        checker::check_emptied(cluster)?;
    }
    Ok(())
}

fn report(cluster: &mut Cluster) -> Report {
    let mut report = Report {
        nodes: cluster.plan.nodes,
        incarnations: cluster.incarnations,
        writes: cluster.model.ops().len(),
        simulated_ms: cluster.now,
        jobs: cluster.jobs.ledger.counts.clone(),
        settled_in_ms: cluster.settled_in_ms,
        ..Report::default()
    };
    let mut rare = cluster.rare;
    for node in cluster.live() {
        rare.join(cluster.engine(node).rare());
        let stats = cluster.engine(node).stats();
        report.feeds += stats.feeds;
        report.snapshots += stats.snapshots;
        report.overflows += stats.overflows;
        report.folds += stats.folds;
        report.rejoins += stats.rejoins;
    }
    report.coverage = coverage::Coverage::of(cluster.struck, rare);
    report
}

/// Plays one seed; a panic is a failure like others, and prints nothing.
pub fn run_caught(seed: u64, wishes: &Wishes) -> Result<Report, Failure> {
    thread_local! {
        /// Message and stack of the last panic, while somebody wants to know.
        static CAUGHT: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
    }
    // One hook for all threads, as tests run side by side.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            CAUGHT.with_borrow_mut(|caught| match caught {
                Some(caught) => {
                    let stack = Backtrace::capture().to_string();
                    *caught = (info.to_string().replace('\n', " "), stack);
                }
                None => print(info),
            });
        }));
    });
    CAUGHT.set(Some(Default::default()));
    let result = panic::catch_unwind(|| run(seed, wishes));
    let (message, detail) = CAUGHT.take().unwrap_or_default();
    result.unwrap_or(Err(Failure { seed, message, detail }))
}
