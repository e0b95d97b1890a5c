//! One connection: its handshake, if there is one; then a half that reads messages and a half that
//! writes what is queued.

use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot, Notify};
use tokio::time::{sleep_until, timeout_at, Instant};

use super::secure::{
    Broken, CredentialId, Credentials, Failure, Handshake, Proof, Session, Shaken,
};
use super::socket::{shutdown_write, OwnedReadHalf, OwnedWriteHalf, TcpStream};
use super::stats::Counters;
use super::system;
use crate::engine::wire::frame::{FrameDecoder, TooLarge};
use crate::engine::{CloseReason, LinkId};

/// All that a connection may send before its handshake is done.
pub(super) const HANDSHAKE_BYTES_MAX: usize = 8 << 10;
/// A buffer with less room than this gets a new piece of [`READ_BYTES`]. Not more often: a message
/// that is kept somewhere keeps its whole piece.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES: usize = 64 << 10;
/// Room for a hello, which is short.
const HELLO_BYTES: usize = 512;
/// Messages handed to the driver in one go, if so many are there.
pub(super) const MESSAGES_MAX: usize = 32;
/// Bytes written by the application's thread before the engine hears of it. Less than any amount
/// that it waits for.
const DRAINED_BYTES_MAX: usize = 16 << 10;
/// Pieces per system call. More would not make the call cheaper per piece.
const SLICES_MAX: usize = 256;
/// Room for what is sealed that an idle connection keeps.
const SEALED_BYTES_KEPT: usize = 16 << 10;

/// What a connection tells the driver, in order.
pub(super) enum Arrival {
    /// The handshake has led to something. The first one, of a connection that has a handshake.
    Shaken(LinkId, Proof),
    /// It has not. The only one.
    Refused(LinkId, Failure),
    Messages(LinkId, Vec<Bytes>),
    /// The last one. Not sent once the driver has told the connection to finish.
    Ended(LinkId, CloseReason),
}

/// What the driver has given to a connection and the socket has not taken.
///
/// The network thread writes it, or the application's thread a lone piece that it has caused itself
/// ([`Outbox::claim`]): never both at once. The lock is held for a few stores.
pub(super) struct Outbox {
    stream: OwnedWriteHalf,
    /// Seals what is written, of a connection that has a handshake: from its end on. Before that
    /// nothing is written.
    session: OnceLock<Arc<Mutex<Session>>>,
    state: Mutex<OutboxState>,
    filled: Notify,
    finishing: Notify,
    bytes_max: usize,
    /// Shared by all connections of a driver, which looks through them when one has written.
    progress: Arc<Notify>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct OutboxState {
    queue: Batch,
    /// Somebody is writing what he has taken from the queue, or would have put there.
    writing: bool,
    /// Queued or being written.
    bytes: usize,
    /// Written and not yet told to the engine.
    drained: usize,
    finish_by: Option<Instant>,
}

impl Outbox {
    /// `bytes_max` is above what the engine keeps to: going beyond it is a defect, and the
    /// connection's end rather than the memory's.
    pub fn new(
        stream: OwnedWriteHalf,
        bytes_max: usize,
        progress: Arc<Notify>,
        counters: Arc<Counters>,
    ) -> Self {
        Outbox {
            stream,
            session: OnceLock::new(),
            state: Mutex::default(),
            filled: Notify::new(),
            finishing: Notify::new(),
            bytes_max,
            progress,
            counters,
        }
    }

    /// `false`: full, nothing was queued.
    #[must_use]
    pub fn push(&self, frames: Bytes) -> bool {
        let mut state = self.state.lock();
        if state.bytes + frames.len() > self.bytes_max {
            return false;
        }
        if !frames.is_empty() {
            state.bytes += frames.len();
            self.counters.bytes_queued.fetch_add(frames.len(), Relaxed);
            state.queue.pieces.push_back(frames);
            self.filled.notify_one();
        }
        true
    }

