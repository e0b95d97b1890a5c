use collective_io::engine::wire::message::{
    self, Ack, Addresses, Answer, Call, Cancel, Confirm, Digest, Emit, FeedEnd, FeedHead, FeedItem,
    Hello, Item, Kind, Piece, Postpone, Presence, Pull, Resume, WhoIs, WritesHead,
};

/// What is decoded is encoded, and decoded to the same again. Bytes are compared: a float may be
/// none.
macro_rules! same_again {
    ($type:ty, $decoded:expr) => {{
        let mut bytes = vec![0];
        message::append(&mut bytes, &$decoded);
        let (decoded, rest) = message::decode_head::<$type>(&bytes).expect("our own bytes");
        assert!(rest.is_empty());
        let mut again = vec![0];
        message::append(&mut again, &decoded);
        assert_eq!(bytes, again);
    }};
}

macro_rules! fields {
    ($type:ty, $message:expr) => {
        if let Ok(fields) = message::decode::<$type>($message) {
            same_again!($type, fields);
        }
    };
}

macro_rules! items {
    ($head:ty, $item:ty, $message:expr) => {{
        let Ok((head, mut rest)) = message::decode_head::<$head>($message) else { return };
        same_again!($head, head);
        while !rest.is_empty() {
            let Ok((item, after)) = message::decode_item::<$item>(rest) else { return };
            same_again!($item, item);
            assert!(after.len() < rest.len(), "items of no bytes would never end");
            rest = after;
        }
    }};
}

/// One message of any kind, without an engine.
pub fn messages(message: &[u8]) {
    match Kind::of(message) {
        Some(Kind::Hello) => fields!(Hello<'_>, message),
        Some(Kind::Digest) => fields!(Digest, message),
        Some(Kind::Writes) => items!(WritesHead, Item<'_>, message),
        Some(Kind::Confirm | Kind::Confirmed) => fields!(Confirm, message),
        Some(Kind::Pull) => fields!(Pull, message),
        Some(Kind::Feed) => items!(FeedHead, FeedItem<'_>, message),
        Some(Kind::FeedEnd) => fields!(FeedEnd, message),
        Some(Kind::WhoIs) => fields!(WhoIs, message),
        Some(Kind::Addresses) => fields!(Addresses<'_>, message),
        Some(Kind::Resume) => fields!(Resume, message),
        Some(Kind::Ack) => fields!(Ack, message),
        Some(Kind::Presence) => fields!(Presence<'_>, message),
        Some(Kind::Call) => fields!(Call<'_>, message),
        Some(Kind::Answer) => fields!(Answer<'_>, message),
        Some(Kind::Cancel) => fields!(Cancel<'_>, message),
        Some(Kind::Postpone) => fields!(Postpone, message),
        Some(Kind::Emit) => fields!(Emit<'_>, message),
        Some(Kind::Piece) => fields!(Piece<'_>, message),
        Some(Kind::Behind | Kind::Goodbye | Kind::Dismiss) | None => {}
    }
}
