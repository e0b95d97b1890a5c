//! Laws of the merge, through whole engines: for any short history and any order of delivery.

mod mesh;

use collective_io::engine::document::explain::{Explanation, Shape, ShownKind, Thing, What, Why};
use collective_io::engine::{Config, Write};
use mesh::{split, Mesh};
use proptest::collection::vec;
use proptest::prelude::*;

/// One thing that happens. Indexes wrap around what there is.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, &'static str, &'static str),
    Increment(usize, &'static str, i8),
    Delete(usize, &'static str),
    /// Delivers one message of one way; of a batch of writes perhaps a later one first.
    Deliver {
        way: usize,
        further_back: usize,
    },
    Wait(u64),
    Cut(usize, usize),
    Link(usize, usize),
}

const NODES: usize = 3;
const PATHS: &[&str] = &["a", "a.b", "a.b.c", "a.0", "a.1.x", "l.0", "l.2", "l", "n"];
const VALUES: &[&str] = &["1", "\"s\"", "{}", "[]", r#"{"b":{"c":1},"0":2}"#, r#"[1,{"x":[2]}]"#];

fn write() -> impl Strategy<Value = Step> {
    let path = || proptest::sample::select(PATHS);
    prop_oneof![
        3 => (0..NODES, path(), proptest::sample::select(VALUES))
            .prop_map(|(node, path, json)| Step::Set(node, path, json)),
        2 => (0..NODES, path(), 1i8..9).prop_map(|(node, path, by)| Step::Increment(node, path, by)),
        2 => (0..NODES, path()).prop_map(|(node, path)| Step::Delete(node, path)),
    ]
}

fn deliver() -> impl Strategy<Value = Step> {
    (any::<prop::sample::Index>(), prop_oneof![4 => Just(0usize), 1 => 0usize..4])
        .prop_map(|(way, further_back)| Step::Deliver { way: way.index(64), further_back })
}

/// Writes and deliveries.
fn history() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![2 => write(), 3 => deliver(), 1 => (0u64..300).prop_map(Step::Wait)], 1..60)
}

/// The same, with links that come and go.
fn rough_history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => write(),
        9 => deliver(),
        3 => (0u64..2500).prop_map(Step::Wait),
        1 => (0..NODES, 1..NODES).prop_map(|(a, by)| Step::Cut(a, (a + by) % NODES)),
        2 => (0..NODES, 1..NODES).prop_map(|(a, by)| Step::Link(a, (a + by) % NODES)),
    ];
    vec(step, 1..80)
}

fn play(mesh: &mut Mesh, history: &[Step]) {
    for step in history {
        match *step {
            // What is refused (an increment of a string, say) is no write.
            Step::Set(node, path, json) => {
                let _ = mesh.write(node, Write::Set { path: &split(path), json });
            }
            Step::Increment(node, path, by) => {
                let _ = mesh.write(node, Write::Increment { path: &split(path), by: by.into() });
            }
            Step::Delete(node, path) => {
                let _ = mesh.write(node, Write::Delete { path: &split(path) });
            }
            Step::Deliver { way, further_back } => {
                let ways = mesh.ways();
                if let Some(&(link, to)) = ways.get(way % ways.len().max(1)) {
                    mesh.deliver_one(link, to, further_back);
                }
            }
            Step::Wait(ms) => mesh.wait(ms),
            Step::Cut(a, b) => mesh.cut(a, b),
            Step::Link(a, b) if mesh.is_linked(a, b) => {}
            Step::Link(a, b) => mesh.link(a, b),
        }
    }
}

