use crate::engine::id::{Dot, ReplicaId};

/// For each replica the counter up to which all its writes are covered.
///
/// This is the whole causal context of a replica: writes arrive in causal order, and what a feed
/// or snapshot brings is taken over in one step (see `replication::staging`), so no single dots
/// are ever needed beside the vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector {
    /// Sorted by replica; no zero counters.
    entries: Vec<(ReplicaId, u64)>,
    /// Writes that fold replicas which the vector covered by their own names: covered too, though
    /// what their writer did before may not be. Only in vectors that were told by others.
    aliases: Vec<Dot>,
}

impl VersionVector {
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest counter covered, 0 if none.
    pub fn get(&self, replica: ReplicaId) -> u64 {
        match self.find(replica) {
            Ok(at) => self.entries[at].1,
            Err(_) => 0,
        }
    }

    pub fn covers(&self, dot: Dot) -> bool {
        dot.counter <= self.get(dot.replica) || self.aliases.contains(&dot)
    }

    /// Covers one write besides.
    pub fn add_alias(&mut self, dot: Dot) {
        if !self.covers(dot) {
            self.aliases.push(dot);
        }
    }

    pub fn has_aliases(&self) -> bool {
        !self.aliases.is_empty()
    }

    /// Raises one entry; never lowers it.
    pub fn raise(&mut self, replica: ReplicaId, counter: u64) {
        match self.find(replica) {
            Ok(at) => self.entries[at].1 = self.entries[at].1.max(counter),
            Err(_) if counter == 0 => {}
            Err(at) => self.entries.insert(at, (replica, counter)),
        }
    }

    pub fn remove(&mut self, replica: ReplicaId) {
        if let Ok(at) = self.find(replica) {
            self.entries.remove(at);
        }
    }

    /// The union of both.
    pub fn join(&mut self, other: &VersionVector) {
        // Most often there is nothing new, or of replicas that are known.
        let mut at = 0;
        for &(replica, counter) in &other.entries {
            at += self.entries[at..].iter().take_while(|&&(id, _)| id < replica).count();
            match self.entries.get_mut(at) {
                Some((id, known)) if *id == replica => *known = counter.max(*known),
                _ => self.entries.insert(at, (replica, counter)),
            }
        }
    }

    /// Whether every write in `other` is in `self`.
    pub fn includes(&self, other: &VersionVector) -> bool {
        let mut entries = self.entries.iter();
        other.entries.iter().all(|&(replica, counter)| {
            entries
                .find(|&&(id, _)| id >= replica)
                .is_some_and(|&(id, n)| id == replica && n >= counter)
        })
    }

    /// The same with the aliases, which the writes told of may be known by.
    pub fn includes_all(&self, other: &VersionVector) -> bool {
        self.includes(other) && other.aliases.iter().all(|&dot| self.covers(dot))
    }

    /// The union, aliases included: for vectors that were told by others.
    pub fn join_all(&mut self, other: &VersionVector) {
        self.join(other);
        other.aliases.iter().for_each(|&dot| self.add_alias(dot));
    }

    /// Sorted by replica.
    pub fn entries(&self) -> &[(ReplicaId, u64)] {
        &self.entries
    }

    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.entries.iter().copied()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The memory it takes, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.entries.capacity() * size_of::<(ReplicaId, u64)>()
            + self.aliases.capacity() * size_of::<Dot>()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&replica, |&(id, _)| id)
    }
}

impl From<Vec<(ReplicaId, u64)>> for VersionVector {
    fn from(entries: Vec<(ReplicaId, u64)>) -> Self {
        // As other nodes tell them.
        let sorted = entries.windows(2).all(|two| two[0].0 < two[1].0);
        match sorted && entries.iter().all(|&(_, counter)| counter > 0) {
            true => VersionVector { entries, aliases: Vec::new() },
            false => entries.into_iter().collect(),
        }
    }
}

impl FromIterator<(ReplicaId, u64)> for VersionVector {
    fn from_iter<T: IntoIterator<Item = (ReplicaId, u64)>>(entries: T) -> Self {
        let mut vector = VersionVector::new();
        for (replica, counter) in entries {
            vector.raise(replica, counter);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> impl Strategy<Value = VersionVector> {
        proptest::collection::vec((0u64..6, 0u64..9), 0..6)
            .prop_map(|v| v.into_iter().map(|(r, n)| (ReplicaId(r), n)).collect())
    }

    proptest! {
        #[test]
        fn join_is_the_least_vector_that_includes_both(a in vectors(), b in vectors()) {
            let mut joined = a.clone();
            joined.join(&b);
            prop_assert!(joined.includes(&a) && joined.includes(&b));
            for (replica, counter) in joined.iter() {
                prop_assert!(counter == a.get(replica) || counter == b.get(replica));
            }
            let mut other = b.clone();
            other.join(&a);
            prop_assert_eq!(joined, other);
        }

        #[test]
        fn a_list_makes_the_same_vector_as_its_entries_one_by_one(
            list in proptest::collection::vec((0u64..6, 0u64..9), 0..6)
        ) {
            let list: Vec<_> = list.into_iter().map(|(r, n)| (ReplicaId(r), n)).collect();
            let vector = VersionVector::from(list.clone());
            prop_assert_eq!(&vector, &list.into_iter().collect());
            prop_assert_eq!(VersionVector::from(vector.entries().to_vec()), vector);
        }

        #[test]
        fn including_is_covering_the_last_write_of_each(a in vectors(), b in vectors()) {
            let covers = b.iter().all(|(replica, counter)| a.covers(Dot::new(replica, counter)));
            prop_assert_eq!(a.includes(&b), covers);
        }
    }
}
