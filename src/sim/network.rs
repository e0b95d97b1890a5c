//! The fake network: connections as ordered reliable byte streams, and what goes wrong with them.
//!
//! A pure machine like the engines it connects. `dial`, `send` and `close` do what engines ask;
//! `poll` gives the inputs that are due. It behaves as TCP does as far as a program can tell: a
//! connection that lost bytes never delivers later ones, and an end learns of a broken connection
//! only if a packet can reach it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::agenda::Agenda;
use super::chance::Chance;
use crate::engine::wire::frame::FrameDecoder;
use crate::engine::{Address, CloseReason, Input, LinkId};

/// How long a dial into the void takes to fail: the shell's dial timeout.
const DIAL_TIMEOUT_MS: u64 = 2000;
/// The answer of a host where nobody listens.
const REFUSED: &str = "ECONNREFUSED";

/// What comes to a node, and when its turn has come.
#[derive(Debug)]
pub struct Delivery {
    pub node: usize,
    pub input: Input,
}

pub struct Network {
    chance: Chance,
    hosts: Vec<Host>,
    /// By sender, then receiver.
    paths: Vec<Vec<Path>>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    happenings: Agenda<Happening>,
    ready: VecDeque<Delivery>,
    message_bytes_max: usize,
    /// Whoever is refused knows that nobody is there.
    pub one_machine: bool,
}

#[derive(Clone, Debug)]
struct Host {
    up: bool,
    /// Dials of an earlier life are not answered.
    life: u64,
}

/// The way from one node to another.
#[derive(Clone, Debug)]
struct Path {
    latency_ms: (u64, u64),
    /// How much longer it always takes.
    detour_ms: u64,
    bytes_per_ms: u64,
    /// Packets are refused by something in between: connections break at once.
    severed: bool,
    /// Packets vanish: nobody is told.
    void: bool,
    /// There is no way at all, ever: the two are not neighbours in this topology.
    missing: bool,
}

struct Connection {
    ends: [End; 2],
    /// `pipes[side]` leads from `ends[side]` to the other end.
    pipes: [Pipe; 2],
    broken: bool,
}

struct End {
    node: usize,
    open: bool,
    /// Until the dial is answered. If the connection breaks before, the dial has failed.
    dialling: Option<Address>,
    decoder: FrameDecoder,
}

struct Pipe {
    /// In the sender's memory; the first is being transmitted.
    sending: VecDeque<Chunk>,
    transmitting: bool,
    /// On the way; each has an `Arrived` scheduled.
    flying: VecDeque<Chunk>,
    arrival_ms: u64,
    flow: Flow,
    /// Whether the operating system goes on taking bytes that lead nowhere.
    drains_into_void: bool,
}

impl Pipe {
    /// The void holds what is on the way and all that comes after it, in order.
    fn stall(&mut self) {
        self.flow = Flow::Stalled(std::mem::take(&mut self.flying));
    }
}

enum Flow {
    Open,
    /// These met the void. They may still come through when it closes, as retransmissions do.
    Stalled(VecDeque<Chunk>),
    /// Bytes were given up. Nothing later may come through.
    Dead,
}

enum Chunk {
    Bytes(Bytes),
    /// The sender closed.
    End,
}

enum Happening {
    Transmitted {
        connection: u64,
        side: usize,
    },
    Arrived {
        connection: u64,
        side: usize,
    },
    /// An end learns that its connection is broken.
    Reset {
        connection: u64,
        side: usize,
    },
    DialArrives {
        from: usize,
        life: u64,
        to: usize,
        address: Address,
    },
    DialAnswered {
        connection: u64,
    },
    DialFailed {
        from: usize,
        life: u64,
        address: Address,
        code: &'static str,
    },
}

impl Network {
    pub fn new(
        chance: Chance,
        nodes: usize,
        latency_ms: (u64, u64),
        bytes_per_ms: u64,
        message_bytes_max: usize,
    ) -> Self {
        let path = Path {
            latency_ms,
            detour_ms: 0,
            bytes_per_ms,
            severed: false,
            void: false,
            missing: false,
        };
        Network {
            chance,
            hosts: vec![Host { up: false, life: 0 }; nodes],
            paths: vec![vec![path; nodes]; nodes],
            connections: BTreeMap::new(),
            next_connection: 0,
            happenings: Agenda::default(),
            ready: VecDeque::new(),
            message_bytes_max,
            one_machine: false,
        }
    }

