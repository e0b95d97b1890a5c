//! What a node of a higher minor version sends: kinds of messages that nobody here knows, and fields
//! at the end of those that all know.

use bytes::{Bytes, BytesMut};

use super::chance::Chance;
use crate::engine::wire::frame::{self, FrameDecoder};
use crate::engine::wire::message::{self, Hello, Kind};

/// Kinds that this version has no name for, and that are no parcels.
const UNKNOWN: (u64, u64) = (17, 31);

/// Turns the frames of this version into those of a higher minor one.
pub fn translate(frames: Bytes, chance: &mut Chance) -> Bytes {
    let mut decoder = FrameDecoder::new(usize::MAX);
    decoder.buffer().extend_from_slice(&frames);
    let mut translated = BytesMut::with_capacity(frames.len() + 64);
    while let Ok(Some(message)) = decoder.next_message() {
        let kind = Kind::of(&message);
        let mut message = match kind {
            Some(Kind::Hello) => raise_minor(&message).unwrap_or(message.to_vec()),
            _ => message.to_vec(),
        };
        if matches!(kind, Some(Kind::Hello | Kind::Digest | Kind::Presence | Kind::Pull)) {
            message.extend_from_slice(b"and more");
        }
        frame::encode(&message, &mut translated);
        if kind != Some(Kind::Hello) && chance.percent(10) {
            let (low, high) = UNKNOWN;
            let unknown = [chance.between(low, high) as u8, 1, 2, 3];
            frame::encode(&unknown, &mut translated);
        }
    }
    translated.freeze()
}

fn raise_minor(hello: &[u8]) -> Option<Vec<u8>> {
    let (hello, more): (Hello<'_>, _) = message::decode_head(hello).ok()?;
    let mut raised = message::begin(Kind::Hello);
    message::append(&mut raised, &Hello { minor: hello.minor + 1, ..hello });
    raised.extend_from_slice(more);
    Some(raised)
}
