//! Jobs, calls and events between engines: who gets which outcome, and when.

mod mesh;

use std::sync::Arc;

use collective_io::engine::{
    Ask, AskError, Config, End, Event, Item, JobId, Limits, Offer, Outcome, Refusal, ReplicaId,
    RunId, Stop, To,
};
use mesh::Mesh;

const LONG_MS: u64 = 60_000;

/// Linked nodes that offer the worker `w` and listen to the event `e`.
fn working(nodes: usize) -> Mesh {
    with(nodes, Config::default())
}

fn with(nodes: usize, config: Config) -> Mesh {
    let mut mesh = Mesh::with(vec![config; nodes]);
    for node in 0..nodes {
        mesh.offer(node, Offer::Worker, "w");
        mesh.offer(node, Offer::Event, "e");
    }
    mesh.link_all();
    mesh
}

/// The runs that a node is given now, with their arguments.
fn runs(mesh: &mut Mesh, node: usize) -> Vec<(RunId, Arc<str>)> {
    let run = |item| match item {
        Item::Run { run, args, .. } => (run, args),
        other => panic!("node {node} is given {other:?}"),
    };
    mesh.items(node).into_iter().map(run).collect()
}

fn answer_all(mesh: &mut Mesh, nodes: std::ops::Range<usize>) {
    for node in nodes {
        for (run, args) in runs(mesh, node) {
            mesh.answer(node, run, Ok(&args));
        }
    }
    mesh.deliver();
}

fn ok(value: &str) -> Outcome {
    Outcome::Ok(value.into())
}

/// The outcomes that are here, by node, and the end.
fn outcomes(mesh: &mut Mesh, node: usize) -> (Vec<(ReplicaId, Outcome)>, Vec<End>) {
    let (mut outcomes, mut ends) = (Vec::new(), Vec::new());
    let mut ended = Vec::new();
    for item in mesh.items(node) {
        match item {
            Item::Outcome { job, node, outcome } => {
                assert!(!ended.contains(&job), "an outcome after the end");
                outcomes.push((node, outcome));
            }
            Item::Ended { job, end } => {
                ended.push(job);
                ends.push(end);
            }
            other => panic!("not an outcome: {other:?}"),
        }
    }
    outcomes.sort_by_key(|&(node, _)| node);
    (outcomes, ends)
}

/// What is left when nothing is under way.
#[track_caller]
fn assert_nothing_left(mesh: &mut Mesh, nodes: usize) {
    mesh.run(2000);
    for node in 0..nodes {
        let stats = mesh.stats(node);
        let left = (stats.jobs, stats.runs, stats.items_waiting, stats.job_bytes_queued);
        assert_eq!(left, (0, 0, 0, 0), "node {node}");
    }
}

fn sorted(mut expected: Vec<(ReplicaId, Outcome)>) -> Vec<(ReplicaId, Outcome)> {
    expected.sort_by_key(|&(node, _)| node);
    expected
}

#[test]
fn every_node_is_asked_its_own_included() {
    let mut mesh = working(3);
    let asked = mesh.ask(0, To::All, "[1]", LONG_MS).unwrap();
    assert_eq!(asked.nodes.len(), 3);
    mesh.deliver();
    answer_all(&mut mesh, 0..3);
    let expected = sorted((0..3).map(|node| (mesh.id(node), ok("[1]"))).collect());
    assert_eq!(outcomes(&mut mesh, 0), (expected, vec![End::Complete]));
    assert_nothing_left(&mut mesh, 3);
}

#[test]
fn some_nodes_can_be_asked_and_strangers_are_left_out() {
    let mut mesh = working(3);
    let to = [mesh.id(2), ReplicaId(7), mesh.id(2)];
    let asked = mesh.ask(0, To::Only(&to), "[]", LONG_MS).unwrap();
    assert_eq!(asked.nodes, [mesh.id(2)]);
    let others = mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    assert_eq!(others.nodes.len(), 2);
}

#[test]
fn a_job_for_nobody_ends_at_once() {
    let mut mesh = working(1);
    let asked = mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    assert_eq!(asked.nodes, []);
    assert_eq!(mesh.items(0), [Item::Ended { job: asked.job, end: End::Complete }]);
}