/// Small limits, so that short histories meet them.
fn small() -> Config {
    Config { removals_max: 2, part_bytes_max: 96, queue_bytes_max: 2048, ..Config::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_order_of_delivery_ends_in_the_same_state(history in history()) {
        let mut mesh = Mesh::linked(NODES);
        play(&mut mesh, &history);
        mesh.link_again(&[(0, 1), (0, 2), (1, 2)]);
        mesh.run(5000);
        mesh.assert_converged();
    }

    #[test]
    fn links_that_come_and_go_change_nothing(
        history in rough_history(),
        small_limits in any::<bool>(),
    ) {
        let config = if small_limits { small() } else { Config::default() };
        let mut mesh = Mesh::with(vec![config; NODES]);
        mesh.link(0, 1);
        play(&mut mesh, &history);
        mesh.link_again(&[(0, 1), (1, 2)]);
        mesh.run(10_000);
        mesh.assert_converged();
    }

    #[test]
    fn what_is_delivered_twice_counts_once(history in history()) {
        let mut mesh = Mesh::new(NODES);
        mesh.keep_log();
        mesh.link_all();
        play(&mut mesh, &history);
        mesh.link_again(&[(0, 1), (0, 2), (1, 2)]);
        mesh.run(5000);
        let before: Vec<_> = (0..NODES).map(|node| all(&mut mesh, node)).collect();
        mesh.deliver_all_again();
        mesh.run(5000);
        let after: Vec<_> = (0..NODES).map(|node| all(&mut mesh, node)).collect();
        prop_assert_eq!(before, after);
        mesh.assert_converged();
    }

    /// A node that asks for what it lacks ends where one ends that got every write pushed.
    #[test]
    fn pulling_is_the_same_as_pushing(
        first in history(),
        second in history(),
        third in history(),
        small_limits in any::<bool>(),
    ) {
        let config = if small_limits { small() } else { Config::default() };
        let mut mesh = Mesh::with(vec![Config { queue_bytes_max: 16 << 20, ..config.clone() }; NODES]);
        mesh.link_all();
        let puller = mesh.add(config);
        // It sees a part, then nothing, then the rest; once from one node, once from another.
        play(&mut mesh, &first);
        mesh.link(puller, 0);
        mesh.deliver();
        mesh.cut(puller, 0);
        play(&mut mesh, &second);
        mesh.link(puller, 1);
        play(&mut mesh, &third);
        mesh.link_again(&[(0, 1), (0, 2), (1, 2), (puller, 1)]);
        mesh.run(5000);
        mesh.assert_converged();
    }

    #[test]
    fn what_is_explained_is_what_is_read(
        history in rough_history(),
        small_limits in any::<bool>(),
    ) {
        let config = if small_limits { small() } else { Config::default() };
        let mut mesh = Mesh::with(vec![config; NODES]);
        mesh.link(0, 1);
        play(&mut mesh, &history);
        let paths = || PATHS.iter().chain(PATHS_BESIDE);
        for node in 0..NODES {
            for path in paths() {
                check_explanation(&mut mesh, node, path);
            }
        }
        mesh.link_again(&[(0, 1), (1, 2)]);
        mesh.run(10_000);
        for path in paths() {
            let expected = told(check_explanation(&mut mesh, 0, path));
            for node in 1..NODES {
                let there = told(check_explanation(&mut mesh, node, path));
                prop_assert_eq!(&there, &expected, "{}", path);
            }
        }
        mesh.assert_converged();
    }
}

/// Paths to ask for that are not written at, or seldom lead anywhere.
const PATHS_BESIDE: &[&str] = &["", "a.1", "a.b.c.d", "a.01", "l.1", "l.1.x", "l.9", "l.x.0", "x"];

/// The explanation, which says the same as `read` does.
fn check_explanation(mesh: &mut Mesh, node: usize, path: &str) -> Explanation {
    let explanation = mesh.explain(node, path);
    let read = mesh.read(node, path);
    let why = format!("{path:?} reads {read:?}: {explanation:#?}");

    let here = |thing: &&Thing| explanation.key.as_ref() == Some(&thing.key);
    let shown: Vec<&What> =
        explanation.things.iter().filter(here).filter(|t| t.shown).map(|t| &t.what).collect();
    let text = read.as_deref().unwrap_or_default();
    match explanation.shown {
        ShownKind::Nothing => assert!(read.is_none() && shown.is_empty(), "{why}"),
        ShownKind::Hole => assert!(text == "null" && shown.is_empty(), "{why}"),
        ShownKind::Value => match shown.as_slice() {
            [What::Set { json, .. }] => {
                assert!(json == text && explanation.json.as_deref() == Some(text), "{why}");
            }
            _ => panic!("{why}"),
        },
        ShownKind::Number => {
            let number = |what: &&What| match what {
                What::Set { json, .. } => json.parse::<f64>().unwrap(),
                What::Increments { amount, .. } => *amount,
                _ => panic!("{why}"),
            };
            assert!(!shown.is_empty(), "{why}");
            let sum: f64 = shown.iter().map(number).sum();
            assert_eq!(sum, text.parse::<f64>().unwrap(), "{why}");
        }
        ShownKind::Object | ShownKind::Array => {
            let brackets = if explanation.shown == ShownKind::Array { "[]" } else { "{}" };
            assert!(text.starts_with(&brackets[..1]) && text.ends_with(&brackets[1..]), "{why}");
            let is_container = |what: &&What| match what {
                What::Set { shape, .. } | What::Mark { shape, .. } => *shape != Shape::Scalar,
                What::Increments { .. } => false,
            };
            assert!(shown.iter().all(is_container), "{why}");
            assert!(path.is_empty() || !shown.is_empty(), "{why}");
        }
    }

    for thing in &explanation.things {
        assert_eq!(thing.shown, thing.hidden.is_none(), "{why}");
        let Some(hidden) = &thing.hidden else { continue };
        let by = hidden.by.as_ref().expect("nothing is ever lost");
        let is_later = by.write.stamp() > thing.write.stamp();
        let is_above = by.key.len() < thing.key.len() && thing.key.starts_with(&by.key);
        let mut what_is_above = || mesh.read(node, &by.key).unwrap();
        match hidden.why {
            Why::LaterSet => assert!(is_later && thing.key.starts_with(&by.key), "{why}"),
            Why::LaterValue | Why::LaterCounter => {
                assert!(is_later && by.key == thing.key, "{why}")
            }
            Why::LaterContainer => assert!(is_later && by.key.starts_with(&thing.key), "{why}"),
            Why::ScalarAbove => {
                assert!(is_above && !what_is_above().starts_with(['[', '{']), "{why}");
            }
            Why::ArrayAbove => assert!(is_above && what_is_above().starts_with('['), "{why}"),
            Why::Lost => panic!("{why}"),
        }
    }
    explanation
}

/// What all nodes with the same state tell alike, whether or not they have split a value.
fn told(explanation: Explanation) -> (ShownKind, Option<String>, Vec<Thing>) {
    let mut things = explanation.things;
    for thing in &mut things {
        if let What::Set { json, .. } = &mut thing.what {
            // With sorted keys.
            *json = json.parse::<serde_json::Value>().unwrap().to_string();
        }
    }
    (explanation.shown, explanation.json, things)
}

fn all(mesh: &mut Mesh, node: usize) -> (Option<String>, u64, impl PartialEq + std::fmt::Debug) {
    (mesh.read(node, ""), mesh.hash(node), mesh.context(node))
}
