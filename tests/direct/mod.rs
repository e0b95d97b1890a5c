//! Engines that hand each other messages, with no network between them and no time passing: what
//! comes to an engine, and when, is all up to the test.

// Each test file uses its own part of it.
#![allow(dead_code)]

use bytes::Bytes;
use collective_io::engine::wire::message::{self, Kind, Pull, Vector};
use collective_io::engine::{Config, Engine, Input, LinkId, Now, Output};

/// Some day in 2025.
const WALL_START_MS: u64 = 1_750_000_000_000;
/// More rounds of messages than engines take to get to know one another.
const ROUNDS: usize = 20;

/// Time stands still but for the wall clock's last digits, so nothing happens by itself.
pub fn now(wall_ms: u64) -> Now {
    Now { monotonic_ms: 0, wall_ms: WALL_START_MS + wall_ms }
}

/// Engines that are all linked, and have told one another all they have to.
pub fn linked<const NODES: usize>(config: &Config) -> [Engine; NODES] {
    let mut engines: [Engine; NODES] = std::array::from_fn(|node| {
        let mut engine = Engine::new(config.clone(), [node as u8 + 1; 32], now(0));
        engine.handle_timeout(now(0));
        for peer in (0..NODES).filter(|&peer| peer != node) {
            engine.handle_input(now(0), Input::Opened { link: link(node, peer), dialled: None });
        }
        engine
    });
    for _ in 0..ROUNDS {
        for node in 0..NODES {
            for (over, message) in sent(&mut engines[node], now(0)) {
                let mut peers = (0..NODES).filter(|&peer| peer != node);
                let peer = peers.find(|&peer| link(node, peer) == over).expect("it has that link");
                engines[peer].handle_input(now(0), Input::Received { link: over, message });
            }
        }
    }
    assert!(engines.iter().all(|engine| engine.peers().len() == NODES - 1));
    engines
}

/// The link between two nodes.
pub fn link(a: usize, b: usize) -> LinkId {
    LinkId((a.min(b) << 8 | a.max(b)) as u64)
}

pub fn is(message: &Bytes, kind: Kind) -> bool {
    Kind::of(message) == Some(kind)
}

/// The messages that an engine sends; each has left its memory at once.
pub fn sent(engine: &mut Engine, now: Now) -> Vec<(LinkId, Bytes)> {
    let mut messages = Vec::new();
    while let Some(output) = engine.poll_output(now) {
        if let Output::Send { link, frames } = output {
            engine.handle_input(now, Input::Drained { link, bytes: frames.len() });
            messages.push((link, frames.slice(4..)));
        }
    }
    messages
}

/// Gives an engine a message, and takes those that it sends then.
pub fn receive(
    engine: &mut Engine,
    now: Now,
    link: LinkId,
    message: Bytes,
) -> Vec<(LinkId, Bytes)> {
    engine.handle_input(now, Input::Received { link, message });
    sent(engine, now)
}

/// Whether it merges what a feed has brought.
pub fn merges(engine: &Engine) -> bool {
    engine.poll_timeout() == Some(0)
}

/// One engine asks the other for what it has, and gets it. `instead_of`: the donor is told that the
/// asker covers no more than this. Merging is left to the asker's timeouts, but for the first step.
pub fn feed(
    donor: &mut Engine,
    asker: &mut Engine,
    now: Now,
    link: LinkId,
    instead_of: Option<Vector>,
) {
    let behind = message::encode_empty(Kind::Behind).slice(4..);
    let asked = receive(asker, now, link, behind);
    let pull = asked.into_iter().find(|(over, message)| *over == link && is(message, Kind::Pull));
    let (_, mut pull) = pull.expect("it asks who says that it is behind");
    if let Some(vector) = instead_of {
        let Pull { id, .. } = message::decode(&pull).expect("it is sound");
        pull = message::encode(Kind::Pull, &Pull { id, vector }).slice(4..);
    }
    for (over, message) in receive(donor, now, link, pull) {
        if over == link {
            receive(asker, now, link, message);
        }
    }
}
