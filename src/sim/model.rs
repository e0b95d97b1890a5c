//! The reference model: what a set of writes means, from `docs/replication.md` alone.
//!
//! It keeps every write ever made and every thing that a write ever made, with the writes that
//! remove it. What a replica shows is then a plain function of the set of writes it holds, in
//! whatever order they came. It shares nothing with the engine but names, and prefers the words of
//! the document to speed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use crate::engine::config::ARRAY_INDEX_MAX;
use crate::engine::{Context, Dot, ReplicaId};

/// The writes that a write had seen: all up to a counter per replica, plus single ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// In the order of replicas.
    pub vector: Vec<(ReplicaId, u64)>,
    pub dots: BTreeSet<Dot>,
}

impl Seen {
    pub fn covers(&self, dot: Dot) -> bool {
        self.all_up_to(dot.replica).is_some_and(|n| dot.counter <= n) || self.dots.contains(&dot)
    }

    /// The last of a replica's writes that is seen with all before it.
    pub fn all_up_to(&self, replica: ReplicaId) -> Option<u64> {
        let at = self.vector.binary_search_by_key(&replica, |&(id, _)| id).ok()?;
        Some(self.vector[at].1)
    }
}

impl From<&Context> for Seen {
    fn from(context: &Context) -> Self {
        Seen { vector: context.iter().collect(), dots: BTreeSet::new() }
    }
}

/// A write as it was made.
#[derive(Clone, Debug)]
pub struct Op {
    pub dot: Dot,
    pub hlc: u64,
    pub path: Vec<String>,
    pub kind: Kind,
    /// The writes whose effect the writer held.
    pub seen: Seen,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// JSON text.
    Set(String),
    Increment(f64),
    Delete,
}

/// Orders writes: the hybrid logical clock, then the replica.
type Stamp = (u64, ReplicaId);

impl Op {
    fn stamp(&self) -> Stamp {
        (self.hlc, self.dot.replica)
    }

    fn describe(&self) -> String {
        let Op { dot, hlc, path, kind, .. } = self;
        format!("{dot:?} ({kind:?} at {path:?}, hlc {hlc:x})")
    }
}

/// All writes of a run.
#[derive(Clone, Debug, Default)]
pub struct Model {
    ops: Vec<Op>,
    /// Of each replica: the counters of its writes and their places, in order.
    places: BTreeMap<ReplicaId, Vec<(u64, usize)>>,
    top: Place,
}

/// A path: what writes have put there, dead or alive, and the paths below it.
#[derive(Clone, Debug, Default)]
struct Place {
    things: Vec<Thing>,
    /// In the order of names.
    children: Vec<(String, Place)>,
}

