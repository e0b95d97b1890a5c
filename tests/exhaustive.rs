//! Model-checked small: every interleaving of a few writes on three nodes, real engines against the
//! reference model.
//!
//! A **history** is a list of writes: who made which, having seen which of the earlier ones. For
//! each history every node is brought into every state that deliveries can bring it into: a
//! delivery is one write, as soon as all that it had seen is there, or a whole feed from another
//! node in any of *its* states. A merge may be cut short before every step, and a node may be read
//! in between. What a node does depends on nothing but its own state and what comes to it, so
//! states are kept for each node; any three of them that belong to one history are a state of the
//! cluster.
//!
//! In each state the node must show what `sim::model` makes of the writes it holds, and nodes that
//! hold the same writes must have the same hash; so when all have everything, all are the same.
//!
//! States are told apart by the writes held, by all that the document keeps, and by what has still
//! to be merged; where feeds send what has changed, and not everything, also by what there is to
//! tell and in which order. Later writes have later stamps; as concurrent writes are made in either
//! order, nothing is left out by that. Nodes are alike, so the first write is node 0's, and the
//! first of another node node 1's.

mod direct;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use bytes::Bytes;
use collective_io::engine::wire::message::Kind as Message;
use collective_io::engine::{Config, Engine, Now, Write};
use collective_io::sim::model::{comparable, Kind, Model, Op, Seen};
use direct::{is, link, linked, merges, now, receive, sent};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// States come and go by the million.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NODES: usize = 3;

/// What an application can do.
#[derive(Clone, Copy, Debug)]
struct Act {
    path: &'static [&'static str],
    does: Does,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Set(&'static str),
    Increment,
    Delete,
}

const P: &[&str] = &["p"];
const PA: &[&str] = &["p", "a"];
const PAB: &[&str] = &["p", "a", "b"];
const SCALAR: Does = Does::Set("\"x\"");
const OBJECT: Does = Does::Set(r#"{"a":{"b":1}}"#);

fn all_acts() -> Vec<Act> {
    let does = [SCALAR, OBJECT, Does::Increment, Does::Delete];
    [P, PA, PAB].iter().flat_map(|&path| does.map(|does| Act { path, does })).collect()
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.join(".");
        match self.does {
            Does::Set(json) => write!(f, "SET {path} {json}"),
            Does::Increment => write!(f, "INCREMENT {path}"),
            Does::Delete => write!(f, "DELETE {path}"),
        }
    }
}

/// At each path what is most its own.
fn few_acts() -> Vec<Act> {
    let at = |path, does| Act { path, does };
    vec![
        at(P, OBJECT),
        at(P, Does::Delete),
        at(PA, SCALAR),
        at(PA, Does::Increment),
        at(PA, Does::Delete),
        at(PAB, Does::Increment),
    ]
}

/// What feeds send.
#[derive(Clone, Copy, PartialEq)]
enum Feeds {
    Everything,
    /// What has changed since the asker's vector, as near as can be.
    Changes,
    /// The same, and hardly any removal is remembered: many feeds send everything after all.
    ChangesForgetful,
}

/// Merges of many steps.
fn config(feeds: Feeds) -> Config {
    let look_back_changes = if feeds == Feeds::Everything { 0 } else { 1_000 };
    let removals_max = if feeds == Feeds::ChangesForgetful { 1 } else { 1_000 };
    let checkpoint_changes = 1;
    Config {
        merge_paths: 1,
        look_back_changes,
        removals_max,
        checkpoint_changes,
        ..Config::default()
    }
}

/// What runs in `cargo test`, and the same looked at more closely.
mod short {
    use super::*;

    #[test]
    fn three_writes_of_few_kinds() {
        explore("three writes of few kinds", &few_acts(), 3, Feeds::Everything)
            .assert_above(10_000);
    }

