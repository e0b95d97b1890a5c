//! The engine: one node's whole behaviour, as a pure state machine.
//!
//! It knows no socket, clock, thread or random source. Time comes in as [`Now`], chance as a seed,
//! and what should happen comes out as [`Output`]s. Methods are of four kinds:
//!
//! * **getters** change nothing that anybody sees (`read` and its like may finish work that waits);
//! * **mutators** (`write`, `watch`, ...) act at once, for the application;
//! * **`handle_*`** take what happened;
//! * **`poll_*`** give what is to be done.
//!
//! After every mutator and `handle_*`, call `poll_output` until it gives `None`; call
//! `handle_timeout` when `poll_timeout` has passed. Only `net::driver` and `sim` do.
//!
//! Inside, `document` knows nothing of peers, `membership` nothing of the document; `replication`
//! joins the document with what peers say; this file joins both halves.
#![deny(clippy::disallowed_methods)]
#![forbid(unsafe_code)]

pub mod causality;
mod clock;
pub mod config;
pub mod document;
pub mod error;
pub mod event;
mod hello;
pub mod id;
mod jobs;
mod membership;
pub mod rare;
mod replication;
mod stats;
pub mod text;
pub mod wire;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use causality::VersionVector as Context;
pub use config::{Config, Limits};
pub use document::observe::ObserverId;
pub use document::{Container, Explanation, Page, Reading, Shown};
pub use error::{AskError, CloseReason, WarningCode, WriteError};
pub use event::{
    Address, Again, Ask, Asked, Command, End, Event, Input, Item, Now, Offer, Outcome, Output,
    Profile, Refusal, Running, Status, Stop, To, Write,
};
pub use id::{Dot, JobId, LinkId, NodeId, Rank, ReplicaId, RunId, WaitId};
pub use replication::{CatchUp, Change, Changes, Need, Standing, Written};
pub use stats::{LinkStats, Stats, Traffic, Whereabouts};

use document::watch::Whose;
use jobs::Jobs;
use membership::{Membership, Step};
use rare::{Gone, Rare};
use replication::Replication;
use wire::frame;
use wire::message::{self, Kind, Malformed};

/// Bytes of what happens during a batch that wait for its end. Beyond that they are handled, and
/// what the batch writes from then on may have seen some of it.
const HELD_BYTES_MAX: usize = 4 << 20;
/// What an input that waits costs besides its bytes.
const HELD_BYTES_EACH: usize = 64;

/// A clone is for looking ahead in tests: two of one replica in a cluster would break it.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Arc<Config>,
    rng: ChaCha8Rng,
    node: NodeId,
    membership: Membership,
    replication: Replication,
    jobs: Jobs,
    outputs: VecDeque<Output>,
    /// `Ready` is due at this time at the latest; `None` before the start and after it was told.
    ready_by_ms: Option<u64>,
    started: bool,
    left: bool,
    touched_told: bool,
    /// The application knows that the document is full.
    full_told: bool,
    /// During a batch: what has happened meanwhile.
    held: Option<Held>,
    bad_messages: u64,
    rejoins: u64,
    traffic_in: Traffic,
    traffic_out: Traffic,
    rare: Gone,
}

#[derive(Clone, Debug, Default)]
struct Held {
    inputs: VecDeque<Input>,
    bytes: usize,
}

