//! Jobs, remote calls and events: asking nodes to run functions, and gathering what they answer.
//!
//! | file | is |
//! | --- | --- |
//! | `gather` | the caller's side: who has not answered, until when |
//! | `run` | the other side: what runs here, for whom, until when |
//! | `line` | what goes to one peer, in order and once |
//! | `inbox` | what waits for the application |
//! | `receive` | what peers send |
//! | `checks` | what is refused |
//!
//! One rule: a job ends when every node asked has an outcome, or at its deadline. A node has its
//! outcome when it answers, when nothing can be sent to it, and when it is lost; the rest is the
//! deadline's. Nothing comes after the end.

mod checks;
mod gather;
mod inbox;
mod line;
mod receive;
mod run;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::config::Config;
use super::error::AskError;
use super::event::{Ask, Asked, End, Item, Now, Offer, Outcome, Refusal, Running, Stop, To};
use super::id::{JobId, LinkId, ReplicaId, RunId};
use super::rare::{Gone, Rare};
use super::wire::message::{self, Answer, AnswerItem, Call, Cancel, Emit, Kind, Postpone};
use checks::describe;
use gather::{Gathers, Settled};
use inbox::{Inbox, Urgency};
use line::{Bounds, Class, Line};
use run::Runs;

/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 255;
/// How names begin that nodes use among themselves.
const OWN_NAMES: &str = "collective-io:";
/// Bytes of what goes along with a call unread: a `traceparent` and a `tracestate` of W3C.
pub const TRACE_BYTES_MAX: usize = 600;
/// Bytes of a message beside the arguments or the result.
const MESSAGE_OVERHEAD: usize = 1024;
/// Pieces under way to one peer, so that what is small never waits long behind them.
const PIECES: usize = 4;
/// Small frames for one peer are joined up to about so many bytes.
const JOINED_BYTES_MAX: usize = 8 << 10;
/// Peers that are gone and whose lines are kept: they may come back with parcels that were here.
const LINES_GONE_MAX: usize = 1024;

#[derive(Clone, Debug)]
pub struct Jobs {
    own: ReplicaId,
    config: Arc<Config>,
    bounds: Bounds,
    offers: Offers,
    gathers: Gathers,
    runs: Runs,
    inbox: Inbox,
    lines: BTreeMap<ReplicaId, Line>,
    /// Those of `lines` that are not up, the longest gone first.
    gone: VecDeque<ReplicaId>,
    /// Peers that look on: nobody asks them, or tells them anything, unless they are named.
    observers: BTreeSet<ReplicaId>,
    /// Peers that know this node by another name: their lines end with their links.
    misnamed: BTreeSet<ReplicaId>,
    /// What has come from peers that the application does not know yet.
    early: BTreeMap<ReplicaId, VecDeque<Early>>,
    /// The number of the next parcel on each link.
    numbers: BTreeMap<LinkId, u64>,
    /// Peers whose line may have something to send.
    ready: BTreeSet<ReplicaId>,
    /// When to tell peers what was received and taken; `None`: they know.
    ack_at_ms: Option<u64>,
    left: bool,
    pub events_unheard: u64,
    rare: Gone,
}

/// A parcel that waits, with its cost, since this time.
#[derive(Clone, Debug)]
struct Early {
    message: Bytes,
    cost: u64,
    now: Now,
}

/// The names of what this node has.
#[derive(Clone, Debug, Default)]
struct Offers {
    workers: BTreeSet<Arc<str>>,
    functions: BTreeSet<Arc<str>>,
    events: BTreeSet<Arc<str>>,
}

impl Offers {
    fn names(&self, offer: Offer) -> &BTreeSet<Arc<str>> {
        match offer {
            Offer::Worker => &self.workers,
            Offer::Function => &self.functions,
            Offer::Event => &self.events,
        }
    }

    fn names_mut(&mut self, offer: Offer) -> &mut BTreeSet<Arc<str>> {
        match offer {
            Offer::Worker => &mut self.workers,
            Offer::Function => &mut self.functions,
            Offer::Event => &mut self.events,
        }
    }
}

