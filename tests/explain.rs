//! What a node tells of a path, and why it shows what it shows: one reason a test.

mod mesh;

use collective_io::engine::document::explain::{
    By, ByKind, Explanation, Shape, ShownKind, Thing, What, Why, JSON_CHARS_MAX, THINGS_MAX,
};
use collective_io::engine::Write;
use mesh::{split, Mesh};

/// Makes the writes of two nodes that have not seen one another's; those of `b` are later.
fn concurrently(a: impl FnOnce(&mut Mesh), b: impl FnOnce(&mut Mesh)) -> Mesh {
    let mut mesh = Mesh::linked(2);
    a(&mut mesh);
    mesh.wait(10);
    b(&mut mesh);
    mesh.run(1500);
    mesh.assert_converged();
    mesh
}

/// The only thing that is hidden: where it stands, why it is, and what hides it.
fn hidden(explanation: &Explanation) -> (&Thing, Why, &By) {
    let mut all = explanation.things.iter().filter_map(|thing| {
        assert_eq!(thing.shown, thing.hidden.is_none());
        thing.hidden.as_ref().map(|hidden| (thing, hidden.why, hidden.by.as_ref().unwrap()))
    });
    let first = all.next().unwrap_or_else(|| panic!("nothing is hidden: {explanation:#?}"));
    assert!(all.next().is_none(), "{explanation:#?}");
    first
}

fn json(thing: &Thing) -> Option<&str> {
    match &thing.what {
        What::Set { json, .. } => Some(json),
        _ => None,
    }
}

#[test]
fn winner_and_loser_of_two_sets() {
    let mut mesh = concurrently(|mesh| mesh.set(0, "x", "\"a\""), |mesh| mesh.set(1, "x", "\"b\""));
    for node in 0..2 {
        let explanation = mesh.explain(node, "x");
        assert_eq!(explanation.replica, mesh.id(node));
        assert_eq!(explanation.shown, ShownKind::Value);
        assert_eq!(explanation.json.as_deref(), Some("\"b\""));
        let winner = &explanation.things[0];
        assert_eq!((json(winner), winner.write.replica), (Some("\"b\""), mesh.id(1)));
        let (loser, why, by) = hidden(&explanation);
        assert_eq!((json(loser), loser.write.replica), (Some("\"a\""), mesh.id(0)));
        assert_eq!((why, by.kind, by.key.as_str()), (Why::LaterSet, ByKind::Set, "x"));
        assert_eq!(by.write, winner.write);
        assert_eq!(by.write.ms, loser.write.ms + 10);
    }
}

