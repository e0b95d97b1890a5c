//! All chance of a simulation: drawn from its seed and from nothing else.

use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One stream of random numbers.
///
/// Plan, network, faults and workload draw from streams of their own, so that a change in how one
/// of them draws leaves the others' part of an old seed as it was.
#[derive(Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Chance(generator)
    }

    /// From 0 to `end - 1`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of the remainder is far below anything a simulation could notice.
        self.0.next_u64() % end.max(1)
    }

    /// Both ends included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index below `length`, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// A gap of a Poisson process would need a logarithm, whose last bit differs between machines;
    /// a uniform gap of the same mean does as well here.
    pub fn gap(&mut self, mean: u64) -> u64 {
        self.between(0, 2 * mean)
    }

    pub fn seed(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
