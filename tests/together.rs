//! Batches that arrive as one, who has what was written, and what observers are told; through real
//! engines and frames in memory.

mod mesh;

use collective_io::engine::wire::message::{self, Confirm, Kind};
use collective_io::engine::{Address, Config, Event, Need, Standing, WaitId};
use mesh::Mesh;

/// Writes the same number at that many places.
fn write_batch(mesh: &mut Mesh, node: usize, places: usize, json: &str) {
    mesh.begin_batch(node);
    for place in 0..places {
        mesh.set(node, &format!("batch.p{place:03}"), json);
    }
    mesh.end_batch(node);
}

fn places(mesh: &mut Mesh, node: usize) -> usize {
    mesh.count(node, "batch").unwrap_or(0)
}

/// The last wait that the node was told to be over.
fn replicated(mesh: &Mesh, node: usize) -> Option<(WaitId, usize)> {
    mesh.events(node).iter().rev().find_map(|event| match event {
        Event::Replicated { wait, peers } => Some((*wait, peers.len())),
        _ => None,
    })
}

// ---- batches

#[test]
fn a_batch_is_one_message_and_is_applied_whole() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "before", "1");
    mesh.begin_batch(0);
    for place in 0..5000 {
        mesh.set(0, &format!("batch.p{place}"), "\"some text, so that it is more than 64 KiB\"");
    }
    assert_eq!(places(&mut mesh, 0), 5000, "its writer sees it at once");
    assert_eq!(mesh.under_way(0, 1), [Kind::Writes], "what came before it has gone");
    mesh.end_batch(0);
    mesh.set(0, "after", "1");
    assert_eq!(mesh.under_way(0, 1), [Kind::Writes; 3]);
    let (link, to) = mesh.ways()[0];
    mesh.deliver_one(link, to, 0);
    assert_eq!(places(&mut mesh, 1), 0);
    mesh.deliver_one(link, to, 0);
    assert_eq!(places(&mut mesh, 1), 5000);
    mesh.run(1500);
    mesh.assert_converged();
}

