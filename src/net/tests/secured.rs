//! Nodes that ask for a secret, or for a certificate.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

use super::super::secure::certificates::Authority;
use super::super::secure::{Guard, Session, Shaken};
use super::*;
use crate::engine::wire::message::{self, Hello, Kind};
use crate::engine::{NodeId, ReplicaId};

fn secret(number: u8) -> [u8; SECRET_BYTES] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ number.wrapping_mul(91))
}

fn credentials(numbers: &[u8]) -> Credentials {
    let secrets: Vec<_> = numbers.iter().map(|&number| secret(number)).collect();
    Credentials::secrets(secrets.iter().map(|secret| &secret[..])).expect("good secrets")
}

fn with(numbers: &[u8]) -> impl Fn(&mut Options) {
    with_credentials(credentials(numbers))
}

fn with_credentials(credentials: Credentials) -> impl Fn(&mut Options) {
    move |options| options.credentials = Some(credentials.clone())
}

fn open_with(numbers: &[u8], change: impl FnOnce(&mut Options)) -> TestNode {
    TestNode::open(|options| {
        with(numbers)(options);
        change(options);
    })
}

fn dial(port: u16) -> impl FnOnce(&mut Options) {
    move |options| options.connect = vec![Address::new(format!("127.0.0.1:{port}"))]
}

fn warning(node: &mut TestNode, code: &str) -> String {
    node.wait(|event| match event {
        NodeEvent::Warning { code: found, message, .. } if *found == code => Some(message.clone()),
        _ => None,
    })
}

fn read(node: &TestNode, key: &str) -> Option<String> {
    node.node.with_engine(|engine, _| engine.read(&[key]))
}

fn write(node: &TestNode, write: Local<'_>) {
    node.node.with_engine(|engine, now| engine.write(now, write)).expect("written");
}

/// Somebody with a secret and a program of his own.
struct Intruder {
    stream: TcpStream,
    session: Session,
}

impl Intruder {
    fn connect(port: u16, guard: &Guard) -> Self {
        let mut stream = connect(port);
        let mut handshake = guard.handshake(true);
        let (mut from, mut into) = (BytesMut::new(), BytesMut::new());
        loop {
            let shaken = handshake.advance(&mut from, &mut into).expect("a handshake");
            stream.write_all(&into.split()).expect("written");
            if let Some(Shaken { session, .. }) = shaken {
                return Intruder { stream, session };
            }
            let mut some = [0; 512];
            let bytes = stream.read(&mut some).expect("an answer");
            from.extend_from_slice(&some[..bytes]);
        }
    }

    fn send(&mut self, frames: Bytes) {
        let mut sealed = BytesMut::new();
        self.session.seal(&mut VecDeque::from([frames]), &mut sealed);
        self.stream.write_all(&sealed).expect("written");
    }

    fn say_hello(&mut self, replica: ReplicaId, node: NodeId) {
        let limits = Config::default().limits;
        self.send(message::encode(
            Kind::Hello,
            &Hello {
                magic: message::MAGIC,
                major: message::VERSION_MAJOR,
                minor: message::VERSION_MINOR,
                replica,
                node,
                cluster: &Config::default().cluster,
                advertised: None,
                limits: (
                    limits.key_bytes_max as u64,
                    limits.depth_max as u64,
                    limits.value_bytes_max as u64,
                ),
            },
        ));
    }
}

/// Each writes much, the other gets it, and nobody was refused.
fn exchange(a: &TestNode, b: &TestNode) {
    let large = format!("\"{}\"", "x".repeat(1 << 19));
    write(a, Local::Set { path: &["a"], json: &large });
    write(b, Local::Set { path: &["b"], json: &large });
    wait_until(|| read(a, "b").as_ref() == Some(&large));
    wait_until(|| read(b, "a").as_ref() == Some(&large));
    assert!(b.node.flush(PATIENCE));
    assert_eq!(a.node.stats().refused, Default::default());
}

#[test]
fn nodes_with_a_common_secret_converge() {
    for (listener, dialler) in [(&[1][..], &[1][..]), (&[1], &[2, 1]), (&[3, 2, 1], &[1])] {
        let mut a = open_with(listener, |_| {});
        let b = open_with(dialler, dial(a.port()));
        exchange(&a, &b);
    }
}

#[test]
fn a_job_may_be_as_large_and_as_lonely_as_in_the_clear() {
    let nodes = pair_with(with(&[1]));
    let bytes = Config::default().limits.value_bytes_max;
    let args = format!("[\"{}\"]", "x".repeat(bytes - 4));
    nodes[0].node.with_engine_at_once(|engine, now| ask(engine, now, &args));
    gather(&nodes, 1, &args);
    keep_lone_jobs_in_place(nodes);
}