/// What a write put at a path.
#[derive(Clone, Debug)]
struct Thing {
    op: usize,
    stamp: Stamp,
    body: Body,
    /// The first writes that remove it: whoever holds a later one holds one of these.
    removed_by: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Body {
    /// A root if the path is that of the SET, a piece otherwise.
    Value(Shape),
    Mark(Shape),
    /// One INCREMENT. The parts of the document are sums of these; removals see them singly.
    Increment(f64),
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Scalar(Value),
    Object,
    Array(u64),
}

impl Shape {
    fn describe(&self) -> String {
        match self {
            Shape::Scalar(value) => value.to_string(),
            Shape::Object => "an object".into(),
            Shape::Array(length) => format!("an array of {length}"),
        }
    }
}

/// What became of one thing that a write put at a path. Writes are named by their place.
#[derive(Debug)]
pub struct Fate {
    pub op: usize,
    pub put: Put,
    pub removed_by: Vec<usize>,
}

#[derive(Debug, PartialEq)]
pub enum Put {
    Value(String),
    Mark(String),
    Increment(f64),
}

impl Model {
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The writes of each replica.
    pub fn dots(&self) -> impl Iterator<Item = (ReplicaId, impl Iterator<Item = Dot> + '_)> + '_ {
        self.places.iter().map(|(&replica, places)| {
            (replica, places.iter().map(move |&(counter, _)| Dot::new(replica, counter)))
        })
    }

    /// Adds a write. Gives the clock that its own had to be later than. The error says which rule of
    /// the document it breaks.
    pub fn record(&mut self, op: Op) -> Result<u64, String> {
        let seen = self.seen(&op.seen);
        let mut marks = Vec::new();
        if op.kind == Kind::Delete {
            if !self.finds_anything(&op.path, &seen) {
                return Err(format!("{} became a write and deletes nothing", op.describe()));
            }
        } else {
            let top = self.view(&op.path[..1], &seen);
            if let Some(reason) = refusal(&top, &op.path, &op.kind) {
                return Err(format!("{} was accepted: {reason}", op.describe()));
            }
            marks = self.marks(&top, &op.path, &seen);
        }
        let floor = self.check_stamp(&op, &seen)?;

        let index = self.ops.len();
        self.remove(index, &op, &seen);
        let write = (index, op.stamp());
        let mut place = &mut self.top;
        if op.kind != Kind::Delete {
            place = place.make(&op.path[0]);
            for (mark, name) in marks.into_iter().zip(&op.path[1..]) {
                place.put(write, Body::Mark(mark));
                place = place.make(name);
            }
        }
        match &op.kind {
            Kind::Set(json) => {
                let value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
                place.put_value(write, comparable(value));
            }
            Kind::Increment(by) => place.put(write, Body::Increment(*by)),
            Kind::Delete => {}
        }
        let places = self.places.entry(op.dot.replica).or_default();
        let at = places.partition_point(|&(counter, _)| counter < op.dot.counter);
        places.insert(at, (op.dot.counter, index));
        self.ops.push(op);
        Ok(floor)
    }

    /// The whole document as a replica shows it that holds these writes.
    pub fn value(&self, included: &dyn Fn(Dot) -> bool) -> Value {
        let view = self.view(&[], &self.writes(included));
        Value::Object(view.members())
    }

    /// What such a replica shows at a path, whatever is shown above it.
    pub fn value_at(&self, path: &[String], seen: &Seen) -> Option<Value> {
        self.view(path, &self.seen(seen)).value()
    }

    /// Why a replica that had seen these writes refuses this one; `None` if it doesn't.
    pub fn refuses(&self, path: &[String], kind: &Kind, seen: &Seen) -> Option<String> {
        if *kind == Kind::Delete {
            return None;
        }
        refusal(&self.view(&path[..1], &self.seen(seen)), path, kind)
    }

    /// Whether a DELETE at the path is a write at all.
    pub fn deletes_anything(&self, path: &[String], seen: &Seen) -> bool {
        self.finds_anything(path, &self.seen(seen))
    }

    /// What the writes have put at a path, and which writes remove it: for reports of failures.
    pub fn fates(&self, path: &[String]) -> Vec<Fate> {
        let things = self.top.at(path).into_iter().flat_map(|place| &place.things);
        let fate = |thing: &Thing| Fate {
            op: thing.op,
            put: match &thing.body {
                Body::Value(shape) => Put::Value(shape.describe()),
                Body::Mark(shape) => Put::Mark(shape.describe()),
                Body::Increment(by) => Put::Increment(*by),
            },
            removed_by: thing.removed_by.clone(),
        };
        things.map(fate).collect()
    }

    fn writes(&self, included: &dyn Fn(Dot) -> bool) -> Writes {
        let mut writes = Writes::default();
        for (index, op) in self.ops.iter().enumerate() {
            if included(op.dot) {
                writes.insert(index);
            }
        }
        writes
    }

    fn seen(&self, seen: &Seen) -> Writes {
        // Most are.
        let mut writes = Writes::all(self.ops.len());
        for (&replica, places) in &self.places {
            let last = seen.all_up_to(replica).unwrap_or(0);
            let unseen = places.iter().rev().take_while(|&&(counter, _)| counter > last);
            unseen.for_each(|&(_, index)| writes.remove(index));
        }
        for dot in &seen.dots {
            let Some(places) = self.places.get(&dot.replica) else { continue };
            if let Ok(at) = places.binary_search_by_key(&dot.counter, |&(counter, _)| counter) {
                writes.insert(places[at].1);
            }
        }
        writes
    }

    fn finds_anything(&self, path: &[String], held: &Writes) -> bool {
        self.top.at(path).is_some_and(|place| place.has_alive(held))
    }

    /// "A local write's stamp is later than ..."
    fn check_stamp(&self, op: &Op, seen: &Writes) -> Result<u64, String> {
        let mut latest: Option<&Thing> = None;
        let mut note = |thing| latest = latest.into_iter().chain([thing]).max_by_key(|t| t.stamp);
        let mut place = Some(&self.top);
        for name in &op.path {
            let above = place.into_iter().flat_map(|place| &place.things);
            let above = above.filter(|thing| !matches!(thing.body, Body::Mark(_)));
            above.filter(|thing| thing.is_alive(seen)).for_each(&mut note);
            place = place.and_then(|place| place.child(name));
        }
        if let Some(place) = place {
            place.each_alive(seen, &mut note);
        }
        let Some(latest) = latest else { return Ok(0) };
        if latest.stamp >= op.stamp() {
            let (late, early) = (op.describe(), self.ops[latest.op].describe());
            return Err(format!("{late} is no later than {early}, which it had seen"));
        }
        Ok(latest.stamp.0)
    }

    /// The marks that a write makes at each of its proper ancestors, from the top.
    fn marks(&self, top: &View<'_>, path: &[String], seen: &Writes) -> Vec<Shape> {
        let mark = |depth: usize| match top.at(&path[1..depth]).and_then(View::shown) {
            Some(Shown::Array) => {
                let index = index_of(&path[depth]).unwrap_or(0); // not an index: refused before
                Shape::Array(self.length_seen(&path[..depth], seen).max(index + 1))
            }
            _ => Shape::Object,
        };
        (1..path.len()).map(mark).collect()
    }

    /// "The largest of the lengths of the array shells and array marks seen there", hidden or not.
    fn length_seen(&self, path: &[String], seen: &Writes) -> u64 {
        let here = self.top.at(path).into_iter().flat_map(|place| &place.things);
        let lengths = here.filter(|thing| thing.is_alive(seen)).map(|thing| match thing.body {
            Body::Value(Shape::Array(length)) | Body::Mark(Shape::Array(length)) => length,
            _ => 0,
        });
        lengths.max().unwrap_or(0)
    }

    /// Notes the new write at everything that it removes.
    fn remove(&mut self, index: usize, op: &Op, seen: &Writes) {
        let mut place = &mut self.top;
        for name in &op.path {
            let things = place.things.iter_mut().filter(|_| op.kind != Kind::Delete);
            for thing in things {
                match thing.body {
                    // Its shell stays: the value is now split around the new write.
                    Body::Value(Shape::Object | Shape::Array(_)) => {}
                    Body::Value(Shape::Scalar(_)) | Body::Increment(_) | Body::Mark(_) => {
                        thing.remove(index, seen);
                    }
                }
            }
            let Some(child) = place.child_mut(name) else { return };
            place = child;
        }
        if !matches!(op.kind, Kind::Increment(_)) {
            place.remove_all(index, seen);
        }
    }

    /// What is visible at and below a path to a replica that holds these writes.
    fn view(&self, path: &[String], held: &Writes) -> View<'_> {
        let mut winners = Writes::default();
        let mut place = &self.top;
        for (depth, name) in path.iter().enumerate() {
            self.add_winner(depth, place.alive(held), &mut winners);
            let Some(child) = place.child(name) else { return View::default() };
            place = child;
        }
        self.view_of(place, path.len(), held, &mut winners).unwrap_or_default()
    }

