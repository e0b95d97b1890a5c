//! What memory and repair may cost.

mod mesh;

use collective_io::engine::{Address, Config, Event, WarningCode, Write, WriteError};
use mesh::Mesh;

/// What a repair may cost beside 1.5 times what is missing: digests, a pull, the end of a feed.
const REPAIR_BYTES: usize = 4 << 10;
/// And beyond the reach of a feed for each live key.
const KEPT_BYTES: usize = 16;

#[test]
fn after_everything_is_deleted_a_document_is_as_small_as_at_the_start() {
    let mut mesh = Mesh::linked(2);
    mesh.run(1500);
    let empty = mesh.document_bytes(0);
    for n in 0..20_000 {
        let (group, node) = (n % 100, n % 2);
        match n % 3 {
            0 => mesh.set(node, &format!("group{group}.number{n}"), &n.to_string()),
            1 => mesh.set(
                node,
                &format!("group{group}.object{n}"),
                r#"{"a":[1,{"b":2}],"c":"text"}"#,
            ),
            _ => mesh.increment(node, &format!("group{group}.counter{n}"), 0.5),
        }
        if n % 1000 == 0 {
            mesh.deliver();
        }
    }
    mesh.run(1500);
    mesh.assert_converged();
    assert!(mesh.document_bytes(0) > 1000 * empty, "{empty} bytes when empty");
    // Some singly, so that there are records of removals; then all the rest.
    for n in (0..20_000).step_by(3) {
        mesh.delete(0, &format!("group{}.number{n}", n % 100));
    }
    for group in 0..100 {
        mesh.delete(1, &format!("group{group}"));
    }
    mesh.run(5_000);
    mesh.assert_converged();
    for node in 0..2 {
        let stats = mesh.stats(node);
        assert_eq!((stats.document_nodes, stats.things, stats.cuts), (0, 0, 0), "{stats:?}");
        let bytes = mesh.document_bytes(node);
        assert!(bytes <= empty + (8 << 10), "{bytes} bytes, {empty} at the start");
    }
}

/// Of two nodes the second may hold so much.
fn with_little_room(bytes: usize) -> Mesh {
    let little = Config { document_bytes_max: Some(bytes), ..Config::default() };
    let mut mesh = Mesh::with(vec![Config::default(), little]);
    mesh.link_all();
    mesh
}

fn warnings_of_no_room(mesh: &Mesh, node: usize) -> usize {
    let told = |event: &&Event| matches!(event, Event::Warning { code, .. } if *code == WarningCode::StateFull);
    mesh.events(node).iter().filter(told).count()
}

#[test]
fn a_full_document_refuses_own_writes_and_takes_those_of_peers() {
    const ROOM: usize = 64 << 10;
    let mut mesh = with_little_room(ROOM);
    let refused = |mesh: &mut Mesh, path: &[&str], json: &str| {
        let (hash, context) = (mesh.hash(1), mesh.context(1));
        let result = mesh.write(1, Write::Set { path, json });
        assert!(matches!(result, Err(WriteError::StateFull { limit: ROOM, .. })), "{result:?}");
        assert_eq!((mesh.hash(1), mesh.context(1)), (hash, context), "it changed something");
    };
    mesh.increment(1, "count", 1.0);
    let mut made = 0;
    while mesh.write(1, Write::Set { path: &["own", &made.to_string()], json: "[1,2,3]" }).is_ok() {
        made += 1;
    }
    assert!(made > 100, "{made} writes fit");
    assert!(mesh.stats(1).document_bytes <= ROOM);
    refused(&mut mesh, &["own", "more"], "0");
    refused(&mut mesh, &["more"], "0");
    // What replaces as much, adds up where a counter is, or makes room is taken all the same.
    mesh.set(1, "own.0", "[4,5,6]");
    mesh.increment(1, "count", 1.0);

    for n in 0..2000 {
        mesh.set(0, &format!("peers.{n}"), "\"what a peer has written\"");
    }
    mesh.run(2000);
    assert!(mesh.stats(1).document_bytes > ROOM);
    mesh.assert_converged();
    refused(&mut mesh, &["own", "more"], "0");
    assert_eq!(warnings_of_no_room(&mesh, 1), 1);
    assert_eq!(warnings_of_no_room(&mesh, 0), 0);

    mesh.delete(1, "peers");
    mesh.delete(1, "own");
    mesh.set(1, "own.again", "0");
    mesh.run(2000);
    mesh.assert_converged();
    mesh.assert_all_read("own.again", "0");
    mesh.assert_all_read("count", "2");
    // What is too large by itself does not make the document full; the next time it is, it is told.
    let large = format!("\"{}\"", "x".repeat(ROOM));
    refused(&mut mesh, &["large"], &large);
    mesh.run(2000);
    assert_eq!(warnings_of_no_room(&mesh, 1), 1);
    mesh.set(0, "large", &large);
    mesh.run(2000);
    assert_eq!(warnings_of_no_room(&mesh, 1), 2);
    mesh.assert_converged();
}

