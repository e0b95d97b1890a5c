//! Two sides of a handshake, and what somebody between them can do to the bytes.

use bytes::Buf;

use super::*;

const CLUSTER: &str = "collective";

fn secret(number: u8) -> [u8; SECRET_BYTES] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ number.wrapping_mul(91))
}

fn guard_in(cluster: &str, numbers: &[u8]) -> Guard {
    let secrets: Vec<_> = numbers.iter().map(|&number| secret(number)).collect();
    let credentials = Credentials::secrets(secrets.iter().map(|secret| &secret[..]));
    Guard::new(credentials.expect("good secrets"), cluster)
}

fn guard(numbers: &[u8]) -> Guard {
    guard_in(CLUSTER, numbers)
}

/// What has been said, message by message.
#[derive(Default)]
struct Record {
    /// By the dialler: the offers and the last message.
    dialler: Vec<BytesMut>,
    listener: Vec<BytesMut>,
}

type Pair = (Shaken, Shaken);

/// A whole handshake. Each message goes through `change`, with its number.
fn shake(
    dialler: &Guard,
    listener: &Guard,
    mut change: impl FnMut(usize, &mut BytesMut),
) -> Result<(Pair, Record), Failure> {
    let (mut near, mut far) = (dialler.handshake(true), listener.handshake(false));
    let mut record = Record::default();
    let mut message = BytesMut::new();
    assert!(near.advance(&mut BytesMut::new(), &mut message)?.is_none());
    record.dialler.push(message.clone());
    change(0, &mut message);
    let mut answer = BytesMut::new();
    assert!(far.advance(&mut message, &mut answer)?.is_none());
    record.listener.push(answer.clone());
    change(1, &mut answer);
    let mut last = BytesMut::new();
    let near = near.advance(&mut answer, &mut last)?.ok_or(Failure::Ended)?;
    record.dialler.push(last.clone());
    change(2, &mut last);
    let far = far.advance(&mut last, &mut BytesMut::new())?.ok_or(Failure::Ended)?;
    assert!(message.is_empty() && answer.is_empty() && last.is_empty());
    Ok(((near, far), record))
}

fn connect(dialler: &Guard, listener: &Guard) -> (Pair, Record) {
    shake(dialler, listener, |_, _| {}).expect("a handshake")
}

/// Gives one side these bytes, all at once.
fn receive(mut side: Handshake, bytes: &[u8]) -> Result<Option<Shaken>, Failure> {
    let mut from = BytesMut::new();
    let mut into = BytesMut::new();
    assert!(side.advance(&mut from, &mut into)?.is_none());
    from.extend_from_slice(bytes);
    side.advance(&mut from, &mut into)
}

fn failed<T>(result: Result<T, Failure>) -> Failure {
    result.err().expect("a failure")
}

fn seal(session: &mut Session, pieces: &[&[u8]]) -> BytesMut {
    let mut pieces: VecDeque<Bytes> = pieces.iter().map(|p| Bytes::copy_from_slice(p)).collect();
    let mut sealed = BytesMut::new();
    while !pieces.is_empty() {
        let mut some = BytesMut::new();
        session.seal(&mut pieces, &mut some);
        sealed.extend_from_slice(&some);
    }
    sealed
}

fn open(session: &mut Session, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut plain = BytesMut::new();
    session.open(&mut BytesMut::from(sealed), &mut plain, usize::MAX)?;
    Ok(plain.to_vec())
}

/// The records in what was sealed.
fn records(mut sealed: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !sealed.is_empty() {
        let bytes = 2 + usize::from(u16::from_le_bytes([sealed[0], sealed[1]]));
        records.push(sealed[..bytes].to_vec());
        sealed.advance(bytes);
    }
    records
}

fn noise(session: &mut Session) -> &mut noise::Session {
    match session {
        Session::Noise(noise) => noise,
    }
}

#[test]
fn both_sides_know_the_others_key() {
    let (a, b) = (guard(&[1]), guard(&[1]));
    let ((near, far), _) = connect(&a, &b);
    let ((again, _), _) = connect(&a, &b);
    let ((_, own), _) = connect(&b, &a);
    assert_eq!(near.proof, again.proof, "a node keeps its key");
    assert_eq!(near.proof, own.proof, "whoever dials");
    assert_ne!(near.proof.key, far.proof.key);
    assert_eq!(near.proof.credential, far.proof.credential);
}

