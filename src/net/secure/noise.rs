//! A secret that all nodes have: `Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s`.
//!
//! The dialler offers all its secrets, each by its id and with a first message of Noise; the
//! listener takes the first that it has too and goes on with that one. So nodes of which one knows
//! only an older secret still meet, in one connection, and one without any of the secrets is
//! refused before any public-key work is done for it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ring::hkdf::{KeyType, Prk, Salt, HKDF_SHA256};
use snow::{Builder, HandshakeState, TransportState};
use zeroize::Zeroizing;

use super::{spoken, Broken, CredentialId, CredentialsError, Failure, Proof, Shaken};
use crate::engine::wire::message::VERSION_MAJOR;

pub const SECRET_BYTES: usize = 32;
/// More are not needed to go from one to the next, and each offered costs the listener a look-up.
pub const SECRETS_MAX: usize = 4;
/// 32 random bytes have fewer different ones once in 10^14 times; a password has.
const DIFFERENT_BYTES_MIN: usize = 16;

/// What a dialler sends first.
pub const MAGIC: [u8; 4] = *b"CLIS";
/// Of what is in this file.
const HANDSHAKE_VERSION: u8 = 1;
/// The modes offered, a bit each. There is one so far; the byte is part of what both sides prove
/// to have seen, so that nobody between them can take one away.
const MODE_SECRET: u8 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 4;

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";
const ID_BYTES: usize = size_of::<CredentialId>();
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// e, and a tag.
const FIRST_BYTES: usize = KEY_BYTES + TAG_BYTES;
const OFFER_BYTES: usize = ID_BYTES + FIRST_BYTES;
/// Which offer, e, s with its tag, and a tag.
const SECOND_BYTES: usize = 1 + KEY_BYTES + KEY_BYTES + TAG_BYTES + TAG_BYTES;
/// s with its tag, and a tag.
const THIRD_BYTES: usize = KEY_BYTES + TAG_BYTES + TAG_BYTES;

/// The largest that Noise has.
const RECORD_BYTES_MAX: usize = 65_535;
const PLAIN_BYTES_MAX: usize = RECORD_BYTES_MAX - TAG_BYTES;
const LENGTH_BYTES: usize = 2;
/// Records under one key, each way. At most 1 GiB; on a link with nothing but heartbeats four hours
/// and a half.
const RECORDS_PER_KEY: u64 = 1 << 14;

/// The keys made of a node's secrets. What they were made of is not kept.
pub struct Secrets(Vec<Secret>);

struct Secret {
    id: CredentialId,
    psk: Zeroizing<[u8; KEY_BYTES]>,
}

impl Secrets {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, CredentialsError> {
        let mut made: Vec<Secret> = Vec::new();
        for secret in secrets {
            let secret = Secret::new(secret)?;
            if made.iter().any(|other| other.id == secret.id) {
                return Err(CredentialsError::Twice);
            }
            made.push(secret);
        }
        match made.len() {
            1..=SECRETS_MAX => Ok(Secrets(made)),
            _ => Err(CredentialsError::Count),
        }
    }

    pub fn first(&self) -> CredentialId {
        self.0[0].id
    }

    pub fn find(&self, id: CredentialId) -> Option<&[u8; KEY_BYTES]> {
        self.0.iter().find(|secret| secret.id == id).map(|secret| &*secret.psk)
    }
}

impl Secret {
    fn new(secret: &[u8]) -> Result<Self, CredentialsError> {
        if secret.len() != SECRET_BYTES {
            return Err(CredentialsError::Length(secret.len()));
        }
        let mut seen = [false; 256];
        secret.iter().for_each(|&byte| seen[usize::from(byte)] = true);
        if seen.iter().filter(|&&seen| seen).count() < DIFFERENT_BYTES_MIN {
            return Err(CredentialsError::NotRandom);
        }
        let prk = Salt::new(HKDF_SHA256, b"collective-io secret 1").extract(secret);
        let mut made = Secret { id: [0; ID_BYTES], psk: Zeroizing::new([0; KEY_BYTES]) };
        expand(&prk, b"id", &mut made.id);
        expand(&prk, b"psk", &mut made.psk[..]);
        Ok(made)
    }
}

