//! The loop of one node: everything that can happen to it, each in one short arm.
//!
//! After each input the engine's outputs are drained and performed. Nothing here waits for a peer:
//! what is to be sent goes to the connection's outbox, what arrives comes through one bounded
//! channel on which the reading halves wait.

use std::collections::BTreeMap;
use std::future::{pending, Future};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{pin, Pin};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, Notify, Semaphore};
use tokio::task::{yield_now, AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{sleep_until, Instant};

use super::connection::{Arrival, Connection, Outbox};
use super::dialer::{dial, DialError, Dialled, DIALS_MAX};
use super::events::{NodeEvent, Ring};
use super::listener::{advertised, is_local, Listen, ListenFailure, Listener};
use super::options::split_address;
use super::secure::{Credentials, Failure, Guard, Identities, Proof};
use super::shared::{Core, Shared, Stage};
use super::socket::TcpStream;
use super::{runtime, system, ERR_CREDENTIALS_REMOVED, ERR_IDENTITY_MISMATCH, ERR_INTERNAL};
use crate::engine::wire::message::{self, Hello};
use crate::engine::{
    Address, CloseReason, Command, Config, Event, Input, LinkId, NodeId, Now, Output, ReplicaId,
};

/// Outputs taken per hold of the engine's lock: JavaScript may be waiting for it.
const OUTPUTS_PER_HOLD: usize = 64;
/// Bytes of messages given to the engine in one hold, unless one alone is larger.
const BYTES_PER_HOLD: usize = 16 << 10;
/// Batches of messages read and not handled. Enough to keep the engine busy while the readers take their
/// turns; each may be as large as a message can be.
const ARRIVALS_MAX: usize = 32;
/// Connections from others before their handshake. A stranger who opens more only replaces his own.
pub(super) const STRANGERS_MAX: usize = 64;
/// Connections that are told to finish and still write. Beyond these they are cut.
const FINISHING_MAX: usize = 64;
/// How long a connection that ends may go on writing, and the end of a node with it.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);
/// Messages that may wait for a socket beyond the engine's own limit, which it may exceed by what
/// it sends whatever the queue is (digests, farewells).
const SPARE_MESSAGES: usize = 4;
/// Refused because of [`STRANGERS_MAX`].
const ERR_BUSY: &str = "ERR_BUSY";

type Opening = Pin<Box<dyn Future<Output = Result<Option<Listener>, ListenFailure>> + Send>>;

pub(super) struct Driver {
    shared: Arc<Shared>,
    /// `None`: everybody may come, and all goes in the clear.
    guard: Option<Guard>,
    identities: Identities,
    message_bytes_max: usize,
    queue_bytes_max: usize,
    handshake_timeout: Duration,

    /// Until the node listens, or knows that it need not. The engine's timers rest meanwhile.
    opening: Option<Opening>,
    connect: Vec<Address>,
    /// Who looks on is told at once if it cannot: it has one address, and is ready for nothing else.
    announces: bool,
    listener: Option<Listener>,
    /// Until a node that was opened without listening listens, and on which host.
    late_opening: Option<(String, Opening)>,
    /// The advertised address, as the application gave it.
    advertised: Option<Address>,

    next_link: u64,
    links: BTreeMap<LinkId, Link>,
    /// Those of `links` that have not passed the handshake, the oldest first.
    strangers: BTreeMap<LinkId, Stranger>,
    /// Addresses whose nodes have failed the handshake, by the code that was told.
    mistrusted: BTreeMap<Address, &'static str>,
    /// Links that end then unless others take their place: what they were made with is not accepted
    /// any more.
    expiring: BTreeMap<LinkId, Instant>,
    /// Links whose outbox ran over, to be cut.
    overfull: Vec<LinkId>,
    peers: BTreeMap<ReplicaId, (NodeId, Option<Address>)>,

    arrivals: mpsc::Receiver<Arrival>,
    arrived: mpsc::Sender<Arrival>,
    /// Some outbox has written.
    progress: Arc<Notify>,
    connections: JoinSet<()>,
    dials: JoinSet<Dialled>,
    dial_slots: Arc<Semaphore>,

    /// Kept for its memory.
    outputs: Vec<Output>,
    /// The last hold took as many outputs as it may.
    more: bool,
    /// When the engine wants to be called.
    wake_at: Option<Instant>,
    flushers: Vec<std::sync::mpsc::SyncSender<()>>,
    /// The engine was told that this node leaves: nothing new begins.
    leaving: bool,
    close_by: Option<Instant>,
}

struct Link {
    outbox: Arc<Outbox>,
    task: AbortHandle,
    dialled: bool,
    /// What the other side has proved, if this node asks for that.
    proof: Option<Proof>,
}

struct Stranger {
    came: Came,
    /// The engine does not know of it before it has proved that it belongs.
    proves: bool,
    overdue_at: Instant,
    admit: oneshot::Sender<()>,
}

/// How a connection came to be.
enum Came {
    Dialled(Address),
    Accepted(Option<SocketAddr>),
}

impl Stranger {
    fn is_inbound(&self) -> bool {
        matches!(self.came, Came::Accepted(_))
    }
}

impl Driver {
    pub fn new(
        shared: Arc<Shared>,
        config: &Config,
        credentials: Option<Credentials>,
        advertised: Option<Address>,
        listen: Option<Listen>,
        connect: Vec<Address>,
    ) -> Self {
        let message_bytes_max = config.message_bytes_max();
        let opening = async move {
            match listen {
                Some(listen) => listen.open().await.map(Some),
                None => Ok(None),
            }
        };
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        Driver {
            shared,
            guard: credentials.map(|credentials| Guard::new(credentials, &config.cluster)),
            identities: Identities::default(),
            message_bytes_max,
            queue_bytes_max: config.queue_bytes_max + SPARE_MESSAGES * message_bytes_max,
            handshake_timeout: Duration::from_millis(config.handshake_timeout_ms),
            opening: Some(Box::pin(opening)),
            connect,
            announces: config.observer,
            listener: None,
            late_opening: None,
            advertised,
            next_link: 1,
            links: BTreeMap::new(),
            strangers: BTreeMap::new(),
            mistrusted: BTreeMap::new(),
            expiring: BTreeMap::new(),
            overfull: Vec::new(),
            peers: BTreeMap::new(),
            arrivals,
            arrived,
            progress: Arc::default(),
            connections: JoinSet::new(),
            dials: JoinSet::new(),
            dial_slots: Arc::new(Semaphore::new(DIALS_MAX)),
            outputs: Vec::with_capacity(OUTPUTS_PER_HOLD),
            more: false,
            wake_at: None,
            flushers: Vec::new(),
            leaving: false,
            close_by: None,
        }
    }

    /// Runs until the node is closed or destroyed. A panic is one way to be destroyed.
    pub async fn run(self) {
        let shared = Arc::clone(&self.shared);
        let ended = AssertUnwindSafe(self.drive()).catch_unwind().await;
        if ended.is_err() {
            shared.fail("this node");
        }
        shared.end();
    }

    async fn drive(mut self) {
        let mut sleep = pin!(sleep_until(Instant::now()));
        while let Some(deadline) = self.settle() {
            if let Deadline::At(deadline) = deadline {
                if sleep.deadline() != deadline {
                    sleep.as_mut().reset(deadline);
                }
            }
            tokio::select! {
                () = self.shared.poked() => self.turn(None),
                Some(arrival) = self.arrivals.recv() => self.handle_arrivals(arrival),
                () = self.progress.notified() => self.report_drained(),
                () = &mut sleep, if deadline != Deadline::None => self.turn(None),
                opened = opened(&mut self.opening) => self.handle_opened(opened),
                opened = opened_late(&mut self.late_opening) => self.handle_opened_late(opened),
                accepted = accepted(&mut self.listener) => self.handle_accepted(accepted),
                Some(dialled) = self.dials.join_next() => self.handle_dialled(dialled),
                Some(ended) = self.connections.join_next_with_id() => self.handle_task_end(ended),
                // Lets the connections write before the engine gives more.
                () = yield_now(), if self.more => self.turn(None),
            }
        }
        self.listener = None;
        self.dials.shutdown().await;
        self.connections.shutdown().await;
    }

    fn turn(&mut self, input: Option<Input>) {
        self.turn_with(input);
    }

    /// One hold of the engine: these inputs, few, and a bounded number of outputs.
    fn turn_with(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let mut outputs = mem::take(&mut self.outputs);
        let driving = self.opening.is_none() && !self.leaving;
        let busy_ms = |now| self.shared.busy_ms(now);
        self.wake_at = self.shared.hold(|core, now| {
            for input in inputs {
                core.engine.handle_input(now, input);
            }
            let due = |at| at <= now.monotonic_ms;
            core.engine.set_busy_ms(busy_ms(now));
            if driving && core.engine.poll_timeout().is_some_and(due) {
                core.engine.handle_timeout(now);
            }
            while outputs.len() < OUTPUTS_PER_HOLD {
                let Some(output) = core.poll_output(now) else { break };
                outputs.push(output);
            }
            self.shared.performing.store(!outputs.is_empty(), Relaxed);
            let wake_at = core.engine.poll_timeout().filter(|_| driving);
            core.armed = if driving { wake_at.unwrap_or(u64::MAX) } else { 0 };
            wake_at.map(runtime::instant)
        });
        self.more = outputs.len() == OUTPUTS_PER_HOLD;
        for output in outputs.drain(..) {
            self.perform(output);
        }
        self.shared.performing.store(false, Release);
        self.outputs = outputs;
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { link, frames } => {
                let Some(open) = self.links.get(&link) else { return };
                self.shared.counters.frames_out.fetch_add(1, Relaxed);
                if !open.outbox.push(frames) {
                    self.overfull.push(link);
                }
            }
            Output::Close { link, reason } => {
                if let Some(open) = self.forget(link, reason.code()) {
                    self.finish(open);
                }
            }
            Output::Dial { address } => {
                if !self.leaving {
                    self.dials.spawn(dial(address, Arc::clone(&self.dial_slots)));
                }
            }
            Output::Event(event) => self.tell(event),
        }
    }

    fn tell(&mut self, event: Event) {
        let event = match event {
            Event::Touched => return self.shared.events.touch(),
            Event::Items { urgent } => return self.shared.events.items(urgent, Instant::now()),
            Event::ConnectFailed { address, code } => connect_failed(&address, code),
            Event::MadeAgain { .. } => return,
            Event::Ready => NodeEvent::Ready,
            Event::Warning { code, peer, detail } => {
                NodeEvent::Warning { code: code.code(), message: detail, peer }
            }
            Event::PeerUp { peer, node, profile, advertised, dialled, observer } => {
                let address = dialled.or_else(|| advertised.clone());
                self.peers.insert(peer, (node, address.clone()));
                NodeEvent::PeerUp { peer, node, profile, address, advertised, observer }
            }
            Event::Replicated { wait, peers } => NodeEvent::Replicated { wait, peers: peers.len() },
            Event::PeerBusy { peer } => NodeEvent::PeerBusy { peer },
            Event::PeerDown { peer, reason } => {
                let address = self.peers.remove(&peer).and_then(|(_, address)| address);
                NodeEvent::PeerDown { peer, address, code: reason.code() }
            }
        };
        self.shared.events.push(event);
    }

    /// Does what is due before the loop waits, and says until when it may. `None`: the end.
    fn settle(&mut self) -> Option<Deadline> {
        #[cfg(debug_assertions)]
        assert!(!self.shared.broken.load(Relaxed), "for a test");
        match self.shared.stage() {
            Stage::Open => {}
            Stage::Closing => self.begin_close(),
            Stage::Destroying | Stage::Ended => return None,
        }
        if let Some(listen) = self.shared.take_listen().filter(|_| !self.leaving) {
            let host = listen.host().to_owned();
            let opening = async move { listen.open().await.map(Some) };
            self.late_opening = Some((host, Box::pin(opening)));
        }
        if let Some(credentials) = self.shared.take_credentials() {
            self.rotate(credentials);
        }
        let now = Instant::now();
        while let Some((&link, _)) =
            self.strangers.first_key_value().filter(|(_, stranger)| stranger.overdue_at <= now)
        {
            // The engine has the same limit and usually comes first.
            let reason = CloseReason::HandshakeTimeout;
            let code = reason.code();
            self.cut(link, reason, code);
        }
        self.end_expired(now);
        self.answer_flushers();
        while let Some(link) = self.overfull.pop() {
            self.cut(link, CloseReason::Lost("its queue ran over".into()), ERR_BUSY);
        }
        if self.leaving && !self.more {
            while let Some((link, _)) = self.links.first_key_value() {
                let link = *link;
                if let Some(open) = self.forget(link, CloseReason::Closing.code()) {
                    self.finish(open);
                }
            }
        }
        self.shared.counters.connections.store(self.links.len(), Relaxed);
        self.shared.counters.outdated.store(self.outdated(), Relaxed);
        if self.close_by.is_some_and(|by| self.connections.is_empty() || by <= now) {
            return None;
        }
        let ring_at = match self.shared.events.poll_ring(now) {
            Ring::No => None,
            Ring::At(due) => Some(due),
            Ring::Now => {
                self.shared.ring();
                None
            }
        };
        let overdue_at = self.strangers.first_key_value().map(|(_, stranger)| stranger.overdue_at);
        let expires_at = self.expiring.values().min().copied();
        let next = [self.wake_at, ring_at, overdue_at, expires_at, self.close_by];
        let next = next.into_iter().flatten().min();
        Some(next.map_or(Deadline::None, Deadline::At))
    }

    fn end_expired(&mut self, now: Instant) {
        let is_due = |(&link, &at): (&LinkId, &Instant)| (at <= now).then_some(link);
        let due: Vec<LinkId> = self.expiring.iter().filter_map(is_due).collect();
        for link in due {
            self.expiring.remove(&link);
            let code = ERR_CREDENTIALS_REMOVED;
            let detail = "what it was connected by is not accepted any more".into();
            self.cut(link, CloseReason::Untrusted { code, detail }, code);
        }
    }

    /// Whoever waits for a flush has made his writes before: one more turn brings them out.
    fn answer_flushers(&mut self) {
        self.shared.take_flushers(&mut self.flushers);
        if self.flushers.is_empty() {
            return;
        }
        self.turn(None);
        if !self.more && self.shared.counters.bytes_queued.load(Relaxed) == 0 {
            for flusher in self.flushers.drain(..) {
                // Whoever waited may have given up.
                let _ = flusher.try_send(());
            }
        }
    }

    fn begin_close(&mut self) {
        if self.close_by.is_none() {
            self.close_by = Some(Instant::now() + FINISH_TIMEOUT);
            self.leave();
        }
    }

    /// Takes the engine out of the cluster; what it says last is sent.
    fn leave(&mut self) {
        if mem::replace(&mut self.leaving, true) {
            return;
        }
        self.opening = None;
        self.late_opening = None;
        self.listener = None;
        self.dials.abort_all();
        self.shared.hold(|core, now| core.leave(now));
        self.turn(None);
    }

    fn handle_opened(&mut self, opened: Result<Option<Listener>, ListenFailure>) {
        self.opening = None;
        match opened {
            Ok(listener) => {
                // A node opened without one may have got one meanwhile.
                if let Some(listener) = listener {
                    self.listen(listener);
                }
                let announce = self.announces;
                for address in mem::take(&mut self.connect) {
                    self.turn(Some(Input::Command(Command::Connect { address, announce })));
                }
                self.shared.hold(|core, now| core.engine.handle_timeout(now));
                self.turn(None);
            }
            Err(failure) => {
                self.shared.events.push(failure.into());
                self.leave();
            }
        }
    }

    fn handle_opened_late(&mut self, opened: Result<(String, Listener), ListenFailure>) {
        self.late_opening = None;
        match opened {
            Ok((host, listener)) => {
                let advertised = advertised(&host, listener.port(), self.advertised.as_ref());
                self.shared.hold(|core, _| core.engine.set_advertised(advertised));
                self.listen(listener);
                self.turn(None);
            }
            Err(failure) => {
                self.shared.listen_failed();
                self.shared.events.push(failure.into());
            }
        }
    }

    fn listen(&mut self, listener: Listener) {
        self.shared.events.push(listener.listening());
        if self.guard.is_none() {
            if let Some(warning) = listener.insecure() {
                self.shared.events.push(warning);
            }
        }
        self.listener = Some(listener);
    }

    /// Connections that are to be made anew, by whoever has dialled them.
    fn outdated(&self) -> usize {
        let Some(guard) = &self.guard else { return 0 };
        let is_outdated = |open: &Link| {
            let credentials = guard.credentials();
            open.proof.is_some_and(|proof| credentials.is_outdated(proof.credential, open.dialled))
        };
        self.links.values().filter(|open| is_outdated(open)).count()
    }

    /// From here on handshakes are made with these. Connections made with what is not accepted any
    /// more end; those dialled with what is not preferred are dialled anew, and end when the new
    /// ones take their place.
    fn rotate(&mut self, credentials: Credentials) {
        let Some(guard) = &mut self.guard else { return };
        guard.rotate(credentials.clone());
        let proved: Vec<(LinkId, bool, bool)> = (self.links.iter())
            .filter_map(|(&link, open)| {
                let credential = open.proof?.credential;
                let stays = open.outbox.is_accepted(&credentials, credential);
                Some((link, stays, credentials.is_outdated(credential, open.dialled)))
            })
            .collect();
        let now = Instant::now();
        for (link, stays, is_outdated) in proved {
            if !stays {
                let dialled = self.links.get(&link).is_some_and(|open| open.dialled);
                let pause = self.handshake_timeout * 2;
                let ends_at = if dialled && credentials.may_mend() { now + pause } else { now };
                self.expiring.insert(link, ends_at);
            }
            if !stays || is_outdated {
                // Nothing comes of it if the other side has dialled: it is its to dial again.
                self.turn(Some(Input::Command(Command::Renew { link })));
            }
        }
    }

    fn handle_accepted(&mut self, accepted: io::Result<TcpStream>) {
        match accepted {
            Ok(stream) => {
                let inbound =
                    || self.strangers.iter().filter(|(_, stranger)| stranger.is_inbound());
                if inbound().count() >= STRANGERS_MAX {
                    if let Some((&oldest, _)) = inbound().next() {
                        let reason = CloseReason::Lost("too many without a handshake".into());
                        self.cut(oldest, reason, ERR_BUSY);
                    }
                }
                let from = stream.peer_addr().ok();
                self.open_link(stream, Came::Accepted(from));
            }
            Err(error) => {
                let code = system::code(&error);
                let message = format!("accept {code}: {}", system::text(code));
                self.shared.events.push(NodeEvent::Warning { code, message, peer: None });
            }
        }
    }

    fn handle_dialled(&mut self, dialled: Result<Dialled, JoinError>) {
        // A dial that was aborted is one that nobody waits for.
        let Ok(Dialled { address, result }) = dialled else { return };
        if self.leaving {
            return;
        }
        match result {
            Ok(stream) => self.open_link(stream, Came::Dialled(address)),
            Err(DialError { code, vacant }) => {
                // Peers of a node that others can reach may be on other machines, and their loopback
                // addresses with them.
                let is_alone =
                    |core: &mut Core, _: Now| core.engine.advertised().is_some_and(is_local);
                let vacant = vacant && self.shared.hold(is_alone);
                self.turn(Some(Input::DialFailed { address, code: code.to_owned(), vacant }));
            }
        }
    }

    fn open_link(&mut self, stream: TcpStream, came: Came) {
        // Fails only on a socket that is dead already, as its reader will find.
        let _ = stream.set_nodelay(true);
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let counters = &self.shared.counters;
        let (stream, writing) = stream.into_split();
        let outbox = Arc::new(Outbox::new(
            writing,
            self.queue_bytes_max,
            Arc::clone(&self.progress),
            Arc::clone(counters),
        ));
        let (admit, admitted) = oneshot::channel();
        let dialled = matches!(came, Came::Dialled(_));
        let handshake = self.guard.as_ref().map(|guard| guard.handshake(dialled));
        let proves = handshake.is_some();
        let connection = Connection {
            link,
            stream,
            outbox: Arc::clone(&outbox),
            handshake,
            arrivals: self.arrived.clone(),
            admitted,
            message_bytes_max: self.message_bytes_max,
            counters: Arc::clone(counters),
        };
        let task = self.connections.spawn(connection.run());
        self.links.insert(link, Link { outbox, task, dialled, proof: None });
        let overdue_at = Instant::now() + self.handshake_timeout;
        self.strangers.insert(link, Stranger { came, proves, overdue_at, admit });
        if !proves {
            self.introduce(link);
        }
    }

    /// Has the engine know of a connection.
    fn introduce(&mut self, link: LinkId) {
        let (Some(open), Some(stranger)) = (self.links.get(&link), self.strangers.get_mut(&link))
        else {
            return;
        };
        stranger.proves = false;
        let dialled = match &stranger.came {
            Came::Dialled(address) => Some(address.clone()),
            Came::Accepted(_) => None,
        };
        let outbox = Arc::clone(&open.outbox);
        self.shared.hold(|core, _| core.outboxes.insert(link, outbox));
        self.turn(Some(Input::Opened { link, dialled }));
    }

    /// Takes what else is there in one go, the engine's lock anew for each.
    fn handle_arrivals(&mut self, first: Arrival) {
        self.handle_arrival(first);
        for _ in 1..ARRIVALS_MAX {
            if self.more {
                return;
            }
            let Ok(next) = self.arrivals.try_recv() else { return };
            self.handle_arrival(next);
        }
    }

    fn handle_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Shaken(link, proof) => self.handle_shaken(link, proof),
            Arrival::Refused(link, failure) => self.handle_refused(link, failure),
            Arrival::Messages(link, messages) => self.handle_messages(link, messages),
            Arrival::Ended(link, reason) => {
                let has_proved = self.links.get(&link).is_some_and(|open| open.proof.is_some());
                if has_proved
                    && self.strangers.contains_key(&link)
                    && matches!(reason, CloseReason::Lost(_))
                {
                    // The last word of the handshake was ours: this is how we hear of its refusal.
                    return self.handle_refused(link, Failure::Ended);
                }
                let code = reason.code();
                self.lose(link, reason, code);
            }
        }
    }

    fn handle_shaken(&mut self, link: LinkId, proof: Proof) {
        let Some(open) = self.links.get_mut(&link) else { return };
        open.proof = Some(proof);
        // The secrets may have changed meanwhile.
        let outbox = &open.outbox;
        let is_accepted = |guard: &Guard| outbox.is_accepted(guard.credentials(), proof.credential);
        if self.guard.as_ref().is_some_and(is_accepted) {
            self.introduce(link);
        } else {
            self.handle_refused(link, Failure::NotGenuine);
        }
    }

    fn handle_refused(&mut self, link: LinkId, failure: Failure) {
        if let Some(warning) = self.strangers.get(&link).and_then(|who| refusal(who, &failure)) {
            let is_news = match self.strangers.get(&link).map(|who| &who.came) {
                Some(Came::Dialled(address)) => {
                    self.mistrusted.insert(address.clone(), failure.code()) != Some(failure.code())
                }
                _ => true,
            };
            if is_news {
                self.shared.events.push(warning);
            }
        }
        let code = failure.code();
        let reason = CloseReason::Untrusted { code, detail: failure.to_string() };
        self.cut(link, reason, code);
    }

    fn handle_messages(&mut self, link: LinkId, messages: Vec<Bytes>) {
        let Some(open) = self.links.get(&link).filter(|_| !self.leaving) else { return };
        if let (Some(proof), true) = (open.proof, self.strangers.contains_key(&link)) {
            if let Some(Err(reason)) = messages.first().map(|hello| self.identify(hello, proof)) {
                let code = reason.code();
                let (message, peer) = (reason.to_string(), None);
                self.shared.events.push(NodeEvent::Warning { code, message, peer });
                return self.cut(link, reason, code);
            }
        }
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() && self.links.contains_key(&link) {
            // JavaScript may be waiting for the engine: what is large goes by itself.
            let mut bytes = 0;
            let some = std::iter::from_fn(|| {
                let next =
                    messages.next_if(|next| bytes == 0 || bytes + next.len() <= BYTES_PER_HOLD)?;
                bytes += next.len();
                Some(Input::Received { link, message: next })
            });
            self.turn_with(some);
        }
        // The first message is the hello. The engine closes a link whose hello it refuses.
        if let Some(stranger) = self.strangers.remove(&link) {
            self.shared.counters.handshakes.fetch_add(1, Relaxed);
            if let Came::Dialled(address) = &stranger.came {
                self.mistrusted.remove(address);
            }
            // Fails when the connection has just ended.
            let _ = stranger.admit.send(());
        }
    }

    /// Whether a hello's sender may call itself what it does. What is no hello is the engine's to
    /// refuse.
    fn identify(&mut self, hello: &[u8], proof: Proof) -> Result<(), CloseReason> {
        let Ok(Hello { node, replica, .. }) = message::decode(hello) else { return Ok(()) };
        if self.identities.claim(node, replica, proof.key) {
            return Ok(());
        }
        let is_here = || self.peers.iter().any(|(&id, &(name, _))| id == replica || name == node);
        let binds = |guard: &Guard| guard.credentials().bind_for_good();
        if !self.guard.as_ref().is_some_and(binds) && !is_here() {
            self.identities.release(node, replica);
            if self.identities.claim(node, replica, proof.key) {
                return Ok(());
            }
        }
        let detail =
            format!("a connection was refused: it calls itself {node}, who has another key");
        Err(CloseReason::Untrusted { code: ERR_IDENTITY_MISMATCH, detail })
    }

    fn report_drained(&mut self) {
        let drained: Vec<_> = (self.links.iter())
            .map(|(&link, open)| (link, open.outbox.take_drained()))
            .filter(|&(_, bytes)| bytes > 0)
            .collect();
        for (link, bytes) in drained {
            // An earlier one may have had it closed.
            if self.links.contains_key(&link) {
                self.turn(Some(Input::Drained { link, bytes }));
            }
        }
    }

    fn handle_task_end(&mut self, ended: Result<(Id, ()), JoinError>) {
        let Err(error) = ended else { return };
        if !error.is_panic() {
            return;
        }
        self.shared.fail("a connection");
        let broken = self.links.iter().find(|(_, open)| open.task.id() == error.id());
        if let Some((&link, _)) = broken {
            self.cut(link, CloseReason::Lost(ERR_INTERNAL.into()), ERR_INTERNAL);
        }
    }

    /// Ends a connection at once, for a reason of the shell's.
    fn cut(&mut self, link: LinkId, reason: CloseReason, code: &'static str) {
        if let Some(open) = self.links.get(&link) {
            open.task.abort();
        }
        self.lose(link, reason, code);
    }

    /// A connection has ended: the engine is told, if it knows of it.
    fn lose(&mut self, link: LinkId, reason: CloseReason, code: &'static str) {
        let came = match self.strangers.get_mut(&link) {
            Some(stranger) if stranger.proves => {
                Some(mem::replace(&mut stranger.came, Came::Accepted(None)))
            }
            _ => None,
        };
        if self.forget(link, code).is_none() {
            return;
        }
        match came {
            None => self.turn(Some(Input::Closed { link, reason })),
            Some(Came::Dialled(address)) => {
                let code = code.to_owned();
                self.turn(Some(Input::DialFailed { address, code, vacant: false }));
            }
            Some(Came::Accepted(_)) => {}
        }
    }

    /// Takes a link out of the books. `code` counts if it had not passed the handshake.
    fn forget(&mut self, link: LinkId, code: &'static str) -> Option<Link> {
        let open = self.links.remove(&link)?;
        self.expiring.remove(&link);
        self.shared.hold(|core, _| core.outboxes.remove(&link));
        if self.strangers.remove(&link).is_some() {
            self.shared.refused(code);
        }
        Some(open)
    }

    /// Lets a connection write what was sent before.
    fn finish(&mut self, open: Link) {
        if self.connections.len() > self.links.len() + FINISHING_MAX {
            open.task.abort();
        } else {
            let by = Instant::now() + FINISH_TIMEOUT;
            open.outbox.finish(self.close_by.map_or(by, |close_by| by.min(close_by)));
        }
    }
}