#[test]
fn who_has_no_such_worker_says_so_at_once() {
    let mut mesh = working(2);
    mesh.withdraw(0, Offer::Worker, "w");
    mesh.withdraw(1, Offer::Worker, "w");
    mesh.offer(1, Offer::Function, "w");
    mesh.ask(0, To::All, "[]", LONG_MS).unwrap();
    mesh.deliver();
    let expected = sorted((0..2).map(|node| (mesh.id(node), Outcome::NoWorker)).collect());
    assert_eq!(outcomes(&mut mesh, 0), (expected, vec![End::Complete]));
}

#[test]
fn a_peer_that_is_lost_is_an_outcome_and_stops_what_ran_for_it() {
    let mut mesh = working(3);
    mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.deliver();
    let [(run, _)] = runs(&mut mesh, 1)[..] else { panic!("one run") };
    answer_all(&mut mesh, 2..3);
    mesh.cut(0, 1);
    let expected = sorted(vec![(mesh.id(1), Outcome::Lost), (mesh.id(2), ok("[]"))]);
    assert_eq!(outcomes(&mut mesh, 0), (expected, vec![End::Complete]));
    assert_eq!(mesh.items(1), [Item::Stop { run, why: Stop::CallerLost }]);
    mesh.answer(1, run, Ok("1"));
    assert_nothing_left(&mut mesh, 3);
}

#[test]
fn the_deadline_ends_a_job_and_what_runs_for_it() {
    let mut mesh = working(2);
    let asked = mesh.ask(0, To::All, "[]", 500).unwrap();
    mesh.deliver();
    let own = runs(&mut mesh, 0)[0].0;
    let other = runs(&mut mesh, 1)[0].0;
    mesh.run(499);
    assert_eq!(mesh.items(0), []);
    mesh.run(1);
    let mut items = mesh.items(0);
    assert!(items.contains(&Item::Stop { run: own, why: Stop::Timeout }));
    items.retain(|item| !matches!(item, Item::Stop { .. }));
    assert_eq!(items.pop(), Some(Item::Ended { job: asked.job, end: End::Timeout }));
    assert_eq!(items.len(), 2);
    assert_eq!(mesh.items(1), [Item::Stop { run: other, why: Stop::Timeout }]);
    assert_nothing_left(&mut mesh, 2);
}

#[test]
fn expired_work_is_not_run() {
    let mut mesh = working(2);
    mesh.ask(0, To::Others, "[]", 500).unwrap();
    mesh.hold(0, 1);
    mesh.wait(600);
    mesh.release(0, 1);
    mesh.deliver();
    assert_eq!(mesh.items(1), []);

    mesh.ask(0, To::Others, "[]", 500).unwrap();
    mesh.deliver();
    mesh.wait(600);
    assert_eq!(mesh.items(1), []);
    assert_eq!(outcomes(&mut mesh, 0).1, [End::Timeout, End::Timeout]);
}

#[test]
fn a_deadline_can_be_moved() {
    let mut mesh = working(2);
    let asked = mesh.ask(0, To::All, "[]", 500).unwrap();
    mesh.deliver();
    let given = [runs(&mut mesh, 0)[0].0, runs(&mut mesh, 1)[0].0];
    mesh.set_timeout(0, asked.job, 2000);
    mesh.run(1500);
    assert_eq!((mesh.items(0), mesh.items(1)), (vec![], vec![]));
    for (node, run) in given.into_iter().enumerate() {
        mesh.answer(node, run, Ok("1"));
    }
    mesh.deliver();
    assert_eq!(outcomes(&mut mesh, 0).1, [End::Complete]);
}

#[test]
fn cancelling_reaches_who_runs_and_who_has_not_begun() {
    let mut mesh = working(3);
    let asked = mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.deliver();
    let [(run, _)] = runs(&mut mesh, 1)[..] else { panic!("one run") };
    mesh.cancel(0, asked.job, "\"enough\"");
    let (given, ends) = outcomes(&mut mesh, 0);
    assert!(given.iter().all(|(_, outcome)| *outcome == Outcome::Aborted));
    assert_eq!((given.len(), ends), (2, vec![End::Aborted]));
    mesh.deliver();
    let why = Stop::Cancelled("\"enough\"".into());
    assert_eq!(mesh.items(1), [Item::Stop { run, why }]);
    assert_eq!(mesh.items(2), []);
    mesh.answer(1, run, Ok("1"));
    mesh.deliver();
    assert_eq!(mesh.items(0), []);
    assert_nothing_left(&mut mesh, 3);
}

