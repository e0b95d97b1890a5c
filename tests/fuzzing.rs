//! Every fuzz target over its corpus and over mutants of it, without libFuzzer: a few seconds, on
//! any toolchain. `FUZZ_MUTANTS` says how many for each target, `FUZZ_SEED` which.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::{env, fs};

use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::Kind;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod targets;

use targets::{Target, TARGETS};

const MUTANTS: u64 = 2000;
/// Longer inputs are cut: what they would find takes libFuzzer's patience anyway.
const MUTANT_BYTES_MAX: usize = 4096;
const BYTES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xff, b'"', b'{'];

#[test]
fn frames() {
    smoke("frames");
}

#[test]
fn messages() {
    smoke("messages");
}

#[test]
fn stranger() {
    smoke("stranger");
}

#[test]
fn peer() {
    smoke("peer");
}

#[test]
fn feed() {
    smoke("feed");
}

#[test]
fn json() {
    smoke("json");
}

#[test]
fn operations() {
    smoke("operations");
}

/// A kind of message without a seed would be found by libFuzzer late, and never by a smoke run.
#[test]
fn every_kind_of_message_is_in_the_corpora() {
    if !corpora().exists() {
        return;
    }
    let every: BTreeSet<u8> = (0..=u8::MAX).filter(|&kind| Kind::of(&[kind]).is_some()).collect();
    let messages: BTreeSet<u8> =
        corpus("messages").iter().filter_map(|(_, input)| input.first().copied()).collect();
    let mut of_peers = BTreeSet::new();
    for (_, input) in corpus("peer") {
        let mut decoder = FrameDecoder::new(targets::MESSAGE_BYTES_MAX);
        decoder.buffer().extend_from_slice(&input);
        while let Ok(Some(message)) = decoder.next_message() {
            of_peers.extend(message.first().copied());
        }
    }
    assert!(every.is_subset(&messages) && every.is_subset(&of_peers));
}

fn smoke(name: &str) {
    let (_, target) = *TARGETS.iter().find(|(named, _)| *named == name).expect("a target");
    let corpus = corpus(name);
    for (path, input) in &corpus {
        run(target, input, || path.display().to_string());
    }
    let number = |variable, default| match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number")),
        Err(_) => default,
    };
    let (seed, mutants) = (number("FUZZ_SEED", 1), number("FUZZ_MUTANTS", MUTANTS));
    let mut chance = Chance(ChaCha8Rng::seed_from_u64(seed));
    for case in 0..mutants {
        let input = chance.mutant(&corpus);
        run(target, &input, || {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{seed}-{case}"));
            fs::write(&path, &input).expect("the input is kept");
            format!("FUZZ_SEED={seed} mutant {case}, kept as {}", path.display())
        });
    }
}

fn run(target: Target, input: &[u8], which: impl FnOnce() -> String) {
    if catch_unwind(|| target(input)).is_err() {
        panic!("found by {}", which());
    }
}

/// The folder is not part of the published package.
fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join("corpus")
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    if !corpora().exists() {
        return Vec::new();
    }
    let files = fs::read_dir(corpora().join(name)).expect("a folder for each target");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    // The order of a folder is chance of another kind.
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no corpus");
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("an input"))).collect()
}

struct Chance(ChaCha8Rng);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        match self.below(3) {
            0 => BYTES[self.below(BYTES.len())],
            1 => self.below(40) as u8,
            _ => self.below(256) as u8,
        }
    }

    fn mutant(&mut self, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        let pick = |at: usize| corpus.get(at).map_or(&[][..], |(_, input)| &input[..]);
        let mut input = pick(self.below(corpus.len())).to_vec();
        for _ in 0..1 + self.below(6) {
            let at = self.below(input.len() + 1);
            let end = input.len().min(at + 1 + self.below(8));
            match self.below(7) {
                0 => input.truncate(at),
                1 => drop(input.drain(at..end)),
                2 if at < input.len() => input[at] = self.byte(),
                3 if at < input.len() => input[at] ^= 1 << self.below(8),
                4 => input.insert(at, self.byte()),
                5 => {
                    let twice = input[at..end].to_vec();
                    input.splice(at..at, twice);
                }
                _ => {
                    let other = pick(self.below(corpus.len()));
                    let from = self.below(other.len() + 1);
                    let piece = &other[from..other.len().min(from + 1 + self.below(60))];
                    input.splice(at..at, piece.iter().copied());
                }
            }
        }
        input.truncate(MUTANT_BYTES_MAX);
        input
    }
}
