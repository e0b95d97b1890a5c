//! The hybrid logical clock that stamps local writes.
//!
//! After Kulkarni, Demirbas et al., "Logical Physical Clocks and Consistent Snapshots in Globally
//! Distributed Databases" (2014): milliseconds in the upper 48 bits, a counter in the lower 16.

use super::event::Now;
use super::id::{Rank, ReplicaId};

/// A stamp orders concurrent writes: clock first, then the replica that made them.
///
/// Folding gives a write another replica's name; its place in the order stays, or what is shown
/// would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub hlc: u64,
    pub rank: Rank,
    pub replica: ReplicaId,
}

impl Stamp {
    pub fn new(hlc: u64, rank: Rank, replica: ReplicaId) -> Self {
        Stamp { hlc, rank: rank.or_of(replica), replica }
    }
}

/// One replica's clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: u64,
}

impl Clock {
    /// A value later than the clock's last one and than `floor`, the latest of what the write has
    /// seen at its place.
    ///
    /// A floor far ahead makes this one write late and moves the clock only to the bound: later
    /// writes elsewhere are stamped as before.
    pub fn tick(&mut self, now: Now, floor: u64, skew_max_ms: u64) -> u64 {
        self.last = (self.last + 1).max(wall(now));
        let stamp = self.last.max(floor.saturating_add(1));
        self.observe(now, stamp, skew_max_ms);
        stamp
    }

    /// How far it is ahead of the wall clock, in milliseconds.
    pub fn lead_ms(&self, now: Now) -> u64 {
        (self.last >> 16).saturating_sub(wall(now) >> 16)
    }

    /// Moves the clock to a stamp seen, at most `skew_max_ms` ahead of the wall clock.
    /// Returns false if the stamp lies beyond that.
    pub fn observe(&mut self, now: Now, hlc: u64, skew_max_ms: u64) -> bool {
        let bound = wall(now).saturating_add(skew_max_ms << 16);
        self.last = self.last.max(hlc.min(bound));
        hlc <= bound
    }
}

fn wall(now: Now) -> u64 {
    now.wall_ms.min((1 << 47) - 1) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: u64) -> Now {
        Now { monotonic_ms: 0, wall_ms }
    }

    #[test]
    fn ticks_grow_even_when_the_wall_clock_goes_back() {
        let mut clock = Clock::default();
        let first = clock.tick(at(1000), 0, 500);
        assert!(clock.tick(at(10), 0, 500) > first);
    }

    #[test]
    fn a_stamp_far_ahead_moves_the_clock_only_to_the_bound() {
        let mut clock = Clock::default();
        assert!(!clock.observe(at(1000), 9_000_000 << 16, 500));
        assert!(clock.tick(at(1000), 0, 500) <= (1500 << 16) + 1);
    }

    #[test]
    fn a_write_is_later_than_what_it_saw_and_the_clock_stays() {
        let mut clock = Clock::default();
        let far = 9_000_000 << 16;
        assert!(clock.tick(at(1000), far, 500) > far);
        assert!(clock.tick(at(1000), 0, 500) < far);
    }
}
