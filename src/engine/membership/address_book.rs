//! Which addresses to dial, and when.

use std::collections::BTreeMap;

use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use crate::engine::config::Config;
use crate::engine::event::Address;
use crate::engine::id::ReplicaId;

/// Addresses learned from peers that are kept; others wait until some are forgotten.
const LEARNED_MAX: usize = 1024;

/// The addresses given by the user, each kept connected for ever; and those learned from peers,
/// which are forgotten when they lead nowhere.
#[derive(Clone, Debug)]
pub struct AddressBook {
    entries: BTreeMap<Address, Entry>,
    redial_min_ms: u64,
    redial_max_ms: u64,
    learned_ms: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    state: State,
    /// Who was last seen behind it, or is said to be.
    replica: Option<ReplicaId>,
    origin: Origin,
    /// Tell if the dial under way fails.
    announce: bool,
    /// Dials that failed since it last led to a peer.
    failures: u32,
    tried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Dial at this time.
    Due(u64),
    Dialling,
    /// `replica` is connected, perhaps through another address.
    Connected,
    /// Our own.
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    /// By the user, at this place in the order of what he wants.
    Given { order: u64 },
    /// To be forgotten at this time, unless it is connected then.
    Learned { until_ms: u64 },
}

impl AddressBook {
    pub fn new(config: &Config) -> Self {
        AddressBook {
            entries: BTreeMap::new(),
            redial_min_ms: config.redial_min_ms,
            redial_max_ms: config.redial_max_ms,
            learned_ms: config.learned_address_ms,
        }
    }

    /// The user wants a connection to this address. It is due at once unless it has one.
    pub fn give(&mut self, now_ms: u64, address: Address, order: u64, announce: bool) {
        let entry = self.entries.entry(address).or_insert(Entry {
            state: State::Due(now_ms),
            replica: None,
            origin: Origin::Given { order },
            announce: false,
            failures: 0,
            tried: false,
        });
        entry.origin = Origin::Given { order };
        entry.announce |= announce && entry.state != State::Connected;
        if let State::Due(_) | State::Own = entry.state {
            entry.state = State::Due(now_ms);
        }
    }

    /// A peer has told where a replica listens: dial there at `due_ms`.
    pub fn learn(&mut self, now_ms: u64, due_ms: u64, address: Address, replica: ReplicaId) {
        if self.entries.contains_key(&address) || self.learned() >= LEARNED_MAX {
            return;
        }
        let entry = Entry {
            state: State::Due(due_ms),
            replica: Some(replica),
            origin: Origin::Learned { until_ms: now_ms + self.learned_ms },
            announce: false,
            failures: 0,
            tried: false,
        };
        self.entries.insert(address, entry);
    }

    /// A peer was lost that listens here.
    pub fn seek(&mut self, now_ms: u64, address: Address, replica: ReplicaId) {
        self.learn(now_ms, now_ms + self.redial_min_ms, address, replica);
    }

    pub fn knows(&self, address: &Address) -> bool {
        self.entries.contains_key(address)
    }

    /// Where an address stands in the order of what the user wants; `None` if he did not give it.
    pub fn order_of(&self, address: &Address) -> Option<u64> {
        match self.entries.get(address)?.origin {
            Origin::Given { order } => Some(order),
            Origin::Learned { .. } => None,
        }
    }

    pub fn all_tried(&self) -> bool {
        let given = |entry: &&Entry| matches!(entry.origin, Origin::Given { .. });
        self.entries.values().filter(given).all(|entry| entry.tried)
    }

    /// A dial has led to no peer. Says whether that is to be told.
    pub fn failed(&mut self, now_ms: u64, address: &Address, rng: &mut ChaCha8Rng) -> bool {
        self.postpone(now_ms, address, rng);
        self.entries.get_mut(address).is_some_and(|entry| std::mem::take(&mut entry.announce))
    }