impl Jobs {
    pub fn new(own: ReplicaId, config: Arc<Config>) -> Self {
        let message_bytes_max = config.limits.value_bytes_max + MESSAGE_OVERHEAD;
        let piece_bytes = config.part_bytes_max;
        let bounds = Bounds {
            piece_bytes,
            message_bytes_max,
            window: (config.window_bytes as u64)
                .max(2 * line::cost(message_bytes_max, piece_bytes)),
        };
        Jobs {
            own,
            config,
            bounds,
            offers: Offers::default(),
            gathers: Gathers::default(),
            runs: Runs::default(),
            inbox: Inbox::default(),
            lines: BTreeMap::new(),
            gone: VecDeque::new(),
            observers: BTreeSet::new(),
            misnamed: BTreeSet::new(),
            early: BTreeMap::new(),
            numbers: BTreeMap::new(),
            ready: BTreeSet::new(),
            ack_at_ms: None,
            left: false,
            events_unheard: 0,
            rare: Gone::default(),
        }
    }

    // ---- getters

    /// Own jobs that have not ended.
    pub fn running(&self) -> usize {
        self.gathers.len()
    }

    /// The oldest own jobs that have not ended, at most so many.
    pub fn list(&self, now: Now, max: usize) -> Vec<Running> {
        self.gathers.running(now, OWN_NAMES, max)
    }

    /// Functions that run here.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether at most one job is under way, and nothing runs here but for that one.
    pub fn is_quiet(&self) -> bool {
        self.gathers.len() <= 1 && self.runs.len() <= self.gathers.len()
    }

    pub fn items_waiting(&self) -> usize {
        self.inbox.len() + self.early.values().map(VecDeque::len).sum::<usize>()
    }

    pub fn bytes_queued(&self) -> usize {
        self.lines.values().map(Line::bytes).sum()
    }

    /// The lines that are not empty, for reports of failures.
    pub fn describe(&self) -> String {
        let busy = self.lines.iter().filter(|(_, line)| line.bytes() > 0 || line.owes_ack());
        let line = |(peer, line): (&ReplicaId, &Line)| {
            let ready = if self.ready.contains(peer) { "ready" } else { "waiting" };
            format!("  to {peer:?}, {ready}: {}\n", line.describe())
        };
        busy.map(line).collect()
    }

    pub fn rare(&self) -> Gone {
        let mut gone = self.rare;
        self.lines.values().for_each(|line| gone.join(line.rare));
        gone
    }

    // ---- what the application does

    pub fn offer(&mut self, offer: Offer, name: &str) {
        self.offers.names_mut(offer).insert(name.into());
    }

    pub fn withdraw(&mut self, offer: Offer, name: &str) {
        self.offers.names_mut(offer).remove(name);
    }

    pub fn ask(&mut self, now: Now, ask: Ask<'_>) -> Result<Asked, AskError> {
        self.check(ask.name, ask.args)?;
        if self.gathers.len() >= self.config.jobs_max {
            self.rare.note(Rare::JobsFull);
            return Err(AskError::Busy { limit: self.config.jobs_max });
        }
        let own = self.own;
        let nodes = self.targets(ask.to, true);
        let deadline_ms = now.monotonic_ms.saturating_add(ask.timeout_ms);
        let (job, begun) = self.gathers.start(now, ask.name, deadline_ms, &nodes);
        if let Settled::Ended(end) = begun {
            self.inbox.push(Urgency::Now, Item::Ended { job, end }, None);
        }
        let call = Call {
            job,
            offer: ask.offer,
            name: ask.name,
            remaining_ms: ask.timeout_ms,
            args: ask.args,
        };
        let trace = if ask.trace.len() > TRACE_BYTES_MAX { "" } else { ask.trace };
        if nodes.iter().any(|&node| node != own) {
            let parcel = match trace {
                "" => Parcel::new(Kind::Call, &call),
                trace => Parcel::new(Kind::Call, &(call, trace)),
            };
            for &node in nodes.iter().filter(|&&node| node != own) {
                if !self.push_if_room(node, Class::Call(job), &parcel) {
                    self.settle(job, node, Outcome::Busy);
                }
            }
        }
        if nodes.contains(&own) {
            if let Err(refused) = self.start_run(now, own, call, trace, None) {
                self.settle(job, own, refused);
            }
        }
        Ok(Asked { job, nodes })
    }