    #[test]
    fn two_writes_of_any_kind_and_deltas() {
        explore("two writes of any kind, deltas", &all_acts(), 2, Feeds::Changes)
            .assert_above(1_000);
    }
}

mod long {
    use super::*;

    #[test]
    #[ignore = "npm run exhaustive"]
    fn three_writes_of_any_kind() {
        explore("three writes of any kind", &all_acts(), 3, Feeds::Everything)
            .assert_above(100_000);
    }

    #[test]
    #[ignore = "npm run exhaustive"]
    fn three_writes_of_few_kinds_and_deltas() {
        let name = "three writes of few kinds, deltas";
        explore(name, &few_acts(), 3, Feeds::Changes).assert_above(10_000);
        let name = "three writes of few kinds, deltas, few removals remembered";
        explore(name, &few_acts(), 3, Feeds::ChangesForgetful).assert_above(10_000);
    }
}

/// What takes hours.
mod whole {
    use super::*;

    #[test]
    #[ignore = "takes long: npm run exhaustive"]
    fn four_writes_of_any_kind() {
        explore("four writes of any kind", &all_acts(), 4, Feeds::Everything)
            .assert_above(10_000_000);
    }

    #[test]
    #[ignore = "takes long: npm run exhaustive"]
    fn three_writes_of_any_kind_and_deltas() {
        explore("three writes of any kind, deltas", &all_acts(), 3, Feeds::Changes)
            .assert_above(100_000);
    }
}

/// What was looked at.
#[derive(Debug, Default)]
struct Tally {
    histories: u64,
    /// Of the cluster: for each history, who holds what.
    states: u64,
    /// Of single nodes, told apart by what their documents keep.
    node_states: u64,
    /// Writes and deliveries carried out by an engine.
    steps: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.histories += other.histories;
        self.states += other.states;
        self.node_states += other.node_states;
        self.steps += other.steps;
    }

    fn assert_above(&self, states: u64) {
        let in_parts = std::env::var_os("EXHAUSTIVE_FIRST").is_some();
        assert!(in_parts || self.states > states, "only {} states", self.states);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { histories, states, node_states, steps } = self;
        write!(
            f,
            "{states} states of {histories} histories ({node_states} states of single nodes, \
             {steps} steps of an engine)"
        )
    }
}

