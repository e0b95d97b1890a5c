//! Why a path shows what it shows, for people.
//!
//! Lists what stands at the path and, as far as it bears on it, above: which of it is shown, and by
//! what the rest is hidden. What is shown is `read.rs`'s to say; here are only the reasons. What a
//! write has removed is not here, as nothing of it is left.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::json::{self, Level};
use super::path::PathKey;
use super::read::{scalar_number, Face, Shown, Way, Winners};
use super::things::{Body, Mark, Part, Value};
use super::tree::{NodeId, ROOT};
use super::Document;
use crate::engine::clock::Stamp;
use crate::engine::id::{Dot, Rank, ReplicaId};

/// Things, and cuts, that an explanation lists. The others are counted.
pub const THINGS_MAX: usize = 100;
/// Characters of a JSON text that are quoted. `…` stands for the rest.
pub const JSON_CHARS_MAX: usize = 200;
/// So many bytes have more characters than are quoted.
const JSON_BYTES_ENOUGH: usize = 4 * JSON_CHARS_MAX + 1;
/// Children of split objects that are looked at for what a SET has put there.
const CHILDREN_MAX: usize = 10_000;

/// What a path shows and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The path with dots; `None` for the whole document, where nothing ever stands.
    pub key: Option<String>,
    /// Who explains: what another replica holds may differ.
    #[serde(serialize_with = "hexadecimal")]
    pub replica: ReplicaId,
    pub shown: ShownKind,
    /// What is shown, if it is neither object nor array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// At the path, then above it, nearest first; of one place what is shown first, then the latest
    /// first.
    pub things: Vec<Thing>,
    /// Removals of increments at the path, kept for a replica that may not have seen them.
    pub cuts: Vec<KeptCut>,
    /// Things and cuts not listed.
    pub left_out: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ShownKind {
    Nothing,
    /// Null, a boolean or a string.
    Value,
    Number,
    Object,
    Array,
    /// Nothing, in an array: reads null.
    Hole,
}

/// One thing that is alive.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Thing {
    /// Where it stands. A value that is kept whole stands wherever it reaches, as if it were split;
    /// of what a SET has put on the way to the path only the last piece is listed.
    pub key: String,
    #[serde(flatten)]
    pub what: What,
    #[serde(flatten)]
    pub write: WriteId,
    /// Whether it is, or is a part of, what a reader sees where it stands.
    pub shown: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum What {
    /// What a SET has put here.
    Set {
        /// The path of the SET: this one, or one above if this is a piece of a larger value.
        set_at: String,
        shape: Shape,
        /// Of an array.
        #[serde(skip_serializing_if = "Option::is_none")]
        length: Option<u32>,
        /// As far as it has not been removed.
        json: String,
    },
    /// All increments of one replica that are left; the write is the last of them.
    Increments {
        amount: f64,
        /// Of a dead replica, whose increments this write has taken over.
        settled: bool,
        /// Those up to this counter were removed.
        #[serde(skip_serializing_if = "Option::is_none")]
        removed_to: Option<u64>,
    },
    /// Something is or was below.
    Mark {
        shape: Shape,
        #[serde(skip_serializing_if = "Option::is_none")]
        length: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    Scalar,
    Object,
    Array,
}

/// Dot and stamp of a write. Stamps compare by `ms`, then `tick`, then the replica that wrote.
///
/// What a dead replica wrote has the dot of the write that folded it, and keeps its time and its
/// place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteId {
    #[serde(serialize_with = "hexadecimal")]
    pub replica: ReplicaId,
    pub counter: u64,
    pub ms: u64,
    pub tick: u16,
    /// Whose it was, before it was folded.
    #[serde(skip)]
    rank: Rank,
}

/// Why a thing is not seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hidden {
    pub why: Why,
    /// Absent only with [`Why::Lost`].
    #[serde(flatten)]
    pub by: Option<By>,
}

/// What hides something.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct By {
    pub key: String,
    pub kind: ByKind,
    #[serde(flatten)]
    pub write: WriteId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ByKind {
    Set,
    Increments,
    Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// A later SET at the path of its own SET, with which all that its SET wrote is hidden.
    LaterSet,
    /// A later scalar at the same path.
    LaterValue,
    /// A counter at the same path that is later.
    LaterCounter,
    /// An object or array at the same path that is later, by what is at or below it.
    LaterContainer,
    /// A scalar, or a number, at a path above.
    ScalarAbove,
    /// An array at a path above, in which the next name is no index.
    ArrayAbove,
    /// Nothing stands against it, but what should lead to it is missing: a defect.
    Lost,
}

