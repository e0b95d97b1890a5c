//! What is shown: see the section of that name in `docs/replication.md`.

use std::borrow::Cow;

use ecow::EcoString;

use super::amount::Amount;
use super::json::{self, Level};
use super::path::array_index;
use super::things::{Body, Run, Value};
use super::tree::{NodeId, ROOT};
use super::Document;
use crate::engine::clock::Stamp;
use crate::engine::config::ARRAY_INDEX_MAX;
use crate::engine::id::ReplicaId;

/// What a path shows, by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    Nothing,
    Number(f64),
    /// Null, a boolean or a string.
    OtherScalar,
    /// Nothing, in an array: reads null.
    Hole,
    Object,
    /// With its length.
    Array(u32),
}

/// What a path shows, in the form it is at hand in.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A sum.
    Number(f64),
    /// JSON text that the document holds as well.
    Held(EcoString),
    /// JSON text put together for the reader.
    Made(String),
}

impl Reading {
    /// The number that it is, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Reading::Number(number) => Some(*number),
            Reading::Held(text) => json::number(text),
            Reading::Made(text) => json::number(text),
        }
    }

    pub fn json(&self) -> Cow<'_, str> {
        match self {
            Reading::Number(number) => {
                let mut text = String::new();
                json::push_number(*number, &mut text);
                text.into()
            }
            Reading::Held(text) => text.as_str().into(),
            Reading::Made(text) => text.as_str().into(),
        }
    }

    pub fn into_json(self) -> String {
        match self {
            Reading::Made(text) => text,
            other => other.json().into_owned(),
        }
    }
}

/// What is shown at a path that shows an object or an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub array: bool,
    /// Of an array; 0 for an object.
    pub length: u32,
    /// The names of the children that show something.
    pub keys: Vec<String>,
}

/// The counter at a path as an increment finds it.
#[derive(Debug)]
pub struct Counter {
    pub shown: Shown,
    pub run: Option<Run>,
}

/// What a node shows, by where it stands.
pub(super) enum Face {
    Nothing,
    /// The text of `values[index]`: a scalar, or a whole value.
    Text(usize),
    Number(f64),
    Object,
    Array {
        length: u32,
        index_max: u32,
    },
}

/// For each depth from the root, the SET made there that is shown there.
pub(super) type Winners = Vec<Option<Stamp>>;

/// Whether what a node shows lets a reader on to a child.
pub(super) enum Way {
    Open,
    /// Into `values[index]`, a whole value.
    Inside(usize),
    /// To an element of an array that shows nothing.
    Hole,
    Closed,
}

impl Document {
    /// JSON text of what the path shows; the empty path is the whole document, always an object.
    pub fn read<S: AsRef<str>>(&mut self, path: &[S]) -> Option<String> {
        self.reading(path).map(Reading::into_json)
    }

    /// The same, spared the making of a text that is there, or not needed.
    pub fn reading<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Reading> {
        match self.walk(path)? {
            Place::Inside(text) => Some(Reading::Made(text)),
            Place::Hole => Some(Reading::Made("null".into())),
            Place::Node(id, mut winners) => match self.face(id, &winners) {
                Face::Nothing => None,
                Face::Number(number) => Some(Reading::Number(number)),
                Face::Text(index) => match &self.tree.node(id).values[index].body {
                    Body::Scalar(text) | Body::Whole(text) => Some(Reading::Held(text.clone())),
                    _ => None,
                },
                Face::Object | Face::Array { .. } => {
                    let mut out = String::new();
                    self.write(id, &mut winners, &mut out).then_some(Reading::Made(out))
                }
            },
        }
    }

    pub fn container<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Container> {
        match self.walk(path)? {
            Place::Inside(text) => container_in(&text),
            Place::Hole => None,
            Place::Node(id, mut winners) => match self.face(id, &winners) {
                Face::Text(index) => match &self.tree.node(id).values[index].body {
                    Body::Whole(text) => container_in(text),
                    _ => None,
                },
                Face::Object => {
                    let mut keys = Vec::new();
                    for (name, child) in self.children(id) {
                        if self.shows_something(child, &mut winners) {
                            keys.push(name);
                        }
                    }
                    Some(Container { array: false, length: 0, keys })
                }
                Face::Array { length, index_max } => {
                    let mut keys = Vec::new();
                    let mut end = length;
                    for (index, child) in self.elements(id, index_max) {
                        if self.shows_something(child, &mut winners) {
                            keys.push(index.to_string());
                            end = end.max(index + 1);
                        }
                    }
                    Some(Container { array: true, length: end, keys })
                }
                Face::Nothing | Face::Number(_) => None,
            },
        }
    }