    /// Lets the caller write these frames himself, with [`Outbox::write_claimed`], if nothing is
    /// before them. Whatever is pushed meanwhile comes after them.
    #[must_use]
    pub fn claim(&self, frames: &Bytes) -> bool {
        let mut state = self.state.lock();
        if state.writing || !state.queue.is_empty() || state.finish_by.is_some() {
            return false;
        }
        state.writing = true;
        state.bytes += frames.len();
        self.counters.bytes_queued.fetch_add(frames.len(), Relaxed);
        true
    }

    /// Writes what was claimed. What the socket does not take waits in the queue, its error too.
    pub fn write_claimed(&self, mut frames: Bytes) {
        let mut rest = Batch::default();
        let bytes = match self.session.get() {
            None => {
                let bytes = self.stream.try_write(&frames).unwrap_or(0);
                self.counters.bytes_out.fetch_add(bytes as u64, Relaxed);
                frames.advance(bytes);
                bytes
            }
            Some(_) => {
                rest.pieces.push_back(mem::take(&mut frames));
                self.write(&mut rest).unwrap_or(0)
            }
        };
        if !frames.is_empty() {
            rest.pieces.push_back(frames);
        }
        let mut state = self.state.lock();
        self.count_written(&mut state, bytes);
        state.writing = false;
        if !rest.is_empty() {
            rest.pieces.append(&mut state.queue.pieces);
            state.queue = rest;
        }
        if !state.queue.is_empty() || state.finish_by.is_some() {
            self.filled.notify_one();
        }
        // To tell the driver costs a wake-up of its thread: more than the write is worth, and the
        // engine only wants to know of large amounts soon.
        if state.drained >= DRAINED_BYTES_MAX {
            self.progress.notify_one();
        }
    }

    /// Nothing more will be pushed: write what is left, at most until then, and end.
    pub fn finish(&self, by: Instant) {
        self.state.lock().finish_by = Some(by);
        self.filled.notify_one();
        self.finishing.notify_one();
    }

    /// Bytes written since the last call.
    pub fn take_drained(&self) -> usize {
        mem::take(&mut self.state.lock().drained)
    }

    /// Whether the connection, made like this, may stay.
    pub fn is_accepted(&self, credentials: &Credentials, credential: CredentialId) -> bool {
        self.session.get().is_some_and(|own| credentials.accepts(credential, &own.lock()))
    }

    /// The handshake is done.
    fn seal(&self, session: Arc<Mutex<Session>>) {
        // Done once.
        let _ = self.session.set(session);
    }

    /// Writes some of what was taken, and tells how many bytes of the queue are out with that.
    fn write(&self, batch: &mut Batch) -> io::Result<usize> {
        let Some(session) = self.session.get() else {
            let bytes = write_pieces(&self.stream, &batch.pieces)?;
            self.counters.bytes_out.fetch_add(bytes as u64, Relaxed);
            advance(&mut batch.pieces, bytes);
            return Ok(bytes);
        };
        if batch.sealed.is_empty() {
            batch.sealed_of = session.lock().seal(&mut batch.pieces, &mut batch.sealed);
        }
        let bytes = self.stream.try_write(&batch.sealed)?;
        self.counters.bytes_out.fetch_add(bytes as u64, Relaxed);
        batch.sealed.advance(bytes);
        if !batch.sealed.is_empty() {
            return Ok(0);
        }
        if batch.sealed.capacity() > SEALED_BYTES_KEPT {
            batch.sealed = BytesMut::new();
        }
        Ok(mem::take(&mut batch.sealed_of))
    }

    /// Writes all of it.
    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn finish_by(&self) -> Option<Instant> {
        self.state.lock().finish_by
    }

    /// The network thread has written a part of what it has taken, or all of it.
    fn written(&self, bytes: usize, all: bool) {
        let mut state = self.state.lock();
        self.count_written(&mut state, bytes);
        state.writing = !all;
        self.progress.notify_one();
    }

