//! Nodes on the loopback interface.

mod secured;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::STRANGERS_MAX;
use super::*;
use crate::engine::rare::Rare;
use crate::engine::{
    Address, Ask, Config, End, Engine, Item, JobId, Now, Offer, Outcome, To, Write as Local,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Items taken per ring, so that one must come for what is left.
const ITEMS_MAX: usize = 3;

/// A sink that a test can wait on.
struct Bell(mpsc::SyncSender<()>);

impl Sink for Bell {
    fn ring(&self) {
        // A full channel has a ring in it already.
        let _ = self.0.try_send(());
    }
}

struct TestNode {
    node: Node,
    rings: mpsc::Receiver<()>,
    /// Taken and not asked for yet.
    events: Vec<NodeEvent>,
    port: Option<u16>,
}

impl TestNode {
    fn open(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            config: Config::default(),
            listen: Some(("127.0.0.1".into(), 0)),
            connect: Vec::new(),
            seed: std::array::from_fn(|_| fastrand()),
            credentials: None,
            insecure: false,
        };
        change(&mut options);
        let (sender, rings) = mpsc::sync_channel(1);
        let node = Node::open(options, Arc::new(Bell(sender)));
        TestNode { node, rings, events: Vec::new(), port: None }
    }

    /// The first event that `f` knows, others are passed over. Takes one event per ring, so that a
    /// ring for what is left must come.
    fn wait<R>(&mut self, mut f: impl FnMut(&NodeEvent) -> Option<R>) -> R {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for event in std::mem::take(&mut self.events) {
                if let Some(found) = f(&event) {
                    return found;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.rings.recv_timeout(left).expect("an event in time");
            self.node.with_engine(|engine, _| engine.take_touched(&mut Vec::new()));
            self.events = self.node.take_events(1);
        }
    }

    fn port(&mut self) -> u16 {
        if let Some(port) = self.port {
            return port;
        }
        let port = self.wait(|event| match event {
            NodeEvent::Listening { port, .. } => Some(*port),
            _ => None,
        });
        *self.port.insert(port)
    }

    /// Answers what runs here with its own arguments, as often as it is rung for, and gives what
    /// else there is.
    fn serve(&self) -> Vec<Item> {
        if self.rings.try_recv().is_err() {
            return Vec::new();
        }
        self.node.take_events(usize::MAX);
        let mut items = Vec::new();
        self.node.take_items(ITEMS_MAX, &mut items, &mut Vec::new());
        assert!(items.len() <= ITEMS_MAX);
        items.retain(|item| {
            let Item::Run { run, args, .. } = item else { return true };
            self.node.with_engine_at_once(|engine, _| engine.answer(*run, Ok(args)));
            false
        });
        items
    }

    fn wait_for_peers(&self, count: usize) {
        wait_until(|| self.node.stats().engine.peers == count);
    }

    fn wait_closed(&mut self) {
        self.wait(|event| (*event == NodeEvent::Closed).then_some(()));
    }

    fn wait_for_refusal(&self, code: &str) {
        wait_until(|| self.node.stats().refused.contains_key(code));
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.node.destroy();
    }
}

/// Different seeds for different nodes.
fn fastrand() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u8
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        std::thread::yield_now();
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a listening node");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Reads until the node ends the connection.
fn wait_for_end(mut stream: &TcpStream) {
    let mut scrap = Vec::new();
    if let Err(error) = stream.read_to_end(&mut scrap) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn tells_where_it_listens() {
    let mut any_port = TestNode::open(|_| {});
    any_port.wait(|event| match event {
        NodeEvent::Listening { host, port, family } => {
            assert_eq!((host.as_str(), *family), ("127.0.0.1", "IPv4"));
            assert_ne!(*port, 0);
            Some(())
        }
        _ => None,
    });
    let mut name = TestNode::open(|options| options.listen = Some(("localhost".into(), 0)));
    assert_ne!(name.port(), 0);
}

#[test]
fn a_taken_port_is_an_event_and_the_node_stays_closed() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let target = TcpListener::bind("127.0.0.1:0").expect("a free port");
    target.set_nonblocking(true).expect("a mode");
    for host in ["127.0.0.1", "localhost"] {
        let mut node = TestNode::open(|options| {
            options.listen = Some((host.into(), port));
            let address = target.local_addr().expect("an address");
            options.connect = vec![Address::new(address.to_string())];
        });
        node.wait(|event| match event {
            NodeEvent::ListenFailed { code, message, syscall, address, port: at } => {
                assert_eq!((code.as_str(), *syscall), ("EADDRINUSE", "listen"));
                assert_eq!((address.as_str(), *at), (host, port));
                let text = format!("listen EADDRINUSE: address already in use {host}:{port}");
                assert_eq!(*message, text);
                Some(())
            }
            NodeEvent::Listening { host, .. } => panic!("listens on {host}"),
            _ => None,
        });
        let closed = node.node.close();
        node.wait_closed();
        closed.blocking_recv().expect("closed");
        assert!(target.accept().is_err(), "it dialled");
    }
}

#[test]
fn a_name_that_nobody_has_is_an_event() {
    let mut node = TestNode::open(|options| {
        options.listen = Some(("nobody.invalid".into(), 0));
    });
    node.wait(|event| match event {
        NodeEvent::ListenFailed { code, syscall, .. } => {
            assert_eq!((code.as_str(), *syscall), ("ENOTFOUND", "getaddrinfo"));
            Some(())
        }
        _ => None,
    });
}

#[test]
fn closing_frees_the_port_and_can_be_repeated() {
    let mut node = TestNode::open(|_| {});
    let port = node.port();
    let stranger = connect(port);
    let closed = [node.node.close(), node.node.close()];
    wait_for_end(&stranger);
    drop(stranger);
    for closed in closed {
        closed.blocking_recv().expect("closed");
    }
    TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    node.wait_closed();
    node.node.close().blocking_recv().expect("closed");
    assert!(node.node.flush(Duration::ZERO));
    assert_eq!(node.node.take_events(10), []);
}

#[test]
fn a_node_that_has_ended_can_give_back_what_it_holds() {
    let mut node = TestNode::open(|_| {});
    let json = format!("{:?}", "x".repeat(1 << 19));
    let set = Local::Set { path: &["a"], json: &json };
    node.node
        .with_engine(|engine, now| engine.write(now, set))
        .expect("a write")
        .expect("a change");
    let id = node.node.with_engine(|engine, _| engine.id());
    let holds = |node: &TestNode| node.node.stats().engine.document_bytes;
    node.node.retire();
    assert!(holds(&node) > json.len(), "not before its end");
    node.node.destroy();
    node.wait_closed();
    node.node.retire();
    assert!(holds(&node) < 1000);
    assert_eq!(node.node.with_engine(|engine, _| engine.id()), id);
    assert_eq!(node.node.stats().engine.writes_local, 1);
}

#[test]
fn destroying_frees_the_port_and_can_be_repeated() {
    let mut node = TestNode::open(|_| {});
    let port = node.port();
    let stranger = connect(port);
    node.node.destroy();
    node.node.destroy();
    node.wait_closed();
    wait_for_end(&stranger);
    TcpListener::bind(("127.0.0.1", port)).expect("a free port");
}

#[test]
fn junk_ends_its_own_connection_only() {
    let mut node = TestNode::open(|_| {});
    let port = node.port();
    let bystander = connect(port);
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], &[0, 0, 0, 0x80], &[0xff, 0xff, 0xf]]
    {
        let mut stranger = connect(port);
        stranger.write_all(junk).expect("written");
        stranger.shutdown(std::net::Shutdown::Write).expect("shut down");
        wait_for_end(&stranger);
    }
    node.wait_for_refusal("ERR_MESSAGE_TOO_LARGE");
    assert!(bystander.peer_addr().is_ok());
    wait_until(|| node.node.stats().connections == 1);
    connect(port);
}

