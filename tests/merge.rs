//! Laws of the merge as a join of states. After any short history three nodes are in some states;
//! what one becomes by a feed from another must not depend on the order in which states are joined,
//! on how often, or on how much of the donor's state the feed has left out.

mod direct;

use std::sync::OnceLock;

use bytes::Bytes;
use collective_io::engine::wire::message::{Kind, Vector};
use collective_io::engine::{Config, Context, Engine, Write};
use direct::{feed, is, link, linked, merges, now, receive, sent};
use proptest::collection::vec;
use proptest::prelude::*;

const NODES: usize = 3;
const PATHS: &[&[&str]] = &[
    &["a"],
    &["a", "b"],
    &["a", "b", "c"],
    &["a", "0"],
    &["a", "1", "x"],
    &["l"],
    &["l", "0"],
    &["l", "2"],
    &["n"],
];
const VALUES: &[&str] = &["1", "\"s\"", "{}", "[]", r#"{"b":{"c":1},"0":2}"#, r#"[1,{"x":[2]}]"#];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, usize, &'static str),
    Increment(usize, usize, f64),
    Delete(usize, usize),
    /// The next write of one node that the other lacks and may have.
    Push {
        from: usize,
        to: usize,
    },
    Feed {
        from: usize,
        to: usize,
    },
    /// A merge under way goes on for one step, or a reader finishes it.
    Merge(usize),
    Read(usize, usize),
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let (node, path) = (|| 0..NODES, || 0..PATHS.len());
    let two = || (0..NODES, 1..NODES).prop_map(|(from, by)| (from, (from + by) % NODES));
    let step = prop_oneof![
        4 => (node(), path(), proptest::sample::select(VALUES))
            .prop_map(|(node, path, json)| Step::Set(node, path, json)),
        3 => (node(), path(), 1i8..9)
            .prop_map(|(node, path, by)| Step::Increment(node, path, f64::from(by) / 2.0)),
        3 => (node(), path()).prop_map(|(node, path)| Step::Delete(node, path)),
        5 => two().prop_map(|(from, to)| Step::Push { from, to }),
        2 => two().prop_map(|(from, to)| Step::Feed { from, to }),
        2 => node().prop_map(Step::Merge),
        1 => (node(), path()).prop_map(|(node, path)| Step::Read(node, path)),
    ];
    vec(step, 1..50)
}

/// Three nodes after a history.
struct Nodes {
    engines: [Engine; NODES],
    /// By writer: what each of its writes had seen, and its message.
    writes: [Vec<(Context, Bytes)>; NODES],
    /// What each node covered at one time or another.
    stages: [Vec<Vector>; NODES],
    wall_ms: u64,
}

impl Nodes {
    /// `forgetful`: hardly any removal is remembered, so many feeds send everything.
    fn after(history: &[Step], forgetful: bool) -> Self {
        static LINKED: [OnceLock<[Engine; NODES]>; 2] = [OnceLock::new(), OnceLock::new()];
        let engines = LINKED[usize::from(forgetful)].get_or_init(|| {
            let removals_max = if forgetful { 2 } else { 1000 };
            let small = Config { merge_paths: 1, checkpoint_changes: 1, ..Config::default() };
            linked(&Config { removals_max, part_bytes_max: 96, ..small })
        });
        let mut nodes = Nodes {
            engines: engines.clone(),
            writes: Default::default(),
            stages: std::array::from_fn(|_| vec![Vector::new()]),
            wall_ms: 0,
        };
        for step in history {
            nodes.step(step);
        }
        for node in 0..NODES {
            nodes.finish(node);
        }
        nodes
    }

    fn step(&mut self, step: &Step) {
        self.wall_ms += 1;
        match *step {
            Step::Set(node, path, json) => {
                self.write(node, Write::Set { path: PATHS[path], json });
            }
            Step::Increment(node, path, by) => {
                self.write(node, Write::Increment { path: PATHS[path], by });
            }
            Step::Delete(node, path) => self.write(node, Write::Delete { path: PATHS[path] }),
            Step::Push { from, to } => self.push(from, to),
            Step::Feed { from, to } => {
                if !merges(&self.engines[from]) && !merges(&self.engines[to]) {
                    let mut donor = self.engines[from].clone();
                    feed(
                        &mut donor,
                        &mut self.engines[to],
                        now(self.wall_ms),
                        link(from, to),
                        None,
                    );
                }
            }
            Step::Merge(node) => {
                if merges(&self.engines[node]) {
                    self.merge_some(node);
                }
            }
            Step::Read(node, path) => {
                self.engines[node].read(PATHS[path]);
            }
        }
        for (engine, stages) in self.engines.iter().zip(&mut self.stages) {
            stages.push(engine.context().iter().collect());
        }
    }

    /// What is refused (an increment of a string, say) is no write.
    fn write(&mut self, node: usize, write: Write<'_>) {
        let seen = self.engines[node].context().clone();
        let now = now(self.wall_ms);
        if let Ok(Some(_)) = self.engines[node].write(now, write) {
            let mut messages = sent(&mut self.engines[node], now).into_iter();
            let message = messages.find(|(_, message)| is(message, Kind::Writes));
            let (_, message) = message.expect("it has peers");
            self.writes[node].push((seen, message));
        }
    }

