//! What a cluster promises, one behaviour a test, through real engines and frames in memory.

mod mesh;

use collective_io::engine::wire::message::Kind;
use collective_io::engine::{CloseReason, Config, Event, Limits, WarningCode};
use mesh::Mesh;

#[test]
fn of_concurrent_sets_the_latest_is_shown_everywhere() {
    let mut mesh = Mesh::linked(3);
    mesh.set(0, "x", "0");
    mesh.wait(1);
    mesh.set(1, "x", "1");
    mesh.wait(1);
    mesh.set(2, "x", "2");
    mesh.run(1500);
    mesh.assert_all_read("x", "2");
    mesh.assert_converged();
}

#[test]
fn a_child_survives_the_concurrent_set_of_its_parent() {
    let mut mesh = Mesh::linked(3);
    mesh.set(0, "user.name", "\"Ada\"");
    mesh.deliver();
    mesh.set(0, "user", r#"{"age":36}"#);
    mesh.set(1, "user.email", "\"a@b\"");
    mesh.run(1500);
    mesh.assert_all_read("user", r#"{"age":36,"email":"a@b"}"#);
    mesh.assert_converged();
}

#[test]
fn what_a_delete_has_not_seen_of_a_counter_stays() {
    let [a, b, c] = [0, 1, 2];
    let mut mesh = Mesh::linked(3);
    mesh.increment(b, "stats.hits", 1.0);
    mesh.deliver();
    mesh.hold(a, b);
    mesh.increment(b, "stats.hits", 10.0);
    mesh.deliver();
    assert_eq!(mesh.read(c, "stats.hits").as_deref(), Some("11"));
    mesh.delete(a, "stats");
    mesh.deliver();
    assert_eq!(mesh.read(c, "stats.hits").as_deref(), Some("10"));
    mesh.release(a, b);
    mesh.run(1500);
    mesh.assert_all_read("stats.hits", "10");
    mesh.assert_converged();
}

#[test]
fn increments_of_all_nodes_count_once() {
    let mut mesh = Mesh::linked(3);
    mesh.set(0, "n", "100");
    mesh.deliver();
    for node in 0..3 {
        for _ in 0..5 {
            mesh.increment(node, "n", 0.5);
        }
    }
    mesh.run(1500);
    mesh.assert_all_read("n", "107.5");
    mesh.assert_converged();
}

#[test]
fn a_set_beats_a_concurrent_delete_above_it() {
    let mut mesh = Mesh::linked(3);
    mesh.set(0, "a.b", "1");
    mesh.set(0, "a.c", "1");
    mesh.deliver();
    mesh.set(0, "a.b", "2");
    mesh.wait(10);
    mesh.delete(1, "a");
    mesh.run(1500);
    mesh.assert_all_read("a", r#"{"b":2}"#);
    mesh.assert_converged();
}

#[test]
fn a_deleted_key_can_be_used_again_at_once() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "k", "1");
    mesh.deliver();
    mesh.delete(1, "k");
    mesh.set(1, "k", "2");
    mesh.run(1500);
    mesh.assert_all_read("k", "2");
    mesh.delete(0, "k");
    mesh.increment(0, "k", 3.0);
    mesh.run(1500);
    mesh.assert_all_read("k", "3");
    mesh.assert_converged();
}

#[test]
fn a_late_joiner_gets_everything() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "a", r#"{"b":[1,{"c":null}]}"#);
    mesh.deliver();
    mesh.set(1, "a.b.1.c", "true");
    mesh.increment(1, "n", 2.0);
    mesh.set(0, "gone", "1");
    mesh.deliver();
    mesh.delete(1, "gone");
    let late = mesh.add(Config::default());
    mesh.link(late, 0);
    mesh.run(1500);
    mesh.assert_all_read("", r#"{"a":{"b":[1,{"c":true}]},"n":2}"#);
    assert_eq!(mesh.stats(late).writes_remote, 0, "all of it came as state");
    assert!(mesh.events(late).contains(&Event::Ready));
    mesh.assert_converged();
}

#[test]
fn a_chain_converges() {
    let [a, b, c] = [0, 1, 2];
    let mut mesh = Mesh::new(3);
    mesh.link(a, b);
    mesh.link(b, c);
    mesh.run(1500);
    let pulls = mesh.stats(c).pulls;
    mesh.set(a, "from.a", "1");
    mesh.set(c, "from.c", "1");
    mesh.deliver();
    mesh.assert_all_read("from", r#"{"a":1,"c":1}"#);
    assert_eq!(mesh.stats(c).pulls, pulls, "the middle has passed the writes on");
    mesh.run(1500);
    mesh.assert_converged();
}

#[test]
fn an_overflowed_queue_is_repaired_by_a_feed() {
    let config = Config { queue_bytes_max: 4096, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 2]);
    mesh.link_all();
    mesh.hold(0, 1);
    for n in 0..500 {
        mesh.set(0, &format!("k.{}", n % 10), &n.to_string());
    }
    assert_eq!(mesh.stats(0).overflows, 1);
    mesh.release(0, 1);
    mesh.run(1500);
    assert!(mesh.stats(1).writes_remote < 500, "superseded writes were not sent");
    assert_eq!(mesh.read(1, "k.9").as_deref(), Some("499"));
    mesh.assert_converged();
}

#[test]
fn one_can_read_and_write_while_a_feed_is_merged() {
    let [a, b] = [0, 1];
    let mut mesh = Mesh::new(2);
    for n in 0..2000 {
        mesh.set(a, &format!("k{n}.x"), "1");
        mesh.increment(a, &format!("k{n}.n"), 1.0);
    }
    mesh.set(b, "k5.y", "2");
    mesh.link(a, b);
    mesh.deliver();
    assert!(mesh.is_merging(b));
    assert_eq!(mesh.read(b, "k1999.x").as_deref(), Some("1"), "read before its turn");
    mesh.delete(b, "k1998");
    mesh.increment(b, "k1997.n", 1.0);
    mesh.set(b, "k1996", "\"new\"");
    mesh.set(a, "k1995", "\"from a\"");
    assert!(mesh.is_merging(b));
    mesh.run(2500);
    mesh.assert_all_read("k1998", None);
    mesh.assert_all_read("k1997", r#"{"n":2,"x":1}"#);
    mesh.assert_all_read("k1996", "\"new\"");
    mesh.assert_all_read("k1995", "\"from a\"");
    mesh.assert_all_read("k5", r#"{"n":1,"x":1,"y":2}"#);
    mesh.assert_converged();
}

#[test]
fn a_clock_an_hour_ahead_does_not_spoil_other_keys() {
    let [ahead, early, late] = [0, 1, 2];
    let mut mesh = Mesh::linked(3);
    mesh.set_wall_ahead(ahead, 3_600_000);
    mesh.set(ahead, "a", "1");
    mesh.deliver();
    assert_eq!(mesh.stats(early).clock_skews, 1);
    // Seen, so it is beaten, whatever the clocks say.
    mesh.set(early, "a", "2");
    mesh.deliver();
    mesh.assert_all_read("a", "2");
    // Neither writer was dragged along: elsewhere the later write wins.
    mesh.hold(early, late);
    mesh.set(early, "c", "\"early\"");
    mesh.wait(700);
    mesh.set(late, "c", "\"later\"");
    mesh.release(early, late);
    mesh.run(1500);
    mesh.assert_all_read("c", "\"later\"");
    mesh.assert_converged();
}

#[test]
fn a_node_away_for_long_brings_no_deleted_key_back() {
    // Few removals remembered: what was deleted is known by what is not in the full feed.
    for removals_max in [65_536, 3] {
        let config = Config { removals_max, ..Config::default() };
        let mut mesh = Mesh::with(vec![config; 3]);
        mesh.link_all();
        for n in 0..40 {
            mesh.set(0, &format!("list.{n}"), "{}");
        }
        mesh.set(0, "keep", "1");
        mesh.deliver();
        mesh.cut(2, 0);
        mesh.cut(2, 1);
        mesh.run(3_600_000);
        mesh.set(2, "list.7.mine", "1");
        mesh.set(2, "away", "1");
        for n in 0..40 {
            mesh.delete(n % 2, &format!("list.{n}"));
        }
        mesh.run(3_600_000);
        mesh.link(2, 1);
        mesh.run(3000);
        mesh.assert_all_read("", r#"{"away":1,"keep":1,"list":{"7":{"mine":1}}}"#);
        mesh.assert_converged();
    }
}

#[test]
fn a_value_of_a_mebibyte_travels() {
    let mut mesh = Mesh::linked(2);
    let json = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    mesh.set(0, "big", &json);
    mesh.deliver();
    assert_eq!(mesh.read(1, "big").map(|read| read.len()), Some(1 << 20));
    let late = mesh.add(Config::default());
    mesh.link(late, 1);
    mesh.run(1500);
    assert_eq!(mesh.read(late, "big"), Some(json));
    mesh.assert_converged();
}

#[test]
fn equal_contexts_give_equal_hashes_whichever_way_the_writes_came() {
    let [a, b, pushed, fed] = [0, 1, 2, 3];
    let mut mesh = Mesh::new(4);
    mesh.link(a, b);
    mesh.link(a, pushed);
    mesh.link(b, pushed);
    mesh.deliver();
    mesh.set(a, "o", r#"{"p":{"q":1},"r":[1,2,3]}"#);
    mesh.set(b, "o.p", "5");
    mesh.increment(a, "n", 0.1);
    mesh.increment(b, "n", 0.2);
    mesh.deliver();
    mesh.set(b, "o.r.5", "6");
    mesh.delete(a, "o.p");
    mesh.deliver();
    mesh.link(fed, a);
    mesh.run(1500);
    assert_eq!(mesh.context(pushed), mesh.context(fed));
    assert_eq!(mesh.hash(pushed), mesh.hash(fed));
    mesh.assert_converged();
}

#[test]
fn limits_that_differ_are_refused() {
    let limits = Limits { depth_max: 65, ..Limits::default() };
    let mut mesh = Mesh::with(vec![Config::default(), Config { limits, ..Config::default() }]);
    mesh.link(0, 1);
    mesh.run(100);
    assert!(!mesh.is_linked(0, 1));
    let told =
        |event: &Event| matches!(event, Event::Warning { code: WarningCode::IncompatiblePeer, .. });
    assert!(mesh.events(0).iter().chain(mesh.events(1)).any(told));
    assert_eq!(mesh.stats(0).peers + mesh.stats(1).peers, 0);
}

#[test]
fn a_goodbye_ends_the_link_and_what_was_written_before_arrives() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "last", "1");
    mesh.leave(0);
    assert_eq!(mesh.read(1, "last").as_deref(), Some("1"));
    let left = |event: &Event| matches!(event, Event::PeerDown { reason: CloseReason::Left, .. });
    assert!(mesh.events(1).iter().any(left));
}

/// Two nodes that know each other, and not yet where the other stands.
fn before_the_first_word(config: Config) -> Mesh {
    let mut mesh = Mesh::with(vec![config; 2]);
    mesh.link(0, 1);
    mesh.deliver_hellos();
    mesh
}

#[test]
fn what_is_written_before_a_peer_has_said_anything_follows_its_first_word() {
    let mut mesh = before_the_first_word(Config::default());
    mesh.set(0, "x", "1");
    assert!(!mesh.under_way(0, 1).contains(&Kind::Writes));
    mesh.deliver();
    assert_eq!(mesh.read(1, "x").as_deref(), Some("1"));
    assert_eq!(mesh.stats(1).pulls, 0);
    mesh.assert_converged();
}

#[test]
fn what_is_written_before_a_peer_has_said_anything_goes_ahead_of_the_goodbye() {
    let mut mesh = before_the_first_word(Config::default());
    mesh.set(0, "x", "1");
    mesh.wait(0);
    mesh.begin_batch(0);
    mesh.set(0, "y", "2");
    mesh.leave(0);
    mesh.deliver();
    assert_eq!(mesh.read(1, "").as_deref(), Some(r#"{"x":1,"y":2}"#));
    assert_eq!(mesh.stats(1).pulls, 0);
}

#[test]
fn no_more_is_kept_for_a_peer_that_says_nothing_than_may_be_queued_for_it() {
    let config = Config { queue_bytes_max: 4096, ..Config::default() };
    let mut mesh = before_the_first_word(config);
    for n in 0..500 {
        mesh.set(0, &format!("k.{}", n % 10), &n.to_string());
    }
    mesh.run(1500);
    assert!(mesh.stats(1).writes_remote < 500, "superseded writes were not sent");
    assert_eq!(mesh.read(1, "k.9").as_deref(), Some("499"));
    mesh.assert_converged();
}

/// The sum that its writer had come to step by step is shown until then, the exact one afterwards.
#[test]
fn who_observes_a_counter_is_told_when_its_writer_is_folded() {
    let mut mesh = Mesh::linked(2);
    for by in [0.1, 0.2, 0.3] {
        mesh.increment(1, "n", by);
    }
    mesh.run(1500);
    assert_eq!(mesh.read(0, "n"), Some((0.1 + 0.2 + 0.3).to_string()));
    let observer = mesh.observe(0, "n");
    mesh.take_changes(0, observer);
    mesh.leave(1);
    mesh.run(200_000);
    assert_eq!(mesh.stats(0).folds, 1);
    let told = mesh.take_changes(0, observer).changes;
    assert_eq!(
        told.last().map(|change| change.json.as_deref()),
        Some(mesh.read(0, "n").as_deref())
    );
    assert_eq!(mesh.read(0, "n").as_deref(), Some("0.6"));
}

#[test]
fn a_forgotten_node_makes_again_what_nobody_has_seen() {
    let config = Config { forget_after_ms: 60_000, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 3]);
    mesh.link_all();
    mesh.set(2, "seen", "1");
    mesh.increment(2, "n", 1.0);
    mesh.run(1500);
    mesh.cut(2, 0);
    mesh.cut(2, 1);
    mesh.run(1500);
    mesh.increment(2, "n", 10.0);
    mesh.set(2, "unseen.x", "2");
    mesh.delete(2, "seen");
    mesh.set(0, "seen", "3");
    mesh.run(100_000);
    assert!(mesh.stats(0).folds + mesh.stats(1).folds > 0, "it was folded");
    mesh.link(2, 0);
    mesh.run(100);
    assert_eq!(mesh.stats(2).rejoins, 1);
    mesh.link_again(&[(0, 2), (1, 2)]);
    mesh.run(3000);
    mesh.assert_all_read("", r#"{"n":11,"seen":3,"unseen":{"x":2}}"#);
    mesh.assert_converged();
}

#[test]
fn nodes_that_were_alone_for_long_have_not_forgotten_each_other() {
    let config = Config { forget_after_ms: 60_000, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 3]);
    mesh.link_all();
    mesh.set(0, "a", "1");
    mesh.run(1500);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        mesh.cut(a, b);
    }
    for node in 0..3 {
        mesh.increment(node, "n", 1.0);
    }
    mesh.delete(1, "a");
    mesh.run(600_000);
    mesh.link(0, 1);
    mesh.run(10_000);
    mesh.link(1, 2);
    mesh.run(3000);
    mesh.assert_all_read("", r#"{"n":3}"#);
    assert!((0..3).all(|node| mesh.stats(node).rejoins == 0));
    mesh.assert_converged();
}

#[test]
fn a_feed_arrives_over_a_link_that_is_slower_than_patience() {
    let mut mesh = Mesh::new(3);
    mesh.set(0, "k", "1");
    mesh.link(0, 1);
    mesh.link(1, 2);
    // An answer takes 3 s, a digest comes soon enough for nobody to be lost.
    for _ in 0..30 {
        mesh.wait_on_the_way(1500);
    }
    mesh.assert_all_read("k", "1");
    assert!((1..3).all(|node| mesh.stats(node).pulls < 6));
}