fn expand(prk: &Prk, purpose: &[u8], into: &mut [u8]) {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    // Fails for more than 255 times the length of a hash alone.
    prk.expand(&[purpose], Length(into.len())).and_then(|okm| okm.fill(into)).expect("a short key");
}

/// The key pair that a node has as long as it lives, and that others know it by.
pub struct StaticKey {
    private: Zeroizing<Vec<u8>>,
}

impl StaticKey {
    /// # Panics
    ///
    /// If the system gives no random bytes.
    pub fn draw() -> Self {
        let pair = Builder::new(pattern()).generate_keypair().expect("random bytes");
        StaticKey { private: Zeroizing::new(pair.private) }
    }
}

/// One side of a handshake: how far it is.
pub struct Handshake(Stage);

enum Stage {
    /// A dialler that has sent nothing yet.
    Offering(Vec<Offer>),
    /// A dialler that waits for the answer to one of these.
    Offered(Vec<Offer>),
    /// A listener that waits for offers.
    Open {
        secrets: Arc<Secrets>,
        key: Arc<StaticKey>,
        cluster: Arc<str>,
    },
    /// A listener that has answered and waits for the last message.
    Answered(Box<Offer>),
    Over,
}

struct Offer {
    id: CredentialId,
    state: HandshakeState,
}

impl Handshake {
    pub fn dial(secrets: &Secrets, key: &StaticKey, cluster: &str) -> Self {
        let ids: Vec<_> = secrets.0.iter().map(|secret| secret.id).collect();
        let prologue = prologue(&header(ids.len()), &ids, cluster);
        let offer = |secret: &Secret| Offer {
            id: secret.id,
            state: begin(&secret.psk, key, &prologue, true),
        };
        let offers = secrets.0.iter().map(offer).collect();
        Handshake(Stage::Offering(offers))
    }

    pub fn answer(secrets: Arc<Secrets>, key: Arc<StaticKey>, cluster: Arc<str>) -> Self {
        Handshake(Stage::Open { secrets, key, cluster })
    }

    pub fn advance(
        &mut self,
        from: &mut BytesMut,
        into: &mut BytesMut,
    ) -> Result<Option<Shaken>, Failure> {
        if let Stage::Offering(_) = self.0 {
            self.offer(into);
        }
        match self.0 {
            Stage::Open { .. } => self.receive_offers(from, into).map(|()| None),
            Stage::Offered(_) => self.receive_answer(from, into),
            Stage::Answered(_) => self.receive_last(from),
            Stage::Offering(_) | Stage::Over => Ok(None),
        }
    }

    fn offer(&mut self, into: &mut BytesMut) {
        let Stage::Offering(mut offers) = std::mem::replace(&mut self.0, Stage::Over) else {
            return;
        };
        into.put_slice(&header(offers.len()));
        for offer in &mut offers {
            into.put_slice(&offer.id);
            write(&mut offer.state, FIRST_BYTES, into);
        }
        self.0 = Stage::Offered(offers);
    }

