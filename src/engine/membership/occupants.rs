//! Who is known by which address. A process that has the address of another one tells that the other
//! one has ended.

use std::collections::BTreeMap;

use crate::engine::event::Address;
use crate::engine::id::ReplicaId;

/// Addresses remembered for the replica last met there, and others for who was only told of; beyond
/// that, only those of peers and no more of the told.
const ADDRESSES_MAX: usize = 1024;

#[derive(Clone, Debug, Default)]
pub struct Occupants {
    /// Who was last met at an address.
    met: BTreeMap<Address, ReplicaId>,
    /// Where others have met those that were not met here, and since when that is known.
    told: BTreeMap<ReplicaId, (Address, u64)>,
}

impl Occupants {
    /// Somebody says that it is there. Gives who was there before.
    pub fn meet(
        &mut self,
        address: Address,
        replica: ReplicaId,
        keep: impl Fn(&Address, ReplicaId) -> bool,
    ) -> Option<ReplicaId> {
        if self.met.len() >= ADDRESSES_MAX {
            self.met.retain(|at, id| keep(at, *id));
        }
        self.told.remove(&replica);
        self.met.insert(address, replica).filter(|&before| before != replica)
    }

    /// Somebody else has met it there. Says whether that is news.
    pub fn tell(&mut self, now_ms: u64, replica: ReplicaId, address: &Address) -> bool {
        let is_known = self.is_known(replica, address) || self.told.len() >= ADDRESSES_MAX;
        if !is_known {
            self.told.insert(replica, (address.clone(), now_ms));
        }
        !is_known
    }

    pub fn is_known(&self, replica: ReplicaId, address: &Address) -> bool {
        self.met.get(address) == Some(&replica)
            || self.told.get(&replica).is_some_and(|(at, _)| at == address)
    }

    /// Who was last met there.
    pub fn at(&self, address: &Address) -> Option<ReplicaId> {
        self.met.get(address).copied()
    }

    /// Where one is that was only told of.
    pub fn told(&self, replica: ReplicaId) -> Option<&Address> {
        self.told.get(&replica).map(|(address, _)| address)
    }

    /// Those only told of that were there at the latest then.
    pub fn told_at(&self, address: &Address, until_ms: u64) -> Vec<ReplicaId> {
        let there = |(at, since_ms): &(Address, u64)| at == address && *since_ms <= until_ms;
        self.told.iter().filter(|(_, told)| there(told)).map(|(&replica, _)| replica).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = (ReplicaId, &Address)> {
        let met = self.met.iter().map(|(address, &replica)| (replica, address));
        met.chain(self.told.iter().map(|(&replica, (address, _))| (replica, address)))
    }

    /// It is not there any more, or nobody has to be told when another one is.
    pub fn forget(&mut self, address: &Address, replica: ReplicaId) {
        if self.at(address) == Some(replica) {
            self.met.remove(address);
        }
    }

    pub fn forget_told(&mut self, replica: ReplicaId) {
        self.told.remove(&replica);
    }

    /// Forgets those told of before then who concern nobody.
    pub fn forget_told_before(&mut self, since_ms: u64, concerns: impl Fn(ReplicaId) -> bool) {
        self.told.retain(|&replica, (_, told_ms)| *told_ms >= since_ms || concerns(replica));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaId = ReplicaId(1);
    const B: ReplicaId = ReplicaId(2);

    fn address(n: usize) -> Address {
        Address::new(format!("10.0.0.1:{n}"))
    }

    #[test]
    fn who_is_met_where_another_was_takes_its_place() {
        let mut occupants = Occupants::default();
        assert_eq!(occupants.meet(address(1), A, |_, _| true), None);
        assert_eq!(occupants.meet(address(1), A, |_, _| true), None);
        assert_eq!(occupants.meet(address(1), B, |_, _| true), Some(A));
        occupants.forget(&address(1), A);
        assert_eq!(occupants.at(&address(1)), Some(B));
    }

    #[test]
    fn what_is_told_is_news_once_and_goes_when_it_is_met() {
        let mut occupants = Occupants::default();
        assert!(occupants.tell(5, A, &address(1)));
        assert!(!occupants.tell(6, A, &address(1)));
        assert_eq!(occupants.told_at(&address(1), 4), []);
        assert_eq!(occupants.told_at(&address(1), 5), [A]);
        occupants.meet(address(1), A, |_, _| true);
        assert_eq!(occupants.told(A), None);
        assert!(!occupants.tell(7, A, &address(1)));
        assert_eq!(occupants.all().count(), 1);
    }

    #[test]
    fn who_tells_of_countless_ones_does_not_make_it_grow() {
        let mut occupants = Occupants::default();
        for n in 0..ADDRESSES_MAX + 5 {
            occupants.tell(0, ReplicaId(n as u64), &address(1));
            occupants.meet(address(n), A, |_, _| false);
        }
        assert_eq!(occupants.told.len(), ADDRESSES_MAX);
        assert!(occupants.met.len() <= ADDRESSES_MAX);
    }
}