    fn push(&mut self, from: usize, to: usize) {
        let has = self.engines[to].context();
        let next = has.get(self.engines[from].id()) as usize;
        let Some((seen, message)) = self.writes[from].get(next) else { return };
        if has.includes(seen) {
            receive(&mut self.engines[to], now(self.wall_ms), link(from, to), message.clone());
        }
    }

    fn merge_some(&mut self, node: usize) {
        let now = now(self.wall_ms);
        self.engines[node].handle_timeout(now);
        sent(&mut self.engines[node], now);
    }

    fn finish(&mut self, node: usize) {
        while merges(&self.engines[node]) {
            self.merge_some(node);
        }
    }

    /// What a node becomes that is fed by another one; the donor stays what it is.
    fn joined(&self, (to, asker): (usize, &Engine), (from, donor): (usize, &Engine)) -> Engine {
        self.joined_from(None, (to, asker), (from, donor))
    }

    fn joined_from(
        &self,
        vector: Option<Vector>,
        (to, asker): (usize, &Engine),
        (from, donor): (usize, &Engine),
    ) -> Engine {
        let (mut asker, mut donor) = (asker.clone(), donor.clone());
        let now = now(self.wall_ms);
        feed(&mut donor, &mut asker, now, link(from, to), vector);
        while merges(&asker) {
            asker.handle_timeout(now);
            sent(&mut asker, now);
        }
        asker
    }
}

/// All that two nodes that cover the same must have alike.
fn state(engine: &Engine) -> (serde_json::Value, u64, Vector) {
    let mut engine = engine.clone();
    let shown = engine.read(&[]).expect("the document is always there");
    let shown = serde_json::from_str(&shown).expect("what is read is JSON");
    (shown, engine.hash(), engine.context().iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_join_is_commutative(history in history(), forgetful in any::<bool>()) {
        let nodes = Nodes::after(&history, forgetful);
        let [a, b, _] = &nodes.engines;
        let there = nodes.joined((0, a), (1, b));
        let back = nodes.joined((1, b), (0, a));
        prop_assert_eq!(state(&there), state(&back));
    }

    #[test]
    fn a_join_is_associative(history in history(), forgetful in any::<bool>()) {
        let nodes = Nodes::after(&history, forgetful);
        let [a, b, c] = &nodes.engines;
        let left_first = nodes.joined((0, &nodes.joined((0, a), (1, b))), (2, c));
        let right_first = nodes.joined((0, a), (1, &nodes.joined((1, b), (2, c))));
        prop_assert_eq!(state(&left_first), state(&right_first));
    }

    /// Told that the asker has nothing, the donor sends everything once more.
    #[test]
    fn a_join_is_idempotent(history in history(), forgetful in any::<bool>()) {
        let nodes = Nodes::after(&history, forgetful);
        let [a, b, _] = &nodes.engines;
        let once = nodes.joined((0, a), (1, b));
        let twice = nodes.joined_from(Some(Vector::new()), (0, &once), (1, b));
        prop_assert_eq!(state(&once), state(&twice));
        let both = nodes.joined((1, b), (0, &once));
        let thrice = nodes.joined_from(Some(Vector::new()), (0, &once), (1, &both));
        prop_assert_eq!(state(&once), state(&thrice));
    }

    /// A feed may leave out whatever the asker has: from any vector that it ever covered, it brings
    /// the asker to where the whole state does.
    #[test]
    fn a_delta_is_the_difference(
        history in history(),
        forgetful in any::<bool>(),
        stage in any::<prop::sample::Index>(),
    ) {
        let nodes = Nodes::after(&history, forgetful);
        let [a, b, _] = &nodes.engines;
        let delta = nodes.joined((0, a), (1, b));
        let all = nodes.joined_from(Some(Vector::new()), (0, a), (1, b));
        prop_assert_eq!(state(&delta), state(&all));
        let earlier = stage.get(&nodes.stages[0]).clone();
        let more = nodes.joined_from(Some(earlier), (0, a), (1, b));
        prop_assert_eq!(state(&delta), state(&more));
    }
}

/// What the donor of the second feed has never had at a path, as it learnt of the write and of its
/// removal at once, the asker has.
#[test]
fn what_came_and_went_unseen_at_a_path_that_has_not_changed_goes() {
    use Step::{Delete, Feed, Increment, Push, Set};
    let history = [
        Set(1, 4, "1"),
        Increment(0, 7, 0.5),
        Set(0, 0, "1"),
        Set(0, 0, "1"),
        Set(1, 5, "1"),
        Push { from: 0, to: 2 },
        Push { from: 0, to: 1 },
        Increment(2, 1, 0.5),
        Push { from: 1, to: 0 },
        Feed { from: 2, to: 1 },
        Delete(2, 0),
        Set(2, 4, "1"),
        Push { from: 2, to: 1 },
        Feed { from: 2, to: 0 },
        Delete(1, 4),
        Set(2, 0, "1"),
    ];
    let nodes = Nodes::after(&history, true);
    let [a, b, c] = &nodes.engines;
    let left_first = nodes.joined((0, &nodes.joined((0, a), (1, b))), (2, c));
    let right_first = nodes.joined((0, a), (1, &nodes.joined((1, b), (2, c))));
    assert_eq!(state(&left_first), state(&right_first));
}
