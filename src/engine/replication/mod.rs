//! One replica: its document, its clock, what it covers; and how it and its peers come to cover the
//! same.
//!
//! Own writes are pushed to every peer as they are made. A write that arrives before one it depends
//! on waits. Whoever finds, from digests or from waiting, that a peer has what did not come, pulls
//! it from that peer's changes. See `docs/replication.md`.

mod alone;
mod beyond;
mod checkpoints;
mod checks;
mod confirm;
mod digest;
mod feed;
mod fold;
mod folds;
mod incoming;
mod outbox;
mod receive;
mod rows;
mod session;
mod sorted_run;
mod staging;
mod write;

pub use confirm::{Need, Waits};
pub use staging::CatchUp;
pub use write::Written;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxBuildHasher;

use super::causality::VersionVector;
use super::clock::Clock;
use super::config::Config;
use super::document::observe::ObserverId;
use super::document::watch::Whose;
use super::document::{Container, Document, Explanation, Page, Reading, Shown};
use super::error::WarningCode;
use super::event::Now;
use super::id::{Dot, ReplicaId};
use super::rare::{Gone, Rare};
use super::wire::message::{self, Kind, Pull};
use alone::AloneLog;
use beyond::Beyond;
use checkpoints::Checkpoints;
use feed::{Feed, Next};
use folds::Folds;
use incoming::Waiting;
use outbox::Outbox;
use rows::Rows;
use session::{Session, Target};
use staging::{Merging, Staging};

/// Parts of a feed on their way to one peer.
const FEED_PARTS: usize = 4;
/// The longest patience with a donor that says nothing.
const PULL_PATIENCE_MS_MAX: u64 = 60_000;
/// How long others are told of a replica that nobody hears any more.
const LATELY_MS: u64 = 60_000;
/// Bytes of values hashed in one go.
const HASH_BYTES: usize = 256 << 10;

/// Tells vectors apart.
fn fingerprint(vector: &VersionVector) -> u64 {
    FxBuildHasher.hash_one(vector.entries())
}

/// What an observer is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// More has changed than was kept: anything at or below the observed path may have.
    pub skipped: bool,
    pub changes: Vec<Change>,
    /// Others wait.
    pub more: bool,
}

/// A place, and JSON text of what it shows now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: Vec<Box<str>>,
    /// Only writes of this node have changed it.
    pub own: bool,
    pub json: Option<String>,
}

/// What is known of a peer that is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    pub standing: Standing,
    /// For how long it has lacked something that it still has not said to have.
    pub lag_ms: u64,
    pub clock_ahead_ms: Option<i64>,
    /// Bytes given to its link and not taken by the operating system.
    pub queue_bytes: usize,
    /// How often it was brought up to date from the changes.
    pub feeds: u64,
    /// How far it is in bringing this node up to date, if it does.
    pub catching_up: Option<CatchUp>,
}

/// How a peer stands to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How long a message took to it and back, when that was measured last.
    pub rtt_ms: Option<u64>,
    /// Writes that this node covers and the peer has not said to cover.
    pub lag: u64,
    /// At its last digest it covered what this node covers.
    pub same_context: bool,
    /// If so, whether its state had the same hash; `None` while one is not worked out.
    pub same_hash: Option<bool>,
}

/// Something to report.
#[derive(Clone, Debug)]
pub struct Report {
    pub code: WarningCode,
    pub peer: Option<ReplicaId>,
    pub detail: String,
}

/// What happened, counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub writes_local: u64,
    pub writes_remote: u64,
    pub writes_duplicate: u64,
    pub pulls: u64,
    pub feeds: u64,
    pub snapshots: u64,
    pub overflows: u64,
    pub clock_skews: u64,
    pub state_mismatches: u64,
    pub folds: u64,
}