#[test]
fn a_silent_stranger_is_dropped() {
    let mut node = TestNode::open(|options| options.config.handshake_timeout_ms = 50);
    let stranger = connect(node.port());
    wait_for_end(&stranger);
    node.wait_for_refusal("ERR_HANDSHAKE_TIMEOUT");
    wait_until(|| node.node.stats().connections == 0);
}

#[test]
fn the_oldest_stranger_makes_room() {
    let mut node = TestNode::open(|options| options.config.handshake_timeout_ms = 60_000);
    let port = node.port();
    let strangers: Vec<_> = (0..65).map(|_| connect(port)).collect();
    wait_for_end(&strangers[0]);
    wait_until(|| node.node.stats().connections == 64);
    assert_eq!(node.node.stats().refused.get("ERR_BUSY"), Some(&1));
}

#[test]
fn a_crowd_of_strangers_costs_a_few_connections_and_no_ring() {
    let [a, _b] = pair();
    crowd_of_strangers(a);
}

/// Many connections that say nothing, on one of two nodes that are connected.
fn crowd_of_strangers(mut node: TestNode) {
    const CROWD: usize = 400;
    let port = node.port();
    let (mut is_ready, mut has_peer) = (false, false);
    node.wait(|event| {
        is_ready |= *event == NodeEvent::Ready;
        has_peer |= matches!(event, NodeEvent::PeerUp { .. });
        (is_ready && has_peer).then_some(())
    });
    assert_eq!(node.node.take_events(usize::MAX), []);
    let refused = |code: &str| node.node.stats().refused.get(code).copied().unwrap_or(0);
    let timed_out = || refused("ERR_HANDSHAKE_TIMEOUT") as usize;
    let before = node.node.stats();
    let strangers: Vec<_> = (0..CROWD).map(|_| connect(port)).collect();
    wait_until(|| {
        let stats = node.node.stats();
        assert!(stats.connections <= STRANGERS_MAX + 1, "{stats:?}");
        // On a slow machine the first have had their time before the last have come.
        refused("ERR_BUSY") as usize + timed_out() >= CROWD - STRANGERS_MAX
    });
    let after = node.node.stats();
    // Of a peer there may be a digest meanwhile, of strangers nothing.
    assert!(after.bytes_in - before.bytes_in < 1 << 10, "{before:?}, {after:?}");
    assert_eq!(after.engine.peers, 1);
    assert_eq!(after.rings, before.rings, "the application was woken");
    let told = node.node.take_events(usize::MAX);
    assert!(!told.iter().any(|event| matches!(event, NodeEvent::Warning { .. })), "{told:?}");
    drop(strangers);
    wait_until(|| node.node.stats().connections == 1);
}

