//! Engines whose frames are carried in memory, under one clock. Nothing moves by itself: a test
//! delivers what is under way, or lets time pass.

// Each test file uses its own part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{self, FeedHead, FeedItem, Kind};
use collective_io::engine::{
    Address, Ask, AskError, Asked, Changes, CloseReason, Command, Config, Context, Dot, Engine,
    Event, Explanation, Input, Item, JobId, LinkId, Need, Now, ObserverId, Offer, Output, Page,
    Refusal, ReplicaId, RunId, Running, Standing, Stats, To, WaitId, Whereabouts, Write,
    WriteError, Written,
};

/// Some day in 2025.
const WALL_START_MS: u64 = 1_750_000_000_000;
/// An engine that puts out more for one input would do so for ever.
const OUTPUTS_MAX: usize = 1_000_000;

pub struct Mesh {
    nodes: Vec<Node>,
    links: BTreeMap<LinkId, Link>,
    now_ms: u64,
    next_link: u64,
    /// Bytes of all frames ever sent, by sender and receiver.
    carried: BTreeMap<(usize, usize), usize>,
    /// Everything delivered so far, if asked for: (link, receiver, message).
    log: Option<Vec<(LinkId, usize, Bytes)>>,
    /// Who listens where.
    listening: BTreeMap<Address, usize>,
    /// Dials under way, and all there ever were.
    dials: VecDeque<(usize, Address)>,
    dialled: Vec<(usize, Address)>,
    /// Where dials come to nothing and nobody says so.
    silent: BTreeSet<Address>,
    /// Who is refused knows that no process listens there.
    pub one_machine: bool,
    /// Why a node has closed a connection, the last one.
    closed: Option<CloseReason>,
}

struct Node {
    engine: Engine,
    wall_ahead_ms: u64,
    events: Vec<Event>,
    stopped: bool,
}

struct Link {
    ends: [usize; 2],
    held: bool,
    /// To each end: messages under way, with what their frames weigh.
    under_way: [Vec<(Bytes, usize)>; 2],
    decoders: [FrameDecoder; 2],
}

impl Mesh {
    /// Nodes 0 to `nodes - 1`, not linked yet.
    pub fn new(nodes: usize) -> Self {
        Self::with(vec![Config::default(); nodes])
    }

    /// All linked with all, and nothing under way.
    pub fn linked(nodes: usize) -> Self {
        let mut mesh = Self::new(nodes);
        mesh.link_all();
        mesh
    }

    pub fn with(configs: Vec<Config>) -> Self {
        let mut mesh = Mesh {
            nodes: Vec::new(),
            links: BTreeMap::new(),
            now_ms: 0,
            next_link: 0,
            carried: BTreeMap::new(),
            log: None,
            listening: BTreeMap::new(),
            dials: VecDeque::new(),
            dialled: Vec::new(),
            silent: BTreeSet::new(),
            one_machine: false,
            closed: None,
        };
        for config in configs {
            mesh.add(config);
        }
        mesh
    }

    /// Starts one more node. It listens where it advertises.
    pub fn add(&mut self, config: Config) -> usize {
        self.add_told(config, &[])
    }

    /// One more that is linked with these.
    pub fn add_linked(&mut self, config: Config, others: &[usize]) -> usize {
        let node = self.add(config);
        others.iter().for_each(|&other| self.link(node, other));
        node
    }

