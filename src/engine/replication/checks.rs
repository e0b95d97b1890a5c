//! What is checked of everything that a peer sends, beyond its form: static limits, the same on
//! every node of a version, so that no node refuses what another took.

use crate::engine::causality::VersionVector;
use crate::engine::config::{Limits, ARRAY_INDEX_MAX};
use crate::engine::document::json;
use crate::engine::document::things::{Cut, Mark, Part, Run};
use crate::engine::document::{BodyState, ValueState};
use crate::engine::id::{Dot, ReplicaId};
use crate::engine::wire::message::{Malformed, Stub, Vector};

/// No replica makes so many writes.
const COUNTER_MAX: u64 = 1 << 53;
/// No clock shows so late a time; adding to it cannot overflow.
const HLC_MAX: u64 = 1 << 63;

/// A vector told by a peer. Nobody covers more of `own` than it has written.
pub fn vector(told: Vector, own: ReplicaId, own_counter: u64) -> Result<VersionVector, Malformed> {
    let possible = |&(replica, counter): &(ReplicaId, u64)| {
        counter <= if replica == own { own_counter } else { COUNTER_MAX }
    };
    ok(told.iter().all(possible))?;
    Ok(told.into())
}

pub fn counter(counter: u64) -> Result<(), Malformed> {
    ok((1..=COUNTER_MAX).contains(&counter))
}

pub fn hlc(hlc: u64) -> Result<(), Malformed> {
    ok(hlc <= HLC_MAX)
}

/// The path of a write. Gives how deep its value may be.
pub fn path(path: &[&str], limits: &Limits) -> Result<usize, Malformed> {
    let bytes = path.iter().map(|segment| segment.len() + 1).sum::<usize>().saturating_sub(1);
    ok(!path.is_empty() && bytes <= limits.key_bytes_max)?;
    limits.depth_max.checked_sub(path.len()).ok_or(Malformed)
}

pub fn value(text: &str, depth_max: usize, limits: &Limits) -> Result<(), Malformed> {
    ok(text.len() <= limits.value_bytes_max)?;
    json::check(text, depth_max).map(|_| ()).map_err(|_| Malformed)
}

pub fn array_length(length: u32, limits: &Limits) -> Result<(), Malformed> {
    ok(length as usize <= limits.value_bytes_max.max(ARRAY_INDEX_MAX as usize + 1))
}

pub fn run(run: Option<Run>) -> Result<(), Malformed> {
    ok(run.is_none_or(|run| run.value.is_finite()))
}

pub fn cut(cut: &Cut) -> Result<(), Malformed> {
    dot(cut.by)?;
    counter(cut.counter)?;
    ok(cut.epoch >= 1 && cut.epoch <= cut.counter)
}

pub fn stub(stub: &Stub) -> Result<(), Malformed> {
    counter(stub.counter)?;
    dot(stub.into)
}

/// Of a path that a feed tells of.
pub fn key(key: &[u8], depth: usize, limits: &Limits) -> Result<(), Malformed> {
    // A piece may stand deeper, under a longer key, than a write can name.
    ok(depth >= 1 && key.len() <= limits.key_bytes_max * 2 + limits.value_bytes_max)?;
    ok(depth <= limits.depth_max)
}

/// All things of a path of so many segments.
pub fn things(
    depth: usize,
    values: &[ValueState<'_>],
    marks: &[Mark],
    parts: &[Part],
    limits: &Limits,
) -> Result<(), Malformed> {
    let depth_max = limits.depth_max.checked_sub(depth).ok_or(Malformed)?;
    for value in values {
        dot(value.dot)?;
        hlc(value.hlc)?;
        ok((1..=depth).contains(&(value.at as usize)))?;
        match value.body {
            BodyState::Text(text) => self::value(text, depth_max, limits)?,
            BodyState::Object => {}
            BodyState::Array(length) => array_length(length, limits)?,
        }
    }
    for mark in marks {
        dot(mark.dot)?;
        hlc(mark.hlc)?;
        array_length(mark.length.unwrap_or(0), limits)?;
    }
    parts.iter().try_for_each(part)
}

fn part(part: &Part) -> Result<(), Malformed> {
    counter(part.epoch)?;
    counter(part.high)?;
    hlc(part.hlc)?;
    run(part.run)?;
    ok(part.low >= part.epoch - 1 && part.low < part.high && part.epoch <= part.high)
}

fn dot(dot: Dot) -> Result<(), Malformed> {
    counter(dot.counter)
}

fn ok(holds: bool) -> Result<(), Malformed> {
    if holds {
        Ok(())
    } else {
        Err(Malformed)
    }
}