#[test]
fn increments_in_a_row_go_as_one() {
    let mut mesh = Mesh::linked(3);
    mesh.run(1_500);
    mesh.increment(0, "n", 1.0);
    mesh.deliver();
    let before = mesh.carried(0, 1);
    mesh.begin_batch(0);
    for round in 0..1000 {
        mesh.increment(0, "n", 1.0);
        if round % 250 == 0 {
            mesh.increment(0, "list.1.n", 0.5);
        }
    }
    mesh.end_batch(0);
    mesh.deliver();
    let bytes = mesh.carried(0, 1) - before;
    assert!(bytes < 2_500, "{bytes} bytes for 1,004 increments, of which 8 go");
    mesh.assert_all_read("", r#"{"list":{"1":{"n":2}},"n":1001}"#);
    assert_eq!([1, 2].map(|node| mesh.stats(node).writes_remote), [1005; 2]);
    mesh.run(1_500);
    mesh.assert_converged();
}

/// What a SET had seen of them it removes, whichever of them went.
#[test]
fn a_set_that_had_seen_increments_removes_those_that_went_with_the_last_of_them() {
    let mut mesh = Mesh::linked(2);
    mesh.begin_batch(0);
    (0..5).for_each(|_| mesh.increment(0, "n", 1.0));
    mesh.end_batch(0);
    mesh.deliver();
    mesh.hold(0, 1);
    mesh.set(1, "n", "100");
    mesh.begin_batch(0);
    (0..5).for_each(|_| mesh.increment(0, "n", 1.0));
    mesh.end_batch(0);
    mesh.release(0, 1);
    mesh.run(1_500);
    mesh.assert_all_read("", r#"{"n":105}"#);
    mesh.assert_converged();
}

#[test]
fn what_arrives_during_a_batch_waits_for_its_end() {
    let mut mesh = Mesh::linked(3);
    mesh.begin_batch(0);
    mesh.set(0, "batch.p0", "0");
    mesh.set(1, "n", "1");
    mesh.deliver();
    assert_eq!(mesh.read(0, "n"), None);
    mesh.set(0, "batch.p1", "0");
    mesh.end_batch(0);
    assert_eq!(mesh.read(0, "n").as_deref(), Some("1"));
    // Node 2 has nothing from node 1, and yet can apply the batch at once.
    mesh.run(1500);
    mesh.assert_all_read("batch", r#"{"p0":0,"p1":0}"#);
    mesh.assert_converged();
}

#[test]
fn a_batch_does_not_wait_for_what_its_writer_had_not_seen() {
    let mut mesh = Mesh::linked(3);
    mesh.hold(1, 2);
    mesh.begin_batch(0);
    mesh.set(0, "batch.p0", "0");
    mesh.set(1, "n", "1");
    mesh.deliver();
    mesh.set(0, "batch.p1", "0");
    mesh.end_batch(0);
    mesh.deliver();
    assert_eq!((places(&mut mesh, 2), mesh.read(2, "n")), (2, None));
    mesh.release(1, 2);
    mesh.run(1500);
    mesh.assert_converged();
}

#[test]
fn too_much_for_a_message_comes_as_a_feed_and_whole() {
    let limits = Config::default().limits;
    let mut mesh = Mesh::linked(2);
    let text = format!("\"{}\"", "x".repeat(limits.value_bytes_max - 2));
    write_batch(&mut mesh, 0, 9, &text);
    mesh.set(0, "after", "1");
    assert_eq!(mesh.under_way(0, 1)[..1], [Kind::Behind]);
    let mut seen = vec![0];
    while let Some(&(link, to)) = mesh.ways().first() {
        mesh.deliver_one(link, to, 0);
        seen.push(places(&mut mesh, 1));
    }
    mesh.run(5000);
    seen.push(places(&mut mesh, 1));
    seen.dedup();
    assert_eq!(seen, [0, 9]);
    mesh.assert_all_read("after", "1");
    mesh.assert_converged();
}

#[test]
fn a_feed_tells_nothing_of_a_batch_that_goes_on() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "before", "1");
    mesh.run(1500);
    let late = mesh.add(Config::default());
    mesh.link(0, late);
    mesh.deliver_hellos();
    mesh.begin_batch(0);
    mesh.set(0, "batch.p0", "0");
    mesh.run(100);
    assert_eq!(places(&mut mesh, late), 0);
    mesh.set(0, "batch.p1", "0");
    mesh.end_batch(0);
    mesh.run(1500);
    mesh.assert_all_read("batch", r#"{"p0":0,"p1":0}"#);
}

#[test]
fn more_than_may_wait_for_a_batch_does_not() {
    let mut mesh = Mesh::linked(2);
    mesh.begin_batch(0);
    mesh.set(0, "batch.p0", "0");
    let text = format!("\"{}\"", "x".repeat(1_000_000));
    for n in 0..6 {
        mesh.set(1, &format!("large.n{n}"), &text);
        mesh.deliver();
    }
    assert!(mesh.count(0, "large").is_some_and(|count| count >= 5));
    mesh.set(0, "batch.p1", "0");
    mesh.end_batch(0);
    mesh.run(1500);
    mesh.assert_all_read("batch", r#"{"p0":0,"p1":0}"#);
    mesh.assert_converged();
}

#[test]
fn who_leaves_in_the_middle_of_a_batch_sends_what_it_has_written() {
    let mut mesh = Mesh::linked(2);
    mesh.begin_batch(0);
    mesh.set(0, "batch.p0", "0");
    mesh.leave(0);
    mesh.deliver();
    assert_eq!(places(&mut mesh, 1), 1);
    mesh.end_batch(0);
}

// ---- who has what

#[test]
fn a_wait_is_over_as_soon_as_peers_have_answered() {
    let mut mesh = Mesh::linked(3);
    mesh.set(0, "x", "1");
    mesh.hold(0, 2);
    let one = mesh.wait_for(0, Need::Count(1));
    let all = mesh.wait_for(0, Need::All);
    mesh.deliver();
    assert_eq!(replicated(&mesh, 0), Some((one, 1)), "with no time gone by");
    mesh.release(0, 2);
    mesh.deliver();
    assert_eq!(replicated(&mesh, 0), Some((all, 2)));
    let none = mesh.wait_for(0, Need::Count(0));
    assert_eq!(replicated(&mesh, 0), Some((none, 2)));
}

#[test]
fn each_wait_is_for_what_was_written_when_it_began() {
    let mut mesh = Mesh::linked(2);
    let mut waits = Vec::new();
    for n in 0..5 {
        mesh.set(0, "x", &n.to_string());
        waits.push(mesh.wait_for(0, Need::All));
    }
    mesh.stop_waiting(0, waits[3]);
    mesh.hold(0, 1);
    mesh.set(0, "x", "5");
    let late = mesh.wait_for(0, Need::All);
    mesh.run(3000);
    assert_eq!(replicated(&mesh, 0), None);
    mesh.release(0, 1);
    mesh.deliver();
    let over: Vec<WaitId> = mesh
        .events(0)
        .iter()
        .filter_map(|event| match event {
            Event::Replicated { wait, .. } => Some(*wait),
            _ => None,
        })
        .collect();
    waits.remove(3);
    waits.push(late);
    assert_eq!(over, waits);
}

#[test]
fn a_wait_for_all_forgets_who_leaves_and_not_who_is_lost() {
    let mut mesh = Mesh::linked(4);
    for peer in [1, 2] {
        mesh.hold(0, peer);
    }
    mesh.set(0, "x", "1");
    let wait = mesh.wait_for(0, Need::All);
    mesh.deliver();
    mesh.cut(0, 1);
    mesh.run(100);
    mesh.release(0, 2);
    mesh.leave(2);
    mesh.deliver();
    assert_eq!(replicated(&mesh, 0), None, "one that was lost may come back");
    mesh.link(0, 1);
    mesh.run(1500);
    assert_eq!(replicated(&mesh, 0), Some((wait, 2)));
}

/// Two processes may have one address, behind a balancer: the second does not end the first.
#[test]
fn a_wait_for_all_is_for_both_of_two_with_one_address() {
    let at_one_address =
        || Config { advertised: Some(Address::new("both:1")), ..Config::default() };
    let mut mesh = Mesh::linked(1);
    let first = mesh.add_linked(at_one_address(), &[0]);
    mesh.run(1500);
    mesh.hold(0, first);
    mesh.set(0, "x", "1");
    let wait = mesh.wait_for(0, Need::All);
    mesh.add_linked(at_one_address(), &[0]);
    mesh.run(1500);
    assert_eq!(replicated(&mesh, 0), None);
    mesh.release(0, first);
    mesh.run(1500);
    assert_eq!(replicated(&mesh, 0), Some((wait, 2)));
}

#[test]
fn a_question_that_is_lost_with_its_link_is_asked_again() {
    let mut mesh = Mesh::linked(2);
    mesh.hold(0, 1);
    mesh.set(0, "x", "1");
    let wait = mesh.wait_for(0, Need::Count(1));
    mesh.cut(0, 1);
    mesh.link(0, 1);
    mesh.run(200);
    assert_eq!(replicated(&mesh, 0), Some((wait, 1)));
}

#[test]
fn digests_tell_too() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "x", "1");
    mesh.run(1500);
    let wait = mesh.wait_for(0, Need::All);
    assert_eq!(replicated(&mesh, 0), Some((wait, 1)), "it is known, and nobody is asked");
    assert!(!mesh.under_way(0, 1).contains(&Kind::Confirm));
}

#[test]
fn nobody_can_claim_what_was_not_written() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "x", "1");
    let told = message::encode(Kind::Confirmed, &Confirm { counter: 2 });
    let link = mesh.links_between(0, 1)[0];
    mesh.receive(0, link, told.slice(4..));
    assert!(!mesh.is_linked(0, 1), "that was no message");
}