    /// A dial is to be made again.
    pub fn postpone(&mut self, now_ms: u64, address: &Address, rng: &mut ChaCha8Rng) {
        let (min, max) = (self.redial_min_ms, self.redial_max_ms);
        let Some(entry) = self.entries.get_mut(address) else { return };
        entry.tried = true;
        if entry.state == State::Dialling {
            entry.state = State::Due(now_ms + entry.pause(min, max, rng));
        }
    }

    pub fn leads_to(&mut self, address: &Address, peer: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.reached(State::Connected);
            entry.replica = Some(peer);
        }
    }

    /// Says whether that is to be told.
    pub fn is_own(&mut self, now_ms: u64, address: &Address) -> bool {
        let learned_ms = self.learned_ms;
        let Some(entry) = self.entries.get_mut(address) else { return false };
        let announce = entry.announce;
        entry.reached(State::Own);
        entry.replica = None;
        entry.keep_until(now_ms + learned_ms);
        announce
    }

    /// The peer is gone: dial what led to it.
    pub fn lost(&mut self, now_ms: u64, peer: ReplicaId, rng: &mut ChaCha8Rng) {
        let (min, max) = (self.redial_min_ms, self.redial_max_ms);
        let until_ms = now_ms + self.learned_ms;
        for entry in self.entries.values_mut() {
            if entry.state == State::Connected && entry.replica == Some(peer) {
                entry.state = State::Due(now_ms + entry.pause(min, max, rng));
                entry.keep_until(until_ms);
            }
        }
    }

    /// The peer will not be back: what was learned of it is of no use.
    pub fn forget_learned(&mut self, peer: ReplicaId) {
        let learned = |entry: &Entry| matches!(entry.origin, Origin::Learned { .. });
        self.entries.retain(|_, entry| entry.replica != Some(peer) || !learned(entry));
    }

    /// The user does not want it any more.
    pub fn forget(&mut self, address: &Address) {
        if self.order_of(address).is_some() {
            self.entries.remove(address);
        }
    }

    /// Those given that lead neither to a peer nor to oneself.
    pub fn unreached(&self) -> impl Iterator<Item = &Address> {
        let given = |entry: &Entry| matches!(entry.origin, Origin::Given { .. });
        let leads = |entry: &Entry| matches!(entry.state, State::Connected | State::Own);
        let entries = self.entries.iter();
        entries.filter(move |(_, entry)| given(entry) && !leads(entry)).map(|(address, _)| address)
    }

    /// The peer is not wanted any more.
    pub fn remove_all(&mut self, peer: ReplicaId) {
        self.entries.retain(|_, entry| entry.replica != Some(peer));
    }

    pub fn remove(&mut self, address: &Address) {
        self.entries.remove(address);
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn deadline(&self) -> Option<u64> {
        self.entries.values().filter_map(Entry::deadline).min()
    }

    /// Forgets what was learned and led nowhere for too long. Says whether there was any.
    pub fn forget_overdue(&mut self, now_ms: u64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.until_ms().is_none_or(|until_ms| until_ms > now_ms));
        self.entries.len() < before
    }

    /// The next address to dial now.
    pub fn next_due(&mut self, now_ms: u64) -> Option<Address> {
        let due = |entry: &Entry| matches!(entry.state, State::Due(at) if at <= now_ms);
        let (address, entry) = self.entries.iter_mut().find(|(_, entry)| due(entry))?;
        entry.state = State::Dialling;
        Some(address.clone())
    }

    fn learned(&self) -> usize {
        let learned = |entry: &&Entry| matches!(entry.origin, Origin::Learned { .. });
        self.entries.values().filter(learned).count()
    }
}

impl Entry {
    fn reached(&mut self, state: State) {
        self.state = state;
        self.announce = false;
        self.failures = 0;
        self.tried = true;
    }

    fn keep_until(&mut self, at_ms: u64) {
        if let Origin::Learned { until_ms } = &mut self.origin {
            *until_ms = at_ms;
        }
    }

    /// When it is to be forgotten. What came of a dial under way is waited for.
    fn until_ms(&self) -> Option<u64> {
        match (self.origin, self.state) {
            (Origin::Learned { until_ms }, State::Due(_) | State::Own) => Some(until_ms),
            _ => None,
        }
    }

