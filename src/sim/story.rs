//! The story of one path, told when a run has failed: what was written there, how each node came to
//! hold it, and what each makes of it.
//!
//! A run is the same every time, so what costs time is noted only when it is played again. Nothing
//! that is asked meanwhile changes an engine: what is wrong goes wrong once more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::cluster::Cluster;
use super::model::{Fate, Kind, Model, Op, Put};
use crate::engine::document::explain::{By, ByKind, Explanation, Thing, What, Why, WriteId};
use crate::engine::document::path::PathKey;
use crate::engine::document::things::Fingerprint;
use crate::engine::document::BodyState;
use crate::engine::id::Rank;
use crate::engine::wire::message::{self, FeedEnd, FeedHead, FeedItem, Vector};
use crate::engine::{Dot, Engine, Input, LinkId, ReplicaId};

const NOTHING_WRONG: &str =
    "  nothing: all hold what they must. It is another question what is shown
  of it, or what stands above and below it.
";

/// What is noted while a run is played again.
pub struct Story {
    path: Vec<String>,
    events: Vec<Event>,
    /// Of each node: the writes on the path that it has got, and how.
    held: Vec<BTreeMap<usize, String>>,
    /// The replicas that nodes were, in order.
    replicas: Vec<Vec<ReplicaId>>,
    /// What the node that is busy now reacts to.
    cause: String,
    /// Of each link: the last key of the feed on it, as keys are sent by their differences.
    last_keys: BTreeMap<LinkId, Vec<u8>>,
}

#[derive(PartialEq)]
struct Event {
    time: u64,
    node: usize,
    text: String,
}

impl Story {
    pub fn of(path: Vec<String>, nodes: usize) -> Self {
        Story {
            path,
            events: Vec::new(),
            held: vec![BTreeMap::new(); nodes],
            replicas: vec![Vec::new(); nodes],
            cause: String::new(),
            last_keys: BTreeMap::new(),
        }
    }

    pub fn started(&mut self, time: u64, node: usize) {
        self.held[node].clear();
        self.add(time, node, "starts");
    }

    pub fn stopped(&mut self, time: u64, node: usize) {
        self.add(time, node, "is gone");
    }

    pub fn expect_timeout(&mut self) {
        self.cause = "a deadline".into();
    }

    /// What a node gets next, and from whom.
    pub fn expect(
        &mut self,
        time: u64,
        node: usize,
        input: &Input,
        from: Option<usize>,
        model: &Model,
    ) {
        let Input::Received { link, message } = input else {
            self.cause = format!("{input:?}");
            return;
        };
        let from = from.map_or("a link now gone".into(), |node| format!("n{node}"));
        self.cause = match message::Kind::of(message) {
            Some(message::Kind::Feed) => {
                for text in self.read_feed(*link, message, model) {
                    self.add(time, node, format!("is told by a feed from {from}: {text}"));
                }
                format!("a feed from {from}")
            }
            Some(message::Kind::FeedEnd) => {
                let full = message::decode::<FeedEnd>(message).is_ok_and(|end| end.full);
                let what = if full { "full feed" } else { "feed" };
                format!("the end of a {what} from {from}")
            }
            Some(kind) => format!("{kind:?} from {from}"),
            None => format!("a message from {from}"),
        };
    }

    /// Which writes a node has come to hold.
    pub fn note(&mut self, time: u64, node: usize, engine: &Engine, model: &Model) {
        let id = engine.id();
        if self.replicas[node].last() != Some(&id) {
            self.replicas[node].push(id);
            self.held[node].clear();
            self.add(time, node, format!("is replica {} ({id})", self.name(id)));
        }
        let (mut made, mut got) = (Vec::new(), Vec::new());
        for (index, op) in related(model, &self.path) {
            if engine.knows(op.dot) && !self.held[node].contains_key(&index) {
                let own = op.dot.replica == id;
                if own { &mut made } else { &mut got }.push(index);
            }
        }
        let by = format!(" by {}", self.cause);
        for (what, indexes, by) in [("makes", made, ""), ("gets", got, &by)] {
            for &index in &indexes {
                self.held[node].insert(index, format!("{what} at {time}{by}"));
            }
            if !indexes.is_empty() {
                self.add(time, node, format!("{what} {}{by}", Numbers(&indexes)));
            }
        }
    }

    fn add(&mut self, time: u64, node: usize, text: impl Into<String>) {
        let event = Event { time, node, text: text.into() };
        if self.events.last() != Some(&event) {
            self.events.push(event);
        }
    }

