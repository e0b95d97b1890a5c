//! Frames: a message in one or more parts, each with its length before it.
//!
//! Header: u32 little-endian. Bits 0 to 30: bytes that follow. Bit 31: more parts of the same
//! message follow.

use bytes::{Buf, Bytes, BytesMut};

/// The largest part.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The length before each part.
pub const HEADER_BYTES: usize = 4;
const MORE: u32 = 1 << 31;

/// Appends a message, cut into frames.
pub fn encode(message: &[u8], into: &mut BytesMut) {
    let mut parts = message.chunks(FRAME_BYTES_MAX).peekable();
    if parts.peek().is_none() {
        into.extend_from_slice(&0u32.to_le_bytes());
    }
    while let Some(part) = parts.next() {
        let more = if parts.peek().is_some() { MORE } else { 0 };
        into.extend_from_slice(&(part.len() as u32 | more).to_le_bytes());
        into.extend_from_slice(part);
    }
}

/// A frame or message over its limit. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    pub limit: usize,
}

/// Puts frames together from bytes as they arrive.
///
/// Holds at most one message of `message_bytes_max` and what the caller has pushed and not taken.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    parts: BytesMut,
    message_bytes_max: usize,
}

impl FrameDecoder {
    pub fn new(message_bytes_max: usize) -> Self {
        FrameDecoder { buffer: BytesMut::new(), parts: BytesMut::new(), message_bytes_max }
    }

    /// Raises or lowers the limit: small before the handshake, full after it.
    pub fn set_message_bytes_max(&mut self, bytes: usize) {
        self.message_bytes_max = bytes;
    }

    /// The buffer that a socket reads into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole message, `None` if bytes are missing. After an error the connection is over.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, TooLarge> {
        loop {
            let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
            let header = u32::from_le_bytes(*header);
            let (more, bytes) = (header & MORE != 0, (header & !MORE) as usize);
            if bytes > FRAME_BYTES_MAX {
                return Err(TooLarge { limit: FRAME_BYTES_MAX });
            }
            if bytes + self.parts.len() > self.message_bytes_max || (more && bytes == 0) {
                return Err(TooLarge { limit: self.message_bytes_max });
            }
            if self.buffer.len() < HEADER_BYTES + bytes {
                return Ok(None);
            }
            self.buffer.advance(HEADER_BYTES);
            let part = self.buffer.split_to(bytes);
            if !more && self.parts.is_empty() {
                return Ok(Some(part.freeze()));
            }
            self.parts.extend_from_slice(&part);
            if !more {
                return Ok(Some(self.parts.split().freeze()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Gives the bytes in pieces of these sizes, over and over, and takes what comes out.
    fn decode(
        mut bytes: &[u8],
        sizes: &[usize],
        message_bytes_max: usize,
    ) -> Result<Vec<Bytes>, TooLarge> {
        let mut decoder = FrameDecoder::new(message_bytes_max);
        let mut messages = Vec::new();
        for &size in sizes.iter().cycle() {
            while let Some(message) = decoder.next_message()? {
                messages.push(message);
            }
            if bytes.is_empty() {
                break;
            }
            let (piece, rest) = bytes.split_at(size.min(bytes.len()));
            decoder.buffer().extend_from_slice(piece);
            bytes = rest;
        }
        Ok(messages)
    }

    proptest! {
        #[test]
        fn any_chunking_decodes_to_the_same(
            messages in vec(vec(any::<u8>(), 0..200), 0..20),
            sizes in vec(1usize..300, 1..20),
        ) {
            let mut bytes = BytesMut::new();
            for message in &messages {
                encode(message, &mut bytes);
            }
            prop_assert_eq!(decode(&bytes, &sizes, 200).unwrap(), messages);
        }

        #[test]
        fn a_message_in_parts_is_whole_again(
            parts in vec(vec(any::<u8>(), 1..50), 1..10),
            sizes in vec(1usize..100, 1..10),
        ) {
            let mut bytes = BytesMut::new();
            for (index, part) in parts.iter().enumerate() {
                let more = if index + 1 < parts.len() { MORE } else { 0 };
                bytes.extend_from_slice(&(part.len() as u32 | more).to_le_bytes());
                bytes.extend_from_slice(part);
            }
            let message = parts.concat();
            prop_assert_eq!(decode(&bytes, &sizes, message.len()).unwrap(), [message.clone()]);
            prop_assert_eq!(
                decode(&bytes, &sizes, message.len() - 1),
                Err(TooLarge { limit: message.len() - 1 })
            );
        }

        #[test]
        fn junk_never_panics_nor_passes_the_limit(
            junk in vec(any::<u8>(), 0..2000),
            small in vec((0u8..40, any::<bool>()), 0..40),
            sizes in vec(1usize..300, 1..20),
            limit in 0usize..100,
        ) {
            // Plain junk mostly fails in its first header; headers that make sense get further.
            let mut plausible = Vec::new();
            for (bytes, more) in small {
                let more = if more { MORE } else { 0 };
                plausible.extend_from_slice(&(u32::from(bytes) | more).to_le_bytes());
                plausible.extend(junk.iter().take(usize::from(bytes)));
            }
            for bytes in [&junk, &plausible] {
                if let Ok(messages) = decode(bytes, &sizes, limit) {
                    prop_assert!(messages.iter().all(|message| message.len() <= limit));
                }
            }
        }
    }

    #[test]
    fn a_large_message_goes_in_parts() {
        let message: Vec<u8> = (0..FRAME_BYTES_MAX * 2 + 1).map(|at| at as u8).collect();
        let mut bytes = BytesMut::new();
        encode(&message, &mut bytes);
        assert_eq!(bytes.len(), message.len() + 3 * HEADER_BYTES);
        assert_eq!(decode(&bytes, &[70_000], message.len()).unwrap(), [message]);
    }

    #[test]
    fn a_length_over_the_limit_is_an_error_before_anything_is_kept() {
        for header in [11u32, FRAME_BYTES_MAX as u32 + 1, !MORE, 11 | MORE, u32::MAX] {
            let mut decoder = FrameDecoder::new(10);
            decoder.buffer().extend_from_slice(&header.to_le_bytes());
            let capacity = decoder.buffer().capacity();
            assert!(decoder.next_message().is_err());
            assert_eq!((decoder.buffer().capacity(), decoder.parts.capacity()), (capacity, 0));
        }
    }

    #[test]
    fn an_empty_part_with_more_to_follow_is_refused() {
        // Otherwise a peer could keep us busy with headers for ever.
        assert!(decode(&MORE.to_le_bytes(), &[4], 10).is_err());
    }
}
