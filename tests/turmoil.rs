//! The net code itself on a simulated network: hosts that crash, links that are slow, cut or mute.
//! The engine's own simulator goes further, and knows nothing of connections, queues and timers.
//!
//! Every scenario is played with `TURMOIL_SEEDS` seeds from `TURMOIL_SEED` on; a seed chooses
//! latencies, losses and the entropy of the nodes. With `--cfg tokio_unstable`, as `npm run turmoil`
//! has it, the same seed gives the same run.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fmt};

use collective_io::engine::{
    Address, Ask, Config, End, Engine, Item, JobId, Now, Offer, Outcome, ReplicaId, Stats, To,
    Write,
};
use collective_io::net::{Node, NodeEvent, Options, Sink};
use turmoil::{Builder, Sim};

const PORT: u16 = 9000;
const SEEDS: u64 = 5;
/// How often a program looks after its node.
const TURN: Duration = Duration::from_millis(5);
/// Within so much simulated time everything must have come about.
const PATIENCE: Duration = Duration::from_secs(60);
/// A host that has said nothing for so long is lost, see `Config::loss_timeout_ms`.
const LOSS: Duration = Duration::from_secs(5);

// ---- scenarios

#[test]
fn two_nodes_converge() {
    play(|cluster| {
        cluster.open(2);
        cluster.set("a", "k", "1");
        cluster.set("b", "l", "[2]");
        for _ in 0..10 {
            cluster.increment("a", 1);
            cluster.increment("b", 10);
        }
        cluster.converges(r#"{"k":1,"l":[2],"n":110}"#);
    });
}

#[test]
fn a_node_in_the_middle_passes_on() {
    play(|cluster| {
        cluster.add("a", &[]);
        cluster.add("b", &["a"]);
        cluster.add("c", &["b"]);
        cluster.wait("the chain", |cluster| cluster.peers() == [1, 2, 1]);
        cluster.set("a", "k", r#"{"x":1}"#);
        cluster.set("c", "k.y", "2");
        cluster.increment("c", 5);
        cluster.converges(r#"{"k":{"x":1,"y":2},"n":5}"#);
    });
}

#[test]
fn both_sides_of_a_partition_go_on_and_agree_when_it_is_over() {
    play(|cluster| {
        cluster.open(3);
        cluster.set("a", "before", "true");
        cluster.converges(r#"{"before":true}"#);
        cluster.sim.partition("a", "b");
        cluster.sim.partition("a", "c");
        for _ in 0..20 {
            cluster.increment("a", 1);
            cluster.increment("b", 100);
            cluster.pass(LOSS / 20);
        }
        cluster.set("c", "there", "1");
        cluster.wait("the loss", |cluster| cluster.peers() == [0, 1, 1]);
        assert_eq!(cluster.down("a"), ["ERR_PEER_LOST", "ERR_PEER_LOST"]);
        assert_eq!(cluster.shown("a"), r#"{"before":true,"n":20}"#);
        cluster.sim.repair("a", "b");
        cluster.sim.repair("a", "c");
        cluster.converges(r#"{"before":true,"n":2020,"there":1}"#);
    });
}

#[test]
fn who_is_heard_and_does_not_hear_is_not_left_behind() {
    play(|cluster| {
        cluster.open(2);
        cluster.sim.partition_oneway("a", "b");
        cluster.set("a", "lost", "1");
        cluster.increment("b", 1);
        cluster.wait("the loss", |cluster| cluster.peers() == [0, 0]);
        cluster.sim.repair_oneway("a", "b");
        cluster.converges(r#"{"lost":1,"n":1}"#);
    });
}

#[test]
fn what_a_mute_link_held_back_counts_once() {
    play(|cluster| {
        cluster.open(2);
        cluster.sim.hold("a", "b");
        for _ in 0..10 {
            cluster.increment("a", 1);
            cluster.increment("b", 10);
            cluster.pass(LOSS / 5);
        }
        assert_eq!(cluster.peers(), [0, 0]);
        // All of it arrives, on connections that are given up on both sides.
        cluster.sim.release("a", "b");
        cluster.converges(r#"{"n":110}"#);
    });
}

#[test]
fn a_crashed_host_starts_again_at_its_address() {
    play(|cluster| {
        cluster.open(3);
        for host in ["a", "b", "c"] {
            cluster.increment(host, 1);
        }
        cluster.converges(r#"{"n":3}"#);
        for round in 0..3 {
            cluster.sim.crash("b");
            cluster.set("a", "round", &round.to_string());
            cluster.wait("the loss", |cluster| {
                cluster.peers_of("a") == 1 && cluster.peers_of("c") == 1
            });
            cluster.sim.bounce("b");
            cluster.wait("the return", |cluster| cluster.peers() == [2, 2, 2]);
            cluster.increment("b", 1);
            cluster.converges(&format!(r#"{{"n":{},"round":{round}}}"#, 4 + round));
        }
    });
}

#[test]
fn latency_and_loss_delay_and_nothing_more() {
    play(|cluster| {
        cluster.open(3);
        cluster.sim.set_max_message_latency(Duration::from_millis(400));
        // A lost message is the end of its connection: this network repeats nothing.
        cluster.sim.set_fail_rate(0.002);
        for round in 0..100 {
            cluster.increment(["a", "b", "c"][round % 3], 1);
            cluster.set("a", "round", &round.to_string());
            cluster.pass(Duration::from_millis(300));
        }
        cluster.sim.set_fail_rate(0.0);
        cluster.converges(r#"{"n":100,"round":99}"#);
    });
}

#[test]
fn a_slow_peer_holds_up_nobody_and_gets_the_state() {
    play(|cluster| {
        cluster.change = |config| config.queue_bytes_max = 64 << 10;
        cluster.open(3);
        // Half a minute for the way to c and back; as many segments as fit the window.
        cluster.sim.set_link_latency("a", "c", Duration::from_secs(2));
        cluster.sim.set_link_latency("b", "c", Duration::from_secs(2));
        let large = format!("\"{}\"", "x".repeat(20_000));
        for round in 0..200 {
            cluster.set("a", &format!("k{}", round % 10), &large);
            cluster.increment("a", 1);
            cluster.pass(TURN);
        }
        let all = cluster.shown("a");
        cluster.wait("b is there at once", |cluster| cluster.shown("b") == all);
        assert_ne!(cluster.shown("c"), all);
        assert!(cluster.stats("a").overflows > 0, "the queue to c ran over");
        cluster.converges(&all);
    });
}

#[test]
fn a_job_has_an_outcome_of_every_node() {
    play(|cluster| {
        cluster.open(3);
        for to in [To::All, To::Others] {
            let nodes = if matches!(to, To::All) { 3 } else { 2 };
            let (outcomes, end) = cluster.job("a", to);
            assert_eq!(outcomes, vec![Outcome::Ok("[7]".into()); nodes]);
            assert_eq!(end, End::Complete);
        }
    });
}

#[test]
fn a_job_ends_when_a_node_is_lost_on_the_way() {
    play(|cluster| {
        cluster.open(3);
        cluster.sim.partition("a", "c");
        let (mut outcomes, end) = cluster.job("a", To::All);
        outcomes.sort_by_key(|outcome| *outcome == Outcome::Lost);
        let answered = Outcome::Ok("[7]".into());
        assert_eq!(outcomes, [answered.clone(), answered, Outcome::Lost]);
        assert_eq!(end, End::Complete);
    });
}

#[test]
fn who_closes_says_goodbye() {
    play(|cluster| {
        cluster.open(2);
        cluster.set("a", "last", "1");
        cluster.tell("a", |node, _| drop(node.close()));
        cluster.wait("the end", |cluster| cluster.peers_of("b") == 0);
        assert_eq!(cluster.shown("b"), r#"{"last":1}"#);
        assert_eq!(cluster.down("b"), ["ERR_PEER_LEFT"]);
    });
}

#[cfg(tokio_unstable)]
#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut cluster = Cluster::new(seed);
        cluster.open(3);
        cluster.sim.set_fail_rate(0.002);
        for _ in 0..50 {
            cluster.increment("b", 1);
            cluster.pass(Duration::from_millis(300));
        }
        let stats = ["a", "b", "c"].map(|host| cluster.stats(host));
        format!("{:?} {stats:?}", cluster.hosts)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

// ---- the cluster

/// Plays a scenario with some seeds, and says which one failed.
fn play(scenario: fn(&mut Cluster)) {
    let number = |name, default| env::var(name).map_or(default, |text| text.parse().expect(name));
    let first = number("TURMOIL_SEED", 1);
    for seed in first..first + number("TURMOIL_SEEDS", SEEDS) {
        let mut cluster = Cluster::new(seed);
        let told = Told(seed);
        scenario(&mut cluster);
        drop(told);
    }
}

/// Tells the seed when the test falls.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with TURMOIL_SEED={}", self.0);
        }
    }
}

struct Cluster {
    sim: Sim<'static>,
    seed: u64,
    hosts: Vec<Host>,
    change: fn(&mut Config),
}

/// What the test shares with the program of a host. The program outlives its node.
#[derive(Clone)]
struct Host {
    name: &'static str,
    wishes: Wishes,
    view: Arc<Mutex<View>>,
}

type Wish = Box<dyn FnOnce(&Node, &mut View) + Send>;
type Wishes = Arc<Mutex<VecDeque<Wish>>>;

/// What a program has seen of its node.
#[derive(Clone, Debug, Default)]
struct View {
    shown: String,
    peers: Vec<ReplicaId>,
    stats: Stats,
    /// The codes with which peers have gone.
    down: Vec<&'static str>,
    warnings: Vec<String>,
    job: Option<JobId>,
    outcomes: Vec<Outcome>,
    end: Option<End>,
    rings: u64,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let sim = Builder::new()
            .rng_seed(seed)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(30))
            .epoch(std::time::UNIX_EPOCH + Duration::from_secs(1_750_000_000))
            .enable_random_order()
            .build();
        Cluster { sim, seed, hosts: Vec::new(), change: |_| {} }
    }

    /// So many hosts, each told of those before it, all connected.
    fn open(&mut self, count: usize) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        for (index, name) in NAMES[..count].iter().enumerate() {
            self.add(name, &NAMES[..index]);
        }
        self.wait("all are connected", |cluster| {
            cluster.hosts.iter().all(|host| host.view().peers.len() == count - 1)
        });
    }

    fn add(&mut self, name: &'static str, connect: &[&str]) {
        let host = Host { name, wishes: Wishes::default(), view: Arc::default() };
        let connect: Vec<_> = connect.iter().map(|name| address(self.sim.lookup(*name))).collect();
        let own = address(self.sim.lookup(name));
        let (seed, change) = (self.seed, self.change);
        let incarnation = Arc::new(AtomicU64::new(0));
        let program = host.clone();
        self.sim.host(name, move || {
            let mut entropy = [0; 32];
            entropy[..8].copy_from_slice(&seed.to_le_bytes());
            entropy[8..16]
                .copy_from_slice(&incarnation.fetch_add(1, Ordering::Relaxed).to_le_bytes());
            entropy[16] = name.as_bytes()[0];
            let mut config = Config { advertised: Some(own.clone()), ..Config::default() };
            change(&mut config);
            let options = Options {
                config,
                listen: Some(("0.0.0.0".into(), PORT)),
                connect: connect.clone(),
                seed: entropy,
                credentials: None,
                insecure: true,
            };
            program.clone().run(options)
        });
        self.hosts.push(host);
    }

    fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).expect("a host")
    }

    // ---- what programs do

    /// Has a program do something with its node in its next turn, and waits until it has.
    fn tell(&mut self, name: &str, wish: impl FnOnce(&Node, &mut View) + Send + 'static) {
        self.host(name).wishes.lock().unwrap().push_back(Box::new(wish));
        let name = name.to_owned();
        self.wait("its turn", |cluster| cluster.host(&name).wishes.lock().unwrap().is_empty());
    }

    fn set(&mut self, name: &str, key: &str, json: &str) {
        let (key, json) = (key.to_owned(), json.to_owned());
        self.tell(name, move |node, _| {
            let path: Vec<&str> = key.split('.').collect();
            let set = Write::Set { path: &path, json: &json };
            node.with_engine(|engine, now| engine.write(now, set)).expect("written");
        });
    }

    fn increment(&mut self, name: &str, by: u32) {
        self.tell(name, move |node, _| {
            let increment = Write::Increment { path: &["n"], by: by.into() };
            node.with_engine(|engine, now| engine.write(now, increment)).expect("written");
        });
    }

    /// Runs a job to its end: the outcomes, and how it ended.
    fn job(&mut self, name: &str, to: To<'static>) -> (Vec<Outcome>, End) {
        self.tell(name, move |node, view| {
            let ask = Ask {
                offer: Offer::Worker,
                name: "echo",
                args: "[7]",
                trace: "",
                to,
                timeout_ms: 30_000,
            };
            let asked =
                node.with_engine_at_once(|engine: &mut Engine, now: Now| engine.ask(now, ask));
            *view = View { job: Some(asked.expect("asked").job), ..view.clone() };
        });
        let caller = self.host(name).clone();
        self.wait("the job's end", |_| caller.view().end.is_some());
        let mut view = caller.view.lock().unwrap();
        let outcomes = std::mem::take(&mut view.outcomes);
        (outcomes, view.end.take().expect("it has ended"))
    }

    // ---- what there is to see

    fn shown(&self, name: &str) -> String {
        self.host(name).view().shown
    }

    fn stats(&self, name: &str) -> Stats {
        self.host(name).view().stats
    }

    fn peers_of(&self, name: &str) -> usize {
        self.host(name).view().peers.len()
    }

    fn peers(&self) -> Vec<usize> {
        self.hosts.iter().map(|host| host.view().peers.len()).collect()
    }

    fn down(&self, name: &str) -> Vec<&'static str> {
        self.host(name).view().down
    }

    // ---- time

    fn pass(&mut self, time: Duration) {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            self.sim.step().expect("no host fails");
        }
    }

    fn wait(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.sim.elapsed() + PATIENCE;
        while !condition(self) {
            assert!(self.sim.elapsed() < end, "never: {what:.100}; {:#?}", self.hosts);
            self.sim.step().expect("no host fails");
        }
    }

    /// Every node shows this, and says the same of what it holds; nobody had anything to complain
    /// of.
    fn converges(&mut self, json: &str) {
        self.wait(json, |cluster| cluster.hosts.iter().all(|host| host.view().shown == json));
        for host in &self.hosts {
            let View { stats, warnings, .. } = host.view();
            assert_eq!((stats.bad_messages, stats.state_mismatches), (0, 0), "{warnings:?}");
        }
    }
}

impl Host {
    fn view(&self) -> View {
        self.view.lock().unwrap().clone()
    }

    /// The program: opens a node and looks after it, turn by turn, like an event loop.
    async fn run(self, options: Options) -> turmoil::Result {
        *self.view.lock().unwrap() = View::default();
        let rings = Arc::new(AtomicU64::new(0));
        let node = Node::open(options, Arc::new(Bell(Arc::clone(&rings))));
        node.with_engine(|engine, _| engine.offer(Offer::Worker, "echo"));
        loop {
            tokio::time::sleep(TURN).await;
            let mut view = self.view.lock().unwrap();
            if rings.swap(0, Ordering::Relaxed) > 0 {
                view.rings += 1;
                drain(&node, &mut view);
            }
            // Taken one by one: a panic in one must not poison the list.
            while let Some(wish) = self.wishes.lock().unwrap().pop_front() {
                wish(&node, &mut view);
            }
            view.stats = node.stats().engine;
            node.with_engine(|engine, _| {
                view.peers = engine.peers();
                view.shown = engine.read(&[]).unwrap_or_default();
            });
        }
    }
}

/// Takes what waits, and answers what others ask.
fn drain(node: &Node, view: &mut View) {
    for event in node.take_events(usize::MAX) {
        match event {
            NodeEvent::PeerDown { code, .. } => view.down.push(code),
            NodeEvent::Warning { code, message, .. } => {
                view.warnings.push(format!("{code} {message}"))
            }
            _ => {}
        }
    }
    let mut items = Vec::new();
    node.take_items(usize::MAX, &mut items, &mut Vec::new());
    for item in items {
        match item {
            Item::Run { run, args, .. } => {
                node.with_engine_at_once(|engine, _| engine.answer(run, Ok(&args)));
            }
            Item::Outcome { outcome, job, .. } => {
                assert_eq!(Some(job), view.job);
                view.outcomes.push(outcome);
            }
            Item::Ended { end, .. } => view.end = Some(end),
            _ => {}
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let View { mut shown, stats, peers, down, warnings, .. } = self.view();
        let bytes = shown.len();
        shown.truncate(100);
        write!(
            f,
            "{} shows {shown} ({bytes}), {peers:?} {down:?} {warnings:?} {stats:?}",
            self.name
        )
    }
}

struct Bell(Arc<AtomicU64>);

impl Sink for Bell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn address(ip: IpAddr) -> Address {
    Address::new(format!("{ip}:{PORT}"))
}
