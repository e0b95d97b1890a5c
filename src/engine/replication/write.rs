//! Local writes.

use std::sync::Arc;

use super::Replication;
use crate::engine::document::amount::Amount;
use crate::engine::document::json::{self, Refusal};
use crate::engine::document::path::PathKey;
use crate::engine::document::things::{Cut, Run};
use crate::engine::document::watch::Whose;
use crate::engine::document::{Action, Op, Shown};
use crate::engine::error::WriteError;
use crate::engine::event::{Now, Write};
use crate::engine::id::Dot;
use crate::engine::rare::Rare;
use crate::engine::wire::message::{self, ActionItem, Item, Kind, WriteItem};

/// What a local write became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub dot: Dot,
    /// The hybrid logical clock of its stamp: milliseconds << 16 | counter.
    pub hlc: u64,
}

impl Replication {
    /// `None`: a DELETE that found nothing, which is no write. After an error nothing has changed.
    pub fn write(&mut self, now: Now, write: Write<'_>) -> Result<Option<Written>, WriteError> {
        self.write_within(now, write, self.config.document_bytes_max)
    }

    /// The same for a write that was made before, under another name: there was room for it.
    pub fn write_again(
        &mut self,
        now: Now,
        write: Write<'_>,
    ) -> Result<Option<Written>, WriteError> {
        self.write_within(now, write, None)
    }

    fn write_within(
        &mut self,
        now: Now,
        write: Write<'_>,
        bytes_max: Option<usize>,
    ) -> Result<Option<Written>, WriteError> {
        let path = write.path();
        self.check_path(path)?;
        if let Write::Set { json, .. } = write {
            self.check_value(path, json)?;
        }
        self.settle(path);
        let dot = Dot::new(self.own, self.vector.get(self.own) + 1);
        let mut arrays = Vec::new();
        let action = match write {
            Write::Set { json, .. } => {
                arrays = self.arrays_above(path)?;
                Action::Set(json)
            }
            Write::Increment { by, .. } => {
                arrays = self.arrays_above(path)?;
                self.increment(path, by, dot)?
            }
            Write::Delete { .. } if !self.document.holds_anything(path) => return Ok(None),
            Write::Delete { .. } => Action::Delete,
        };
        if let Some(limit) = bytes_max {
            self.check_room(write, limit)?;
        }
        let floor = self.document.latest_around(path);
        let alone = self.is_alone();
        let fresh = alone && self.is_unseen(path, self.own);
        let hlc = self.clock.tick(now, floor, self.config.clock_skew_max_ms);
        let op = Op { dot, hlc, path, action, arrays: &arrays };
        let cuts = self.document.apply(&op, &self.vector, &self.vector, Whose::Own);
        self.rare.note_if(!cuts.is_empty(), Rare::CutCarried);
        for (key, cut) in &cuts {
            self.document.add_cut(key.clone(), cut.clone(), &self.vector, Whose::Own);
        }
        self.push_write(&op, &cuts);
        if alone {
            self.alone.note(write, fresh);
        }
        Arc::make_mut(&mut self.vector).raise(dot.replica, dot.counter);
        self.counts.writes_local += 1;
        self.advanced();
        Ok(Some(Written { dot, hlc }))
    }

    /// Own writes from here on go out together: whoever gets one gets all, in one step.
    pub fn begin_batch(&mut self) {
        self.batching = true;
        self.outbox.hold();
    }

    pub fn end_batch(&mut self) {
        if std::mem::take(&mut self.batching) && self.outbox.release().is_err() {
            self.leave_out();
        }
    }