#[test]
fn how_a_peer_stands() {
    let mut mesh = Mesh::linked(2);
    mesh.run(2500);
    let same = Standing { rtt_ms: Some(0), lag: 0, same_context: true, same_hash: Some(true) };
    assert_eq!(mesh.standing(0, 1), Some(same));
    mesh.set(0, "x", "1");
    mesh.set(0, "y", "1");
    let behind = Standing { lag: 2, same_context: false, same_hash: None, ..same };
    assert_eq!(mesh.standing(0, 1), Some(behind));
    mesh.run(2500);
    assert_eq!(mesh.standing(0, 1), Some(same));
    mesh.set(1, "z", "1");
    mesh.deliver();
    assert_eq!(mesh.standing(1, 0).map(|standing| standing.lag), Some(1));
    mesh.cut(0, 1);
    assert_eq!(mesh.standing(0, 1), None);
}

#[test]
fn the_way_is_measured_less_what_the_peer_took() {
    let mut mesh = Mesh::linked(2);
    for _ in 0..8 {
        mesh.wait(100);
        mesh.hold(0, 1);
        mesh.run(300);
        mesh.release(0, 1);
        mesh.deliver();
    }
    let rtt = mesh.standing(0, 1).and_then(|standing| standing.rtt_ms);
    assert!(rtt.is_some_and(|ms| ms <= 600), "{rtt:?}: 300 ms at most each way");
}