/// Tells of each first write as its histories are done, and in the end of all.
fn explore(name: &str, acts: &[Act], depth: usize, feeds: Feeds) -> Tally {
    let start = std::time::Instant::now();
    let engines = linked(&config(feeds));
    let tally = Mutex::new(Tally::default());
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(acts.len());
    println!("{name}");
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let empty = Position::new(feeds, &engines);
                while let Some(&first) = acts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !is_wanted(first) {
                        continue;
                    }
                    let mut explorer = Explorer { acts, depth, feeds, tally: Tally::default() };
                    explorer.act(&empty, 0, first);
                    println!("  from {first}: {}", explorer.tally);
                    tally.lock().unwrap().add(&explorer.tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{name}: {tally} in {:.1} s", start.elapsed().as_secs_f64());
    tally
}

/// `EXHAUSTIVE_FIRST`: only histories that begin with a write of this name, as they are told.
fn is_wanted(first: Act) -> bool {
    std::env::var("EXHAUSTIVE_FIRST").map_or(true, |name| first.to_string() == name)
}

/// Sets of writes, as bits.
type Writes = u8;

fn bit(write: usize) -> Writes {
    1 << write
}

/// A history, and all states that its nodes can be in.
struct Position {
    writes: Vec<Made>,
    model: Model,
    states: [Vec<Rc<State>>; NODES],
}

/// A write of the history.
#[derive(Clone)]
struct Made {
    node: usize,
    seen: Writes,
    message: Bytes,
}

#[derive(Clone)]
struct State {
    engine: Engine,
    holds: Writes,
    /// It gives nothing and asks for nothing.
    merges: bool,
    key: Key,
    came: Story,
}

/// What tells states of a node apart: what an engine says of itself, hashed.
type Key = (Writes, bool, u128);

impl State {
    fn new(feeds: Feeds, engine: Engine, holds: Writes, came: Story) -> Self {
        let merges = merges(&engine);
        let mut told = String::with_capacity(1 << 10);
        engine.describe_state(&mut told);
        if feeds != Feeds::Everything {
            engine.describe_changes(&mut told);
        }
        State { key: (holds, merges, xxh3_128(told.as_bytes())), merges, engine, holds, came }
    }
}

/// How a state came to be, for reports: what happened last, and the story before.
#[derive(Clone, Default)]
struct Story(Option<Rc<(Event, Story)>>);

enum Event {
    Writes(usize, usize, Act),
    Gets(usize, usize),
    IsFed { node: usize, by: usize, which: Story },
    MergesMore,
    IsRead,
}

fn after(story: &Story, event: Event) -> Story {
    Story(Some(Rc::new((event, story.clone()))))
}

fn tell(story: &Story) -> String {
    let Some((event, before)) = story.0.as_deref() else { return String::new() };
    let line = match event {
        Event::Writes(node, number, act) => format!("  node {node} writes #{number}: {act:?}\n"),
        Event::Gets(node, number) => format!("  node {node} gets #{number}\n"),
        Event::IsFed { node, by, which } => {
            let which = tell(which);
            let which: String = which.lines().map(|line| format!("  | {line}\n")).collect();
            format!("  node {node} is fed by node {by}, which was thus:\n{which}")
        }
        Event::MergesMore => "  it merges one path more\n".into(),
        Event::IsRead => "  it is read\n".into(),
    };
    tell(before) + &line
}

impl Position {
    fn new(feeds: Feeds, engines: &[Engine; NODES]) -> Self {
        let state =
            |engine: &Engine| vec![Rc::new(State::new(feeds, engine.clone(), 0, Story::default()))];
        Position {
            writes: Vec::new(),
            model: Model::default(),
            states: engines.each_ref().map(state),
        }
    }

    /// How many states of the cluster there are: any choice of what each node holds.
    fn count(&self) -> u64 {
        let holdings = |states: &Vec<Rc<State>>| {
            states.iter().map(|state| state.holds).collect::<HashSet<_>>().len() as u64
        };
        self.states.iter().map(holdings).product()
    }
}

struct Explorer<'a> {
    acts: &'a [Act],
    depth: usize,
    feeds: Feeds,
    tally: Tally,
}