#[test]
fn a_reason_over_the_limits_is_left_out() {
    let mut mesh = working(2);
    let asked = mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.deliver();
    let run = runs(&mut mesh, 1)[0].0;
    mesh.cancel(0, asked.job, &("[".repeat(66) + &"]".repeat(66)));
    mesh.deliver();
    let why = Stop::Cancelled("null".into());
    assert_eq!(mesh.items(1), [Item::Stop { run, why }]);
}

#[test]
fn large_arguments_and_results_go_in_pieces_and_let_small_ones_pass() {
    let mut mesh = working(2);
    let large = format!("[{:?}]", "x".repeat(900_000));
    mesh.ask(0, To::Others, &large, LONG_MS).unwrap();
    mesh.ask(0, To::Others, "[2]", LONG_MS).unwrap();
    let under_way: usize = mesh.bytes_under_way(0, 1).iter().sum();
    assert!(under_way < 300_000, "{under_way} bytes at once");
    mesh.deliver();
    let given = runs(&mut mesh, 1);
    assert_eq!(&*given[0].1, "[2]");
    assert_eq!(*given[1].1, large);
    mesh.answer(1, given[1].0, Ok(&given[1].1));
    mesh.answer(1, given[0].0, Ok("2"));
    mesh.deliver();
    let (answers, ends) = outcomes(&mut mesh, 0);
    assert_eq!(
        answers.iter().map(|(_, outcome)| outcome).collect::<Vec<_>>(),
        [&ok("2"), &ok(&large)]
    );
    assert_eq!(ends.len(), 2);
    assert_nothing_left(&mut mesh, 2);
}

#[test]
fn a_large_call_is_taken_back_before_it_has_gone() {
    let mut mesh = working(2);
    let large = format!("[{:?}]", "x".repeat(900_000));
    let asked = mesh.ask(0, To::Others, &large, LONG_MS).unwrap();
    mesh.cancel(0, asked.job, "null");
    mesh.ask(0, To::Others, &large, LONG_MS).unwrap();
    mesh.deliver();
    assert_eq!(runs(&mut mesh, 1).len(), 1);
}

#[test]
fn events_arrive_in_order_whatever_their_size_and_count_who_gets_them() {
    let mut mesh = working(3);
    let large = format!("[{:?}]", "x".repeat(500_000));
    let sent = ["[1]", &large, "[2]", "[3]"];
    for args in sent {
        assert_eq!(mesh.emit(0, To::Others, args), Ok(2));
    }
    assert_eq!(mesh.emit(0, To::Only(&[mesh.id(1)]), "[4]"), Ok(1));
    mesh.deliver();
    let emitted = |item| match item {
        Item::Emitted { args, .. } => args,
        other => panic!("{other:?}"),
    };
    let arrived: Vec<_> = mesh.items(2).into_iter().map(emitted).collect();
    assert!(arrived.iter().map(|args| &**args).eq(sent));
    assert_eq!(mesh.items(1).len(), 5);
    assert_nothing_left(&mut mesh, 3);
}

#[test]
fn an_event_nobody_listens_to_wakes_nobody() {
    let mut mesh = working(2);
    mesh.withdraw(1, Offer::Event, "e");
    let before = mesh.events(1).len();
    mesh.emit(0, To::Others, "[]").unwrap();
    mesh.deliver();
    assert_eq!(mesh.events(1).len(), before);
    assert_eq!(mesh.stats(1).events_unheard, 1);
    assert_nothing_left(&mut mesh, 2);
}

#[test]
fn a_second_link_repeats_and_loses_nothing() {
    let mut mesh = working(2);
    mesh.hold(0, 1);
    let asked: Vec<JobId> = (0..10)
        .map(|at| mesh.ask(0, To::Others, &format!("[{at}]"), LONG_MS).unwrap().job)
        .collect();
    mesh.emit(0, To::Others, "[]").unwrap();
    // Half of it has arrived when the other link comes.
    let (link, to) = {
        mesh.release(0, 1);
        let ways = mesh.ways();
        *ways.first().expect("something is under way")
    };
    for _ in 0..4 {
        mesh.deliver_one(link, to, 0);
    }
    mesh.link(0, 1);
    mesh.deliver();
    let items = mesh.items(1);
    let given = items.iter().filter(|item| matches!(item, Item::Run { .. })).count();
    assert_eq!((given, items.len()), (asked.len(), asked.len() + 1));
    for item in items {
        if let Item::Run { run, args, .. } = item {
            mesh.answer(1, run, Ok(&args));
        }
    }
    mesh.deliver();
    let (answers, ends) = outcomes(&mut mesh, 0);
    assert!(answers.iter().all(|(_, outcome)| matches!(outcome, Outcome::Ok(_))));
    assert_eq!((answers.len(), ends.len()), (10, 10));
    assert_nothing_left(&mut mesh, 2);
}