    pub fn answer(&mut self, run: RunId, result: Result<&str, &str>) {
        let Some(running) = self.runs.remove(run) else { return };
        let refused = self.refusal(result.unwrap_or_else(|error| error));
        let answer = match (&refused, result) {
            (Some(refused), _) => AnswerItem::Error(refused),
            (None, Ok(value)) => AnswerItem::Ok(value),
            (None, Err(error)) => AnswerItem::Error(error),
        };
        self.reply(running.caller, running.job, answer);
    }

    pub fn refuse(&mut self, run: RunId, why: Refusal) {
        let Some(running) = self.runs.remove(run) else { return };
        let answer = match why {
            Refusal::NoWorker => AnswerItem::NoWorker,
            Refusal::Busy => AnswerItem::Busy,
        };
        self.reply(running.caller, running.job, answer);
    }

    pub fn set_timeout(&mut self, now: Now, job: JobId, timeout_ms: u64) {
        let deadline_ms = now.monotonic_ms.saturating_add(timeout_ms);
        let Some(pending) = self.gathers.postpone(job, deadline_ms) else { return };
        let nodes: Vec<ReplicaId> = pending.iter().copied().collect();
        let postpone = Postpone { job, remaining_ms: timeout_ms };
        let parcel = Parcel::new(Kind::Postpone, &postpone);
        for node in nodes {
            match self.runs.find(node, job).filter(|_| !self.lines.contains_key(&node)) {
                Some(run) => self.runs.postpone(run, deadline_ms),
                None => self.push(node, Class::About(job), &parcel),
            }
        }
    }

    pub fn cancel(&mut self, job: JobId, reason: &str) {
        // What peers would not take is not worth the link.
        let reason = self.refusal(reason).map_or(reason, |_| "null");
        self.end(job, Outcome::Aborted, End::Aborted, Some(reason));
    }

    pub fn emit(&mut self, to: To<'_>, name: &str, args: &str) -> Result<usize, AskError> {
        self.check(name, args)?;
        let parcel = Parcel::new(Kind::Emit, &Emit { name, args });
        let peers = self.targets(to, false);
        let sent = |peer: &&ReplicaId| self.push_if_room(**peer, Class::Event, &parcel);
        Ok(peers.iter().filter(sent).count())
    }

    pub fn take_items(&mut self, now: Now, max: usize, into: &mut Vec<Item>) -> bool {
        let mut left = max;
        while left > 0 {
            let Some(entry) = self.inbox.pop() else { break };
            if let Some((peer, cost)) = entry.cost {
                self.taken(now, peer, cost);
            }
            let mut item = entry.item;
            if let Item::Run { run, remaining_ms, .. } = &mut item {
                let Some(running) = self.runs.hand_out(now.monotonic_ms, *run) else {
                    self.rare.note(Rare::RunExpired);
                    self.expire(*run);
                    continue;
                };
                *remaining_ms = running.deadline_ms - now.monotonic_ms;
            }
            into.push(item);
            left -= 1;
        }
        self.inbox.taken();
        self.inbox.len() > 0
    }

    /// Ends everything: nothing can be asked or answered from here on.
    pub fn leave(&mut self) {
        self.left = true;
        self.early.clear();
        for run in self.runs.all() {
            self.stop(run, Stop::CallerLost);
        }
        for job in self.gathers.all() {
            self.end(job, Outcome::Aborted, End::Aborted, None);
        }
    }

    // ---- peers come and go

    /// Messages go over another link now, perhaps the first.
    pub fn peer_switched(&mut self, peer: ReplicaId) {
        let line = self.lines.entry(peer).or_insert_with(|| Line::new(self.bounds));
        if self.config.introductions && !line.is_up() {
            self.early.insert(peer, VecDeque::new());
        }
        line.switch();
        self.gone.retain(|&gone| gone != peer);
        self.ready.insert(peer);
    }

