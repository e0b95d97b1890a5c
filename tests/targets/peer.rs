use collective_io::engine::wire::frame::FrameDecoder;

use super::victim::{Victim, MESSAGE_BYTES_MAX};

/// What a peer that passed the handshake sends, as frames: writes, feeds, digests, jobs. An empty
/// message lets time pass. Nothing kills the engine.
pub fn peer(frames: &[u8]) {
    let mut victim = Victim::with_peer();
    let mut decoder = FrameDecoder::new(MESSAGE_BYTES_MAX);
    decoder.buffer().extend_from_slice(frames);
    while let Ok(Some(message)) = decoder.next_message() {
        if message.is_empty() {
            victim.wait();
        } else {
            victim.receive(&message);
        }
    }
    victim.check_alive();
}