/// A removal of increments, see [`super::things::Cut`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptCut {
    /// Whose increments.
    #[serde(serialize_with = "hexadecimal")]
    pub replica: ReplicaId,
    /// All up to this one are removed.
    pub counter: u64,
    pub amount: f64,
    /// The write that removed them.
    #[serde(serialize_with = "hexadecimal")]
    pub by_replica: ReplicaId,
    pub by_counter: u64,
}

impl Document {
    pub fn explain(&mut self, path: &[&str], own: ReplicaId) -> Explanation {
        let shown = self.shown(path);
        let json = match shown {
            Shown::Number(_) | Shown::OtherScalar => self.read(path).map(|json| quote(&json)),
            _ => None,
        };
        let mut things = self.things_up_from(path);
        let key = PathKey::new(path);
        let mut cuts: Vec<KeptCut> =
            self.cuts.get(&key).into_iter().flatten().map(KeptCut::from).collect();
        let all = things.len() + cuts.len();
        things.truncate(THINGS_MAX);
        cuts.truncate(THINGS_MAX - things.len());
        Explanation {
            key: (!path.is_empty()).then(|| path.join(".")),
            replica: own,
            shown: shown.into(),
            json,
            left_out: all - things.len() - cuts.len(),
            things,
            cuts,
        }
    }

    /// The things at the path and those above it, as they are listed.
    fn things_up_from(&mut self, path: &[&str]) -> Vec<Thing> {
        let mut places: Vec<Vec<Thing>> = Vec::new();
        let mut way = Trace { path, nodes: Vec::new(), winners: vec![None], closed: None };
        let mut id = ROOT;
        for (depth, segment) in path.iter().enumerate() {
            if way.closed.is_none() {
                let open = self.way(id, &mut way.winners, segment);
                if let Way::Hole | Way::Closed = open {
                    way.closed = Some(self.what_closes(id, depth, &way));
                }
            }
            let Some(child) = self.tree.child(id, segment) else { break };
            id = child;
            way.nodes.push(id);
            way.winners.push(self.winner(id));
            // A node is looked at before the next one is looked for: that may split it.
            places.push(self.things_at(&way));
        }
        let mut listed = BTreeSet::new();
        let mut things = Vec::new();
        for mut place in places.into_iter().rev() {
            place.retain(|thing| match &thing.what {
                What::Set { set_at, .. } => listed.insert((thing.write.dot(), set_at.clone())),
                _ => true,
            });
            place.sort_by_key(|thing| std::cmp::Reverse((thing.shown, thing.write.stamp())));
            things.append(&mut place);
        }
        things
    }

    /// The things at the last node of the way.
    fn things_at(&mut self, way: &Trace<'_>) -> Vec<Thing> {
        let (id, depth) = (way.last(), way.nodes.len());
        // This splits the node's values if there are several.
        let face = self.face(id, &way.winners);
        let (below, is_end) = (&way.path[depth..], depth == way.path.len());
        let verdict = self.verdict(id, face, way);
        let node = self.tree.node(id);

        let mut things = Vec::new();
        let mut list = |key, what, write, hidden: Option<Hidden>| {
            let hidden = hidden.or_else(|| way.closed.clone());
            things.push(Thing { key, what, write, shown: hidden.is_none(), hidden });
        };
        for value in &node.values {
            let (reach, what) = self.what_of(id, value, below, way);
            let write = WriteId::of_value(value);
            list(way.key(depth + reach), what, write, self.fate(value, &verdict, way));
        }
        for part in node.parts() {
            let what = What::Increments {
                amount: part.sum().to_f64(),
                settled: part.settled,
                removed_to: (!part.is_uncut()).then_some(part.low),
            };
            let hidden = verdict.against(Candidate::Counter);
            list(way.key(depth), what, WriteId::of_part(part), hidden);
        }
        // Above the path a mark says no more than that there is a path, unless something else is
        // there that it competes with, or it is of an array.
        let competes = !node.parts().is_empty()
            || node.marks().iter().any(|mark| mark.length.is_some())
            || node.values.iter().any(|value| !matches!(value.body, Body::Object));
        for mark in node.marks().iter().filter(|_| is_end || competes) {
            let shape = if mark.length.is_some() { Shape::Array } else { Shape::Object };
            let what = What::Mark { shape, length: mark.length };
            let hidden = verdict.against(Candidate::Container);
            list(way.key(depth), what, WriteId::of_mark(mark), hidden);
        }
        things
    }

