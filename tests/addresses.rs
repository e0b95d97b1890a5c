//! How nodes come to know and reach each other, through real engines and frames in memory.

mod mesh;

use std::collections::BTreeMap;

use bytes::Bytes;
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{self, Addresses, Digest, Hello, Kind, WhoIs};
use collective_io::engine::{
    Address, CloseReason, Command, Config, Engine, Event, Input, LinkId, NodeId, Now, Output,
    Profile, ReplicaId, WarningCode,
};
use mesh::Mesh;

const MINUTE_MS: u64 = 60_000;

/// Where a node of a mesh listens.
fn at(node: usize) -> String {
    format!("10.0.0.{node}:1")
}

fn learner() -> Config {
    Config { learn_addresses: true, ..Config::default() }
}

fn listener(node: usize) -> Config {
    Config { advertised: Some(Address::new(at(node))), ..learner() }
}

/// Nodes that listen and learn, each told of node 0 alone.
fn around_a_seed(nodes: usize) -> Mesh {
    let mut mesh = Mesh::with((0..nodes).map(listener).collect());
    for node in 1..nodes {
        mesh.connect(node, &at(0), false);
    }
    mesh
}

fn ups(mesh: &Mesh, node: usize) -> usize {
    mesh.events(node).iter().filter(|event| matches!(event, Event::PeerUp { .. })).count()
}

