//! The first message of a connection: nothing but a sound hello gets in, and nothing kills the
//! engine.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod victim;

fuzz_target!(|message: &[u8]| {
    let mut victim = victim::Victim::new();
    victim.receive(message);
    victim.receive(message);
    victim.check_alive();
});