    /// What is shown at a node, and how it hides the other candidates.
    fn verdict(&self, id: NodeId, face: Face, way: &Trace<'_>) -> Verdict {
        let node = self.tree.node(id);
        let scalar = self.scalar(id, &way.winners);
        let key = way.key(way.nodes.len());
        let shown = match face {
            Face::Nothing => None,
            Face::Text(index) if node.values[index].is_whole() => Some(Candidate::Container),
            Face::Text(_) => Some(Candidate::Scalar),
            Face::Number(_) => Some(Candidate::Counter),
            Face::Object | Face::Array { .. } => Some(Candidate::Container),
        };
        let rivals = scalar.is_some() || !node.parts().is_empty();
        let hides = match shown {
            Some(Candidate::Scalar) => {
                Hidden::new(Why::LaterValue, scalar.map(|value| By::value(key.clone(), value)))
            }
            Some(Candidate::Counter) => Hidden::new(Why::LaterCounter, self.counter_by(id, way)),
            Some(Candidate::Container) if rivals => {
                let latest = self.container_stamp(id, &way.winners);
                let by = latest.and_then(|stamp| self.find(id, &mut way.winners.clone(), stamp));
                Hidden::new(Why::LaterContainer, by)
            }
            Some(Candidate::Container) | None => Hidden::new(Why::Lost, None),
        };
        let counts = scalar.is_some_and(|value| scalar_number(value).is_some());
        Verdict {
            shown,
            hides,
            scalar: scalar.map(|value| By::value(key, value)),
            scalar_is: match counts && !node.parts().is_empty() {
                true => Candidate::Counter,
                false => Candidate::Scalar,
            },
        }
    }

    /// What hides a value at the last node of the way, if that is open.
    fn fate(&self, value: &Value, verdict: &Verdict, way: &Trace<'_>) -> Option<Hidden> {
        let at = usize::from(value.at);
        if !way.wins(at, value) {
            let winner = at.checked_sub(1).and_then(|above| way.nodes.get(above)).and_then(|&id| {
                let node = self.tree.node(id);
                let won = |root: &&Value| node.is_root_value(root) && way.wins(at, root);
                node.values.iter().find(won)
            });
            return Some(Hidden::new(
                Why::LaterSet,
                winner.map(|root| By::value(way.key(at), root)),
            ));
        }
        if !value.body.is_scalar() {
            return verdict.against(Candidate::Container);
        }
        match &verdict.scalar {
            Some(by) if by.write != WriteId::of_value(value) => {
                Some(Hidden::new(Why::LaterValue, Some(by.clone())))
            }
            _ => verdict.against(verdict.scalar_is),
        }
    }

    /// Why a reader does not get from a node to the next one on the way.
    fn what_closes(&mut self, id: NodeId, depth: usize, way: &Trace<'_>) -> Hidden {
        let key = way.key(depth);
        match self.face(id, &way.winners) {
            Face::Text(index) => {
                let by = By::value(key, &self.tree.node(id).values[index]);
                Hidden::new(Why::ScalarAbove, Some(by))
            }
            Face::Number(_) => Hidden::new(Why::ScalarAbove, self.counter_by(id, way)),
            Face::Array { .. } => {
                let node = self.tree.node(id);
                let shells = self.visible(id, &way.winners).map(|(_, value)| value);
                let shells = shells.filter(|value| !value.body.is_scalar());
                let shells = shells.map(|value| By::value(key.clone(), value));
                let marks = node.marks().iter().map(|mark| By {
                    key: key.clone(),
                    kind: ByKind::Mark,
                    write: WriteId::of_mark(mark),
                });
                let latest = shells.chain(marks).max_by_key(|by| by.write.stamp());
                Hidden::new(Why::ArrayAbove, latest)
            }
            Face::Object | Face::Nothing => Hidden::new(Why::Lost, None),
        }
    }