fn last_reason(mesh: &Mesh, node: usize) -> Option<CloseReason> {
    mesh.events(node).iter().rev().find_map(|event| match event {
        Event::PeerDown { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

fn failed_connects(mesh: &Mesh, node: usize) -> Vec<String> {
    let code = |event: &Event| match event {
        Event::ConnectFailed { code, .. } => Some(code.clone()),
        _ => None,
    };
    mesh.events(node).iter().filter_map(code).collect()
}

// ---- one machine

/// Three nodes of one machine that know each other's addresses; the third has written.
fn one_machine() -> Mesh {
    let mut mesh = around_a_seed(3);
    mesh.one_machine = true;
    for node in 0..3 {
        mesh.listen(node, &at(node));
    }
    mesh.run(3_000);
    mesh.increment(2, "n", 1.0);
    mesh.set(2, "x", "2");
    mesh.run(1_500);
    mesh
}

#[test]
fn who_vanishes_from_an_address_of_this_machine_is_folded_soon() {
    let mut mesh = one_machine();
    mesh.stop_listening(&at(2));
    for other in [0, 1] {
        mesh.cut(2, other);
    }
    mesh.stop(2);
    mesh.run(20_000);
    for node in 0..2 {
        assert_eq!(mesh.stats(node).folds, 1);
        assert_eq!(mesh.read(node, "").as_deref(), Some(r#"{"n":1,"x":2}"#));
    }
    let dials = mesh.dials(0, &at(2));
    mesh.run(60_000);
    assert_eq!(mesh.dials(0, &at(2)), dials, "nobody is there");
}

/// It is folded as if its process had ended, which loses nothing: it begins again.
#[test]
fn who_lives_though_its_address_is_vacant_makes_again_what_it_wrote_alone() {
    let mut mesh = one_machine();
    for node in 0..3 {
        mesh.stop_listening(&at(node));
    }
    for other in [0, 1] {
        mesh.cut(2, other);
    }
    mesh.increment(2, "n", 10.0);
    mesh.set(2, "y", "3");
    mesh.increment(0, "n", 100.0);
    mesh.run(20_000);
    assert_eq!(
        [0, 1, 2].map(|node| mesh.stats(node).folds),
        [1, 1, 0],
        "who is alone folds nobody"
    );
    for node in 0..3 {
        mesh.listen(node, &at(node));
    }
    mesh.run(20_000);
    assert_eq!([0, 1, 2].map(|node| mesh.stats(node).rejoins), [0, 0, 1]);
    mesh.assert_all_read("", r#"{"n":111,"x":2,"y":3}"#);
    mesh.assert_converged();
}

/// A connection that breaks says nothing of the process: its address answers.
#[test]
fn who_is_lost_is_dialled_by_the_one_that_it_had_dialled() {
    let mut mesh = Mesh::with(vec![listener(0), listener(1)]);
    mesh.listen(1, &at(1));
    mesh.link(1, 0);
    mesh.run(1_500);
    assert_eq!(mesh.dials(0, &at(1)), 0);
    mesh.cut(1, 0);
    mesh.run(10_000);
    assert!(mesh.is_linked(0, 1), "{} dials", mesh.dials(0, &at(1)));
}

/// The end of a process is known by the next one at its address, even if that says hello first.
#[test]
fn who_is_replaced_before_its_link_breaks_is_found_to_have_ended() {
    let mut mesh = Mesh::with(vec![listener(0), listener(1)]);
    mesh.link(0, 1);
    mesh.run(1_500);
    mesh.increment(1, "n", 1.0);
    mesh.run(1_500);
    let next = mesh.add_linked(listener(1), &[0]);
    mesh.deliver();
    mesh.stop(1);
    mesh.cut(0, 1);
    mesh.run(20_000);
    for node in [0, next] {
        assert_eq!(mesh.stats(node).folds, 1);
        assert_eq!(mesh.read(node, "n").as_deref(), Some("1"));
    }
}

/// One writes, and is gone together with the only one that has met it.
#[test]
fn whom_others_alone_have_met_is_found_to_have_ended() {
    let mut mesh = Mesh::with((0..3).map(listener).collect());
    mesh.link(0, 1);
    mesh.link(1, 2);
    mesh.run(1_500);
    mesh.increment(2, "n", 1.0);
    mesh.deliver();
    for node in [1, 2] {
        mesh.stop(node);
    }
    mesh.cut(1, 2);
    mesh.cut(0, 1);
    for node in [1, 2] {
        mesh.add_linked(listener(node), &[0]);
    }
    mesh.run(30_000);
    assert_eq!(mesh.stats(0).folds, 1);
    assert_eq!(mesh.read(0, "n").as_deref(), Some("1"));
}

/// Two at one address: the second, whom nobody has to take for the end of the first.
#[test]
fn who_is_alive_has_not_ended_though_another_has_its_address() {
    let mut mesh = Mesh::with(vec![listener(0), listener(1), listener(1)]);
    mesh.link(0, 1);
    mesh.link(1, 2);
    mesh.run(1_500);
    mesh.increment(2, "n", 1.0);
    mesh.run(30_000);
    assert_eq!([0, 1, 2].map(|node| mesh.stats(node).folds), [0, 0, 0]);
    mesh.assert_all_read("n", "1");
}

// ---- learning

#[test]
fn one_seed_makes_a_full_mesh() {
    let mut mesh = around_a_seed(5);
    mesh.run(2500);
    for a in 0..5 {
        for b in 0..a {
            assert_eq!(mesh.links_between(a, b).len(), 1, "{a} and {b}");
        }
        assert_eq!(ups(&mesh, a), 4, "node {a}");
    }
    mesh.run(10_000);
    for a in 1..5 {
        for b in (0..5).filter(|&b| b != a) {
            assert!(mesh.dials(a, &at(b)) <= 1, "{a} has dialled {b} again");
        }
    }
}

#[test]
fn who_does_not_learn_dials_what_it_was_given() {
    let mut mesh = Mesh::with(
        (0..3).map(|node| Config { learn_addresses: false, ..listener(node) }).collect(),
    );
    mesh.connect(1, &at(0), false);
    mesh.connect(2, &at(0), false);
    mesh.run(5000);
    assert!(mesh.is_linked(0, 1) && mesh.is_linked(0, 2) && !mesh.is_linked(1, 2));
}

#[test]
fn a_node_that_does_not_listen_reaches_all_that_do() {
    let mut mesh = around_a_seed(3);
    let silent = [mesh.add(learner()), mesh.add(learner())];
    for node in silent {
        mesh.connect(node, &at(0), false);
    }
    mesh.run(3000);
    for node in silent {
        assert!((0..3).all(|other| mesh.is_linked(node, other)));
    }
    assert!(!mesh.is_linked(silent[0], silent[1]), "nobody can dial");
}

#[test]
fn of_two_that_learn_each_other_one_dials() {
    let mut mesh = around_a_seed(3);
    mesh.run(5000);
    assert_eq!(mesh.dials(1, &at(2)) + mesh.dials(2, &at(1)), 1);
    let dialler = if mesh.id(1) < mesh.id(2) { 1 } else { 2 };
    assert_eq!(mesh.dials(dialler, &at(3 - dialler)), 1);
}

#[test]
fn who_cannot_be_dialled_back_is_dialled_by_the_other_in_the_end() {
    let mut mesh = around_a_seed(3);
    let waits = if mesh.id(1) < mesh.id(2) { 2 } else { 1 };
    // The one that is to dial at once has nothing to dial: the address it is told leads nowhere.
    mesh.set_advertised(waits, Some("10.9.9.9:9"));
    mesh.run(5000);
    assert!(mesh.is_linked(1, 2));
    assert_eq!(mesh.dials(waits, &at(3 - waits)), 1);
}

#[test]
fn what_leads_to_nobody_is_forgotten_ten_minutes_after_the_loss() {
    let mut mesh = around_a_seed(3);
    mesh.run(3000);
    mesh.stop(2);
    mesh.run(9 * MINUTE_MS);
    let before = mesh.dials(1, &at(2));
    mesh.run(MINUTE_MS / 2);
    assert!(mesh.dials(1, &at(2)) > before, "still dialled");
    mesh.run(MINUTE_MS);
    let before = mesh.dials(1, &at(2));
    mesh.run(5 * MINUTE_MS);
    assert_eq!(mesh.dials(1, &at(2)), before);
    assert!(mesh.dials(1, &at(0)) == 1 && mesh.is_linked(0, 1));
}

#[test]
fn a_given_address_is_never_forgotten_learned_or_not() {
    let mut mesh = around_a_seed(3);
    mesh.run(3000);
    mesh.connect(1, &at(2), false);
    mesh.stop(2);
    mesh.run(15 * MINUTE_MS);
    let before = mesh.dials(1, &at(2));
    mesh.run(MINUTE_MS);
    assert!(mesh.dials(1, &at(2)) > before);
}

#[test]
fn a_goodbye_forgets_at_once() {
    let mut mesh = around_a_seed(4);
    mesh.run(3000);
    let dials = |mesh: &Mesh| (0..3).map(|node| mesh.dials(node, &at(3))).sum::<usize>();
    let before = dials(&mesh);
    mesh.leave(3);
    mesh.stop(3);
    mesh.run(MINUTE_MS);
    assert_eq!(dials(&mesh), before);
}

#[test]
fn a_learned_address_that_leads_to_another_peer_is_dialled_once() {
    // The third says that it listens where in truth the seed does.
    let mut mesh = around_a_seed(2);
    let advertised = Some(Address::new("10.0.0.77:1"));
    let third = mesh.add(Config { advertised, learn_addresses: false, ..learner() });
    mesh.listen(0, "10.0.0.77:1");
    mesh.connect(third, &at(0), false);
    mesh.run(MINUTE_MS);
    assert_eq!(mesh.dials(1, "10.0.0.77:1"), 1);
    assert_eq!(mesh.links_between(0, 1).len(), 1);
}

#[test]
fn a_node_that_comes_to_listen_is_told_of() {
    let mut mesh = around_a_seed(2);
    let late = [mesh.add(learner()), mesh.add(learner())];
    for node in late {
        mesh.connect(node, &at(0), false);
    }
    mesh.run(3000);
    assert!(!mesh.is_linked(late[0], late[1]));
    mesh.listen(late[0], &at(9));
    mesh.set_advertised(late[0], Some(&at(9)));
    mesh.run(3000);
    assert!(mesh.is_linked(late[0], late[1]));
    assert_eq!(mesh.dials(late[1], &at(9)), 1);
}

#[test]
fn a_hello_of_before_is_corrected() {
    let mut mesh = Mesh::with(vec![learner(), learner(), learner()]);
    mesh.link(0, 1);
    mesh.listen(0, &at(0));
    mesh.set_advertised(0, Some(&at(0)));
    mesh.deliver();
    mesh.link(1, 2);
    mesh.run(3000);
    assert!(mesh.is_linked(0, 2));
}

// ---- what a peer may say

#[test]
fn only_what_a_node_says_of_itself_is_passed_on() {
    let mut node = Alone::new(listener(0));
    node.meet(LinkId(1), ReplicaId(1), Some("10.0.0.1:1"));
    node.meet(LinkId(2), ReplicaId(2), None);
    node.meet(LinkId(3), ReplicaId(3), Some("no address"));
    node.meet(LinkId(4), ReplicaId(4), Some("10.0.0.4:0"));
    let ask = |replicas: Vec<u64>| {
        let replicas = replicas.into_iter().map(ReplicaId).collect();
        unframe(&message::encode(Kind::WhoIs, &WhoIs { replicas }))
    };
    node.receive(LinkId(2), ask(vec![1, 2, 3, 4, 5]));
    let sent = node.sent(LinkId(2), Kind::Addresses);
    let told: Addresses<'_> = message::decode(&sent[0]).unwrap();
    assert_eq!(told.known, [(ReplicaId(1), "10.0.0.1:1")]);
    node.receive(LinkId(2), ask(vec![3, 5]));
    assert_eq!(node.sent(LinkId(2), Kind::Addresses).len(), 0);
    node.receive(LinkId(2), ask((0..257).collect()));
    assert!(!node.engine.peers().contains(&ReplicaId(2)), "too much was asked");
}

#[test]
fn an_answer_is_taken_if_it_was_asked_for_and_is_an_address() {
    let mut node = Alone::new(listener(0));
    node.meet(LinkId(1), ReplicaId(1), None);
    let links: Vec<ReplicaId> = (2..600).map(ReplicaId).collect();
    let digest: Digest = Digest { links, ..Digest::default() };
    node.receive(LinkId(1), unframe(&message::encode(Kind::Digest, &digest)));
    let asked = node.sent(LinkId(1), Kind::WhoIs);
    let asked: WhoIs = message::decode(&asked[0]).unwrap();
    assert_eq!(asked.replicas, (2..258).map(ReplicaId).collect::<Vec<_>>());
    let long = format!("{}:1", "h".repeat(300));
    let known = vec![
        (ReplicaId(2), "10.0.0.2:1"),
        (ReplicaId(3), "10.0.0.3"),
        (ReplicaId(4), "10.0.0.4:70000"),
        (ReplicaId(5), ":1"),
        (ReplicaId(6), "a b:1"),
        (ReplicaId(7), &long),
        (ReplicaId(8), "10.0.0.0:1"),
        (ReplicaId(1), "10.0.0.1:1"),
        (ReplicaId(999), "10.0.0.9:1"),
        (ReplicaId(9), "[::1]:65535"),
    ];
    node.receive(LinkId(1), unframe(&message::encode(Kind::Addresses, &Addresses { known })));
    node.wait(2000);
    assert_eq!(node.dialled(), ["10.0.0.2:1", "[::1]:65535"]);
    let known = (0..257).map(|n| (ReplicaId(n), "10.0.0.2:1")).collect();
    node.receive(LinkId(1), unframe(&message::encode(Kind::Addresses, &Addresses { known })));
    assert!(node.engine.peers().is_empty(), "too much was told");
}

#[test]
fn an_address_of_ones_own_is_not_dialled_again_and_told_if_asked_for() {
    for (announce, learned) in [(true, false), (false, false), (false, true)] {
        let mut node = Alone::new(learner());
        let address = Address::new("here:1");
        if learned {
            node.meet(LinkId(9), ReplicaId(1), None);
            let digest: Digest = Digest { links: vec![ReplicaId(2)], ..Digest::default() };
            node.receive(LinkId(9), unframe(&message::encode(Kind::Digest, &digest)));
            let told = Addresses { known: vec![(ReplicaId(2), "here:1")] };
            node.receive(LinkId(9), unframe(&message::encode(Kind::Addresses, &told)));
            node.wait(1000);
        } else {
            let address = address.clone();
            node.input(Input::Command(Command::Connect { address, announce }));
        }
        assert_eq!(node.dialled(), ["here:1"]);
        node.input(Input::Opened { link: LinkId(1), dialled: Some(address.clone()) });
        let hello = node.sent(LinkId(1), Kind::Hello).remove(0);
        node.receive(LinkId(1), hello);
        assert!(node.closed.contains(&(LinkId(1), CloseReason::Oneself)));
        node.wait(1000);
        assert!(node.dialled().is_empty());
        let told = |event: &Event| {
            matches!(event, Event::Warning { code: WarningCode::ConnectedToSelf, .. })
        };
        assert_eq!(node.events.iter().any(told), announce);
        assert!(!node.events.iter().any(|event| matches!(event, Event::ConnectFailed { .. })));
    }
}

// ---- connecting

#[test]
fn the_first_failure_of_an_announced_address_is_told_once() {
    let mut mesh = Mesh::with(vec![learner(), learner()]);
    mesh.connect(0, "10.9.9.9:9", true);
    mesh.connect(1, "10.9.9.9:9", false);
    mesh.run(MINUTE_MS);
    assert_eq!(failed_connects(&mesh, 0), ["ECONNREFUSED"]);
    assert!(failed_connects(&mesh, 1).is_empty());
    assert!(mesh.dials(0, "10.9.9.9:9") > 5);
    mesh.connect(0, "10.9.9.9:9", true);
    mesh.run(MINUTE_MS);
    assert_eq!(failed_connects(&mesh, 0).len(), 2);
}

#[test]
fn a_connection_that_ends_before_a_hello_is_a_failure() {
    let mut mesh = Mesh::with(vec![learner(), Config { cluster: "other".into(), ..listener(1) }]);
    mesh.connect(0, &at(1), true);
    mesh.run(1000);
    let code = &failed_connects(&mesh, 0)[0];
    assert!(["ERR_INCOMPATIBLE_PEER", "ERR_PEER_LOST"].contains(&&**code), "{code}");
    assert_eq!(failed_connects(&mesh, 0).len(), 1);
}

#[test]
fn an_announced_address_that_leads_to_a_peer_is_no_failure() {
    let mut mesh = around_a_seed(2);
    mesh.connect(1, &at(0), true);
    mesh.listen(0, "other:1");
    mesh.connect(1, "other:1", true);
    mesh.run(3000);
    assert!(failed_connects(&mesh, 1).is_empty());
    assert_eq!(mesh.dials(1, "other:1"), 1);
    assert_eq!(mesh.links_between(0, 1).len(), 1);
}

#[test]
fn readiness_does_not_wait_for_learned_addresses() {
    let mut mesh = around_a_seed(2);
    let third = mesh.add(Config { advertised: Some(Address::new("nowhere:1")), ..learner() });
    mesh.connect(third, &at(0), false);
    mesh.run(1);
    assert!(mesh.events(1).contains(&Event::Ready));
}

// ---- dismissal

#[test]
fn a_dismissed_peer_is_not_dialled_by_either_side() {
    for dismisser in [1, 2] {
        let mut mesh = around_a_seed(3);
        // Of another name that leads there the peer says nothing.
        mesh.listen(2, "other:2");
        for address in [&at(2), "other:2"] {
            mesh.connect(1, address, false);
        }
        mesh.run(3000);
        let other = 3 - dismisser;
        let dials =
            |mesh: &Mesh| mesh.dials(1, &at(2)) + mesh.dials(2, &at(1)) + mesh.dials(1, "other:2");
        let before = dials(&mesh);
        mesh.dismiss(dismisser, other);
        mesh.run(MINUTE_MS);
        assert_eq!(last_reason(&mesh, dismisser), Some(CloseReason::Dismissed));
        assert_eq!(last_reason(&mesh, other), Some(CloseReason::Dismissed));
        assert!(!mesh.is_linked(1, 2));
        assert_eq!(dials(&mesh), before);
        // It is no less a member of the cluster.
        mesh.set(1, "still", "1");
        mesh.run(3000);
        mesh.assert_all_read("still", "1");
        mesh.assert_converged();
    }
}

#[test]
fn an_explicit_connect_lifts_a_dismissal() {
    for connector in [1, 2] {
        let mut mesh = around_a_seed(3);
        mesh.run(3000);
        mesh.dismiss(1, 2);
        mesh.run(3000);
        mesh.connect(connector, &at(3 - connector), true);
        mesh.run(3000);
        assert!(mesh.is_linked(1, 2));
        assert!(failed_connects(&mesh, connector).is_empty());
        mesh.cut(1, 2);
        mesh.run(10_000);
        assert!(mesh.is_linked(1, 2), "and for ever");
    }
}

#[test]
fn a_dial_that_was_under_way_does_not_undo_a_dismissal() {
    let mut mesh = around_a_seed(2);
    mesh.run(3000);
    mesh.listen(0, "other:1");
    // Its dial is answered after the dismissal.
    mesh.connect(1, "other:1", true);
    mesh.dismiss(1, 0);
    mesh.run(MINUTE_MS);
    assert!(!mesh.is_linked(0, 1));
    assert_eq!(mesh.dials(1, "other:1"), 1);
    assert!(failed_connects(&mesh, 1).is_empty());
}

// ---- presence

#[test]
fn a_busy_node_says_so_with_every_heartbeat_and_when_it_is_over() {
    let mut mesh = around_a_seed(3);
    mesh.run(3000);
    assert_eq!(mesh.busy_ms(1, 0), 0);
    mesh.set_busy_ms(0, 2500);
    mesh.run(0);
    assert_eq!(mesh.busy_ms(1, 0), 2500);
    mesh.run(700);
    assert_eq!((mesh.busy_ms(1, 0), mesh.busy_ms(2, 0)), (3200, 3200));
    mesh.set_busy_ms(0, 3300);
    mesh.run(200);
    assert_eq!(mesh.busy_ms(1, 0), 3400, "no heartbeat is due");
    mesh.run(200);
    assert_eq!(mesh.busy_ms(1, 0), 3400);
    // Whoever comes later hears of it too.
    let late = mesh.add(learner());
    mesh.connect(late, &at(0), false);
    mesh.run(1000);
    assert!(mesh.busy_ms(late, 0) >= 3300);
    mesh.set_busy_ms(0, 0);
    mesh.deliver();
    assert!([1, 2, late].iter().all(|&node| mesh.busy_ms(node, 0) == 0));
    mesh.set_busy_ms(0, 2600);
    mesh.run(1000);
    mesh.cut(0, 1);
    assert_eq!(mesh.busy_ms(1, 0), 0, "it is no peer");
    let (peer, busy) = (mesh.id(0), |event: &&Event| matches!(event, Event::PeerBusy { .. }));
    let told: Vec<_> = mesh.events(1).iter().filter(busy).cloned().collect();
    assert_eq!(told, [Event::PeerBusy { peer }, Event::PeerBusy { peer }], "once each time");
}

#[test]
fn a_node_says_its_name_and_tags() {
    let tags = [("role".into(), "web".into())].into();
    let profile = Profile { name: "web-1".into(), tags };
    let mut mesh = Mesh::with(vec![Config { profile: profile.clone(), ..listener(0) }, learner()]);
    mesh.connect(1, &at(0), false);
    mesh.run(0);
    let told = |mesh: &Mesh, node: usize| {
        mesh.events(node).iter().find_map(|event| match event {
            Event::PeerUp { profile, .. } => Some(profile.clone()),
            _ => None,
        })
    };
    assert_eq!(told(&mesh, 1), Some(profile));
    assert_eq!(told(&mesh, 0), Some(Profile::default()));
}

// ---- given, and given no more

#[test]
fn an_address_that_is_given_no_more_is_not_dialled_and_its_connection_stays() {
    let mut mesh = Mesh::with(vec![listener(0), learner()]);
    mesh.connect(1, &at(0), false);
    mesh.connect(1, "10.0.0.9:1", false);
    mesh.run(3000);
    assert_eq!(mesh.unreached(1), ["10.0.0.9:1"]);
    mesh.forget(1, "10.0.0.9:1");
    let dials = mesh.dials(1, "10.0.0.9:1");
    mesh.forget(1, &at(0));
    mesh.run(20_000);
    assert_eq!((mesh.dials(1, "10.0.0.9:1"), mesh.unreached(1).len()), (dials, 0));
    assert!(mesh.is_linked(0, 1));
    mesh.cut(0, 1);
    mesh.run(20_000);
    assert!(!mesh.is_linked(0, 1));
}

#[test]
fn ready_with_one_peer_while_another_address_says_nothing() {
    let config = Config { ready_with_one: true, ..learner() };
    let mut mesh = Mesh::with(vec![listener(0)]);
    mesh.set(0, "a", "1");
    mesh.silence("10.0.0.9:1");
    let (one, all) = (config, learner());
    let [one, all] = [one, all].map(|config| mesh.add_told(config, &[&at(0), "10.0.0.9:1"]));
    mesh.run(0);
    let is_ready = |node: usize| mesh.events(node).contains(&Event::Ready);
    assert!(is_ready(one));
    assert!(!is_ready(all), "it waits for the other address");
    assert_eq!(mesh.read(one, "a").as_deref(), Some("1"));
}

// ---- helpers

/// One engine among peers that the test plays.
struct Alone {
    engine: Engine,
    now_ms: u64,
    sent: BTreeMap<LinkId, Vec<Bytes>>,
    dialled: Vec<Address>,
    closed: Vec<(LinkId, CloseReason)>,
    events: Vec<Event>,
}

impl Alone {
    fn new(config: Config) -> Self {
        let now = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
        let mut alone = Alone {
            engine: Engine::new(config, [1; 32], now),
            now_ms: 0,
            sent: BTreeMap::new(),
            dialled: Vec::new(),
            closed: Vec::new(),
            events: Vec::new(),
        };
        alone.wait(0);
        alone
    }

    fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms, wall_ms: 1_750_000_000_000 + self.now_ms }
    }

    /// A peer connects and says hello.
    fn meet(&mut self, link: LinkId, replica: ReplicaId, advertised: Option<&str>) {
        self.input(Input::Opened { link, dialled: None });
        let hello = Hello {
            magic: message::MAGIC,
            major: message::VERSION_MAJOR,
            minor: message::VERSION_MINOR,
            replica,
            node: NodeId(*b"twelve bytes"),
            cluster: "collective",
            advertised,
            limits: (4096, 64, 1 << 20),
        };
        self.receive(link, unframe(&message::encode(Kind::Hello, &hello)));
        assert!(self.engine.peers().contains(&replica));
    }

    fn receive(&mut self, link: LinkId, message: Bytes) {
        self.input(Input::Received { link, message });
    }

    fn input(&mut self, input: Input) {
        self.engine.handle_input(self.now(), input);
        self.drain();
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.engine.handle_timeout(self.now());
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output(self.now()) {
            match output {
                Output::Send { link, frames } => {
                    self.sent.entry(link).or_default().push(unframe(&frames));
                }
                Output::Close { link, reason } => self.closed.push((link, reason)),
                Output::Dial { address } => self.dialled.push(address),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// What was sent of this kind since it was asked last.
    fn sent(&mut self, link: LinkId, kind: Kind) -> Vec<Bytes> {
        let sent = self.sent.remove(&link).unwrap_or_default();
        sent.into_iter().filter(|message| Kind::of(message) == Some(kind)).collect()
    }

    /// What was dialled since it was asked last.
    fn dialled(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dialled).iter().map(Address::to_string).collect()
    }
}

fn unframe(frames: &[u8]) -> Bytes {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.buffer().extend_from_slice(frames);
    decoder.next_message().unwrap().unwrap()
}

// ---- many that come and go

/// One is lost, then many come and go, in the time until it is dialled: that nobody is where it was
/// is found all the same, and not held against those who have said goodbye.
#[test]
fn who_was_lost_among_many_is_found_to_have_ended() {
    const STAYS: LinkId = LinkId(1);
    let goodbye = || unframe(&message::encode_empty(Kind::Goodbye));
    let lost = || CloseReason::Lost("reset".into());
    for many_are_lost in [false, true] {
        let mut node = Alone::new(learner());
        node.meet(STAYS, ReplicaId(1), None);
        node.meet(LinkId(2), ReplicaId(2), Some("127.0.0.1:2"));
        node.input(Input::Closed { link: LinkId(2), reason: lost() });
        for n in 3..2000u64 {
            let link = LinkId(n);
            node.meet(link, ReplicaId(n), Some(&format!("127.0.0.1:{n}")));
            if !many_are_lost || n % 2 == 0 {
                node.receive(link, goodbye());
            }
            node.input(Input::Closed { link, reason: lost() });
        }
        node.wait(1000);
        assert!(node.dialled().iter().any(|address| address == "127.0.0.1:2"));
        node.sent(STAYS, Kind::Digest);
        let address = Address::new("127.0.0.1:2");
        node.input(Input::DialFailed { address, code: "ECONNREFUSED".into(), vacant: true });
        node.wait(2000);
        let digests = node.sent(STAYS, Kind::Digest);
        let told = digests.last().expect("a digest");
        let (told, _): (Digest, _) = message::decode_head(told).expect("a digest");
        assert!(told.dead.contains(&ReplicaId(2)), "{} are dead", told.dead.len());
    }
}

// ---- connections made anew

#[test]
fn a_connection_is_made_anew_without_being_lost() {
    let mut mesh = around_a_seed(2);
    mesh.listen(0, &at(0));
    mesh.run(MINUTE_MS);
    let dials = mesh.dials(1, &at(0));
    mesh.renew(1, 0);
    mesh.set(0, "key", "1");
    mesh.deliver();
    assert_eq!(mesh.dials(1, &at(0)), dials + 1);
    assert_eq!(mesh.links_count(0, 1), 1);
    mesh.set(1, "other", "2");
    mesh.run(MINUTE_MS);
    assert_eq!(mesh.dials(1, &at(0)), dials + 1, "once is enough");
    for node in 0..2 {
        assert_eq!((ups(&mesh, node), last_reason(&mesh, node)), (1, None));
    }
    mesh.assert_converged();
}

#[test]
fn only_the_dialler_makes_a_connection_anew() {
    let mut mesh = around_a_seed(2);
    mesh.listen(0, &at(0));
    mesh.listen(1, &at(1));
    mesh.run(MINUTE_MS);
    let dials = mesh.dials(0, &at(1));
    mesh.renew(0, 1);
    mesh.run(MINUTE_MS);
    assert_eq!((mesh.dials(0, &at(1)), mesh.links_count(0, 1)), (dials, 1));
}

#[test]
fn a_connection_stays_until_another_takes_its_place() {
    let mut mesh = around_a_seed(2);
    mesh.listen(0, &at(0));
    mesh.run(MINUTE_MS);
    mesh.stop_listening(&at(0));
    mesh.renew(1, 0);
    mesh.run(MINUTE_MS);
    assert_eq!((mesh.links_count(0, 1), last_reason(&mesh, 1)), (1, None));
    mesh.listen(0, &at(0));
    let dials = mesh.dials(1, &at(0));
    mesh.run(MINUTE_MS);
    assert_eq!((mesh.dials(1, &at(0)), mesh.links_count(0, 1)), (dials + 1, 1));
}