    fn receive_offers(&mut self, from: &mut BytesMut, into: &mut BytesMut) -> Result<(), Failure> {
        if from.iter().zip(&MAGIC).any(|(sent, expected)| sent != expected) {
            return spoken(from).map_or(Ok(()), |other| Err(Failure::OtherMode(other)));
        }
        let Some(header) = from.first_chunk::<HEADER_BYTES>() else { return Ok(()) };
        let [version, major, modes, count] = [header[4], header[5], header[6], header[7]];
        if version != HANDSHAKE_VERSION || u16::from(major) != VERSION_MAJOR {
            return Err(Failure::OtherVersion);
        }
        if modes & MODE_SECRET == 0 || !(1..=SECRETS_MAX).contains(&usize::from(count)) {
            return Err(Failure::NotGenuine);
        }
        let bytes = HEADER_BYTES + usize::from(count) * OFFER_BYTES;
        if from.len() < bytes {
            return Ok(());
        }
        let sent = from.split_to(bytes).freeze();
        let (header, offers) = sent.split_at(HEADER_BYTES);
        let stage = std::mem::replace(&mut self.0, Stage::Over);
        let Stage::Open { secrets, key, cluster } = stage else { return Ok(()) };

        let offers: Vec<(CredentialId, &[u8])> = offers
            .chunks_exact(OFFER_BYTES)
            .filter_map(|offer| offer.split_first_chunk().map(|(id, first)| (*id, first)))
            .collect();
        let known = offers.iter().zip(0u8..).find_map(|((id, first), place)| {
            secrets.find(*id).map(|psk| (place, *id, psk, *first))
        });
        let Some((place, id, psk, first)) = known else { return Err(Failure::UnknownSecret) };
        let ids: Vec<_> = offers.iter().map(|(id, _)| *id).collect();
        let mut state = begin(psk, &key, &prologue(header, &ids, &cluster), false);
        read(&mut state, first)?;
        into.put_u8(place);
        write(&mut state, SECOND_BYTES - 1, into);
        self.0 = Stage::Answered(Box::new(Offer { id, state }));
        Ok(())
    }

    fn receive_answer(
        &mut self,
        from: &mut BytesMut,
        into: &mut BytesMut,
    ) -> Result<Option<Shaken>, Failure> {
        let Stage::Offered(offers) = &mut self.0 else { return Ok(None) };
        let Some(&place) = from.first() else { return Ok(None) };
        let place = usize::from(place);
        if place >= offers.len() {
            return match spoken(from) {
                Some(other) => Err(Failure::OtherMode(other)),
                // The length of a frame or record says nothing yet.
                None if from.len() < SECOND_BYTES => Ok(None),
                None => Err(Failure::NotGenuine),
            };
        }
        if from.len() < SECOND_BYTES {
            return Ok(None);
        }
        let sent = from.split_to(SECOND_BYTES);
        let mut offer = offers.swap_remove(place);
        self.0 = Stage::Over;
        read(&mut offer.state, &sent[1..])?;
        write(&mut offer.state, THIRD_BYTES, into);
        offer.shaken().map(Some)
    }

    fn receive_last(&mut self, from: &mut BytesMut) -> Result<Option<Shaken>, Failure> {
        if from.len() < THIRD_BYTES {
            return Ok(None);
        }
        let Stage::Answered(mut offer) = std::mem::replace(&mut self.0, Stage::Over) else {
            return Ok(None);
        };
        let sent = from.split_to(THIRD_BYTES);
        read(&mut offer.state, &sent)?;
        offer.shaken().map(Some)
    }
}

impl Offer {
    fn shaken(self) -> Result<Shaken, Failure> {
        let key = self.state.get_remote_static().and_then(|key| key.try_into().ok());
        let key = key.ok_or(Failure::NotGenuine)?;
        let state = self.state.into_transport_mode().map_err(|_| Failure::NotGenuine)?;
        let proof = Proof { key, credential: self.id };
        Ok(Shaken { session: super::Session::Noise(Session::new(state)), proof })
    }
}

fn header(offers: usize) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, HANDSHAKE_VERSION, VERSION_MAJOR as u8, MODE_SECRET, offers as u8]
}

/// All that was said in the clear, and what both sides must know without saying it.
fn prologue(header: &[u8], ids: &[CredentialId], cluster: &str) -> Vec<u8> {
    [header, ids.as_flattened(), cluster.as_bytes()].concat()
}

fn pattern() -> snow::params::NoiseParams {
    PATTERN.parse().expect("a pattern that snow knows")
}

fn begin(psk: &[u8; KEY_BYTES], key: &StaticKey, prologue: &[u8], dialled: bool) -> HandshakeState {
    let builder = Builder::new(pattern())
        .local_private_key(&key.private)
        .and_then(|builder| builder.psk(0, psk))
        .and_then(|builder| builder.prologue(prologue));
    // Each was set once, and they have the lengths that they must have.
    let state = builder.and_then(|builder| match dialled {
        true => builder.build_initiator(),
        false => builder.build_responder(),
    });
    state.expect("sound parameters")
}