#[test]
fn bytes_may_come_one_by_one() {
    let (a, b) = (guard(&[1, 2]), guard(&[2]));
    let (mut near, mut far) = (a.handshake(true), b.handshake(false));
    let (mut to_near, mut to_far) = (BytesMut::new(), BytesMut::new());
    let (mut near_from, mut far_from) = (BytesMut::new(), BytesMut::new());
    let (mut near_done, mut far_done) = (None, None);
    for _ in 0..1000 {
        if near_done.is_none() {
            near_done = near.advance(&mut near_from, &mut to_far).expect("no failure");
        }
        if far_done.is_none() {
            far_done = far.advance(&mut far_from, &mut to_near).expect("no failure");
        }
        for (to, from) in [(&mut to_near, &mut near_from), (&mut to_far, &mut far_from)] {
            let some = to.len().min(1);
            from.extend_from_slice(&to.split_to(some));
        }
    }
    let (mut near, mut far) = (near_done.expect("done"), far_done.expect("done"));
    let sealed = seal(&mut near.session, &[b"hello"]);
    assert_eq!(open(&mut far.session, &sealed), Ok(b"hello".to_vec()));
}

#[test]
fn secrets_in_common_are_enough() {
    for (dialler, listener, used) in [
        (&[2, 1][..], &[1][..], 1),
        (&[1], &[2, 1], 1),
        (&[2, 1], &[1, 2], 2),
        (&[4, 3, 2, 1], &[1], 1),
    ] {
        let ((near, far), _) = connect(&guard(dialler), &guard(listener));
        let expected = guard(&[used]);
        for shaken in [near, far] {
            assert!(expected.credentials().prefers(shaken.proof.credential));
        }
    }
    let refused = shake(&guard(&[1, 2]), &guard(&[3, 4]), |_, _| {});
    assert_eq!(failed(refused), Failure::UnknownSecret);
}

#[test]
fn another_cluster_is_refused() {
    let refused = shake(&guard_in("a", &[1]), &guard_in("b", &[1]), |_, _| {});
    assert_eq!(failed(refused), Failure::NotGenuine);
}

#[test]
fn any_bit_changed_on_the_way_ends_it() {
    let (a, b) = (guard(&[2, 1]), guard(&[1]));
    let (_, record) = connect(&a, &b);
    let lengths = [record.dialler[0].len(), record.listener[0].len(), record.dialler[1].len()];
    // The message to a secret that the listener does not have is of no use to anybody.
    let ignored = 16..64;
    for (message, bytes) in lengths.into_iter().enumerate() {
        for at in (0..bytes).filter(|at| message > 0 || !ignored.contains(at)) {
            for bit in [0, 7] {
                let changed = shake(&a, &b, |number, bytes| {
                    if number == message {
                        bytes[at] ^= 1 << bit;
                    }
                });
                assert!(changed.is_err(), "bit {bit} of byte {at} of message {message}");
            }
        }
    }
}

#[test]
fn an_offer_cannot_be_taken_away() {
    let (a, b) = (guard(&[2, 1]), guard(&[2, 1]));
    let downgraded = shake(&a, &b, |number, bytes| {
        if number == 0 {
            let (header, offers) = bytes.split_at(8);
            let mut changed = header.to_vec();
            changed[7] = 1;
            changed.extend_from_slice(&offers[offers.len() / 2..]);
            *bytes = BytesMut::from(&changed[..]);
        }
    });
    assert_eq!(failed(downgraded), Failure::NotGenuine);
}

#[test]
fn the_offered_modes_cannot_be_changed() {
    for modes in 0..=u8::MAX {
        let shaken = shake(&guard(&[1]), &guard(&[1]), |number, bytes| {
            if number == 0 {
                bytes[6] = modes;
            }
        });
        assert_eq!(shaken.is_ok(), modes == 1, "modes {modes:#b}");
    }
}

#[test]
fn another_version_is_told_apart() {
    for place in [4, 5] {
        let shaken = shake(&guard(&[1]), &guard(&[1]), |number, bytes| {
            if number == 0 {
                bytes[place] = 2;
            }
        });
        assert_eq!(failed(shaken), Failure::OtherVersion);
    }
}

#[test]
fn a_part_of_a_message_is_waited_for() {
    let (a, b) = (guard(&[1]), guard(&[1]));
    let (_, record) = connect(&a, &b);
    for bytes in 0..record.dialler[0].len() {
        let waits = receive(b.handshake(false), &record.dialler[0][..bytes]);
        assert!(matches!(waits, Ok(None)), "{bytes} bytes");
    }
}