/// Until when the loop may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    None,
    At(Instant),
}

async fn opened(opening: &mut Option<Opening>) -> Result<Option<Listener>, ListenFailure> {
    match opening {
        Some(opening) => opening.await,
        None => pending().await,
    }
}

async fn opened_late(
    opening: &mut Option<(String, Opening)>,
) -> Result<(String, Listener), ListenFailure> {
    let Some((host, opening)) = opening else { return pending().await };
    match opening.await? {
        Some(listener) => Ok((mem::take(host), listener)),
        None => pending().await,
    }
}

/// What is told of a handshake that has failed. Of one that somebody else began and just ended,
/// nothing: whoever looks whether a port is open does that.
fn refusal(stranger: &Stranger, failure: &Failure) -> Option<NodeEvent> {
    let message = match &stranger.came {
        Came::Dialled(address) => format!("The node at {address} was refused: {failure}"),
        Came::Accepted(_) if matches!(failure, Failure::Ended | Failure::Lost(_)) => return None,
        Came::Accepted(Some(from)) => format!("A connection from {from} was refused: {failure}"),
        Came::Accepted(None) => format!("A connection was refused: {failure}"),
    };
    Some(NodeEvent::Warning { code: failure.code(), message, peer: None })
}

/// In Node.js's words.
fn connect_failed(address: &Address, code: String) -> NodeEvent {
    let (host, port) = split_address(&address.0).unwrap_or((&address.0, 0));
    let (syscall, message) = if code == "ENOTFOUND" {
        ("getaddrinfo", format!("getaddrinfo {code} {host}"))
    } else {
        ("connect", format!("connect {code} {address}"))
    };
    NodeEvent::ConnectFailed { code, message, syscall, address: host.to_owned(), port }
}

async fn accepted(listener: &mut Option<Listener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}
