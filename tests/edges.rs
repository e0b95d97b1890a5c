//! Narrow cases: what changes while a feed is under way, what must stay small, and what a peer that
//! means harm can say.

mod mesh;

use collective_io::engine::document::amount::Amount;
use collective_io::engine::document::things::{Part, Run};
use collective_io::engine::document::{BodyState, ValueState};
use collective_io::engine::wire::message::{
    self, ActionItem, Digest, FeedEnd, FeedHead, FeedItem, Hello, Item, Kind, Presence, Stub,
    WriteItem, WritesHead,
};
use collective_io::engine::{
    Address, CloseReason, Config, Dot, Event, LinkId, Need, NodeId, Rank, ReplicaId, Stats,
    WarningCode,
};
use mesh::Mesh;

/// Small parts, so that a feed is under way for as long as its link is held.
fn small_parts() -> Config {
    Config { part_bytes_max: 96, ..Config::default() }
}

/// Node 1 has asked node 0 for everything, and the first parts are under way.
fn with_a_feed_under_way(write: impl FnOnce(&mut Mesh)) -> Mesh {
    let mut mesh = Mesh::with(vec![small_parts(); 2]);
    write(&mut mesh);
    for n in 0..50 {
        mesh.set(0, &format!("z{n}"), "\"filler, filler, filler\"");
    }
    mesh.link(0, 1);
    while mesh.stats(0).feeds == 0 {
        let (link, to) = mesh.ways()[0];
        mesh.deliver_one(link, to, 0);
    }
    mesh.hold(0, 1);
    assert!(mesh.under_way(0, 1).contains(&Kind::Feed));
    mesh
}