#[test]
fn a_recorded_handshake_cannot_be_played_again() {
    let (a, b) = (guard(&[1]), guard(&[1]));
    let (_, record) = connect(&a, &b);
    // To the listener: what it answers to the offers is new, so that the last message is not for it.
    let replayed = [&record.dialler[0][..], &record.dialler[1][..]].concat();
    let mut far = b.handshake(false);
    let mut from = BytesMut::from(&replayed[..]);
    assert!(far.advance(&mut from, &mut BytesMut::new()).expect("an answer").is_none());
    assert_eq!(failed(far.advance(&mut from, &mut BytesMut::new())), Failure::NotGenuine);
    // To the dialler: an answer to what others have offered.
    let replayed = receive(a.handshake(true), &record.listener[0]);
    assert_eq!(failed(replayed), Failure::NotGenuine);
}

#[test]
fn what_one_sends_cannot_be_given_back_to_it() {
    let (a, b) = (guard(&[1]), guard(&[1]));
    let (_, record) = connect(&a, &b);
    for message in record.dialler.iter().chain(&record.listener) {
        assert!(receive(a.handshake(true), message).is_err());
    }
    let mut near = a.handshake(true);
    let (mut offers, mut into) = (BytesMut::new(), BytesMut::new());
    near.advance(&mut BytesMut::new(), &mut offers).expect("offers");
    assert!(near.advance(&mut offers, &mut into).is_err(), "its own offers");

    // Through its own port it meets nobody but itself.
    let ((near, far), _) = connect(&a, &a);
    assert_eq!(near.proof, far.proof);
}

#[test]
fn messages_in_another_order_are_refused() {
    let (a, b) = (guard(&[1]), guard(&[1]));
    let (_, record) = connect(&a, &b);
    assert!(receive(b.handshake(false), &record.dialler[1]).is_err());
    assert!(receive(b.handshake(false), &record.listener[0]).is_err());
    let mut far = b.handshake(false);
    let mut from = record.dialler[0].clone();
    from.extend_from_slice(&record.dialler[0]);
    assert!(far.advance(&mut from, &mut BytesMut::new()).is_ok());
    assert!(far.advance(&mut from, &mut BytesMut::new()).is_err(), "the offers twice");
}

