//! Messages of a peer that passed the handshake: writes, feeds, digests, jobs. Nothing kills the
//! engine.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod victim;

fuzz_target!(|messages: Vec<&[u8]>| {
    let mut victim = victim::Victim::with_peer();
    for message in messages {
        victim.receive(message);
    }
    victim.check_alive();
});
