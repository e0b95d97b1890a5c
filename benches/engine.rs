//! What the engine costs by itself: no socket, no lock, no JavaScript.
//!
//! `cargo bench --bench engine -- --quick`

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{self, Item as WriteItem, Kind, WritesHead};
use collective_io::engine::{
    Ask, Config, Engine, Input, Item, LinkId, Now, Offer, Output, To, Write,
};
use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};

const KEYS: usize = 10_000;
const BATCH: usize = 1_000;
/// 100 bytes.
const OBJECT: &str = r#"{"id":12345,"name":"somebody somewhere","email":"somebody@example.org","tags":["a","b"],"ok":true}  "#;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = local_writes, reads, remote_writes, feeds, jobs, codec
}
criterion_main!(benches);

fn local_writes(c: &mut Criterion) {
    let keys = keys();
    let mut group = c.benchmark_group("local");
    group.throughput(Throughput::Elements(1));
    let mut at = (0..KEYS).cycle();
    let mut node = Node::new(1);
    group.bench_function("SET of a scalar, alone", |b| {
        b.iter(|| node.set(&keys[at.next().unwrap()], "12345"));
    });
    // With a peer every write is encoded too.
    let (mut node, _peer) = linked();
    group.bench_function("SET of a scalar, one peer", |b| {
        b.iter(|| node.set(&keys[at.next().unwrap()], "12345"));
    });
    group.bench_function("SET of an object of 100 bytes, one peer", |b| {
        b.iter(|| node.set(&keys[at.next().unwrap()], OBJECT.trim_end()));
    });
    let keys: Vec<String> = keys.iter().map(|key| format!("n{key}")).collect();
    group.bench_function("INCREMENT, one peer", |b| {
        b.iter(|| node.increment(&keys[at.next().unwrap()]));
    });
    group.finish();
}

fn reads(c: &mut Criterion) {
    let keys = keys();
    let mut node = Node::new(1);
    for key in &keys {
        node.set(key, "12345");
    }
    let mut at = (0..KEYS).cycle();
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(1));
    group.bench_function("a leaf", |b| {
        b.iter(|| black_box(node.engine.read(&path(&keys[at.next().unwrap()]))));
    });
    // One SET of an object with all keys, and one write below it that takes it apart.
    let mut node = Node::new(1);
    let members: Vec<String> = (0..KEYS).map(|n| format!("\"k{n}\":{n}")).collect();
    node.set("all", &format!("{{{}}}", members.join(",")));
    group.bench_function("a member of a whole object of 10,000", |b| {
        b.iter(|| black_box(node.engine.read(&["all", "k5000"])));
    });
    node.set("all.more", "1");
    group.bench_function("a member of a split object of 10,000", |b| {
        b.iter(|| black_box(node.engine.read(&["all", "k5000"])));
    });
    group.bench_function("SET of a member of a split object of 10,000", |b| {
        b.iter(|| node.set("all.k5000", "7"));
    });
    group.finish();
}

fn remote_writes(c: &mut Criterion) {
    let keys = keys();
    let mut group = c.benchmark_group("remote");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("encode a batch of 1,000 and apply it", |b| {
        let (mut from, mut to) = linked();
        let mut at = (0..KEYS).cycle();
        b.iter(|| {
            for _ in 0..BATCH {
                from.set(&keys[at.next().unwrap()], "12345");
            }
            let messages = from.messages();
            to.receive(messages);
        });
        assert!(to.engine.stats().writes_remote > 0);
    });
    group.finish();
}

