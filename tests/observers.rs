//! Who looks on: has the state, is asked for nothing, and is no replica until it writes. And what
//! nodes tell of themselves.

mod mesh;

use collective_io::engine::{
    CatchUp, Config, End, Event, Item, Need, Offer, Outcome, ReplicaId, Status, To,
};
use mesh::Mesh;

const LONG_MS: u64 = 10_000;

fn observer(follows: bool) -> Config {
    Config { observer: true, follows, ..Config::default() }
}

/// Two nodes that are linked, and an observer that is linked with the first.
fn observed(follows: bool) -> Mesh {
    let mut mesh = Mesh::linked(2);
    mesh.add(observer(follows));
    mesh.link(0, 2);
    mesh.deliver();
    mesh.run(3_000);
    mesh
}

fn ups(mesh: &Mesh, node: usize) -> Vec<(ReplicaId, bool)> {
    let ups = mesh.events(node).iter().filter_map(|event| match event {
        Event::PeerUp { peer, observer, .. } => Some((*peer, *observer)),
        _ => None,
    });
    ups.collect()
}

fn is_ready(mesh: &Mesh, node: usize) -> bool {
    mesh.events(node).contains(&Event::Ready)
}

#[test]
fn an_observer_has_the_state_and_is_no_peer() {
    let mut mesh = observed(true);
    assert_eq!(ups(&mesh, 0), [(mesh.id(1), false), (mesh.id(2), true)]);
    assert_eq!(ups(&mesh, 2), [(mesh.id(0), false)]);
    assert_eq!([0, 1, 2].map(|node| mesh.stats(node).peers), [1, 1, 1]);
    assert_eq!([0, 1, 2].map(|node| mesh.stats(node).observers), [1, 0, 0]);
    mesh.set(0, "a", "1");
    mesh.set(1, "b", "2");
    mesh.run(1_000);
    assert_eq!(mesh.read(2, "a").as_deref(), Some("1"));
    assert_eq!(mesh.read(2, "b").as_deref(), Some("2"));
    assert_eq!(mesh.stats(2).replicas, 2);
}

#[test]
fn nobody_asks_an_observer_or_waits_for_it() {
    let mut mesh = observed(true);
    for node in 0..3 {
        mesh.offer(node, Offer::Worker, "w");
        mesh.offer(node, Offer::Event, "e");
    }
    let others = mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    assert_eq!(others.nodes, [mesh.id(1)]);
    let all = mesh.ask(0, To::All, "[]", LONG_MS).unwrap();
    assert!(!all.nodes.contains(&mesh.id(2)));
    assert_eq!(mesh.emit(0, To::Others, "[]").unwrap(), 1);

    mesh.hold(0, 2);
    mesh.set(0, "a", "1");
    let wait = mesh.wait_for(0, Need::All);
    let two = mesh.wait_for(0, Need::Count(2));
    mesh.run(1_000);
    let told = |mesh: &Mesh, wait| {
        let is_of =
            |event: &Event| matches!(event, Event::Replicated { wait: of, .. } if *of == wait);
        mesh.events(0).iter().any(is_of)
    };
    assert!(told(&mesh, wait));
    mesh.release(0, 2);
    mesh.run(1_000);
    assert!(!told(&mesh, two), "an observer keeps nothing for anybody");
}

#[test]
fn an_observer_asks_and_is_answered() {
    for follows in [true, false] {
        let mut mesh = observed(follows);
        mesh.offer(0, Offer::Worker, "w");
        let job = mesh.ask(2, To::Others, "[1]", LONG_MS).unwrap().job;
        mesh.deliver();
        let [Item::Run { run, caller, .. }] = mesh.items(0)[..] else { panic!("no run") };
        assert_eq!(caller, mesh.id(2));
        mesh.answer(0, run, Ok("2"));
        mesh.deliver();
        let node = mesh.id(0);
        let outcome = Outcome::Ok("2".into());
        let expected =
            [Item::Outcome { job, node, outcome }, Item::Ended { job, end: End::Complete }];
        assert_eq!(mesh.items(2), expected);
    }
}

#[test]
fn others_hear_nothing_of_an_observer_until_it_writes() {
    let mut mesh = observed(true);
    mesh.keep_log();
    mesh.run(5_000);
    assert_eq!(mesh.stats(1).replicas, 0);
    let debug = mesh.debug(1);
    let name = format!("{:?}", mesh.id(2));
    assert!(!debug.contains(&name), "{name} in {debug}");

    mesh.set(2, "a", "1");
    mesh.run(2_000);
    mesh.assert_all_read("a", "1");
    assert_eq!([0, 1, 2].map(|node| mesh.stats(node).replicas), [1; 3]);
    mesh.leave(2);
    mesh.run(30_000);
    assert_eq!([0, 1].map(|node| mesh.stats(node).forgotten), [1; 2], "it was folded");
    assert_eq!(mesh.read(1, "a").as_deref(), Some("1"));
}

