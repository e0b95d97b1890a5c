//! `simulate --seeds N`: plays seeds and tells which failed. [`USAGE`] has the rest.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use collective_io::sim::faults::{Fault, Faults};
use collective_io::sim::{self, Failure, Report, Wishes};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
usage: simulate --seeds N [options]
  --from S        the first seed; 0
  --jobs N        threads; 1
  --faults A,B    these kinds of faults in every seed, and no others
  --without A,B   none of these kinds
  --first-streams draw only what the first streams of a seed give
  --reference     5 nodes, 500 writes in 10 s, every kind of fault: for speed
  --observer      a node looks on in every seed where it can
  --story A.B     with --verbose: the story of this path, not of the one where it failed
  --coverage      tell how many runs had each kind of fault and went each rare way
  --verbose       tell of every run, and of a failure the whole story
kinds of faults, and in how many of a hundred seeds each is on:";
/// How often progress is told: on a terminal, and in a file.
const TOLD_MS: [u64; 2] = [200, 60_000];

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        for fault in Fault::ALL {
            eprintln!("  {:<18} {:>2}  {}", fault.name(), fault.percent(), fault.what());
        }
        return ExitCode::from(2);
    };
    let series = Series::new(options);
    std::thread::scope(|scope| {
        for _ in 0..series.options.jobs {
            scope.spawn(|| series.play());
        }
    });
    let all = series.sums.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if series.is_terminal {
        eprint!("\r\x1b[K");
    }
    all.print(&series.options, series.start.elapsed());
    ExitCode::from(u8::from(all.failed > 0))
}

/// All seeds, played by some threads.
struct Series {
    options: Options,
    start: Instant,
    is_terminal: bool,
    next: AtomicU64,
    sums: Mutex<Sums>,
}

#[derive(Default)]
struct Sums {
    played: u64,
    failed: u64,
    report: Report,
    told: Duration,
}

impl Series {
    fn new(options: Options) -> Self {
        Series {
            next: AtomicU64::new(options.from),
            options,
            start: Instant::now(),
            is_terminal: std::io::stderr().is_terminal(),
            sums: Mutex::default(),
        }
    }

    fn play(&self) {
        let end = self.options.from.saturating_add(self.options.seeds);
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let result = sim::run_caught(seed, &self.options.wishes);
            self.note(seed, result);
        }
    }

    fn note(&self, seed: u64, result: Result<Report, Failure>) {
        let mut sums = self.sums.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sums.played += 1;
        match result {
            Ok(report) => {
                if self.options.verbose {
                    println!("seed {seed}: {report:?}");
                }
                sums.report.add(&report);
            }
            Err(failure) => {
                sums.failed += 1;
                if self.is_terminal {
                    eprint!("\r\x1b[K");
                }
                println!("{failure}");
                if self.options.verbose {
                    println!("{}", failure.detail);
                }
            }
        }
        let elapsed = self.start.elapsed();
        let pause = Duration::from_millis(TOLD_MS[usize::from(!self.is_terminal)]);
        if elapsed >= sums.told + pause {
            sums.told = elapsed;
            let (played, failed, all) = (sums.played, sums.failed, self.options.seeds);
            let rate = played as f64 / elapsed.as_secs_f64();
            let text = format!("{played} of {all} seeds, {failed} failed, {rate:.0} seeds/s");
            let (before, after) = if self.is_terminal { ("\r", "") } else { ("", "\n") };
            eprint!("{before}{text}{after}");
            let _ = std::io::stderr().flush();
        }
    }
}

impl Sums {
    fn print(&self, options: &Options, elapsed: Duration) {
        let all = &self.report;
        println!(
            "{} writes, {} incarnations, {} s simulated; {} feeds, {} snapshots, {} overflows, \
             {} folds, {} rejoins; settled in {:.1} s at most",
            all.writes,
            all.incarnations,
            all.simulated_ms / 1000,
            all.feeds,
            all.snapshots,
            all.overflows,
            all.folds,
            all.rejoins,
            all.settled_in_ms as f64 / 1000.0
        );
        let jobs = &all.jobs;
        let [ok, error, no_worker, lost, timeout, aborted, busy] = jobs.outcomes;
        println!(
            "{} jobs, {} functions run; {ok} ok, {error} errors, {no_worker} no worker, \
             {lost} lost, {timeout} timeouts, {aborted} aborted, {busy} busy; \
             {} events sent, {} heard",
            jobs.asked, jobs.runs, jobs.emitted, jobs.heard
        );
        if options.coverage {
            print!("{}", all.coverage);
        }
        let seconds = elapsed.as_secs_f64().max(1e-9);
        println!(
            "{} seeds, {} failed; {:.0} seeds a second, {:.1} simulated hours an hour, \
             on {} threads",
            self.played,
            self.failed,
            self.played as f64 / seconds,
            all.simulated_ms as f64 / 1000.0 / seconds,
            options.jobs
        );
    }
}

/// Names with commas between.
fn faults(names: &str) -> Option<Faults> {
    names.split(',').map(Fault::of_name).collect()
}

struct Options {
    seeds: u64,
    from: u64,
    jobs: usize,
    verbose: bool,
    coverage: bool,
    wishes: Wishes,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Options> {
        let wishes = Wishes::default();
        let (seeds, from, jobs) = (0, 0, 1);
        let mut options = Options { seeds, from, jobs, verbose: false, coverage: false, wishes };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seeds" => options.seeds = words.next()?.parse().ok()?,
                "--from" => options.from = words.next()?.parse().ok()?,
                "--jobs" => options.jobs = words.next()?.parse().ok()?,
                "--faults" => options.wishes.faults = Some(faults(&words.next()?)?),
                "--without" => options.wishes.without = faults(&words.next()?)?,
                "--story" => {
                    let path = words.next()?;
                    options.wishes.story = Some(path.split('.').map(String::from).collect());
                }
                "--coverage" => options.coverage = true,
                "--first-streams" => options.wishes.first_streams = true,
                "--reference" => options.wishes.reference = true,
                "--observer" => options.wishes.observer = true,
                "--verbose" => options.verbose = true,
                _ => return None,
            }
        }
        (options.seeds > 0 && options.jobs > 0).then_some(options)
    }
}