#[test]
fn a_panic_ends_its_node_and_no_other() {
    let mut broken = TestNode::open(|_| {});
    let mut other = TestNode::open(|_| {});
    let port = other.port();
    broken.port();
    let result = catch_unwind(AssertUnwindSafe(|| {
        broken.node.with_engine(|_, _| panic!("for the test"));
    }));
    assert!(result.is_err());
    broken.wait(|event| match event {
        NodeEvent::Warning { code, .. } => (*code == ERR_INTERNAL).then_some(()),
        _ => None,
    });
    broken.wait_closed();
    connect(port);
}

#[test]
fn a_panic_on_the_network_thread_ends_its_node_and_no_other() {
    struct Broken;
    impl Sink for Broken {
        fn ring(&self) {
            panic!("for the test");
        }
    }
    let mut other = TestNode::open(|_| {});
    let options = Options {
        config: Config::default(),
        listen: Some((String::new(), 0)),
        connect: Vec::new(),
        seed: [0; 32],
        credentials: None,
        insecure: false,
    };
    let broken = Node::open(options, Arc::new(Broken));
    wait_until(|| broken.stats().rings > 0);
    broken.close().blocking_recv().expect("closed");
    let events = broken.take_events(usize::MAX);
    assert!(events.iter().any(|e| matches!(e, NodeEvent::Warning { code: ERR_INTERNAL, .. })));
    assert_eq!(events.last(), Some(&NodeEvent::Closed));
    connect(other.port());
}

#[test]
fn a_flush_of_nothing_is_done_at_once() {
    let mut node = TestNode::open(|_| {});
    node.port();
    assert!(node.node.flush(PATIENCE));
}