    /// What the path shows, by kind: nothing below it is read.
    pub fn shown<S: AsRef<str>>(&mut self, path: &[S]) -> Shown {
        match self.walk(path) {
            None => Shown::Nothing,
            Some(Place::Inside(text)) => shown_text(&text),
            Some(Place::Hole) => Shown::Hole,
            Some(Place::Node(id, mut winners)) => self.shown_at(id, &mut winners),
        }
    }

    /// What the path shows, and what a further increment by `replica` continues.
    pub fn counter(&mut self, path: &[&str], replica: ReplicaId) -> Counter {
        let shown = self.shown(path);
        let start = Run { base: None, value: 0.0 };
        let Some(id) = self.split_down_to(path) else { return Counter { shown, run: Some(start) } };
        let mut winners = vec![None];
        let mut above = ROOT;
        for segment in path {
            above = self.tree.child(above, segment).unwrap_or(above);
            winners.push(self.winner(above));
        }
        let base = self.scalar(id, &winners);
        let base_number = base.and_then(scalar_number);
        let node = self.tree.node(id);
        let run = match node.parts() {
            [] => {
                Some(Run { base: base.map(|value| value.dot), value: base_number.unwrap_or(0.0) })
            }
            [only] if only.slot() == (replica, false) && only.is_uncut() => {
                only.run.filter(|run| run.base == base.map(|value| value.dot))
            }
            _ => None,
        };
        Counter { shown, run }
    }

    /// The ancestors of a path that show arrays, by depth, with their lengths. `Err` gives the
    /// depth of one in which the next segment is no index.
    pub fn arrays_above(&mut self, path: &[&str]) -> Result<Vec<(u8, u32)>, usize> {
        let mut arrays = Vec::new();
        let mut id = ROOT;
        let mut winners = Winners::new();
        for (depth, segment) in path.iter().enumerate() {
            winners.push(self.winner(id));
            let node = self.tree.node(id);
            let plain =
                node.values.is_empty() && node.marks().iter().all(|mark| mark.length.is_none());
            if id != ROOT && !plain {
                let length = match self.face(id, &winners) {
                    Face::Array { .. } => Some(self.array_length_held(id)),
                    Face::Text(index) => match &self.tree.node(id).values[index].body {
                        Body::Whole(_) => {
                            return self.arrays_inside(id, index, path, depth, arrays)
                        }
                        _ => None,
                    },
                    _ => None,
                };
                if let Some(length) = length {
                    let index = array_index(segment).filter(|&index| index <= ARRAY_INDEX_MAX);
                    arrays.push((depth as u8, length.max(index.ok_or(depth)? + 1)));
                }
            }
            match self.tree.child(id, segment) {
                Some(child) => id = child,
                None => break,
            }
        }
        Ok(arrays)
    }

    fn arrays_inside(
        &self,
        id: NodeId,
        value: usize,
        path: &[&str],
        from: usize,
        mut arrays: Vec<(u8, u32)>,
    ) -> Result<Vec<(u8, u32)>, usize> {
        let Body::Whole(text) = &self.tree.node(id).values[value].body else { return Ok(arrays) };
        let mut inner: &str = text;
        for (depth, segment) in path.iter().enumerate().skip(from) {
            if let Level::Array(elements) = json::level(inner) {
                let index = array_index(segment).filter(|&index| index <= ARRAY_INDEX_MAX);
                let length = (elements.len() as u32).max(index.ok_or(depth)? + 1);
                arrays.push((depth as u8, length));
            }
            match json::at(inner, &[segment]) {
                Some(next) => inner = next,
                None => break,
            }
        }
        Ok(arrays)
    }

    /// The largest length of the array shells and marks alive at a node, shown or not.
    fn array_length_held(&self, id: NodeId) -> u32 {
        let node = self.tree.node(id);
        let values = node.values.iter().map(|value| match &value.body {
            Body::Array(length) => *length,
            Body::Whole(text) => match json::level(text) {
                Level::Array(elements) => elements.len() as u32,
                _ => 0,
            },
            _ => 0,
        });
        let marks = node.marks().iter().filter_map(|mark| mark.length);
        values.chain(marks).max().unwrap_or(0)
    }

