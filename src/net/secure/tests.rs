//! Two sides of a handshake, and what somebody between them can do to the bytes.

use bytes::Buf;

use super::certificates::{Authority, Member, CLIENT, SERVER};
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
        Session::Tls(_) => panic!("TLS"),
    }
}

fn certified(member: &Member, names: &[&str]) -> Guard {
    Guard::new(member.credentials(names), CLUSTER)
}

/// Why one side refuses the other, and how many bytes it sends when it does.
fn refusal(dialler: &Guard, listener: &Guard) -> (Failure, usize) {
    let (mut near, mut far) = (dialler.handshake(true), listener.handshake(false));
    let (mut to_near, mut to_far) = (BytesMut::new(), BytesMut::new());
    loop {
        if let Err(failure) = near.advance(&mut to_near, &mut to_far) {
            return (failure, to_far.len());
        }
        if let Err(failure) = far.advance(&mut to_far, &mut to_near) {
            return (failure, to_near.len());
        }
        assert!(!to_near.is_empty(), "nobody refuses");
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
            assert!(!expected.credentials().is_outdated(shaken.proof.credential, true));
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
        (&[0x15, 3, 3, 0, 2, 2, 40], "speaks TLS"),
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
fn certificates_of_one_authority_are_enough() {
    let authority = Authority::new();
    let (a, b) = (authority.issue(&["a.example"]), authority.issue(&["b.example"]));
    let (a, b) = (certified(&a, &[]), certified(&b, &[]));
    let ((mut near, mut far), _) = connect(&a, &b);
    for _ in 0..3 {
        let sealed = seal(&mut near.session, &[b"hello", b"more"]);
        assert_eq!(open(&mut far.session, &sealed), Ok(b"hellomore".to_vec()));
        let sealed = seal(&mut far.session, &[b"back"]);
        assert_eq!(open(&mut near.session, &sealed), Ok(b"back".to_vec()));
    }
    // A node is known by the names in its certificate, also when that is made anew.
    let again = certified(&authority.issue(&["a.example"]), &[]);
    let ((_, same), _) = connect(&again, &b);
    assert_eq!(far.proof.key, same.proof.key);
    assert_ne!(far.proof.key, near.proof.key);
    assert!(!a.credentials().is_outdated(near.proof.credential, true));
    assert!(again.credentials().is_outdated(near.proof.credential, true));
    assert!(!again.credentials().is_outdated(near.proof.credential, false));
}

#[test]
fn other_certificates_are_refused_with_a_reason_on_one_side_alone() {
    let (authority, other) = (Authority::new(), Authority::new());
    let member = certified(&authority.issue(&["a.example"]), &[]);
    let choosy = certified(&authority.issue(&["c.example"]), &["c.example"]);
    let old = authority.issue_with(&["b.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    });
    let future = authority.issue(&[]).credentials_in(365 * 200, &[]).expect("good certificates");
    let future = Guard::new(future, CLUSTER);
    let stranger = other.issue(&["a.example"]).trusting(&authority);
    let named = authority.issue(&["b.example", "spiffe://example/b"]);
    for (stranger, refuser, expected) in [
        (stranger, &member, "it is of another authority"),
        (old, &future, "it has expired"),
        (named, &choosy, "it is for b.example, spiffe://example/b, and none"),
        (authority.issue(&[]), &choosy, "it has no name that is allowed"),
    ] {
        let stranger = certified(&stranger, &[]);
        for (dialler, listener) in [(&stranger, refuser), (refuser, &stranger)] {
            let (failure, sent) = refusal(dialler, listener);
            assert!(matches!(failure, Failure::Certificate(_)), "{failure:?}");
            assert!(failure.to_string().contains(expected), "{failure}");
            assert_eq!(sent, 0, "{failure}");
        }
    }
}

#[test]
fn names_may_be_of_every_kind() {
    let authority = Authority::new();
    let names = ["a.example", "10.1.2.3", "*.wild.example", "spiffe://example/ns/web"];
    let stranger = certified(&authority.issue(&names), &[]);
    let own = authority.issue(&["own.test"]);
    for (allowed, is_taken) in [
        ("a.example", true),
        ("A.EXAMPLE", true),
        ("b.example", false),
        ("10.1.2.3", true),
        ("10.1.2.4", false),
        ("x.wild.example", true),
        ("*.example", true),
        ("*.wild.example", true),
        ("*.other.example", false),
        ("spiffe://example/ns/web", true),
        ("spiffe://example/ns", false),
    ] {
        let guard = certified(&own, &[allowed, "own.test"]);
        let shaken = shake(&stranger, &guard, |_, _| {});
        assert_eq!(shaken.is_ok(), is_taken, "{allowed}");
    }
}

#[test]
fn a_certificate_that_is_for_clients_alone_is_no_nodes() {
    let authority = Authority::new();
    for (usages, is_taken) in
        [(vec![], true), (vec![SERVER], true), (vec![SERVER, CLIENT], true), (vec![CLIENT], false)]
    {
        let member = authority.issue_with(&["a.example"], |params| {
            params.extended_key_usages.clone_from(&usages);
        });
        assert_eq!(member.try_credentials(&[]).is_ok(), is_taken, "{usages:?}");
    }
}

#[test]
fn certificates_that_are_none_are_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.issue(&["a.example"]);
    let expired = authority.issue_with(&[], |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let pem =
        |kind: &str, text: &str| format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n");
    let with = |change: &dyn Fn(&mut Member)| {
        let mut member = good.clone();
        change(&mut member);
        member
    };
    let encrypted = pem("ENCRYPTED PRIVATE KEY", "AAAA");
    for (member, names, expected) in [
        (with(&|m| m.key = String::new()), vec![], "`tls.key` has no PEM"),
        (with(&|m| m.key = m.cert.clone()), vec![], "`tls.key` has no PEM"),
        (with(&|m| m.key = encrypted.clone()), vec![], "`tls.key` is encrypted"),
        (with(&|m| m.key = other.issue(&[]).key), vec![], "`tls.key` does not belong"),
        (with(&|m| m.cert = m.key.clone()), vec![], "`tls.cert` has no PEM"),
        (with(&|m| m.cert = pem("CERTIFICATE", "!")), vec![], "`tls.cert` is broken"),
        (with(&|m| m.ca = String::new()), vec![], "`tls.ca` has no PEM"),
        (with(&|m| m.ca = pem("CERTIFICATE", "AAAA")), vec![], "`tls.ca` has a certificate that"),
        (with(&|m| m.ca = other.pem()), vec![], "of another authority"),
        (expired, vec![], "it has expired"),
        (good.clone(), vec!["b.example"], "it is for a.example"),
        (good.clone(), vec!["not a name"], "`tls.names` has something"),
        (good.clone(), vec![""], "`tls.names` has something"),
    ] {
        let error = member.try_credentials(&names).err().expect("an error");
        assert_eq!(error.code(), "ERR_INVALID_CERTIFICATE");
        assert!(error.to_string().contains(expected), "{error}");
    }
    good.credentials(&["a.example"]);
}

#[test]
fn tls_handshakes_are_not_taken_twice_nor_changed() {
    let authority = Authority::new();
    let a = certified(&authority.issue(&["a.example"]), &[]);
    let b = certified(&authority.issue(&["b.example"]), &[]);
    let (_, record) = connect(&a, &b);
    let replayed = [&record.dialler[0][..], &record.dialler[1][..]].concat();
    assert!(receive(b.handshake(false), &replayed).is_err());
    assert!(receive(a.handshake(true), &record.listener[0]).is_err());
    assert!(receive(a.handshake(true), &record.dialler[0]).is_err(), "its own");
    assert!(receive(b.handshake(false), &record.dialler[1]).is_err(), "the last first");
    let lengths = [record.dialler[0].len(), record.listener[0].len(), record.dialler[1].len()];
    for (message, bytes) in lengths.into_iter().enumerate() {
        // All bytes go into one hash, so that a few stand for all. The version in the header of a
        // record says nothing.
        for at in (0..bytes).step_by(7).filter(|at| !(1..3).contains(at)) {
            let changed = shake(&a, &b, |number, bytes| {
                if number == message {
                    // A signature may be shorter than the one before.
                    let at = at.min(bytes.len() - 1);
                    bytes[at] ^= 0x40;
                }
            });
            assert!(changed.is_err(), "byte {at} of message {message}");
        }
    }
}

#[test]
fn tls_and_secrets_do_not_mix() {
    let member = certified(&Authority::new().issue(&["a.example"]), &[]);
    for (dialler, listener, expected) in
        [(&member, &guard(&[1]), "speaks TLS"), (&guard(&[1]), &member, "offers a secret")]
    {
        let refused = shake(dialler, listener, |_, _| {});
        assert_eq!(failed(refused), Failure::OtherMode(expected));
    }
    let hello = receive(member.handshake(false), &[40, 0, 0, 0, 1, b'C', b'L', b'I', b'O']);
    assert_eq!(failed(hello), Failure::OtherMode("speaks in the clear"));
}

#[test]
fn tls_records_are_few_taken_once_in_order_and_unchanged() {
    let authority = Authority::new();
    let a = certified(&authority.issue(&["a.example"]), &[]);
    let b = certified(&authority.issue(&["b.example"]), &[]);
    let count = |mut sealed: &[u8]| {
        let mut count = 0;
        while !sealed.is_empty() {
            sealed.advance(5 + usize::from(u16::from_be_bytes([sealed[3], sealed[4]])));
            count += 1;
        }
        count
    };
    let ((mut near, mut far), _) = connect(&a, &b);
    let hello = seal(&mut near.session, &[b"hello", b"more"]);
    assert_eq!(count(&hello), 2, "the hello goes alone");
    assert_eq!(open(&mut far.session, &hello), Ok(b"hellomore".to_vec()));
    let sealed = seal(&mut near.session, &[&[7; 1000][..]; 100]);
    assert!(count(&sealed) <= 8);
    assert_eq!(open(&mut far.session, &sealed), Ok([7; 100_000].to_vec()));
    let large: Vec<u8> = (0..1_000_000).map(|at| at as u8).collect();
    let sealed = seal(&mut near.session, &[&large[..], b"end"]);
    assert_eq!(open(&mut far.session, &sealed), Ok([&large[..], b"end"].concat()));

    let wrong = |change: fn(&mut Vec<BytesMut>)| {
        let ((mut near, mut far), _) = connect(&a, &b);
        let texts = [b"one", b"two", b"six"];
        let mut sent = texts.map(|text| seal(&mut near.session, &[&text[..]])).to_vec();
        change(&mut sent);
        open(&mut far.session, &sent.concat())
    };
    assert_eq!(wrong(|_| {}), Ok(b"onetwosix".to_vec()));
    assert_eq!(wrong(|sent| sent.swap(0, 1)), Err(Broken), "reordered");
    assert_eq!(wrong(|sent| drop(sent.remove(1))), Err(Broken), "left out");
    assert_eq!(wrong(|sent| sent.insert(1, sent[0].clone())), Err(Broken), "twice");
    assert_eq!(wrong(|sent| sent[1][9] ^= 1), Err(Broken), "changed");
    let own = seal(&mut near.session, &[b"one"]);
    assert_eq!(open(&mut near.session, &own), Err(Broken), "given back");
}

#[test]
fn tls_changes_keys_when_it_is_asked_to() {
    let authority = Authority::new();
    let a = certified(&authority.issue(&["a.example"]), &[]);
    let ((mut near, mut far), _) = connect(&a, &a);
    let Session::Tls(session) = &mut near.session else { panic!("no TLS") };
    session.change_keys();
    for _ in 0..2 {
        let sealed = seal(&mut near.session, &[b"on"]);
        assert_eq!(open(&mut far.session, &sealed), Ok(b"on".to_vec()));
        let sealed = seal(&mut far.session, &[b"back"]);
        assert_eq!(open(&mut near.session, &sealed), Ok(b"back".to_vec()));
    }
}

#[test]
fn a_connection_is_looked_at_again_when_authorities_change() {
    let (authority, other) = (Authority::new(), Authority::new());
    let a = certified(&authority.issue(&["a.example"]).trusting(&other), &[]);
    let b = certified(&other.issue(&["b.example"]).trusting(&authority), &[]);
    let ((near, _), _) = connect(&a, &b);
    let accepts =
        |credentials: &Credentials| credentials.accepts(near.proof.credential, &near.session);
    assert!(accepts(a.credentials()));
    assert!(accepts(&other.issue(&[]).credentials(&[])));
    assert!(!accepts(&authority.issue(&[]).credentials(&[])), "of another authority");
    let choosy = other.issue(&["c.example"]).credentials(&["c.example"]);
    assert!(!accepts(&choosy), "of another name");
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