#[test]
fn stats_are_flat_and_in_camel_case() {
    let node = TestNode::open(|_| {});
    let json = serde_json::to_value(node.node.stats()).expect("JSON");
    for name in ["writesLocal", "bytesIn", "framesOut", "connections", "rings", "refused"] {
        assert!(json.get(name).is_some(), "{name}");
    }
}

/// Says nothing about an engine that is a stub.
#[test]
fn two_nodes_meet_and_converge() {
    let mut a = TestNode::open(|_| {});
    let set = Local::Set { path: &["greeting"], json: "\"hello\"" };
    if a.node.with_engine(|engine, now| engine.write(now, set)) == Ok(None) {
        return;
    }
    let port = a.port();
    let address = Address::new(format!("127.0.0.1:{port}"));
    let mut b = TestNode::open(|options| options.connect = vec![address.clone()]);
    let id = a.node.with_engine(|engine, _| engine.id());
    let up = b.wait(|event| match event {
        NodeEvent::PeerUp { peer, address, advertised, .. } => {
            Some((*peer, address.clone(), advertised.clone()))
        }
        _ => None,
    });
    assert_eq!(up, (id, Some(address.clone()), Some(address.clone())));
    let read = |node: &Node| node.with_engine(|engine, _| engine.read(&["greeting"]));
    wait_until(|| read(&b.node).as_deref() == Some("\"hello\""));

    let large = format!("\"{}\"", "x".repeat(1 << 19));
    let set = Local::Set { path: &["greeting"], json: &large };
    b.node.with_engine(|engine, now| engine.write(now, set)).expect("written");
    assert!(b.node.flush(PATIENCE));
    wait_until(|| read(&a.node).as_deref() == Some(&large));

    a.node.close().blocking_recv().expect("closed");
    let down = b.wait(|event| match event {
        NodeEvent::PeerDown { peer, address, code } => Some((*peer, address.clone(), *code)),
        _ => None,
    });
    assert_eq!(down, (id, Some(address), "ERR_PEER_LEFT"));
}

/// Says nothing about an engine that is a stub.
#[test]
fn ten_thousand_writes_arrive_and_count_once() {
    let mut a = TestNode::open(|_| {});
    let count = Local::Increment { path: &["count"], by: 1.0 };
    let port = a.port();
    let mut b = TestNode::open(|options| {
        options.connect = vec![Address::new(format!("127.0.0.1:{port}"))];
    });
    b.port();
    for _ in 0..10_000 {
        if a.node.with_engine(|engine, now| engine.write(now, count)) == Ok(None) {
            return;
        }
    }
    let read = |node: &Node| node.with_engine(|engine, _| engine.read(&["count"]));
    wait_until(|| read(&b.node).as_deref() == Some("10000"));
}

#[test]
fn a_node_may_listen_later() {
    let mut a = TestNode::open(|options| options.listen = None);
    let mut b = TestNode::open(|options| options.listen = None);
    a.wait(|event| (*event == NodeEvent::Ready).then_some(()));
    assert!(a.node.listen(String::new(), 0));
    assert!(!a.node.listen(String::new(), 0));
    let port = a.port();
    assert!(!a.node.listen(String::new(), 0));
    let address = Address::new(format!("127.0.0.1:{port}"));
    b.node.connect(address.clone());
    b.wait(|event| match event {
        NodeEvent::PeerUp { advertised, .. } => {
            assert_eq!(advertised.as_ref(), Some(&address));
            Some(())
        }
        _ => None,
    });
}

#[test]
fn a_failed_listen_may_be_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let mut node = TestNode::open(|options| options.listen = None);
    for (host, code) in [
        ("127.0.0.1", "EADDRINUSE"),
        ("localhost", "EADDRINUSE"),
        ("0.0.0.0", "ERR_INSECURE_BIND"),
        ("nobody.invalid", "ENOTFOUND"),
    ] {
        assert!(node.node.listen(host.into(), port));
        node.wait(|event| match event {
            NodeEvent::ListenFailed { code: found, address, .. } => {
                assert_eq!((found.as_str(), address.as_str()), (code, host));
                Some(())
            }
            _ => None,
        });
    }
    let set = Local::Set { path: &["key"], json: "1" };
    node.node.with_engine(|engine, now| engine.write(now, set)).expect("the node lives on");
    assert!(node.node.listen("localhost".into(), 0));
    connect(node.port());
}

