//! Any operations on three nodes, delivered in any order: each node shows what the reference model
//! makes of what it holds, and in the end all show the same.
#![no_main]

use arbitrary::Arbitrary;
use collective_io::engine::Write;
use collective_io::sim::model::{comparable, Kind, Model, Op, Seen};
use libfuzzer_sys::fuzz_target;
use mesh::{split, Mesh};
use serde_json::Value;

#[path = "../../tests/mesh/mod.rs"]
mod mesh;

const NODES: usize = 3;
const PATHS: &[&str] = &["a", "a.b", "a.b.c", "a.0", "a.1.x", "l.0", "l.2", "l", "n"];
const VALUES: &[&str] =
    &["1", "\"s\"", "null", "{}", "[]", r#"{"b":{"c":1},"0":2}"#, r#"[1,{"x":[2]}]"#];
const STEPS_MAX: usize = 60;

#[derive(Arbitrary, Debug)]
enum Step {
    Set { node: u8, path: u8, value: u8 },
    Increment { node: u8, path: u8, by: i8 },
    Delete { node: u8, path: u8 },
    Deliver { way: u8, further_back: u8 },
    Wait { ms: u16 },
    Cut { a: u8, by: u8 },
    Link { a: u8, by: u8 },
}

fuzz_target!(|steps: Vec<Step>| {
    let mut mesh = Mesh::linked(NODES);
    let mut model = Model::default();
    for step in steps.into_iter().take(STEPS_MAX) {
        match step {
            Step::Set { node, path, value } => {
                let json = VALUES[usize::from(value) % VALUES.len()];
                write(&mut mesh, &mut model, node, path, Kind::Set(json.into()));
            }
            Step::Increment { node, path, by } => {
                write(&mut mesh, &mut model, node, path, Kind::Increment(f64::from(by)));
            }
            Step::Delete { node, path } => {
                write(&mut mesh, &mut model, node, path, Kind::Delete);
            }
            Step::Deliver { way, further_back } => {
                let ways = mesh.ways();
                if !ways.is_empty() {
                    let (link, to) = ways[usize::from(way) % ways.len()];
                    mesh.deliver_one(link, to, usize::from(further_back % 4));
                }
            }
            Step::Wait { ms } => mesh.wait(u64::from(ms % 2500)),
            Step::Cut { a, by } => mesh.cut(at(a), (at(a) + 1 + usize::from(by) % 2) % NODES),
            Step::Link { a, by } => {
                mesh.link_again(&[(at(a), (at(a) + 1 + usize::from(by) % 2) % NODES)]);
            }
        }
    }
    for _ in 0..3 {
        mesh.link_again(&[(0, 1), (1, 2), (2, 0)]);
        mesh.run(10_000);
    }
    mesh.assert_converged();
    for node in 0..NODES {
        check(&mut mesh, &model, node);
    }
});

fn at(node: u8) -> usize {
    usize::from(node) % NODES
}

fn write(mesh: &mut Mesh, model: &mut Model, node: u8, path: u8, kind: Kind) {
    let node = at(node);
    let path = split(PATHS[usize::from(path) % PATHS.len()]);
    let seen = Seen::from(&mesh.context(node));
    let owned: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
    let write = match &kind {
        Kind::Set(json) => Write::Set { path: &path, json },
        Kind::Increment(by) => Write::Increment { path: &path, by: *by },
        Kind::Delete => Write::Delete { path: &path },
    };
    match mesh.write_told(node, write) {
        Ok(Some(written)) => {
            let op = Op { dot: written.dot, hlc: written.hlc, path: owned, kind, seen };
            model.record(op).unwrap();
        }
        Ok(None) => {
            assert!(kind == Kind::Delete && !model.deletes_anything(&owned, &seen));
        }
        Err(_) => assert!(model.refuses(&owned, &kind, &seen).is_some()),
    }
    check(mesh, model, node);
}

/// A node shows what the model makes of the writes it holds.
fn check(mesh: &mut Mesh, model: &Model, node: usize) {
    let held = Seen::from(&mesh.context(node));
    let expected = model.value(&|dot| held.covers(dot) || mesh.knows(node, dot));
    let shown = mesh.read(node, "").unwrap_or_else(|| "null".into());
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(comparable(shown), comparable(expected), "node {node}");
}
