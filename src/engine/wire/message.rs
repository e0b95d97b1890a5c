//! Messages: one byte of kind, then the fields as postcard writes them. `docs/protocol.md` has the
//! bytes.
//!
//! Plain data. Everything decoded here came from a peer: decoding never panics, and sizes are
//! bounded by the size of the message.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::frame;
use crate::engine::document::amount::Amount;
use crate::engine::document::things::{Cut, Mark, Part, Run};
use crate::engine::document::Kept;
use crate::engine::event::Offer;
use crate::engine::id::{Dot, JobId, NodeId, ReplicaId};

/// First bytes of a hello.
pub const MAGIC: [u8; 4] = *b"CLIO";
/// Peers of another major version are refused.
pub const VERSION_MAJOR: u16 = 1;
/// A higher minor version may send kinds of messages that we skip.
pub const VERSION_MINOR: u16 = 1;

/// A version vector as it travels.
pub type Vector = Vec<(ReplicaId, u64)>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello<'a> {
    pub magic: [u8; 4],
    pub major: u16,
    pub minor: u16,
    pub replica: ReplicaId,
    pub node: NodeId,
    pub cluster: &'a str,
    pub advertised: Option<&'a str>,
    /// Key bytes, depth, value bytes: compared, must be equal.
    pub limits: (u64, u64, u64),
}

/// What follows a hello from minor version 1 on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileItem<'a> {
    #[serde(borrow)]
    pub name: &'a str,
    #[serde(borrow)]
    pub tags: Vec<(&'a str, &'a str)>,
    /// It looks on, and is no peer to applications.
    pub observer: bool,
}

/// The heartbeat: where this node stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    pub vector: Vector,
    /// Of the state at that vector; absent while it is not worked out.
    pub hash: Option<u64>,
    /// The peers it is linked with.
    pub links: Vec<ReplicaId>,
    /// What it knows of the vectors of others.
    pub rows: Vec<(ReplicaId, Vector)>,
    /// Itself and the replicas that it or others heard lately, with the last beat of each: where its
    /// monotonic clock stood, in milliseconds, when it sent a digest.
    pub beats: Vec<(ReplicaId, u64)>,
    /// Replicas that left for good.
    pub dead: Vec<ReplicaId>,
    /// Only to a peer that is among them: it must rejoin as a new replica.
    pub forgotten: Vec<Stub>,
}

/// A [`Digest`] that borrows, for encoding: it goes to every peer, every second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DigestOf<'a> {
    pub vector: &'a [(ReplicaId, u64)],
    pub hash: Option<u64>,
    pub links: &'a [ReplicaId],
    pub rows: &'a [(ReplicaId, &'a [(ReplicaId, u64)])],
    pub beats: &'a [(ReplicaId, u64)],
    pub dead: &'a [ReplicaId],
    pub forgotten: Vec<Stub>,
}

/// What follows a digest from minor version 1 on: how peers measure how far apart they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DigestClock {
    /// The sender's monotonic clock, in milliseconds.
    pub sent_ms: u64,
    /// `sent_ms` of the receiver's last digest, and how long ago that came.
    pub echo: Option<(u64, u64)>,
    /// The sender's wall clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// What is left of a dead replica: its writes up to `counter` belong to the write `into`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stub {
    pub replica: ReplicaId,
    pub counter: u64,
    pub into: Dot,
}