    /// Goes down to a path through what its ancestors show.
    pub(super) fn walk<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Place> {
        let mut id = ROOT;
        let mut winners = Winners::with_capacity(path.len() + 1);
        winners.push(None);
        for (depth, segment) in path.iter().enumerate() {
            let segment = segment.as_ref();
            match self.way(id, &mut winners, segment) {
                Way::Open => {}
                Way::Inside(index) => {
                    return match &self.tree.node(id).values[index].body {
                        Body::Whole(text) => {
                            json::at(text, &path[depth..]).map(|text| Place::Inside(text.into()))
                        }
                        _ => None,
                    };
                }
                // What lies below a hole is absent.
                Way::Hole => return (depth + 1 == path.len()).then_some(Place::Hole),
                Way::Closed => return None,
            }
            id = self.tree.child(id, segment)?;
            winners.push(self.winner(id));
        }
        Some(Place::Node(id, winners))
    }

    pub(super) fn way(&mut self, id: NodeId, winners: &mut Winners, segment: &str) -> Way {
        match self.face(id, winners) {
            Face::Object => Way::Open,
            Face::Array { length, index_max } => {
                let index = array_index(segment).filter(|&index| index <= index_max);
                let Some(index) = index else { return Way::Closed };
                let child = self.tree.child(id, segment);
                if child.is_some_and(|child| self.shows_something(child, winners)) {
                    return Way::Open;
                }
                // A hole reads null; what lies beyond the end is absent.
                match index < self.shown_length(id, length, index_max, winners) {
                    true => Way::Hole,
                    false => Way::Closed,
                }
            }
            Face::Text(index) if self.tree.node(id).values[index].is_whole() => Way::Inside(index),
            Face::Text(_) | Face::Nothing | Face::Number(_) => Way::Closed,
        }
    }

    fn shown_length(
        &mut self,
        id: NodeId,
        length: u32,
        index_max: u32,
        winners: &mut Winners,
    ) -> u32 {
        let mut end = length;
        for (index, child) in self.elements(id, index_max).into_iter().rev() {
            if index < end {
                break;
            }
            if self.shows_something(child, winners) {
                end = end.max(index + 1);
            }
        }
        end
    }

    /// Appends what a node shows. Says whether it shows anything.
    fn write(&mut self, id: NodeId, winners: &mut Winners, out: &mut String) -> bool {
        match self.face(id, winners) {
            Face::Nothing => return false,
            Face::Number(number) => json::push_number(number, out),
            Face::Text(index) => match &self.tree.node(id).values[index].body {
                Body::Scalar(text) | Body::Whole(text) => out.push_str(text),
                _ => return false,
            },
            Face::Object => {
                out.push('{');
                let start = out.len();
                for (name, child) in self.children(id) {
                    let before = out.len();
                    if before > start {
                        out.push(',');
                    }
                    json::push_string(&name, out);
                    out.push(':');
                    if !self.write_below(child, winners, out) {
                        out.truncate(before);
                    }
                }
                out.push('}');
            }
            Face::Array { length, index_max } => {
                out.push('[');
                let mut end = 0;
                for (index, child) in self.elements(id, index_max) {
                    let before = (out.len(), end);
                    push_holes(&mut end, index, out);
                    if end > 0 {
                        out.push(',');
                    }
                    end += 1;
                    if !self.write_below(child, winners, out) {
                        // A hole, if something comes after it.
                        out.truncate(before.0);
                        end = before.1;
                    }
                }
                push_holes(&mut end, length, out);
                out.push(']');
            }
        }
        true
    }

    pub(super) fn write_below(
        &mut self,
        id: NodeId,
        winners: &mut Winners,
        out: &mut String,
    ) -> bool {
        winners.push(self.winner(id));
        let shown = self.write(id, winners, out);
        winners.pop();
        shown
    }

    pub(super) fn shows_something(&mut self, id: NodeId, winners: &mut Winners) -> bool {
        winners.push(self.winner(id));
        let shown = !matches!(self.face(id, winners), Face::Nothing);
        winners.pop();
        shown
    }

