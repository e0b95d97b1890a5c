use collective_io::engine::wire::message::{self, FeedEnd, FeedHead, Kind, Stub};
use collective_io::engine::{Dot, ReplicaId};

use super::victim::{unframe, Victim, PULL, THEM};

/// Items of a feed that the engine has asked for, as far as they are sound, in one part or two. The
/// first byte says what the end of the feed claims. What comes of it is the state of a node: it
/// can be read and written, and passed on.
pub fn feed(input: &[u8]) {
    let [claims, cut, items @ ..] = input else { return };
    let mut victim = Victim::with_peer();
    let cut = usize::from(*cut).min(items.len());
    let mut parts = 0;
    for items in [&items[..cut], &items[cut..]].into_iter().filter(|items| !items.is_empty()) {
        let mut bytes = message::begin(Kind::Feed);
        message::append(&mut bytes, &FeedHead { id: PULL, number: parts });
        bytes.extend_from_slice(items);
        victim.receive(&bytes);
        parts += 1;
    }
    let folded = Stub { replica: ReplicaId(9), counter: 4, into: Dot::new(THEM, 3) };
    let end = FeedEnd {
        id: PULL,
        parts,
        full: claims & 1 != 0,
        vector: [(THEM, 3), (ReplicaId(5), 7), (ReplicaId(9), 4)]
            .into_iter()
            .take(1 + usize::from(claims >> 1) % 3)
            .collect(),
        forgotten: if claims & 8 != 0 { vec![folded] } else { Vec::new() },
    };
    victim.receive(&unframe(&message::encode(Kind::FeedEnd, &end)));
    victim.check_passed_on();
    victim.check_alive();
}
