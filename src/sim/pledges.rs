//! What the engine promises about writes as a group: who has them when it says so, and that a batch
//! is nowhere in part.

use std::collections::BTreeMap;

use super::chance::Chance;
use crate::engine::{Context, Dot, Engine, Need, ReplicaId, WaitId};

pub struct Pledges {
    chance: Chance,
    /// What is waited for: the last write then, and whether any one peer will do.
    waits: BTreeMap<(usize, WaitId), Wait>,
    /// Batches by their writer: first and last write.
    batches: BTreeMap<ReplicaId, Vec<(u64, u64)>>,
    /// The writer and last write before a batch that goes on, by node.
    open: BTreeMap<usize, Dot>,
}

struct Wait {
    dot: Dot,
    one: bool,
}

impl Pledges {
    pub fn new(chance: Chance) -> Self {
        let (waits, batches, open) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Pledges { chance, waits, batches, open }
    }

    /// The node has ended.
    pub fn stopped(&mut self, node: usize) {
        self.waits.retain(|&(of, _), _| of != node);
        self.open.remove(&node);
    }

    /// Perhaps begins a batch. Gives how long it lasts.
    pub fn begin(&mut self, node: usize, engine: &mut Engine) -> Option<u64> {
        if self.open.contains_key(&node) || !self.chance.percent(10) {
            return None;
        }
        engine.begin_batch();
        self.open.insert(node, Dot::new(engine.id(), engine.context().get(engine.id())));
        Some(if self.chance.percent(50) { 0 } else { self.chance.between(1, 50) })
    }

    /// Its writer calls the batch off that goes on, and knows what was in it.
    pub fn end(&mut self, node: usize, engine: &Engine) {
        let Some(before) = self.open.remove(&node) else { return };
        let last = engine.context().get(before.replica);
        if last > before.counter + 1 {
            let batches = self.batches.entry(before.replica).or_default();
            batches.push((before.counter + 1, last));
        }
    }

    /// Perhaps waits until others have what was written.
    pub fn wait(&mut self, node: usize, engine: &mut Engine) {
        if !self.chance.percent(5) {
            return;
        }
        let one = self.chance.percent(50);
        let need = if one { Need::Count(1) } else { Need::All };
        let dot = Dot::new(engine.id(), engine.context().get(engine.id()));
        self.waits.insert((node, engine.wait_for(need)), Wait { dot, one });
    }

    /// The engine says that these have what it was asked about. `own` is its name by now; `knows` says
    /// it of one that lives.
    pub fn replicated(
        &mut self,
        own: ReplicaId,
        node: usize,
        wait: WaitId,
        peers: &[ReplicaId],
        knows: impl Fn(ReplicaId, Dot) -> Option<bool>,
    ) -> Result<(), String> {
        let Some(Wait { dot, one }) = self.waits.remove(&(node, wait)) else {
            return Err(format!("{wait:?} is over, which there was not"));
        };
        if one && peers.is_empty() {
            return Err(format!("{dot:?} is with one peer, and with none"));
        }
        if own != dot.replica {
            // It was forgotten meanwhile: what could be saved has other names.
            return Ok(());
        }
        match peers.iter().find(|&&peer| dot.counter > 0 && knows(peer, dot) == Some(false)) {
            Some(peer) => Err(format!("{peer:?} is said to have {dot:?} and does not")),
            None => Ok(()),
        }
    }

    /// The nodes that still wait for any one peer.
    pub fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        self.waits.iter().filter(|(_, wait)| wait.one).map(|(&(node, _), _)| node)
    }

    /// A node covers no batch of another one in part.
    pub fn check(&self, own: ReplicaId, context: &Context) -> Result<(), String> {
        for (&replica, batches) in self.batches.iter().filter(|&(&replica, _)| replica != own) {
            let covered = context.get(replica);
            let next = batches.partition_point(|&(first, _)| first <= covered);
            let Some(&(first, last)) = next.checked_sub(1).and_then(|at| batches.get(at)) else {
                continue;
            };
            if covered < last {
                return Err(format!(
                    "covers {replica:?} up to {covered}: {first} to {last} are one"
                ));
            }
        }
        Ok(())
    }
}