/// Head of a batch of writes by one replica; [`Item`]s follow to the end of the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WritesHead {
    pub origin: ReplicaId,
    /// Counter of the first write; the others follow it one by one.
    pub first: u64,
    /// What the origin covered before the first write.
    pub seen: Vector,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item<'a> {
    /// Entries of the origin's vector that grew before the next write.
    Seen(Vector),
    #[serde(borrow)]
    Write(WriteItem<'a>),
    /// A dead replica folded into the origin: see `docs/replication.md`.
    Fold { replica: ReplicaId, counter: u64 },
    /// The next item is an increment that stands for so many before it as well, of the same counter.
    Before(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteItem<'a> {
    pub hlc: u64,
    #[serde(borrow)]
    pub path: Vec<&'a str>,
    #[serde(borrow)]
    pub action: ActionItem<'a>,
    pub arrays: Vec<(u8, u32)>,
    /// Removed increments of others, with the keys of their paths.
    #[serde(borrow)]
    pub cuts: Vec<(&'a [u8], Cut)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ActionItem<'a> {
    Set(&'a str),
    Increment { epoch: u64, total: Amount, run: Option<Run> },
    Delete,
}

/// "Tell me when you cover my writes up to this one"; or that the sender does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confirm {
    pub counter: u64,
}

/// "Bring me from this vector to yours."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// Chosen by the asker; parts name it.
    pub id: u32,
    pub vector: Vector,
}

/// Head of a part of the answer; [`FeedItem`]s follow to the end of the message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedHead {
    pub id: u32,
    /// Counted from 0.
    pub number: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FeedItem<'a> {
    /// All things of a path. `shared`: bytes of the key that are those of the last path.
    State {
        shared: u16,
        #[serde(with = "serde_bytes")]
        key: &'a [u8],
        #[serde(borrow)]
        values: Vec<crate::engine::document::ValueState<'a>>,
        marks: Vec<Mark>,
        parts: Vec<Part>,
    },
    /// What these writes made at the path (and below it) is gone, but for what else is sent.
    Removal {
        #[serde(with = "serde_bytes")]
        key: &'a [u8],
        below: bool,
        seen: Vector,
    },
    Cut {
        #[serde(with = "serde_bytes")]
        key: &'a [u8],
        cut: Cut,
    },
    /// The same of a path where the asker covers all: it has them, unless it has seen them removed.
    Kept {
        shared: u16,
        #[serde(with = "serde_bytes")]
        key: &'a [u8],
        kept: Kept,
    },
}

impl FeedItem<'_> {
    /// If it tells all that stands at a path: the bytes shared with the last such key, and the rest.
    pub fn path(&self) -> Option<(usize, &[u8])> {
        match self {
            FeedItem::State { shared, key, .. } | FeedItem::Kept { shared, key, .. } => {
                Some((usize::from(*shared), key))
            }
            FeedItem::Removal { .. } | FeedItem::Cut { .. } => None,
        }
    }
}

/// The end of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedEnd {
    pub id: u32,
    /// How many parts there were.
    pub parts: u32,
    /// Everything there is was sent: what was not, is gone.
    pub full: bool,
    pub vector: Vector,
    pub forgotten: Vec<Stub>,
}

/// Entries of [`WhoIs`] and [`Addresses`].
pub const REPLICAS_MAX: usize = 256;

/// "Where do these listen?"
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhoIs {
    pub replicas: Vec<ReplicaId>,
}

/// The answer, as far as the sender knows: addresses that those nodes advertise themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Addresses<'a> {
    #[serde(borrow)]
    pub known: Vec<(ReplicaId, &'a str)>,
}

/// What else a peer should know of the sender: told when it changes, and with every heartbeat
/// while the sender is busy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Presence<'a> {
    /// Where it listens.
    #[serde(borrow)]
    pub advertised: Option<&'a str>,
    /// For how many milliseconds its application has not answered; 0 while it does.
    pub busy_ms: u64,
}

/// First on a link that parcels go over; see `jobs::line`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// How often the sender has seen this peer go.
    pub losses: u64,
    /// This peer's own `losses`, as the sender knew it when it last saw it go.
    pub when_lost: Option<u64>,
    /// The number of the next parcel, and the cost of all before it.
    pub next: u64,
    pub cost_before: u64,
    /// The cost of parcels that the sender of this takes before its application does.
    pub window: u64,
}

/// Parcels that arrived, and the cost of those that the application has taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    pub received: u64,
    pub cost_taken: u64,
}

/// "Run this." A parcel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call<'a> {
    pub job: JobId,
    pub offer: Offer,
    pub name: &'a str,
    pub remaining_ms: u64,
    pub args: &'a str,
}

/// What became of it. A parcel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer<'a> {
    pub job: JobId,
    #[serde(borrow)]
    pub answer: AnswerItem<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum AnswerItem<'a> {
    Ok(&'a str),
    Error(&'a str),
    NoWorker,
    Timeout,
    Busy,
}

/// "Nobody waits for this any more." A parcel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cancel<'a> {
    pub job: JobId,
    /// `None`: its time is over.
    #[serde(borrow)]
    pub reason: Option<&'a str>,
}

/// Another deadline. A parcel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Postpone {
    pub job: JobId,
    pub remaining_ms: u64,
}

/// An event for the application. A parcel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emit<'a> {
    pub name: &'a str,
    pub args: &'a str,
}

/// A piece of a parcel too large to go as one; one such parcel at a time. A parcel itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece<'a> {
    pub end: PieceEnd,
    #[serde(with = "serde_bytes")]
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum PieceEnd {
    More,
    Last,
    /// The rest is not sent; forget what came.
    Dropped,
}

/// Kinds of messages, by their first byte. Those from [`PARCELS`] on are numbered on each link,
/// known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Hello = 1,
    Digest = 2,
    Writes = 3,
    Pull = 4,
    Feed = 5,
    FeedEnd = 6,
    /// "Writes were left out: pull when you can." No fields.
    Behind = 7,
    /// No fields.
    Goodbye = 8,
    WhoIs = 9,
    Addresses = 10,
    /// "Do not dial me again." The sender closes the link. No fields.
    Dismiss = 11,
    Resume = 12,
    Ack = 13,
    Presence = 14,
    Confirm = 15,
    Confirmed = 16,
    Call = 32,
    Answer = 33,
    Cancel = 34,
    Postpone = 35,
    Emit = 36,
    Piece = 37,
}

