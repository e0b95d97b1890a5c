use bytes::Bytes;
use collective_io::engine::wire::frame::{FrameDecoder, TooLarge};

const MESSAGE_BYTES_MAX: usize = 300;

/// Bytes in pieces of any size (the first byte): the decoder gives no message over its limit, and
/// the same messages whatever the pieces.
pub fn frames(input: &[u8]) {
    let Some((&size, bytes)) = input.split_first() else { return };
    let whole = decode(bytes, bytes.len().max(1));
    let pieces = decode(bytes, usize::from(size).max(1));
    assert_eq!(whole, pieces);
    assert!(whole.0.iter().all(|message| message.len() <= MESSAGE_BYTES_MAX));
}

fn decode(bytes: &[u8], size: usize) -> (Vec<Bytes>, Option<TooLarge>) {
    let mut decoder = FrameDecoder::new(MESSAGE_BYTES_MAX);
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(too_large) => return (messages, Some(too_large)),
            }
        }
    }
    (messages, None)
}