#[derive(Clone, Debug)]
pub struct Replication {
    own: ReplicaId,
    config: Arc<Config>,
    clock: Clock,
    document: Document,
    vector: Arc<VersionVector>,
    checkpoints: Checkpoints,
    outbox: Outbox,
    waiting: Waiting,
    sessions: BTreeMap<ReplicaId, Session>,
    /// Since when there has always been a peer.
    company_since_ms: Option<u64>,
    /// Since when it has been the lowest of those alive, as far as it knows.
    lowest_since_ms: Option<u64>,
    rows: Rows,
    folds: Folds,
    /// See [`Replication::take_missing`].
    missing: Option<Vec<ReplicaId>>,
    alone: AloneLog,
    waits: Waits,
    /// Own writes are held back, to go out together.
    batching: bool,
    /// This replica ends, see [`Replication::leave`].
    leaving: bool,
    /// A peer told that this replica was forgotten.
    forgotten: bool,
    /// By what, and what the one before it was.
    beyond: Beyond,
    pull: Option<Pulling>,
    pull_id: u32,
    /// Whom the last pull has asked, and when.
    donor: Option<(ReplicaId, u64)>,
    /// How long a donor may say nothing. Doubles whenever that was too short, lest an answer that is
    /// on its way for longer be asked for anew for ever.
    pull_patience_ms: u64,
    merging: Option<Merging>,
    sends: VecDeque<(ReplicaId, Bytes)>,
    digest_due_ms: u64,
    reports: VecDeque<Report>,
    /// Origins whose clock was reported lately, and when.
    skews: BTreeMap<ReplicaId, u64>,
    pub counts: Counts,
    rare: Gone,
}

/// A feed we asked for.
#[derive(Clone, Debug)]
struct Pulling {
    id: u32,
    peer: ReplicaId,
    staging: Staging,
    heard_ms: u64,
}

impl Replication {
    pub fn new(own: ReplicaId, config: Arc<Config>, now: Now) -> Self {
        Replication {
            own,
            clock: Clock::default(),
            document: Document::new(config.removals_max),
            vector: Arc::default(),
            checkpoints: Checkpoints::new(config.checkpoint_changes),
            outbox: Outbox::new(config.part_bytes_max, config.message_bytes_max()),
            waiting: Waiting::new(config.pending_bytes_max),
            sessions: BTreeMap::new(),
            company_since_ms: None,
            lowest_since_ms: None,
            rows: Rows::default(),
            folds: Folds::default(),
            missing: None,
            alone: AloneLog::default(),
            waits: Waits::default(),
            batching: false,
            leaving: false,
            forgotten: false,
            beyond: Beyond::default(),
            pull: None,
            pull_id: 0,
            donor: None,
            pull_patience_ms: config.pull_timeout_ms,
            merging: None,
            sends: VecDeque::new(),
            digest_due_ms: now.monotonic_ms + config.heartbeat_interval_ms,
            reports: VecDeque::new(),
            skews: BTreeMap::new(),
            counts: Counts::default(),
            rare: Gone::default(),
            config,
        }
    }

    // ---- getters

    pub fn own(&self) -> ReplicaId {
        self.own
    }

    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    pub fn document(&self) -> &Document {
        &self.document
    }

    pub fn document_mut(&mut self) -> &mut Document {
        &mut self.document
    }

    pub fn rare(&self) -> Gone {
        let mut gone = self.rare;
        gone.note_if(self.counts.writes_duplicate > 0, Rare::DuplicateWrite);
        gone.join(self.document.rare());
        gone
    }

    /// The replicas that a peer is linked with, once it has said.
    pub fn links_of(&self, peer: ReplicaId) -> Option<&BTreeSet<ReplicaId>> {
        self.sessions.get(&peer)?.links.as_ref()
    }

    /// How a peer stands to this node, as far as is known.
    pub fn standing(&mut self, peer: ReplicaId) -> Option<Standing> {
        let rtt_ms = self.sessions.get(&peer)?.rtt_ms;
        let row = self.rows.get(peer);
        let covers = |id: ReplicaId| match id == self.own {
            true => self.covered_by(peer),
            false => row.map_or(0, |row| row.get(id)),
        };
        let lacks = |(id, n): (ReplicaId, u64)| n.saturating_sub(covers(id));
        let lag = self.vector.iter().map(lacks).sum();
        let told = self.sessions.get(&peer).and_then(|session| session.told);
        let same_context = told.is_some_and(|(theirs, _)| theirs == fingerprint(&self.vector));
        let same_hash = match told {
            Some((_, Some(theirs))) if same_context && !self.is_settling() => {
                self.document.hash(usize::MAX).map(|ours| ours == theirs)
            }
            _ => None,
        };
        Some(Standing { rtt_ms, lag, same_context, same_hash })
    }