    /// What a part of a feed tells of the path.
    fn read_feed(&mut self, link: LinkId, message: &[u8], model: &Model) -> Vec<String> {
        let mut told = Vec::new();
        let path = PathKey::new(&self.path);
        let is_related = |key: &PathKey| key.starts_with(&path) || path.starts_with(key);
        let mut last_key = self.last_keys.remove(&link).unwrap_or_default();
        let Ok((head, mut rest)) = message::decode_head::<FeedHead>(message) else { return told };
        if head.number == 0 {
            last_key.clear();
        }
        while let Ok((item, after)) = message::decode_item::<FeedItem<'_>>(rest) {
            rest = after;
            if let Some((shared, key)) = item.path() {
                last_key.truncate(shared);
                last_key.extend_from_slice(key);
            }
            let key = match &item {
                FeedItem::Removal { key, .. } | FeedItem::Cut { key, .. } => key,
                FeedItem::State { .. } | FeedItem::Kept { .. } => &*last_key,
            };
            let key = PathKey::from_bytes(key);
            if let Some(key) = key.filter(is_related) {
                told.push(self.describe_item(&key, item, model));
            }
        }
        self.last_keys.insert(link, last_key);
        told
    }

    fn describe_item(&self, key: &PathKey, item: FeedItem<'_>, model: &Model) -> String {
        let key = key.segments().join(".");
        match item {
            FeedItem::State { values, marks, parts, .. } => {
                let values = values.iter().map(|value| {
                    let what = match &value.body {
                        BodyState::Text(text) => text.to_string(),
                        BodyState::Object => "an object, split".into(),
                        BodyState::Array(length) => format!("an array of {length}, split"),
                    };
                    format!("{what} by {}", self.write(value.dot, value.hlc, model))
                });
                let marks = marks
                    .iter()
                    .map(|mark| format!("a mark by {}", self.write(mark.dot, mark.hlc, model)));
                let parts = parts.iter().map(|part| {
                    let last = Dot::new(part.replica, part.high);
                    let last = self.write(last, part.hlc, model);
                    format!("{} by increments, the last {last}", part.sum().to_f64())
                });
                let all: Vec<String> = values.chain(marks).chain(parts).collect();
                format!("at {key:?} stands {}", all.join("; "))
            }
            FeedItem::Kept { kept, .. } => {
                let left: Vec<usize> = related(model, &self.path)
                    .filter(|(_, op)| is_told(&kept.things, op))
                    .map(|(index, _)| index)
                    .collect();
                let left = Numbers(&left);
                format!("at {key:?}, of what is known, is left what was made by {left}")
            }
            FeedItem::Removal { below, seen, .. } => {
                let place = if below { "at and below" } else { "at" };
                let covered: Vec<usize> = related(model, &self.path)
                    .filter(|(_, op)| covers(&seen, op.dot))
                    .map(|(index, _)| index)
                    .collect();
                format!("{place} {key:?} is gone what was made by {}", Numbers(&covered))
            }
            FeedItem::Cut { cut, .. } => {
                let last = Dot::new(cut.replica, cut.counter);
                let (by, last) = (self.write(cut.by, 0, model), self.write(last, 0, model));
                format!("at {key:?} {by} has removed the increments up to {last}")
            }
        }
    }

    /// `n2` for what node 2 was first, `n2'` for what it was next.
    fn name(&self, replica: ReplicaId) -> String {
        for (node, lives) in self.replicas.iter().enumerate() {
            if let Some(life) = lives.iter().position(|id| *id == replica) {
                return format!("n{node}{}", "'".repeat(life));
            }
        }
        format!("{replica:?}")
    }

    /// A write by its number, if it is one that was made; folds are not.
    fn write(&self, dot: Dot, hlc: u64, model: &Model) -> String {
        let writer = self.name(dot.replica);
        match find(model, &self.path, dot, hlc) {
            Some(index) if model.ops()[index].dot == dot => format!("#{index} of {writer}"),
            Some(index) => format!("#{index}, now of {writer}"),
            None => format!("write {} of {writer}", dot.counter),
        }
    }
}

/// The story of a path, at the end of the second run.
pub fn tell(cluster: &mut Cluster) -> String {
    let Some(mut story) = cluster.story.take() else { return String::new() };
    story.cause = "the end".into();
    for node in cluster.live() {
        if let Some(life) = &cluster.nodes[node].life {
            story.note(cluster.now, node, &life.engine, &cluster.model);
        }
    }
    let live = cluster.live();
    let segments: Vec<&str> = story.path.iter().map(String::as_str).collect();
    let explanations: Vec<(usize, Explanation)> =
        live.iter().map(|&node| (node, cluster.engine(node).explain(&segments))).collect();
    let telling = Telling { story: &story, cluster, explanations };
    telling.to_string()
}