impl Explorer<'_> {
    fn go_on(&mut self, position: &Position) {
        self.tally.histories += 1;
        self.tally.states += position.count();
        if position.writes.len() == self.depth {
            return;
        }
        let strangers = position.writes.iter().map(|made| made.node + 1).max().unwrap_or(0);
        for node in 0..NODES.min(strangers + 1) {
            for act in self.acts {
                self.act(position, node, *act);
            }
        }
    }

    /// Has the node make a write, in each of its states, and goes on from there.
    fn act(&mut self, position: &Position, node: usize, act: Act) {
        let mut holdings: Vec<Writes> =
            position.states[node].iter().map(|state| state.holds).collect();
        holdings.sort_unstable();
        holdings.dedup();
        for holds in holdings {
            let states = position.states[node].iter().filter(|state| state.holds == holds);
            let made: Vec<_> = states.map(|state| self.write(position, node, state, act)).collect();
            let Some(first) = made.first().cloned().flatten() else {
                assert!(made.iter().all(Option::is_none), "{act:?} is a write in some states");
                continue;
            };
            let mut model = position.model.clone();
            let op = first.op.clone();
            model.record(op).unwrap_or_else(|error| panic!("{error}\n{}", tell(&first.state.came)));
            let mut writes = position.writes.clone();
            writes.push(first.made.clone());
            let mut states = position.states.clone();
            let mut fresh = Vec::new();
            for written in made.into_iter().flatten() {
                assert_eq!(
                    written.made.message,
                    first.made.message,
                    "the same write is told otherwise\n{}\n{}",
                    tell(&written.state.came),
                    tell(&first.state.came)
                );
                fresh.push(written.state);
            }
            states[node].clear();
            let mut next = Position { writes, model, states };
            Closing::new(self.feeds, &mut next, &mut self.tally).close(node, fresh);
            self.go_on(&next);
        }
    }

    /// `None` if it is refused, or no write.
    fn write(
        &mut self,
        position: &Position,
        node: usize,
        state: &State,
        act: Act,
    ) -> Option<Written> {
        let now = now(position.writes.len() as u64 + 1);
        let mut engine = state.engine.clone();
        self.tally.steps += 1;
        let seen = Seen::from(engine.context());
        let path: Vec<String> = act.path.iter().map(|name| name.to_string()).collect();
        let (write, kind) = match act.does {
            Does::Set(json) => (Write::Set { path: act.path, json }, Kind::Set(json.into())),
            Does::Increment => (Write::Increment { path: act.path, by: 1.0 }, Kind::Increment(1.0)),
            Does::Delete => (Write::Delete { path: act.path }, Kind::Delete),
        };
        let Ok(Some(written)) = engine.write(now, write) else {
            let right = position.model.refuses(&path, &kind, &seen).is_some()
                || (kind == Kind::Delete && !position.model.deletes_anything(&path, &seen));
            assert!(right, "node {node} does not do {act:?}\n{}", tell(&state.came));
            return None;
        };
        let messages: Vec<_> =
            sent(&mut engine, now).into_iter().map(|(_, message)| message).collect();
        let message = messages.first().expect("it has peers").clone();
        assert!(messages.iter().all(|other| *other == message) && is(&message, Message::Writes));
        let number = position.writes.len();
        let came = after(&state.came, Event::Writes(node, number, act));
        Some(Written {
            op: Op { dot: written.dot, hlc: written.hlc, path, kind, seen },
            made: Made { node, seen: state.holds, message },
            state: State::new(self.feeds, engine, state.holds | bit(number), came),
        })
    }
}

#[derive(Clone)]
struct Written {
    op: Op,
    made: Made,
    state: State,
}

/// What a node must show, and how it must hash, that holds certain writes.
struct Expected {
    value: Value,
    /// Texts that have been found to say so.
    texts: Vec<String>,
    hash: u64,
}

/// Finds all states that deliveries bring about.
struct Closing<'a> {
    feeds: Feeds,
    position: &'a mut Position,
    tally: &'a mut Tally,
    known: [HashSet<Key>; NODES],
    expected: HashMap<Writes, Expected>,
    fresh: Vec<(usize, Rc<State>)>,
}

impl<'a> Closing<'a> {
    fn new(feeds: Feeds, position: &'a mut Position, tally: &'a mut Tally) -> Self {
        Closing {
            feeds,
            position,
            tally,
            known: Default::default(),
            expected: HashMap::new(),
            fresh: Vec::new(),
        }
    }

    /// From these states of one node, and what is there of the others.
    fn close(mut self, node: usize, states: Vec<State>) {
        for other in (0..NODES).filter(|&other| other != node) {
            let keys = self.position.states[other].iter().map(|state| state.key);
            self.known[other] = keys.collect();
        }
        for state in states {
            self.add(node, state);
        }
        while let Some((node, state)) = self.fresh.pop() {
            for number in 0..self.position.writes.len() {
                self.push(node, &state, number);
            }
            for other in (0..NODES).filter(|&other| other != node && !state.merges) {
                let peers = self.position.states[other].iter().filter(|peer| !peer.merges);
                for peer in peers.cloned().collect::<Vec<_>>() {
                    self.feed(other, &peer, node, &state);
                    self.feed(node, &state, other, &peer);
                }
            }
            self.position.states[node].push(state);
        }
    }