    /// This peer looks on.
    pub fn observes(&mut self, peer: ReplicaId) {
        self.observers.insert(peer);
    }

    /// The application knows this peer.
    pub fn introduce(&mut self, peer: ReplicaId) {
        for Early { message, cost, now } in self.early.remove(&peer).unwrap_or_default() {
            // It was checked when it came.
            let _ = self.receive_parcel(now, peer, &message, cost);
        }
    }

    pub fn peer_down(&mut self, peer: ReplicaId) {
        self.observers.remove(&peer);
        let early = self.early.remove(&peer).unwrap_or_default();
        let Some(line) = self.lines.get_mut(&peer) else { return };
        early.iter().for_each(|early| line.take(early.cost));
        line.lose();
        self.ready.remove(&peer);
        if self.misnamed.remove(&peer) {
            self.lines.remove(&peer);
        } else {
            self.gone.push_back(peer);
        }
        if self.gone.len() > LINES_GONE_MAX {
            if let Some(longest) = self.gone.pop_front() {
                self.lines.remove(&longest);
            }
        }
        self.part(peer);
    }

    pub fn link_closed(&mut self, link: LinkId) {
        self.numbers.remove(&link);
    }

    /// This node has another replica id from now on, and all links are about to be closed. To its
    /// peers it will be another node, with which they have exchanged nothing.
    pub fn rename(&mut self, own: ReplicaId) {
        self.own = own;
        self.gone.clear();
        self.lines.retain(|_, line| line.is_up());
        self.misnamed = self.lines.keys().copied().collect();
    }

    // ---- time

    pub fn deadline(&self) -> Option<u64> {
        let deadlines = [self.gathers.deadline(), self.runs.deadline(), self.ack_at_ms];
        deadlines.into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(job) = self.gathers.next_due(now.monotonic_ms) {
            self.end(job, Outcome::Timeout, End::Timeout, None);
        }
        while let Some(run) = self.runs.next_due(now.monotonic_ms) {
            self.expire(run);
        }
        if self.ack_at_ms.is_some_and(|at| at <= now.monotonic_ms) {
            self.ack_at_ms = None;
            for (&peer, line) in &mut self.lines {
                line.ack_now();
                self.ready.insert(peer);
            }
        }
    }

    // ---- output

    /// Whether there may be something to send or to tell.
    pub fn has_outputs(&self) -> bool {
        !self.ready.is_empty() || self.inbox.has_news()
    }

    /// Whether to tell the application that items wait, and how urgently.
    pub fn poll_news(&mut self) -> Option<bool> {
        self.inbox.poll().map(|urgency| urgency == Urgency::Now)
    }

    /// The next frames for a peer. `outstanding` is what its link has to write already.
    pub fn poll_send(
        &mut self,
        outstanding: impl Fn(ReplicaId) -> usize,
    ) -> Option<(ReplicaId, Bytes)> {
        let small_max = self.config.queue_bytes_max;
        let pieces_max = PIECES * self.bounds.piece_bytes;
        while let Some(&peer) = self.ready.first() {
            let line = self.lines.get_mut(&peer);
            let send =
                line.and_then(|line| line.poll_send(outstanding(peer), small_max, pieces_max));
            match send {
                Some(first) => return Some((peer, self.join_small(peer, first))),
                None => self.ready.remove(&peer),
            };
        }
        None
    }

    /// Adds the frames that follow, as long as all are small: one output for many parcels.
    fn join_small(&mut self, peer: ReplicaId, first: Bytes) -> Bytes {
        let Some(line) = self.lines.get_mut(&peer) else { return first };
        let mut next = match first.len() {
            0..JOINED_BYTES_MAX => line.poll_small(),
            _ => None,
        };
        if next.is_none() {
            return first;
        }
        let mut joined = BytesMut::with_capacity(2 * JOINED_BYTES_MAX);
        joined.extend_from_slice(&first);
        while let Some(frames) = next {
            joined.extend_from_slice(&frames);
            next = if joined.len() < JOINED_BYTES_MAX { line.poll_small() } else { None };
        }
        joined.freeze()
    }

