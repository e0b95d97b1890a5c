//! Every order in which the application's thread and the network thread can meet over what they
//! share, tried by loom: no wake-up is lost (loom finds that nobody can go on), at most one ring
//! waits, nothing is taken twice, and order is kept.
//!
//!     npm run loom
//!
//! What the threads do is a short form of the loop in `driver.rs` and of `drain` in the binding;
//! what they share is the real thing. Time stands still, but for the waiting that `poll_ring` asks
//! for.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loom::future::block_on;
use loom::sync::atomic::AtomicBool;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use tokio::time::Instant;

use super::bell::Bell;
use super::events::{NodeEvent, Ring};
use super::shared::{Shared, Stage};
use super::{runtime, Sink};
use crate::engine::wire::frame::FrameDecoder;
use crate::engine::wire::message::{
    self, ActionItem, Digest, Emit, Hello, Item as WireItem, Kind, Resume, WriteItem, WritesHead,
};
use crate::engine::{
    Ask, Config, End, Engine, Event, Input, Item, LinkId, NodeId, Offer, Outcome, Output,
    ReplicaId, To, Write,
};

const LINK: LinkId = LinkId(1);
const THEM: ReplicaId = ReplicaId(0xa1a2_a3a4_a5a6_a7a8);
/// How often a thread may lose the processor where it would not have to. Defects that need more are
/// rare, and the orders too many to try them all.
const PREEMPTIONS_MAX: usize = 3;
/// In words: an engine needs more than loom gives.
const STACK: usize = 0x2_0000;
const THREADS_MAX: usize = 4;

#[test]
fn touched_slots_of_remote_writes_are_published_once() {
    check(|| {
        let node = TestNode::open();
        let slots = ["a", "b"].map(|key| node.shared.with_engine(|engine, _| engine.watch(&[key])));
        let network = node.network(vec![remote_set(1, "a"), remote_set(2, "b")]);
        let mut published = Vec::new();
        while published.len() < slots.len() {
            published.extend(node.turn().touched);
            for (slot, key) in slots.iter().zip(["a", "b"]) {
                if published.contains(slot) {
                    let shown = node.shared.with_engine(|engine, _| engine.read(&[key]));
                    assert_eq!(shown.as_deref(), Some("1"), "told before it could be seen");
                }
            }
        }
        node.shared.destroy();
        network.join().expect("the network thread ends");
        assert_eq!(published, slots, "in order, none twice");
        assert!(node.shared.stats().rings <= 2);
    });
}

#[test]
fn a_local_write_wakes_the_driver_while_remote_ones_ring() {
    check(|| {
        let node = TestNode::open();
        let slot = node.shared.with_engine(|engine, _| engine.watch(&["a"]));
        let network = node.network(vec![remote_set(1, "a")]);
        for key in ["x", "y"] {
            let set = Write::Set { path: &[key], json: "2" };
            node.shared.with_engine(|engine, now| engine.write(now, set)).expect("written");
        }
        assert_eq!(node.turn().touched, [slot]);
        // The driver ends when it has sent both, which it learns of by being woken.
        node.until_sent(2);
        node.shared.destroy();
        network.join().expect("the network thread ends");
    });
}

#[test]
fn items_of_own_jobs_and_of_peers_come_once_and_in_order() {
    check(|| {
        let node = TestNode::open();
        node.shared.with_engine(|engine, _| {
            engine.offer(Offer::Worker, "w");
            engine.offer(Offer::Event, "e");
        });
        let slot = node.shared.with_engine(|engine, _| engine.watch(&["a"]));
        let network = node.network(vec![remote_set(1, "a"), emit("[1]"), emit("[2]")]);
        let own = [node.shared.with_engine(|engine, _| engine.id())];
        let to = To::Only(&own);
        let ask = Ask { offer: Offer::Worker, name: "w", args: "[]", trace: "", to, timeout_ms: 9 };
        node.shared.with_engine_at_once(|engine, now| engine.ask(now, ask)).expect("asked");
        let (mut of_job, mut of_peer, mut published) = (Vec::new(), Vec::new(), Vec::new());
        while of_job.len() < 3 || of_peer.len() < 2 || published.is_empty() {
            let taken = node.turn();
            published.extend(taken.touched);
            for item in taken.items {
                match item {
                    Item::Run { run, .. } => {
                        of_job.push("run");
                        node.shared.with_engine_at_once(|engine, _| engine.answer(run, Ok("1")));
                    }
                    Item::Outcome { outcome: Outcome::Ok(_), .. } => of_job.push("outcome"),
                    Item::Ended { end: End::Complete, .. } => of_job.push("end"),
                    Item::Emitted { args, .. } => of_peer.push(args),
                    other => panic!("{other:?}"),
                }
            }
        }
        node.shared.destroy();
        network.join().expect("the network thread ends");
        assert_eq!(published, [slot]);
        assert_eq!(of_job, ["run", "outcome", "end"]);
        assert_eq!(of_peer.iter().map(|args| &**args).collect::<Vec<_>>(), ["[1]", "[2]"]);
    });
}