    fn count_written(&self, state: &mut OutboxState, bytes: usize) {
        state.bytes -= bytes;
        state.drained += bytes;
        self.counters.bytes_queued.fetch_sub(bytes, Relaxed);
    }
}

/// What is to be written, in order: what is sealed, then the pieces.
#[derive(Default)]
struct Batch {
    sealed: BytesMut,
    /// How many bytes of pieces are in `sealed`.
    sealed_of: usize,
    pieces: VecDeque<Bytes>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.pieces.is_empty()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.counters.bytes_queued.fetch_sub(self.state.get_mut().bytes, Relaxed);
    }
}

/// What one connection needs.
pub(super) struct Connection {
    pub link: LinkId,
    pub stream: OwnedReadHalf,
    pub outbox: Arc<Outbox>,
    /// `None`: everything goes in the clear.
    pub handshake: Option<Handshake>,
    pub arrivals: mpsc::Sender<Arrival>,
    /// Given when the engine has accepted the first message.
    pub admitted: oneshot::Receiver<()>,
    pub message_bytes_max: usize,
    pub counters: Arc<Counters>,
}

impl Connection {
    /// Ends when the socket does, or when the outbox was told to finish.
    pub async fn run(self) {
        let Connection {
            link,
            stream,
            outbox,
            handshake,
            arrivals,
            admitted,
            message_bytes_max,
            counters,
        } = self;
        let mut reader = Reader {
            link,
            stream,
            session: None,
            sealed: BytesMut::new(),
            outbox: &outbox,
            arrivals: &arrivals,
            counters: &counters,
            seen: 0,
        };
        if let Some(handshake) = handshake {
            // Apart, so that a connection in the clear has no room for it.
            let shaken = Box::pin(async {
                tokio::select! {
                    shaken = reader.shake_hands(handshake) => Some(shaken),
                    () = outbox.finishing.notified() => None,
                }
            });
            // The driver that these are sent to may be gone.
            match shaken.await {
                Some(Ok(proof)) => {
                    let _ = arrivals.send(Arrival::Shaken(link, proof)).await;
                }
                Some(Err(failure)) => {
                    let _ = arrivals.send(Arrival::Refused(link, failure)).await;
                    return;
                }
                None => return,
            }
        }
        let read = async {
            let reason = reader.read_messages(admitted, message_bytes_max).await;
            if outbox.finish_by().is_some() {
                // The peer has nothing more to say; what we have said may still go out.
                pending::<()>().await;
            }
            Some(reason)
        };
        let overdue = async {
            outbox.finishing.notified().await;
            if let Some(by) = outbox.finish_by() {
                sleep_until(by).await;
            }
            None
        };
        let lost = tokio::select! {
            lost = read => lost,
            lost = write_queue(&outbox) => lost,
            lost = overdue => lost,
        };
        match (lost, outbox.finish_by()) {
            (Some(reason), None) => {
                // Fails only when the driver is gone.
                let _ = arrivals.send(Arrival::Ended(link, reason)).await;
            }
            (None, Some(by)) => part(outbox.stream.as_ref(), by).await,
            _ => {}
        }
    }
}

struct Reader<'a> {
    link: LinkId,
    stream: OwnedReadHalf,
    /// Opens what is read.
    session: Option<Arc<Mutex<Session>>>,
    /// Read and not opened.
    sealed: BytesMut,
    outbox: &'a Outbox,
    arrivals: &'a mpsc::Sender<Arrival>,
    counters: &'a Counters,
    /// Bytes read.
    seen: usize,
}