impl Engine {
    /// `seed`: entropy for the replica id and the jitter. Never the same twice.
    pub fn new(config: Config, seed: [u8; 32], now: Now) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let own = ReplicaId(rng.next_u64());
        let mut drawn = [0; 12];
        rng.fill_bytes(&mut drawn);
        let config = Arc::new(config);
        Engine {
            node: config.node.unwrap_or(NodeId(drawn)),
            jobs: Jobs::new(own, config.clone()),
            membership: Membership::new(own, &config),
            replication: Replication::new(own, config.clone(), now),
            rng,
            outputs: VecDeque::new(),
            ready_by_ms: None,
            started: false,
            left: false,
            touched_told: false,
            full_told: false,
            held: None,
            bad_messages: 0,
            rejoins: 0,
            traffic_in: Traffic::default(),
            traffic_out: Traffic::default(),
            rare: Gone::default(),
            config,
        }
    }

    // ---- getters

    pub fn id(&self) -> ReplicaId {
        self.replication.own()
    }

    /// This node as its application knows it.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// For how many milliseconds a peer's application has not answered, as the peer says: 0 for one
    /// that is not busy, or not there.
    pub fn busy_ms(&self, now: Now, peer: ReplicaId) -> u64 {
        self.membership.busy_ms(now.monotonic_ms, peer)
    }

    /// JSON text of what is shown at the path; the empty path is the whole document.
    pub fn read(&mut self, path: &[&str]) -> Option<String> {
        self.replication.read(path)
    }

    /// The same, a number as one and a text as it is at hand.
    pub fn reading(&mut self, path: &[&str]) -> Option<Reading> {
        self.replication.reading(path)
    }

    /// What kind of thing the path shows; nothing below it is read.
    pub fn shown(&mut self, path: &[&str]) -> Shown {
        self.replication.shown(path)
    }

    /// What a path that shows an object or array contains.
    pub fn container(&mut self, path: &[&str]) -> Option<Container> {
        self.replication.container(path)
    }

    /// Members of an object or array after `after`, by name: at most `max`, and few if they are
    /// large.
    pub fn page(
        &mut self,
        path: &[&str],
        after: Option<&str>,
        max: usize,
        bytes_max: usize,
    ) -> Option<Page> {
        self.replication.page(path, after, max, bytes_max)
    }

    /// How many members an object or array has.
    pub fn count(&mut self, path: &[&str]) -> Option<usize> {
        self.replication.count(path)
    }

    /// How a peer stands to this node, as far as is known.
    pub fn standing(&mut self, peer: ReplicaId) -> Option<Standing> {
        self.replication.standing(peer)
    }

    /// Who brings this node up to date, and how far that is.
    pub fn catch_up(&self, now: Now) -> Option<(ReplicaId, CatchUp)> {
        self.replication.catch_up(now)
    }

    /// What the path shows and why: what stands there and above it, shown or hidden, and by what.
    pub fn explain(&mut self, path: &[&str]) -> Explanation {
        self.replication.explain(path)
    }

    /// The oldest own jobs and calls that have not ended, at most so many.
    pub fn running_jobs(&self, now: Now, max: usize) -> Vec<Running> {
        self.jobs.list(now, max)
    }

    /// The rare ways that were gone since the start.
    pub fn rare(&self) -> Gone {
        let mut gone = self.rare;
        gone.join(self.replication.rare());
        gone.join(self.membership.rare);
        gone.join(self.jobs.rare());
        gone
    }

    /// The writes this replica covers: all whose effect it holds.
    pub fn context(&self) -> &Context {
        self.replication.vector()
    }

    /// Whether it holds the write's effect, even if its replica has been folded since.
    pub fn knows(&self, dot: Dot) -> bool {
        self.replication.knows(dot)
    }

    /// The hash of the whole state. Finishes all merging.
    pub fn hash(&mut self) -> u64 {
        self.replication.hash()
    }

    /// The memory that the document takes, about. Walks through all of it.
    pub fn document_bytes(&self) -> usize {
        self.replication.document().bytes()
    }

    /// The replicas for whose return removals of their increments are kept.
    pub fn cut_owners(&self) -> std::collections::BTreeSet<ReplicaId> {
        self.replication.document().cut_owners()
    }

    /// Everything that is held here, shown or not, and what peers will be told, for reports of
    /// failures.
    pub fn describe(&self) -> String {
        let mut out = String::new();
        self.describe_state(&mut out);
        self.describe_changes(&mut out);
        out
    }

    /// Appends the first half of that: two engines that append the same make the same of what comes.
    pub fn describe_state(&self, out: &mut String) {
        self.replication.describe(out);
    }

    /// And the second: two that append the same tell others the same of what has changed.
    pub fn describe_changes(&self, out: &mut String) {
        self.replication.describe_changes(out);
    }

    /// What waits for peers on its lines, likewise.
    pub fn describe_lines(&self) -> String {
        self.jobs.describe()
    }

    /// The addresses given that have led neither to a peer that is there nor to this node itself.
    pub fn unreached(&self) -> impl Iterator<Item = &Address> {
        self.membership.unreached()
    }

    /// Peers with a finished handshake.
    pub fn peers(&self) -> Vec<ReplicaId> {
        self.membership.peers().collect()
    }

    /// Whether no peer is there that has said where it stands: what is written then nobody has.
    pub fn is_alone(&self) -> bool {
        self.replication.is_alone()
    }

    /// Whether it is in the middle of bringing a peer up to date.
    pub fn is_feeding(&self) -> bool {
        self.replication.is_feeding()
    }

    /// Whether it is in the middle of being brought up to date.
    pub fn is_fed(&self) -> bool {
        self.replication.is_fed()
    }

    /// Whether at most one job is under way, and no function runs here for a peer.
    pub fn is_quiet(&self) -> bool {
        self.jobs.is_quiet()
    }

    /// Whether `poll_output` would give something that a local write has caused.
    pub fn has_outputs(&self) -> bool {
        !self.outputs.is_empty() || self.replication.has_sends() || self.jobs.has_outputs()
    }

    // ---- mutators

    /// `None`: a DELETE that found nothing. After an error nothing has changed.
    pub fn write(&mut self, now: Now, write: Write<'_>) -> Result<Option<Written>, WriteError> {
        if self.left {
            return Err(WriteError::Closed);
        }
        let result = self.replication.write(now, write);
        if let Err(WriteError::StateFull { .. }) = result {
            self.rare.note(Rare::WriteRefusedFull);
            if !self.has_some_room() {
                self.tell_full();
            }
        }
        result
    }

    /// Holds back own writes, and what happens meanwhile, until `end_batch`. What is written in
    /// between takes effect on every other node in one step.
    pub fn begin_batch(&mut self) {
        self.held.get_or_insert_default();
        self.replication.begin_batch();
    }

    pub fn end_batch(&mut self, now: Now) {
        self.replication.end_batch();
        self.handle_held(now);
    }

    /// Waits until peers have what this node has written so far: [`Event::Replicated`].
    pub fn wait_for(&mut self, need: Need) -> WaitId {
        let wait = self.replication.wait_for(need);
        self.tell_replicated();
        wait
    }

    pub fn stop_waiting(&mut self, wait: WaitId) {
        self.replication.stop_waiting(wait);
    }

    /// Observes what changes at a path and below it; see `document::observe`.
    pub fn observe(&mut self, path: &[&str]) -> ObserverId {
        self.replication.document_mut().watch.observers.add(path)
    }

    pub fn stop_observing(&mut self, id: ObserverId) {
        self.replication.document_mut().watch.observers.remove(id);
        self.touched_told &= self.replication.has_touched();
    }

    /// Moves the observers for which something has changed to `into`, each once until it has taken
    /// all that there is.
    pub fn take_observers(&mut self, into: &mut Vec<ObserverId>) {
        self.replication.document_mut().watch.observers.take_news(into);
        self.touched_told &= self.replication.has_touched();
    }

    /// What has changed for an observer since it took it last: at most `max` places, and few if
    /// they are large.
    pub fn take_changes(&mut self, id: ObserverId, max: usize, bytes_max: usize) -> Changes {
        self.replication.take_changes(id, max, bytes_max)
    }

    /// Watches what `read(path)` gives. The slot is touched whenever that may have changed.
    pub fn watch(&mut self, path: &[&str]) -> u32 {
        self.replication.document_mut().watch.watch(path)
    }

    pub fn unwatch(&mut self, slot: u32) {
        self.replication.document_mut().watch.unwatch(slot);
    }

    /// Moves the slots that remote writes have touched to `into`. After [`Event::Touched`], no
    /// other comes until this was called, and [`Engine::take_observers`] if there are some.
    pub fn take_touched(&mut self, into: &mut Vec<u32>) {
        self.replication.take_touched(Whose::Remote, into);
        self.touched_told &= self.replication.has_touched();
    }

    /// Moves the slots that own writes have touched to `into`.
    pub fn take_touched_local(&mut self, into: &mut Vec<u32>) {
        self.replication.take_touched(Whose::Own, into);
    }

    /// Has functions of this name run here, or listens to events of this name. Repeatable.
    pub fn offer(&mut self, offer: Offer, name: &str) {
        self.jobs.offer(offer, name);
    }

    pub fn withdraw(&mut self, offer: Offer, name: &str) {
        self.jobs.withdraw(offer, name);
    }

    /// The application knows this peer: what came of it meanwhile is taken now.
    pub fn introduce(&mut self, peer: ReplicaId) {
        self.jobs.introduce(peer);
    }

    /// Starts a job or call. After an error nothing was sent.
    ///
    /// Every node asked gets one [`Item::Outcome`], at the latest at the deadline, and then comes
    /// [`Item::Ended`]; nothing after that.
    pub fn ask(&mut self, now: Now, ask: Ask<'_>) -> Result<Asked, AskError> {
        if self.left {
            return Err(AskError::Closed);
        }
        self.jobs.ask(now, ask)
    }

    /// Gives the result of a function, or the description of its error, as JSON text. Ignored when
    /// nobody waits for it any more.
    pub fn answer(&mut self, run: RunId, result: Result<&str, &str>) {
        self.jobs.answer(run, result);
    }

    /// Does not run a function that was handed out: its node has the outcome that says so. Ignored
    /// likewise.
    pub fn refuse(&mut self, run: RunId, why: Refusal) {
        self.jobs.refuse(run, why);
    }

    /// Moves the deadline of an own job, to so long from now. Ignored when the job has ended.
    pub fn set_timeout(&mut self, now: Now, job: JobId, timeout_ms: u64) {
        self.jobs.set_timeout(now, job, timeout_ms);
    }

    /// Ends an own job: who has not answered was aborted. `reason` is JSON text. Ignored when the
    /// job has ended.
    pub fn cancel(&mut self, job: JobId, reason: &str) {
        self.jobs.cancel(job, reason);
    }

    /// Sends an event. `args` is JSON text of an array. Gives the number of peers it goes to: not
    /// those whose queue is full.
    pub fn emit(&mut self, to: To<'_>, name: &str, args: &str) -> Result<usize, AskError> {
        if self.left {
            return Err(AskError::Closed);
        }
        self.jobs.emit(to, name, args)
    }

    /// Moves at most so many items to `into`, in order, and says whether others wait. After
    /// [`Event::Items`], no other comes until this was called. A run whose time is over is not
    /// handed out.
    pub fn take_items(&mut self, now: Now, max: usize, into: &mut Vec<Item>) -> bool {
        self.jobs.take_items(now, max, into)
    }

    /// Whether items wait that the application was not told of: with this it is, and no
    /// [`Event::Items`] comes for them.
    pub fn take_news(&mut self) -> bool {
        self.jobs.poll_news().is_some()
    }

    /// For how many milliseconds this node's application has not answered; told to peers.
    pub fn set_busy_ms(&mut self, busy_ms: u64) {
        self.membership.set_busy_ms(busy_ms);
    }

    /// The address told to peers.
    pub fn advertised(&self) -> Option<&Address> {
        self.membership.advertised()
    }

    /// The address told to peers, once it is known.
    pub fn set_advertised(&mut self, advertised: Option<Address>) {
        self.membership.set_advertised(advertised);
    }

    /// Gives back what a node that has left needs no more: all but its name and counts.
    /// Dropping that takes its time with a large state, which is for the caller to find.
    pub fn retire(&mut self, now: Now) -> Box<dyn Send> {
        let own = self.id();
        let mut replication = Replication::new(own, self.config.clone(), now);
        replication.counts = self.replication.counts.clone();
        Box::new((
            std::mem::replace(&mut self.replication, replication),
            std::mem::replace(&mut self.jobs, Jobs::new(own, self.config.clone())),
            std::mem::replace(&mut self.membership, Membership::new(own, &self.config)),
            std::mem::take(&mut self.outputs),
            self.held.take(),
        ))
    }

    // ---- handle

    pub fn handle_input(&mut self, now: Now, input: Input) {
        let now_ms = now.monotonic_ms;
        let is_command = matches!(input, Input::Command(_));
        if let Some(held) = self.held.as_mut().filter(|_| !is_command) {
            held.bytes += HELD_BYTES_EACH;
            if let Input::Received { link, message } = &input {
                held.bytes += message.len();
                self.membership.hears(now_ms, *link);
            }
            held.inputs.push_back(input);
            if held.bytes > HELD_BYTES_MAX {
                self.handle_held(now);
            }
            return;
        }
        match input {
            Input::Command(Command::Connect { address, announce }) if !self.left => {
                self.membership.connect(now_ms, address, announce);
                self.membership.handle_timeout(now_ms, &mut self.rng);
            }
            Input::Command(Command::Connect { .. }) => {}
            Input::Command(Command::Forget { address }) => self.membership.forget(&address),
            Input::Command(Command::Dismiss { peer }) => self.dismiss(now_ms, peer),
            Input::Command(Command::Renew { link }) => {
                self.membership.renew(now_ms, link);
                self.membership.handle_timeout(now_ms, &mut self.rng);
            }
            Input::Command(Command::Leave) => self.leave(now_ms),
            Input::Opened { link, dialled } => self.membership.opened(now_ms, link, dialled),
            Input::DialFailed { address, code, vacant } => {
                if vacant {
                    self.membership.vacant(now.monotonic_ms, &address);
                }
                self.membership.dial_failed(now_ms, address, code, &mut self.rng);
            }
            Input::Received { link, message } => self.receive(now, link, message),
            Input::Drained { link, bytes } => {
                if let Some(peer) = self.membership.peer_on(link) {
                    if self.membership.link_of(peer) == Some(link) {
                        self.replication.drained(peer, bytes);
                        self.jobs.drained(peer);
                    }
                }
            }
            Input::Closed { link, reason } => {
                let peer = self.membership.peer_on(link);
                let is_bad =
                    matches!(reason, CloseReason::BadMessage(_) | CloseReason::TooLarge { .. });
                if is_bad {
                    self.note_bad(now_ms, peer, reason.to_string());
                }
                self.jobs.link_closed(link);
                self.membership.closed(now_ms, link, reason.clone(), &mut self.rng);
                let other = peer.filter(|_| is_bad).and_then(|id| self.membership.link_of(id));
                if let Some(other) = other {
                    self.membership.close(now_ms, other, reason, &mut self.rng);
                }
            }
        }
        self.follow_up(now);
    }

    /// Call when `poll_timeout` has passed, and once when all addresses were given.
    pub fn handle_timeout(&mut self, now: Now) {
        let now_ms = now.monotonic_ms;
        if !std::mem::replace(&mut self.started, true) {
            self.ready_by_ms = Some(now_ms + self.config.ready_timeout_ms);
        }
        self.membership.handle_timeout(now_ms, &mut self.rng);
        self.replication.handle_timeout(now);
        if let Some(missing) = self.replication.take_missing() {
            let replication = &self.replication;
            self.membership.look_for(now_ms, &missing, |id| replication.concerns(now, id));
        }
        self.jobs.handle_timeout(now);
        self.follow_up(now);
    }

    // ---- poll

    pub fn poll_output(&mut self, _now: Now) -> Option<Output> {
        let output = self.next_output()?;
        if let Output::Send { link, frames } = &output {
            self.traffic_out.add(frames.get(frame::HEADER_BYTES).copied(), frames.len());
            self.membership.count(*link, 0, frames.len());
        }
        Some(output)
    }

    fn next_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if let Some(urgent) = self.jobs.poll_news() {
            return Some(Output::Event(Event::Items { urgent }));
        }
        self.poll_send()
    }

    fn poll_send(&mut self) -> Option<Output> {
        if let Some((link, frames)) = self.membership.poll_send() {
            let peer = self.membership.peer_on(link);
            if let Some(peer) = peer.filter(|&peer| self.membership.link_of(peer) == Some(link)) {
                self.replication.note_sent(peer, frames.len());
            }
            return Some(Output::Send { link, frames });
        }
        loop {
            let replication = &self.replication;
            let job = self.jobs.poll_send(|peer| replication.outstanding(peer));
            if let Some((peer, frames)) = &job {
                self.replication.note_sent(*peer, frames.len());
            }
            let (peer, frames) = job.or_else(|| self.replication.poll_send())?;
            // Between the loss of a link and `peer_down` there may be none.
            if let Some(link) = self.membership.link_of(peer) {
                return Some(Output::Send { link, frames });
            }
        }
    }

    /// When `handle_timeout` wants to be called, on the monotonic clock; perhaps in the past.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.left {
            return None;
        }
        if !self.started {
            return Some(0);
        }
        let deadline = self.replication.deadline();
        let others = self.membership.deadline().into_iter().chain(self.jobs.deadline());
        let others = others.chain(self.ready_by_ms);
        Some(others.fold(deadline, u64::min))
    }

    // ---- inside

    fn handle_held(&mut self, now: Now) {
        let held = self.held.take().unwrap_or_default();
        for input in held.inputs {
            self.handle_input(now, input);
        }
    }

    fn receive(&mut self, now: Now, link: LinkId, message: Bytes) {
        if !self.membership.knows_link(link) || self.membership.is_refused(link) {
            return;
        }
        self.membership.heard(now.monotonic_ms, link, &mut self.rng);
        if !self.membership.knows_link(link) {
            // Now that the peer is heard here too, this turned out to be one link too many.
            return;
        }
        self.traffic_in.add(message.first().copied(), message.len() + frame::HEADER_BYTES);
        self.membership.count(link, message.len() + frame::HEADER_BYTES, 0);
        let is_digest = Kind::of(&message) == Some(Kind::Digest);
        let result = match (self.membership.peer_on(link), Kind::of(&message)) {
            (None, Some(Kind::Hello)) => self.receive_hello(now, link, &message),
            (None, _) => Err(CloseReason::BadMessage("no hello".into())),
            (Some(peer), Some(Kind::Goodbye)) => {
                self.replication.peer_dead(now, peer);
                Err(CloseReason::Left)
            }
            (Some(peer), Some(Kind::Dismiss)) => {
                self.membership.dismissed(peer);
                Err(CloseReason::Dismissed)
            }
            (Some(_), Some(kind @ (Kind::WhoIs | Kind::Addresses | Kind::Presence))) => self
                .membership
                .receive(now.monotonic_ms, link, kind, &message)
                .map_err(|Malformed| CloseReason::BadMessage(format!("malformed {kind:?}"))),
            (Some(peer), kind) if is_of_jobs(&message) => self
                .jobs
                .receive(now, peer, link, message)
                .map_err(|Malformed| CloseReason::BadMessage(format!("malformed {kind:?}"))),
            (Some(peer), Some(kind)) => self
                .replication
                .receive(now, peer, kind, message)
                .map_err(|Malformed| CloseReason::BadMessage(format!("malformed {kind:?}"))),
            // A kind that a higher minor version knows.
            (Some(_), None) => Ok(()),
        };
        if is_digest && result.is_ok() {
            let peer = self.membership.peer_on(link);
            if let Some(links) = peer.and_then(|peer| self.replication.links_of(peer)) {
                self.membership.links_told(now.monotonic_ms, link, links.iter().copied());
            }
        }
        if let Err(reason) = result {
            let peer = self.membership.peer_on(link);
            match &reason {
                CloseReason::BadMessage(detail) => {
                    self.note_bad(now.monotonic_ms, peer, detail.clone());
                }
                CloseReason::Incompatible(detail) => {
                    let (code, detail) = (WarningCode::IncompatiblePeer, detail.clone());
                    self.tell(Event::Warning { code, peer, detail });
                }
                _ => {}
            }
            self.membership.close(now.monotonic_ms, link, reason, &mut self.rng);
        }
    }

    /// Does what membership asks for, and tells what replication reports.
    fn follow_up(&mut self, now: Now) {
        while let Some(step) = self.membership.poll() {
            match step {
                Step::Dial(address) => self.outputs.push_back(Output::Dial { address }),
                Step::SayHello(link) => self.say_hello(link),
                Step::Close { link, reason } => {
                    self.jobs.link_closed(link);
                    self.outputs.push_back(Output::Close { link, reason });
                }
                Step::Use { peer, .. } => {
                    self.replication.peer_switched(now, peer);
                    self.jobs.peer_switched(peer);
                }
                Step::Up { peer, node, profile, advertised, dialled, observer } => {
                    if self.config.follows {
                        self.replication.peer_up(now, peer, observer);
                    }
                    if observer {
                        self.jobs.observes(peer);
                    }
                    self.tell(Event::PeerUp { peer, node, profile, advertised, dialled, observer });
                }
                Step::Dead { peer } => self.replication.peer_dead(now, peer),
                Step::Busy { peer } => self.tell(Event::PeerBusy { peer }),
                Step::ConnectFailed { address, code } => {
                    self.tell(Event::ConnectFailed { address, code });
                }
                Step::ConnectedToSelf { address } => {
                    self.rare.note(Rare::ConnectedToSelf);
                    let code = WarningCode::ConnectedToSelf;
                    let detail = format!("{address} is this node's own address");
                    self.tell(Event::Warning { code, peer: None, detail });
                }
                Step::Down { peer, reason } => {
                    self.replication.peer_down(now, peer);
                    self.jobs.peer_down(peer);
                    self.tell(Event::PeerDown { peer, reason });
                }
            }
        }
        if self.replication.is_forgotten() {
            self.rejoin(now);
        }
        while let Some(report) = self.replication.poll_report() {
            let (code, peer, detail) = (report.code, report.peer, report.detail);
            self.tell(Event::Warning { code, peer, detail });
        }
        self.watch_room();
        self.tell_replicated();
        if self.replication.has_touched() && !std::mem::replace(&mut self.touched_told, true) {
            self.tell(Event::Touched);
        }
        if let Some(by_ms) = self.ready_by_ms {
            let all = self.membership.all_tried() && self.replication.is_caught_up();
            let one = self.config.ready_with_one && self.replication.is_caught_up_with_one();
            if all || one || by_ms <= now.monotonic_ms {
                self.ready_by_ms = None;
                self.tell(Event::Ready);
            }
        }
    }

    /// Begins anew as another replica: this one was away so long that it was folded. Makes again
    /// what nobody can have seen.
    fn rejoin(&mut self, now: Now) {
        let own = ReplicaId(self.rng.next_u64());
        self.rare.join(self.replication.rare());
        self.rare.note(Rare::Rejoined);
        let (unseen, mut lost) = self.replication.take_unseen();
        let (watch, waits) = (self.replication.take_watch(), self.replication.take_waits());
        let counts = self.replication.counts.clone();
        let beyond = self.replication.take_beyond(now);
        self.replication = Replication::new(own, self.config.clone(), now);
        self.replication.put_beyond(beyond);
        self.replication.counts = counts;
        self.replication.put_watch(watch);
        self.jobs.rename(own);
        self.rejoins += 1;
        let mut kept = 0;
        for (key, write) in unseen {
            let path = key.segments();
            let segments: Vec<&str> = path.iter().map(|segment| &**segment).collect();
            let result = match &write {
                Again::Set(json) => {
                    self.replication.write_again(now, Write::Set { path: &segments, json })
                }
                Again::Increment(by) => {
                    self.replication.write_again(now, Write::Increment { path: &segments, by: *by })
                }
            };
            match result {
                Ok(Some(Written { dot, hlc })) => {
                    kept += 1;
                    self.rare.note(Rare::MadeAgain);
                    let path = segments.into_iter().map(Box::from).collect();
                    self.tell(Event::MadeAgain { dot, hlc, path, write });
                }
                _ => lost += 1,
            }
        }
        self.replication.put_waits(waits);
        let code = WarningCode::Rejoined;
        let detail = format!(
            "this node was away too long and rejoins as a new replica; \
             of its unsent writes {kept} were made again, {lost} could not be"
        );
        self.tell(Event::Warning { code, peer: None, detail });
        self.membership.rejoin(now.monotonic_ms, own, &mut self.rng);
        self.follow_up(now);
    }

    fn dismiss(&mut self, now_ms: u64, peer: ReplicaId) {
        self.membership.dismissed(peer);
        if let Some(link) = self.membership.link_of(peer) {
            let frames = message::encode_empty(Kind::Dismiss);
            self.outputs.push_back(Output::Send { link, frames });
            self.membership.close(now_ms, link, CloseReason::Dismissed, &mut self.rng);
        }
    }

    fn leave(&mut self, now_ms: u64) {
        self.left = true;
        self.ready_by_ms = None;
        self.held = None;
        self.replication.leave();
        // What was written before goes out before the goodbye.
        while let Some(send) = self.poll_send() {
            self.outputs.push_back(send);
        }
        self.jobs.leave();
        for peer in self.peers() {
            if let Some(link) = self.membership.link_of(peer) {
                let frames = message::encode_empty(Kind::Goodbye);
                self.outputs.push_back(Output::Send { link, frames });
            }
        }
        self.membership.leave(now_ms, &mut self.rng);
    }

    /// Whoever has said hello is known again, and kept out for a while.
    fn note_bad(&mut self, now_ms: u64, peer: Option<ReplicaId>, mut detail: String) {
        self.bad_messages += 1;
        if let Some(ms) = peer.map(|peer| self.membership.keep_out(now_ms, peer)) {
            detail += &format!("; the peer is kept out for {ms} ms");
        }
        self.tell(Event::Warning { code: WarningCode::BadMessage, peer, detail });
    }

    fn watch_room(&mut self) {
        let Some(limit) = self.config.document_bytes_max else { return };
        if self.replication.document().held_bytes() > limit {
            self.rare.note(Rare::Overfull);
            self.tell_full();
        } else if self.has_some_room() {
            self.full_told = false;
        }
    }

    /// Whether an eighth is free. What is refused then is too large by itself, as its writer knows.
    fn has_some_room(&self) -> bool {
        let bytes = self.replication.document().held_bytes();
        self.config.document_bytes_max.is_none_or(|limit| bytes <= limit - limit / 8)
    }

    /// Once, until there is some room again.
    fn tell_full(&mut self) {
        if std::mem::replace(&mut self.full_told, true) {
            return;
        }
        let bytes = self.replication.document().held_bytes();
        let limit = self.config.document_bytes_max.unwrap_or_default();
        let detail = format!(
            "the document takes {bytes} bytes of memory here, of {limit} allowed: local writes \
             that add to it are refused"
        );
        self.tell(Event::Warning { code: WarningCode::StateFull, peer: None, detail });
    }

    fn tell_replicated(&mut self) {
        while let Some((wait, peers)) = self.replication.poll_confirmed() {
            self.tell(Event::Replicated { wait, peers });
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Whether a message goes to `jobs`, known or not.
fn is_of_jobs(message: &[u8]) -> bool {
    matches!(Kind::of(message), Some(Kind::Resume | Kind::Ack))
        || message.first().is_some_and(|&kind| kind >= message::PARCELS)
}
