//! What waits for the application, and whether it was told.

use std::collections::VecDeque;

use crate::engine::event::Item;
use crate::engine::id::ReplicaId;

#[derive(Clone, Debug, Default)]
pub struct Inbox {
    entries: VecDeque<Entry>,
    wanted: Urgency,
    told: Urgency,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub item: Item,
    /// Who sent it, and the cost of it that is given back when it is taken.
    pub cost: Option<(ReplicaId, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    #[default]
    None,
    /// May wait a little for others.
    Soon,
    Now,
}

impl Inbox {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn push(&mut self, urgency: Urgency, item: Item, cost: Option<(ReplicaId, u64)>) {
        self.entries.push_back(Entry { item, cost });
        self.wanted = self.wanted.max(urgency);
    }

    pub fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// The application has taken what it wanted: it must be told anew.
    pub fn taken(&mut self) {
        self.told = Urgency::None;
        self.wanted = if self.entries.is_empty() { Urgency::None } else { Urgency::Now };
    }

    pub fn has_news(&self) -> bool {
        self.wanted > self.told
    }

    /// What to tell the application, if it was not told.
    pub fn poll(&mut self) -> Option<Urgency> {
        if !self.has_news() {
            return None;
        }
        self.told = self.wanted;
        Some(self.told)
    }
}