#[test]
fn who_speaks_something_else_is_told_apart() {
    let hello = message::encode(
        message::Kind::Hello,
        &message::Hello {
            magic: message::MAGIC,
            major: 1,
            minor: 0,
            replica: crate::engine::ReplicaId(1),
            node: crate::engine::NodeId([0; 12]),
            cluster: CLUSTER,
            advertised: None,
            limits: (1, 1, 1),
        },
    );
    for (bytes, spoken) in [
        (&hello[..], "speaks in the clear"),
        (&[0x16, 3, 1, 0, 200, 1, 0, 0], "speaks TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "speaks another protocol"),
        (b"{\"type\":\"rpc\"}\n", "speaks another protocol"),
        (&[1, 0, 0, 0, 9, 9, 9, 9, 9], "speaks another protocol"),
    ] {
        let refused = receive(guard(&[1]).handshake(false), bytes);
        assert_eq!(failed(refused), Failure::OtherMode(spoken));
        let refused = receive(guard(&[1]).handshake(true), bytes);
        assert!(refused.is_err() || bytes[0] < 4, "{spoken}");
    }
    assert_eq!(
        failed(receive(guard(&[1]).handshake(true), &hello)),
        Failure::OtherMode("speaks in the clear")
    );
}

#[test]
fn secrets_that_are_none_are_refused() {
    let make = |secrets: &[&[u8]]| Credentials::secrets(secrets.iter().copied()).err();
    assert_eq!(make(&[]), Some(CredentialsError::Count));
    let five: Vec<_> = (1..=5).map(secret).collect();
    let five: Vec<_> = five.iter().map(|secret| &secret[..]).collect();
    assert_eq!(make(&five), Some(CredentialsError::Count));
    assert_eq!(make(&five[..4]), None);
    assert_eq!(make(&[&secret(1)[..31]]), Some(CredentialsError::Length(31)));
    assert_eq!(make(&[&[0; 32]]), Some(CredentialsError::NotRandom));
    assert_eq!(make(&[b"passwordpasswordpasswordpassword"]), Some(CredentialsError::NotRandom));
    assert_eq!(make(&[&secret(1), &secret(1)]), Some(CredentialsError::Twice));
}

#[test]
fn pieces_are_joined_to_few_records() {
    let ((mut near, mut far), _) = connect(&guard(&[1]), &guard(&[1]));
    let hello = seal(&mut near.session, &[b"hello", b"more"]);
    assert_eq!(records(&hello).len(), 2, "the hello goes alone");
    assert_eq!(open(&mut far.session, &hello), Ok(b"hellomore".to_vec()));

    let piece = [7; 1000];
    let sealed = seal(&mut near.session, &[&piece[..]; 100]);
    assert_eq!(records(&sealed).len(), 2);
    assert_eq!(open(&mut far.session, &sealed), Ok([7; 100_000].to_vec()));

    let large: Vec<u8> = (0..1_000_000).map(|at| at as u8).collect();
    let sealed = seal(&mut near.session, &[&large[..], b"end"]);
    assert_eq!(records(&sealed).len(), 1_000_003usize.div_ceil(65_535 - 16));
    assert_eq!(open(&mut far.session, &sealed), Ok([&large[..], b"end"].concat()));
}

#[test]
fn records_are_taken_once_in_order_and_unchanged() {
    let wrong = |change: fn(&mut Vec<Vec<u8>>)| {
        let ((mut near, mut far), _) = connect(&guard(&[1]), &guard(&[1]));
        let mut sent: Vec<_> =
            [b"one", b"two", b"six"].iter().map(|p| seal(&mut near.session, &[&p[..]])).collect();
        let mut sent: Vec<Vec<u8>> = sent.drain(..).map(|r| r.to_vec()).collect();
        change(&mut sent);
        open(&mut far.session, &sent.concat())
    };
    assert_eq!(wrong(|_| {}), Ok(b"onetwosix".to_vec()));
    assert_eq!(wrong(|sent| sent.swap(0, 1)), Err(Broken), "reordered");
    assert_eq!(wrong(|sent| drop(sent.remove(1))), Err(Broken), "left out");
    assert_eq!(wrong(|sent| sent.insert(1, sent[0].clone())), Err(Broken), "twice");
    assert_eq!(wrong(|sent| sent[1][5] ^= 1), Err(Broken), "changed");
    assert_eq!(wrong(|sent| sent[1][0] -= 1), Err(Broken), "a shorter length");
    assert_eq!(wrong(|sent| sent[2][0] += 1), Ok(b"onetwo".to_vec()), "a part is waited for");
    assert_eq!(wrong(|sent| sent[0][..2].fill(0)), Err(Broken), "too short to be one");

    let ((mut near, _), _) = connect(&guard(&[1]), &guard(&[1]));
    let own = seal(&mut near.session, &[b"one"]);
    assert_eq!(open(&mut near.session, &own), Err(Broken), "given back");
}

#[test]
fn a_record_over_the_limit_is_not_waited_for() {
    let ((mut near, mut far), _) = connect(&guard(&[1]), &guard(&[1]));
    let sealed = seal(&mut near.session, &[&[0; 1000]]);
    let mut plain = BytesMut::new();
    let opened = far.session.open(&mut BytesMut::from(&sealed[..2]), &mut plain, 1000);
    assert_eq!(opened, Err(Broken));
}

#[test]
fn keys_change_on_long_connections() {
    let ((mut near, mut far), _) = connect(&guard(&[1]), &guard(&[1]));
    for session in [&mut near.session, &mut far.session] {
        noise(session).set_records_per_key(3);
    }
    for number in 0..100u32 {
        let sealed = seal(&mut near.session, &[&number.to_le_bytes()]);
        assert_eq!(open(&mut far.session, &sealed), Ok(number.to_le_bytes().to_vec()));
        // The other direction counts for itself.
        if number % 7 == 0 {
            let sealed = seal(&mut far.session, &[b"back"]);
            assert_eq!(open(&mut near.session, &sealed), Ok(b"back".to_vec()));
        }
    }
    // One side that does not change its key with the other is not understood.
    noise(&mut far.session).set_records_per_key(u64::MAX);
    let results: Vec<_> = (0..4)
        .map(|_| {
            let sealed = seal(&mut near.session, &[b"x"]);
            open(&mut far.session, &sealed).is_ok()
        })
        .collect();
    assert!(results.contains(&false));
}