/// Appends the next message, which has no payload.
fn write(state: &mut HandshakeState, bytes: usize, into: &mut BytesMut) {
    let start = into.len();
    into.resize(start + bytes, 0);
    // It is our turn, there is room, and the system gives random bytes.
    let written = state.write_message(&[], &mut into[start..]).expect("a message");
    debug_assert_eq!(written, bytes);
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<(), Failure> {
    let mut payload = [0; FIRST_BYTES];
    state.read_message(message, &mut payload).map(|_| ()).map_err(|_| Failure::NotGenuine)
}

/// The traffic after the handshake: records of a length and what is sealed. The key changes every
/// [`RECORDS_PER_KEY`] records, in both directions by themselves.
pub struct Session {
    state: TransportState,
    sealed: u64,
    opened: u64,
    records_per_key: u64,
    /// Pieces joined for one record. Kept for its memory.
    joined: Vec<u8>,
}

impl Session {
    fn new(state: TransportState) -> Self {
        let records_per_key = RECORDS_PER_KEY;
        Session { state, sealed: 0, opened: 0, records_per_key, joined: Vec::new() }
    }

    #[cfg(test)]
    pub fn set_records_per_key(&mut self, records: u64) {
        self.records_per_key = records;
    }

    pub fn seal(
        &mut self,
        from: &mut VecDeque<Bytes>,
        into: &mut BytesMut,
        bytes_max: usize,
    ) -> usize {
        let mut bytes = 0;
        while !from.is_empty() && into.len() < bytes_max {
            // The hello goes by itself: who does not know us yet takes no more than that.
            let front = from[0].len();
            bytes += if self.sealed == 0 || from.len() == 1 || front >= PLAIN_BYTES_MAX {
                let piece = from[0].split_to(front.min(PLAIN_BYTES_MAX));
                self.seal_record(&piece, into)
            } else {
                let mut joined = std::mem::take(&mut self.joined);
                join(from, &mut joined);
                let plain = self.seal_record(&joined, into);
                self.joined = joined;
                plain
            };
            while from.front().is_some_and(Bytes::is_empty) {
                from.pop_front();
            }
        }
        bytes
    }

    fn seal_record(&mut self, plain: &[u8], into: &mut BytesMut) -> usize {
        let bytes = plain.len() + TAG_BYTES;
        into.put_u16_le(bytes as u16);
        let start = into.len();
        into.resize(start + bytes, 0);
        // There is room, and no link lives through 2^64 records.
        self.state.write_message(plain, &mut into[start..]).expect("a record");
        self.sealed += 1;
        if self.sealed.is_multiple_of(self.records_per_key) {
            self.state.rekey_outgoing();
        }
        plain.len()
    }

    pub fn open(
        &mut self,
        from: &mut BytesMut,
        into: &mut BytesMut,
        record_bytes_max: usize,
    ) -> Result<(), Broken> {
        while let Some(length) = from.first_chunk::<LENGTH_BYTES>() {
            let bytes = usize::from(u16::from_le_bytes(*length));
            if bytes < TAG_BYTES || bytes > record_bytes_max {
                return Err(Broken);
            }
            if from.len() < LENGTH_BYTES + bytes {
                return Ok(());
            }
            from.advance(LENGTH_BYTES);
            let record = from.split_to(bytes);
            let start = into.len();
            // Room for the tag as well, so that snow opens it in place.
            into.resize(start + bytes, 0);
            let opened = self.state.read_message(&record, &mut into[start..]);
            into.truncate(start + opened.map_err(|_| Broken)?);
            self.opened += 1;
            if self.opened.is_multiple_of(self.records_per_key) {
                self.state.rekey_incoming();
            }
        }
        Ok(())
    }
}

/// Moves what fits into a record to `joined`.
fn join(from: &mut VecDeque<Bytes>, joined: &mut Vec<u8>) {
    joined.clear();
    while let Some(front) = from.front_mut() {
        let left = PLAIN_BYTES_MAX - joined.len();
        joined.extend_from_slice(&front.split_to(front.len().min(left)));
        if !front.is_empty() {
            return;
        }
        from.pop_front();
    }
}
