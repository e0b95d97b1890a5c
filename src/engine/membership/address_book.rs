//! Which addresses to dial, and when.

use std::collections::BTreeMap;

use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use crate::engine::config::Config;
use crate::engine::event::Address;
use crate::engine::id::ReplicaId;

/// The addresses given by the user, each kept connected for ever.
#[derive(Debug)]
pub struct AddressBook {
    entries: BTreeMap<Address, Entry>,
    redial_min_ms: u64,
    redial_max_ms: u64,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Dials that failed since it last led to a peer.
    failures: u32,
    tried: bool,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Dial at this time.
    Due(u64),
    Dialling,
    /// Leads to this peer, which is connected (perhaps through another address).
    LeadsTo(ReplicaId),
    /// Our own.
    Own,
}

impl AddressBook {
    pub fn new(config: &Config) -> Self {
        AddressBook {
            entries: BTreeMap::new(),
            redial_min_ms: config.redial_min_ms,
            redial_max_ms: config.redial_max_ms,
        }
    }

    pub fn add(&mut self, now_ms: u64, address: Address) {
        let entry = Entry { state: State::Due(now_ms), failures: 0, tried: false };
        self.entries.entry(address).or_insert(entry);
    }

    pub fn all_tried(&self) -> bool {
        self.entries.values().all(|entry| entry.tried)
    }

    pub fn failed(&mut self, now_ms: u64, address: &Address, rng: &mut ChaCha8Rng) {
        let (min, max) = (self.redial_min_ms, self.redial_max_ms);
        if let Some(entry) = self.entries.get_mut(address) {
            entry.tried = true;
            if entry.state == State::Dialling {
                entry.state = State::Due(now_ms + entry.pause(min, max, rng));
            }
        }
    }

    pub fn leads_to(&mut self, address: &Address, peer: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(address) {
            *entry = Entry { state: State::LeadsTo(peer), failures: 0, tried: true };
        }
    }

    pub fn is_own(&mut self, address: &Address) {
        if let Some(entry) = self.entries.get_mut(address) {
            *entry = Entry { state: State::Own, failures: 0, tried: true };
        }
    }

    /// The peer is gone: dial what led to it.
    pub fn lost(&mut self, now_ms: u64, peer: ReplicaId, rng: &mut ChaCha8Rng) {
        let (min, max) = (self.redial_min_ms, self.redial_max_ms);
        for entry in self.entries.values_mut() {
            if entry.state == State::LeadsTo(peer) {
                entry.state = State::Due(now_ms + entry.pause(min, max, rng));
            }
        }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn deadline(&self) -> Option<u64> {
        let due = |entry: &Entry| match entry.state {
            State::Due(at) => Some(at),
            _ => None,
        };
        self.entries.values().filter_map(due).min()
    }

    /// The next address to dial now.
    pub fn next_due(&mut self, now_ms: u64) -> Option<Address> {
        let due = |entry: &Entry| matches!(entry.state, State::Due(at) if at <= now_ms);
        let (address, entry) = self.entries.iter_mut().find(|(_, entry)| due(entry))?;
        entry.state = State::Dialling;
        Some(address.clone())
    }
}

impl Entry {
    /// Exponential backoff with full jitter: anything from 0 to the doubled pause.
    fn pause(&mut self, min_ms: u64, max_ms: u64, rng: &mut ChaCha8Rng) -> u64 {
        let most = min_ms.checked_shl(self.failures.min(16)).unwrap_or(max_ms).min(max_ms);
        self.failures = self.failures.saturating_add(1);
        rng.next_u64() % (most + 1)
    }
}