impl Reader<'_> {
    async fn shake_hands(&mut self, mut handshake: Handshake) -> Result<Proof, Failure> {
        let lost = |error| Failure::Lost(system::code(&error));
        let mut sending = BytesMut::new();
        loop {
            let shaken = handshake.advance(&mut self.sealed, &mut sending)?;
            self.outbox.write_all(&sending).await.map_err(lost)?;
            self.counters.bytes_out.fetch_add(sending.len() as u64, Relaxed);
            sending.clear();
            if let Some(Shaken { session, proof }) = shaken {
                let session = Arc::new(Mutex::new(session));
                self.outbox.seal(Arc::clone(&session));
                self.session = Some(session);
                return Ok(proof);
            }
            let left = HANDSHAKE_BYTES_MAX - self.seen;
            if left == 0 {
                return Err(Failure::TooLarge(HANDSHAKE_BYTES_MAX));
            }
            self.sealed.reserve(HELLO_BYTES.min(left));
            let mut buffer = (&mut self.sealed).limit(left);
            match self.stream.read_buf(&mut buffer).await.map_err(lost)? {
                0 => return Err(Failure::Ended),
                bytes => self.count_read(bytes),
            }
        }
    }

    async fn read_messages(
        mut self,
        admitted: oneshot::Receiver<()>,
        message_bytes_max: usize,
    ) -> CloseReason {
        let mut decoder = FrameDecoder::new(HANDSHAKE_BYTES_MAX);
        let mut admitted = Some(admitted);
        loop {
            match decoder.next_message() {
                Err(TooLarge { limit }) => return CloseReason::TooLarge { limit },
                Ok(Some(message)) => {
                    let mut messages = vec![message];
                    // Nobody knows yet how large a stranger's second message may be.
                    if admitted.is_none() {
                        while messages.len() < MESSAGES_MAX {
                            let Ok(Some(next)) = decoder.next_message() else { break };
                            messages.push(next);
                        }
                    }
                    self.counters.frames_in.fetch_add(messages.len() as u64, Relaxed);
                    // Waits while the driver has enough to do: the socket's buffer fills, and the
                    // peer waits too.
                    if self.arrivals.send(Arrival::Messages(self.link, messages)).await.is_err() {
                        return CloseReason::Closing;
                    }
                    if let Some(verdict) = admitted.take() {
                        if verdict.await.is_err() {
                            // Refused; the writing half ends the connection.
                            pending::<()>().await;
                        }
                        decoder.set_message_bytes_max(message_bytes_max);
                    }
                }
                Ok(None) => {
                    if let Err(reason) = self.read(&mut decoder, admitted.is_some()).await {
                        return reason;
                    }
                }
            }
        }
    }

    /// Reads what is there, at least a byte. Unlike `try_read` this knows from a buffer not filled
    /// that the socket is empty, and spares the system call that would say so.
    async fn read(
        &mut self,
        decoder: &mut FrameDecoder,
        stranger: bool,
    ) -> Result<(), CloseReason> {
        let Some(session) = self.session.clone() else {
            let buffer = decoder.buffer();
            let limit = make_room(buffer, stranger, self.seen)?;
            let mut buffer = buffer.limit(limit);
            let bytes = self.stream.read_buf(&mut buffer).await.map_err(lost)?;
            return self.arrived(bytes);
        };
        let record_bytes_max = if stranger { HANDSHAKE_BYTES_MAX } else { usize::MAX };
        let before = decoder.buffer().len();
        loop {
            // What came right behind the handshake is there already.
            let opened = session.lock().open(&mut self.sealed, decoder.buffer(), record_bytes_max);
            opened.map_err(|Broken| CloseReason::Corrupt)?;
            if decoder.buffer().len() > before {
                return Ok(());
            }
            let limit = make_room(&mut self.sealed, stranger, self.seen)?;
            let mut buffer = (&mut self.sealed).limit(limit);
            let bytes = self.stream.read_buf(&mut buffer).await.map_err(lost)?;
            self.arrived(bytes)?;
        }
    }

    fn arrived(&mut self, bytes: usize) -> Result<(), CloseReason> {
        if bytes == 0 {
            return Err(CloseReason::Lost("the peer closed it".into()));
        }
        self.count_read(bytes);
        Ok(())
    }

    fn count_read(&mut self, bytes: usize) {
        self.seen = self.seen.saturating_add(bytes);
        self.counters.bytes_in.fetch_add(bytes as u64, Relaxed);
    }
}