    // What nodes do.

    pub fn start(&mut self, node: usize) {
        self.hosts[node].up = true;
    }

    /// The process ends. Its operating system tells the peers, unless the machine lost its power.
    pub fn stop(&mut self, now: u64, node: usize, power_lost: bool) {
        self.hosts[node].up = false;
        self.hosts[node].life += 1;
        self.ready.retain(|delivery| delivery.node != node);
        for id in self.connections_of(|a, b| a == node || b == node) {
            if power_lost {
                let connection = self.connections.get_mut(&id).expect("just listed");
                for side in [0, 1] {
                    if connection.ends[side].node == node {
                        connection.pipes[side].flow = Flow::Dead;
                        connection.ends[side].open = false;
                    }
                }
            } else {
                self.break_connection(now, id);
                let connection = self.connections.get_mut(&id).expect("just listed");
                for end in &mut connection.ends {
                    end.open &= end.node != node;
                }
            }
            self.forget_if_closed(id);
        }
    }

    pub fn dial(&mut self, now: u64, from: usize, address: Address, to: Option<usize>) {
        let life = self.hosts[from].life;
        let Some(to) = to else {
            let code = "ENOTFOUND";
            return self.at(now + 1, Happening::DialFailed { from, life, address, code });
        };
        let (there, back) = (&self.paths[from][to], &self.paths[to][from]);
        if there.missing || there.severed {
            let code = "EHOSTUNREACH";
            self.at(now + 5, Happening::DialFailed { from, life, address, code });
        } else if there.void || back.void {
            let code = "ETIMEDOUT";
            self.at(now + DIAL_TIMEOUT_MS, Happening::DialFailed { from, life, address, code });
        } else {
            let arrival = now + self.latency(from, to);
            self.at(arrival, Happening::DialArrives { from, life, to, address });
        }
    }

    pub fn send(&mut self, now: u64, link: LinkId, frames: Bytes) {
        self.push(now, link, Chunk::Bytes(frames));
    }

    /// What was sent before still arrives. The caller drops inputs of the link that `poll` has yet
    /// to give.
    pub fn close(&mut self, now: u64, link: LinkId) {
        let (id, side) = locate(link);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.ends[side].open = false;
        self.push(now, link, Chunk::End);
        self.forget_if_closed(id);
    }

    /// The node that a link leads to, while the connection is there.
    pub fn other_end(&self, link: LinkId) -> Option<usize> {
        let (id, side) = locate(link);
        self.connections.get(&id).map(|connection| connection.ends[1 - side].node)
    }

    // What goes wrong, and what mends it.

    /// Between two nodes there is no way, for good.
    pub fn remove_path(&mut self, a: usize, b: usize) {
        self.paths[a][b].missing = true;
        self.paths[b][a].missing = true;
    }

    pub fn has_path(&self, a: usize, b: usize) -> bool {
        !self.paths[a][b].missing
    }

    /// Breaks the connections between two nodes; they may dial again at once.
    pub fn cut(&mut self, now: u64, a: usize, b: usize) {
        for id in self.connections_of(|x, y| (x, y) == (a, b) || (x, y) == (b, a)) {
            self.break_connection(now, id);
        }
    }

    /// Breaks the oldest of the connections between two nodes.
    pub fn cut_oldest(&mut self, now: u64, a: usize, b: usize) {
        let all = self.connections_of(|x, y| (x, y) == (a, b) || (x, y) == (b, a));
        if let Some(&oldest) = all.first() {
            self.break_connection(now, oldest);
        }
    }

    pub fn sever(&mut self, now: u64, a: usize, b: usize) {
        self.paths[a][b].severed = true;
        self.paths[b][a].severed = true;
        self.cut(now, a, b);
    }

    /// From now on what `from` sends to `to` vanishes.
    pub fn open_void(&mut self, from: usize, to: usize) {
        self.paths[from][to].void = true;
    }

    pub fn slow_down(&mut self, a: usize, b: usize, bytes_per_ms: u64, latency_ms: (u64, u64)) {
        for (from, to) in [(a, b), (b, a)] {
            self.paths[from][to].bytes_per_ms = bytes_per_ms;
            self.paths[from][to].latency_ms = latency_ms;
        }
    }

    /// What others send to a node gets there at this rate.
    pub fn slow_reader(&mut self, node: usize, bytes_per_ms: u64) {
        for paths in &mut self.paths {
            paths[node].bytes_per_ms = bytes_per_ms;
        }
    }