#[test]
fn events_that_are_left_are_rung_for() {
    check(|| {
        let node = TestNode::open();
        let shared = Arc::clone(&node.shared);
        let network = spawn(move || {
            let mut now = Instant::now() + Duration::from_secs(3600);
            for event in [NodeEvent::Ready, NodeEvent::Closed] {
                shared.events.push(event);
                settle(&shared, &mut now);
            }
            while shared.stage() == Stage::Open {
                block_on(shared.poked());
                settle(&shared, &mut now);
            }
        });
        let mut events = node.turn().events;
        while events.len() < 2 {
            events.extend(node.turn().events);
        }
        node.shared.destroy();
        network.join().expect("the network thread ends");
        assert_eq!(events, [NodeEvent::Ready, NodeEvent::Closed]);
    });
}

#[test]
fn whoever_closes_hears_of_the_end() {
    check(|| {
        let node = TestNode::open();
        let shared = Arc::clone(&node.shared);
        let network = spawn(move || {
            while shared.stage() == Stage::Open {
                block_on(shared.poked());
            }
            shared.end();
        });
        let mut closed = node.shared.close();
        let events = node.turn().events;
        assert_eq!(events, [NodeEvent::Closed]);
        network.join().expect("the network thread ends");
        assert!(closed.try_recv().is_ok());
        assert!(node.shared.close().try_recv().is_ok(), "repeatable");
    });
}

#[test]
fn no_ring_is_under_way_once_a_bell_is_silent() {
    check(|| {
        // Stands for the environment that ends.
        let environment = Arc::new(AtomicBool::new(true));
        let bell = Arc::new(Bell::new(Arc::clone(&environment)));
        let ringing = Arc::clone(&bell);
        let network = spawn(move || {
            for _ in 0..2 {
                ringing.ring(|environment| {
                    assert!(environment.load(Relaxed), "rings where nobody is");
                });
            }
        });
        bell.silence();
        environment.store(false, Relaxed);
        network.join().expect("the network thread ends");
    });
}

// ---- the threads

fn check(scenario: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    model.max_threads = THREADS_MAX;
    model.max_branches = 20_000;
    // Not one of loom's: it counts across the runs.
    let orders = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&orders);
    model.check(move || {
        count.fetch_add(1, Relaxed);
        spawn(scenario).join().expect("the scenario ends");
    });
    println!("{} orders", orders.load(Relaxed));
}

fn spawn(run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().stack_size(STACK).spawn(run).expect("a thread")
}

/// The application's side of a node that has a peer.
struct TestNode {
    shared: Arc<Shared>,
    doorbell: Arc<Doorbell>,
    sent: Arc<(Mutex<usize>, Condvar)>,
}

/// What one turn of the event loop has taken.
struct Taken {
    events: Vec<NodeEvent>,
    items: Vec<Item>,
    touched: Vec<u32>,
}

impl TestNode {
    fn open() -> Self {
        let now = runtime::now();
        let mut engine = Engine::new(Config::default(), [1; 32], now);
        engine.handle_timeout(now);
        engine.handle_input(now, Input::Opened { link: LINK, dialled: None });
        for message in greetings() {
            engine.handle_input(now, Input::Received { link: LINK, message });
        }
        while engine.poll_output(now).is_some() {}
        assert_eq!(engine.peers(), [THEM]);
        let doorbell = Arc::new(Doorbell::default());
        let shared = Arc::new(Shared::new(engine, Arc::clone(&doorbell) as _, false, None, false));
        TestNode { shared, doorbell, sent: Arc::default() }
    }

    /// What the binding does when the doorbell rings, but takes one event and one item: what is
    /// left must be rung for.
    fn turn(&self) -> Taken {
        self.doorbell.wait();
        let events = self.shared.take_events(1);
        let (mut items, mut touched) = (Vec::new(), Vec::new());
        self.shared.take_items(1, &mut items, &mut touched);
        Taken { events, items, touched }
    }

    /// What the driver does: handles these messages, and whatever it is woken for until the node is
    /// destroyed.
    fn network(&self, messages: Vec<Bytes>) -> thread::JoinHandle<()> {
        let (shared, sent) = (Arc::clone(&self.shared), Arc::clone(&self.sent));
        spawn(move || {
            let mut now = Instant::now() + Duration::from_secs(3600);
            for message in messages {
                turn(&shared, &sent, Some(Input::Received { link: LINK, message }), now);
                settle(&shared, &mut now);
            }
            while shared.stage() == Stage::Open {
                block_on(shared.poked());
                turn(&shared, &sent, None, now);
                settle(&shared, &mut now);
            }
        })
    }