    /// Adds the SET whose root is shown of those at a place, if there are any.
    fn add_winner<'a>(
        &self,
        depth: usize,
        alive: impl Iterator<Item = &'a Thing>,
        winners: &mut Writes,
    ) {
        let is_root = |thing: &&Thing| {
            matches!(thing.body, Body::Value(_)) && self.ops[thing.op].path.len() == depth
        };
        if let Some(winner) = alive.filter(is_root).max_by_key(|root| root.stamp) {
            winners.insert(winner.op);
        }
    }

    fn view_of<'a>(
        &'a self,
        place: &'a Place,
        depth: usize,
        held: &Writes,
        winners: &mut Writes,
    ) -> Option<View<'a>> {
        let mut things: Vec<&'a Thing> = place.alive(held).collect();
        self.add_winner(depth, things.iter().copied(), winners);
        let hidden =
            |thing: &Thing| matches!(thing.body, Body::Value(_)) && !winners.contains(thing.op);
        things.retain(|thing| !hidden(thing));
        let children: Vec<_> = place
            .children
            .iter()
            .filter_map(|(name, child)| {
                Some((name.as_str(), self.view_of(child, depth + 1, held, winners)?))
            })
            .collect();
        let latest_below = children.iter().filter_map(|(_, child)| child.latest()).max();
        let is_empty = things.is_empty() && children.is_empty();
        (!is_empty).then_some(View { things, children, latest_below })
    }
}

impl Place {
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.children.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    fn child(&self, name: &str) -> Option<&Place> {
        Some(&self.children[self.find(name).ok()?].1)
    }

    fn child_mut(&mut self, name: &str) -> Option<&mut Place> {
        let at = self.find(name).ok()?;
        Some(&mut self.children[at].1)
    }

    fn at(&self, path: &[String]) -> Option<&Place> {
        path.iter().try_fold(self, |place, name| place.child(name))
    }

    fn make(&mut self, name: &str) -> &mut Place {
        let at = self.find(name).unwrap_or_else(|at| {
            self.children.insert(at, (name.to_owned(), Place::default()));
            at
        });
        &mut self.children[at].1
    }

    fn put(&mut self, (op, stamp): (usize, Stamp), body: Body) {
        self.things.push(Thing { op, stamp, body, removed_by: Vec::new() });
    }

