//! Frames: a message in one or more parts, each with its length before it.
//!
//! Header: u32 little-endian. Bits 0 to 30: bytes that follow. Bit 31: more parts of the same
//! message follow.

use bytes::{Buf, Bytes, BytesMut};

/// The largest part.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
const HEADER_BYTES: usize = 4;
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