    fn shown_at(&mut self, id: NodeId, winners: &mut Winners) -> Shown {
        match self.face(id, winners) {
            Face::Nothing => Shown::Nothing,
            Face::Number(number) => Shown::Number(number),
            Face::Text(index) => match &self.tree.node(id).values[index].body {
                Body::Scalar(text) | Body::Whole(text) => shown_text(text),
                _ => Shown::Nothing,
            },
            Face::Object => Shown::Object,
            Face::Array { length, index_max } => {
                Shown::Array(self.shown_length(id, length, index_max, winners))
            }
        }
    }

    /// The SET made at this very path that is shown here.
    pub(super) fn winner(&self, id: NodeId) -> Option<Stamp> {
        let node = self.tree.node(id);
        let roots = node.values.iter().filter(|value| node.is_root_value(value));
        roots.map(Value::stamp).max()
    }

    pub(super) fn visible<'a>(
        &'a self,
        id: NodeId,
        winners: &'a Winners,
    ) -> impl Iterator<Item = (usize, &'a Value)> {
        let values = self.tree.node(id).values.iter().enumerate();
        values.filter(|(_, value)| {
            winners.get(value.at as usize).is_some_and(|winner| *winner == Some(value.stamp()))
        })
    }

    /// The visible scalar with the latest stamp.
    pub(super) fn scalar<'a>(&'a self, id: NodeId, winners: &'a Winners) -> Option<&'a Value> {
        let scalars = self.visible(id, winners).filter(|(_, value)| value.body.is_scalar());
        scalars.map(|(_, value)| value).max_by_key(|value| value.stamp())
    }

    pub(super) fn face(&mut self, id: NodeId, winners: &Winners) -> Face {
        if id == ROOT {
            return Face::Object;
        }
        let node = self.tree.node(id);
        if node.things() > 1 && node.has_whole() {
            // Several things share the path: look at them in one form.
            self.split(id);
        }
        let node = self.tree.node(id);
        if node.values.is_empty() && node.parts().is_empty() {
            return self.container_face(id, winners).unwrap_or(Face::Nothing);
        }
        let mut best: Option<(Stamp, Face)> = None;
        let consider = |best: &mut Option<(Stamp, Face)>, stamp: Stamp, face: Face| {
            if best.as_ref().is_none_or(|(latest, _)| stamp >= *latest) {
                *best = Some((stamp, face));
            }
        };
        let scalars = self.visible(id, winners).filter(|(_, value)| value.body.is_scalar());
        let scalar = scalars.max_by_key(|(_, value)| value.stamp());
        let number =
            scalar.and_then(|(_, value)| scalar_number(value).map(|number| (value, number)));
        if let Some((index, value)) = scalar {
            if number.is_none() || node.parts().is_empty() {
                consider(&mut best, value.stamp(), Face::Text(index));
            }
        }
        if let Some(latest) = node.parts().iter().map(|part| part.stamp()).max() {
            let stamp = number.map_or(latest, |(value, _)| latest.max(value.stamp()));
            consider(&mut best, stamp, Face::Number(self.sum(id, number)));
        }
        if let Some((index, whole)) = self.visible(id, winners).find(|(_, v)| v.is_whole()) {
            consider(&mut best, whole.stamp(), Face::Text(index));
        } else if let Some(container) = self.container_face(id, winners) {
            if best.is_none() {
                // No rival: no need to look through all that is below for the latest stamp.
                return container;
            }
            if let Some(stamp) = self.container_stamp(id, winners) {
                consider(&mut best, stamp, container);
            }
        }
        best.map_or(Face::Nothing, |(_, face)| face)
    }

    /// The shown number and all increments.
    fn sum(&self, id: NodeId, base: Option<(&Value, f64)>) -> f64 {
        let parts = self.tree.node(id).parts();
        if let [only] = parts {
            let run = only.run.filter(|_| only.is_uncut());
            if let Some(run) = run.filter(|run| run.base == base.map(|(value, _)| value.dot)) {
                return run.value;
            }
        }
        let start = base.map_or(Amount::ZERO, |(_, number)| Amount::from_f64(number));
        parts.iter().fold(start, |sum, part| sum.plus(&part.sum())).to_f64()
    }

    /// Object or array, if there is any shell or mark to see (or a child without one).
    fn container_face(&self, id: NodeId, winners: &Winners) -> Option<Face> {
        let node = self.tree.node(id);
        let mut latest: Option<(Stamp, bool)> = None;
        let (mut length, mut set_length) = (0, 0);
        let mut see = |stamp: Stamp, array: Option<u32>| {
            if latest.is_none_or(|(seen, _)| stamp > seen) {
                latest = Some((stamp, array.is_some()));
            }
            length = length.max(array.unwrap_or(0));
        };
        for (_, value) in self.visible(id, winners) {
            match value.body {
                Body::Object => see(value.stamp(), None),
                Body::Array(elements) => {
                    see(value.stamp(), Some(elements));
                    set_length = set_length.max(elements);
                }
                Body::Scalar(_) | Body::Whole(_) => {}
            }
        }
        for mark in node.marks() {
            see(mark.stamp(), mark.length);
        }
        match latest {
            Some((_, true)) => {
                let index_max = ARRAY_INDEX_MAX.max(set_length.saturating_sub(1));
                Some(Face::Array { length, index_max })
            }
            Some((_, false)) => Some(Face::Object),
            None => None,
        }
    }

    /// The latest stamp of the shells and marks at a node and of all that is visible below.
    pub(super) fn container_stamp(&self, id: NodeId, winners: &Winners) -> Option<Stamp> {
        let node = self.tree.node(id);
        let shells = self.visible(id, winners).filter(|(_, value)| !value.body.is_scalar());
        let own = shells.map(|(_, value)| value.stamp()).max();
        let own = own.max(node.marks().iter().map(|mark| mark.stamp()).max());
        own.max(self.latest_below(id, &mut winners.clone()))
    }

    fn latest_below(&self, id: NodeId, winners: &mut Winners) -> Option<Stamp> {
        let mut latest = None;
        for child in self.tree.children(id) {
            winners.push(self.winner(child));
            let node = self.tree.node(child);
            latest = latest.max(self.visible(child, winners).map(|(_, v)| v.stamp()).max());
            latest = latest.max(node.marks().iter().map(|mark| mark.stamp()).max());
            latest = latest.max(node.parts().iter().map(|part| part.stamp()).max());
            latest = latest.max(self.latest_below(child, winners));
            winners.pop();
        }
        latest
    }

    fn children(&self, id: NodeId) -> Vec<(String, NodeId)> {
        self.tree.named_children(id).map(|(name, child)| (name.to_owned(), child)).collect()
    }

    /// The children that are elements of an array, in order.
    pub(super) fn elements(&self, id: NodeId, index_max: u32) -> Vec<(u32, NodeId)> {
        let children = self.tree.named_children(id);
        let mut elements: Vec<(u32, NodeId)> = children
            .filter_map(|(name, child)| array_index(name).map(|index| (index, child)))
            .filter(|&(index, _)| index <= index_max)
            .collect();
        elements.sort_unstable();
        elements
    }
}