// ---- what observers are told

/// What is told, as `path=value` and whether it was this node alone.
fn told(mesh: &mut Mesh, node: usize, observer: u32) -> Vec<(String, bool)> {
    let changes = mesh.take_changes(node, observer);
    assert!(!changes.skipped && !changes.more);
    let told = changes.changes.into_iter().map(|change| {
        (format!("{}={}", change.path.join("."), change.json.as_deref().unwrap_or("-")), change.own)
    });
    told.collect()
}

fn told_as(changes: &[(&str, bool)]) -> Vec<(String, bool)> {
    changes.iter().map(|&(change, own)| (change.to_owned(), own)).collect()
}

#[test]
fn an_observer_is_told_places_with_the_value_of_the_moment() {
    let mut mesh = Mesh::linked(2);
    let all = mesh.observe(0, "");
    let users = mesh.observe(0, "users");
    mesh.set(0, "users.a", "1");
    assert_eq!(told(&mut mesh, 0, users), told_as(&[("users={\"a\":1}", true)]));
    mesh.set(0, "users.a", "2");
    mesh.deliver();
    mesh.set(1, "users.b.c", "3");
    mesh.set(1, "other", "4");
    mesh.deliver();
    let expected = [("users.a=2", true), ("users.b={\"c\":3}", false)];
    assert_eq!(told(&mut mesh, 0, users), told_as(&expected));
    let expected = [("other=4", false), ("users={\"a\":2,\"b\":{\"c\":3}}", false)];
    assert_eq!(told(&mut mesh, 0, all), told_as(&expected));
    mesh.increment(0, "users.b.c", 1.0);
    mesh.delete(1, "users.a");
    mesh.deliver();
    let expected = [("users.a=-", false), ("users.b.c=4", true)];
    assert_eq!(told(&mut mesh, 0, users), told_as(&expected));
    mesh.delete(0, "users");
    assert_eq!(told(&mut mesh, 0, users), told_as(&[("users=-", true)]));
    assert_eq!(told(&mut mesh, 0, users), []);
}

#[test]
fn an_observer_of_a_place_within_is_told_of_writes_above() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "a.b.c", "1");
    let deep = mesh.observe(0, "a.b.c");
    mesh.set(0, "a", r#"{"b":{"c":2,"d":3}}"#);
    assert_eq!(told(&mut mesh, 0, deep), told_as(&[("a.b.c=2", true)]));
    mesh.set(0, "a.b.d", "4");
    assert_eq!(told(&mut mesh, 0, deep), told_as(&[("a.b.c=2", true)]), "it was one value");
    mesh.set(0, "a.b.d", "5");
    mesh.set(0, "a.x", "5");
    assert_eq!(told(&mut mesh, 0, deep), []);
}

#[test]
fn elements_of_arrays_are_told_with_all_of_the_array() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "list", "[1,2]");
    let list = mesh.observe(0, "list");
    mesh.set(0, "list.3", "4");
    assert_eq!(told(&mut mesh, 0, list), told_as(&[("list=[1,2,null,4]", true)]));
}