    /// Own writes that no message holds: peers get their effect from feeds.
    fn leave_out(&mut self) {
        let peers: Vec<_> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.send(peer, message::encode_empty(Kind::Behind));
        }
    }

    fn push_write(&mut self, op: &Op<'_>, cuts: &[(PathKey, Cut)]) {
        if self.sessions.is_empty() {
            return;
        }
        let item = Item::Write(WriteItem {
            hlc: op.hlc,
            path: op.path.to_vec(),
            action: match &op.action {
                Action::Set(json) => ActionItem::Set(json),
                Action::Increment { epoch, total, run } => {
                    ActionItem::Increment { epoch: *epoch, total: total.clone(), run: *run }
                }
                Action::Delete => ActionItem::Delete,
            },
            arrays: op.arrays.to_vec(),
            cuts: cuts.iter().map(|(key, cut)| (key.as_bytes(), cut.clone())).collect(),
        });
        match self.outbox.push(self.own, op.dot.counter, &self.vector, &item) {
            Ok(replaced) => self.rare.note_if(replaced, Rare::IncrementsJoined),
            // It removed more counters than one message holds.
            Err(_) => self.leave_out(),
        }
    }

    fn increment(
        &mut self,
        path: &[&str],
        by: f64,
        dot: Dot,
    ) -> Result<Action<'static>, WriteError> {
        if !by.is_finite() {
            return Err(WriteError::InvalidIncrement);
        }
        let counter = self.document.counter(path, self.own);
        let holds = match counter.shown {
            Shown::Nothing | Shown::Hole | Shown::Number(_) => None,
            Shown::OtherScalar => Some("a value that is not a number"),
            Shown::Object => Some("an object"),
            Shown::Array(_) => Some("an array"),
        };
        if let Some(holds) = holds {
            return Err(WriteError::NotANumber { path: path.join("."), holds });
        }
        let by_exactly = Amount::from_f64(by);
        let (epoch, total) = match self.document.part(path, self.own) {
            Some(part) => (part.epoch, part.high_total.plus(&by_exactly)),
            None => (dot.counter, by_exactly),
        };
        let run = counter
            .run
            .map(|run| Run { base: run.base, value: (run.value + by).clamp(f64::MIN, f64::MAX) });
        Ok(Action::Increment { epoch, total, run })
    }

    fn arrays_above(&mut self, path: &[&str]) -> Result<Vec<(u8, u32)>, WriteError> {
        self.document.arrays_above(path).map_err(|depth| WriteError::NotAnIndex {
            path: path[..depth].join("."),
            segment: path[depth].to_owned(),
        })
    }

    /// What makes room is always taken, and what replaces as much.
    fn check_room(&self, write: Write<'_>, limit: usize) -> Result<(), WriteError> {
        let outgrows = match write {
            Write::Set { path, json } => self.document.outgrows_by_set(path, json, limit),
            Write::Increment { path, .. } => {
                self.document.outgrows_by_increment(path, self.own, limit)
            }
            Write::Delete { .. } => false,
        };
        match outgrows {
            true => Err(WriteError::StateFull { bytes: self.document.held_bytes(), limit }),
            false => Ok(()),
        }
    }

    fn check_path(&self, path: &[&str]) -> Result<(), WriteError> {
        let limits = &self.config.limits;
        let bytes = path.iter().map(|segment| segment.len() + 1).sum::<usize>().saturating_sub(1);
        if bytes > limits.key_bytes_max {
            return Err(WriteError::KeyTooLong { bytes, limit: limits.key_bytes_max });
        }
        if path.is_empty() || path.len() > limits.depth_max {
            return Err(WriteError::TooDeep { depth: path.len(), limit: limits.depth_max });
        }
        Ok(())
    }

    fn check_value(&self, path: &[&str], json: &str) -> Result<(), WriteError> {
        let limits = &self.config.limits;
        if json.len() > limits.value_bytes_max {
            let (bytes, limit) = (json.len(), limits.value_bytes_max);
            return Err(WriteError::ValueTooLarge { bytes, limit });
        }
        match json::check_own(json, limits.depth_max - path.len()) {
            Ok(_) => Ok(()),
            Err(Refusal::TooDeep(depth)) => {
                let depth = path.len() + depth;
                Err(WriteError::TooDeep { depth, limit: limits.depth_max })
            }
            Err(Refusal::Invalid(detail)) => Err(WriteError::InvalidValue { detail }),
        }
    }
}