    /// One more that is given addresses from the start.
    pub fn add_told(&mut self, config: Config, addresses: &[&str]) -> usize {
        if let Some(address) = config.advertised.clone() {
            self.listening.insert(address, self.nodes.len());
        }
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(self.nodes.len() as u64 + 1).to_le_bytes());
        let engine = Engine::new(config, seed, self.now_of(0));
        self.nodes.push(Node { engine, wall_ahead_ms: 0, events: Vec::new(), stopped: false });
        let node = self.nodes.len() - 1;
        for address in addresses {
            self.connect(node, address, false);
        }
        let now = self.now_of(0);
        self.nodes[node].engine.handle_timeout(now);
        self.drain(node);
        node
    }

    pub fn set_wall_ahead(&mut self, node: usize, ms: u64) {
        self.nodes[node].wall_ahead_ms = ms;
    }

    /// Remembers from now on what is delivered, for `deliver_all_again`.
    pub fn keep_log(&mut self) {
        self.log = Some(Vec::new());
    }

    // ---- links

    pub fn link_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                self.link(a, b);
            }
        }
        self.deliver();
    }

    /// Opens a connection. The hellos are under way then.
    pub fn link(&mut self, a: usize, b: usize) {
        self.open(a, b, None);
    }

    fn open(&mut self, a: usize, b: usize, dialled: Option<Address>) {
        self.next_link += 1;
        let id = LinkId(self.next_link);
        let decoder = || FrameDecoder::new(Config::default().message_bytes_max());
        let link = Link {
            ends: [a, b],
            held: false,
            under_way: [Vec::new(), Vec::new()],
            decoders: [decoder(), decoder()],
        };
        self.links.insert(id, link);
        self.input(a, Input::Opened { link: id, dialled });
        self.input(b, Input::Opened { link: id, dialled: None });
    }

    /// Links these pairs, unless they are: silence and late hellos have closed some.
    pub fn link_again(&mut self, pairs: &[(usize, usize)]) {
        for &(a, b) in pairs {
            if !self.is_linked(a, b) {
                self.link(a, b);
            }
        }
    }

    /// Drops the connections between two nodes, and what is under way on them.
    pub fn cut(&mut self, a: usize, b: usize) {
        for id in self.links_between(a, b) {
            self.links.remove(&id);
            for node in [a, b] {
                let reason = CloseReason::Lost("cut".into());
                self.input(node, Input::Closed { link: id, reason });
            }
        }
    }

    /// One node sees its connection to the other break; the other sees nothing, nor gets anything.
    pub fn close_one_end(&mut self, node: usize, other: usize) {
        for id in self.links_between(node, other) {
            if let Some(link) = self.links.get_mut(&id) {
                link.under_way = [Vec::new(), Vec::new()];
                link.held = true;
            }
            let reason = CloseReason::Lost("cut".into());
            self.input(node, Input::Closed { link: id, reason });
        }
    }

    /// Keeps what is under way between two nodes until `release`.
    pub fn hold(&mut self, a: usize, b: usize) {
        self.set_held(a, b, true);
    }

    pub fn release(&mut self, a: usize, b: usize) {
        self.set_held(a, b, false);
    }

    pub fn is_linked(&self, a: usize, b: usize) -> bool {
        !self.links_between(a, b).is_empty()
    }

    /// Lets a node listen at one more address.
    pub fn listen(&mut self, node: usize, address: &str) {
        self.listening.insert(Address::new(address), node);
    }

    pub fn connect(&mut self, node: usize, address: &str, announce: bool) {
        let address = Address::new(address);
        self.input(node, Input::Command(Command::Connect { address, announce }));
    }

    /// Dials of this address neither succeed nor fail from now on.
    pub fn silence(&mut self, address: &str) {
        self.silent.insert(Address::new(address));
    }

    pub fn forget(&mut self, node: usize, address: &str) {
        self.input(node, Input::Command(Command::Forget { address: Address::new(address) }));
    }

    pub fn unreached(&self, node: usize) -> Vec<String> {
        self.nodes[node].engine.unreached().map(|address| address.to_string()).collect()
    }

    pub fn dismiss(&mut self, node: usize, other: usize) {
        let peer = self.id(other);
        self.input(node, Input::Command(Command::Dismiss { peer }));
    }

    /// The node is to make its connections to the other anew.
    pub fn renew(&mut self, node: usize, other: usize) {
        for link in self.links_between(node, other) {
            self.input(node, Input::Command(Command::Renew { link }));
        }
    }

    /// How many connections there are between two nodes.
    pub fn links_count(&self, a: usize, b: usize) -> usize {
        self.links_between(a, b).len()
    }

    /// Nobody answers at this address any more.
    pub fn stop_listening(&mut self, address: &str) {
        self.listening.remove(&Address::new(address));
    }

    pub fn set_advertised(&mut self, node: usize, address: Option<&str>) {
        self.nodes[node].engine.set_advertised(address.map(Address::new));
        self.drain(node);
    }

    pub fn set_busy_ms(&mut self, node: usize, busy_ms: u64) {
        self.nodes[node].engine.set_busy_ms(busy_ms);
        self.drain(node);
    }

    /// For how long one node believes the other to be busy.
    pub fn busy_ms(&self, node: usize, other: usize) -> u64 {
        self.nodes[node].engine.busy_ms(self.now_of(node), self.id(other))
    }

    /// How often a node has dialled an address.
    pub fn dials(&self, node: usize, address: &str) -> usize {
        let address = (node, Address::new(address));
        self.dialled.iter().filter(|&dialled| *dialled == address).count()
    }

    /// The node says goodbye, and closes.
    pub fn leave(&mut self, node: usize) {
        self.input(node, Input::Command(Command::Leave));
    }

    // ---- what moves

    /// Delivers all that is under way, and what comes of it, in no time.
    pub fn deliver(&mut self) {
        loop {
            if let Some((node, address)) = self.dials.pop_front() {
                self.dial(node, address);
            } else if let Some((id, to)) = self.ways().first().copied() {
                self.deliver_one(id, to, 0);
            } else {
                return;
            }
        }
    }

    /// Delivers until nobody's hello is under way.
    pub fn deliver_hellos(&mut self) {
        let is_hello = |message: &Bytes| Kind::of(message) == Some(Kind::Hello);
        let of =
            |link: &Link, to: usize| link.under_way[to].first().is_some_and(|(m, _)| is_hello(m));
        while let Some((id, to)) =
            self.ways().into_iter().find(|&(id, to)| of(&self.links[&id], to))
        {
            self.deliver_one(id, to, 0);
        }
    }

    /// The ways with messages under way that are not held.
    pub fn ways(&self) -> Vec<(LinkId, usize)> {
        let mut ways = Vec::new();
        for (&id, link) in self.links.iter().filter(|(_, link)| !link.held) {
            ways.extend((0..2).filter(|&to| !link.under_way[to].is_empty()).map(|to| (id, to)));
        }
        ways
    }

    /// Delivers one message of a way. One further back may overtake, if it is a batch of writes.
    pub fn deliver_one(&mut self, id: LinkId, to: usize, further_back: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let queue = &mut link.under_way[to];
        let kind = |at: usize| Kind::of(&queue[at].0);
        let may = |at: &usize| kind(*at) == Some(Kind::Writes) && kind(0) != Some(Kind::Hello);
        let at = Some(further_back % queue.len()).filter(may).unwrap_or(0);
        let (message, bytes) = queue.remove(at);
        let (node, sender) = (link.ends[to], link.ends[1 - to]);
        if let Some(log) = &mut self.log {
            log.push((id, node, message.clone()));
        }
        self.input(sender, Input::Drained { link: id, bytes });
        self.input(node, Input::Received { link: id, message });
    }

    /// Lets time pass, and delivers what was under way before.
    pub fn wait_on_the_way(&mut self, ms: u64) {
        let before: Vec<_> = self
            .ways()
            .into_iter()
            .map(|(id, to)| (id, to, self.links[&id].under_way[to].len()))
            .collect();
        self.wait(ms);
        for (id, to, messages) in before {
            (0..messages).for_each(|_| self.deliver_one(id, to, 0));
        }
    }

    /// Delivers everything that was ever delivered once more, in the same order.
    pub fn deliver_all_again(&mut self) {
        let log = self.log.take().unwrap_or_default();
        for (link, node, message) in log {
            self.input(node, Input::Received { link, message });
        }
    }

    /// A message out of nowhere.
    pub fn receive(&mut self, node: usize, link: LinkId, message: Bytes) {
        self.input(node, Input::Received { link, message });
    }

    /// A connection from somebody who is no node here: `receive` has what he says.
    pub fn open_to_nobody(&mut self, node: usize) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.input(node, Input::Opened { link, dialled: None });
        link
    }

    pub fn close_to_nobody(&mut self, node: usize, link: LinkId) {
        self.input(node, Input::Closed { link, reason: CloseReason::Lost("gone".into()) });
    }

    /// Why the last connection was closed that a node has closed.
    pub fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Lets time pass, keeps deadlines and delivers everything at once.
    pub fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        loop {
            self.deliver();
            let living = self.nodes.iter().filter(|node| !node.stopped);
            let deadlines = living.filter_map(|node| node.engine.poll_timeout());
            let next = deadlines.min().unwrap_or(u64::MAX).max(self.now_ms);
            if next > end {
                break;
            }
            self.now_ms = next;
            self.keep_deadlines();
        }
        self.now_ms = end;
    }

    /// Lets one node do what waits to be done, once.
    pub fn step(&mut self, node: usize) {
        let now = self.now_of(node);
        self.nodes[node].engine.handle_timeout(now);
        self.drain(node);
    }

    /// Lets time pass with nothing delivered.
    pub fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.keep_deadlines();
    }

    fn keep_deadlines(&mut self) {
        for node in 0..self.nodes.len() {
            let due = self.nodes[node].engine.poll_timeout();
            if !self.nodes[node].stopped && due.is_some_and(|due| due <= self.now_ms) {
                self.step(node);
            }
        }
    }

    // ---- what nodes are asked

    pub fn set(&mut self, node: usize, path: &str, json: &str) {
        self.write(node, Write::Set { path: &split(path), json }).unwrap();
    }

    pub fn increment(&mut self, node: usize, path: &str, by: f64) {
        self.write(node, Write::Increment { path: &split(path), by }).unwrap();
    }

    pub fn delete(&mut self, node: usize, path: &str) {
        self.write(node, Write::Delete { path: &split(path) }).unwrap();
    }

    pub fn write(&mut self, node: usize, write: Write<'_>) -> Result<(), WriteError> {
        self.write_told(node, write).map(|_| ())
    }

    pub fn write_told(
        &mut self,
        node: usize,
        write: Write<'_>,
    ) -> Result<Option<Written>, WriteError> {
        let now = self.now_of(node);
        let written = self.nodes[node].engine.write(now, write)?;
        self.drain(node);
        Ok(written)
    }

    pub fn begin_batch(&mut self, node: usize) {
        self.nodes[node].engine.begin_batch();
        self.drain(node);
    }

    pub fn end_batch(&mut self, node: usize) {
        let now = self.now_of(node);
        self.nodes[node].engine.end_batch(now);
        self.drain(node);
    }

    pub fn wait_for(&mut self, node: usize, need: Need) -> WaitId {
        let wait = self.nodes[node].engine.wait_for(need);
        self.drain(node);
        wait
    }

    pub fn stop_waiting(&mut self, node: usize, wait: WaitId) {
        self.nodes[node].engine.stop_waiting(wait);
    }

    pub fn standing(&mut self, node: usize, other: usize) -> Option<Standing> {
        let peer = self.id(other);
        self.nodes[node].engine.standing(peer)
    }

    pub fn observe(&mut self, node: usize, path: &str) -> ObserverId {
        self.nodes[node].engine.observe(&split(path))
    }

    pub fn stop_observing(&mut self, node: usize, observer: ObserverId) {
        self.nodes[node].engine.stop_observing(observer);
    }

    pub fn take_observers(&mut self, node: usize) -> Vec<ObserverId> {
        let mut ids = Vec::new();
        self.take_touched(node);
        self.nodes[node].engine.take_observers(&mut ids);
        ids
    }

    pub fn take_touched(&mut self, node: usize) {
        self.nodes[node].engine.take_touched(&mut Vec::new());
    }

    pub fn take_changes(&mut self, node: usize, observer: ObserverId) -> Changes {
        self.nodes[node].engine.take_changes(observer, usize::MAX, usize::MAX)
    }

    pub fn page(
        &mut self,
        node: usize,
        path: &str,
        after: Option<&str>,
        max: usize,
    ) -> Option<Page> {
        self.nodes[node].engine.page(&split(path), after, max, usize::MAX)
    }

    pub fn count(&mut self, node: usize, path: &str) -> Option<usize> {
        self.nodes[node].engine.count(&split(path))
    }

    /// Whether the node holds the write's effect, by whatever name.
    pub fn knows(&self, node: usize, dot: Dot) -> bool {
        self.nodes[node].engine.knows(dot)
    }

    /// JSON text, with keys sorted; `""` is the whole document.
    pub fn read(&mut self, node: usize, path: &str) -> Option<String> {
        let text = self.nodes[node].engine.read(&split(path))?;
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        Some(value.to_string())
    }

    pub fn explain(&mut self, node: usize, path: &str) -> Explanation {
        self.nodes[node].engine.explain(&split(path))
    }

    pub fn offer(&mut self, node: usize, offer: Offer, name: &str) {
        self.nodes[node].engine.offer(offer, name);
    }

    pub fn withdraw(&mut self, node: usize, offer: Offer, name: &str) {
        self.nodes[node].engine.withdraw(offer, name);
    }

    pub fn introduce(&mut self, node: usize, peer: ReplicaId) {
        self.nodes[node].engine.introduce(peer);
        self.drain(node);
    }

    /// Runs the worker `w` on the nodes.
    pub fn ask(
        &mut self,
        node: usize,
        to: To<'_>,
        args: &str,
        timeout_ms: u64,
    ) -> Result<Asked, AskError> {
        let ask = Ask { offer: Offer::Worker, name: "w", args, to, timeout_ms, trace: "" };
        self.ask_so(node, ask)
    }

    pub fn ask_so(&mut self, node: usize, ask: Ask<'_>) -> Result<Asked, AskError> {
        let now = self.now_of(node);
        let asked = self.nodes[node].engine.ask(now, ask);
        self.drain(node);
        asked
    }

    pub fn running_jobs(&self, node: usize, max: usize) -> Vec<Running> {
        self.nodes[node].engine.running_jobs(self.now_of(node), max)
    }

    pub fn whereabouts(&mut self, node: usize) -> Whereabouts {
        let now = self.now_of(node);
        self.nodes[node].engine.whereabouts(now)
    }

    pub fn answer(&mut self, node: usize, run: RunId, result: Result<&str, &str>) {
        self.nodes[node].engine.answer(run, result);
        self.drain(node);
    }

    pub fn refuse(&mut self, node: usize, run: RunId, why: Refusal) {
        self.nodes[node].engine.refuse(run, why);
        self.drain(node);
    }

    pub fn cancel(&mut self, node: usize, job: JobId, reason: &str) {
        self.nodes[node].engine.cancel(job, reason);
        self.drain(node);
    }

    pub fn set_timeout(&mut self, node: usize, job: JobId, timeout_ms: u64) {
        let now = self.now_of(node);
        self.nodes[node].engine.set_timeout(now, job, timeout_ms);
        self.drain(node);
    }

    pub fn emit(&mut self, node: usize, to: To<'_>, args: &str) -> Result<usize, AskError> {
        let sent = self.nodes[node].engine.emit(to, "e", args);
        self.drain(node);
        sent
    }

    /// Takes all that waits for the application.
    pub fn items(&mut self, node: usize) -> Vec<Item> {
        let now = self.now_of(node);
        let mut items = Vec::new();
        while self.nodes[node].engine.take_items(now, 7, &mut items) {}
        self.drain(node);
        items
    }

    pub fn hash(&mut self, node: usize) -> u64 {
        self.nodes[node].engine.hash()
    }

    pub fn context(&self, node: usize) -> Context {
        self.nodes[node].engine.context().clone()
    }

    pub fn id(&self, node: usize) -> ReplicaId {
        self.nodes[node].engine.id()
    }

    pub fn stats(&self, node: usize) -> Stats {
        self.nodes[node].engine.stats()
    }

    pub fn document_bytes(&self, node: usize) -> usize {
        self.nodes[node].engine.document_bytes()
    }

    /// Bytes that one node has sent to another.
    pub fn carried(&self, from: usize, to: usize) -> usize {
        self.carried.get(&(from, to)).copied().unwrap_or(0)
    }

    pub fn events(&self, node: usize) -> &[Event] {
        &self.nodes[node].events
    }

    pub fn describe(&self, node: usize) -> String {
        self.nodes[node].engine.describe()
    }

    /// Whether a feed that ended is still being merged.
    pub fn is_merging(&self, node: usize) -> bool {
        self.nodes[node].engine.poll_timeout() == Some(0)
    }

    /// All nodes show the same, hold the same and cover the same.
    #[track_caller]
    pub fn assert_converged(&mut self) {
        for node in 1..self.nodes.len() {
            let same = self.context(node) == self.context(0)
                && self.hash(node) == self.hash(0)
                && self.read(node, "") == self.read(0, "");
            assert!(
                same,
                "node 0 and node {node} differ\n0: {:?}\n{}{node}: {:?}\n{}",
                self.context(0),
                self.describe(0),
                self.context(node),
                self.describe(node),
            );
        }
        assert!((0..self.nodes.len()).all(|node| self.stats(node).state_mismatches == 0));
    }

    /// Every node shows this at the path.
    #[track_caller]
    pub fn assert_all_read(&mut self, path: &str, json: impl Into<Option<&'static str>>) {
        let json = json.into();
        for node in 0..self.nodes.len() {
            assert_eq!(self.read(node, path).as_deref(), json, "node {node} at {path:?}");
        }
    }

    /// What is under way to a node.
    pub fn under_way(&self, from: usize, to: usize) -> Vec<Kind> {
        let messages = self.messages(from, to);
        messages.filter_map(|(message, _)| Kind::of(message)).collect()
    }

    pub fn bytes_under_way(&self, from: usize, to: usize) -> Vec<usize> {
        self.messages(from, to).map(|(message, _)| message.len()).collect()
    }

    /// Whether a part of a feed that tells of a cut is under way to a node.
    pub fn has_cuts_under_way(&self, from: usize, to: usize) -> bool {
        let parts = self.messages(from, to).filter(|(m, _)| Kind::of(m) == Some(Kind::Feed));
        parts.into_iter().any(|(message, _)| {
            let Ok((_, mut rest)) = message::decode_head::<FeedHead>(message) else { return false };
            while let Ok((item, after)) = message::decode_item::<FeedItem<'_>>(rest) {
                if let FeedItem::Cut { .. } = item {
                    return true;
                }
                rest = after;
            }
            false
        })
    }

    /// Everything the engine holds, for tests of what it keeps.
    pub fn debug(&self, node: usize) -> String {
        format!("{:?}", self.nodes[node].engine)
    }

    /// Its process ends without a word: nothing happens to it any more.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].stopped = true;
    }

    // ---- inside

    fn messages(&self, from: usize, to: usize) -> impl Iterator<Item = &(Bytes, usize)> {
        let links = self.links_between(from, to).into_iter();
        links.flat_map(move |id| {
            let link = &self.links[&id];
            link.under_way[usize::from(link.ends[1] == to)].iter()
        })
    }

    fn input(&mut self, node: usize, input: Input) {
        let now = self.now_of(node);
        self.nodes[node].engine.handle_input(now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        let now = self.now_of(node);
        for _ in 0..OUTPUTS_MAX {
            match self.nodes[node].engine.poll_output(now) {
                None => return,
                Some(Output::Send { link, frames }) => self.send(node, link, &frames),
                Some(Output::Close { link, reason }) => {
                    self.closed = Some(reason);
                    self.close(node, link);
                }
                Some(Output::Event(event)) => self.nodes[node].events.push(event),
                Some(Output::Dial { address }) => {
                    self.dialled.push((node, address.clone()));
                    if !self.silent.contains(&address) {
                        self.dials.push_back((node, address));
                    }
                }
            }
        }
        panic!("node {node} never stops");
    }

    fn dial(&mut self, node: usize, address: Address) {
        match self.listening.get(&address) {
            Some(&other) if !self.nodes[other].stopped => self.open(node, other, Some(address)),
            _ => {
                let code = "ECONNREFUSED".into();
                let vacant = self.one_machine;
                self.input(node, Input::DialFailed { address, code, vacant });
            }
        }
    }

    fn send(&mut self, node: usize, id: LinkId, frames: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let to = usize::from(link.ends[0] == node);
        *self.carried.entry((node, link.ends[to])).or_default() += frames.len();
        link.decoders[to].buffer().extend_from_slice(frames);
        // The first of several messages carries the weight of all.
        let mut bytes = frames.len();
        loop {
            match link.decoders[to].next_message() {
                Ok(Some(message)) => {
                    link.under_way[to].push((message, std::mem::take(&mut bytes)));
                }
                Ok(None) => return,
                Err(too_large) => panic!("node {node} sends a message that is {too_large:?}"),
            }
        }
    }

    fn close(&mut self, node: usize, id: LinkId) {
        let Some(mut link) = self.links.remove(&id) else { return };
        let to = usize::from(link.ends[0] == node);
        let other = link.ends[to];
        for (message, _) in std::mem::take(&mut link.under_way[to]) {
            self.input(other, Input::Received { link: id, message });
        }
        let reason = CloseReason::Lost("closed by the other side".into());
        self.input(other, Input::Closed { link: id, reason });
    }

    fn set_held(&mut self, a: usize, b: usize, held: bool) {
        for id in self.links_between(a, b) {
            self.links.get_mut(&id).unwrap().held = held;
        }
    }

    pub fn links_between(&self, a: usize, b: usize) -> Vec<LinkId> {
        let between = |link: &Link| link.ends == [a, b] || link.ends == [b, a];
        self.links.iter().filter(|(_, link)| between(link)).map(|(&id, _)| id).collect()
    }

    fn now_of(&self, node: usize) -> Now {
        let ahead_ms = self.nodes.get(node).map_or(0, |node| node.wall_ahead_ms);
        Now { monotonic_ms: self.now_ms, wall_ms: WALL_START_MS + self.now_ms + ahead_ms }
    }
}

/// The segments of a path written with dots.
pub fn split(path: &str) -> Vec<&str> {
    if path.is_empty() {
        Vec::new()
    } else {
        path.split('.').collect()
    }
}