#[test]
fn who_was_lost_without_noticing_is_told() {
    let mut mesh = working(2);
    mesh.ask(0, To::Others, "[0]", LONG_MS).unwrap();
    mesh.ask(1, To::Others, "[1]", LONG_MS).unwrap();
    mesh.deliver();
    let [(run, _)] = runs(&mut mesh, 1)[..] else { panic!("one run") };
    let own = runs(&mut mesh, 0)[0].0;
    // Node 0 sees the link break; node 1 sees another come before it does.
    mesh.close_one_end(0, 1);
    let items = mesh.items(0);
    assert!(items.contains(&Item::Stop { run: own, why: Stop::CallerLost }), "{items:?}");
    mesh.link(0, 1);
    mesh.deliver();
    let items = mesh.items(1);
    assert!(items.contains(&Item::Stop { run, why: Stop::CallerLost }), "{items:?}");
    let lost = |item: &Item| matches!(item, Item::Outcome { outcome: Outcome::Lost, .. });
    assert!(items.iter().any(lost), "{items:?}");
    // Until node 1 gives the dead link up.
    mesh.run(6000);
    assert_nothing_left(&mut mesh, 2);
}

/// The first word over a connection that takes the place of another comes in the middle of a batch, which
/// asks for something before it looks at that word.
#[test]
fn a_batch_goes_on_over_the_connection_that_it_began_with() {
    let mut mesh = working(2);
    mesh.close_one_end(1, 0);
    mesh.link(1, 0);
    mesh.deliver_hellos();
    mesh.begin_batch(0);
    mesh.deliver();
    mesh.ask(0, To::Others, "[0]", LONG_MS).unwrap();
    mesh.end_batch(0);
    mesh.deliver();
    mesh.ask(0, To::Others, "[1]", LONG_MS).unwrap();
    mesh.deliver();
    answer_all(&mut mesh, 1..2);
    let (answers, _) = outcomes(&mut mesh, 0);
    assert!(answers.iter().any(|(_, outcome)| *outcome == ok("[1]")), "{answers:?}");
    assert_eq!(mesh.stats(1).bad_messages, 0);
    mesh.run(6000);
    assert_nothing_left(&mut mesh, 2);
}

/// Its call goes again after the loss, as the caller cannot know whether it has been counted.
#[test]
fn what_was_cancelled_before_a_loss_that_went_unnoticed_stops_all_the_same() {
    let mut mesh = with(2, Config { queue_bytes_max: 1000, ..Config::default() });
    mesh.hold(0, 1);
    let args = format!("[{:?}]", "x".repeat(2000));
    let job = mesh.ask(0, To::Others, &args, LONG_MS).unwrap().job;
    // Waits behind the call, and is never sent over this link.
    mesh.cancel(0, job, "null");
    mesh.close_one_end(1, 0);
    mesh.link(0, 1);
    mesh.deliver();
    let left = runs(&mut mesh, 1);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(outcomes(&mut mesh, 0).1, [End::Aborted]);
    mesh.run(6000);
    assert_nothing_left(&mut mesh, 2);
}

/// It was for a peer that has gone since.
#[test]
fn an_event_that_had_not_gone_before_a_loss_that_went_unnoticed_is_dropped() {
    let mut mesh = with(2, Config { queue_bytes_max: 1000, ..Config::default() });
    mesh.hold(0, 1);
    let args = format!("[{:?}]", "x".repeat(2000));
    mesh.ask(0, To::Others, &args, LONG_MS).unwrap();
    assert_eq!(mesh.emit(0, To::Others, "[1]"), Ok(1));
    mesh.close_one_end(1, 0);
    mesh.link(0, 1);
    mesh.deliver();
    assert_eq!(mesh.emit(0, To::Others, "[2]"), Ok(1));
    mesh.deliver();
    let items = mesh.items(1);
    let heard = items.iter().filter_map(|item| match item {
        Item::Emitted { args, .. } => Some(&**args),
        _ => None,
    });
    assert_eq!(heard.collect::<Vec<_>>(), ["[2]"], "{items:?}");
}