/// Displays as the story.
struct Telling<'a> {
    story: &'a Story,
    cluster: &'a Cluster,
    /// Of each live node.
    explanations: Vec<(usize, Explanation)>,
}

impl fmt::Display for Telling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the story of {:?}; times in ms, #n is a write", self.story.path)?;
        let model = &self.cluster.model;
        let fates = model.fates(&self.story.path);

        writeln!(f, "\nwhat is wrong at the path, beside the model")?;
        let mut wrong = String::new();
        for (node, explanation) in &self.explanations {
            self.compare(*node, explanation, &fates, &mut wrong)?;
        }
        if wrong.is_empty() {
            wrong.push_str(NOTHING_WRONG);
        }
        f.write_str(&wrong)?;

        writeln!(f, "\nwhat was written at, above and below it")?;
        for (index, op) in related(model, &self.story.path) {
            self.tell_write(index, op, f)?;
        }

        writeln!(f, "\nwhat this has put at the path, by the model")?;
        for Fate { op, put, removed_by } in &fates {
            write!(f, "  #{op:<4} {put}")?;
            match removed_by.as_slice() {
                [] => writeln!(f)?,
                [first, .., last] => writeln!(f, "; removed by #{first} first, #{last} last")?,
                [only] => writeln!(f, "; removed by #{only}")?,
            }
        }

        for node in 0..self.cluster.nodes.len() {
            writeln!(f, "\nn{node}")?;
            for event in self.story.events.iter().filter(|event| event.node == node) {
                writeln!(f, "  {:>6}  {}", event.time, event.text)?;
            }
            if let Some((_, told)) = self.explanations.iter().find(|(at, _)| *at == node) {
                self.tell_explanation(node, told, f)?;
            }
        }
        Ok(())
    }
}

