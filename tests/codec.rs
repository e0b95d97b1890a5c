//! Every message reads back as it was written, and what a higher minor version adds to its end is
//! skipped. What the bytes are is in `wire_golden.rs`.

use bytes::{Bytes, BytesMut};
use collective_io::engine::document::amount::Amount;
use collective_io::engine::document::things::{Cut, Fingerprint, Mark, Part, Run};
use collective_io::engine::document::{BodyState, Kept, ValueState};
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{
    self, Ack, ActionItem, Addresses, Answer, AnswerItem, Call, Cancel, Confirm, Digest,
    DigestClock, Emit, FeedEnd, FeedHead, FeedItem, Hello, Item, Kind, Piece, PieceEnd, Postpone,
    Presence, ProfileItem, Pull, Resume, Stub, Vector, WhoIs, WriteItem, WritesHead,
};
use collective_io::engine::{Dot, JobId, NodeId, Offer, Rank, ReplicaId};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Numbers of every length that they take on the wire.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    any::<u64>().prop_map(ReplicaId)
}

fn dot() -> impl Strategy<Value = Dot> {
    (replica(), number()).prop_map(|(replica, counter)| Dot::new(replica, counter))
}

fn rank() -> impl Strategy<Value = Rank> {
    prop_oneof![Just(Rank::OWN), replica().prop_map(Rank::of)]
}

fn vector() -> impl Strategy<Value = Vector> {
    vec((replica(), number()), 0..4)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,12}", "[\0-\u{7f}\u{80}-\u{10ffff}]{0,4}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn amount() -> impl Strategy<Value = Amount> {
    let double = || prop_oneof![any::<f64>(), (-1000i32..1000).prop_map(|n| f64::from(n) / 8.0)];
    (double(), double())
        .prop_filter("finite", |(x, y)| x.is_finite() && y.is_finite())
        .prop_map(|(x, y)| Amount::from_f64(x).plus(&Amount::from_f64(y)))
}

fn run() -> impl Strategy<Value = Option<Run>> {
    let value = any::<f64>().prop_filter("equal to itself", |value| !value.is_nan());
    of((of(dot()), value).prop_map(|(base, value)| Run { base, value }))
}

fn cut() -> impl Strategy<Value = Cut> {
    (dot(), replica(), number(), number(), amount())
        .prop_map(|(by, replica, epoch, counter, total)| Cut { by, replica, epoch, counter, total })
}

fn mark() -> impl Strategy<Value = Mark> {
    (dot(), number(), rank(), of(any::<u32>())).prop_map(|(dot, hlc, rank, length)| Mark {
        dot,
        hlc,
        rank,
        length,
    })
}

fn part() -> impl Strategy<Value = Part> {
    let ends = (number(), amount(), number(), amount());
    (replica(), number(), rank(), number(), ends, run(), any::<bool>()).prop_map(
        |(replica, hlc, rank, epoch, (low, low_total, high, high_total), run, settled)| Part {
            replica,
            hlc,
            rank,
            epoch,
            low,
            low_total,
            high,
            high_total,
            run,
            settled,
        },
    )
}