fn feeds(c: &mut Criterion) {
    let keys = keys();
    let mut group = c.benchmark_group("feed");
    group.throughput(Throughput::Elements(KEYS as u64));
    let donor = || {
        let mut donor = Node::new(1);
        for key in &keys {
            donor.set(key, "12345");
        }
        donor
    };
    group.bench_function("10,000 paths made, sent and merged", |b| {
        // Both ends are used up.
        b.iter_batched(
            || (donor(), Node::new(2)),
            |(mut donor, mut asker)| {
                link(&mut donor, &mut asker);
                while asker.engine.poll_timeout() == Some(0) {
                    asker.engine.handle_timeout(asker.now);
                }
                assert_eq!(asker.engine.context(), donor.engine.context());
                (donor, asker)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn codec(c: &mut Criterion) {
    let (mut from, _to) = linked();
    for key in keys().iter().take(BATCH) {
        from.set(key, OBJECT.trim_end());
    }
    let messages: Vec<Bytes> =
        from.messages().into_iter().filter(|m| Kind::of(m) == Some(Kind::Writes)).collect();
    let bytes: usize = messages.iter().map(|message| message.len()).sum();
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("decode 1,000 writes", |b| {
        b.iter(|| messages.iter().map(|message| decode(message).1.len()).sum::<usize>());
    });
    let decoded: Vec<(WritesHead, Vec<WriteItem<'_>>)> =
        messages.iter().map(|m| decode(m)).collect();
    group.bench_function("encode 1,000 writes", |b| {
        b.iter(|| {
            for (head, items) in &decoded {
                let mut bytes = message::begin(Kind::Writes);
                message::append(&mut bytes, head);
                items.iter().for_each(|item| message::append(&mut bytes, item));
                black_box(message::finish(&bytes));
            }
        });
    });
    group.finish();
}

fn jobs(c: &mut Criterion) {
    let (mut a, mut b) = linked();
    for node in [&mut a, &mut b] {
        node.engine.offer(Offer::Worker, "w");
    }
    let mut items = Vec::new();
    let mut group = c.benchmark_group("jobs");
    group.throughput(Throughput::Elements(1));
    group.bench_function("both sides of one, with one peer", |bencher| {
        bencher.iter(|| {
            let ask = Ask {
                offer: Offer::Worker,
                name: "w",
                args: "[1000]",
                to: To::Others,
                timeout_ms: 60_000,
                trace: "",
            };
            a.engine.ask(a.now, ask).unwrap();
            b.receive(a.messages());
            b.engine.take_items(b.now, 10, &mut items);
            for item in items.drain(..) {
                if let Item::Run { run, .. } = item {
                    b.engine.answer(run, Ok("417"));
                }
            }
            a.receive(b.messages());
            a.engine.take_items(a.now, 10, &mut items);
            assert_eq!(items.len(), 2);
            items.clear();
        });
    });
    group.finish();
}

fn decode(message: &[u8]) -> (WritesHead, Vec<WriteItem<'_>>) {
    let (head, mut rest) = message::decode_head(message).unwrap();
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, after) = message::decode_item(rest).unwrap();
        items.push(item);
        rest = after;
    }
    (head, items)
}

// ---- nodes

const LINK: LinkId = LinkId(1);

struct Node {
    engine: Engine,
    now: Now,
    decoder: FrameDecoder,
}

impl Node {
    fn new(seed: u8) -> Self {
        let now = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
        let config = Config::default();
        let decoder = FrameDecoder::new(config.message_bytes_max());
        Node { engine: Engine::new(config, [seed; 32], now), now, decoder }
    }

    fn set(&mut self, key: &str, json: &str) {
        self.engine.write(self.now, Write::Set { path: &path(key), json }).unwrap();
        self.throw_away();
    }

    fn increment(&mut self, key: &str) {
        self.engine.write(self.now, Write::Increment { path: &path(key), by: 1.0 }).unwrap();
        self.throw_away();
    }

    /// Keeps what is to be sent from growing in long runs, at the cost of one message in many.
    fn throw_away(&mut self) {
        let own = self.engine.stats().writes_local;
        if own.is_multiple_of(BATCH as u64 * 10) {
            self.messages();
        }
    }

    /// What it wants sent. It counts as sent.
    fn messages(&mut self) -> Vec<Bytes> {
        let mut messages = Vec::new();
        while let Some(output) = self.engine.poll_output(self.now) {
            let Output::Send { link, frames } = output else { continue };
            self.decoder.buffer().extend_from_slice(&frames);
            messages.extend(self.decoder.next_message().unwrap());
            let drained = Input::Drained { link, bytes: frames.len() };
            self.engine.handle_input(self.now, drained);
        }
        messages
    }

    fn receive(&mut self, messages: Vec<Bytes>) {
        for message in messages {
            self.engine.handle_input(self.now, Input::Received { link: LINK, message });
        }
    }
}

fn linked() -> (Node, Node) {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    link(&mut a, &mut b);
    (a, b)
}

/// Links two nodes and carries messages until there are none.
fn link(a: &mut Node, b: &mut Node) {
    for node in [&mut *a, &mut *b] {
        node.engine.handle_input(node.now, Input::Opened { link: LINK, dialled: None });
    }
    loop {
        let (from_a, from_b) = (a.messages(), b.messages());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        b.receive(from_a);
        a.receive(from_b);
    }
}

fn keys() -> Vec<String> {
    (0..KEYS).map(|n| format!("users.u{n}")).collect()
}

fn path(key: &str) -> Vec<&str> {
    key.split('.').collect()
}