#[test]
fn an_application_that_does_not_beat_is_busy() {
    let node = TestNode::open(|_| {});
    let in_3_s = |node: &TestNode| {
        let now = runtime::now();
        node.node.0.busy_ms(Now { monotonic_ms: now.monotonic_ms + 3000, ..now })
    };
    assert_eq!(in_3_s(&node), 0, "it has never beaten");
    node.node.beat();
    assert!((2900..=3000).contains(&in_3_s(&node)));
    assert_eq!(node.node.0.busy_ms(runtime::now()), 0);
}

/// Two nodes that are connected and offer one worker.
fn pair() -> [TestNode; 2] {
    pair_with(|_| {})
}

fn pair_with(change: impl Fn(&mut Options)) -> [TestNode; 2] {
    let mut a = TestNode::open(&change);
    let port = a.port();
    let b = TestNode::open(|options| {
        change(options);
        options.connect = vec![Address::new(format!("127.0.0.1:{port}"))];
    });
    for node in [&a, &b] {
        node.wait_for_peers(1);
        node.node.with_engine(|engine, _| engine.offer(Offer::Worker, "echo"));
    }
    [a, b]
}

fn ask(engine: &mut Engine, now: Now, args: &str) -> JobId {
    let ask = Ask {
        offer: Offer::Worker,
        name: "echo",
        args,
        to: To::All,
        timeout_ms: 10_000,
        trace: "",
    };
    let asked = engine.ask(now, ask).expect("asked");
    assert_eq!(asked.nodes.len(), 2);
    asked.job
}

/// Serves both nodes until so many jobs of the first have ended, each with the same two answers.
fn gather([a, b]: &[TestNode; 2], jobs: usize, args: &str) {
    let expected = Outcome::Ok(args.into());
    let (mut outcomes, mut ended) = (0, 0);
    wait_until(|| {
        assert_eq!(b.serve(), []);
        for item in a.serve() {
            match item {
                Item::Outcome { outcome, .. } => {
                    assert!(outcome == expected, "another outcome");
                    outcomes += 1;
                }
                Item::Ended { end, .. } => {
                    assert_eq!(end, End::Complete);
                    ended += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        ended == jobs
    });
    assert_eq!(outcomes, 2 * jobs);
}

#[test]
fn two_nodes_gather_many_jobs() {
    let nodes = pair();
    const JOBS: usize = 1000;
    nodes[0].node.with_engine(|engine, now| {
        for _ in 0..JOBS {
            ask(engine, now, "[1,\"two\"]");
        }
    });
    gather(&nodes, JOBS, "[1,\"two\"]");
    for node in &nodes {
        let stats = node.node.stats().engine;
        assert_eq!((stats.jobs, stats.runs, stats.items_waiting), (0, 0, 0));
    }
}

/// What the asking thread writes itself and what the network thread writes go over one link, whose
/// parcels would not be understood in another order.
#[test]
fn lone_jobs_keep_their_place_among_everything_else() {
    keep_lone_jobs_in_place(pair());
}

fn keep_lone_jobs_in_place(nodes: [TestNode; 2]) {
    let [a, b] = &nodes;
    const JOBS: usize = 500;
    let writer = &a.node;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                let count = Local::Increment { path: &["count"], by: 1.0 };
                writer.with_engine(|engine, now| engine.write(now, count)).expect("written");
            }
        });
        for _ in 0..JOBS {
            a.node.with_engine_at_once(|engine, now| ask(engine, now, "[]"));
            gather(&nodes, 1, "[]");
        }
    });
    let read = |node: &Node| node.with_engine(|engine, _| engine.read(&["count"]));
    wait_until(|| read(&b.node).as_deref() == Some("20000"));
    for node in [a, b] {
        assert_eq!(node.node.stats().engine.bad_messages, 0);
        assert_eq!(node.node.stats().connections, 1);
    }
}