impl Telling<'_> {
    fn tell_write(&self, index: usize, op: &Op, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = op.path.join(".");
        let what = match &op.kind {
            Kind::Set(json) => format!("SET {path:?} = {json}"),
            Kind::Increment(by) => format!("INCREMENT {path:?} by {by}"),
            Kind::Delete => format!("DELETE {path:?}"),
        };
        let time = self.cluster.journal.get(index).map_or(0, |&(time, _)| time);
        let writer = self.story.name(op.dot.replica);
        let (ms, tick) = (op.hlc >> 16, op.hlc & 0xffff);
        write!(f, "  #{index:<4} {time:>6}  {writer:<4} {what}; stamp {ms}+{tick}")?;
        let unseen: Vec<usize> = related(&self.cluster.model, &self.story.path)
            .filter(|(at, other)| *at < index && !op.seen.covers(other.dot))
            .map(|(at, _)| at)
            .collect();
        match unseen.as_slice() {
            [] => writeln!(f),
            unseen => writeln!(f, "; had not seen {}", Numbers(unseen)),
        }
    }

    /// What a node holds at the path and should not, or should hold and does not.
    fn compare(
        &self,
        node: usize,
        explanation: &Explanation,
        fates: &[Fate],
        out: &mut String,
    ) -> fmt::Result {
        if explanation.left_out > 0 {
            return writeln!(out, "  n{node} has too much there to compare");
        }
        let held = &self.story.held[node];
        let (mut has, mut amounts) = (Vec::new(), BTreeMap::<_, f64>::new());
        let mut settled = false;
        let here = |thing: &&Thing| explanation.key.as_ref() == Some(&thing.key);
        for thing in explanation.things.iter().filter(here) {
            let (dot, hlc) = (thing.write.dot(), thing.write.hlc());
            let op = find(&self.cluster.model, &self.story.path, dot, hlc);
            match thing.what {
                What::Set { .. } => has.push((op, true)),
                What::Mark { .. } => has.push((op, false)),
                What::Increments { amount, settled: dead, .. } => {
                    *amounts.entry(dot.replica).or_default() += amount;
                    settled |= dead;
                }
            }
            self.check_order(node, thing, out)?;
        }
        let mut expected = BTreeMap::<_, f64>::new();
        for Fate { op, put, removed_by } in fates {
            let removers: Vec<usize> =
                removed_by.iter().copied().filter(|op| held.contains_key(op)).collect();
            let alive = held.contains_key(op) && removers.is_empty();
            if let Put::Increment(by) = put {
                let writer = self.cluster.model.ops()[*op].dot.replica;
                *expected.entry(writer).or_default() += if alive { *by } else { 0.0 };
                continue;
            }
            let is_value = matches!(put, Put::Value(_));
            match (alive, has.contains(&(Some(*op), is_value))) {
                (false, true) => {
                    writeln!(out, "  n{node} has {put} by #{op}, which should be gone: it holds")?;
                    for remover in removers {
                        writeln!(out, "      #{remover}, which it {}", held[&remover])?;
                    }
                }
                (true, false) => {
                    writeln!(out, "  n{node} lacks {put} by #{op}, which it {}", held[op])?;
                }
                _ => {}
            }
        }
        if settled {
            // Whose they were, nobody knows any more.
            let all = |amounts: BTreeMap<ReplicaId, f64>| {
                BTreeMap::from([(ReplicaId(0), amounts.into_values().sum())])
            };
            (amounts, expected) = (all(amounts), all(expected));
        }
        for &replica in amounts.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
            let of = |amounts: &BTreeMap<_, f64>| amounts.get(&replica).copied().unwrap_or(0.0);
            if of(&amounts) != of(&expected) {
                let whose = if settled { "all".into() } else { self.story.name(replica) };
                let (wrong, right) = (of(&amounts), of(&expected));
                writeln!(out, "  n{node} has {wrong} by increments of {whose}, not {right}:")?;
                self.tell_increments(node, fates, (!settled).then_some(replica), out)?;
            }
        }
        Ok(())
    }

    /// What a node should make of the increments that it holds.
    fn tell_increments(
        &self,
        node: usize,
        fates: &[Fate],
        of: Option<ReplicaId>,
        out: &mut String,
    ) -> fmt::Result {
        let held = &self.story.held[node];
        for Fate { op, put, removed_by } in fates {
            let Put::Increment(by) = put else { continue };
            let writer = self.cluster.model.ops()[*op].dot.replica;
            let Some(how) = held.get(op).filter(|_| of.is_none_or(|of| of == writer)) else {
                continue;
            };
            write!(out, "      #{op} by {by}, which it {how}")?;
            match removed_by.iter().find_map(|op| Some((op, held.get(op)?))) {
                None => writeln!(out, ", counts")?,
                Some((remover, how)) => {
                    writeln!(out, ", is removed by #{remover}, which it {how}")?;
                }
            }
        }
        Ok(())
    }

    /// What hides something by being later must be.
    fn check_order(&self, node: usize, thing: &Thing, out: &mut String) -> fmt::Result {
        let Some(hidden) = &thing.hidden else { return Ok(()) };
        let later = !matches!(hidden.why, Why::ScalarAbove | Why::ArrayAbove);
        match &hidden.by {
            Some(by) if !later || by.write.stamp() >= thing.write.stamp() => Ok(()),
            Some(by) => {
                let (this, that) = (self.name_write(&thing.write), self.name_write(&by.write));
                writeln!(out, "  n{node} hides {this} behind {that}, which is earlier")
            }
            None => {
                let this = self.name_write(&thing.write);
                writeln!(out, "  n{node} cannot show {this}: what should lead to it is missing")
            }
        }
    }

    fn tell_explanation(
        &self,
        node: usize,
        told: &Explanation,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let shown = told.json.clone().unwrap_or(format!("{:?}", told.shown).to_lowercase());
        writeln!(f, "  now it shows {shown}")?;
        for thing in &told.things {
            write!(
                f,
                "    {}{}",
                if thing.shown { "shown " } else { "hidden " },
                NamedThing(thing)
            )?;
            write!(f, ", {}", self.name_write(&thing.write))?;
            if let Some(hidden) = &thing.hidden {
                write!(f, ": {}", because(hidden.why))?;
                if let Some(by) = &hidden.by {
                    let write = self.name_write(&by.write);
                    write!(f, ", the {} at {:?}, {write}", name_by(by), by.key)?;
                }
            }
            writeln!(f)?;
        }
        for cut in &told.cuts {
            let owner = self.story.name(cut.replica);
            let by = Dot::new(cut.by_replica, cut.by_counter);
            let last = Dot::new(cut.replica, cut.counter);
            let [by, last] = [by, last].map(|dot| self.story.write(dot, 0, &self.cluster.model));
            let amount = cut.amount;
            writeln!(f, "    cut {amount} by increments of {owner} up to {last}, removed by {by}")?;
        }
        if told.left_out > 0 {
            writeln!(f, "    and {} more", told.left_out)?;
        }
        let context = self.cluster.nodes[node].life.as_ref().map(|life| life.engine.context());
        f.write_str("    it covers")?;
        for (replica, counter) in context.into_iter().flat_map(|context| context.iter()) {
            write!(f, " {}:{counter}", self.story.name(replica))?;
        }
        writeln!(f)?;
        let held = &self.story.held[node];
        let lacks: Vec<usize> = related(&self.cluster.model, &self.story.path)
            .map(|(index, _)| index)
            .filter(|index| !held.contains_key(index))
            .collect();
        if !lacks.is_empty() {
            writeln!(f, "    it has not got {}", Numbers(&lacks))?;
        }
        Ok(())
    }

    fn name_write(&self, write: &WriteId) -> String {
        let name = self.story.write(write.dot(), write.hlc(), &self.cluster.model);
        format!("{name}, stamp {}+{}", write.ms, write.tick)
    }
}