/// The first kind that is a parcel.
pub const PARCELS: u8 = 32;

impl Kind {
    pub fn of(message: &[u8]) -> Option<Kind> {
        Some(match message.first()? {
            1 => Kind::Hello,
            2 => Kind::Digest,
            3 => Kind::Writes,
            4 => Kind::Pull,
            5 => Kind::Feed,
            6 => Kind::FeedEnd,
            7 => Kind::Behind,
            8 => Kind::Goodbye,
            9 => Kind::WhoIs,
            10 => Kind::Addresses,
            11 => Kind::Dismiss,
            12 => Kind::Resume,
            13 => Kind::Ack,
            14 => Kind::Presence,
            15 => Kind::Confirm,
            16 => Kind::Confirmed,
            32 => Kind::Call,
            33 => Kind::Answer,
            34 => Kind::Cancel,
            35 => Kind::Postpone,
            36 => Kind::Emit,
            37 => Kind::Piece,
            _ => return None,
        })
    }
}

/// The bytes were not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The fields of a message, without its kind.
pub fn decode<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<T, Malformed> {
    let body = message.get(1..).ok_or(Malformed)?;
    match postcard::take_from_bytes(body) {
        // What a higher minor version adds at the end is skipped.
        Ok((fields, _more)) => Ok(fields),
        Err(_) => Err(Malformed),
    }
}

/// The head of a message and the items that follow it.
pub fn decode_head<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<(T, &'a [u8]), Malformed> {
    let body = message.get(1..).ok_or(Malformed)?;
    postcard::take_from_bytes(body).map_err(|_| Malformed)
}

/// The next item of a message.
pub fn decode_item<'a, T: Deserialize<'a>>(rest: &'a [u8]) -> Result<(T, &'a [u8]), Malformed> {
    postcard::take_from_bytes(rest).map_err(|_| Malformed)
}

/// What a higher minor version has added at the end of a message, if its sender has.
pub fn decode_more<'a, T: Deserialize<'a> + Default>(rest: &'a [u8]) -> Result<T, Malformed> {
    if rest.is_empty() {
        return Ok(T::default());
    }
    decode_item(rest).map(|(more, _)| more)
}

/// A call and what may follow it from minor version 1 on, its trace.
pub fn decode_call(message: &[u8]) -> Result<(Call<'_>, &str), Malformed> {
    let (call, more) = decode_head(message)?;
    Ok((call, decode_more(more)?))
}

/// A whole message in frames.
pub fn encode<T: Serialize>(kind: Kind, fields: &T) -> Bytes {
    let mut message = begin(kind);
    append(&mut message, fields);
    finish(&message)
}

/// The first byte of a message.
pub fn begin(kind: Kind) -> Vec<u8> {
    // Room for most, so that it need not grow byte by byte.
    let mut message = Vec::with_capacity(256);
    message.push(kind as u8);
    message
}

/// Appends fields or an item.
pub fn append<T: Serialize>(message: &mut Vec<u8>, fields: &T) {
    // Writing plain data into memory cannot fail.
    let taken = std::mem::take(message);
    *message = postcard::to_extend(fields, taken).unwrap_or_default();
}

/// Puts a finished message into frames.
pub fn finish(message: &[u8]) -> Bytes {
    let mut frames = BytesMut::with_capacity(message.len() + 8);
    frame::encode(message, &mut frames);
    frames.freeze()
}

/// A message without fields.
pub fn encode_empty(kind: Kind) -> Bytes {
    finish(&begin(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_borrows_has_the_same_bytes() {
        let [one, two] = [ReplicaId(1), ReplicaId(u64::MAX)];
        let stub = Stub { replica: one, counter: 3, into: Dot::new(two, 4) };
        let digest = Digest {
            vector: vec![(one, 7), (two, 300)],
            hash: Some(9),
            links: vec![one],
            rows: vec![(one, vec![(two, 5)]), (two, vec![])],
            beats: vec![(two, 1_000)],
            dead: vec![two],
            forgotten: vec![stub.clone()],
        };
        let rows: Vec<_> = digest.rows.iter().map(|(id, row)| (*id, row.as_slice())).collect();
        let borrowed = DigestOf {
            vector: &digest.vector,
            hash: digest.hash,
            links: &digest.links,
            rows: &rows,
            beats: &digest.beats,
            dead: &digest.dead,
            forgotten: vec![stub],
        };
        assert_eq!(encode(Kind::Digest, &borrowed), encode(Kind::Digest, &digest));
    }
}