    /// Gives each way a length of its own.
    pub fn draw_detours(&mut self, most_ms: u64) {
        for path in self.paths.iter_mut().flatten() {
            path.detour_ms = self.chance.below(most_ms + 1);
        }
    }

    /// The connections to another node are gone at `node`, and the other end is not told: it hears
    /// when it sends something.
    pub fn half_open(&mut self, node: usize, other: usize) {
        for id in self.connections_of(|x, y| (x, y) == (node, other) || (x, y) == (other, node)) {
            let connection = self.connections.get_mut(&id).expect("just listed");
            let side = usize::from(connection.ends[0].node != node);
            connection.pipes[side].sending.clear();
            self.closed(id, side, CloseReason::Lost("ECONNABORTED".into()));
        }
    }

    /// Takes all faults off the way between two nodes. Of connections that met a void, some come
    /// to life again with a burst of what was held up; others have been given up on.
    pub fn mend(
        &mut self,
        now: u64,
        a: usize,
        b: usize,
        bytes_per_ms: u64,
        latency_ms: (u64, u64),
    ) {
        self.slow_down(a, b, bytes_per_ms, latency_ms);
        for (from, to) in [(a, b), (b, a)] {
            self.paths[from][to].severed = false;
            self.paths[from][to].void = false;
        }
        for id in self.connections_of(|x, y| (x, y) == (a, b) || (x, y) == (b, a)) {
            for side in [0, 1] {
                let revives = self.chance.percent(50);
                let pipe = &mut self.connections.get_mut(&id).expect("just listed").pipes[side];
                let Flow::Stalled(held) = &mut pipe.flow else { continue };
                let held = std::mem::take(held);
                pipe.flow = if revives { Flow::Open } else { Flow::Dead };
                if revives {
                    for chunk in held {
                        self.fly(now, id, side, chunk);
                    }
                }
                self.transmit(now, id, side);
            }
        }
    }

    /// Two nodes that have a connection, if any have.
    pub fn some_connected_pair(&mut self) -> Option<(usize, usize)> {
        let pairs: Vec<_> =
            self.connections.values().map(|c| (c.ends[0].node, c.ends[1].node)).collect();
        (!pairs.is_empty()).then(|| *self.chance.pick(&pairs))
    }

    // What comes of it.

    pub fn poll_timeout(&self) -> Option<u64> {
        if self.ready.is_empty() {
            self.happenings.next_at()
        } else {
            Some(0)
        }
    }