    /// The latest of the number and the increments of the counter at a node.
    fn counter_by(&self, id: NodeId, way: &Trace<'_>) -> Option<By> {
        let node = self.tree.node(id);
        let key = || way.key(usize::from(node.depth));
        let number = self.scalar(id, &way.winners).filter(|value| scalar_number(value).is_some());
        let parts = node.parts().iter().map(|part| By {
            key: key(),
            kind: ByKind::Increments,
            write: WriteId::of_part(part),
        });
        let all = parts.chain(number.map(|value| By::value(key(), value)));
        all.max_by_key(|by| by.write.stamp())
    }

    /// The shell or mark at a node, or the visible thing below it, that has this stamp.
    fn find(&self, id: NodeId, winners: &mut Winners, stamp: Stamp) -> Option<By> {
        let shell = |value: &Value| !value.body.is_scalar();
        self.find_at(id, winners, stamp, shell).or_else(|| self.find_below(id, winners, stamp))
    }

    fn find_below(&self, id: NodeId, winners: &mut Winners, stamp: Stamp) -> Option<By> {
        self.tree.children(id).find_map(|child| {
            winners.push(self.winner(child));
            let node = self.tree.node(child);
            let part = || node.parts().iter().find(|part| part.stamp() == stamp);
            let found = self
                .find_at(child, winners, stamp, |_| true)
                .or_else(|| {
                    part().map(|part| By {
                        key: self.dotted(child),
                        kind: ByKind::Increments,
                        write: WriteId::of_part(part),
                    })
                })
                .or_else(|| self.find_below(child, winners, stamp));
            winners.pop();
            found
        })
    }

    fn find_at(
        &self,
        id: NodeId,
        winners: &Winners,
        stamp: Stamp,
        takes: impl Fn(&Value) -> bool,
    ) -> Option<By> {
        let mut values = self.visible(id, winners).map(|(_, value)| value);
        let value = values.find(|value| value.stamp() == stamp && takes(value));
        if let Some(value) = value {
            return Some(By::value(self.dotted(id), value));
        }
        let mark = self.tree.node(id).marks().iter().find(|mark| mark.stamp() == stamp)?;
        let write = WriteId::of_mark(mark);
        Some(By { key: self.dotted(id), kind: ByKind::Mark, write })
    }

    /// How many names down the way a value reaches, and what it is there.
    fn what_of(&self, id: NodeId, value: &Value, below: &[&str], way: &Trace<'_>) -> (usize, What) {
        let mut reach = 0;
        let (json, length) = match &value.body {
            Body::Scalar(text) => (quote(text), None),
            Body::Whole(text) => {
                let mut inner: &str = text;
                while let Some(next) =
                    below.get(reach..=reach).and_then(|name| json::at(inner, name))
                {
                    inner = next;
                    reach += 1;
                }
                let length = match json::level(inner) {
                    Level::Array(elements) => Some(elements.len() as u32),
                    Level::Object(_) | Level::Scalar => None,
                };
                (quote(inner), length)
            }
            Body::Object => (self.put_together(id, value), None),
            Body::Array(length) => (self.put_together(id, value), Some(*length)),
        };
        let shape = match json::kind(&json) {
            json::Kind::Scalar => Shape::Scalar,
            json::Kind::Object => Shape::Object,
            json::Kind::Array => Shape::Array,
        };
        (reach, What::Set { set_at: way.key(value.at.into()), shape, length, json })
    }

    /// The text of a value that was split.
    fn put_together(&self, id: NodeId, value: &Value) -> String {
        let mut out = String::new();
        let mut children_left = CHILDREN_MAX;
        self.push_pieces(id, value, &mut out, &mut children_left);
        if children_left == 0 {
            out.push('…');
        }
        quote(&out)
    }

    /// Appends what is left of a value at and below a node, or at least as much as is quoted.
    fn push_pieces(&self, id: NodeId, value: &Value, out: &mut String, children_left: &mut usize) {
        let piece = |child: NodeId| {
            self.tree.node(child).values.iter().find(|piece| piece.same_write(value))
        };
        match &value.body {
            Body::Scalar(text) | Body::Whole(text) => out.push_str(&quote(text)),
            Body::Object => {
                let mut separator = '{';
                for (name, child) in self.tree.named_children(id) {
                    if out.len() >= JSON_BYTES_ENOUGH || *children_left == 0 {
                        return;
                    }
                    *children_left -= 1;
                    let Some(piece) = piece(child) else { continue };
                    out.push(std::mem::replace(&mut separator, ','));
                    json::push_string(name, out);
                    out.push(':');
                    self.push_pieces(child, piece, out, children_left);
                }
                out.push_str(if separator == '{' { "{}" } else { "}" });
            }
            Body::Array(length) => {
                out.push('[');
                for index in 0..*length {
                    if out.len() >= JSON_BYTES_ENOUGH || *children_left == 0 {
                        return;
                    }
                    if index > 0 {
                        out.push(',');
                    }
                    let child = self.tree.child(id, &index.to_string());
                    match child.and_then(|child| Some((child, piece(child)?))) {
                        Some((child, piece)) => self.push_pieces(child, piece, out, children_left),
                        None => out.push_str("null"),
                    }
                }
                out.push(']');
            }
        }
    }

