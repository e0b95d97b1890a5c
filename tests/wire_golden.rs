//! The bytes of every message, as `docs/protocol.md` has them: a change here is another protocol.
//! And whatever a peer sends instead, the engine lives.

use std::fmt::Debug;

use bytes::Bytes;
use collective_io::engine::document::amount::Amount;
use collective_io::engine::document::things::{Body, Cut, Mark, Part, Run, Value};
use collective_io::engine::document::{BodyState, Kept, ValueState};
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{
    self, Ack, ActionItem, Addresses, Answer, AnswerItem, Call, Cancel, Confirm, Digest,
    DigestClock, Emit, FeedEnd, FeedHead, FeedItem, Hello, Item, Kind, Piece, PieceEnd, Postpone,
    Presence, ProfileItem, Pull, Resume, Stub, WhoIs, WriteItem, WritesHead,
};
use collective_io::engine::{
    self, Ask, Config, Dot, Engine, Input, JobId, LinkId, NodeId, Now, Offer, Output, Rank,
    ReplicaId, To, Write,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

const US: ReplicaId = ReplicaId(0x1122_3344_5566_7788);
const THEM: ReplicaId = ReplicaId(0xa1a2_a3a4_a5a6_a7a8);
const HLC: u64 = 1_750_000_000_000 << 16;

// ---- encode equals, decode gives back

#[test]
fn a_hello() {
    let hello = hello(US);
    same_bytes(
        Kind::Hello,
        &hello,
        "3d000000 01 434c494f 01 00 88ef99abc5e88c9111 7477656c7665206279746573 \
         0a636f6c6c656374697665 \
         010e3132372e302e302e313a39303030 802040808040",
        &mut Bytes::new(),
    );
}

#[test]
fn a_hello_with_a_profile() {
    let profile = ProfileItem { name: "web-1", tags: vec![("role", "web")], observer: false };
    same_bytes(
        Kind::Hello,
        &(Hello { minor: 1, ..hello(US) }, profile),
        "4e000000 01 434c494f 01 01 88ef99abc5e88c9111 7477656c7665206279746573 \
         0a636f6c6c656374697665 \
         010e3132372e302e302e313a39303030 802040808040 \
         057765622d31 01 04726f6c65 03776562 00",
        &mut Bytes::new(),
    );
}

#[test]
fn a_digest() {
    same_bytes(
        Kind::Digest,
        &digest(),
        "40000000 02 02 88ef99abc5e88c9111 02 a8cf9aadcaf4a8d1a101 03 01 ef9bafcdf8acd19101 \
         01 88ef99abc5e88c9111 01 05 01 a8cf9aadcaf4a8d1a101 01 01 05 dc0b 01 06 00",
        &mut Bytes::new(),
    );
}

#[test]
fn a_digest_with_a_clock() {
    same_bytes(
        Kind::Digest,
        &(digest(), DigestClock { sent_ms: 1000, echo: Some((500, 7)), wall_ms: 300 }),
        "48000000 02 02 88ef99abc5e88c9111 02 a8cf9aadcaf4a8d1a101 03 01 ef9bafcdf8acd19101 \
         01 88ef99abc5e88c9111 01 05 01 a8cf9aadcaf4a8d1a101 01 01 05 dc0b 01 06 00 \
         e807 01 f403 07 ac02",
        &mut Bytes::new(),
    );
}

#[test]
fn confirm_and_confirmed() {
    let fields = Confirm { counter: 300 };
    same_bytes(Kind::Confirm, &fields, "03000000 0f ac02", &mut Bytes::new());
    same_bytes(Kind::Confirmed, &fields, "03000000 10 ac02", &mut Bytes::new());
}

#[test]
fn a_batch_with_a_set_an_increment_and_a_delete() {
    let half = format!("00 8701 {} 02", "00".repeat(134));
    let hex = format!(
        "00010000 03 a8cf9aadcaf4a8d1a101 01 00 \
         01 808080e08d84ddcb01 03 0161 0133 0162 00 07 7b2263223a357d 01 01 04 00 \
         01 818080e08d84ddcb01 01 016e 01 02 {half} 01 01 a8cf9aadcaf4a8d1a101 01 0000000000001640 00 00 \
         01 828080e08d84ddcb01 01 0161 02 00 01 04 61006d00 a8cf9aadcaf4a8d1a101 03 05 01 02 01 00",
    );
    let frames = batch();
    assert_eq!(to_hex(&frames), squeeze(&hex));
    let message = unframe(&frames);
    let (head, mut rest): (WritesHead, &[u8]) = message::decode_head(&message).unwrap();
    assert_eq!(head, writes_head());
    for expected in batch_items() {
        let (item, after): (Item<'_>, &[u8]) = message::decode_item(rest).unwrap();
        assert_eq!(item, expected);
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn an_increment_that_stands_for_others() {
    let mut bytes = Vec::new();
    message::append(&mut bytes, &Item::Before(300));
    assert_eq!(to_hex(&bytes), squeeze("03 ac02"));
    assert_eq!(message::decode_item(&bytes), Ok((Item::Before(300), &[][..])));
}

#[test]
fn a_pull() {
    let pull = Pull { id: 7, vector: vec![(US, 3), (THEM, 300)] };
    let hex = "19000000 04 07 02 88ef99abc5e88c9111 03 a8cf9aadcaf4a8d1a101 ac02";
    same_bytes(Kind::Pull, &pull, hex, &mut Bytes::new());
}

#[test]
fn a_part_of_a_feed() {
    let frames = feed();
    let high = format!("00 8701 {} 0d", "00".repeat(134));
    let hex = format!(
        "76010000 05 01 00 \
         00 00 05 6c69737400 01 a8cf9aadcaf4a8d1a101 01 808080e08d84ddcb01 00 01 02 02 \
         02 a8cf9aadcaf4a8d1a101 02 808080e08d84ddcb01 00 01 03 a8cf9aadcaf4a8d1a101 02 808080e08d84ddcb01 00 00 00 \
         00 05 02 3000 02 a8cf9aadcaf4a8d1a101 01 808080e08d84ddcb01 00 01 00 04 6e756c6c \
         a8cf9aadcaf4a8d1a101 01 808080e08d84ddcb01 00 02 01 00 \
         01 05 808080e08d84ddcb01 00 01 02 06 00 04 {high} 00 00 \
         01 04 6f6c6400 01 02 88ef99abc5e88c9111 01 a8cf9aadcaf4a8d1a101 02 \
         02 07 6c697374003000 a8cf9aadcaf4a8d1a101 03 05 01 02 01 00 \
         03 05 02 3100 02 ca6055ee2f228118 09008b5652431120",
    );
    assert_eq!(to_hex(&frames), squeeze(&hex));
    let message = unframe(&frames);
    let (head, mut rest): (FeedHead, &[u8]) = message::decode_head(&message).unwrap();
    assert_eq!(head, FeedHead { id: 1, number: 0 });
    for expected in feed_items() {
        let (item, after): (FeedItem<'_>, &[u8]) = message::decode_item(rest).unwrap();
        assert_eq!(item, expected);
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn the_end_of_a_feed() {
    let hex = "1e000000 06 01 01 01 01 a8cf9aadcaf4a8d1a101 03 01 09 04 a8cf9aadcaf4a8d1a101 03";
    same_bytes(Kind::FeedEnd, &feed_end(), hex, &mut Bytes::new());
}

#[test]
fn behind_and_goodbye() {
    assert_eq!(to_hex(&message::encode_empty(Kind::Behind)), "0100000007");
    assert_eq!(to_hex(&message::encode_empty(Kind::Goodbye)), "0100000008");
}

#[test]
fn who_is_where() {
    let who_is = WhoIs { replicas: vec![THEM] };
    same_bytes(Kind::WhoIs, &who_is, "0c000000 09 01 a8cf9aadcaf4a8d1a101", &mut Bytes::new());
    let hex = "1b000000 0a 01 a8cf9aadcaf4a8d1a101 0e3132372e302e302e313a39303030";
    same_bytes(Kind::Addresses, &addresses(), hex, &mut Bytes::new());
    assert_eq!(to_hex(&message::encode_empty(Kind::Dismiss)), "010000000b");
}

#[test]
fn presence() {
    let hex = "13000000 0e 01 0e3132372e302e302e313a39303030 c413";
    same_bytes(Kind::Presence, &told_presence(), hex, &mut Bytes::new());
    let silent = Presence { advertised: None, busy_ms: 0 };
    same_bytes(Kind::Presence, &silent, "03000000 0e 00 00", &mut Bytes::new());
}

#[test]
fn what_carries_parcels() {
    let buffer = &mut Bytes::new();
    same_bytes(Kind::Resume, &resume(), "09000000 0c 01 01 02 05 ac02 8010", buffer);
    let ack = Ack { received: 4, cost_taken: 300 };
    same_bytes(Kind::Ack, &ack, "04000000 0d 04 ac02", &mut Bytes::new());
}

#[test]
fn a_call_and_what_is_said_of_it() {
    let hex = "13000000 20 07 00 0672616e646f6d f42e 065b313030305d";
    same_bytes(Kind::Call, &call(), hex, &mut Bytes::new());
    let traced = (call(), "00-a-b-01");
    let hex = "1d000000 20 07 00 0672616e646f6d f42e 065b313030305d 0930302d612d622d3031";
    same_bytes(Kind::Call, &traced, hex, &mut Bytes::new());
    let frames = [message::encode(Kind::Call, &traced), message::encode(Kind::Call, &call())];
    for (frames, trace) in frames.iter().zip(["00-a-b-01", ""]) {
        assert_eq!(message::decode_call(&unframe(frames)), Ok((call(), trace)));
    }
    for (answer, hex) in [
        (AnswerItem::Ok("42"), "06000000 21 07 00 023432"),
        (AnswerItem::Error("{}"), "06000000 21 07 01 027b7d"),
        (AnswerItem::NoWorker, "03000000 21 07 02"),
        (AnswerItem::Timeout, "03000000 21 07 03"),
        (AnswerItem::Busy, "03000000 21 07 04"),
    ] {
        same_bytes(Kind::Answer, &Answer { job: JobId(7), answer }, hex, &mut Bytes::new());
    }
    let cancel = Cancel { job: JobId(7), reason: Some("\"x\"") };
    same_bytes(Kind::Cancel, &cancel, "07000000 22 07 01 03227822", &mut Bytes::new());
    let cancel = Cancel { job: JobId(7), reason: None };
    same_bytes(Kind::Cancel, &cancel, "03000000 22 07 00", &mut Bytes::new());
    let postpone = Postpone { job: JobId(7), remaining_ms: 500 };
    same_bytes(Kind::Postpone, &postpone, "04000000 23 07 f403", &mut Bytes::new());
}

#[test]
fn an_event_and_a_piece() {
    let emit = Emit { name: "note", args: "[1]" };
    same_bytes(Kind::Emit, &emit, "0a000000 24 046e6f7465 035b315d", &mut Bytes::new());
    for (end, hex) in [(PieceEnd::More, "00"), (PieceEnd::Last, "01"), (PieceEnd::Dropped, "02")] {
        let piece = Piece { end, bytes: b"abc" };
        let hex = format!("06000000 25 {hex} 03616263");
        same_bytes(Kind::Piece, &piece, &hex, &mut Bytes::new());
    }
}

#[test]
fn a_parcel_of_a_kind_that_a_higher_minor_version_knows_is_counted() {
    let mut victim = Victim::new();
    for message in [unframe(&message::encode(Kind::Resume, &resume())), vec![63, 1, 2].into()] {
        victim.receive(&message);
    }
    victim.receive(&unframe(&message::encode(Kind::Ack, &Ack { received: 0, cost_taken: 0 })));
    victim.receive(&unframe(&message::encode(Kind::Call, &call())));
    assert!(victim.is_linked());
    assert_eq!(victim.acked(), Some(6), "the gap, the unknown parcel and the call");
}

#[test]
fn what_a_higher_minor_version_adds_is_skipped() {
    let profile = ProfileItem::default();
    let mut message = unframe(&message::encode(Kind::Hello, &(hello(THEM), profile))).to_vec();
    message.extend(b"more");
    assert_eq!(message::decode::<Hello<'_>>(&message).unwrap(), hello(THEM));
    let mut victim = Victim::stranger();
    victim.receive(&message);
    assert!(victim.is_linked());
    victim.receive(&[31, 1, 2, 3]);
    assert!(victim.is_linked());
}

#[test]
fn a_profile_may_be_left_out_but_not_be_junk() {
    let bytes = unframe(&message::encode(Kind::Hello, &hello(THEM)));
    let mut victim = Victim::stranger();
    victim.receive(&bytes);
    assert!(victim.is_linked());
    let mut victim = Victim::stranger();
    victim.receive(&[&bytes[..], &[5, b'w']].concat());
    assert!(!victim.is_linked());
}

// ---- junk

#[test]
fn every_message_is_taken_whole() {
    for message in messages() {
        let mut victim = Victim::new();
        victim.receive(&message);
        let stays = !matches!(Kind::of(&message), Some(Kind::Goodbye | Kind::Dismiss));
        assert_eq!(victim.is_linked(), stays, "{message:?}");
        victim.check_alive();
    }
}

#[test]
fn no_truncation_kills_an_engine() {
    for message in messages() {
        for length in 0..message.len() {
            let mut victim = Victim::new();
            victim.receive(&message[..length]);
            victim.check_alive();
        }
    }
}

#[test]
fn no_flipped_bit_kills_an_engine() {
    for message in messages() {
        for bit in 0..message.len() * 8 {
            let mut flipped = message.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut victim = Victim::new();
            victim.receive(&flipped);
            victim.check_alive();
        }
    }
}

#[test]
fn nothing_but_a_hello_is_taken_first() {
    for message in messages().iter().filter(|message| Kind::of(message) != Some(Kind::Hello)) {
        let mut victim = Victim::stranger();
        victim.receive(message);
        assert!(!victim.is_linked());
        victim.check_alive();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_junk_kills_an_engine(
        kind in prop_oneof![0u8..16, 30u8..40],
        junk in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..60),
        introduced in any::<bool>(),
    ) {
        let mut victim = if introduced { Victim::new() } else { Victim::stranger() };
        victim.receive(&[&[kind], &junk[..]].concat());
        victim.check_alive();
    }

    /// Bytes of sound messages, cut and joined anew.
    #[test]
    fn no_mixture_kills_an_engine(
        pieces in proptest::collection::vec((0usize..20, 0usize..400, 1usize..60), 1..5),
        start in 0usize..20,
        length in 1usize..60,
    ) {
        let messages = messages();
        let mut mixed = messages[start][..length.min(messages[start].len())].to_vec();
        for (from, at, length) in pieces {
            let from = &messages[from];
            let at = at % from.len();
            mixed.extend(&from[at..(at + length).min(from.len())]);
        }
        let mut victim = Victim::new();
        victim.receive(&mixed);
        victim.receive(&unframe(&message::encode(Kind::FeedEnd, &feed_end())));
        victim.check_alive();
    }
}

// ---- messages

fn hello(replica: ReplicaId) -> Hello<'static> {
    Hello {
        magic: message::MAGIC,
        major: 1,
        minor: 0,
        replica,
        node: NodeId(*b"twelve bytes"),
        cluster: "collective",
        advertised: Some("127.0.0.1:9000"),
        limits: (4096, 64, 1 << 20),
    }
}

fn digest() -> Digest {
    Digest {
        vector: vec![(US, 2), (THEM, 3)],
        hash: Some(0x0123_4567_89ab_cdef),
        links: vec![US],
        rows: vec![(ReplicaId(5), vec![(THEM, 1)])],
        beats: vec![(ReplicaId(5), 1500)],
        dead: vec![ReplicaId(6)],
        forgotten: Vec::new(),
    }
}

fn writes_head() -> WritesHead {
    WritesHead { origin: THEM, first: 1, seen: Vec::new() }
}

fn batch_items() -> Vec<Item<'static>> {
    let write = |hlc, path: &[&'static str], action| WriteItem {
        hlc,
        path: path.to_vec(),
        action,
        arrays: Vec::new(),
        cuts: Vec::new(),
    };
    let run = Some(Run { base: Some(Dot::new(THEM, 1)), value: 5.5 });
    let half = Amount::from_f64(0.5);
    vec![
        Item::Write(WriteItem {
            arrays: vec![(1, 4)],
            ..write(HLC, &["a", "3", "b"], ActionItem::Set(r#"{"c":5}"#))
        }),
        Item::Write(write(HLC + 1, &["n"], ActionItem::Increment { epoch: 2, total: half, run })),
        Item::Write(WriteItem {
            cuts: vec![(b"a\0m\0", cut())],
            ..write(HLC + 2, &["a"], ActionItem::Delete)
        }),
    ]
}

fn batch() -> Bytes {
    let mut bytes = message::begin(Kind::Writes);
    message::append(&mut bytes, &writes_head());
    for item in batch_items() {
        message::append(&mut bytes, &item);
    }
    message::finish(&bytes)
}

fn cut() -> Cut {
    Cut {
        by: Dot::new(THEM, 3),
        replica: ReplicaId(5),
        epoch: 1,
        counter: 2,
        total: Amount::Whole(-1),
    }
}

fn feed_items() -> Vec<FeedItem<'static>> {
    let value =
        |at, body| ValueState { dot: Dot::new(THEM, 1), hlc: HLC, rank: Rank::OWN, at, body };
    let part = Part {
        replica: ReplicaId(5),
        hlc: HLC,
        rank: Rank::OWN,
        epoch: 1,
        low: 2,
        low_total: Amount::Whole(3),
        high: 4,
        high_total: Amount::from_f64(3.25),
        run: None,
        settled: false,
    };
    let scalar = Value::new(Dot::new(THEM, 1), HLC, 1, Body::from_json("null"));
    let mark = |length| Mark { dot: Dot::new(THEM, 2), hlc: HLC, rank: Rank::OWN, length };
    vec![
        FeedItem::State {
            shared: 0,
            key: b"list\0",
            values: vec![value(1, BodyState::Array(2))],
            marks: vec![mark(Some(3)), mark(None)],
            parts: Vec::new(),
        },
        FeedItem::State {
            shared: 5,
            key: b"0\0",
            values: vec![value(1, BodyState::Text("null")), value(2, BodyState::Object)],
            marks: Vec::new(),
            parts: vec![part],
        },
        FeedItem::Removal { key: b"old\0", below: true, seen: vec![(US, 1), (THEM, 2)] },
        FeedItem::Cut { key: b"list\x000\0", cut: cut() },
        FeedItem::Kept {
            shared: 5,
            key: b"1\0",
            kept: Kept { things: vec![scalar.fingerprint(), mark(None).fingerprint()] },
        },
    ]
}

fn feed() -> Bytes {
    let mut bytes = message::begin(Kind::Feed);
    message::append(&mut bytes, &FeedHead { id: 1, number: 0 });
    for item in feed_items() {
        message::append(&mut bytes, &item);
    }
    message::finish(&bytes)
}

fn feed_end() -> FeedEnd {
    let forgotten = vec![Stub { replica: ReplicaId(9), counter: 4, into: Dot::new(THEM, 3) }];
    FeedEnd { id: 1, parts: 1, full: true, vector: vec![(THEM, 3)], forgotten }
}

fn addresses() -> Addresses<'static> {
    Addresses { known: vec![(THEM, "127.0.0.1:9000")] }
}

fn told_presence() -> Presence<'static> {
    Presence { advertised: Some("127.0.0.1:9000"), busy_ms: 2500 }
}

fn resume() -> Resume {
    Resume { losses: 1, when_lost: Some(2), next: 5, cost_before: 300, window: 2048 }
}

fn call() -> Call<'static> {
    Call { job: JobId(7), offer: Offer::Worker, name: "random", remaining_ms: 6004, args: "[1000]" }
}

/// One of each kind.
fn messages() -> Vec<Bytes> {
    let pull = Pull { id: 7, vector: vec![(US, 3), (THEM, 300)] };
    let frames = [
        message::encode(Kind::Hello, &hello(THEM)),
        message::encode(Kind::Digest, &digest()),
        batch(),
        message::encode(Kind::Pull, &pull),
        feed(),
        message::encode(Kind::FeedEnd, &feed_end()),
        message::encode_empty(Kind::Behind),
        message::encode_empty(Kind::Goodbye),
        message::encode(Kind::WhoIs, &WhoIs { replicas: vec![US, THEM] }),
        message::encode(Kind::Addresses, &addresses()),
        message::encode_empty(Kind::Dismiss),
        message::encode(Kind::Presence, &told_presence()),
        message::encode(Kind::Resume, &resume()),
        message::encode(Kind::Ack, &Ack { received: 0, cost_taken: 0 }),
        message::encode(Kind::Call, &(call(), "00-a-b-01")),
        message::encode(Kind::Answer, &Answer { job: JobId(1), answer: AnswerItem::Ok("[]") }),
        message::encode(Kind::Cancel, &Cancel { job: JobId(1), reason: Some("{}") }),
        message::encode(Kind::Postpone, &Postpone { job: JobId(1), remaining_ms: 5 }),
        message::encode(Kind::Emit, &Emit { name: "note", args: "[]" }),
        message::encode(Kind::Piece, &Piece { end: PieceEnd::Last, bytes: b"\x24\x01a\x02[]" }),
    ];
    frames.iter().map(|frames| unframe(frames)).collect()
}

// ---- helpers

/// An engine that holds a little, has a peer, and has asked it for a feed (with id 1).
struct Victim {
    engine: Engine,
    now: Now,
}

const LINK: LinkId = LinkId(1);

impl Victim {
    fn new() -> Self {
        let mut victim = Self::stranger();
        victim.receive(&unframe(&message::encode(Kind::Hello, &hello(THEM))));
        let digest = Digest { vector: vec![(THEM, 3)], ..Digest::default() };
        victim.receive(&unframe(&message::encode(Kind::Digest, &digest)));
        assert_eq!(victim.engine.stats().pulls, 1);
        victim.receive(&unframe(&message::encode(Kind::Resume, &Resume { next: 1, ..resume() })));
        victim
    }

    /// The number of the last parcel that the engine says it has received.
    fn acked(&mut self) -> Option<u64> {
        self.now.monotonic_ms += 2000;
        self.engine.handle_timeout(self.now);
        let mut acked = None;
        while let Some(output) = self.engine.poll_output(self.now) {
            let Output::Send { frames, .. } = output else { continue };
            let message = unframe(&frames);
            if Kind::of(&message) == Some(Kind::Ack) {
                acked = message::decode::<Ack>(&message).ok().map(|ack| ack.received);
            }
        }
        acked
    }

    /// The peer has not said hello yet.
    fn stranger() -> Self {
        let now = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
        let mut victim = Victim { engine: Engine::new(Config::default(), [1; 32], now), now };
        victim.engine.handle_timeout(now);
        for path in [&["list"][..], &["list", "0", "x"], &["old", "x"], &["a", "m"]] {
            let path = path.iter().filter(|name| **name != "0").copied().collect::<Vec<_>>();
            victim.engine.write(now, Write::Set { path: &path, json: r#"{"y":[1]}"# }).unwrap();
        }
        victim.engine.write(now, Write::Increment { path: &["n"], by: 1.0 }).unwrap();
        victim.engine.offer(Offer::Worker, "random");
        victim.engine.offer(Offer::Event, "note");
        victim.engine.handle_input(now, Input::Opened { link: LINK, dialled: None });
        victim.drain();
        victim
    }

    fn receive(&mut self, message: &[u8]) {
        let message = Bytes::copy_from_slice(message);
        self.engine.handle_input(self.now, Input::Received { link: LINK, message });
        self.drain();
    }

    fn is_linked(&self) -> bool {
        !self.engine.peers().is_empty()
    }

    /// It goes on: timers, reads, writes of all kinds, in places that a peer may have touched.
    fn check_alive(&mut self) {
        for _ in 0..5 {
            self.now.monotonic_ms += 400;
            self.now.wall_ms += 400;
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        for path in [&["a"][..], &["list", "0"], &["n"], &["old"]] {
            let _ = self.engine.write(self.now, Write::Increment { path, by: 1.0 });
            self.engine.write(self.now, Write::Set { path, json: "[1]" }).ok();
            let inner = [path, &["1"]].concat();
            self.engine.write(self.now, Write::Set { path: &inner, json: "2" }).ok();
            self.engine.write(self.now, Write::Delete { path }).unwrap();
        }
        assert!(self.engine.read(&[]).is_some());
        let ask = Ask {
            offer: Offer::Worker,
            name: "random",
            args: "[]",
            to: To::All,
            timeout_ms: 9,
            trace: "",
        };
        self.engine.ask(self.now, ask).unwrap();
        let mut items = Vec::new();
        while self.engine.take_items(self.now, 5, &mut items) {}
        for item in items {
            if let engine::Item::Run { run, .. } = item {
                self.engine.answer(run, Ok("1"));
            }
        }
        self.engine.hash();
        self.drain();
    }

    fn drain(&mut self) {
        while self.engine.poll_output(self.now).is_some() {}
    }
}

#[track_caller]
fn same_bytes<'a, T>(kind: Kind, fields: &T, hex: &str, buffer: &'a mut Bytes)
where
    T: Serialize + Deserialize<'a> + PartialEq + Debug,
{
    let frames = message::encode(kind, fields);
    assert_eq!(to_hex(&frames), squeeze(hex));
    *buffer = unframe(&frames);
    assert_eq!(Kind::of(buffer), Some(kind));
    assert_eq!(message::decode::<T>(buffer).as_ref(), Ok(fields));
}

fn unframe(frames: &[u8]) -> Bytes {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.buffer().extend_from_slice(frames);
    decoder.next_message().unwrap().unwrap()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn squeeze(hex: &str) -> String {
    hex.split_whitespace().collect()
}