/// Where a path leads.
pub(super) enum Place {
    /// To a node; with the winners down to it.
    Node(NodeId, Winners),
    /// Into a whole value: the text there.
    Inside(String),
    /// To an element of an array that shows nothing.
    Hole,
}

/// Writes `null` for the elements from `end` up to `index`.
fn push_holes(end: &mut u32, index: u32, out: &mut String) {
    while *end < index {
        out.push_str(if *end > 0 { ",null" } else { "null" });
        *end += 1;
    }
}

fn container_in(text: &str) -> Option<Container> {
    match json::level(text) {
        Level::Scalar => None,
        Level::Object(entries) => {
            let mut keys: Vec<String> = Vec::with_capacity(entries.len());
            keys.extend(entries.into_iter().map(|(key, _)| key.into_owned()));
            Some(Container { array: false, length: 0, keys })
        }
        Level::Array(elements) => Some(Container {
            array: true,
            length: elements.len() as u32,
            keys: (0..elements.len()).map(|index| index.to_string()).collect(),
        }),
    }
}

fn shown_text(text: &str) -> Shown {
    match json::level(text) {
        Level::Object(_) => Shown::Object,
        Level::Array(elements) => Shown::Array(elements.len() as u32),
        Level::Scalar => json::number(text).map_or(Shown::OtherScalar, Shown::Number),
    }
}

pub(super) fn scalar_number(value: &Value) -> Option<f64> {
    match &value.body {
        Body::Scalar(text) => json::number(text),
        _ => None,
    }
}