#[test]
fn beyond_the_window_nothing_is_sent_until_something_is_taken() {
    let limits = Limits { value_bytes_max: 2000, ..Limits::default() };
    let mut mesh = with(2, Config { limits, window_bytes: 0, ..Config::default() });
    let args = format!("[{:?}]", "x".repeat(950));
    let mut sent = 0;
    while mesh.emit(0, To::Others, &args) == Ok(1) {
        sent += 1;
        mesh.deliver();
        assert!(sent < 100, "never full");
    }
    assert_eq!(mesh.ask(0, To::Others, &args, LONG_MS).unwrap().nodes.len(), 1);
    assert_eq!(outcomes(&mut mesh, 0), (vec![(mesh.id(1), Outcome::Busy)], vec![End::Complete]));
    let held = mesh.stats(1).items_waiting;
    assert!(held > 0 && held <= sent, "{held} of {sent} arrived");
    let mut taken = 0;
    for _ in 0..sent {
        taken += mesh.items(1).len();
        mesh.deliver();
    }
    assert_eq!(taken, sent);
    assert_eq!(mesh.emit(0, To::Others, &args), Ok(1));
}

#[test]
fn more_than_may_run_for_one_peer_is_answered_busy() {
    let mut mesh = with(2, Config { runs_per_peer_max: 2, jobs_max: 3, ..Config::default() });
    for _ in 0..3 {
        mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    }
    assert_eq!(mesh.ask(0, To::Others, "[]", LONG_MS), Err(AskError::Busy { limit: 3 }));
    mesh.deliver();
    assert_eq!(runs(&mut mesh, 1).len(), 2);
    assert_eq!(outcomes(&mut mesh, 0).0, [(mesh.id(1), Outcome::Busy)]);
}

#[test]
fn a_run_that_is_refused_is_no_run() {
    let mut mesh = working(3);
    let refusals = [Refusal::Busy, Refusal::NoWorker, Refusal::Busy];
    mesh.ask(0, To::All, "[]", LONG_MS).unwrap();
    mesh.deliver();
    for (node, why) in refusals.into_iter().enumerate() {
        let [(run, _)] = runs(&mut mesh, node)[..] else { panic!("one run") };
        mesh.refuse(node, run, why);
        mesh.answer(node, run, Ok("1"));
    }
    mesh.deliver();
    let outcomes_of = [Outcome::Busy, Outcome::NoWorker, Outcome::Busy];
    let expected = outcomes_of.into_iter().enumerate().map(|(node, of)| (mesh.id(node), of));
    let expected = sorted(expected.collect());
    assert_eq!(outcomes(&mut mesh, 0), (expected, vec![End::Complete]));
    assert_nothing_left(&mut mesh, 3);
}

#[test]
fn the_number_of_a_job_and_its_trace_go_along_unless_too_long() {
    let mut mesh = working(2);
    for (trace, told) in [("00-ab-cd-01 a=1", "00-ab-cd-01 a=1"), (&"x".repeat(601), "")] {
        let to = To::All;
        let (offer, timeout_ms) = (Offer::Worker, LONG_MS);
        let ask = Ask { offer, name: "w", args: "[]", to, timeout_ms, trace };
        let asked = mesh.ask_so(0, ask).unwrap();
        mesh.deliver();
        for node in 0..2 {
            let items = mesh.items(node);
            let [Item::Run { job, trace, .. }] = &items[..] else { panic!("{items:?}") };
            assert_eq!((*job, &**trace), (asked.job, told));
        }
    }
}

#[test]
fn bad_calls_are_refused_and_send_nothing() {
    let mut mesh = working(2);
    let too_deep = "[".repeat(66) + &"]".repeat(66);
    let too_large = format!("[{:?}]", "x".repeat(1 << 20));
    for (args, code) in [
        ("1", "ERR_INVALID_VALUE"),
        (too_deep.as_str(), "ERR_TOO_DEEP"),
        (&too_large, "ERR_VALUE_TOO_LARGE"),
    ] {
        assert_eq!(mesh.ask(0, To::All, args, LONG_MS).unwrap_err().code(), code);
        assert_eq!(mesh.emit(0, To::All, args).unwrap_err().code(), code);
    }
    mesh.deliver();
    assert_eq!((mesh.items(0), mesh.items(1)), (vec![], vec![]));
}