#[test]
fn a_feed_tells_what_is_different_and_nothing_else() {
    let mut mesh = Mesh::linked(2);
    for n in 0..50 {
        mesh.set(0, &format!("tree.k{n}"), "1");
    }
    mesh.run(1500);
    let tree = mesh.observe(1, "tree");
    mesh.cut(0, 1);
    mesh.set(0, "tree.k7", "2");
    mesh.delete(0, "tree.k8");
    mesh.link(0, 1);
    mesh.run(1500);
    let expected = [("tree.k7=2", false), ("tree.k8=-", false)];
    assert_eq!(told(&mut mesh, 1, tree), told_as(&expected));
    mesh.assert_converged();
}

#[test]
fn news_of_an_observer_ring_once_until_they_are_taken() {
    let mut mesh = Mesh::linked(2);
    let observer = mesh.observe(0, "a");
    let rings = |mesh: &Mesh| mesh.events(0).iter().filter(|e| **e == Event::Touched).count();
    for n in 0..5 {
        mesh.set(1, "a", &n.to_string());
        mesh.deliver();
    }
    assert_eq!((rings(&mesh), mesh.take_observers(0)), (1, vec![observer]));
    mesh.set(1, "a", "5");
    mesh.deliver();
    assert_eq!((rings(&mesh), mesh.take_observers(0)), (1, vec![]), "it has not taken anything");
    assert_eq!(told(&mut mesh, 0, observer), told_as(&[("a=5", false)]));
    mesh.set(1, "a", "6");
    mesh.deliver();
    assert_eq!((rings(&mesh), mesh.take_observers(0)), (2, vec![observer]));
    assert_eq!(told(&mut mesh, 0, observer), told_as(&[("a=6", false)]));

    mesh.set(1, "a", "7");
    mesh.deliver();
    mesh.take_touched(0);
    mesh.set(1, "a", "8");
    mesh.deliver();
    assert_eq!(rings(&mesh), 3, "it was told, and has not taken the observers");
    mesh.stop_observing(0, observer);
    assert!(mesh.take_observers(0).is_empty());

    let other = mesh.observe(0, "a");
    mesh.set(1, "a", "9");
    mesh.deliver();
    mesh.take_touched(0);
    mesh.stop_observing(0, other);
    let third = mesh.observe(0, "a");
    mesh.set(1, "a", "10");
    mesh.deliver();
    assert_eq!((rings(&mesh), mesh.take_observers(0)), (5, vec![third]));
}

// ---- pages

#[test]
fn pages_of_members_split_or_whole() {
    let mut mesh = Mesh::new(1);
    mesh.set(0, "whole", r#"{"c":3,"a":1,"b":{"x":2}}"#);
    for name in ["c", "a", "b", "gone"] {
        mesh.set(0, &format!("split.{name}"), "1");
    }
    mesh.delete(0, "split.gone");
    mesh.set(0, "list", "[0,1,2]");
    mesh.set(0, "list.10", "10");
    let pages = |mesh: &mut Mesh, path: &str, max: usize| {
        let (mut pages, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = mesh.page(0, path, after.as_deref(), max).unwrap();
            let names: Vec<String> = page.members.iter().map(|(name, _)| name.clone()).collect();
            after = names.last().cloned();
            pages.push(names.join(" "));
            if !page.more {
                return pages;
            }
        }
    };
    for path in ["whole", "split"] {
        assert_eq!(pages(&mut mesh, path, 2), ["a b", "c"]);
        assert_eq!(pages(&mut mesh, path, 3), ["a b c"]);
        assert_eq!(mesh.count(0, path), Some(3));
    }
    assert_eq!(pages(&mut mesh, "list", 3), ["0 1 2", "10"]);
    assert_eq!(mesh.count(0, "list"), Some(11));
    assert_eq!(mesh.page(0, "whole", Some("b"), 9).unwrap().members, [("c".into(), "3".into())]);
    assert_eq!(mesh.page(0, "whole", Some("aa"), 1).unwrap().members[0].1, r#"{"x":2}"#);
    for path in ["whole.a", "nothing", "list.5"] {
        assert_eq!((mesh.page(0, path, None, 9), mesh.count(0, path)), (None, None), "{path}");
    }
}