    /// The next input that is due.
    pub fn poll(&mut self, now: u64) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some(delivery);
            }
            let happening = self.happenings.pop_due(now)?;
            self.happen(now, happening);
        }
    }

    fn happen(&mut self, now: u64, happening: Happening) {
        match happening {
            Happening::Transmitted { connection, side } => self.transmitted(now, connection, side),
            Happening::Arrived { connection, side } => self.arrived(now, connection, side),
            Happening::Reset { connection, side } => {
                let reason = CloseReason::Lost("ECONNRESET".into());
                self.closed(connection, side, reason);
            }
            Happening::DialArrives { from, life, to, address } => {
                self.dial_arrives(now, from, life, to, address);
            }
            Happening::DialAnswered { connection: id } => {
                let Some(connection) = self.connections.get_mut(&id) else { return };
                let end = &mut connection.ends[0];
                if let (true, Some(address)) = (end.open, end.dialling.take()) {
                    let input = Input::Opened { link: link_id(id, 0), dialled: Some(address) };
                    self.ready.push_back(Delivery { node: end.node, input });
                }
            }
            Happening::DialFailed { from, life, address, code } => {
                if self.hosts[from].up && self.hosts[from].life == life {
                    let vacant = self.one_machine && code == REFUSED;
                    let input = Input::DialFailed { address, code: code.into(), vacant };
                    self.ready.push_back(Delivery { node: from, input });
                }
            }
        }
    }

    fn dial_arrives(&mut self, now: u64, from: usize, life: u64, to: usize, address: Address) {
        if !self.hosts[from].up || self.hosts[from].life != life {
            return;
        }
        let answer_at = now + self.latency(to, from);
        if self.paths[to][from].void || self.paths[from][to].severed {
            let code = "ETIMEDOUT";
            self.at(now + DIAL_TIMEOUT_MS, Happening::DialFailed { from, life, address, code });
            return;
        }
        if !self.hosts[to].up {
            let code = REFUSED;
            self.at(answer_at, Happening::DialFailed { from, life, address, code });
            return;
        }
        let connection = self.next_connection;
        self.next_connection += 1;
        let end = |node, dialling| End {
            node,
            open: true,
            dialling,
            decoder: FrameDecoder::new(self.message_bytes_max),
        };
        let ends = [end(from, Some(address)), end(to, None)];
        let mut pipes = [(); 2].map(|()| Pipe::new(self.chance.percent(50)));
        // Nothing from the listener overtakes the answer to the dial.
        pipes[1].arrival_ms = answer_at;
        self.connections.insert(connection, Connection { ends, pipes, broken: false });
        let input = Input::Opened { link: link_id(connection, 1), dialled: None };
        self.ready.push_back(Delivery { node: to, input });
        self.at(answer_at, Happening::DialAnswered { connection });
    }

    fn push(&mut self, now: u64, link: LinkId, chunk: Chunk) {
        let (id, side) = locate(link);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // An end that is gone takes nothing, though its program may not know of it yet.
        let is_gone = matches!(chunk, Chunk::Bytes(_)) && !connection.ends[side].open;
        if connection.broken || is_gone {
            return;
        }
        connection.pipes[side].sending.push_back(chunk);
        self.transmit(now, id, side);
    }

    /// Starts with the first chunk of what is to be sent, unless one is on its way out.
    fn transmit(&mut self, now: u64, id: u64, side: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let path = &self.paths[connection.ends[side].node][connection.ends[1 - side].node];
        let pipe = &mut connection.pipes[side];
        let bytes = match pipe.sending.front() {
            Some(Chunk::Bytes(bytes)) if !pipe.transmitting => bytes.len() as u64,
            Some(Chunk::End) if !pipe.transmitting => 0,
            _ => return,
        };
        pipe.transmitting = true;
        let done = now + bytes / path.bytes_per_ms;
        self.at(done, Happening::Transmitted { connection: id, side });
    }

    fn transmitted(&mut self, now: u64, id: u64, side: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (from, to) = (connection.ends[side].node, connection.ends[1 - side].node);
        let void = self.paths[from][to].void;
        let end_open = connection.ends[side].open;
        let pipe = &mut connection.pipes[side];
        pipe.transmitting = false;
        if matches!(pipe.flow, Flow::Open) && void {
            pipe.stall();
        }
        if !matches!(pipe.flow, Flow::Open) && !pipe.drains_into_void {
            return; // `mend` starts again
        }
        // Empty if the connection broke in between.
        let Some(chunk) = pipe.sending.pop_front() else { return };
        if let (Chunk::Bytes(frames), true) = (&chunk, end_open) {
            let input = Input::Drained { link: link_id(id, side), bytes: frames.len() };
            self.ready.push_back(Delivery { node: from, input });
        }
        match &mut pipe.flow {
            Flow::Open => self.fly(now, id, side, chunk),
            Flow::Stalled(held) => held.push_back(chunk),
            Flow::Dead => {}
        }
        self.transmit(now, id, side);
    }

    fn fly(&mut self, now: u64, id: u64, side: usize, chunk: Chunk) {
        let ends = &self.connections[&id].ends;
        let latency = self.latency(ends[side].node, ends[1 - side].node);
        let pipe = &mut self.connections.get_mut(&id).expect("indexed above").pipes[side];
        pipe.arrival_ms = pipe.arrival_ms.max(now + latency);
        pipe.flying.push_back(chunk);
        let arrival = pipe.arrival_ms;
        self.at(arrival, Happening::Arrived { connection: id, side });
    }

    fn arrived(&mut self, now: u64, id: u64, side: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (from, to) = (connection.ends[side].node, connection.ends[1 - side].node);
        let pipe = &mut connection.pipes[side];
        if self.paths[from][to].void && matches!(pipe.flow, Flow::Open) && !connection.broken {
            pipe.stall();
        }
        let Some(chunk) = pipe.flying.pop_front() else { return };
        if !matches!(pipe.flow, Flow::Open) {
            return;
        }
        if !connection.ends[1 - side].open {
            // A closed socket answers with a reset, a machine without power with nothing.
            if self.hosts[to].up && !self.paths[to][from].void {
                let at = now + self.latency(to, from);
                self.at(at, Happening::Reset { connection: id, side });
            }
            return;
        }
        match chunk {
            Chunk::End => self.closed(id, 1 - side, CloseReason::Lost("end of stream".into())),
            Chunk::Bytes(frames) => self.receive(id, 1 - side, frames),
        }
    }

    /// The bytes come to the reader in up to three pieces, wherever they are split.
    fn receive(&mut self, id: u64, side: usize, frames: Bytes) {
        let end = &mut self.connections.get_mut(&id).expect("checked by the caller").ends[side];
        let link = link_id(id, side);
        end.decoder.buffer().reserve(frames.len());
        let mut rest = frames;
        for pieces_left in (0..3).rev() {
            let piece = match pieces_left {
                0 => rest.len(),
                _ => self.chance.index(rest.len() + 1),
            };
            end.decoder.buffer().extend_from_slice(&rest.split_to(piece));
            loop {
                match end.decoder.next_message() {
                    Ok(Some(message)) => {
                        let input = Input::Received { link, message };
                        self.ready.push_back(Delivery { node: end.node, input });
                    }
                    Ok(None) => break,
                    Err(too_large) => {
                        let reason = CloseReason::TooLarge { limit: too_large.limit };
                        return self.closed(id, side, reason);
                    }
                }
            }
        }
    }

    fn closed(&mut self, id: u64, side: usize, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let end = &mut connection.ends[side];
        if std::mem::take(&mut end.open) {
            let input = match end.dialling.take() {
                None => Input::Closed { link: link_id(id, side), reason },
                Some(address) => {
                    Input::DialFailed { address, code: "ECONNRESET".into(), vacant: false }
                }
            };
            self.ready.push_back(Delivery { node: end.node, input });
        }
        self.forget_if_closed(id);
    }

    /// Both ends will hear of it. Of what is on the way a part still arrives, cut anywhere.
    fn break_connection(&mut self, now: u64, id: u64) {
        let connection = self.connections.get_mut(&id).expect("the caller has it from the map");
        if std::mem::replace(&mut connection.broken, true) {
            return;
        }
        for pipe in &mut connection.pipes {
            pipe.sending.clear();
            pipe.flying.truncate(self.chance.index(pipe.flying.len() + 1));
            if let Some(Chunk::Bytes(last)) = pipe.flying.back_mut() {
                let kept = self.chance.index(last.len() + 1);
                last.truncate(kept);
            }
        }
        for side in [0, 1] {
            let at = now + self.chance.between(1, 300);
            self.at(at, Happening::Reset { connection: id, side });
        }
    }

    /// With both ends closed a connection is kept only while something may still arrive.
    fn forget_if_closed(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else { return };
        if connection.ends.iter().all(|end| !end.open) {
            self.connections.remove(&id);
        }
    }

    fn connections_of(&self, of: impl Fn(usize, usize) -> bool) -> Vec<u64> {
        let between = |c: &Connection| of(c.ends[0].node, c.ends[1].node);
        self.connections.iter().filter(|(_, c)| between(c)).map(|(&id, _)| id).collect()
    }

    fn latency(&mut self, from: usize, to: usize) -> u64 {
        let Path { latency_ms: (low, high), detour_ms, .. } = self.paths[from][to];
        detour_ms + self.chance.between(low, high)
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.happenings.push(at, happening);
    }
}

