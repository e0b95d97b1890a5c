use collective_io::engine::Write;
use collective_io::sim::model::{comparable, Kind, Model, Op, Seen};
use serde_json::Value;

use super::mesh::{split, Mesh};

const NODES: usize = 3;
const PATHS: &[&str] = &["a", "a.b", "a.b.c", "a.0", "a.1.x", "l.0", "l.2", "l", "n"];
const VALUES: &[&str] =
    &["1", "\"s\"", "null", "{}", "[]", r#"{"b":{"c":1},"0":2}"#, r#"[1,{"x":[2]}]"#];
const STEPS_MAX: usize = 60;
const STEP_BYTES: usize = 4;

/// Any operations on three nodes, four bytes each, delivered in any order: each node shows what the
/// reference model makes of what it holds, and in the end all show the same.
pub fn operations(input: &[u8]) {
    let mut mesh = Mesh::linked(NODES);
    let mut model = Model::default();
    for step in input.chunks_exact(STEP_BYTES).take(STEPS_MAX) {
        let [kind, a, b, c] = [step[0], step[1], step[2], step[3]];
        match kind % 10 {
            0..=2 => {
                let json = VALUES[usize::from(c) % VALUES.len()];
                write(&mut mesh, &mut model, a, b, Kind::Set(json.into()));
            }
            3 => write(&mut mesh, &mut model, a, b, Kind::Increment(f64::from(c as i8))),
            4 => write(&mut mesh, &mut model, a, b, Kind::Delete),
            5..=6 => {
                let ways = mesh.ways();
                if !ways.is_empty() {
                    let (link, to) = ways[usize::from(a) % ways.len()];
                    mesh.deliver_one(link, to, usize::from(b % 4));
                }
            }
            7 => mesh.wait((u64::from(a) << 8 | u64::from(b)) % 2500),
            8 => mesh.cut(at(a), other(a, b)),
            _ => mesh.link_again(&[(at(a), other(a, b))]),
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
}

fn at(node: u8) -> usize {
    usize::from(node) % NODES
}

fn other(node: u8, by: u8) -> usize {
    (at(node) + 1 + usize::from(by) % 2) % NODES
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