#[test]
fn an_observer_is_in_nobodys_way_and_folds_nobody() {
    // Whoever of those alive has the lowest id folds, once all of them cover what is folded.
    let mut mesh = Mesh::linked(3);
    let lookers: Vec<usize> = (0..8).map(|n| mesh.add(observer(n % 2 == 0))).collect();
    for &looker in &lookers {
        mesh.link(0, looker);
    }
    mesh.deliver();
    mesh.set(2, "a", "1");
    mesh.run(2_000);
    mesh.leave(2);
    mesh.run(30_000);
    assert_eq!([0, 1].map(|node| mesh.stats(node).forgotten), [1; 2]);
    let lowest = (3..11).map(|node| mesh.id(node)).min();
    assert!(lowest < Some(mesh.id(0).min(mesh.id(1))), "otherwise this shows nothing");
    for &looker in lookers.iter().step_by(2) {
        assert_eq!(mesh.read(looker, "a").as_deref(), Some("1"));
        assert_eq!((mesh.stats(looker).rejoins, mesh.stats(looker).replicas), (0, 1));
        assert_eq!(mesh.stats(looker).forgotten, 1);
    }
}

#[test]
fn one_without_the_state_stays_connected_and_gets_nothing_of_it() {
    let mut mesh = Mesh::new(1);
    let large = format!("\"{}\"", "x".repeat(100_000));
    mesh.set(0, "a", &large);
    mesh.add(observer(false));
    mesh.link(0, 1);
    mesh.deliver();
    mesh.run(1_000);
    assert!(is_ready(&mesh, 1));
    for step in 0..30 {
        mesh.set(0, "b", &step.to_string());
        mesh.run(1_000);
    }
    assert!(mesh.is_linked(0, 1));
    assert_eq!(mesh.read(1, "b"), None);
    assert!(mesh.carried(0, 1) < 20_000, "{} bytes", mesh.carried(0, 1));
}

#[test]
fn a_node_is_ready_whatever_becomes_of_its_observers() {
    let mut mesh = Mesh::new(1);
    mesh.add(observer(false));
    mesh.link(0, 1);
    mesh.deliver();
    mesh.run(100);
    assert!(is_ready(&mesh, 0));
}

#[test]
fn limits_are_compared_with_who_has_the_state() {
    let limits = collective_io::engine::Limits { depth_max: 3, ..Default::default() };
    for follows in [true, false] {
        let mut mesh = Mesh::new(1);
        mesh.add(Config { limits, ..observer(follows) });
        mesh.link(0, 1);
        mesh.deliver();
        assert_eq!(mesh.is_linked(0, 1), !follows);
    }
}

#[test]
fn running_jobs_are_listed() {
    let mut mesh = Mesh::linked(3);
    mesh.offer(1, Offer::Worker, "w");
    let asked = mesh.ask(0, To::All, "[]", LONG_MS).unwrap();
    mesh.deliver();
    mesh.run(100);
    let listed = mesh.running_jobs(0, 10);
    let [running] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((running.job, &*running.name), (asked.job, "w"));
    assert_eq!((running.age_ms, running.remaining_ms), (100, LONG_MS - 100));
    let mut outcomes = running.outcomes.clone();
    outcomes.sort();
    let none = Some(Status::NoWorker);
    let mut expected = [(mesh.id(0), none), (mesh.id(1), None), (mesh.id(2), none)];
    expected.sort();
    assert_eq!(outcomes, expected);
    assert_eq!(mesh.running_jobs(0, 0), []);
    mesh.cancel(0, asked.job, "null");
    assert_eq!(mesh.running_jobs(0, 10), []);
}