    /// The same and more of a peer that is no observer.
    pub fn linked(&mut self, now: Now, peer: ReplicaId) -> Option<Linked> {
        let standing = self.standing(peer)?;
        let session = self.sessions.get(&peer).filter(|session| !session.observer)?;
        let since = session.lacks.as_ref().filter(|_| standing.lag > 0).map(|&(_, since)| since);
        Some(Linked {
            standing,
            lag_ms: since.map_or(0, |since| now.monotonic_ms.saturating_sub(since)),
            clock_ahead_ms: session.clock_ahead_ms,
            queue_bytes: session.outstanding,
            feeds: session.feeds,
            catching_up: self.catch_up(now).filter(|&(donor, _)| donor == peer).map(|(_, far)| far),
        })
    }

    /// Who brings this node up to date, and how far that is.
    pub fn catch_up(&self, now: Now) -> Option<(ReplicaId, CatchUp)> {
        let (donor, since_ms) = self.donor?;
        let progress = match (&self.merging, &self.pull) {
            (Some(merging), _) => merging.progress(),
            (None, Some(pull)) => pull.staging.progress(),
            (None, None) => return None,
        };
        Some((donor, CatchUp { ms: now.monotonic_ms.saturating_sub(since_ms), ..progress }))
    }

    /// Tells the vector that this replica covers from others.
    pub fn context_fingerprint(&self) -> u64 {
        fingerprint(&self.vector)
    }

    /// The hash of the whole state, if it can be told soon.
    pub fn known_hash(&mut self) -> Option<u64> {
        match self.is_settling() {
            true => None,
            false => self.document.hash(HASH_BYTES),
        }
    }

    pub fn clock_lead_ms(&self, now: Now) -> u64 {
        self.clock.lead_ms(now)
    }

    /// Bytes on their way to a peer, whatever they say.
    pub fn outstanding(&self, peer: ReplicaId) -> usize {
        self.sessions.get(&peer).map_or(0, |session| session.outstanding)
    }