/// Makes room to read into, and tells how much of it may be used. `seen`: read before.
fn make_room(buffer: &mut BytesMut, stranger: bool, seen: usize) -> Result<usize, CloseReason> {
    if stranger {
        let left = HANDSHAKE_BYTES_MAX - seen;
        if left == 0 {
            return Err(CloseReason::TooLarge { limit: HANDSHAKE_BYTES_MAX });
        }
        buffer.reserve(HELLO_BYTES.min(left));
        return Ok(left);
    }
    if buffer.capacity() - buffer.len() < READ_BYTES_MIN {
        buffer.reserve(READ_BYTES);
    }
    Ok(usize::MAX)
}

/// Returns the reason the socket failed, or `None` when everything is written and the outbox was
/// told to finish.
async fn write_queue(outbox: &Outbox) -> Option<CloseReason> {
    let mut batch = Batch::default();
    loop {
        if batch.is_empty() {
            let finishing = {
                let mut state = outbox.state.lock();
                if !state.writing {
                    mem::swap(&mut state.queue, &mut batch);
                    state.writing = !batch.is_empty();
                }
                state.finish_by.is_some() && !state.writing
            };
            if batch.is_empty() {
                if finishing {
                    return None;
                }
                outbox.filled.notified().await;
                continue;
            }
        }
        if let Err(error) = outbox.stream.writable().await {
            return Some(lost(error));
        }
        match outbox.write(&mut batch) {
            Ok(bytes) => outbox.written(bytes, batch.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Some(lost(error)),
        }
    }
}

fn write_pieces(stream: &OwnedWriteHalf, pieces: &VecDeque<Bytes>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let count = pieces.len().min(SLICES_MAX);
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
    }
    stream.try_write_vectored(&slices[..count])
}

fn advance(pieces: &mut VecDeque<Bytes>, mut bytes: usize) {
    while let Some(front) = pieces.front_mut() {
        if front.len() > bytes {
            front.advance(bytes);
            return;
        }
        bytes -= front.len();
        pieces.pop_front();
    }
}

/// Says that nothing more comes, and waits for the peer to say the same. Closing with bytes unread
/// would reset the connection, and a reset may overtake what we wrote.
async fn part(stream: &TcpStream, by: Instant) {
    if shutdown_write(stream).is_err() {
        return;
    }
    let drain = async {
        let mut scrap = [0; 512];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scrap) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    let _ = timeout_at(by, drain).await;
}