/// A path sent as a state and then taken by a removal is merged as an empty state with
/// `implied = |_| false`: that splits the whole value above, which came later, and removes its
/// piece.
#[test]
fn a_set_over_a_path_that_a_feed_has_sent_arrives_whole() {
    let mut mesh = with_a_feed_under_way(|mesh| mesh.set(0, "l.0", "1"));
    mesh.set(0, "l", r#"{"0":2,"b":3}"#);
    mesh.release(0, 1);
    mesh.run(3000);
    mesh.assert_all_read("l", r#"{"0":2,"b":3}"#);
    mesh.assert_converged();
}

/// A DELETE in a whole value splits it without saying that its node changed: the feed has told of
/// the whole value, tells of the removal, but never of the shell.
#[test]
fn a_delete_in_a_whole_value_that_a_feed_has_sent_arrives() {
    let mut mesh = with_a_feed_under_way(|mesh| mesh.set(0, "l", r#"{"0":2,"b":3}"#));
    mesh.delete(0, "l.0");
    mesh.release(0, 1);
    mesh.run(3000);
    mesh.assert_all_read("l", r#"{"b":3}"#);
    mesh.assert_converged();
}

/// The same through a DELETE further down.
#[test]
fn a_delete_deep_in_a_whole_value_that_a_feed_has_sent_arrives() {
    let mut mesh = with_a_feed_under_way(|mesh| mesh.set(0, "l", r#"{"0":{"x":1,"y":2},"b":3}"#));
    mesh.delete(0, "l.0.x");
    mesh.release(0, 1);
    mesh.run(3000);
    mesh.assert_all_read("l", r#"{"0":{"y":2},"b":3}"#);
    mesh.assert_converged();
}

/// The cuts at the end of a feed are sent in the order of keys: one that comes to be while that
/// goes on, at a key that was passed, is never sent, though the end covers its write.
#[test]
fn a_cut_made_while_a_feed_sends_its_cuts_arrives() {
    let [owner, donor, other] = [0, 1, 2];
    let mut mesh = Mesh::with(vec![small_parts(); 3]);
    mesh.link(owner, donor);
    mesh.link(donor, other);
    mesh.deliver();
    mesh.increment(owner, "a", 1.0);
    for n in 0..30 {
        mesh.increment(other, &format!("y{n}"), 1.0);
    }
    mesh.deliver();
    mesh.cut(owner, donor);
    mesh.hold(donor, other);
    for n in 0..30 {
        mesh.delete(donor, &format!("y{n}"));
    }
    mesh.increment(owner, "a", 10.0);
    mesh.link(owner, donor);
    while !mesh.has_cuts_under_way(donor, owner) {
        let (link, to) = mesh.ways()[0];
        mesh.deliver_one(link, to, 0);
    }
    mesh.hold(owner, donor);
    assert_eq!(mesh.read(donor, "a").as_deref(), Some("1"));
    mesh.delete(donor, "a");
    mesh.release(owner, donor);
    mesh.deliver();
    mesh.step(owner);
    assert_eq!(mesh.read(owner, "a").as_deref(), Some("10"));
    mesh.release(donor, other);
    mesh.run(3000);
    mesh.assert_converged();
}

/// That the owner of a counter has answered that it has the DELETE says nothing of what it wrote
/// before it had: who took the answer for that forgot the cut while such an increment was on its way.
#[test]
fn an_answer_tells_of_no_write_but_the_askers() {
    let [owner, remover, third] = [0, 1, 2];
    let mut mesh = Mesh::with(vec![Config { queue_bytes_max: 700, ..Config::default() }; 3]);
    mesh.link(owner, remover);
    mesh.link(owner, third);
    mesh.increment(owner, "n", 1.0);
    mesh.run(1500);
    mesh.hold(owner, remover);
    // The first fills the queue: of what follows the remover is told nothing.
    let filler = format!("\"{}\"", "x".repeat(400));
    mesh.set(owner, "filler", &filler);
    mesh.deliver();
    mesh.set(owner, "filler", &filler);
    mesh.increment(owner, "n", 10.0);
    mesh.deliver();
    assert_eq!(mesh.stats(owner).overflows, 1);
    assert_eq!(mesh.read(third, "n").as_deref(), Some("11"));
    mesh.hold(owner, third);
    mesh.delete(remover, "n");
    mesh.wait_for(remover, Need::Count(1));
    mesh.release(owner, remover);
    let link = mesh.links_between(owner, remover)[0];
    while !mesh.under_way(remover, owner).is_empty() {
        mesh.deliver_one(link, 0, 0);
    }
    while mesh.under_way(owner, remover).contains(&Kind::Confirmed) {
        mesh.deliver_one(link, 1, 0);
    }
    mesh.hold(owner, remover);
    assert!(mesh.events(remover).iter().any(|event| matches!(event, Event::Replicated { .. })));
    mesh.wait(1500);
    mesh.link(remover, third);
    mesh.deliver();
    assert_eq!(mesh.read(remover, "n").as_deref(), Some("10"));
    mesh.release(owner, remover);
    mesh.release(owner, third);
    mesh.run(3000);
    mesh.assert_all_read("n", "10");
    mesh.assert_converged();
}

/// A write of a process that has ended is still on its way to one by way of another, with a cut to
/// come to it that both know: it may not be forgotten because the process will see it no more.
#[test]
fn a_cut_stays_until_the_last_write_of_a_dead_owner_is_here() {
    let [owner, middle, last] = [0, 1, 2];
    let at_a = || Config { advertised: Some(Address::new("a:1")), ..Config::default() };
    let mut mesh = Mesh::with(vec![at_a(), Config::default(), Config::default()]);
    mesh.link_all();
    mesh.increment(owner, "n", 1.0);
    mesh.deliver();
    mesh.hold(owner, middle);
    mesh.hold(owner, last);
    mesh.delete(middle, "n");
    mesh.run(1500);
    mesh.increment(owner, "n", 10.0);
    mesh.cut(owner, last);
    let successor = mesh.add(at_a());
    mesh.link(successor, last);
    mesh.run(1500);
    assert_eq!(mesh.read(last, "n"), None);
    mesh.release(owner, middle);
    mesh.deliver();
    assert_eq!(mesh.read(last, "n").as_deref(), Some("10"), "the middle has passed it on");
    mesh.run(3000);
    mesh.assert_converged();
}

/// The others have folded a replica, and one of them, which has not heard that yet, meets it again
/// and takes a write that they will never have.
#[test]
fn who_has_more_of_a_replica_than_was_folded_begins_again() {
    let config = Config { forget_after_ms: 60_000, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 3]);
    mesh.link_all();
    mesh.set(2, "seen", "1");
    mesh.run(1500);
    mesh.cut(2, 0);
    mesh.cut(2, 1);
    let tells = |mesh: &Mesh, from: usize| mesh.under_way(from, 1 - from).contains(&Kind::Writes);
    while !tells(&mesh, 0) && !tells(&mesh, 1) {
        mesh.deliver();
        mesh.wait(100);
    }
    let behind = usize::from(tells(&mesh, 0));
    mesh.hold(0, 1);
    mesh.set(2, "late", "2");
    mesh.link(2, behind);
    mesh.deliver();
    assert_eq!(mesh.read(behind, "late").as_deref(), Some("2"));
    mesh.release(0, 1);
    mesh.run(1000);
    assert!(mesh.stats(behind).rejoins > 0);
    // Node 2 is told that it was folded when it is linked again, and closes then.
    for _ in 0..3 {
        mesh.link_again(&[(0, 1), (0, 2), (1, 2)]);
        mesh.run(3000);
    }
    mesh.assert_converged();
}

/// Nodes 0 and 1 have folded a replica, of which 2 and 3 have one write more: "late". Those have folded it
/// as well, unless another is away that they know.
fn two_parts_with_different_amounts(another_is_away: bool) -> Mesh {
    let config = Config { forget_after_ms: 70_000, ..Config::default() };
    let mut configs = vec![config; 6];
    configs[2..].fill(Config::default());
    let mut mesh = Mesh::with(configs);
    let [dead, away] = [4, 5];
    for (a, b) in [(0, 1), (0, dead), (1, dead), (2, dead), (3, dead), (2, 3)] {
        mesh.link(a, b);
    }
    mesh.run(1_000);
    mesh.set(dead, "seen", "1");
    mesh.run(1_500);
    mesh.cut(0, dead);
    mesh.cut(1, dead);
    mesh.set(dead, "late", "2");
    if another_is_away {
        mesh.link(3, away);
        mesh.run(1_000);
        mesh.set(away, "more", "3");
        mesh.run(1_500);
        mesh.cut(3, away);
    }
    mesh.leave(dead);
    while mesh.stats(0).folds == 0 {
        mesh.run(1_000);
    }
    let folds = [0, 1, 2, 3].map(|node| mesh.stats(node).folds > 0);
    assert_eq!(folds, [true, true, !another_is_away, !another_is_away]);
    mesh
}

/// They come together: one of 0 and 1 with one of 2 and 3, and each time the parts among themselves before
/// that. Those that begin again do so once.
fn assert_they_agree(mesh: &mut Mesh, begin_again: [usize; 2]) {
    for _ in 0..4 {
        mesh.link_again(&[(0, 1), (2, 3)]);
        mesh.run(1_000);
        mesh.link_again(&[(1, 2)]);
        mesh.run(1_000);
    }
    let rejoins = [0, 1, 2, 3].map(|node| mesh.stats(node).rejoins);
    assert_eq!(rejoins, [0, 1, 2, 3].map(|node| u64::from(begin_again.contains(&node))));
    let hash = mesh.hash(0);
    assert_eq!([1, 2, 3].map(|node| mesh.hash(node)), [hash; 3]);
}

#[test]
fn who_begins_again_does_not_take_again_what_was_not_folded() {
    let mut mesh = two_parts_with_different_amounts(true);
    assert_they_agree(&mut mesh, [2, 3]);
    assert_eq!(["seen", "late"].map(|path| mesh.read(3, path).is_some()), [true, false]);
}

#[test]
fn who_begins_again_does_not_take_the_lesser_fold_again() {
    let mut mesh = two_parts_with_different_amounts(false);
    assert_they_agree(&mut mesh, [0, 1]);
    assert_eq!(["seen", "late"].map(|path| mesh.read(0, path).is_some()), [true, true]);
}

/// Nor does it ask for all of that again and again, as writes come that depend on it.
#[test]
fn who_begins_again_asks_nobody_for_what_it_would_not_take() {
    for another_is_away in [true, false] {
        let mut mesh = two_parts_with_different_amounts(another_is_away);
        let (told, other) = if another_is_away { (2, 3) } else { (1, 0) };
        mesh.link(1, 2);
        mesh.run(1_000);
        assert_eq!(mesh.stats(told).rejoins, 1);
        let feeds = mesh.stats(other).feeds;
        mesh.link(told, other);
        mesh.run(1_000);
        mesh.set(other, "depends on it", "4");
        mesh.run(5_000);
        assert!(mesh.read(told, "seen").is_none());
        assert!(mesh.stats(other).feeds <= feeds + 1, "{}", mesh.stats(other).feeds);
        // Any state is better than none.
        mesh.run(5_000);
        assert!(mesh.read(told, "seen").is_some());
    }
}

/// Who has not heard of a fold has seen the folded replica by its own name, and so it must be told.
#[test]
fn feeds_tell_of_a_removal_that_had_not_seen_a_fold() {
    let config = Config { checkpoint_changes: 1, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 4]);
    mesh.link_all();
    let dead = 3;
    mesh.set(dead, "p.k", "1");
    mesh.run(1500);
    let mut alive = [0, 1, 2];
    alive.sort_by_key(|&node| mesh.id(node));
    let [folder, middle, late] = alive;
    mesh.leave(dead);
    while !mesh.under_way(folder, late).contains(&Kind::Writes) {
        mesh.deliver();
        mesh.wait(100);
    }
    mesh.hold(folder, late);
    mesh.deliver();
    assert_eq!([folder, middle, late].map(|node| mesh.stats(node).folds), [1, 1, 0]);
    // From here on feeds tell of changes.
    mesh.set(folder, "q", "2");
    mesh.deliver();
    mesh.delete(late, "p");
    mesh.deliver();
    assert_eq!([middle, folder].map(|node| mesh.read(node, "p.k").is_some()), [false, true]);
    mesh.cut(folder, late);
    mesh.run(3000);
    assert_eq!(mesh.stats(folder).snapshots, 0);
    let hash = mesh.hash(late);
    assert_eq!([folder, middle].map(|node| mesh.hash(node)), [hash; 2]);
    assert_eq!(mesh.read(folder, "p"), None);
}

/// All values of a path go into one state, and no part is cut below that: two concurrent values
/// of 700 KiB are a message over the limit, and the feed can never be received.
#[test]
fn two_large_concurrent_values_can_be_fed() {
    let mut mesh = Mesh::linked(2);
    let json = format!("\"{}\"", "x".repeat(700 << 10));
    mesh.hold(0, 1);
    mesh.set(0, "big", &json);
    mesh.set(1, "big", &json);
    mesh.release(0, 1);
    mesh.deliver();
    let late = mesh.add(Config::default());
    mesh.link(late, 0);
    mesh.run(3000);
    mesh.assert_converged();
}

/// The state of a path says what is gone there, even to who never had it: it must be told to who has.
#[test]
fn what_a_feed_told_is_passed_on_though_it_changed_nothing() {
    let config = Config { checkpoint_changes: 1, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 5]);
    let [first, second, both, behind, between] = [0, 1, 2, 3, 4];
    let meet = |mesh: &mut Mesh, a, b| {
        mesh.link(a, b);
        mesh.run(2_000);
        mesh.cut(a, b);
    };
    // From here on feeds tell of changes.
    mesh.set(second, "base", "true");
    for node in [first, both, behind, between] {
        meet(&mut mesh, second, node);
    }
    mesh.set(first, "q", "1");
    mesh.set(second, "q", "2");
    meet(&mut mesh, second, between);
    meet(&mut mesh, first, behind);
    mesh.link(first, both);
    mesh.run(2_000);
    mesh.hold(first, both);
    meet(&mut mesh, second, both);
    meet(&mut mesh, second, behind);
    // It has seen its own alone, and the other one still stands where that goes.
    mesh.delete(first, "q");
    mesh.release(first, both);
    mesh.run(2_000);
    mesh.cut(first, both);
    meet(&mut mesh, both, between);
    meet(&mut mesh, between, behind);
    assert_eq!(mesh.read(both, "q").as_deref(), Some("2"));
    assert_eq!(mesh.stats(between).snapshots, 0);
    assert_eq!(mesh.explain(behind, "q").things, mesh.explain(both, "q").things);
    assert_eq!(mesh.hash(behind), mesh.hash(both));
}

/// Beyond the reach of a feed: of a value that was taken apart, what is gone within.
#[test]
fn a_piece_gone_from_a_value_that_has_not_changed_since_is_gone_where_it_is_whole() {
    let config = Config { checkpoint_changes: 1, removals_max: 2, ..Config::default() };
    let mut mesh = Mesh::with(vec![config; 2]);
    for n in 0..5 {
        mesh.set(0, &format!("filler{n}"), "0");
    }
    mesh.set(0, "p", r#"{"x":1,"y":2}"#);
    mesh.set(1, "p", "3");
    mesh.link(0, 1);
    mesh.run(2_000);
    // With two values at one path, reading takes them apart. The other one does not read.
    mesh.read(0, "p");
    mesh.set(0, "later", "0");
    mesh.run(2_000);
    mesh.cut(0, 1);
    mesh.delete(0, "p.x");
    for n in 0..5 {
        mesh.delete(0, &format!("filler{n}"));
    }
    let full = mesh.stats(0).snapshots;
    mesh.link(0, 1);
    mesh.run(2_000);
    assert_eq!(mesh.stats(0).snapshots, full + 1);
    mesh.assert_converged();
    assert!(mesh.explain(1, "p").things.iter().all(|thing| thing.key != "p.x"));
}

#[test]
fn waiting_writes_that_a_feed_has_brought_cause_no_more_pulls() {
    let mut mesh = Mesh::linked(3);
    mesh.hold(0, 2);
    mesh.set(0, "first", "1");
    mesh.deliver();
    // Twenty batches of node 1 wait at node 2 for the write of node 0.
    for n in 0..20 {
        mesh.set(1, &format!("k{n}"), "1");
        mesh.deliver();
    }
    // The waiting causes one pull, which brings everything.
    let before = mesh.stats(2).pulls;
    mesh.run(4000);
    assert_eq!(mesh.read(2, "k19").as_deref(), Some("1"));
    assert!(mesh.stats(2).pulls - before <= 2, "{} pulls", mesh.stats(2).pulls - before);
}

/// What a lone node remembers of hashes to be worked out grows with every SET.
#[test]
fn a_lone_node_that_sets_one_key_again_and_again_stays_small() {
    let mut mesh = Mesh::new(1);
    for n in 0..100_000 {
        mesh.set(0, "k", &format!("[{n}]"));
        if n % 100 == 0 {
            mesh.run(1);
        }
    }
    mesh.run(10_000);
    let debug = mesh.debug(0);
    assert!(debug.len() < 100_000, "{} bytes to describe one key", debug.len());
}

/// Every process that was ever met has a row, though it never wrote, and all rows go out with
/// every digest.
#[test]
fn processes_that_came_and_went_and_wrote_nothing_are_forgotten() {
    let mut mesh = Mesh::linked(2);
    mesh.set(0, "k", "1");
    mesh.run(1500);
    for _ in 0..100 {
        let guest = mesh.add(Config::default());
        mesh.link(guest, 0);
        mesh.run(2000);
        mesh.leave(guest);
        mesh.stop(guest);
        mesh.run(1);
    }
    mesh.run(600_000);
    mesh.hold(0, 1);
    mesh.run(1000);
    let largest = mesh.bytes_under_way(0, 1).into_iter().max().unwrap();
    assert!(largest < 200, "a digest of two nodes has {largest} bytes");
}

/// Digests grow with the square of the processes that crashed after a write, until no link
/// takes them.
#[test]
fn a_digest_stays_small_after_many_crashes() {
    let mut mesh = Mesh::linked(2);
    for n in 0..250 {
        let guest = mesh.add(Config::default());
        mesh.link(guest, 0);
        mesh.run(1500);
        mesh.set(guest, "k", &n.to_string());
        mesh.run(1500);
        mesh.cut(guest, 0);
        mesh.stop(guest);
    }
    mesh.run(60_000);
    mesh.hold(0, 1);
    mesh.run(1000);
    let largest = mesh.bytes_under_way(0, 1).into_iter().max().unwrap();
    assert!(largest < 64 << 10, "a digest has {largest} bytes");
}

// ---- what a peer can do with a message

/// Node 0 has a peer that says what it is told to, and has asked it for feed 1.
struct Hostile {
    mesh: Mesh,
    link: LinkId,
}

const X: ReplicaId = ReplicaId(77);
const Y: ReplicaId = ReplicaId(78);

impl Hostile {
    fn new() -> Self {
        let mesh = Mesh::linked(2);
        let link = mesh.links_between(0, 1)[0];
        let mut hostile = Hostile { mesh, link };
        let digest = Digest { vector: vec![(Y, 1)], ..Digest::default() };
        hostile.say(message::encode(Kind::Digest, &digest)[4..].to_vec());
        hostile.mesh.wait(300);
        assert_eq!(hostile.mesh.stats(0).pulls, 1);
        hostile
    }

    fn say(&mut self, message: Vec<u8>) {
        self.mesh.receive(0, self.link, message.into());
    }

    fn write(&mut self, first: u64, path: &[&str], action: ActionItem<'_>, arrays: Vec<(u8, u32)>) {
        self.write_at(5, first, path, action, arrays);
    }

    fn write_at(
        &mut self,
        hlc: u64,
        first: u64,
        path: &[&str],
        action: ActionItem<'_>,
        arrays: Vec<(u8, u32)>,
    ) {
        let mut bytes = message::begin(Kind::Writes);
        message::append(&mut bytes, &WritesHead { origin: X, first, seen: Vec::new() });
        let (path, cuts) = (path.to_vec(), Vec::new());
        let write = Item::Write(WriteItem { hlc, path, action, arrays, cuts });
        message::append(&mut bytes, &write);
        self.say(bytes);
    }

    fn state(&mut self, key: &[u8], values: Vec<ValueState<'_>>, parts: Vec<Part>) {
        let mut bytes = message::begin(Kind::Feed);
        message::append(&mut bytes, &FeedHead { id: 1, number: 0 });
        let state = FeedItem::State { shared: 0, key, values, marks: Vec::new(), parts };
        message::append(&mut bytes, &state);
        self.say(bytes);
    }

    fn value(&mut self, key: &[u8], at: u8, text: &str) {
        let body = BodyState::Text(text);
        self.state(
            key,
            vec![ValueState { dot: Dot::new(X, 1), hlc: 5, rank: Rank::OWN, at, body }],
            Vec::new(),
        );
    }

    fn end(&mut self, parts: u32, vector: Vec<(ReplicaId, u64)>, forgotten: Vec<Stub>) {
        let end = FeedEnd { id: 1, parts, full: false, vector, forgotten };
        self.say(message::encode(Kind::FeedEnd, &end)[4..].to_vec());
        // What is to be merged is merged.
        for _ in 0..3 {
            self.mesh.step(0);
        }
    }

    #[track_caller]
    fn assert_refused(&self) {
        assert_eq!(self.mesh.stats(0).bad_messages, 1);
    }
}

/// Somebody connects with node 0 and says hello. Gives the connection.
fn say_hello(mesh: &mut Mesh, replica: ReplicaId) -> LinkId {
    let link = mesh.open_to_nobody(0);
    let limits = Config::default().limits;
    let hello = Hello {
        magic: message::MAGIC,
        major: message::VERSION_MAJOR,
        minor: message::VERSION_MINOR,
        replica,
        node: NodeId([7; 12]),
        cluster: &Config::default().cluster,
        advertised: None,
        limits: (
            limits.key_bytes_max as u64,
            limits.depth_max as u64,
            limits.value_bytes_max as u64,
        ),
    };
    mesh.receive(0, link, message::encode(Kind::Hello, &hello).slice(4..));
    link
}

fn say_nonsense(mesh: &mut Mesh, link: LinkId) {
    mesh.receive(0, link, vec![Kind::Digest as u8, 0xff].into());
}

#[test]
fn who_breaks_a_rule_is_kept_out_for_longer_each_time() {
    let mut mesh = Mesh::linked(1);
    for kept_out_ms in [1000, 2000, 4000] {
        let link = say_hello(&mut mesh, X);
        assert_eq!(mesh.stats(0).peers, 1);
        say_nonsense(&mut mesh, link);
        assert_eq!(mesh.stats(0).peers, 0);
        let warned = mesh.events(0).iter().rev().find_map(|event| match event {
            Event::Warning { code: WarningCode::BadMessage, peer: Some(X), detail } => {
                Some(detail.clone())
            }
            _ => None,
        });
        assert!(warned.is_some_and(|text| text.ends_with(&format!("for {kept_out_ms} ms"))));
        mesh.wait(kept_out_ms - 1);
        say_hello(&mut mesh, X);
        assert_eq!(mesh.closed(), Some(&CloseReason::KeptOut { ms: 1 }));
        let other = say_hello(&mut mesh, Y);
        assert_eq!(mesh.stats(0).peers, 1, "others may come");
        mesh.close_to_nobody(0, other);
        mesh.wait(1);
    }
    say_hello(&mut mesh, X);
    assert_eq!(mesh.stats(0).peers, 1);
}

#[test]
fn who_breaks_a_rule_loses_all_its_connections() {
    let mut mesh = Mesh::linked(1);
    say_hello(&mut mesh, X);
    let link = say_hello(&mut mesh, X);
    assert_eq!(mesh.stats(0).peers, 1);
    say_nonsense(&mut mesh, link);
    assert_eq!(mesh.stats(0).peers, 0);
    let down = mesh.events(0).iter().find_map(|event| match event {
        Event::PeerDown { reason, .. } => Some(reason.code()),
        _ => None,
    });
    assert_eq!(down, Some("ERR_BAD_MESSAGE"));
}

#[test]
fn there_are_no_more_peers_than_may_be() {
    let mut mesh = Mesh::with(vec![Config { peers_max: 2, ..Config::default() }]);
    let first = say_hello(&mut mesh, X);
    say_hello(&mut mesh, Y);
    say_hello(&mut mesh, ReplicaId(79));
    assert_eq!(mesh.closed(), Some(&CloseReason::Crowded { limit: 2 }));
    say_hello(&mut mesh, Y);
    assert_eq!(mesh.stats(0).peers, 2, "whoever is there may dial again");
    mesh.close_to_nobody(0, first);
    say_hello(&mut mesh, ReplicaId(79));
    assert_eq!(mesh.stats(0).peers, 2);
    assert_eq!(mesh.stats(0).bad_messages, 0);
}

/// Whoever says that it is busy, and not, and busy again is told of once a second.
#[test]
fn a_peer_does_not_fire_events_as_fast_as_it_likes() {
    let mut mesh = Mesh::linked(1);
    let link = say_hello(&mut mesh, X);
    let busy = |mesh: &mut Mesh, busy_ms: u64| {
        let presence = Presence { advertised: None, busy_ms };
        mesh.receive(0, link, message::encode(Kind::Presence, &presence).slice(4..));
    };
    let told = |mesh: &Mesh| {
        mesh.events(0).iter().filter(|event| matches!(event, Event::PeerBusy { .. })).count()
    };
    for _ in 0..1000 {
        busy(&mut mesh, 5000);
        busy(&mut mesh, 0);
    }
    assert_eq!(told(&mesh), 1);
    mesh.wait(1000);
    busy(&mut mesh, 5000);
    assert_eq!(told(&mesh), 2);
}

#[test]
fn a_stamp_at_the_end_of_time_does_not_overflow_the_next_write() {
    let mut hostile = Hostile::new();
    hostile.write_at(u64::MAX, 1, &["k"], ActionItem::Set("1"), Vec::new());
    hostile.mesh.set(0, "k", "2");
    assert_eq!(hostile.mesh.read(0, "k").as_deref(), Some("2"), "it beats what it saw");
}

#[test]
fn nobody_can_say_how_many_writes_we_have_made() {
    let mut hostile = Hostile::new();
    let own = hostile.mesh.id(0);
    hostile.end(0, vec![(own, u64::MAX)], Vec::new());
    hostile.mesh.set(0, "k", "2");
}

#[test]
fn a_counter_at_the_end_does_not_overflow_the_batch() {
    let mut hostile = Hostile::new();
    hostile.end(0, vec![(X, u64::MAX)], Vec::new());
    hostile.write(u64::MAX, &["k"], ActionItem::Set("1"), Vec::new());
}

/// Ours never says an increment alone and then in another; a node that does leaves nothing behind.
#[test]
fn an_increment_that_stands_for_one_that_is_here_leaves_nothing_of_it() {
    let increment = |total: f64| ActionItem::Increment {
        epoch: 1,
        total: Amount::from_f64(total),
        run: Some(Run { base: None, value: total }),
    };
    let hashes = [false, true].map(|alone_too| {
        let mut peer = Hostile::new();
        peer.write_at(5, 1, &["a", "b"], increment(1.0), Vec::new());
        if alone_too {
            peer.write_at(6, 2, &["a", "b"], increment(2.0), Vec::new());
        }
        let mut bytes = message::begin(Kind::Writes);
        message::append(&mut bytes, &WritesHead { origin: X, first: 2, seen: Vec::new() });
        message::append(&mut bytes, &Item::Before(1));
        let (path, action) = (vec!["a", "b"], increment(3.0));
        let write = WriteItem { hlc: 7, path, action, arrays: Vec::new(), cuts: Vec::new() };
        message::append(&mut bytes, &Item::Write(write));
        peer.say(bytes);
        assert_eq!(peer.mesh.stats(0).bad_messages, 0);
        assert_eq!(peer.mesh.context(0).get(X), 3);
        assert_eq!(peer.mesh.read(0, "").as_deref(), Some(r#"{"a":{"b":3}}"#));
        peer.mesh.hash(0)
    });
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn a_key_deeper_than_the_limit_is_refused_in_a_feed() {
    let mut hostile = Hostile::new();
    hostile.value(&b"a\0".repeat(300), 1, "1");
    hostile.end(1, vec![(X, 1)], Vec::new());
    hostile.assert_refused();
}

#[test]
fn the_empty_key_is_refused_in_a_feed() {
    let mut hostile = Hostile::new();
    hostile.value(b"", 0, "{}");
    hostile.assert_refused();
}

#[test]
fn a_value_that_is_not_json_is_refused_in_a_feed() {
    let mut hostile = Hostile::new();
    hostile.value(b"k\0", 1, "nul");
    hostile.assert_refused();
}

/// Hashing it recurses once a level: with 100,000 of them the process is gone.
#[test]
fn a_value_nested_deeper_than_the_limit_is_refused_in_a_feed() {
    let mut hostile = Hostile::new();
    hostile.value(b"k\0", 1, &("[".repeat(1000) + &"]".repeat(1000)));
    hostile.assert_refused();
}

/// Reading it writes four billion times `null`.
#[test]
fn the_length_of_an_array_mark_has_a_bound() {
    let mut hostile = Hostile::new();
    hostile.write(1, &["k", "0"], ActionItem::Set("1"), vec![(1, u32::MAX)]);
    hostile.assert_refused();
}

#[test]
fn the_length_of_an_array_shell_has_a_bound() {
    let mut hostile = Hostile::new();
    let body = BodyState::Array(u32::MAX);
    let value = ValueState { dot: Dot::new(X, 1), hlc: 5, rank: Rank::OWN, at: 1, body };
    hostile.state(b"k\0", vec![value], Vec::new());
    hostile.assert_refused();
}

#[test]
fn a_run_that_is_no_number_is_refused_in_a_feed() {
    let mut hostile = Hostile::new();
    let part = Part {
        replica: X,
        hlc: 5,
        rank: Rank::OWN,
        epoch: 1,
        low: 0,
        low_total: Amount::ZERO,
        high: 1,
        high_total: Amount::Whole(1),
        run: Some(Run { base: None, value: f64::NAN }),
        settled: false,
    };
    hostile.state(b"k\0", Vec::new(), vec![part]);
    hostile.assert_refused();
}

#[test]
fn a_fold_into_write_zero_is_refused() {
    let mut hostile = Hostile::new();
    let one = Amount::Whole(1);
    let action = ActionItem::Increment { epoch: 1, total: one, run: None };
    hostile.write(1, &["n"], action, Vec::new());
    let into = Dot::new(Y, 0);
    let stub = Stub { replica: X, counter: 1, into };
    hostile.end(0, vec![(Y, 1)], vec![stub]);
    hostile.assert_refused();
}

/// Who had met it has ended as well; who lives was told where it listened, unasked.
#[test]
fn one_is_dead_when_another_has_its_address_though_nobody_who_lives_had_met_it() {
    let at_its_address =
        || Config { advertised: Some(Address::new("guest:1")), ..Config::default() };
    let mut mesh = Mesh::linked(2);
    let guest = mesh.add_linked(at_its_address(), &[1]);
    mesh.run(1_500);
    mesh.increment(guest, "n", 1.0);
    mesh.run(1_500);
    assert!(!mesh.is_linked(0, guest));
    mesh.cut(guest, 1);
    mesh.stop(guest);
    mesh.cut(0, 1);
    mesh.stop(1);
    let next = mesh.add_linked(at_its_address(), &[0]);
    mesh.run(100_000);
    for node in [0, next] {
        assert_eq!((mesh.stats(node).forgotten, mesh.read(node, "n")), (1, Some("1".into())));
    }
}

/// Nodes tell each other when they have heard others. What comes back late must not keep the dead alive.
#[test]
fn the_dead_are_folded_while_others_come_and_go_all_the_time() {
    let mut mesh = Mesh::linked(2);
    let dead = mesh.add_linked(Config::default(), &[0, 1]);
    mesh.run(1_500);
    mesh.increment(dead, "n", 1.0);
    mesh.run(1_500);
    mesh.leave(dead);
    mesh.deliver();
    for _ in 0..100 {
        let passer = mesh.add_linked(Config::default(), &[0, 1]);
        mesh.wait_on_the_way(150);
        mesh.wait_on_the_way(150);
        mesh.leave(passer);
        mesh.deliver();
    }
    mesh.deliver();
    assert_eq!([0, 1].map(|node| mesh.stats(node).folds), [1, 1]);
    assert_eq!([0, 1].map(|node| mesh.read(node, "n")), [Some("1".into()), Some("1".into())]);
}

/// One process after another is killed and back at once, all but the first; words are on the way for a
/// while, so that some have several folds when others have none.
#[test]
fn the_killed_are_folded_while_others_are_killed_all_the_time() {
    for seed in [1, 24, 26, 48] {
        let stats = after_a_storm(seed);
        assert!(stats.folds > 40, "{} folds, {} replicas", stats.folds, stats.replicas);
    }
}

fn after_a_storm(seed: u64) -> Stats {
    const NODES: usize = 8;
    let mut drawn = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = move |n: usize| {
        // Marsaglia's xorshift.
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        (drawn >> 11) as usize % n
    };
    let at = |place: usize| format!("127.0.0.1:{}", 7000 + place);
    let addresses: Vec<String> = (0..NODES).map(at).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let config = |place: usize| Config {
        advertised: Some(Address::new(at(place))),
        learn_addresses: true,
        loss_timeout_ms: 2000,
        heartbeat_interval_ms: 400,
        ..Config::default()
    };
    let mut mesh = Mesh::with(Vec::new());
    let mut nodes: Vec<usize> = Vec::new();
    for place in 0..NODES {
        nodes.push(mesh.add_told(config(place), &addresses[..place]));
    }
    mesh.run(2000);
    for round in 0..60 {
        let place = 1 + below(NODES - 1);
        let killed = nodes[place];
        mesh.stop(killed);
        for &other in nodes.iter().filter(|&&other| other != killed) {
            while mesh.is_linked(killed, other) {
                mesh.cut(killed, other);
            }
        }
        nodes[place] = mesh.add_told(config(place), &addresses);
        for _ in 0..10 {
            for (turn, &node) in nodes.iter().enumerate() {
                let key = format!("k{}.{}", (round + turn) % 3, turn % 2);
                match below(5) {
                    0 => mesh.set(node, &key, "1"),
                    1 if mesh.read(node, &key).is_some() => mesh.delete(node, &key),
                    2 => mesh.set(node, &format!("k{}", turn % 3), r#"{"0":2,"1":{}}"#),
                    _ => mesh.increment(node, &format!("n{}", round % 3), 1.0),
                }
            }
            mesh.wait_on_the_way([20, 50, 100, 150][below(4)]);
            if below(3) == 0 {
                mesh.run(50);
            }
        }
    }
    let mismatches = nodes.iter().map(|&node| mesh.stats(node).state_mismatches);
    assert_eq!(mismatches.sum::<u64>(), 0, "seed {seed}");
    mesh.stats(0)
}

/// Nobody has what it waits for: it would be asked for again and again.
#[test]
fn what_waits_of_a_replica_goes_when_that_is_folded() {
    let mut mesh = Mesh::linked(3);
    mesh.increment(2, "n", 1.0);
    mesh.run(1_500);
    let mut bytes = message::begin(Kind::Writes);
    let head = WritesHead { origin: mesh.id(2), first: 40, seen: Vec::new() };
    message::append(&mut bytes, &head);
    let (action, arrays, cuts) = (ActionItem::Set("1"), Vec::new(), Vec::new());
    let write = Item::Write(WriteItem { hlc: 5, path: vec!["late"], action, arrays, cuts });
    message::append(&mut bytes, &write);
    let link = mesh.links_between(0, 1)[0];
    mesh.receive(0, link, bytes.into());
    mesh.leave(2);
    mesh.deliver();
    mesh.run(1_500);
    assert!(mesh.stats(0).pulls > 2, "{} pulls", mesh.stats(0).pulls);
    mesh.run(20_000);
    assert_eq!(mesh.stats(0).folds, 1);
    let pulls = mesh.stats(0).pulls;
    mesh.run(5_000);
    assert_eq!(mesh.stats(0).pulls, pulls);
    assert_eq!(mesh.hash(0), mesh.hash(1));
}

#[test]
fn nobody_can_fold_a_living_replica_away() {
    let mut hostile = Hostile::new();
    hostile.mesh.set(0, "k", "1");
    let own = hostile.mesh.id(0);
    let stub = Stub { replica: own, counter: 1, into: Dot::new(Y, 1) };
    hostile.end(0, vec![(Y, 1)], vec![stub]);
    let id = hostile.mesh.id(0);
    let covered = hostile.mesh.context(0).get(id);
    assert!(id != own || covered == 1, "the same name, and counting from {covered} again");
}