#[test]
fn an_answer_over_the_limits_is_an_error() {
    let mut mesh = working(2);
    mesh.ask(0, To::All, "[]", LONG_MS).unwrap();
    mesh.deliver();
    let large = format!("{:?}", "x".repeat(1 << 20));
    for node in 0..2 {
        let run = runs(&mut mesh, node)[0].0;
        mesh.answer(node, run, Ok(&large));
    }
    mesh.deliver();
    for (_, outcome) in outcomes(&mut mesh, 0).0 {
        let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.contains("ERR_VALUE_TOO_LARGE"), "{error}");
    }
}

#[test]
fn leaving_ends_own_jobs() {
    let mut mesh = working(2);
    mesh.ask(0, To::All, "[]", LONG_MS).unwrap();
    mesh.leave(0);
    let (given, ends) = outcomes(&mut mesh, 0);
    assert_eq!((given.len(), ends), (2, vec![End::Aborted]));
    assert_eq!(mesh.ask(0, To::All, "[]", LONG_MS), Err(AskError::Closed));
    mesh.deliver();
    assert_eq!(mesh.items(1), []);
}

#[test]
fn the_application_is_told_once_and_outcomes_may_wait() {
    let mut mesh = working(3);
    let told = |mesh: &Mesh, node: usize| {
        let items = |event: &&Event| matches!(event, Event::Items { .. });
        mesh.events(node).iter().filter(items).cloned().collect::<Vec<_>>()
    };
    mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.deliver();
    assert_eq!(told(&mesh, 1), [Event::Items { urgent: true }]);
    let first = runs(&mut mesh, 1)[0].0;
    mesh.answer(1, first, Ok("1"));
    mesh.deliver();
    assert_eq!(told(&mesh, 0), [Event::Items { urgent: false }]);
    let first = runs(&mut mesh, 2)[0].0;
    mesh.answer(2, first, Ok("1"));
    mesh.deliver();
    assert_eq!(told(&mesh, 0)[1..], [Event::Items { urgent: true }]);
}

#[test]
fn what_a_peer_wants_waits_until_the_application_knows_it() {
    let mut mesh = with(2, Config { introductions: true, ..Config::default() });
    mesh.withdraw(1, Offer::Worker, "w");
    mesh.withdraw(1, Offer::Event, "e");
    let job = mesh.ask(0, To::Others, "[1]", LONG_MS).unwrap().job;
    let cancelled = mesh.ask(0, To::Others, "[2]", LONG_MS).unwrap().job;
    mesh.cancel(0, cancelled, "null");
    mesh.emit(0, To::Others, "[3]").unwrap();
    mesh.deliver();
    mesh.run(100);
    mesh.items(0);
    assert_eq!(mesh.items(1), []);

    // On hearing of the peer the application offers something to it.
    mesh.offer(1, Offer::Worker, "w");
    mesh.offer(1, Offer::Event, "e");
    let (caller, stranger) = (mesh.id(0), ReplicaId(7));
    mesh.introduce(1, stranger);
    mesh.introduce(1, caller);
    let items = mesh.items(1);
    let [Item::Run { run, remaining_ms, .. }, Item::Emitted { peer, .. }] = items[..] else {
        panic!("{items:?}")
    };
    assert_eq!((peer, remaining_ms), (caller, LONG_MS - 100));
    mesh.answer(1, run, Ok("5"));
    mesh.deliver();
    assert_eq!(mesh.items(0).last(), Some(&Item::Ended { job, end: End::Complete }));

    // Known now.
    mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.deliver();
    answer_all(&mut mesh, 1..2);
    assert_eq!(outcomes(&mut mesh, 0), (vec![(mesh.id(1), ok("[]"))], vec![End::Complete]));
    assert_nothing_left(&mut mesh, 2);
}

#[test]
fn what_a_peer_wanted_goes_with_it() {
    let mut mesh = with(2, Config { introductions: true, ..Config::default() });
    mesh.ask(0, To::Others, "[]", LONG_MS).unwrap();
    mesh.emit(0, To::Others, "[]").unwrap();
    mesh.deliver();
    mesh.cut(0, 1);
    let caller = mesh.id(0);
    mesh.introduce(1, caller);
    assert_eq!(mesh.items(1), []);
    mesh.items(0);
    assert_nothing_left(&mut mesh, 2);
}
