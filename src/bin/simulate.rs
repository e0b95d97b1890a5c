//! `simulate --seeds N [--from S] [--verbose]`: plays seeds and tells which failed.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use collective_io::sim;

const USAGE: &str = "usage: simulate --seeds N [--from S] [--verbose]";

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let progress = std::io::stderr().is_terminal();
    let mut failed = 0;
    let mut all = sim::Report::default();
    for (played, seed) in (options.from..options.from.saturating_add(options.seeds)).enumerate() {
        if progress && played % 16 == 0 {
            eprint!("\r{played} of {} seeds, {failed} failed", options.seeds);
            let _ = std::io::stderr().flush();
        }
        match sim::run_caught(seed) {
            Ok(report) => {
                if options.verbose {
                    println!("seed {seed}: {report:?}");
                }
                all.add(&report);
            }
            Err(failure) => {
                failed += 1;
                if progress {
                    eprint!("\r\x1b[K");
                }
                println!("{failure}");
                if options.verbose {
                    println!("{}", failure.detail);
                }
            }
        }
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    println!(
        "{} writes, {} incarnations, {} s simulated; {} feeds, {} snapshots, {} overflows, {} folds, \
         {} rejoins",
        all.writes,
        all.incarnations,
        all.simulated_ms / 1000,
        all.feeds,
        all.snapshots,
        all.overflows,
        all.folds,
        all.rejoins
    );
    let jobs = &all.jobs;
    let [ok, error, no_worker, lost, timeout, aborted, busy] = jobs.outcomes;
    println!(
        "{} jobs, {} functions run; {ok} ok, {error} errors, {no_worker} no worker, {lost} lost, \
         {timeout} timeouts, {aborted} aborted, {busy} busy; {} events sent, {} heard",
        jobs.asked, jobs.runs, jobs.emitted, jobs.heard
    );
    let rate = options.seeds as f64 / start.elapsed().as_secs_f64().max(1e-9);
    println!("{} seeds, {failed} failed ({rate:.0} seeds/s)", options.seeds);
    ExitCode::from(u8::from(failed > 0))
}

struct Options {
    seeds: u64,
    from: u64,
    verbose: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Options> {
        let mut options = Options { seeds: 0, from: 0, verbose: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seeds" => options.seeds = words.next()?.parse().ok()?,
                "--from" => options.from = words.next()?.parse().ok()?,
                "--verbose" => options.verbose = true,
                _ => return None,
            }
        }
        (options.seeds > 0).then_some(options)
    }
}