    /// A write arrives.
    fn push(&mut self, node: usize, state: &State, number: usize) {
        let made = &self.position.writes[number];
        let ready = made.seen & !state.holds == 0;
        if state.holds & bit(number) != 0 || !ready {
            return;
        }
        let mut engine = state.engine.clone();
        let now = now(self.position.writes.len() as u64);
        self.tally.steps += 1;
        receive(&mut engine, now, link(node, made.node), made.message.clone());
        let came = after(&state.came, Event::Gets(node, number));
        self.add(node, State::new(self.feeds, engine, state.holds | bit(number), came));
    }

    /// A node asks another one for what it has.
    fn feed(&mut self, from: usize, donor: &State, to: usize, asker: &State) {
        if donor.holds & !asker.holds == 0 {
            return;
        }
        let (mut engine, mut donor_engine) = (asker.engine.clone(), donor.engine.clone());
        let now = now(self.position.writes.len() as u64);
        self.tally.steps += 2;
        direct::feed(&mut donor_engine, &mut engine, now, link(from, to), None);
        let holds = asker.holds | donor.holds;
        let which = donor.came.clone();
        let came = after(&asker.came, Event::IsFed { node: to, by: from, which });
        self.add(to, State::new(self.feeds, engine, holds, came));
    }

    /// Takes a state in, with those that a step of its merge and a reader make of it.
    fn add(&mut self, node: usize, state: State) {
        if !self.known[node].insert(state.key) {
            return;
        }
        self.tally.node_states += 1;
        let now = now(self.position.writes.len() as u64);
        let mut read = state.engine.clone();
        self.check(node, &state, &mut read);
        sent(&mut read, now);
        let came = after(&state.came, Event::IsRead);
        self.add(node, State::new(self.feeds, read, state.holds, came));
        if state.merges {
            let next = self.merge_more(&state, now);
            self.add(node, next);
        }
        self.fresh.push((node, Rc::new(state)));
    }

    /// The state after one more step of its merge; or more, if that only passes by what is done.
    fn merge_more(&self, state: &State, now: Now) -> State {
        let came = after(&state.came, Event::MergesMore);
        let mut engine = state.engine.clone();
        loop {
            engine.handle_timeout(now);
            sent(&mut engine, now);
            let next = State::new(self.feeds, engine.clone(), state.holds, came.clone());
            if next.key != state.key {
                return next;
            }
        }
    }

    /// Reads and compares; `engine` is that of the state.
    fn check(&mut self, node: usize, state: &State, engine: &mut Engine) {
        let shown = engine.read(&[]).expect("the document is always there");
        let hash = engine.hash();
        let holds = state.holds;
        let ops = self.position.model.ops();
        let expected = self.expected.entry(holds).or_insert_with(|| {
            let held = ops.iter().enumerate().filter(|(number, _)| holds & bit(*number) != 0);
            let held: HashSet<_> = held.map(|(_, op)| op.dot).collect();
            let value = self.position.model.value(&|dot| held.contains(&dot));
            Expected { value, texts: Vec::new(), hash }
        });
        let covers = |op: &Op| state.engine.context().covers(op.dot);
        let covered = ops.iter().enumerate().filter(|(_, op)| covers(op));
        let covered = covered.fold(0, |all, (number, _)| all | bit(number));
        if !expected.texts.contains(&shown) {
            let value = comparable(serde_json::from_str(&shown).expect("what is read is JSON"));
            if value == expected.value {
                expected.texts.push(shown.clone());
            }
        }
        if !expected.texts.contains(&shown) || hash != expected.hash || covered != holds {
            let same = if hash == expected.hash { "the same" } else { "another" };
            panic!(
                "node {node} holds {holds:b}, covers {covered:b} and shows {shown}, not {}, \
                 with {same} hash as others\n{}{}",
                expected.value,
                tell(&state.came),
                state.engine.describe()
            );
        }
    }
}