    fn deadline(&self) -> Option<u64> {
        let due_ms = match self.state {
            State::Due(at) => Some(at),
            _ => None,
        };
        due_ms.into_iter().chain(self.until_ms()).min()
    }

    /// Exponential backoff with full jitter: anything from 0 to the doubled pause.
    fn pause(&mut self, min_ms: u64, max_ms: u64, rng: &mut ChaCha8Rng) -> u64 {
        let most = min_ms.checked_shl(self.failures.min(16)).unwrap_or(max_ms).min(max_ms);
        self.failures = self.failures.saturating_add(1);
        rng.next_u64() % (most + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    const PEER: ReplicaId = ReplicaId(7);

    fn book() -> (AddressBook, ChaCha8Rng) {
        (AddressBook::new(&Config::default()), ChaCha8Rng::from_seed([1; 32]))
    }

    fn address(n: usize) -> Address {
        Address::new(format!("10.0.0.1:{n}"))
    }

    #[test]
    fn an_address_in_backoff_is_due_when_it_is_given_again() {
        let (mut book, mut rng) = book();
        book.give(0, address(1), 1, false);
        assert_eq!(book.next_due(0), Some(address(1)));
        for _ in 0..20 {
            book.failed(0, &address(1), &mut rng);
            while book.next_due(0).is_some() {
                book.failed(0, &address(1), &mut rng);
            }
        }
        book.give(0, address(1), 2, false);
        assert_eq!(book.next_due(0), Some(address(1)));
        assert_eq!(book.next_due(0), None);
    }

    #[test]
    fn what_is_given_no_more_is_not_dialled_and_what_leads_nowhere_is_known() {
        let (mut book, mut rng) = book();
        for n in 1..=4 {
            book.give(0, address(n), n as u64, false);
        }
        while book.next_due(0).is_some() {}
        book.leads_to(&address(1), PEER);
        book.is_own(0, &address(2));
        book.failed(0, &address(3), &mut rng);
        let unreached: Vec<_> = book.unreached().cloned().collect();
        assert_eq!(unreached, [address(3), address(4)]);
        book.forget(&address(3));
        book.failed(0, &address(3), &mut rng);
        book.learn(0, 0, address(5), PEER);
        book.forget(&address(5));
        assert_eq!(book.next_due(u64::MAX), Some(address(5)));
        assert_eq!(book.next_due(u64::MAX), None);
    }

    #[test]
    fn only_the_first_failure_is_told() {
        let (mut book, mut rng) = book();
        book.give(0, address(1), 1, true);
        book.next_due(0);
        assert!(book.failed(0, &address(1), &mut rng));
        book.next_due(u64::MAX);
        assert!(!book.failed(0, &address(1), &mut rng));
    }

    #[test]
    fn learned_addresses_are_bounded_and_given_ones_are_not_forgotten() {
        let (mut book, _) = book();
        for n in 0..LEARNED_MAX + 5 {
            book.learn(0, 0, address(n), ReplicaId(n as u64));
        }
        assert_eq!(book.entries.len(), LEARNED_MAX);
        book.give(0, address(3), 1, false);
        book.forget_overdue(Config::default().learned_address_ms);
        assert_eq!(book.entries.keys().collect::<Vec<_>>(), [&address(3)]);
        assert_eq!(book.order_of(&address(3)), Some(1));
    }

    #[test]
    fn the_time_to_forget_runs_from_the_loss() {
        let (mut book, mut rng) = book();
        let learned_ms = Config::default().learned_address_ms;
        book.learn(0, 0, address(1), PEER);
        book.next_due(0);
        book.leads_to(&address(1), PEER);
        book.forget_overdue(10 * learned_ms);
        book.lost(10 * learned_ms, PEER, &mut rng);
        book.forget_overdue(11 * learned_ms - 1);
        assert_eq!(book.entries.len(), 1);
        book.forget_overdue(11 * learned_ms);
        assert_eq!(book.entries.len(), 0);
    }
}