/// A piece of a large array set apart would make a small write cost many times the text.
#[test]
fn a_write_into_a_large_value_is_counted_with_what_it_takes_apart() {
    const ROOM: usize = 64 << 10;
    let mut mesh = with_little_room(ROOM);
    let many = format!("[{}]", vec!["0"; 5000].join(","));
    mesh.set(1, "many", &many);
    let before = mesh.document_bytes(1);
    let result = mesh.write(1, Write::Set { path: &["many", "17"], json: "1" });
    assert!(matches!(result, Err(WriteError::StateFull { .. })), "{result:?}");
    assert_eq!(mesh.document_bytes(1), before);
    mesh.set(1, "many", "[]");
    mesh.set(1, "many.17", "1");
}

#[test]
fn what_a_document_is_counted_to_take_is_about_what_it_takes() {
    let mut mesh = Mesh::linked(1);
    for n in 0..5000 {
        let (short, long) = (n.to_string(), format!("\"{}\"", "x".repeat(n % 300)));
        mesh.set(0, &format!("scalars.{n}"), &short);
        mesh.set(0, &format!("texts.a longer name {n}"), &long);
        mesh.set(0, &format!("deep.{}.{}.{n}", n % 10, n % 100), r#"{"a":[1,2]}"#);
        mesh.increment(0, &format!("counters.{n}"), 0.5);
    }
    let (counted, walked) = (mesh.stats(0).document_bytes, mesh.document_bytes(0));
    assert!(counted < walked * 3 / 2 && walked < counted * 3 / 2, "{counted}, {walked} walked");
}

/// What a node that was away brings with it is gone as well, though it was told by one record.
#[test]
fn who_was_away_while_everything_was_deleted_deletes_it_too() {
    let mut mesh = Mesh::linked(3);
    for n in 0..50 {
        mesh.set(n % 3, &format!("group{}.key{n}", n % 5), "[1,2]");
        mesh.increment(n % 3, &format!("counter{n}"), 1.0);
    }
    mesh.run(1500);
    for other in [0, 1] {
        mesh.cut(2, other);
    }
    mesh.set(2, "group1.later", "true");
    for n in 0..50 {
        mesh.delete(0, &format!("group{}", n % 5));
        mesh.delete(1, &format!("counter{n}"));
    }
    mesh.run(3_000);
    assert_eq!(mesh.read(0, "").as_deref(), Some("{}"));
    mesh.link(2, 0);
    mesh.link(2, 1);
    mesh.run(3_000);
    mesh.assert_converged();
    assert_eq!(mesh.read(1, "").as_deref(), Some(r#"{"group1":{"later":true}}"#));
    assert_eq!(mesh.read(2, "").as_deref(), Some(r#"{"group1":{"later":true}}"#));
}

/// Bytes of one second's digests of two nodes, after so many have come, written, and gone.
fn digests_after(guests: usize, go: fn(&mut Mesh, usize)) -> u64 {
    // Longer than which nobody counts as alive who is not heard.
    const SILENCE_MS: u64 = 12_000;
    let mut mesh = Mesh::linked(2);
    for _ in 0..guests {
        let guest = mesh.add_linked(Config::default(), &[0, 1]);
        mesh.run(10);
        mesh.increment(guest, "guests", 1.0);
        mesh.run(10);
        go(&mut mesh, guest);
    }
    // Keeps those that left from being folded.
    let away = mesh.add_linked(Config::default(), &[0]);
    mesh.run(10);
    mesh.set(away, "away", "true");
    mesh.run(10);
    vanish(&mut mesh, away);
    mesh.run(SILENCE_MS + 2_000);
    assert_eq!(mesh.read(1, "guests"), Some(guests.to_string()));
    assert_eq!(mesh.stats(0).replicas, guests + 1, "none is folded");
    let told = |mesh: &Mesh| mesh.stats(0).traffic_out.digests;
    let before = told(&mesh);
    mesh.run(1000);
    told(&mesh) - before
}

fn say_goodbye(mesh: &mut Mesh, guest: usize) {
    mesh.leave(guest);
    mesh.deliver();
}

fn vanish(mesh: &mut Mesh, guest: usize) {
    for other in [0, 1] {
        mesh.cut(guest, other);
    }
    mesh.stop(guest);
}

#[test]
fn what_is_told_of_those_that_are_gone_grows_with_their_number_and_not_its_square() {
    for go in [say_goodbye, vanish] {
        let (few, many) = (digests_after(40, go), digests_after(120, go));
        assert!(few > 0 && many < 4 * few, "{few} bytes for 40, {many} for 120");
    }
}

#[test]
#[ignore = "takes minutes: cargo test --test bounds -- --ignored"]
fn ten_thousand_restarts_of_one_address_leave_nothing() {
    const RESTARTS: usize = 10_000;
    let config = Config { forget_after_ms: 60_000, ..Config::default() };
    let mut mesh = Mesh::with(vec![config.clone(); 2]);
    mesh.link_all();
    let guest_config = Config { advertised: Some(Address::new("guest:1")), ..config };
    for restart in 0..RESTARTS {
        let guest = mesh.add_linked(guest_config.clone(), &[0, 1]);
        mesh.run(20);
        mesh.increment(guest, "restarts", 1.0);
        mesh.set(guest, "last", &restart.to_string());
        mesh.run(180);
        mesh.cut(guest, 0);
        mesh.cut(guest, 1);
        mesh.stop(guest);
    }
    mesh.run(2 * 60_000 + 30_000);
    for node in 0..2 {
        assert_eq!(mesh.read(node, "restarts"), Some(RESTARTS.to_string()));
        assert_eq!(mesh.read(node, "last"), Some((RESTARTS - 1).to_string()));
        let stats = mesh.stats(node);
        // The two, and the last one, whose address nobody has taken.
        assert!(stats.replicas <= 3, "{stats:?}");
        assert_eq!((stats.forgotten, stats.cuts), (0, 0), "{stats:?}");
        let bytes = mesh.document_bytes(node);
        assert!(bytes < 16 << 10, "{bytes} bytes");
    }
    assert_eq!(mesh.hash(0), mesh.hash(1));
}

/// Keys of about 20 bytes with values of 100.
const KEYS: usize = 3_000;

fn key(n: usize) -> String {
    format!("group{}.key{n:05}", n % 10)
}

fn value(n: usize) -> String {
    format!("\"{n:098}\"")
}

/// The same with ten keys in each of many groups.
fn field(n: usize) -> String {
    format!("groups.{}.field{}", n / 10, n % 10)
}

/// What is written: values of 100 bytes, or objects that were SET as a whole and then in part.
#[derive(Clone, Copy)]
enum Kind {
    Values,
    Objects,
}

impl Kind {
    fn write(self, mesh: &mut Mesh, key: &str, n: usize) {
        match self {
            Kind::Values => mesh.set(0, key, &value(n)),
            Kind::Objects => {
                mesh.set(0, key, &format!(r#"{{"number":{n},"text":{}}}"#, value(n)));
                mesh.set(0, &format!("{key}.number"), "1");
            }
        }
    }

    /// Of keys and values that are live for each key written.
    fn bytes(self, key: &str) -> usize {
        match self {
            Kind::Values => key.len() + value(0).len(),
            Kind::Objects => 3 * key.len() + ".number1.text".len() + value(0).len(),
        }
    }

    /// What may go for what is live of each key written: a split object has a shell and a mark.
    fn kept_bytes(self) -> usize {
        match self {
            Kind::Values => KEPT_BYTES,
            Kind::Objects => 3 * KEPT_BYTES + 8,
        }
    }
}

/// Two nodes with the same keys, of which one was cut off; then one of them changed so many. Gives
/// the bytes of what is missing, and those that went to repair it.
fn repair(config: Config, kind: Kind, key: fn(usize) -> String, changes: usize) -> (usize, usize) {
    let mut mesh = Mesh::with(vec![config; 2]);
    mesh.link_all();
    for n in 0..KEYS {
        kind.write(&mut mesh, &key(n), n);
        mesh.deliver();
    }
    mesh.run(3_000);
    mesh.cut(0, 1);
    let mut missing = 0;
    for n in (0..KEYS).take(changes) {
        kind.write(&mut mesh, &key(n), n + KEYS);
        missing += kind.bytes(&key(n));
    }
    mesh.run(1_000);
    let before = mesh.carried(0, 1);
    mesh.link(0, 1);
    mesh.run(3_000);
    mesh.assert_converged();
    (missing, mesh.carried(0, 1) - before)
}

#[test]
fn a_repair_costs_little_more_than_what_is_missing() {
    for changes in [0, 10, 300, 3_000] {
        let (missing, sent) = repair(Config::default(), Kind::Values, key, changes);
        let most = missing * 3 / 2 + REPAIR_BYTES;
        assert!(sent <= most, "{changes} changes, {missing} bytes: {sent} were sent");
    }
}

/// Whatever was written while a node was away costs little more to bring to it than it had cost to
/// push it to another one.
#[test]
fn a_repair_costs_little_more_than_the_pushes_that_were_missed() {
    const SEEDS: u64 = 40;
    let (mut pushed_in_all, mut sent_in_all) = (0, 0);
    for seed in 0..SEEDS {
        let mut chance = Chance::new(seed);
        let config = Config { removals_max: 1 << 16, ..Config::default() };
        let mut mesh = Mesh::with(vec![config; 3]);
        mesh.link_all();
        for _ in 0..300 {
            write_some(&mut mesh, &mut chance);
        }
        mesh.run(3_000);
        mesh.cut(2, 0);
        mesh.cut(2, 1);
        let before = mesh.carried(0, 1) + mesh.carried(1, 0);
        for _ in 0..chance.below(600) {
            write_some(&mut mesh, &mut chance);
        }
        let pushed = mesh.carried(0, 1) + mesh.carried(1, 0) - before;
        mesh.run(1_000);
        let before = mesh.carried(0, 2);
        mesh.link(2, 0);
        mesh.run(3_000);
        mesh.assert_converged();
        let sent = mesh.carried(0, 2) - before;
        let most = pushed * 3 / 2 + REPAIR_BYTES;
        assert!(sent <= most, "seed {seed}: {pushed} bytes were pushed, {sent} went to repair");
        (pushed_in_all, sent_in_all) = (pushed_in_all + pushed, sent_in_all + sent);
    }
    println!("{pushed_in_all} bytes pushed, {sent_in_all} to repair");
}

/// Numbers of a generator that is good enough here (SplitMix64).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Chance(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// One of two nodes writes something, which is pushed at once.
fn write_some(mesh: &mut Mesh, chance: &mut Chance) {
    let node = chance.below(2);
    let (group, key) = (chance.below(20), chance.below(40));
    match chance.below(20) {
        0..8 => {
            let text = "x".repeat(chance.below(200));
            mesh.set(node, &format!("group{group}.text{key}"), &format!("\"{text}\""));
        }
        8..11 => {
            let members: Vec<String> =
                (0..chance.below(6)).map(|n| format!("\"member{n}\":[{key},true]")).collect();
            let json = format!("{{{}}}", members.join(","));
            mesh.set(node, &format!("group{group}.object{key}"), &json);
        }
        11..15 => mesh.increment(node, &format!("group{group}.count{key}"), key as f64),
        15 => mesh.set(node, &format!("group{group}.object{key}.member1.0"), "false"),
        16..19 => {
            let kind = ["text", "object", "count"][chance.below(3)];
            mesh.delete(node, &format!("group{group}.{kind}{key}"));
        }
        _ => mesh.delete(node, &format!("group{group}")),
    }
    mesh.deliver();
}

#[test]
fn beyond_the_reach_of_a_feed_what_is_known_goes_as_fingerprints() {
    let config = Config { look_back_changes: 100, ..Config::default() };
    let key: fn(usize) -> String = key;
    for (kind, key, changes) in [
        (Kind::Values, key, 300),
        (Kind::Values, key, 3_000),
        (Kind::Values, field, 300),
        (Kind::Objects, key, 300),
    ] {
        let (missing, sent) = repair(config.clone(), kind, key, changes);
        let most = missing * 3 / 2 + kind.kept_bytes() * KEYS + REPAIR_BYTES;
        assert!(sent <= most, "{changes} changes, {missing} bytes: {sent} were sent, not {most}");
        println!("{changes} changes, {missing} bytes: {sent} were sent, {most} may be");
    }
}