impl Pipe {
    fn new(drains_into_void: bool) -> Self {
        Pipe {
            sending: VecDeque::new(),
            transmitting: false,
            flying: VecDeque::new(),
            arrival_ms: 0,
            flow: Flow::Open,
            drains_into_void,
        }
    }
}

/// Both ends of a connection get a link of their own, even if they are of the same node.
fn link_id(connection: u64, side: usize) -> LinkId {
    LinkId(connection * 2 + side as u64)
}

fn locate(link: LinkId) -> (u64, usize) {
    (link.0 / 2, (link.0 % 2) as usize)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::engine::wire::frame;

    /// Two nodes, and a connection that 0 dialled.
    fn connected() -> (Network, [LinkId; 2]) {
        let mut network = Network::new(Chance::new(7, 0), 2, (10, 10), 100, 1 << 20);
        network.start(0);
        network.start(1);
        network.dial(0, 0, Address::new("n1"), Some(1));
        assert_eq!(tell(&mut network, 20), ["n1 opened", "n0 opened n1"]);
        (network, [link_id(0, 0), link_id(0, 1)])
    }

    fn message(size: usize) -> Bytes {
        let mut frames = BytesMut::new();
        frame::encode(&vec![b'x'; size], &mut frames);
        frames.freeze()
    }

    /// All that happens until then.
    fn tell(network: &mut Network, until: u64) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(now) = network.poll_timeout().filter(|&at| at <= until) {
            while let Some(Delivery { node, input }) = network.poll(now) {
                let what = match input {
                    Input::Opened { dialled: None, .. } => "opened".into(),
                    Input::Opened { dialled: Some(address), .. } => format!("opened {address}"),
                    Input::DialFailed { code, .. } => code,
                    Input::Received { message, .. } => format!("received {}", message.len()),
                    Input::Drained { bytes, .. } => format!("drained {bytes}"),
                    Input::Closed { .. } => "closed".into(),
                    Input::Command(_) => unreachable!("no network gives commands"),
                };
                told.push(format!("n{node} {what}"));
            }
        }
        told
    }

    #[test]
    fn bytes_take_the_time_of_bandwidth_and_latency() {
        let (mut network, [link, _]) = connected();
        network.send(100, link, message(996));
        assert!(tell(&mut network, 109).is_empty());
        assert_eq!(tell(&mut network, 110), ["n0 drained 1000"]);
        assert!(tell(&mut network, 119).is_empty());
        assert_eq!(tell(&mut network, 120), ["n1 received 996"]);
    }

    #[test]
    fn what_was_sent_before_a_close_arrives() {
        let (mut network, [link, _]) = connected();
        network.send(100, link, message(1));
        network.close(100, link);
        assert_eq!(tell(&mut network, 1000), ["n1 received 1", "n1 closed"]);
    }

    #[test]
    fn a_cut_loses_a_tail_and_both_ends_hear_of_it() {
        let (mut network, [link, _]) = connected();
        for _ in 0..8 {
            network.send(100, link, message(10));
        }
        tell(&mut network, 100);
        network.cut(100, 0, 1);
        let told = tell(&mut network, 1000);
        let received = told.iter().filter(|what| *what == "n1 received 10").count();
        assert!(received < 8, "{told:?}");
        assert_eq!(told.iter().filter(|what| what.ends_with("closed")).count(), 2, "{told:?}");
        network.send(1000, link, message(10));
        assert!(tell(&mut network, 2000).is_empty());
    }

    #[test]
    fn a_void_swallows_in_silence_and_nothing_overtakes_what_it_held() {
        let (mut network, [there, back]) = connected();
        network.open_void(0, 1);
        network.send(100, there, message(1));
        network.send(100, back, message(2));
        let told = tell(&mut network, 10_000);
        assert!(told.contains(&"n0 received 2".into()), "{told:?}");
        assert!(!told.iter().any(|what| what.starts_with("n1 received")), "{told:?}");
        network.mend(10_000, 0, 1, 100, (10, 10));
        network.send(10_000, there, message(3));
        let told = tell(&mut network, 20_000);
        let received: Vec<_> = told.iter().filter(|what| what.contains("received")).collect();
        assert!(received.is_empty() || received == ["n1 received 1", "n1 received 3"], "{told:?}");
    }

    #[test]
    fn every_dial_is_answered() {
        for (prepare, answer) in [
            ((|_| ()) as fn(&mut Network), "n0 ECONNREFUSED"),
            (|network| network.open_void(1, 0), "n0 ETIMEDOUT"),
            (|network| network.sever(0, 0, 1), "n0 EHOSTUNREACH"),
            (|network| network.start(1), "n0 opened n1"),
        ] {
            let mut network = Network::new(Chance::new(7, 0), 2, (10, 10), 100, 1 << 20);
            network.start(0);
            prepare(&mut network);
            network.dial(0, 0, Address::new("n1"), Some(1));
            let told = tell(&mut network, 5_000);
            assert!(told.contains(&answer.into()), "{told:?}");
        }
    }

    #[test]
    fn a_dial_cut_before_its_answer_has_failed_or_opens_and_closes() {
        for seed in 0..20 {
            let mut network = Network::new(Chance::new(seed, 0), 2, (10, 10), 100, 1 << 20);
            network.start(0);
            network.start(1);
            network.dial(0, 0, Address::new("n1"), Some(1));
            tell(&mut network, 15);
            network.cut(15, 0, 1);
            let mut told = tell(&mut network, 5_000);
            told.retain(|what| what.starts_with("n0"));
            let right = told == ["n0 ECONNRESET"] || told == ["n0 opened n1", "n0 closed"];
            assert!(right, "{told:?}");
        }
    }
}