    fn until_sent(&self, writes: usize) {
        let (sent, more) = &*self.sent;
        let mut sent = sent.lock().expect("not poisoned");
        while *sent < writes {
            sent = more.wait(sent).expect("not poisoned");
        }
    }
}

/// `Driver::turn_with`, `perform` and `tell`.
fn turn(shared: &Shared, sent: &(Mutex<usize>, Condvar), input: Option<Input>, now: Instant) {
    let outputs = shared.hold(|core, at| {
        if let Some(input) = input {
            core.engine.handle_input(at, input);
        }
        let mut outputs = Vec::new();
        while let Some(output) = core.poll_output(at) {
            outputs.push(output);
        }
        shared.performing.store(!outputs.is_empty(), Relaxed);
        core.armed = core.engine.poll_timeout().unwrap_or(u64::MAX);
        outputs
    });
    for output in outputs {
        match output {
            Output::Event(Event::Touched) => shared.events.touch(),
            Output::Event(Event::Items { urgent }) => shared.events.items(urgent, now),
            Output::Send { frames, .. } => {
                let (count, more) = sent;
                *count.lock().expect("not poisoned") += writes_in(&frames);
                more.notify_one();
            }
            _ => {}
        }
    }
    shared.performing.store(false, Release);
}

/// `Driver::settle`, and the sleep after it.
fn settle(shared: &Shared, now: &mut Instant) {
    loop {
        match shared.events.poll_ring(*now) {
            Ring::No => return,
            Ring::Now => shared.ring(),
            Ring::At(due) => *now = due,
        }
    }
}

/// Room for one ring, like the threadsafe function of the binding.
#[derive(Default)]
struct Doorbell {
    waits: Mutex<bool>,
    rung: Condvar,
}

impl Doorbell {
    fn wait(&self) {
        let mut waits = self.waits.lock().expect("not poisoned");
        while !*waits {
            waits = self.rung.wait(waits).expect("not poisoned");
        }
        *waits = false;
    }
}

impl Sink for Doorbell {
    fn ring(&self) {
        let mut waits = self.waits.lock().expect("not poisoned");
        assert!(!std::mem::replace(&mut *waits, true), "two rings wait");
        self.rung.notify_one();
    }
}

// ---- what the peer says

fn greetings() -> [Bytes; 3] {
    let hello = Hello {
        magic: message::MAGIC,
        major: message::VERSION_MAJOR,
        minor: 0,
        replica: THEM,
        node: NodeId([7; 12]),
        cluster: "collective",
        advertised: None,
        limits: (4096, 64, 1 << 20),
    };
    let resume = Resume { losses: 0, when_lost: None, next: 1, cost_before: 0, window: 1 << 20 };
    // Before it says where it stands nothing is pushed to it.
    let digest = Digest {
        vector: Vec::new(),
        hash: None,
        links: Vec::new(),
        rows: Vec::new(),
        beats: Vec::new(),
        dead: Vec::new(),
        forgotten: Vec::new(),
    };
    [
        message::encode(Kind::Hello, &hello),
        message::encode(Kind::Resume, &resume),
        message::encode(Kind::Digest, &digest),
    ]
    .map(|frames| unframe(&frames))
}

fn remote_set(counter: u64, key: &str) -> Bytes {
    let mut bytes = message::begin(Kind::Writes);
    message::append(&mut bytes, &WritesHead { origin: THEM, first: counter, seen: Vec::new() });
    let write = WriteItem {
        hlc: counter << 16,
        path: vec![key],
        action: ActionItem::Set("1"),
        arrays: Vec::new(),
        cuts: Vec::new(),
    };
    message::append(&mut bytes, &WireItem::Write(write));
    bytes.into()
}

fn emit(args: &str) -> Bytes {
    unframe(&message::encode(Kind::Emit, &Emit { name: "e", args }))
}

fn unframe(frames: &[u8]) -> Bytes {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.buffer().extend_from_slice(frames);
    decoder.next_message().expect("our own frames").expect("a message")
}

/// Writes in the messages of some frames.
fn writes_in(frames: &[u8]) -> usize {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.buffer().extend_from_slice(frames);
    let mut writes = 0;
    while let Some(message) = decoder.next_message().expect("our own frames") {
        if Kind::of(&message) != Some(Kind::Writes) {
            continue;
        }
        let (_, mut rest): (WritesHead, _) = message::decode_head(&message).expect("our own");
        while !rest.is_empty() {
            let (item, after): (WireItem<'_>, _) = message::decode_item(rest).expect("our own");
            writes += usize::from(matches!(item, WireItem::Write(_)));
            rest = after;
        }
    }
    writes
}