    /// A link has written something.
    pub fn drained(&mut self, peer: ReplicaId) {
        if self.lines.get(&peer).is_some_and(|line| line.bytes() > 0) {
            self.ready.insert(peer);
        }
    }

    // ---- what runs here

    /// Whether it waits for the application, or why it will not run.
    fn start_run(
        &mut self,
        now: Now,
        caller: ReplicaId,
        call: Call<'_>,
        trace: &str,
        cost: Option<(ReplicaId, u64)>,
    ) -> Result<bool, Outcome> {
        let Some(name) = self.offers.names(call.offer).get(call.name) else {
            return Err(Outcome::NoWorker);
        };
        if call.offer == Offer::Event {
            return Err(Outcome::NoWorker);
        }
        if call.remaining_ms == 0 {
            return Err(Outcome::Timeout);
        }
        if self.runs.count(caller) >= self.config.runs_per_peer_max {
            self.rare.note(Rare::RunsFull);
            return Err(Outcome::Busy);
        }
        let deadline_ms = now.monotonic_ms.saturating_add(call.remaining_ms);
        let Some(run) = self.runs.start(caller, call.job, deadline_ms) else { return Ok(false) };
        let item = Item::Run {
            run,
            offer: call.offer,
            name: name.clone(),
            args: call.args.into(),
            caller,
            job: call.job,
            remaining_ms: call.remaining_ms,
            trace: trace.into(),
        };
        self.inbox.push(Urgency::Now, item, cost);
        Ok(true)
    }

    fn expire(&mut self, run: RunId) {
        if let Some(running) = self.stop(run, Stop::Timeout) {
            self.reply(running.caller, running.job, AnswerItem::Timeout);
        }
    }

    /// Nobody waits for it any more.
    fn stop(&mut self, run: RunId, why: Stop) -> Option<run::Running> {
        let running = self.runs.remove(run)?;
        if running.handed_out {
            self.inbox.push(Urgency::Now, Item::Stop { run, why }, None);
        }
        Some(running)
    }

    fn reply(&mut self, caller: ReplicaId, job: JobId, answer: AnswerItem<'_>) {
        if !self.lines.contains_key(&caller) {
            let outcome = match answer {
                AnswerItem::Ok(value) => Outcome::Ok(value.into()),
                AnswerItem::Error(error) => Outcome::Error(error.into()),
                AnswerItem::NoWorker => Outcome::NoWorker,
                AnswerItem::Timeout => Outcome::Timeout,
                AnswerItem::Busy => Outcome::Busy,
            };
            self.settle(job, caller, outcome);
            return;
        }
        let has_text = matches!(answer, AnswerItem::Ok(_) | AnswerItem::Error(_));
        let parcel = Parcel::new(Kind::Answer, &Answer { job, answer });
        if !has_text {
            self.push(caller, Class::Other, &parcel);
        } else if !self.push_if_room(caller, Class::Other, &parcel) {
            // Not `Busy`, as the function ran.
            let message = "Too much is under way to the caller: the answer was dropped";
            let dropped = describe(message, "ERR_BUSY");
            let answer = AnswerItem::Error(&dropped);
            let parcel = Parcel::new(Kind::Answer, &Answer { job, answer });
            self.push(caller, Class::Other, &parcel);
        }
    }

    // ---- what was asked

    fn settle(&mut self, job: JobId, node: ReplicaId, outcome: Outcome) {
        self.settle_at_cost(job, node, outcome, None);
    }

    /// Whether it counts, and so keeps its cost.
    fn settle_at_cost(
        &mut self,
        job: JobId,
        node: ReplicaId,
        outcome: Outcome,
        cost: Option<(ReplicaId, u64)>,
    ) -> bool {
        let settled = self.gathers.settle(job, node, outcome.status());
        if settled == Settled::Late {
            self.rare.note(Rare::OutcomeLate);
            return false;
        }
        self.inbox.push(Urgency::Soon, Item::Outcome { job, node, outcome }, cost);
        if let Settled::Ended(end) = settled {
            self.inbox.push(Urgency::Now, Item::Ended { job, end }, None);
        }
        true
    }

