//! Peers that have broken a rule of the protocol, and how long each is kept out.

use std::collections::BTreeMap;

use crate::engine::config::Config;
use crate::engine::id::ReplicaId;

/// Beyond these the one who may be back first is forgotten.
const OFFENDERS_MAX: usize = 1024;
/// Who has broken nothing for so long after it was let in again begins anew.
const FORGIVEN_AFTER_MS: u64 = 10 * 60 * 1000;

#[derive(Clone, Debug)]
pub struct Offenders {
    offences: BTreeMap<ReplicaId, Offence>,
    min_ms: u64,
    max_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Offence {
    times: u32,
    until_ms: u64,
}

impl Offenders {
    pub fn new(config: &Config) -> Self {
        Offenders {
            offences: BTreeMap::new(),
            min_ms: config.keep_out_min_ms,
            max_ms: config.keep_out_max_ms,
        }
    }

    /// A peer has broken a rule. Gives for how long it is kept out.
    pub fn add(&mut self, now_ms: u64, peer: ReplicaId) -> u64 {
        self.offences.retain(|_, offence| now_ms < offence.until_ms + FORGIVEN_AFTER_MS);
        let times = self.offences.get(&peer).map_or(0, |offence| offence.times);
        if times == 0 && self.offences.len() == OFFENDERS_MAX {
            let first = self.offences.iter().min_by_key(|(_, offence)| offence.until_ms);
            if let Some(first) = first.map(|(&peer, _)| peer) {
                self.offences.remove(&first);
            }
        }
        let most = self.max_ms.max(self.min_ms);
        let doubled = self.min_ms.saturating_mul(1 << times.min(32));
        let ms = doubled.min(most);
        let offence = Offence { times: times.saturating_add(1), until_ms: now_ms + ms };
        self.offences.insert(peer, offence);
        ms
    }

    /// For how much longer a peer is kept out, if it is.
    pub fn remaining_ms(&self, now_ms: u64, peer: ReplicaId) -> Option<u64> {
        let left = self.offences.get(&peer)?.until_ms.saturating_sub(now_ms);
        (left > 0).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ReplicaId = ReplicaId(1);

    #[test]
    fn each_time_takes_twice_as_long_until_it_is_forgiven() {
        let mut offenders = Offenders::new(&Config::default());
        let mut now_ms = 5;
        for expected in [1000, 2000, 4000, 8000] {
            assert_eq!(offenders.remaining_ms(now_ms, PEER), None);
            assert_eq!(offenders.add(now_ms, PEER), expected);
            assert_eq!(offenders.remaining_ms(now_ms + expected - 1, PEER), Some(1));
            now_ms += expected;
        }
        for _ in 0..50 {
            now_ms += offenders.add(now_ms, PEER);
        }
        assert_eq!(offenders.add(now_ms, PEER), Config::default().keep_out_max_ms);
        now_ms += Config::default().keep_out_max_ms + FORGIVEN_AFTER_MS;
        assert_eq!(offenders.add(now_ms, PEER), 1000);
    }

    #[test]
    fn who_may_be_back_first_is_forgotten() {
        let mut offenders = Offenders::new(&Config::default());
        for n in 0..OFFENDERS_MAX as u64 {
            offenders.add(n, ReplicaId(n));
        }
        offenders.add(500, ReplicaId(0));
        offenders.add(600, ReplicaId(u64::MAX));
        assert_eq!(offenders.offences.len(), OFFENDERS_MAX);
        assert!(offenders.remaining_ms(600, ReplicaId(0)).is_some());
        assert!(offenders.remaining_ms(600, ReplicaId(1)).is_none());
        assert!(offenders.remaining_ms(600, ReplicaId(2)).is_some());
    }
}
