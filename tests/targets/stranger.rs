use super::victim::Victim;

/// The first message of a connection: nothing but a sound hello gets in, and nothing kills the
/// engine.
pub fn stranger(message: &[u8]) {
    let mut victim = Victim::new();
    victim.receive(message);
    victim.receive(message);
    victim.check_alive();
}