    /// Ends a job before all have answered: those get this outcome, and are told to stop.
    fn end(&mut self, job: JobId, outcome: Outcome, end: End, reason: Option<&str>) {
        let Some(pending) = self.gathers.remove(job) else { return };
        let parcel = Parcel::new(Kind::Cancel, &Cancel { job, reason });
        for node in pending {
            match self.lines.get_mut(&node) {
                Some(line) => {
                    if line.take_back(job) {
                        self.rare.note(Rare::CallTakenBack);
                    } else {
                        self.push(node, Class::About(job), &parcel);
                    }
                    self.ready.insert(node);
                }
                None => {
                    if let Some(run) = self.runs.find(node, job) {
                        self.stop(run, reason.map_or(Stop::Timeout, |r| Stop::Cancelled(r.into())));
                    }
                }
            }
            let item = Item::Outcome { job, node, outcome: outcome.clone() };
            self.inbox.push(Urgency::Soon, item, None);
        }
        self.inbox.push(Urgency::Now, Item::Ended { job, end }, None);
    }

    /// What a peer and this node were doing for one another is over.
    fn part(&mut self, peer: ReplicaId) {
        for job in self.gathers.waiting_for(peer) {
            self.settle(job, peer, Outcome::Lost);
        }
        for run in self.runs.of(peer) {
            self.stop(run, Stop::CallerLost);
        }
    }

    // ---- lines

    /// The nodes meant, each once; peers only as long as they are there.
    fn targets(&self, to: To<'_>, own_too: bool) -> Vec<ReplicaId> {
        let is_up = |peer: &ReplicaId| self.lines.get(peer).is_some_and(Line::is_up);
        let own = || own_too.then_some(self.own);
        let is_meant =
            |(peer, line): &(&ReplicaId, &Line)| line.is_up() && !self.observers.contains(peer);
        let peers = || self.lines.iter().filter(is_meant).map(|(&peer, _)| peer);
        match to {
            To::All => own().into_iter().chain(peers()).collect(),
            To::Others => peers().collect(),
            To::Only(nodes) => {
                let meant = |node: &ReplicaId| is_up(node) || own() == Some(*node);
                let meant: BTreeSet<ReplicaId> = nodes.iter().copied().filter(meant).collect();
                meant.into_iter().collect()
            }
        }
    }

    fn push_if_room(&mut self, peer: ReplicaId, class: Class, parcel: &Parcel) -> bool {
        let Some(line) = self.lines.get(&peer) else { return false };
        let room = line.is_up() && line.has_room(parcel.message.len());
        self.rare.note_if(line.is_up() && !room, Rare::NoRoom);
        if room {
            self.push(peer, class, parcel);
        }
        room
    }

    fn push(&mut self, peer: ReplicaId, class: Class, parcel: &Parcel) {
        let Some(line) = self.lines.get_mut(&peer).filter(|line| line.is_up()) else { return };
        line.push(class, &parcel.frames, &parcel.message);
        self.ready.insert(peer);
    }

    fn taken(&mut self, now: Now, peer: ReplicaId, cost: u64) {
        if let Some(line) = self.lines.get_mut(&peer) {
            line.take(cost);
            self.note_ack(now, peer);
        }
    }

    /// Sees to it that a peer gets to know what was received and taken, at once or later.
    fn note_ack(&mut self, now: Now, peer: ReplicaId) {
        let Some(line) = self.lines.get(&peer) else { return };
        if line.ack_is_due() {
            self.ready.insert(peer);
        } else if line.owes_ack() && self.ack_at_ms.is_none() {
            self.ack_at_ms = Some(now.monotonic_ms + self.config.heartbeat_interval_ms);
        }
    }
}

/// A message and its frames.
struct Parcel {
    message: Bytes,
    frames: Bytes,
}

impl Parcel {
    fn new<T: Serialize>(kind: Kind, fields: &T) -> Self {
        let mut message = message::begin(kind);
        message::append(&mut message, fields);
        let frames = message::finish(&message);
        Parcel { message: message.into(), frames }
    }
}