fn stub() -> impl Strategy<Value = Stub> {
    (replica(), number(), dot()).prop_map(|(replica, counter, into)| Stub {
        replica,
        counter,
        into,
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    prop_oneof![Just(Offer::Worker), Just(Offer::Function), Just(Offer::Event)]
}

/// The message that comes out of the frames made of it, fed to the decoder in two pieces.
fn carried(frames: &Bytes) -> Bytes {
    let mut decoder = FrameDecoder::new(1 << 20);
    let (first, second) = frames.split_at(frames.len() / 2);
    decoder.buffer().extend_from_slice(first);
    assert_eq!(decoder.next_message().unwrap(), None);
    decoder.buffer().extend_from_slice(second);
    let message = decoder.next_message().unwrap().unwrap();
    assert!(decoder.buffer().is_empty());
    message
}

macro_rules! reads_back {
    ($kind:expr, $type:ty, $fields:expr, $more:expr) => {{
        let fields: $type = $fields;
        let mut message = message::begin($kind);
        message::append(&mut message, &fields);
        let frames = message::finish(&message);
        prop_assert_eq!(&frames, &message::encode($kind, &fields));
        let carried = carried(&frames);
        prop_assert_eq!(&carried, &message);
        prop_assert_eq!(Kind::of(&carried), Some($kind));
        prop_assert_eq!(message::decode::<$type>(&carried), Ok(fields.clone()));
        message.extend_from_slice($more);
        prop_assert_eq!(message::decode::<$type>(&message), Ok(fields));
    }};
}

/// Who knows what was added reads it, and nothing where there is nothing.
macro_rules! more_reads_back {
    ($kind:expr, $type:ty, $fields:expr, $more_type:ty, $more:expr, $still_more:expr) => {{
        let (fields, more): ($type, $more_type) = ($fields, $more);
        let message = with_more($kind, &fields, &more, $still_more);
        let (read, rest) = message::decode_head::<$type>(&message).unwrap();
        prop_assert_eq!(read, fields);
        prop_assert_eq!(message::decode_more::<$more_type>(rest), Ok(more));
        prop_assert_eq!(message::decode_more::<$more_type>(&[]), Ok(Default::default()));
    }};
}

/// A head with items after it, up to the end of the message.
fn items_read_back<'a, Head, Item>(
    message: &'a [u8],
    head: &Head,
    items: &[Item],
) -> Result<(), TestCaseError>
where
    Head: Deserialize<'a> + PartialEq + std::fmt::Debug,
    Item: Deserialize<'a> + PartialEq + std::fmt::Debug,
{
    let (read, mut rest) = message::decode_head::<Head>(message).unwrap();
    prop_assert_eq!(&read, head);
    for item in items {
        let (read, after) = message::decode_item::<Item>(rest).unwrap();
        prop_assert_eq!(&read, item);
        rest = after;
    }
    prop_assert!(rest.is_empty());
    Ok(())
}

fn with_items<Head: Serialize, Item: Serialize>(kind: Kind, head: &Head, items: &[Item]) -> Bytes {
    let mut message = message::begin(kind);
    message::append(&mut message, head);
    items.iter().for_each(|item| message::append(&mut message, item));
    let mut frames = BytesMut::new();
    collective_io::engine::wire::frame::encode(&message, &mut frames);
    carried(&frames.freeze())
}

/// Fields with what a minor version has added, and with what a higher one may add.
fn with_more<Fields: Serialize, More: Serialize>(
    kind: Kind,
    fields: &Fields,
    more: &More,
    still_more: &[u8],
) -> Vec<u8> {
    let mut message = message::begin(kind);
    message::append(&mut message, fields);
    message::append(&mut message, more);
    message.extend_from_slice(still_more);
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_peers_say_of_themselves(
        (magic, major, minor) in (any::<[u8; 4]>(), any::<u16>(), any::<u16>()),
        (replica, node, cluster) in (replica(), any::<[u8; 12]>(), text()),
        (advertised, limits) in (of(text()), (number(), number(), number())),
        (known, busy_ms) in (vec((self::replica(), text()), 0..4), number()),
        (name, tags, observer) in (text(), vec((text(), text()), 0..3), any::<bool>()),
        more in bytes(),
    ) {
        let advertised = advertised.as_deref();
        let node = NodeId(node);
        let hello = Hello { magic, major, minor, replica, node, cluster: &cluster, advertised, limits };
        reads_back!(Kind::Hello, Hello<'_>, hello.clone(), &more);
        let tags = tags.iter().map(|(name, value)| (&**name, &**value)).collect();
        let profile = ProfileItem { name: &name, tags, observer };
        more_reads_back!(Kind::Hello, Hello<'_>, hello, ProfileItem<'_>, profile, &more);
        reads_back!(Kind::Presence, Presence<'_>, Presence { advertised, busy_ms }, &more);
        let replicas = known.iter().map(|(replica, _)| *replica).collect();
        reads_back!(Kind::WhoIs, WhoIs, WhoIs { replicas }, &more);
        let known = known.iter().map(|(replica, address)| (*replica, &**address)).collect();
        reads_back!(Kind::Addresses, Addresses<'_>, Addresses { known }, &more);
    }

    #[test]
    fn digests_pulls_and_ends(
        (vector, hash, links) in (vector(), of(any::<u64>()), vec(replica(), 0..4)),
        (rows, beats) in (vec((replica(), self::vector()), 0..3), vec((replica(), number()), 0..3)),
        (dead, forgotten) in (vec(replica(), 0..3), vec(stub(), 0..3)),
        (id, parts, full) in (any::<u32>(), any::<u32>(), any::<bool>()),
        (sent_ms, echo, wall_ms) in (number(), of((number(), number())), number()),
        more in bytes(),
    ) {
        let pull = Pull { id, vector: vector.clone() };
        let end = FeedEnd { id, parts, full, vector: vector.clone(), forgotten: forgotten.clone() };
        let digest = Digest { vector, hash, links, rows, beats, dead, forgotten };
        reads_back!(Kind::Digest, Digest, digest.clone(), &more);
        let clock = DigestClock { sent_ms, echo, wall_ms };
        more_reads_back!(Kind::Digest, Digest, digest, DigestClock, clock, &more);
        reads_back!(Kind::Confirm, Confirm, Confirm { counter: sent_ms }, &more);
        reads_back!(Kind::Confirmed, Confirm, Confirm { counter: sent_ms }, &more);
        reads_back!(Kind::Pull, Pull, pull, &more);
        reads_back!(Kind::FeedEnd, FeedEnd, end, &more);
    }

    #[test]
    fn batches_of_writes(
        (origin, first, seen) in (replica(), number(), vector()),
        grown in vector(),
        (hlc, path, json) in (number(), vec(text(), 0..4), text()),
        (arrays, cuts) in (vec(any::<(u8, u32)>(), 0..3), vec((bytes(), cut()), 0..3)),
        (epoch, total, run) in (number(), amount(), run()),
        fold in stub(),
    ) {
        let write = |action| {
            Item::Write(WriteItem {
                hlc,
                path: path.iter().map(|segment| &**segment).collect(),
                action,
                arrays: arrays.clone(),
                cuts: cuts.iter().map(|(key, cut)| (&**key, cut.clone())).collect(),
            })
        };
        let Stub { replica, counter, .. } = fold;
        let items = [
            write(ActionItem::Set(&json)),
            Item::Seen(grown),
            Item::Before(counter),
            write(ActionItem::Increment { epoch, total, run }),
            Item::Fold { replica, counter },
            write(ActionItem::Delete),
        ];
        let head = WritesHead { origin, first, seen };
        items_read_back(&with_items(Kind::Writes, &head, &items), &head, &items)?;
    }

    #[test]
    fn parts_of_feeds(
        (id, number, shared) in (any::<u32>(), any::<u32>(), any::<u16>()),
        (key, dot, hlc, rank, at) in (bytes(), dot(), number(), rank(), any::<u8>()),
        (json, length) in (text(), any::<u32>()),
        (marks, parts) in (vec(mark(), 0..3), vec(part(), 0..3)),
        (below, seen, cut) in (any::<bool>(), vector(), cut()),
        things in vec(any::<[u8; 8]>().prop_map(Fingerprint), 0..3),
    ) {
        let bodies = [BodyState::Text(&json), BodyState::Object, BodyState::Array(length)];
        let values = bodies.map(|body| ValueState { dot, hlc, rank, at, body }).to_vec();
        let items = [
            FeedItem::State { shared, key: &key, values, marks, parts },
            FeedItem::Removal { key: &key, below, seen },
            FeedItem::Cut { key: &key, cut },
            FeedItem::Kept { shared, key: &key, kept: Kept { things } },
        ];
        let head = FeedHead { id, number };
        items_read_back(&with_items(Kind::Feed, &head, &items), &head, &items)?;
    }

    #[test]
    fn parcels(
        (job, offer, name, args) in (number().prop_map(JobId), offer(), text(), text()),
        (remaining_ms, reason) in (number(), of(text())),
        (losses, when_lost, next) in (number(), of(number()), number()),
        (cost_before, window) in (number(), number()),
        (piece, trace, more) in (bytes(), text(), bytes()),
    ) {
        let resume = Resume { losses, when_lost, next, cost_before, window };
        reads_back!(Kind::Resume, Resume, resume, &more);
        let ack = Ack { received: next, cost_taken: cost_before };
        reads_back!(Kind::Ack, Ack, ack, &more);
        let call = Call { job, offer, name: &name, remaining_ms, args: &args };
        reads_back!(Kind::Call, Call<'_>, call, &more);
        let (message, trace) = (with_more(Kind::Call, &call, &&*trace, &more), &*trace);
        prop_assert_eq!(message::decode_call(&message), Ok((call, trace)));
        let texts = [AnswerItem::Ok(&args), AnswerItem::Error(&args)];
        let all = [AnswerItem::NoWorker, AnswerItem::Timeout, AnswerItem::Busy];
        for answer in texts.into_iter().chain(all) {
            reads_back!(Kind::Answer, Answer<'_>, Answer { job, answer }, &more);
        }
        let cancel = Cancel { job, reason: reason.as_deref() };
        reads_back!(Kind::Cancel, Cancel<'_>, cancel, &more);
        reads_back!(Kind::Postpone, Postpone, Postpone { job, remaining_ms }, &more);
        reads_back!(Kind::Emit, Emit<'_>, Emit { name: &name, args: &args }, &more);
        for end in [PieceEnd::More, PieceEnd::Last, PieceEnd::Dropped] {
            reads_back!(Kind::Piece, Piece<'_>, Piece { end, bytes: &piece }, &more);
        }
    }
}