#[test]
fn a_goodbye_arrives() {
    let [a, mut b] = pair_with(with(&[1]));
    a.node.close().blocking_recv().expect("closed");
    let code = b.wait(|event| match event {
        NodeEvent::PeerDown { code, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code, "ERR_PEER_LEFT");
}

#[test]
fn another_secret_is_refused_with_a_reason_on_one_side_alone() {
    let mut a = open_with(&[1], |_| {});
    let mut b = open_with(&[2], dial(a.port()));
    assert!(warning(&mut a, "ERR_UNKNOWN_SECRET").contains("none of the secrets"));
    assert!(warning(&mut b, "ERR_HANDSHAKE_FAILED").contains("ended the handshake"));
    a.wait_for_refusal("ERR_UNKNOWN_SECRET");
    // It is dialled again, and told of once.
    wait_until(|| a.node.stats().refused["ERR_UNKNOWN_SECRET"] > 2);
    let told = b.node.take_events(usize::MAX);
    assert!(!told.iter().any(|event| matches!(event, NodeEvent::Warning { .. })));
    for node in [a, b] {
        assert_eq!(node.node.stats().engine.peers, 0);
        assert_eq!(node.node.stats().engine.bad_messages, 0);
    }
}

#[test]
fn a_failed_connect_names_the_handshake() {
    let mut a = open_with(&[1], |_| {});
    let mut b = open_with(&[2], |options| options.listen = None);
    b.node.connect(Address::new(format!("127.0.0.1:{}", a.port())));
    b.wait(|event| match event {
        NodeEvent::ConnectFailed { code, .. } => {
            assert_eq!(code, "ERR_HANDSHAKE_FAILED");
            Some(())
        }
        _ => None,
    });
}

#[test]
fn who_speaks_in_the_clear_is_refused_whoever_dials() {
    let mut secured = open_with(&[1], |_| {});
    let _plain = TestNode::open(dial(secured.port()));
    assert!(warning(&mut secured, "ERR_MODE_MISMATCH").contains("in the clear"));

    let mut plain = TestNode::open(|_| {});
    let mut secured = open_with(&[1], dial(plain.port()));
    assert!(warning(&mut secured, "ERR_MODE_MISMATCH").contains("in the clear"));
    assert_eq!(plain.node.stats().engine.peers, 0);
}

#[test]
fn a_node_does_not_connect_to_itself() {
    let mut node = open_with(&[1], |_| {});
    let port = node.port();
    node.node.connect(Address::new(format!("127.0.0.1:{port}")));
    node.wait_for_refusal("ERR_CONNECTED_TO_SELF");
}

#[test]
fn strangers_cost_little_and_are_not_told_of() {
    let mut node = open_with(&[1], |options| options.config.handshake_timeout_ms = 60_000);
    let port = node.port();
    for junk in
        [&b"x\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 100], b"CLIS", b"CLIS\x01\x01\x01\xff"]
    {
        let mut stranger = connect(port);
        stranger.write_all(junk).expect("written");
        stranger.shutdown(std::net::Shutdown::Write).expect("shut down");
        wait_for_end(&stranger);
    }
    for code in ["ERR_HANDSHAKE_FAILED", "ERR_MODE_MISMATCH"] {
        node.wait_for_refusal(code);
    }
    let strangers: Vec<_> = (0..65).map(|_| connect(port)).collect();
    wait_for_end(&strangers[0]);
    wait_until(|| node.node.stats().connections == 64);
    assert_eq!(node.node.stats().refused.get("ERR_BUSY"), Some(&1));
    let told = node.node.take_events(usize::MAX);
    let warnings = told.iter().filter(|event| matches!(event, NodeEvent::Warning { .. }));
    assert!(warnings.count() <= 3, "{told:?}");
}

#[test]
fn a_crowd_of_strangers_costs_a_few_connections_and_no_ring_with_a_secret_too() {
    let [a, _b] = pair_with(with(&[1]));
    crowd_of_strangers(a);
}

#[test]
fn bad_handshakes_are_counted_and_a_few_are_told_of() {
    let [mut a, _b] = pair_with(with(&[1]));
    let port = a.port();
    // Wrong from the first byte, of another kind, with a secret that is not known, cut short.
    let guard = Guard::new(credentials(&[2]), "collective");
    let mut offer = BytesMut::new();
    guard.handshake(true).advance(&mut BytesMut::new(), &mut offer).expect("a first message");
    let mut plain = vec![40, 0, 0, 0];
    plain.extend_from_slice(&[1; 40]);
    let attempts = [&[0xff; 100][..], &plain, &offer, &offer[..offer.len() / 2], b"x"];
    const ROUNDS: usize = 100;
    let began = Instant::now();
    for _ in 0..ROUNDS {
        for attempt in attempts {
            let mut stranger = connect(port);
            // It may be refused before it has said all.
            let _ = stranger.write_all(attempt);
            let _ = stranger.shutdown(std::net::Shutdown::Write);
            wait_for_end(&stranger);
        }
    }
    let all = (ROUNDS * attempts.len()) as u64;
    wait_until(|| a.node.stats().refused.values().sum::<u64>() == all);
    let refused = a.node.stats().refused;
    assert!(refused["ERR_UNKNOWN_SECRET"] >= ROUNDS as u64, "{refused:?}");
    assert!(refused["ERR_MODE_MISMATCH"] >= ROUNDS as u64, "{refused:?}");
    let told = a.node.take_events(usize::MAX);
    let warnings = told.iter().filter(|event| matches!(event, NodeEvent::Warning { .. })).count();
    let seconds = began.elapsed().as_secs() as usize + 2;
    assert!(warnings > 0 && warnings <= seconds * 8 * refused.len(), "{warnings} in {seconds} s");
    assert_eq!(a.node.stats().engine.peers, 1);
}

#[test]
fn a_silent_stranger_is_dropped_unheard() {
    let mut node = open_with(&[1], |options| options.config.handshake_timeout_ms = 50);
    wait_for_end(&connect(node.port()));
    node.wait_for_refusal("ERR_HANDSHAKE_TIMEOUT");
    wait_until(|| node.node.stats().connections == 0);
    let told = node.node.take_events(usize::MAX);
    assert!(!told.iter().any(|event| matches!(event, NodeEvent::Warning { .. })), "{told:?}");
}

#[test]
fn a_stranger_who_only_knows_the_secret_gets_two_seconds_too() {
    let mut node = open_with(&[1], |options| options.config.handshake_timeout_ms = 200);
    let intruder = Intruder::connect(node.port(), &Guard::new(credentials(&[1]), "collective"));
    wait_for_end(&intruder.stream);
    node.wait_for_refusal("ERR_HANDSHAKE_TIMEOUT");
}

#[test]
fn nobody_takes_the_name_of_another() {
    let [mut a, b] = pair_with(with(&[1]));
    let port = a.port();
    let (replica, node) = b.node.with_engine(|engine, _| (engine.id(), engine.node()));
    let guard = Guard::new(credentials(&[1]), "collective");
    for (replica, node) in
        [(replica, node), (ReplicaId(1), node), (replica, NodeId(*b"another node"))]
    {
        let mut intruder = Intruder::connect(port, &guard);
        intruder.say_hello(replica, node);
        wait_for_end(&intruder.stream);
        assert!(warning(&mut a, "ERR_IDENTITY_MISMATCH").contains("has another key"));
    }
    assert_eq!(a.node.stats().refused["ERR_IDENTITY_MISMATCH"], 3);
    assert_eq!(a.node.stats().engine.peers, 1);
    // Under a name of its own it may come: it has the secret.
    let mut intruder = Intruder::connect(port, &guard);
    intruder.say_hello(ReplicaId(1), NodeId(*b"another node"));
    a.wait_for_peers(2);
}

#[test]
fn a_record_that_is_not_the_peers_ends_the_connection() {
    let mut node = open_with(&[1], |_| {});
    let guard = Guard::new(credentials(&[1]), "collective");
    let mut intruder = Intruder::connect(node.port(), &guard);
    intruder.say_hello(ReplicaId(1), NodeId([7; 12]));
    node.wait_for_peers(1);
    intruder
        .stream
        .write_all(&[17, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
        .expect("written");
    let code = node.wait(|event| match event {
        NodeEvent::PeerDown { code, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code, "ERR_CORRUPT_RECORD");
}

#[test]
fn a_node_of_another_kind_does_not_rotate() {
    let plain = TestNode::open(|_| {});
    assert!(!plain.node.rotate(credentials(&[1])));
}

#[test]
fn secrets_change_under_load() {
    let nodes = pair_with(with(&[1]));
    change_under_load(&nodes, &[credentials(&[1, 2]), credentials(&[2, 1]), credentials(&[2])]);
    // Who has the old one alone is out.
    let [mut a, _] = nodes;
    let outsider = open_with(&[1], dial(a.port()));
    a.wait_for_refusal("ERR_UNKNOWN_SECRET");
    assert_eq!(outsider.node.stats().engine.peers, 0);
}

#[test]
fn certificates_change_under_load() {
    let (before, after) = (Authority::new(), Authority::new());
    let nodes = pair_with(with_credentials(before.issue(&["a.example"]).credentials(&[])));
    change_under_load(
        &nodes,
        &[
            before.issue(&["a.example"]).trusting(&after).credentials(&[]),
            after.issue(&["a.example"]).trusting(&before).credentials(&[]),
            after.issue(&["a.example"]).credentials(&[]),
        ],
    );
    let [mut a, _] = nodes;
    let outsider = before.issue(&["a.example"]).trusting(&after).credentials(&[]);
    let outsider = TestNode::open(|options| {
        options.credentials = Some(outsider);
        dial(a.port())(options);
    });
    a.wait_for_refusal("ERR_CERTIFICATE_REFUSED");
    assert_eq!(outsider.node.stats().engine.peers, 0);
}

/// Two nodes write and ask all the time, and go on with each of these.
fn change_under_load(nodes: &[TestNode; 2], steps: &[Credentials]) {
    let [a, b] = nodes;
    let first = links(nodes);
    let writers = [&a.node, &b.node];
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for _ in 0..10_000 {
                for node in writers {
                    let count = Local::Increment { path: &["count"], by: 1.0 };
                    node.with_engine(|engine, now| engine.write(now, count)).expect("written");
                }
                std::thread::yield_now();
            }
        });
        for step in steps {
            for node in [a, b] {
                assert!(node.node.rotate(step.clone()));
                // As many jobs as it takes for the change to be through, each with all answers.
                for _ in 0..20 {
                    a.node.with_engine_at_once(|engine, now| ask(engine, now, "[]"));
                    gather(nodes, 1, "[]");
                }
            }
        }
        writing.join().expect("a writer");
    });
    for node in [a, b] {
        wait_until(|| read(node, "count").as_deref() == Some("20000"));
        assert_eq!(node.node.stats().connections, 1);
        assert_eq!(node.node.stats().engine.bad_messages, 0);
        assert!(!node.node.take_events(usize::MAX).iter().any(|event| {
            matches!(event, NodeEvent::PeerDown { .. } | NodeEvent::Warning { .. })
        }));
    }
    assert!(links(nodes).iter().zip(first).all(|(now, before)| now > &before), "none was dialled");
}

/// How many connections each node has had.
fn links(nodes: &[TestNode]) -> Vec<u64> {
    nodes.iter().map(|node| node.node.stats().handshakes).collect()
}

#[test]
fn a_secret_that_is_removed_ends_what_it_has_opened() {
    let [mut a, mut b] = pair_with(with(&[1]));
    assert!(a.node.rotate(credentials(&[2])));
    let down = |event: &NodeEvent| match event {
        NodeEvent::PeerDown { code, .. } => Some(*code),
        _ => None,
    };
    assert_eq!(a.wait(down), "ERR_CREDENTIALS_REMOVED");
    assert_eq!(b.wait(down), "ERR_PEER_LOST");
    assert!(b.node.rotate(credentials(&[2])));
    for node in [&a, &b] {
        node.wait_for_peers(1);
    }
}

#[test]
fn nodes_with_certificates_converge() {
    let authority = Authority::new();
    let member =
        |name: &str| with_credentials(authority.issue(&[name]).credentials(&["*.example"]));
    let mut a = TestNode::open(member("a.example"));
    let b = TestNode::open(|options| {
        member("b.example")(options);
        dial(a.port())(options);
    });
    exchange(&a, &b);
    keep_lone_jobs_in_place(pair_with(member("c.example")));
}

#[test]
fn a_certificate_is_refused_with_a_reason_on_one_side_alone() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut a = TestNode::open(with_credentials(authority.issue(&["a.example"]).credentials(&[])));
    let stranger = other.issue(&["b.example"]).trusting(&authority).credentials(&[]);
    let mut b = TestNode::open(|options| {
        options.credentials = Some(stranger);
        dial(a.port())(options);
    });
    assert!(warning(&mut a, "ERR_CERTIFICATE_REFUSED").contains("it is of another authority"));
    b.wait_for_refusal("ERR_HANDSHAKE_FAILED");
    let told = warning(&mut b, "ERR_HANDSHAKE_FAILED");
    assert!(!told.contains("authority"), "{told}");
    assert_eq!(b.node.stats().engine.peers, 0);
}

/// The names in a certificate may change, but nobody takes those of a node that is there.
#[test]
fn a_name_is_free_when_the_owner_of_its_certificate_is_gone() {
    let authority = Authority::new();
    let guard = |name: &str| Guard::new(authority.issue(&[name]).credentials(&[]), "collective");
    let mut a = TestNode::open(with_credentials(authority.issue(&["a.example"]).credentials(&[])));
    let port = a.port();
    let mut first = Intruder::connect(port, &guard("b.example"));
    first.say_hello(ReplicaId(1), NodeId([7; 12]));
    a.wait_for_peers(1);
    let mut second = Intruder::connect(port, &guard("c.example"));
    second.say_hello(ReplicaId(1), NodeId([7; 12]));
    wait_for_end(&second.stream);
    a.wait_for_refusal("ERR_IDENTITY_MISMATCH");
    drop(first);
    a.wait_for_peers(0);
    let mut third = Intruder::connect(port, &guard("c.example"));
    third.say_hello(ReplicaId(1), NodeId([7; 12]));
    a.wait_for_peers(1);
}
