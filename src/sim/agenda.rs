//! What is to happen: by time, then in the order of scheduling.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

pub struct Agenda<T> {
    heap: BinaryHeap<Entry<T>>,
    next: u64,
}

struct Entry<T> {
    at: u64,
    number: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub fn push(&mut self, at: u64, what: T) {
        self.heap.push(Entry { at, number: self.next, what });
        self.next += 1;
    }

    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// The next that is due, if any is.
    pub fn pop_due(&mut self, now: u64) -> Option<T> {
        self.next_at().filter(|&at| at <= now)?;
        self.heap.pop().map(|entry| entry.what)
    }

    /// Takes all there is, in order.
    pub fn take_all(&mut self) -> Vec<T> {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.sort_unstable_by_key(|entry| (entry.at, entry.number));
        entries.into_iter().map(|entry| entry.what).collect()
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { heap: BinaryHeap::new(), next: 0 }
    }
}

/// The soonest is the greatest, as the heap gives that first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_at_the_same_time_comes_in_the_order_of_scheduling() {
        let mut agenda = Agenda::default();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (2, "b"), (9, "e")] {
            agenda.push(at, what);
        }
        assert_eq!(agenda.next_at(), Some(1));
        let due: Vec<_> = std::iter::from_fn(|| agenda.pop_due(5)).collect();
        assert_eq!(due, ["a", "b", "c", "d"]);
        agenda.push(3, "f");
        assert_eq!(agenda.take_all(), ["f", "e"]);
        assert_eq!(agenda.next_at(), None);
    }
}
