//! Writes of the applications, and what a node must show after its own.

use serde_json::Value;

use super::{read, Cluster, Happening};
use crate::engine::{Write, WriteError};
use crate::sim::checker;
use crate::sim::model::{alike, comparable, Kind, Op, Seen};
use crate::sim::Trouble;

impl Cluster {
    /// Makes a local write, tells the model, and checks that the node shows what it did.
    pub fn write(&mut self, node: usize, path: &[String], kind: Kind) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let at = self.model.ops().len();
        let seen = self.seen(node);
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let write = match &kind {
            Kind::Set(json) => Write::Set { path: &segments, json },
            Kind::Increment(by) => Write::Increment { path: &segments, by: *by },
            Kind::Delete => Write::Delete { path: &segments },
        };
        let room = self.plan.config.document_bytes_max;
        let watch_hash = at.is_multiple_of(8) || room.is_some();
        let hash = if watch_hash { self.engine(node).hash() } else { 0 };
        let alone = self.engine(node).is_alone();
        let before = Seen::from(self.engine(node).context());
        let result = self.engine(node).write(now, write);
        let trouble = |message: String| Trouble { message, path: Some(path.to_vec()) };
        let failed = |what: String| trouble(format!("n{node}'s {kind:?} at {path:?} {what}"));
        let written = match result {
            Ok(Some(written)) => written,
            Ok(None) => {
                if kind != Kind::Delete {
                    return Err(failed("became no write".into()));
                }
                if self.model.deletes_anything(path, &seen) {
                    return Err(failed("found nothing where something is".into()));
                }
                return self.turn_later(node);
            }
            Err(WriteError::StateFull { .. }) => {
                let engine = self.engine(node);
                let is_same = engine.hash() == hash && Seen::from(engine.context()) == before;
                if room.is_none() || kind == Kind::Delete || !is_same {
                    return Err(failed(
                        "was refused for want of room, or changed something".into(),
                    ));
                }
                return self.turn_later(node);
            }
            Err(error) => {
                if self.model.refuses(path, &kind, &seen).is_none() {
                    return Err(failed(format!("was refused: {error}")));
                }
                return self.turn_later(node);
            }
        };
        let life = self.nodes[node].life.as_mut().expect("it just wrote");
        if alone {
            life.alone.push(at);
        }
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        let bound_ms = life.wall_max_ms + self.plan.config.clock_skew_max_ms + 1;
        let engine = &mut life.engine;
        if watch_hash && engine.hash() == hash {
            return Err(failed("left the hash as it was".into()));
        }
        if written.dot.replica != engine.id() || seen.covers(written.dot) {
            return Err(failed(format!("got {:?}, not a new dot", written.dot)));
        }
        let after = read(engine, &segments).map_err(trouble)?;
        if !engine.context().covers(written.dot) || !engine.knows(written.dot) {
            return Err(failed("is not held by its own writer".into()));
        }
        let held = self.seen(node);
        let op = Op { dot: written.dot, hlc: written.hlc, path: path.to_vec(), kind, seen };
        let recorded = self.model.record(op);
        let floor = recorded.map_err(|message| trouble(format!("n{node}: {message}")))?;
        if written.hlc > (bound_ms << 16).max(floor + 1) {
            let message = format!("n{node}'s write has a stamp too far ahead: {:x}", written.hlc);
            return Err(trouble(message));
        }
        self.journal.push((self.now, node));
        self.check_shown(after, &held).map_err(|message| trouble(format!("n{node}: {message}")))?;
        if at.is_multiple_of(8) {
            self.check_whole(node)?;
        }
        self.turn_later(node)
    }

    pub(super) fn write_some(&mut self) -> Result<(), Trouble> {
        let able = |node: &usize| {
            self.nodes[*node].life.as_ref().is_some_and(|life| !life.leaving && !life.paused)
        };
        let writers: Vec<usize> = (0..self.plan.writers).filter(able).collect();
        if !writers.is_empty() {
            let node = *self.chance.pick(&writers);
            let life = self.nodes[node].life.as_mut().expect("it is able");
            let batch_ms = self.pledges.begin(node, &mut life.engine);
            life.has_held_back |= batch_ms.is_some();
            for _ in 0..self.chance.between(1, self.plan.burst) {
                let (path, kind) = self.workload.next_write();
                self.write(node, &path, kind)?;
                self.writes_left = self.writes_left.saturating_sub(1);
            }
            match batch_ms {
                Some(0) => self.end_batch(node)?,
                Some(ms) => self.at(self.now + ms, Happening::EndBatch(node)),
                None => {}
            }
            let engine = &mut self.nodes[node].life.as_mut().expect("it is able").engine;
            self.pledges.wait(node, engine);
            self.turn_later(node)?;
        }
        if self.writes_left > 0 {
            let mean = self.plan.duration_ms * (self.plan.burst + 1) / 2 / self.plan.writes as u64;
            let gap = self.chance.gap(mean.max(1));
            self.at(self.now + gap, Happening::Write);
        }
        Ok(())
    }

    /// What has happened to the node meanwhile happens to it now.
    pub(super) fn end_batch(&mut self, node: usize) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.paused {
            // A program that does not run ends nothing.
            self.at(self.now + 1, Happening::EndBatch(node));
            return Ok(());
        }
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        self.pledges.end(node, &life.engine);
        life.engine.end_batch(now);
        // What it had when these said hello is not known.
        let (id, peers) = (life.engine.id(), life.engine.peers());
        for peer in peers {
            self.first_meetings.entry((id, peer)).or_default();
        }
        self.note_meetings(node);
        self.drain(node)
    }

    /// The writes that a node holds, those of replicas folded since included.
    pub(super) fn seen(&self, node: usize) -> Seen {
        let engine =
            &self.nodes[node].life.as_ref().expect("the caller asks for a live node").engine;
        let mut seen = Seen::from(engine.context());
        for (replica, dots) in self.model.dots() {
            if seen.all_up_to(replica).is_none() {
                seen.dots.extend(dots.filter(|&dot| engine.knows(dot)));
            }
        }
        seen
    }

    /// What the last write did is visible at once to its writer.
    pub(super) fn check_shown(&self, after: Option<Value>, held: &Seen) -> Result<(), String> {
        let op = self.model.ops().last().ok_or("no write")?;
        let right = match &op.kind {
            Kind::Set(json) => {
                let set: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
                alike(after.as_ref(), Some(&comparable(set)), true)
            }
            // Not always the number shown before and the increment: the write may remove a scalar
            // above that hid an older SET, with a number here.
            Kind::Increment(_) => alike(
                after.as_ref(),
                self.model.value_at(&op.path, held).as_ref(),
                self.sums_are_exact(),
            ),
            // A hole may read as what an array shows for it.
            Kind::Delete => matches!(after, None | Some(Value::Null)),
        };
        match right {
            true => Ok(()),
            false => Err(format!("{:?} at {:?} then reads {after:?}", op.kind, op.path)),
        }
    }

    /// A node shows the whole that the model makes of what it covers, at any time.
    pub(super) fn check_whole(&mut self, node: usize) -> Result<(), Trouble> {
        let engine =
            &self.nodes[node].life.as_ref().expect("the caller asks for a live node").engine;
        let held = Seen::from(engine.context());
        let expected = self.model.value(&|dot| held.covers(dot) || engine.knows(dot));
        let shown = self.shown(node, &[])?.unwrap_or(Value::Null);
        checker::same(&format!("n{node}"), &shown, "the model", &expected, self.sums_are_exact())
    }
}
