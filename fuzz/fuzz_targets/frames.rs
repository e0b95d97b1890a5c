//! Bytes in pieces of any size: the decoder gives no message over its limit, and the same messages
//! whatever the pieces.
#![no_main]

use bytes::Bytes;
use collective_io::engine::wire::frame::{FrameDecoder, TooLarge};
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_MAX: usize = 300;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = decode(bytes, bytes.len().max(1));
    let pieces = decode(bytes, usize::from(size).max(1));
    assert_eq!(whole, pieces);
    assert!(whole.0.iter().all(|message| message.len() <= MESSAGE_BYTES_MAX));
});

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