#[test]
fn the_largest_arguments_arrive() {
    let nodes = pair();
    let bytes = Config::default().limits.value_bytes_max;
    let args = format!("[\"{}\"]", "x".repeat(bytes - 4));
    nodes[0].node.with_engine(|engine, now| ask(engine, now, &args));
    gather(&nodes, 1, &args);
}

#[test]
fn a_job_costs_its_caller_no_more_than_three_rings() {
    let nodes = pair();
    let [a, _] = &nodes;
    while a.rings.recv_timeout(Duration::from_millis(50)).is_ok() {
        a.node.take_events(usize::MAX);
    }
    let before = a.node.stats().rings;
    a.node.with_engine(|engine, now| ask(engine, now, "[]"));
    gather(&nodes, 1, "[]");
    // For the run here, its outcome, and the end. What peers answer waits for company.
    assert!(a.node.stats().rings - before <= 3);
}

#[test]
fn a_failed_connect_is_told_once_and_goes_on_in_silence() {
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = reserved.local_addr().expect("an address").port();
    drop(reserved);
    let mut node = TestNode::open(|options| options.listen = None);
    for (address, message, syscall) in [
        (format!("127.0.0.1:{port}"), format!("connect ECONNREFUSED 127.0.0.1:{port}"), "connect"),
        ("nobody.invalid:1".into(), "getaddrinfo ENOTFOUND nobody.invalid".into(), "getaddrinfo"),
    ] {
        node.node.connect(Address::new(address.as_str()));
        node.wait(|event| match event {
            NodeEvent::ConnectFailed {
                code,
                message: found,
                syscall: call,
                address: host,
                port,
            } => {
                assert_eq!((found, *call), (&message, syscall));
                assert!(message.contains(code.as_str()));
                assert_eq!(format!("{host}:{port}"), address);
                Some(())
            }
            _ => None,
        });
    }

    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port of before");
    listener.accept().expect("another dial");
    let events = node.node.take_events(usize::MAX);
    assert!(!events.iter().any(|event| matches!(event, NodeEvent::ConnectFailed { .. })));
}

/// Whether a node, with a peer left, takes the refusal of a third one's loopback address for its end.
fn concludes_an_end(advertised: Option<&str>) -> bool {
    let mut a = TestNode::open(|options| options.config.advertised = advertised.map(Address::new));
    let seed = Address::new(format!("127.0.0.1:{}", a.port()));
    let _stays = TestNode::open(|options| options.connect = vec![seed.clone()]);
    let mut goes = TestNode::open(|options| options.connect = vec![seed.clone()]);
    let place = Address::new(format!("127.0.0.1:{}", goes.port()));
    a.wait_for_peers(2);
    goes.node.destroy();
    goes.wait_closed();
    wait_until(|| a.node.with_engine(|engine, _| engine.peers().len()) == 1);
    a.node.connect(place);
    a.wait(|event| matches!(event, NodeEvent::ConnectFailed { .. }).then_some(()));
    a.node.with_engine(|engine, _| engine.rare().has(Rare::AddressVacant))
}

#[test]
fn who_is_not_at_its_loopback_address_has_ended_for_nodes_of_one_machine() {
    assert!(concludes_an_end(None));
    assert!(!concludes_an_end(Some("db-1.example:9000")), "its peers may be on other machines");
}

#[test]
fn a_dismissed_peer_stays_away() {
    let [mut a, mut b] = pair();
    let down = |event: &NodeEvent| match event {
        NodeEvent::PeerDown { code, .. } => Some(*code),
        _ => None,
    };
    let peer = b.node.with_engine(|engine, _| engine.id());
    a.node.dismiss(peer);
    assert_eq!(a.wait(down), "ERR_PEER_DISMISSED");
    assert_eq!(b.wait(down), "ERR_PEER_DISMISSED");
    // Longer than the first pauses between dials.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(b.node.stats().engine.peers, 0);
}