    fn put_value(&mut self, write: (usize, Stamp), value: Value) {
        let shape = match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.make(&name).put_value(write, member);
                }
                Shape::Object
            }
            Value::Array(elements) => {
                let length = elements.len() as u64;
                for (index, element) in elements.into_iter().enumerate() {
                    self.make(&index.to_string()).put_value(write, element);
                }
                Shape::Array(length)
            }
            scalar => Shape::Scalar(scalar),
        };
        self.put(write, Body::Value(shape));
    }

    fn alive<'a, 'h>(&'a self, held: &'h Writes) -> impl Iterator<Item = &'a Thing> + use<'a, 'h> {
        self.things.iter().filter(|thing| thing.is_alive(held))
    }

    fn has_alive(&self, held: &Writes) -> bool {
        self.alive(held).next().is_some()
            || self.children.iter().any(|(_, child)| child.has_alive(held))
    }

    fn each_alive<'a>(&'a self, held: &Writes, note: &mut impl FnMut(&'a Thing)) {
        self.alive(held).for_each(&mut *note);
        self.children.iter().for_each(|(_, child)| child.each_alive(held, note));
    }

    /// A write removes all that it had seen at this place and below.
    fn remove_all(&mut self, by: usize, seen: &Writes) {
        self.things.iter_mut().for_each(|thing| thing.remove(by, seen));
        self.children.iter_mut().for_each(|(_, child)| child.remove_all(by, seen));
    }
}

/// "Local refusals", of a write that is no DELETE. Each ancestor is judged by what is shown at it,
/// even if something else is shown further up. `top` is the view of the first name.
fn refusal(top: &View<'_>, path: &[String], kind: &Kind) -> Option<String> {
    for depth in 1..path.len() {
        let shown = top.at(&path[1..depth]).and_then(View::shown);
        if matches!(shown, Some(Shown::Array)) && index_of(&path[depth]).is_none() {
            return Some(format!("{:?} is no index of the array above", path[depth]));
        }
    }
    // What stands below something else that is shown is not shown itself.
    let reached = (1..path.len()).all(|depth| {
        let shown = top.at(&path[1..depth]).and_then(View::shown);
        matches!(shown, Some(Shown::Object | Shown::Array))
    });
    let shown = top.at(&path[1..]).filter(|_| reached).and_then(View::shown);
    match (kind, shown) {
        (Kind::Increment(_), Some(Shown::Number(_)) | None) | (Kind::Set(_), _) => None,
        (_, shown) => Some(format!("{shown:?} is not a number")),
    }
}

impl Thing {
    fn is_alive(&self, held: &Writes) -> bool {
        held.contains(self.op) && !self.removed_by.iter().any(|&write| held.contains(write))
    }

    /// A write removes it, if it had seen it.
    fn remove(&mut self, by: usize, seen: &Writes) {
        if self.is_alive(seen) {
            self.removed_by.push(by);
        }
    }
}

/// The visible things at a path, and those below it.
#[derive(Debug, Default)]
struct View<'a> {
    things: Vec<&'a Thing>,
    /// Only paths that hold or lead to something visible, so a child that is here shows something.
    /// In the order of names.
    children: Vec<(&'a str, View<'a>)>,
    latest_below: Option<Stamp>,
}

/// What a path shows.
#[derive(Clone, Debug, PartialEq)]
enum Shown<'a> {
    Scalar(&'a Value),
    Number(f64),
    Object,
    Array,
}

