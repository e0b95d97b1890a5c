//! The cluster converges, whatever goes wrong on the way: seeds of `src/sim`.

use collective_io::sim;

/// Seeds that once failed, each with what was wrong.
const REGRESSIONS: &[(u64, &str)] = &[];

#[test]
fn three_hundred_seeds_converge() {
    check(0..300);
}

#[test]
fn what_once_failed_still_passes() {
    check(REGRESSIONS.iter().map(|&(seed, _)| seed));
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in [1, 2, 3] {
        let [first, second] = [(); 2].map(|()| sim::run(seed));
        match (first, second) {
            (Ok(first), Ok(second)) => assert_eq!(first, second),
            (Err(first), Err(second)) => assert_eq!(first.detail, second.detail),
            (first, second) => panic!("seed {seed} gave {first:?}, then {second:?}"),
        }
    }
}

fn check(seeds: impl Iterator<Item = u64>) {
    let failures: Vec<String> = seeds
        .filter_map(|seed| sim::run_caught(seed).err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n"));
}