struct Numbers<'a>(&'a [usize]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no write");
        }
        for (at, index) in self.0.iter().enumerate() {
            write!(f, "{}#{index}", if at > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

struct NamedThing<'a>(&'a Thing);

impl fmt::Display for NamedThing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.0.key;
        match &self.0.what {
            What::Set { set_at, json, .. } if set_at == key => write!(f, "{json} SET at {key:?}"),
            What::Set { set_at, json, .. } => {
                write!(f, "{json} at {key:?}, a piece of what was SET at {set_at:?}")
            }
            What::Increments { amount, settled, removed_to } => {
                let whose = if *settled { " of dead replicas" } else { "" };
                write!(f, "{amount} by increments{whose} at {key:?}")?;
                removed_to.map_or(Ok(()), |to| write!(f, " (those up to write {to} removed)"))
            }
            What::Mark { length: Some(length), .. } => write!(f, "array mark {length} at {key:?}"),
            What::Mark { length: None, .. } => write!(f, "object mark at {key:?}"),
        }
    }
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Put::Value(what) => f.write_str(what),
            Put::Mark(what) => write!(f, "the mark of {what}"),
            Put::Increment(by) => write!(f, "an increment of {by}"),
        }
    }
}

fn name_by(by: &By) -> &'static str {
    match by.kind {
        ByKind::Set => "SET value",
        ByKind::Increments => "increments",
        ByKind::Mark => "mark",
    }
}

fn because(why: Why) -> &'static str {
    match why {
        Why::LaterSet => "of the SETs there another is later",
        Why::LaterValue => "another value here is later",
        Why::LaterCounter => "the counter here is later",
        Why::LaterContainer => "the object or array here is later",
        Why::ScalarAbove => "a scalar is shown above",
        Why::ArrayAbove => "an array is shown above, of which this is no element",
        Why::Lost => "WHAT SHOULD LEAD TO IT IS MISSING",
    }
}

/// The writes at, above and below a path.
fn related<'a>(model: &'a Model, path: &'a [String]) -> impl Iterator<Item = (usize, &'a Op)> + 'a {
    let is_related = |op: &Op| op.path.starts_with(path) || path.starts_with(&op.path);
    model.ops().iter().enumerate().filter(move |(_, op)| is_related(op))
}

/// The write that a dot names: what was folded has another one and is known by its clock.
fn find(model: &Model, path: &[String], dot: Dot, hlc: u64) -> Option<usize> {
    let named = model.ops().iter().position(|op| op.dot == dot);
    named.or_else(|| related(model, path).find(|(_, op)| op.hlc == hlc).map(|(index, _)| index))
}

/// Whether something that a write has made is among these.
fn is_told(things: &[Fingerprint], op: &Op) -> bool {
    let (hlc, rank) = (op.hlc, Rank::of(op.dot.replica));
    let at = op.path.len() as u8;
    let text_or_shell = [Fingerprint::of_text(hlc, rank, at), Fingerprint::of_shell(hlc, rank, at)];
    things.contains(&Fingerprint::of_mark(hlc, rank))
        || text_or_shell.iter().any(|value| things.contains(value))
}

fn covers(vector: &Vector, dot: Dot) -> bool {
    vector.iter().any(|&(replica, counter)| replica == dot.replica && dot.counter <= counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So whatever else it says is a defect.
    #[test]
    fn of_a_run_that_passes_the_story_finds_nothing_wrong() {
        for seed in 0..40 {
            let mut cluster = Cluster::new(seed, &Default::default());
            super::super::play(&mut cluster).unwrap();
            let ops = cluster.model.ops();
            let path = ops[ops.len() * seed as usize / 40].path.clone();
            let story = super::super::tell(seed, &Default::default(), path);
            assert!(story.contains(NOTHING_WRONG), "seed {seed}: {story}");
            assert!(story.ends_with("ended like this: it passed"), "seed {seed}: {story}");
        }
    }
}