fn lost(error: io::Error) -> CloseReason {
    CloseReason::Lost(system::code(&error).to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::time::Duration;

    use bytes::BytesMut;
    use tokio::time::timeout;

    use super::*;
    use crate::engine::wire::frame;
    use crate::net::runtime;

    const PATIENCE: Duration = Duration::from_secs(10);
    const MESSAGE_BYTES_MAX: usize = 1 << 20;

    /// A running connection, and the plain socket at its other end.
    struct Fixture {
        outbox: Arc<Outbox>,
        counters: Arc<Counters>,
        arrivals: mpsc::Receiver<Arrival>,
        admit: Option<oneshot::Sender<()>>,
        /// Arrived and not asked for.
        messages: VecDeque<Bytes>,
        peer: std::net::TcpStream,
    }

    impl Fixture {
        fn new(arrivals_max: usize, bytes_max: usize) -> Self {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("an address");
            let peer = std::net::TcpStream::connect(address).expect("a connection");
            peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_nonblocking(true).expect("a mode");

            let counters = Arc::<Counters>::default();
            let guard = runtime::handle().enter();
            let (stream, writing) = TcpStream::from_std(stream).expect("a stream").into_split();
            drop(guard);
            let progress = Arc::default();
            let outbox = Outbox::new(writing, bytes_max, progress, Arc::clone(&counters));
            let outbox = Arc::new(outbox);
            let (sender, arrivals) = mpsc::channel(arrivals_max);
            let (admit, admitted) = oneshot::channel();
            let connection = Connection {
                link: LinkId(1),
                stream,
                outbox: Arc::clone(&outbox),
                handshake: None,
                arrivals: sender,
                admitted,
                message_bytes_max: MESSAGE_BYTES_MAX,
                counters: Arc::clone(&counters),
            };
            runtime::handle().spawn(connection.run());
            let messages = VecDeque::new();
            Fixture { outbox, counters, arrivals, admit: Some(admit), messages, peer }
        }

        fn next(&mut self) -> Arrival {
            let next = async { timeout(PATIENCE, self.arrivals.recv()).await };
            runtime::handle().block_on(next).expect("an arrival in time").expect("an arrival")
        }

        fn message(&mut self) -> Bytes {
            if self.messages.is_empty() {
                match self.next() {
                    Arrival::Messages(_, messages) => self.messages.extend(messages),
                    Arrival::Ended(_, reason) => panic!("ended: {reason}"),
                    Arrival::Shaken(..) | Arrival::Refused(..) => panic!("a handshake"),
                }
            }
            self.messages.pop_front().expect("no arrival is empty")
        }

        fn end(&mut self) -> CloseReason {
            loop {
                if let Arrival::Ended(_, reason) = self.next() {
                    return reason;
                }
            }
        }

        fn admit(&mut self) {
            let admit = self.admit.take().expect("admitted once");
            admit.send(()).expect("a reader that waits");
        }
    }

    fn framed(message: &[u8]) -> BytesMut {
        let mut frames = BytesMut::new();
        frame::encode(message, &mut frames);
        frames
    }

    #[test]
    fn what_is_queued_is_written_in_order_and_then_the_connection_ends() {
        let mut fixture = Fixture::new(1, 1 << 20);
        let mut expected = Vec::new();
        for number in 0..2000u32 {
            let piece = number.to_le_bytes().repeat(1 + number as usize % 50);
            expected.extend_from_slice(&piece);
            assert!(fixture.outbox.push(piece.into()));
        }
        fixture.outbox.finish(Instant::now() + PATIENCE);
        let mut read = Vec::new();
        fixture.peer.read_to_end(&mut read).expect("an orderly end");
        assert!(read == expected);
        assert_eq!(fixture.outbox.take_drained(), expected.len());
        assert_eq!(fixture.counters.bytes_queued.load(Relaxed), 0);
    }

    #[test]
    fn what_is_pushed_during_a_claim_comes_after_it() {
        let mut fixture = Fixture::new(1, 1 << 20);
        let claimed = Bytes::from_static(b"first, ");
        assert!(fixture.outbox.claim(&claimed));
        assert!(!fixture.outbox.claim(&claimed));
        assert!(fixture.outbox.push(Bytes::from_static(b"second")));
        assert!(!fixture.outbox.claim(&claimed));
        fixture.outbox.finish(Instant::now() + PATIENCE);
        fixture.outbox.write_claimed(claimed);
        let mut read = Vec::new();
        fixture.peer.read_to_end(&mut read).expect("an orderly end");
        assert_eq!(read, b"first, second");
        assert_eq!(fixture.outbox.take_drained(), read.len());
        assert_eq!(fixture.counters.bytes_queued.load(Relaxed), 0);
    }

    #[test]
    fn the_rest_of_a_claim_waits_for_the_socket() {
        let mut fixture = Fixture::new(1, usize::MAX);
        let much = Bytes::from(vec![7; 16 << 20]);
        assert!(fixture.outbox.claim(&much));
        fixture.outbox.write_claimed(much.clone());
        assert!(fixture.counters.bytes_queued.load(Relaxed) > 0);
        assert!(!fixture.outbox.claim(&much));
        fixture.outbox.finish(Instant::now() + PATIENCE);
        let mut read = Vec::new();
        fixture.peer.read_to_end(&mut read).expect("an orderly end");
        assert!(read == much);
    }

    #[test]
    fn a_full_outbox_takes_nothing() {
        let fixture = Fixture::new(1, 10);
        assert!(!fixture.outbox.push(Bytes::from_static(&[0; 11])));
        assert_eq!(fixture.counters.bytes_queued.load(Relaxed), 0);
    }

    #[test]
    fn a_finish_does_not_wait_for_a_peer_that_does_not_read() {
        let mut fixture = Fixture::new(1, usize::MAX);
        let much = vec![7; 64 << 20];
        assert!(fixture.outbox.push(much.into()));
        fixture.outbox.finish(Instant::now());
        let mut read = Vec::new();
        // A reset is an end as well.
        let _ = fixture.peer.read_to_end(&mut read);
        assert!(read.len() < 64 << 20);
    }

    #[test]
    fn a_stranger_is_read_no_further_than_his_first_message() {
        let mut fixture = Fixture::new(10, 10);
        let large = vec![9; MESSAGE_BYTES_MAX];
        let mut bytes = framed(b"hello");
        bytes.extend_from_slice(&framed(&large));
        let mut writer = fixture.peer.try_clone().expect("a handle");
        let writing = std::thread::spawn(move || writer.write_all(&bytes));

        assert_eq!(fixture.message(), "hello");
        assert!(fixture.counters.bytes_in.load(Relaxed) <= HANDSHAKE_BYTES_MAX as u64);
        fixture.admit();
        assert!(fixture.message() == large);
        writing.join().expect("a writer").expect("all written");
    }

    #[test]
    fn a_stranger_who_drips_parts_gets_no_more_than_the_limit() {
        let mut fixture = Fixture::new(10, 10);
        let part = [1, 0, 0, 0x80, b'x'];
        // The connection may be gone before all is written.
        let _ = fixture.peer.write_all(&part.repeat(HANDSHAKE_BYTES_MAX));
        assert_eq!(fixture.end(), CloseReason::TooLarge { limit: HANDSHAKE_BYTES_MAX });
        assert!(fixture.counters.bytes_in.load(Relaxed) <= HANDSHAKE_BYTES_MAX as u64);
    }

    #[test]
    fn a_refused_stranger_still_gets_the_farewell() {
        let mut fixture = Fixture::new(10, 10);
        fixture.peer.write_all(&framed(b"hello")).expect("written");
        assert_eq!(fixture.message(), "hello");
        assert!(fixture.outbox.push(Bytes::from_static(b"go away")));
        fixture.outbox.finish(Instant::now() + PATIENCE);
        fixture.admit = None;
        let mut read = Vec::new();
        fixture.peer.read_to_end(&mut read).expect("an orderly end");
        assert_eq!(read, b"go away");
    }

    #[test]
    fn a_driver_that_is_busy_slows_the_peer_down() {
        let mut fixture = Fixture::new(1, 10);
        fixture.peer.write_all(&framed(b"hello")).expect("written");
        assert_eq!(fixture.message(), "hello");
        fixture.admit();
        let timeout = Some(Duration::from_millis(300));
        fixture.peer.set_write_timeout(timeout).expect("a timeout");
        let message = framed(&[5; 1000]);
        // Beyond what the two sockets hold, the peer cannot write.
        let blocked = (0..100_000).any(|_| fixture.peer.write_all(&message).is_err());
        assert!(blocked);
        assert!(fixture.counters.bytes_in.load(Relaxed) < 1 << 20);
    }

    #[test]
    fn the_end_comes_after_the_messages() {
        let mut fixture = Fixture::new(1, 10);
        for text in ["hello", "one", "two"] {
            fixture.peer.write_all(&framed(text.as_bytes())).expect("written");
        }
        fixture.peer.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(fixture.message(), "hello");
        fixture.admit();
        assert_eq!(fixture.message(), "one");
        assert_eq!(fixture.message(), "two");
        assert!(matches!(fixture.end(), CloseReason::Lost(_)));
    }
}