impl<'a> View<'a> {
    fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |view, name| {
            let at = view.children.binary_search_by_key(&name.as_str(), |(name, _)| name).ok()?;
            Some(&view.children[at].1)
        })
    }

    /// "What is shown": the candidate with the latest stamp.
    fn shown(&self) -> Option<Shown<'_>> {
        let scalars = self.things.iter().filter_map(|thing| match &thing.body {
            Body::Value(Shape::Scalar(value)) => Some((thing.stamp, value)),
            _ => None,
        });
        let scalar = scalars.max_by_key(|(stamp, _)| *stamp);
        let increments = || {
            self.things.iter().filter_map(|thing| match thing.body {
                Body::Increment(by) => Some((thing.stamp, by)),
                _ => None,
            })
        };
        let sum: f64 = increments().map(|(_, by)| by).sum();
        let counted = increments().map(|(stamp, _)| stamp).max();

        let plain = match (scalar, counted) {
            (Some((stamp, value)), counted) if value.is_number() => {
                let number = value.as_f64().unwrap_or(0.0) + sum;
                [Some((counted.unwrap_or(stamp).max(stamp), Shown::Number(number))), None]
            }
            (scalar, counted) => [
                scalar.map(|(stamp, value)| (stamp, Shown::Scalar(value))),
                counted.map(|stamp| (stamp, Shown::Number(sum))),
            ],
        };
        let structure = self.structure().max_by_key(|(stamp, _)| *stamp);
        let container = structure.map(|(stamp, _)| stamp).max(self.latest_below).map(|stamp| {
            let array = matches!(structure, Some((_, Shape::Array(_))));
            (stamp, if array { Shown::Array } else { Shown::Object })
        });
        // Of equal stamps the last, which is the container, wins.
        let candidates = plain.into_iter().chain([container]).flatten();
        candidates.max_by_key(|(stamp, _)| *stamp).map(|(_, shown)| shown)
    }

    /// Shells and marks.
    fn structure(&self) -> impl Iterator<Item = (Stamp, &'a Shape)> + '_ {
        self.things.iter().filter_map(|thing| match &thing.body {
            Body::Value(Shape::Scalar(_)) | Body::Increment(_) => None,
            Body::Value(shape) | Body::Mark(shape) => Some((thing.stamp, shape)),
        })
    }

    fn latest(&self) -> Option<Stamp> {
        self.things.iter().map(|thing| thing.stamp).max().max(self.latest_below)
    }

    /// The length that array shells and marks give, whatever stands below.
    fn declared_length(&self) -> u64 {
        let length = |shape: &Shape| if let Shape::Array(length) = shape { *length } else { 0 };
        self.structure().map(|(_, shape)| length(shape)).max().unwrap_or(0)
    }

    fn value(&self) -> Option<Value> {
        Some(match self.shown()? {
            Shown::Scalar(value) => value.clone(),
            Shown::Number(number) => number_value(number),
            Shown::Object => Value::Object(self.members()),
            Shown::Array => Value::Array(self.elements()),
        })
    }

    fn members(&self) -> Map<String, Value> {
        self.children
            .iter()
            .filter_map(|(name, child)| Some((name.to_string(), child.value()?)))
            .collect()
    }

    fn elements(&self) -> Vec<Value> {
        let set_length = self.things.iter().filter_map(|thing| match thing.body {
            Body::Value(Shape::Array(length)) => Some(length),
            _ => None,
        });
        let index_end = set_length.max().unwrap_or(0).max(u64::from(ARRAY_INDEX_MAX) + 1);
        let mut elements = vec![Value::Null; self.declared_length() as usize];
        for (name, child) in &self.children {
            let Some(index) = decimal(name).filter(|index| *index < index_end) else { continue };
            let Some(value) = child.value() else { continue };
            let index = index as usize;
            if elements.len() <= index {
                elements.resize(index + 1, Value::Null);
            }
            elements[index] = value;
        }
        elements
    }
}

/// A set of writes, by their place in the record.
#[derive(Clone, Debug, Default)]
struct Writes(Vec<u64>);

impl Writes {
    /// The first so many.
    fn all(length: usize) -> Self {
        let mut words = vec![u64::MAX; length / 64];
        if !length.is_multiple_of(64) {
            words.push((1 << (length % 64)) - 1);
        }
        Writes(words)
    }

    fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }

    fn insert(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// The value with each number as a double, so that `1` and `1.0` are equal, `0` and `-0` too.
pub fn comparable(mut value: Value) -> Value {
    make_comparable(&mut value);
    value
}

fn make_comparable(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number_value(number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(elements) => elements.iter_mut().for_each(make_comparable),
        Value::Object(members) => members.values_mut().for_each(make_comparable),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Whether they are equal; unless `exact`, but for the last digits of numbers: the model adds up in
/// its own order.
pub fn alike(a: Option<&Value>, b: Option<&Value>, exact: bool) -> bool {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) if !exact => {
            let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            (a - b).abs() <= 1e-9 * (1.0 + a.abs())
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(Some(a), Some(b), exact))
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.len() == b.len() && a.iter().all(|(name, a)| alike(Some(a), b.get(name), exact))
        }
        (a, b) => a == b,
    }
}