    /// Others have sent something to a peer.
    pub fn note_sent(&mut self, peer: ReplicaId, bytes: usize) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.outstanding += bytes;
        }
    }

    /// Whether what every peer had when it said hello is here.
    pub fn is_caught_up(&self) -> bool {
        self.sessions.values().all(|session| session.caught_up || session.observer)
    }

    pub fn is_feeding(&self) -> bool {
        self.sessions.values().any(|session| session.feed.as_ref().is_some_and(Feed::has_begun))
    }

    pub fn is_fed(&self) -> bool {
        self.merging.is_some() || self.pull.as_ref().is_some_and(|pull| pull.staging.parts() > 0)
    }

    /// Whether what some peer had when it said hello is here.
    pub fn is_caught_up_with_one(&self) -> bool {
        self.sessions.values().any(|session| session.caught_up && !session.observer)
    }

    /// Whether it holds the write's effect, by whatever name.
    pub fn knows(&self, dot: Dot) -> bool {
        self.vector.covers(dot) || self.folds.knows(dot)
    }

    /// Whether no peer has said anything since its hello: it may say next that this replica was
    /// forgotten.
    pub fn is_alone(&self) -> bool {
        self.sessions.values().all(|session| session.links.is_none())
    }

    /// Whether what a feed brought, or a fold, is still being carried out.
    fn is_settling(&self) -> bool {
        self.merging.is_some() || self.document.is_folding()
    }

    // ---- reads: a path that waits to be merged is merged first

    pub fn read(&mut self, path: &[&str]) -> Option<String> {
        self.reading(path).map(Reading::into_json)
    }

    pub fn reading(&mut self, path: &[&str]) -> Option<Reading> {
        self.settle(path);
        self.document.reading(path)
    }

    pub fn shown(&mut self, path: &[&str]) -> Shown {
        self.settle(path);
        self.document.shown(path)
    }

    pub fn container(&mut self, path: &[&str]) -> Option<Container> {
        self.settle(path);
        self.document.container(path)
    }

    pub fn page(
        &mut self,
        path: &[&str],
        after: Option<&str>,
        max: usize,
        bytes_max: usize,
    ) -> Option<Page> {
        self.settle(path);
        self.document.page(path, after, max, bytes_max)
    }

    pub fn count(&mut self, path: &[&str]) -> Option<usize> {
        self.settle(path);
        self.document.count(path)
    }

    pub fn explain(&mut self, path: &[&str]) -> Explanation {
        self.settle(path);
        self.document.explain(path, self.own)
    }

    /// Appends everything that is held here and has still to be merged, a line a thing, for reports
    /// of failures.
    pub fn describe(&self, out: &mut String) {
        self.document.describe(out);
        if let Some(merging) = &self.merging {
            out.push_str("  to be merged: ");
            merging.describe(out);
            out.push('\n');
        }
    }

    /// Appends what peers will be told of changes, likewise.
    pub fn describe_changes(&self, out: &mut String) {
        let mut changes = self.document.describe_changes();
        let checkpoints = self.checkpoints.iter();
        changes.extend(checkpoints.map(|(place, vector)| (place, format!("all of {vector:?}"))));
        changes.sort_by_key(|&(place, _)| place);
        for (_, change) in changes {
            out.push_str("  changed: ");
            out.push_str(&change);
            out.push('\n');
        }
    }

    /// The hash of the whole state, once everything is merged.
    pub fn hash(&mut self) -> u64 {
        self.settle(&[]);
        self.document.fold_some(usize::MAX);
        self.document.hash(usize::MAX).unwrap_or_default()
    }

    // ---- peers come and go

    /// Whether a peer looks on and has written nothing: then it is no replica, and whether it lives
    /// or what it has is nothing that others wait for or hear of.
    pub(super) fn is_bystander(&self, peer: ReplicaId) -> bool {
        self.sessions.get(&peer).is_some_and(|session| session.observer)
            && self.vector.get(peer) == 0
    }

    /// The same of this node.
    fn looks_on(&self) -> bool {
        self.config.observer && self.vector.get(self.own) == 0
    }

    fn heard(&mut self, peer: ReplicaId, at_ms: u64) {
        if !self.is_bystander(peer) {
            self.folds.heard(peer, at_ms);
        }
    }

    pub fn peer_up(&mut self, now: Now, peer: ReplicaId, observer: bool) {
        self.sessions.insert(peer, Session { observer, ..Session::default() });
        if !observer {
            self.company_since_ms.get_or_insert(now.monotonic_ms);
        }
        self.heard(peer, now.monotonic_ms);
        // Its links and ours have changed: tell everybody.
        self.tell_of_links(now);
        self.ask_to_confirm();
    }

    pub fn peer_down(&mut self, now: Now, peer: ReplicaId) {
        self.heard(peer, now.monotonic_ms);
        if !self.is_alone() {
            self.alone.meet(self.vector.get(self.own));
        }
        if let Some(feed) = self.sessions.remove(&peer).and_then(|session| session.feed) {
            feed.drop_bookmark(&mut self.document);
        }
        if self.sessions.is_empty() {
            // What is made from here on is for nobody; who comes later pulls it.
            self.outbox.clear();
        }
        if self.sessions.values().all(|session| session.observer) {
            self.company_since_ms = None;
        }
        self.abandon_pull_from(now, peer);
        self.tell_of_links(now);
    }

    /// Messages go over another connection now; what was under way on the old one may be lost.
    pub fn peer_switched(&mut self, now: Now, peer: ReplicaId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.outstanding = 0;
        let unfinished = session.feed.is_some() || session.asked.is_some();
        self.rare.note_if(unfinished, Rare::FeedSwitched);
        session.asked = None;
        session.confirming = false;
        session.to_confirm = None;
        if let Some(feed) = session.feed.take() {
            feed.drop_bookmark(&mut self.document);
        }
        self.abandon_pull_from(now, peer);
        self.send_digests_to(now, &[peer]);
        self.ask_to_confirm();
    }

    /// Bytes sent to a peer have left our memory.
    pub fn drained(&mut self, peer: ReplicaId, bytes: usize) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.outstanding = session.outstanding.saturating_sub(bytes);
        if session.behind && session.outstanding <= self.config.queue_bytes_max / 4 {
            session.behind = false;
            self.send(peer, message::encode_empty(Kind::Behind));
        }
    }

    // ---- time

    pub fn deadline(&self) -> u64 {
        if self.is_settling() {
            return 0;
        }
        let mut deadline = self.digest_due_ms;
        match &self.pull {
            Some(pull) => deadline = deadline.min(pull.heard_ms + self.pull_patience_ms),
            None => {
                let targets = self.sessions.values().filter_map(|s| s.target.as_ref());
                deadline = targets.map(|target| target.due_ms).fold(deadline, u64::min);
                if let Some((due_ms, _)) = self.waiting.due(self.config.gap_timeout_ms) {
                    deadline = deadline.min(due_ms);
                }
            }
        }
        deadline
    }

    pub fn handle_timeout(&mut self, now: Now) {
        self.merge_some(now);
        if self.digest_due_ms <= now.monotonic_ms {
            self.digest_due_ms = now.monotonic_ms + self.config.heartbeat_interval_ms;
            self.look_after_the_dead(now);
            self.forget_cuts(now);
            if !self.is_settling() {
                self.document.tidy(&self.vector);
            }
            self.send_digests(now);
        }
        let patience_ms = self.pull_patience_ms;
        let stalled = self.pull.as_ref().filter(|p| p.heard_ms + patience_ms <= now.monotonic_ms);
        if let Some(peer) = stalled.map(|pull| pull.peer) {
            self.pull_patience_ms = PULL_PATIENCE_MS_MAX.min(2 * patience_ms).max(patience_ms);
            self.abandon_pull_from(now, peer);
        }
        self.ask_for_gaps(now);
        self.pull_if_due(now);
    }

    // ---- output

    /// Whether there is something to send, feeds apart.
    pub fn has_sends(&self) -> bool {
        let written = !self.batching && !self.outbox.is_empty() && !self.sessions.is_empty();
        !self.sends.is_empty() || written
    }

    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// The next frames for a peer.
    pub fn poll_send(&mut self) -> Option<(ReplicaId, Bytes)> {
        if let Some(send) = self.sends.pop_front() {
            return Some(send);
        }
        // A feed would tell of a part of the batch.
        if self.batching {
            return None;
        }
        while let Some(batch) = self.outbox.pop() {
            let peers: Vec<ReplicaId> = self.sessions.keys().copied().collect();
            for peer in peers {
                self.push(peer, batch.clone());
            }
            if let Some(send) = self.sends.pop_front() {
                return Some(send);
            }
        }
        self.feed_on();
        self.sends.pop_front()
    }

    /// Makes the next part of a feed for each peer that has room for it.
    fn feed_on(&mut self) {
        let idle = |session: &Session| session.feed.is_none() && session.asked.is_none();
        if self.sessions.values().all(idle) {
            return;
        }
        if self.is_settling() {
            return;
        }
        let room = self.config.part_bytes_max * FEED_PARTS;
        let ready = |session: &Session| session.outstanding < room;
        let peers: Vec<ReplicaId> = self
            .sessions
            .iter()
            .filter(|(_, s)| (s.feed.is_some() || s.asked.is_some()) && ready(s))
            .map(|(&peer, _)| peer)
            .collect();
        for peer in peers {
            self.start_feed(peer);
            let taken = self.sessions.get_mut(&peer).and_then(|session| session.feed.take());
            let Some(mut feed) = taken else { continue };
            let bytes = self.config.part_bytes_max;
            let stubs = self.folds.stubs();
            match feed.next(&mut self.document, &self.vector, &stubs, bytes) {
                Next::Part(frames) => {
                    self.send(peer, frames);
                    self.keep_feed(peer, feed);
                }
                Next::End(frames) => {
                    feed.drop_bookmark(&mut self.document);
                    self.send(peer, frames);
                }
                Next::Outrun => {
                    self.rare.note(Rare::FeedOutrun);
                    // The asker finds a part missing and asks again; by then we start from the
                    // beginning.
                    feed.drop_bookmark(&mut self.document);
                    self.send(peer, message::encode_empty(Kind::Behind));
                }
            }
        }
    }

    fn start_feed(&mut self, peer: ReplicaId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let Some((id, vector)) = session.asked.take() else { return };
        if let Some(old) = session.feed.take() {
            self.rare.note(Rare::FeedRestarted);
            old.drop_bookmark(&mut self.document);
        }
        let feed = if vector.includes(&self.vector) {
            Feed::nothing(id, vector, &mut self.document)
        } else {
            let steps = self.config.look_back_changes;
            Feed::start(id, vector, &mut self.document, &self.checkpoints, steps)
        };
        self.counts.feeds += 1;
        session.feeds += 1;
        self.counts.snapshots += u64::from(feed.is_full());
        self.rare.note_if(feed.is_full(), Rare::FeedFull);
        session.feed = Some(feed);
    }

    fn keep_feed(&mut self, peer: ReplicaId, feed: Feed) {
        match self.sessions.get_mut(&peer) {
            Some(session) => session.feed = Some(feed),
            None => feed.drop_bookmark(&mut self.document),
        }
    }

    /// Sends a batch of writes, unless too much is on its way already.
    fn push(&mut self, peer: ReplicaId, frames: Bytes) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.links.is_none() && !self.leaving {
            // It may say next that this replica was forgotten. What was made until then is made
            // again, so nobody may have it.
            session.behind = true;
            session.unsaid_bytes = session.unsaid_bytes.saturating_add(frames.len());
            if !session.observer && session.unsaid_bytes <= self.config.queue_bytes_max {
                session.unsaid.push(frames);
            }
            return;
        }
        if session.behind {
            return;
        }
        if session.outstanding + frames.len() > self.config.queue_bytes_max {
            session.behind = true;
            self.counts.overflows += 1;
            self.rare.note(Rare::QueueOverflow);
            return;
        }
        self.send(peer, frames);
    }

    /// The end of this replica, of which nothing will be made again: what waits for the first word
    /// of peers goes out.
    pub fn leave(&mut self) {
        self.leaving = true;
        self.end_batch();
        for peer in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.say_unsaid(peer);
        }
    }

    /// Sends what was left out before its first word. If that is not all, it stays behind.
    fn say_unsaid(&mut self, peer: ReplicaId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let unsaid = std::mem::take(&mut session.unsaid);
        if !unsaid.is_empty() && session.unsaid_bytes <= self.config.queue_bytes_max {
            session.behind = false;
        }
        unsaid.into_iter().for_each(|frames| self.send(peer, frames));
    }

    fn send(&mut self, peer: ReplicaId, frames: Bytes) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.outstanding += frames.len();
            self.sends.push_back((peer, frames));
        }
    }

    // ---- pulling

    /// Writes have waited too long for what they depend on: the peer that sent them has it.
    fn ask_for_gaps(&mut self, now: Now) {
        let due = self.waiting.due(self.config.gap_timeout_ms);
        let Some((_, from)) = due.filter(|&(due_ms, _)| due_ms <= now.monotonic_ms) else { return };
        // Nobody could be asked now, and who was not asked has not been asked in vain.
        if self.pull.is_some() || self.merging.is_some() {
            return;
        }
        self.waiting.asked(from, now.monotonic_ms);
        let bar_ms = self.beyond.until_ms();
        let target = self.sessions.get(&from).and_then(|session| session.target.as_ref());
        if now.monotonic_ms < bar_ms && target.is_some_and(|target| target.due_ms >= bar_ms) {
            return;
        }
        self.rare.note(Rare::GapPulled);
        self.pull_from(now, from);
    }

    fn pull_if_due(&mut self, now: Now) {
        if self.pull.is_some() || self.merging.is_some() {
            return;
        }
        let due = |session: &Session| {
            session.target.as_ref().is_some_and(|target| target.due_ms <= now.monotonic_ms)
        };
        let donor = self.sessions.iter().find(|(_, session)| due(session)).map(|(&peer, _)| peer);
        if let Some(peer) = donor {
            self.pull_from(now, peer);
        }
    }

    fn pull_from(&mut self, now: Now, peer: ReplicaId) {
        if self.pull.is_some() || self.merging.is_some() || !self.sessions.contains_key(&peer) {
            return;
        }
        self.pull_id = self.pull_id.wrapping_add(1);
        let id = self.pull_id;
        self.counts.pulls += 1;
        let heard_ms = now.monotonic_ms;
        self.donor = Some((peer, heard_ms));
        self.pull = Some(Pulling { id, peer, staging: Staging::default(), heard_ms });
        let pull = Pull { id, vector: self.vector.iter().collect() };
        self.send(peer, message::encode(Kind::Pull, &pull));
    }

    /// Gives a pull up, for now: another peer is asked first.
    fn abandon_pull_from(&mut self, now: Now, peer: ReplicaId) {
        if self.pull.as_ref().is_none_or(|pull| pull.peer != peer) {
            return;
        }
        self.rare.note(Rare::PullAbandoned);
        self.pull = None;
        let again_ms = now.monotonic_ms + self.config.pull_timeout_ms;
        if let Some(target) = self.sessions.get_mut(&peer).and_then(|s| s.target.as_mut()) {
            target.due_ms = again_ms;
        }
    }

    // ---- merging what a feed brought

    /// Merges a path, and what is above and below it, if that is still to be done.
    fn settle(&mut self, path: &[&str]) {
        if let Some(merging) = &mut self.merging {
            self.rare.note(Rare::MergeForced);
            merging.touch(&mut self.document, &self.vector, &self.folds, path);
        }
        self.document.fold_touch(path);
    }

    fn merge_some(&mut self, now: Now) {
        let Some(merging) = &mut self.merging else {
            if self.document.is_folding() {
                self.document.fold_some(self.config.merge_paths);
                self.rare.note_if(self.document.is_folding(), Rare::FoldInSteps);
                self.checkpoints.record(self.document.sequence(), &self.vector);
            }
            return;
        };
        let paths = self.config.merge_paths;
        if merging.step(&mut self.document, &self.vector, &self.folds, paths) {
            if merging.is_full() {
                self.document.forget_changes();
                self.checkpoints.clear();
            }
            self.merging = None;
            self.checkpoints.record(self.document.sequence(), &self.vector);
            self.send_digests(now);
            // Folds wait for this.
            let _ = self.retry_waiting(now);
        } else {
            self.rare.note(Rare::MergeInSteps);
        }
    }

    /// The vector has grown.
    fn advanced(&mut self) {
        for session in self.sessions.values_mut() {
            let target = session.target.as_ref().and_then(|target| target.vector.as_ref());
            if target.is_some_and(|target| self.vector.includes(target)) {
                session.target = None;
                session.caught_up = true;
            }
        }
        self.checkpoints.record(self.document.sequence(), &self.vector);
        self.confirm();
    }

    fn report(&mut self, code: WarningCode, peer: Option<ReplicaId>, detail: String) {
        self.reports.push_back(Report { code, peer, detail });
    }

    /// The peers that have no link to `origin`, as far as they have said.
    fn not_linked_with(&self, origin: ReplicaId) -> BTreeSet<ReplicaId> {
        let apart = |session: &Session| {
            session.links.as_ref().is_some_and(|links| !links.contains(&origin))
        };
        let sessions = self.sessions.iter().filter(|(&peer, s)| peer != origin && apart(s));
        sessions.map(|(&peer, _)| peer).collect()
    }

    /// What the application keeps or observes has changed, and it was not told.
    pub fn has_touched(&self) -> bool {
        let watch = &self.document.watch;
        watch.has_touched_remote() || watch.observers.has_news()
    }

    /// The next places that have changed for an observer, and what is there: few if that is much.
    pub fn take_changes(&mut self, id: ObserverId, max: usize, bytes_max: usize) -> Changes {
        let mut changes = Changes::default();
        let mut bytes = 0;
        loop {
            let changed = self.document.watch.observers.take(id, 1);
            changes.skipped |= changed.skipped;
            changes.more = changed.more;
            for (place, own) in changed.places {
                let path = place.segments();
                let segments: Vec<&str> = path.iter().map(|segment| &**segment).collect();
                let json = self.read(&segments);
                bytes += place.as_bytes().len() + json.as_ref().map_or(0, String::len);
                let path = path.into_iter().map(Into::into).collect();
                changes.changes.push(Change { path, own, json });
            }
            if !changes.more || changes.changes.len() >= max || bytes >= bytes_max {
                return changes;
            }
        }
    }

    pub fn take_touched(&mut self, whose: Whose, into: &mut Vec<u32>) {
        self.document.watch.take_touched(whose, into);
    }
}