#[test]
fn whereabouts_tell_how_far_a_peer_lags_and_for_how_long() {
    let mut mesh = Mesh::linked(2);
    mesh.run(3_000);
    let before = mesh.whereabouts(0);
    assert_eq!(before.context, mesh.whereabouts(1).context);
    assert_eq!(before.hash, mesh.whereabouts(1).hash);
    let [link] = &before.links[..] else { panic!("{before:?}") };
    assert_eq!((link.lag, link.lag_ms, link.same_context), (0, 0, true));
    assert_eq!(link.peer, mesh.id(1).to_string());

    // What it is sent does not arrive, what it says does.
    mesh.set_wall_ahead(1, 7_000);
    mesh.set(0, "a", "1");
    mesh.set(0, "b", "1");
    let way = mesh.ways().into_iter().find(|&(_, to)| to == 1).expect("under way");
    for _ in 0..4 {
        mesh.wait(1_000);
        mesh.step(0);
        mesh.step(1);
        while mesh.ways().iter().any(|&(_, to)| to == 0) {
            mesh.deliver_one(way.0, 0, 0);
        }
    }
    let link = mesh.whereabouts(0).links[0].clone();
    assert_eq!((link.lag, link.same_context), (2, false));
    assert_eq!(link.lag_ms, 3_000, "since it said first that it lacks them");
    assert_eq!(link.clock_ahead_ms, Some(7_000));
    assert!(link.queue_bytes > 0);

    mesh.deliver();
    mesh.run(2_000);
    let link = mesh.whereabouts(0).links[0].clone();
    assert_eq!((link.lag, link.lag_ms, link.same_context), (0, 0, true));
    assert_eq!(mesh.whereabouts(1).links[0].clock_ahead_ms, Some(-7_000));
    let (ours, theirs) = (mesh.stats(0), mesh.stats(1));
    assert!(ours.traffic_out.writes > 0 && ours.traffic_out.digests > 0);
    assert_eq!(ours.traffic_out, theirs.traffic_in);
}

#[test]
fn a_node_tells_how_far_it_is_in_catching_up() {
    const PATHS: usize = 2_000;
    let mut mesh = Mesh::linked(2);
    mesh.cut(0, 1);
    for n in 0..PATHS {
        mesh.set(0, &format!("k{n}"), &format!("\"{n:0100}\""));
    }
    mesh.link(0, 1);
    let mut told = Vec::new();
    while told.len() < 1_000 {
        match mesh.ways().first().copied() {
            Some((id, to)) => mesh.deliver_one(id, to, 0),
            None if mesh.is_merging(1) => mesh.step(1),
            None => break,
        }
        if mesh.stats(1).pulls == 1 {
            told.extend(mesh.whereabouts(1).links[0].catching_up);
        }
        assert_eq!(mesh.whereabouts(0).links.iter().find_map(|link| link.catching_up), None);
        mesh.wait(1);
    }
    let [first, .., last] = &told[..] else { panic!("{told:?}") };
    assert_eq!((first.bytes, first.paths, first.merged), (0, 0, 0));
    assert!(first.ms < last.ms);
    assert_eq!(last.paths, PATHS);
    assert!(last.bytes > 100 * PATHS as u64);
    // It comes in parts, and is merged in steps.
    let grows = |figure: fn(&CatchUp) -> u64| {
        assert!(told.windows(2).all(|pair| figure(&pair[0]) <= figure(&pair[1])), "{told:?}");
        let mut steps: Vec<u64> = told.iter().map(figure).collect();
        steps.dedup();
        steps.len()
    };
    assert!(grows(|far| far.bytes) > 3);
    assert!(grows(|far| far.paths as u64) > 3);
    assert!(grows(|far| far.merged as u64) > 3);
    assert!(told.iter().all(|far| far.merged == 0 || far.paths == PATHS));
    assert_eq!(mesh.whereabouts(1).links[0].catching_up, None);
    mesh.assert_converged();
}

#[test]
fn a_peer_is_not_behind_for_ever_because_of_a_replica_that_was_folded() {
    let mut mesh = Mesh::linked(3);
    mesh.set(2, "b", "1");
    mesh.run(3_000);
    mesh.leave(2);
    let mut turns_since = 0;
    for turn in 0..300 {
        mesh.set(0, "a", &turn.to_string());
        mesh.wait(1_000);
        mesh.step(0);
        mesh.step(1);
        // What the other says is heard before it has got what was written last.
        while let Some((way, _)) = mesh.ways().into_iter().find(|&(_, to)| to == 0) {
            mesh.deliver_one(way, 0, 0);
        }
        let link = mesh.whereabouts(0).links[0].clone();
        assert!(link.lag > 0);
        assert!(link.lag_ms <= 3_000, "{} ms behind in turn {turn}", link.lag_ms);
        mesh.deliver();
        turns_since += usize::from(mesh.stats(0).folds + mesh.stats(1).folds > 0);
    }
    assert!(turns_since > 10, "it was folded");
}