fn number_value(number: f64) -> Value {
    // Adding 0 makes a negative zero positive, as JSON.stringify writes it.
    let number = number.clamp(-f64::MAX, f64::MAX) + 0.0;
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A canonical decimal: no sign, no leading zero.
fn decimal(name: &str) -> Option<u64> {
    let canonical =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    canonical.then(|| name.parse().ok()).flatten()
}

/// The index that a write may use below an array.
fn index_of(name: &str) -> Option<u64> {
    decimal(name).filter(|index| *index <= u64::from(ARRAY_INDEX_MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: u64 = 1;
    const B: u64 = 2;
    const C: u64 = 3;

    /// Writes by hand: each names its replica, its clock and the dots it had seen.
    #[derive(Default)]
    struct Hand {
        model: Model,
        counters: BTreeMap<u64, u64>,
    }

    impl Hand {
        fn op(&mut self, replica: u64, hlc: u64, path: &str, kind: Kind, seen: &[Dot]) -> Dot {
            self.try_op(replica, hlc, path, kind, seen).expect("a valid write")
        }

        fn try_op(
            &mut self,
            replica: u64,
            hlc: u64,
            path: &str,
            kind: Kind,
            seen: &[Dot],
        ) -> Result<Dot, String> {
            let own = self.counters.entry(replica).or_default();
            let mut context = Seen::default();
            context.vector.push((ReplicaId(replica), *own));
            context.dots.extend(seen);
            *own += 1;
            let dot = Dot::new(ReplicaId(replica), *own);
            let path = path.split('.').map(String::from).collect();
            self.model.record(Op { dot, hlc, path, kind, seen: context })?;
            Ok(dot)
        }

        fn set(&mut self, replica: u64, hlc: u64, path: &str, value: Value, seen: &[Dot]) -> Dot {
            self.op(replica, hlc, path, Kind::Set(value.to_string()), seen)
        }

        fn increment(&mut self, replica: u64, hlc: u64, path: &str, by: f64, seen: &[Dot]) -> Dot {
            self.op(replica, hlc, path, Kind::Increment(by), seen)
        }

        fn delete(&mut self, replica: u64, hlc: u64, path: &str, seen: &[Dot]) -> Dot {
            self.op(replica, hlc, path, Kind::Delete, seen)
        }

        #[track_caller]
        fn shows(&self, expected: Value) {
            assert_eq!(self.model.value(&|_| true), comparable(expected));
        }
    }

    #[test]
    fn an_empty_document_is_an_object() {
        Hand::default().shows(json!({}));
    }

    #[test]
    fn a_set_replaces_what_it_had_seen_at_and_below() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k", json!({"x": {"y": 1}}), &[]);
        hand.set(A, 2, "k.x.z", json!("deep"), &[]);
        hand.shows(json!({"k": {"x": {"y": 1, "z": "deep"}}}));
        hand.set(A, 3, "k.x", json!([true]), &[]);
        hand.shows(json!({"k": {"x": [true]}}));
        hand.set(A, 4, "k", json!(null), &[]);
        hand.shows(json!({"k": null}));
    }

    #[test]
    fn a_set_below_a_scalar_makes_it_an_object() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k", json!("scalar"), &[]);
        hand.set(A, 2, "k.x", json!(1), &[]);
        hand.shows(json!({"k": {"x": 1}}));
    }

    #[test]
    fn an_emptied_parent_stays_an_object() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k.x.y", json!(1), &[]);
        hand.delete(A, 2, "k.x.y", &[]);
        hand.shows(json!({"k": {"x": {}}}));
        hand.delete(A, 3, "k.x", &[]);
        hand.shows(json!({"k": {}}));
        hand.delete(A, 4, "k", &[]);
        hand.shows(json!({}));
    }

    #[test]
    fn a_delete_that_finds_nothing_is_no_write() {
        let mut hand = Hand::default();
        assert!(hand.try_op(A, 1, "k", Kind::Delete, &[]).is_err());
        let set = hand.set(B, 2, "k", json!(1), &[]);
        assert!(hand.try_op(A, 3, "k", Kind::Delete, &[]).is_err());
        hand.delete(A, 4, "k", &[set]);
        hand.shows(json!({}));
    }

    #[test]
    fn a_set_beats_a_concurrent_delete_at_or_above_it() {
        for deleted in ["k", "k.x"] {
            let mut hand = Hand::default();
            let first = hand.set(A, 1, "k.x", json!(1), &[]);
            hand.set(B, 2, "k.x", json!(2), &[first]);
            hand.delete(A, 9, deleted, &[]);
            hand.shows(json!({"k": {"x": 2}}));
        }
    }

    #[test]
    fn concurrent_children_survive_a_set_of_their_parent() {
        let mut hand = Hand::default();
        let first = hand.set(A, 1, "k", json!({"old": 1}), &[]);
        hand.set(B, 9, "k.new", json!(2), &[first]);
        hand.set(A, 3, "k", json!({"other": 3}), &[]);
        hand.shows(json!({"k": {"new": 2, "other": 3}}));
    }

    #[test]
    fn of_concurrent_sets_the_latest_hides_the_others_with_their_pieces() {
        let mut hand = Hand::default();
        let a = hand.set(A, 5, "k", json!({"a": 1, "both": 1}), &[]);
        let b = hand.set(B, 4, "k", json!({"b": 2, "both": {"x": 2}}), &[]);
        hand.shows(json!({"k": {"a": 1, "both": 1}}));
        // Removing only the winner brings the hidden one to light.
        hand.delete(A, 6, "k", &[]);
        hand.shows(json!({"k": {"b": 2, "both": {"x": 2}}}));
        hand.delete(C, 7, "k", &[a, b]);
        hand.shows(json!({}));
    }

    #[test]
    fn equal_clocks_are_decided_by_the_replica() {
        let mut hand = Hand::default();
        hand.set(B, 5, "k", json!("b"), &[]);
        hand.set(A, 5, "k", json!("a"), &[]);
        hand.shows(json!({"k": "b"}));
    }

    #[test]
    fn a_piece_and_a_set_at_its_own_path_compare_by_stamp() {
        for (below, shown) in [(4, "piece"), (6, "root")] {
            let mut hand = Hand::default();
            hand.set(A, 5, "k", json!({"x": "piece"}), &[]);
            hand.set(B, below, "k.x", json!("root"), &[]);
            hand.shows(json!({"k": {"x": shown}}));
        }
    }

    #[test]
    fn pieces_of_a_winner_show_though_its_own_path_shows_something_else() {
        let mut hand = Hand::default();
        let a = hand.set(A, 1, "k", json!({"x": 1}), &[]);
        hand.set(B, 2, "k.y", json!(2), &[a]);
        // B's mark and child are later than what C set without having seen them, C's scalar than A's.
        hand.set(C, 3, "k", json!("scalar"), &[a]);
        hand.shows(json!({"k": "scalar"}));
        hand.delete(C, 4, "k", &[a]);
        hand.shows(json!({"k": {"y": 2}}));
    }

    #[test]
    fn scalar_against_container_is_decided_by_the_latest_stamp() {
        for (child, shown) in [(2, json!("scalar")), (4, json!({"x": {"y": 1}}))] {
            let mut hand = Hand::default();
            hand.set(A, 3, "k", json!("scalar"), &[]);
            hand.set(B, child, "k.x.y", json!(1), &[]);
            hand.shows(json!({ "k": shown }));
        }
    }

    #[test]
    fn an_increment_counts_from_the_shown_number() {
        let mut hand = Hand::default();
        let set = hand.set(A, 1, "k", json!(10), &[]);
        let more = hand.increment(B, 2, "k", 0.25, &[set]);
        hand.increment(A, 3, "k", 0.5, &[]);
        hand.shows(json!({"k": 10.75}));
        hand.set(A, 4, "k", json!(1), &[more]);
        hand.shows(json!({"k": 1}));
    }

    #[test]
    fn increments_survive_a_concurrent_set_and_delete() {
        let mut hand = Hand::default();
        let set = hand.set(A, 1, "k", json!(10), &[]);
        hand.increment(B, 2, "k", 5.0, &[set]);
        hand.set(A, 3, "k", json!(1), &[]);
        hand.shows(json!({"k": 6}));
        hand.delete(A, 4, "k", &[]);
        hand.shows(json!({"k": 5}));
    }

    #[test]
    fn a_removal_takes_exactly_the_increments_it_had_seen() {
        let mut hand = Hand::default();
        let first = hand.increment(B, 1, "p.k", 1.0, &[]);
        let second = hand.increment(B, 2, "p.k", 10.0, &[]);
        let delete = hand.delete(A, 3, "p", &[first]);
        let held = [first, second, delete];
        let value = hand.model.value(&|dot| held.contains(&dot));
        assert_eq!(value, comparable(json!({"p": {"k": 10}})));
    }

    #[test]
    fn a_counter_beside_a_non_number_shows_by_stamp() {
        for (text, shown) in [(1, json!(2)), (3, json!("text"))] {
            let mut hand = Hand::default();
            hand.set(A, text, "k", json!("text"), &[]);
            hand.increment(B, 2, "k", 2.0, &[]);
            hand.shows(json!({ "k": shown }));
        }
    }

    #[test]
    fn a_counter_has_the_latest_stamp_of_its_number_and_parts() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k", json!(1), &[]);
        hand.set(B, 2, "k.x", json!("child"), &[]);
        hand.shows(json!({"k": {"x": "child"}}));
        hand.increment(C, 3, "k", 1.0, &[]);
        hand.shows(json!({"k": 2}));
    }

    #[test]
    fn an_increment_below_a_scalar_unhides_what_the_scalar_had_hidden() {
        let mut hand = Hand::default();
        let hidden = hand.set(A, 1, "k", json!({"n": 5}), &[]);
        let scalar = hand.set(B, 2, "k", json!(false), &[]);
        hand.shows(json!({"k": false}));
        hand.increment(C, 3, "k.n", 1.0, &[hidden, scalar]);
        hand.shows(json!({"k": {"n": 6}}));
    }

    #[test]
    fn an_increment_below_removes_counters_above_that_it_had_seen() {
        let mut hand = Hand::default();
        let one = hand.increment(A, 1, "k", 1.0, &[]);
        hand.increment(A, 2, "k", 2.0, &[]);
        hand.increment(B, 3, "k.x", 7.0, &[one]);
        hand.shows(json!({"k": {"x": 7}}));
        hand.delete(B, 4, "k.x", &[]);
        hand.shows(json!({"k": {}}));
        hand.delete(B, 5, "k", &[]);
        hand.shows(json!({"k": 2}));
    }

    #[test]
    fn arrays_split_with_holes_and_grow() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k", json!([1, 2, 3]), &[]);
        hand.delete(A, 2, "k.2", &[]);
        hand.shows(json!({"k": [1, 2, null]}));
        hand.set(A, 3, "k.4", json!("x"), &[]);
        hand.shows(json!({"k": [1, 2, null, null, "x"]}));
        hand.delete(A, 4, "k.4", &[]);
        hand.shows(json!({"k": [1, 2, null, null, null]}));
        hand.increment(A, 5, "k.2", 0.5, &[]);
        hand.shows(json!({"k": [1, 2, 0.5, null, null]}));
    }

    #[test]
    fn an_array_mark_keeps_the_length_of_arrays_that_were_hidden() {
        let mut hand = Hand::default();
        let long = hand.set(B, 1, "k", json!([1, 2, 3]), &[]);
        let short = hand.set(A, 2, "k", json!(["x"]), &[]);
        hand.shows(json!({"k": ["x"]}));
        hand.set(C, 3, "k.1", json!("y"), &[long, short]);
        hand.shows(json!({"k": ["x", "y", null]}));
    }

    #[test]
    fn without_a_live_array_mark_elements_show_as_an_object() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k.0", json!("x"), &[]);
        hand.shows(json!({"k": {"0": "x"}}));
        let array = hand.set(B, 2, "l", json!(["a"]), &[]);
        let element = hand.set(A, 3, "l.1", json!("b"), &[array]);
        hand.shows(json!({"k": {"0": "x"}, "l": ["a", "b"]}));
        hand.delete(B, 4, "l", &[element]);
        hand.shows(json!({"k": {"0": "x"}}));
    }

    #[test]
    fn a_name_that_is_no_index_is_hidden_below_an_array() {
        let mut hand = Hand::default();
        let object = hand.set(B, 1, "k", json!({}), &[]);
        hand.set(A, 3, "k", json!([1]), &[object]);
        hand.set(B, 2, "k.name", json!(2), &[]);
        hand.shows(json!({"k": [1]}));
        hand.delete(A, 4, "k", &[]);
        hand.shows(json!({"k": {"name": 2}}));
    }

    #[test]
    fn the_latest_shell_or_mark_decides_between_array_and_object() {
        let mut hand = Hand::default();
        hand.set(A, 1, "k", json!([1]), &[]);
        hand.set(B, 2, "k.2", json!(3), &[]);
        hand.shows(json!({"k": {"0": 1, "2": 3}}));
    }

    #[test]
    fn refusals() {
        let mut hand = Hand::default();
        hand.set(A, 1, "text", json!("x"), &[]);
        hand.set(A, 2, "list", json!([null]), &[]);
        let increment = Kind::Increment(1.0);
        for (path, refused) in [
            ("text", true),
            ("list", true),
            ("list.0", true),
            ("list.1", false),
            ("list.01", true),
            ("list.65536", true),
            ("list.x.y", true),
            ("text.x", false),
            ("none", false),
        ] {
            let path: Vec<String> = path.split('.').map(String::from).collect();
            let mut seen = Seen::default();
            seen.vector.push((ReplicaId(A), 2));
            let refusal = hand.model.refuses(&path, &increment, &seen);
            assert_eq!(refusal.is_some(), refused, "{path:?}: {refusal:?}");
        }
    }

    #[test]
    fn a_stamp_must_be_later_than_what_was_seen() {
        let mut hand = Hand::default();
        let far = hand.set(B, 100, "k.x", json!(1), &[]);
        assert!(hand.try_op(A, 5, "k.x", Kind::Delete, &[far]).is_err());
        // The mark that B left at `k` doesn't bind a sibling.
        hand.set(A, 6, "k.y", json!(2), &[far]);
        hand.shows(json!({"k": {"x": 1, "y": 2}}));
    }
}