#[test]
fn all_that_a_hidden_set_wrote_is_hidden_with_it() {
    let mut mesh = concurrently(
        |mesh| mesh.set(0, "x", r#"{"a":{"deep":1}}"#),
        |mesh| mesh.set(1, "x", r#"{"b":2}"#),
    );
    let explanation = mesh.explain(0, "x.a.deep");
    assert_eq!(explanation.shown, ShownKind::Nothing);
    let (piece, why, by) = hidden(&explanation);
    assert_eq!((piece.key.as_str(), json(piece)), ("x.a.deep", Some("1")));
    assert!(matches!(&piece.what, What::Set { set_at, .. } if set_at == "x"));
    assert_eq!((why, by.key.as_str(), by.write.replica), (Why::LaterSet, "x", mesh.id(1)));
}

#[test]
fn a_piece_and_a_set_at_its_path() {
    let mut mesh = concurrently(
        |mesh| mesh.set(0, "x.a", "\"own\""),
        |mesh| mesh.set(1, "x", r#"{"a":"piece"}"#),
    );
    let explanation = mesh.explain(0, "x.a");
    let (loser, why, by) = hidden(&explanation);
    assert_eq!((json(loser), why), (Some("\"own\""), Why::LaterValue));
    assert_eq!((by.key.as_str(), by.write.replica), ("x.a", mesh.id(1)));
}

#[test]
fn a_counter_is_a_number_and_a_part_for_each_node() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "n", "5");
    mesh.deliver();
    mesh.increment(0, "n", 1.0);
    mesh.increment(1, "n", 10.0);
    mesh.increment(1, "n", 0.5);
    mesh.run(1500);
    let explanation = mesh.explain(0, "n");
    assert_eq!(explanation.json.as_deref(), Some("16.5"));
    let amount = |node: usize| {
        explanation.things.iter().find_map(|thing| match thing.what {
            What::Increments { amount, .. } if thing.write.replica == mesh.id(node) => Some(amount),
            _ => None,
        })
    };
    assert_eq!((amount(0), amount(1)), (Some(1.0), Some(10.5)));
    assert_eq!(explanation.things.iter().filter_map(json).collect::<Vec<_>>(), ["5"]);
    assert!(explanation.things.iter().all(|thing| thing.shown));
}

#[test]
fn increments_that_a_delete_had_not_seen() {
    let mut mesh = Mesh::linked(2);
    mesh.increment(1, "n", 1.0);
    mesh.deliver();
    mesh.hold(0, 1);
    mesh.increment(1, "n", 10.0);
    mesh.delete(0, "n");
    let explanation = mesh.explain(0, "n");
    assert_eq!((explanation.shown, explanation.things.len()), (ShownKind::Nothing, 0));
    let [cut] = explanation.cuts.as_slice() else { panic!("{explanation:#?}") };
    assert_eq!((cut.replica, cut.counter, cut.amount), (mesh.id(1), 1, 1.0));
    assert_eq!(cut.by_replica, mesh.id(0));
    mesh.release(0, 1);
    mesh.run(1500);
    let explanation = mesh.explain(1, "n");
    let What::Increments { amount, removed_to, .. } = explanation.things[0].what else { panic!() };
    assert_eq!((amount, removed_to), (10.0, Some(1)));
}

#[test]
fn a_counter_beside_a_text() {
    let mut mesh =
        concurrently(|mesh| mesh.set(0, "n", "\"text\""), |mesh| mesh.increment(1, "n", 1.0));
    let explanation = mesh.explain(0, "n");
    assert_eq!(explanation.shown, ShownKind::Number);
    let (text, why, by) = hidden(&explanation);
    assert_eq!(
        (json(text), why, by.kind),
        (Some("\"text\""), Why::LaterCounter, ByKind::Increments)
    );
}

#[test]
fn a_scalar_and_what_is_written_below_it() {
    let mut mesh = concurrently(|mesh| mesh.set(0, "x", "5"), |mesh| mesh.set(1, "x.y.z", "1"));
    let explanation = mesh.explain(0, "x");
    assert_eq!(explanation.shown, ShownKind::Object);
    let (scalar, why, by) = hidden(&explanation);
    assert_eq!((json(scalar), why), (Some("5"), Why::LaterContainer));
    assert_eq!((by.write.replica, by.write.counter), (mesh.id(1), 1));
    let marks = explanation.things.iter().filter(|t| matches!(t.what, What::Mark { .. }));
    assert_eq!(marks.count(), 1);

    let mut mesh = concurrently(|mesh| mesh.set(0, "x.y.z", "1"), |mesh| mesh.set(1, "x", "5"));
    let explanation = mesh.explain(0, "x.y.z");
    assert_eq!(explanation.shown, ShownKind::Nothing);
    let here = &explanation.things[0];
    let reason = here.hidden.as_ref().unwrap();
    assert_eq!((json(here), reason.why), (Some("1"), Why::ScalarAbove));
    assert_eq!(reason.by.as_ref().unwrap().key, "x");
    let above = explanation.things.iter().find(|thing| thing.shown).unwrap();
    assert_eq!((above.key.as_str(), json(above)), ("x", Some("5")));
}

#[test]
fn a_name_below_an_array() {
    let mut mesh =
        concurrently(|mesh| mesh.set(0, "x.name", "1"), |mesh| mesh.set(1, "x", "[1,2]"));
    let explanation = mesh.explain(0, "x.name");
    assert_eq!(explanation.shown, ShownKind::Nothing);
    let (element, why, by) = hidden(&explanation);
    assert_eq!((json(element), why, by.key.as_str()), (Some("1"), Why::ArrayAbove, "x"));
    assert_eq!(mesh.explain(0, "x.0").shown, ShownKind::Number);
}

#[test]
fn objects_that_were_split_are_quoted_as_they_are_left() {
    let mut mesh = concurrently(
        |mesh| mesh.set(0, "x", r#"{"b":[1,{"c":2},3],"a":{}}"#),
        |mesh| mesh.set(1, "x", r#"{}"#),
    );
    assert_eq!(json(hidden(&mesh.explain(1, "x")).0), Some(r#"{"a":{},"b":[1,{"c":2},3]}"#));
    mesh.delete(1, "x.b.0");
    mesh.delete(1, "x.a");
    mesh.run(1500);
    assert_eq!(json(hidden(&mesh.explain(0, "x")).0), Some(r#"{"b":[null,{"c":2},3]}"#));
}

#[test]
fn a_path_in_a_value_that_is_kept_whole() {
    let mut mesh = Mesh::new(1);
    mesh.set(0, "user", r#"{"name":{"first":"Ada"},"tags":["x"]}"#);
    let explanation = mesh.explain(0, "user.name");
    let [thing] = explanation.things.as_slice() else { panic!("{explanation:#?}") };
    assert_eq!((thing.key.as_str(), json(thing)), ("user.name", Some(r#"{"first":"Ada"}"#)));
    assert!(thing.shown);
    let What::Set { set_at, shape, .. } = &thing.what else { panic!() };
    assert_eq!((set_at.as_str(), *shape), ("user", Shape::Object));

    // What the value lacks, and what is too deep in it: the last piece on the way.
    let explanation = mesh.explain(0, "user.tags.7");
    assert_eq!(explanation.shown, ShownKind::Nothing);
    assert_eq!(explanation.things[0].key, "user.tags");
    let explanation = mesh.explain(0, "user.name.first.letter");
    assert_eq!(explanation.things[0].key, "user.name.first");
    assert_eq!(mesh.stats(0).things, 1, "nothing was split for it");
}

#[test]
fn nothing_there() {
    let mut mesh = Mesh::new(1);
    mesh.set(0, "a", "1");
    mesh.delete(0, "a");
    for path in ["a", "b.c"] {
        let explanation = mesh.explain(0, path);
        assert_eq!((explanation.shown, explanation.left_out), (ShownKind::Nothing, 0));
        assert!(explanation.things.is_empty() && explanation.cuts.is_empty());
    }
    let explanation = mesh.explain(0, "");
    assert_eq!((explanation.key, explanation.shown), (None, ShownKind::Object));
}

#[test]
fn a_hole() {
    let mut mesh = Mesh::new(1);
    mesh.set(0, "l", "[1,2]");
    mesh.delete(0, "l.0");
    let explanation = mesh.explain(0, "l.0");
    assert_eq!(explanation.shown, ShownKind::Hole);
    assert_eq!(explanation.things[0].key, "l");
}

#[test]
fn much_is_cut_short() {
    let nodes = THINGS_MAX + 5;
    let mut mesh = Mesh::new(nodes);
    let long = format!("\"{}\"", "é".repeat(JSON_CHARS_MAX));
    for node in 0..nodes {
        mesh.write(node, Write::Set { path: &split("x"), json: &long }).unwrap();
        mesh.wait(1);
    }
    for node in 1..nodes {
        mesh.link(0, node);
        mesh.run(10);
        mesh.cut(0, node);
    }
    let explanation = mesh.explain(0, "x");
    assert_eq!((explanation.things.len(), explanation.left_out), (THINGS_MAX, 5));
    assert!(explanation.things[0].shown, "what is shown comes first");
    let quoted = json(&explanation.things[1]).unwrap();
    assert_eq!(quoted.chars().count(), JSON_CHARS_MAX + 1);
    assert!(quoted.ends_with("é…"));
}

#[test]
fn its_json_form() {
    let mut mesh = concurrently(|mesh| mesh.set(0, "x", "1"), |mesh| mesh.set(1, "x", "[2]"));
    let (winner, loser) = (mesh.id(1).to_string(), mesh.id(0).to_string());
    let explanation = mesh.explain(0, "x");
    let (ms, hidden_ms) = (explanation.things[0].write.ms, explanation.things[1].write.ms);
    let expected = serde_json::json!({
        "key": "x",
        "replica": loser,
        "shown": "array",
        "things": [
            {
                "key": "x", "kind": "set", "setAt": "x", "shape": "array", "length": 1, "json": "[2]",
                "replica": winner, "counter": 1, "ms": ms, "tick": 0, "shown": true,
            },
            {
                "key": "x", "kind": "set", "setAt": "x", "shape": "scalar", "json": "1",
                "replica": loser, "counter": 1, "ms": hidden_ms, "tick": 0, "shown": false,
                "hidden": {
                    "why": "laterSet", "key": "x", "kind": "set",
                    "replica": winner, "counter": 1, "ms": ms, "tick": 0,
                },
            },
        ],
        "cuts": [],
        "leftOut": 0,
    });
    assert_eq!(serde_json::to_value(&explanation).unwrap(), expected);
}