    fn dotted(&self, id: NodeId) -> String {
        self.tree.path(id).join(".")
    }
}

/// The nodes from the root down to where a path leads, as far as there are any.
struct Trace<'a> {
    path: &'a [&'a str],
    /// `nodes[0]` has depth 1.
    nodes: Vec<NodeId>,
    winners: Winners,
    /// What keeps readers from the nodes that follow.
    closed: Option<Hidden>,
}

impl Trace<'_> {
    fn last(&self) -> NodeId {
        self.nodes.last().copied().unwrap_or(ROOT)
    }

    fn key(&self, depth: usize) -> String {
        self.path[..depth].join(".")
    }

    fn wins(&self, depth: usize, value: &Value) -> bool {
        self.winners.get(depth).copied().flatten() == Some(value.stamp())
    }
}

/// What competes at a path: see "What is shown" in `docs/replication.md`.
#[derive(Clone, Copy, PartialEq)]
enum Candidate {
    Scalar,
    Counter,
    Container,
}

struct Verdict {
    shown: Option<Candidate>,
    /// Why the other candidates are not.
    hides: Hidden,
    /// The visible scalar with the latest stamp, and which candidate it belongs to.
    scalar: Option<By>,
    scalar_is: Candidate,
}

impl Verdict {
    fn against(&self, candidate: Candidate) -> Option<Hidden> {
        (self.shown != Some(candidate)).then(|| self.hides.clone())
    }
}

fn quote(json: &str) -> String {
    match json.char_indices().nth(JSON_CHARS_MAX) {
        None => json.to_owned(),
        Some((end, _)) => format!("{}…", &json[..end]),
    }
}

fn hexadecimal<S: Serializer>(replica: &ReplicaId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(replica)
}

impl From<Shown> for ShownKind {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Nothing => ShownKind::Nothing,
            Shown::Number(_) => ShownKind::Number,
            Shown::OtherScalar => ShownKind::Value,
            Shown::Hole => ShownKind::Hole,
            Shown::Object => ShownKind::Object,
            Shown::Array(_) => ShownKind::Array,
        }
    }
}

impl WriteId {
    fn new(dot: Dot, hlc: u64, rank: Rank) -> Self {
        let (ms, tick, rank) = (hlc >> 16, hlc as u16, rank.or_of(dot.replica));
        WriteId { replica: dot.replica, counter: dot.counter, ms, tick, rank }
    }

    fn of_value(value: &Value) -> Self {
        WriteId::new(value.dot, value.hlc, value.rank)
    }

    fn of_mark(mark: &Mark) -> Self {
        WriteId::new(mark.dot, mark.hlc, mark.rank)
    }

    fn of_part(part: &Part) -> Self {
        WriteId::new(Dot::new(part.replica, part.high), part.hlc, part.rank)
    }

    pub fn dot(&self) -> Dot {
        Dot::new(self.replica, self.counter)
    }

    pub fn hlc(&self) -> u64 {
        self.ms << 16 | u64::from(self.tick)
    }

    /// Orders writes.
    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.hlc(), self.rank, self.replica)
    }
}

impl Hidden {
    fn new(why: Why, by: Option<By>) -> Self {
        match by {
            Some(by) => Hidden { why, by: Some(by) },
            None => Hidden { why: Why::Lost, by: None },
        }
    }
}

impl By {
    fn value(key: String, value: &Value) -> Self {
        By { key, kind: ByKind::Set, write: WriteId::of_value(value) }
    }
}

impl From<&super::things::Cut> for KeptCut {
    fn from(cut: &super::things::Cut) -> Self {
        KeptCut {
            replica: cut.replica,
            counter: cut.counter,
            amount: cut.total.to_f64(),
            by_replica: cut.by.replica,
            by_counter: cut.by.counter,
        }
    }
}
