//! What was asked, run, answered, sent and told, and the rules of `docs/jobs.md` about it.
//!
//! Knows of engines only what they tell their applications. Each life of a process has a number;
//! arguments carry the number of their job or event, so that what arrives names what it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::engine::{Asked, Config, End, JobId, Offer, Outcome, ReplicaId, RunId, Stop};

/// Bytes of a message beside the arguments or the result, at most.
const MESSAGE_OVERHEAD: usize = 1024;

/// An application that is kept busy takes its items after that time.
const TAKING_MS: u64 = 5_000;
/// Two nodes that are linked again have told each other what they lost, or lose one another, unless
/// that may wait for room.
const TELLING_MS: u64 = 7_000;

#[derive(Debug, Default)]
pub struct Ledger {
    lives: Vec<Life>,
    by_replica: BTreeMap<ReplicaId, usize>,
    asks: Vec<Ask>,
    by_job: BTreeMap<(usize, JobId), usize>,
    by_run: BTreeMap<(usize, RunId), usize>,
    /// By life: the deadline and number of asks that have not ended.
    open: BTreeSet<(usize, u64, usize)>,
    emits: Vec<Emit>,
    heard: BTreeSet<(usize, usize)>,
    /// By sender's and hearer's life: the last event heard.
    last_heard: BTreeMap<(usize, usize), usize>,
    /// By life and peer: when it last came and went.
    ups: BTreeMap<(usize, ReplicaId), u64>,
    downs: BTreeMap<(usize, ReplicaId), u64>,
    /// When it had come that went last.
    last_ups: BTreeMap<(usize, ReplicaId), u64>,
    /// Since when it is there that is there.
    here_since: BTreeMap<(usize, ReplicaId), u64>,
    /// How long it takes at most until a peer hears of something, where that is known.
    hears_in_ms: Option<u64>,
    /// What is told of a loss may wait for an application that takes little at a time.
    tells_late: bool,
    pub counts: Counts,
}

/// Totals for the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub asked: usize,
    pub runs: usize,
    /// In the order of [`Outcome`].
    pub outcomes: [usize; 7],
    pub emitted: usize,
    pub heard: usize,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.asked += other.asked;
        self.runs += other.runs;
        for (all, of) in self.outcomes.iter_mut().zip(other.outcomes) {
            *all += of;
        }
        self.emitted += other.emitted;
        self.heard += other.heard;
    }
}

/// From a time to another, which may not be known yet.
type Span = (u64, Option<u64>);

#[derive(Debug)]
struct Life {
    node: usize,
    replica: ReplicaId,
    left: bool,
    ended_ms: Option<u64>,
    /// From when to when each name was offered.
    offers: BTreeMap<(Offer, String), Vec<Span>>,
}

pub struct Ask {
    pub life: usize,
    replica: ReplicaId,
    offer: Offer,
    name: String,
    args: Arc<str>,
    pub asked_ms: u64,
    job: JobId,
    pub deadline_ms: u64,
    /// Earlier deadlines, and when each was moved.
    moved: Vec<(u64, u64)>,
    timeout_ms_max: u64,
    /// Nothing but the answers may end it.
    sure: bool,
    cancelled: Option<String>,
    outcomes: BTreeMap<ReplicaId, Option<usize>>,
    runs: BTreeMap<usize, Run>,
    pub end: Option<End>,
    ended_ms: u64,
}

struct Run {
    run: RunId,
    taken_ms: u64,
    /// The answer, and how often items had been taken when it was given.
    answer: Option<(Outcome, u64)>,
    stopped: bool,
}

struct Emit {
    life: usize,
    replica: ReplicaId,
    at_ms: u64,
    name: String,
    args: Arc<str>,
    targets: BTreeSet<ReplicaId>,
    count: usize,
    hearers: usize,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {:?} of {} bytes, {:?} of life {} ({:?}) at {}, deadline {}, cancelled: {}, \
             outcomes {:?}, runs by life {:?}, end {:?}",
            self.offer,
            self.name,
            self.args.len(),
            self.job,
            self.life,
            self.replica,
            self.asked_ms,
            self.deadline_ms,
            self.cancelled.is_some(),
            self.outcomes
                .iter()
                .map(|(node, kind)| (node, kind.map(|kind| KINDS[kind])))
                .collect::<Vec<_>>(),
            self.runs,
            self.end
        )
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = self.answer.as_ref().map(|(answer, _)| KINDS[kind_of(answer)]);
        write!(f, "{:?} at {}, answer {answer:?}", self.run, self.taken_ms)?;
        f.write_str(if self.stopped { ", stopped" } else { "" })
    }
}

impl fmt::Debug for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} of {} bytes by life {} ({:?}) at {}, to {} of {:?}",
            self.name,
            self.args.len(),
            self.life,
            self.replica,
            self.at_ms,
            self.count,
            self.targets
        )
    }
}

/// What a node asks, before it does.
pub struct Question<'a> {
    pub life: usize,
    pub replica: ReplicaId,
    pub offer: Offer,
    pub name: &'a str,
    pub args: Arc<str>,
    pub timeout_ms: u64,
    pub sure: bool,
}

/// A run as the application is given it.
pub struct Handed<'a> {
    pub run: RunId,
    pub offer: Offer,
    pub name: &'a str,
    pub args: &'a str,
    pub caller: ReplicaId,
    pub job: JobId,
    pub remaining_ms: u64,
    pub trace: &'a str,
}

impl Ledger {
    pub fn new(hears_in_ms: Option<u64>, tells_late: bool) -> Self {
        Ledger { hears_in_ms, tells_late, ..Ledger::default() }
    }

    // ---- lives and links

    pub fn begin(&mut self, node: usize, replica: ReplicaId) -> usize {
        let life = self.lives.len();
        let offers = BTreeMap::new();
        self.lives.push(Life { node, replica, left: false, ended_ms: None, offers });
        self.by_replica.insert(replica, life);
        life
    }

    /// The node goes on as another replica.
    pub fn rejoin(&mut self, life: usize, replica: ReplicaId) {
        self.lives[life].replica = replica;
        self.by_replica.insert(replica, life);
    }

    pub fn leave(&mut self, life: usize) {
        self.lives[life].left = true;
    }

    pub fn end(&mut self, at: u64, life: usize) {
        self.lives[life].ended_ms = Some(at);
        self.open.retain(|&(of, _, _)| of != life);
    }

    pub fn up(&mut self, at: u64, life: usize, peer: ReplicaId) {
        self.ups.insert((life, peer), at);
        self.here_since.insert((life, peer), at);
    }

    pub fn down(&mut self, at: u64, life: usize, peer: ReplicaId) {
        self.downs.insert((life, peer), at);
        self.here_since.remove(&(life, peer));
        let up = self.ups.get(&(life, peer)).copied().unwrap_or(0);
        self.last_ups.insert((life, peer), up);
    }

    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.by_replica.keys().copied()
    }

    /// Whether what went from one node to a peer since then may have been lost: one of the two
    /// told its application that the other is gone.
    fn may_be_lost(&self, life: usize, own: ReplicaId, peer: ReplicaId, since: u64) -> bool {
        let up = self.ups.get(&(life, peer)).copied().unwrap_or(0);
        let down = self.downs.get(&(life, peer));
        down.is_some_and(|&down| down >= since)
            || self.went_there(own, peer).is_some_and(|(down, up_again)| {
                let told = up_again.and_then(|up_again| self.told_ms(up_again));
                // It may have lost this node, and met it again, before its first word that it is there
                // had come here.
                (down >= up || !self.knew(life, own, peer)) && told.is_none_or(|told| since < told)
            })
    }

    /// When a peer saw this node go last, and when it saw it come again, if it did.
    fn went_there(&self, own: ReplicaId, peer: ReplicaId) -> Option<(u64, Option<u64>)> {
        let there = *self.by_replica.get(&peer)?;
        let down = *self.downs.get(&(there, own))?;
        Some((down, self.here_since.get(&(there, own)).copied()))
    }

    /// When what is told of a loss has come, if that is sure.
    fn told_ms(&self, up_again: u64) -> Option<u64> {
        (!self.tells_late).then_some(up_again + TELLING_MS)
    }

    /// Whether a node has seen the end itself of what a peer saw end last.
    fn knew(&self, life: usize, own: ReplicaId, peer: ReplicaId) -> bool {
        let there = self.by_replica.get(&peer);
        let began = there.and_then(|&there| self.last_ups.get(&(there, own)).copied());
        self.downs.get(&(life, peer)).is_some_and(|&down| began <= Some(down))
    }

    /// Whether a node saw a peer go, at that time or later.
    pub fn saw_go(&self, life: usize, peer: ReplicaId, since: u64) -> bool {
        self.downs.get(&(life, peer)).is_some_and(|&down| down >= since)
    }

    // ---- offers

    pub fn offer(&mut self, at: u64, life: usize, offer: Offer, name: &str) {
        let spans = self.lives[life].offers.entry((offer, name.into())).or_default();
        if spans.last().is_none_or(|span| span.1.is_some()) {
            spans.push((at, None));
        }
    }

    pub fn withdraw(&mut self, at: u64, life: usize, offer: Offer, name: &str) {
        let spans = self.lives[life].offers.get_mut(&(offer, name.to_owned()));
        if let Some((_, end @ None)) = spans.and_then(|spans| spans.last_mut()) {
            *end = Some(at);
        }
    }

    fn offered(&self, life: usize, offer: Offer, name: &str) -> &[(u64, Option<u64>)] {
        self.lives[life].offers.get(&(offer, name.to_owned())).map_or(&[], Vec::as_slice)
    }

    fn offered_throughout(&self, life: usize, offer: Offer, name: &str, from: u64) -> bool {
        self.offered(life, offer, name).iter().any(|&(start, end)| start < from && end.is_none())
    }

    fn offered_since(&self, life: usize, offer: Offer, name: &str, from: u64) -> bool {
        let since = |&(_, end): &(u64, Option<u64>)| end.is_none_or(|end| end >= from);
        self.offered(life, offer, name).iter().any(since)
    }

    // ---- the caller's side

    /// The number of the next ask, which its arguments tell.
    pub fn next_ask(&self) -> usize {
        self.asks.len()
    }

    pub fn asked(
        &mut self,
        at: u64,
        question: Question<'_>,
        expected: &BTreeSet<ReplicaId>,
        asked: Asked,
    ) -> Result<(), String> {
        let Question { life, replica, offer, name, args, timeout_ms, sure } = question;
        let number = self.asks.len();
        let outcomes: BTreeMap<_, _> = asked.nodes.iter().map(|&node| (node, None)).collect();
        if outcomes.len() != asked.nodes.len() || !outcomes.keys().eq(expected) {
            return Err(format!("asked {:?} instead of {expected:?}", asked.nodes));
        }
        let deadline_ms = at + timeout_ms;
        let ask = Ask {
            life,
            replica,
            offer,
            name: name.into(),
            args,
            asked_ms: at,
            job: asked.job,
            deadline_ms,
            moved: Vec::new(),
            timeout_ms_max: timeout_ms,
            sure,
            cancelled: None,
            outcomes,
            runs: BTreeMap::new(),
            end: None,
            ended_ms: 0,
        };
        if self.by_job.insert((life, asked.job), number).is_some() {
            return Err(format!("{:?} was used before", asked.job));
        }
        self.asks.push(ask);
        self.open.insert((life, deadline_ms, number));
        self.counts.asked += 1;
        Ok(())
    }

    /// An ask as long as it has not ended as far as its node was told.
    pub fn open_ask(&self, number: usize) -> Option<&Ask> {
        self.asks.get(number).filter(|ask| ask.end.is_none())
    }

    pub fn open_asks(&self, life: usize) -> Vec<usize> {
        self.open.range((life, 0, 0)..(life + 1, 0, 0)).map(|&(_, _, number)| number).collect()
    }

    pub fn job(&self, number: usize) -> JobId {
        self.asks[number].job
    }

    pub fn is_sure(&self, number: usize) -> bool {
        self.asks[number].sure
    }

    pub fn postponed(&mut self, at: u64, number: usize, timeout_ms: u64) {
        let ask = &mut self.asks[number];
        ask.sure = false;
        ask.timeout_ms_max = ask.timeout_ms_max.max(timeout_ms);
        ask.moved.push((ask.deadline_ms, at));
        self.move_deadline(number, at + timeout_ms);
    }

    pub fn cancelled(&mut self, at: u64, number: usize, reason: &str) {
        let ask = &mut self.asks[number];
        ask.sure = false;
        ask.cancelled = Some(reason.into());
        self.move_deadline(number, at);
    }

    fn move_deadline(&mut self, number: usize, deadline_ms: u64) {
        let ask = &mut self.asks[number];
        self.open.remove(&(ask.life, ask.deadline_ms, number));
        ask.deadline_ms = deadline_ms;
        self.open.insert((ask.life, deadline_ms, number));
    }

    pub fn outcome(
        &mut self,
        at: u64,
        life: usize,
        job: JobId,
        node: ReplicaId,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let number = self.number_of(life, job)?;
        let ask = &self.asks[number];
        let wrong = |what: &str| Err(format!("{outcome:.60?} of {node:?}: {what}; {ask:?}"));
        if ask.end.is_some() {
            return wrong("the job has ended");
        }
        match ask.outcomes.get(&node) {
            None => return wrong("it was not asked"),
            Some(Some(_)) => return wrong("it has an outcome already"),
            Some(None) => {}
        }
        let Some(&there) = self.by_replica.get(&node) else { return wrong("it never lived") };
        let run = ask.runs.get(&there);
        let answer = run.and_then(|run| run.answer.as_ref());
        match outcome {
            Outcome::Ok(_) | Outcome::Error(_) => match answer {
                None => return wrong("its function gave none"),
                Some((given, _)) if !is_given(outcome, given) => {
                    return wrong("its function gave another")
                }
                Some(_) => {}
            },
            Outcome::NoWorker | Outcome::Busy
                if answer.is_some_and(|(given, _)| given == outcome) => {}
            Outcome::NoWorker | Outcome::Busy if run.is_some() => return wrong("it ran"),
            Outcome::NoWorker => {
                if self.offered_throughout(there, ask.offer, &ask.name, ask.asked_ms) {
                    return wrong("it has that name");
                }
            }
            Outcome::Lost if node == ask.replica => return wrong("it is the own node"),
            Outcome::Lost => {
                if !self.may_be_lost(life, ask.replica, node, ask.asked_ms) {
                    return wrong("neither node saw the other go");
                }
            }
            Outcome::Timeout if ask.sure => return wrong("it had time enough"),
            Outcome::Timeout if !self.is_over(at, ask, node) => {
                return wrong("its time is not over");
            }
            Outcome::Timeout => {
                let went = self.went_there(ask.replica, node);
                // What this node had lost itself before it asked is no news to it.
                let knew = self.knew(life, ask.replica, node);
                let told = went.filter(|&(down, _)| down > ask.asked_ms && !knew);
                // What it has begun since it came again was on its way then, and is not lost.
                let is_void = |&up_again: &u64| run.is_none_or(|run| run.taken_ms < up_again);
                let told_ms = told.and_then(|(_, up_again)| up_again.filter(is_void));
                let told_ms = told_ms.and_then(|up_again| self.told_ms(up_again));
                let stayed = !self.saw_go(life, node, ask.asked_ms);
                if stayed && told_ms.is_some_and(|told_ms| told_ms < self.over_ms(ask, node)) {
                    return wrong("it is lost, and came again to tell");
                }
            }
            Outcome::Aborted if ask.cancelled.is_none() && !self.lives[life].left => {
                return wrong("nobody did");
            }
            Outcome::Aborted => {}
            Outcome::Busy => {}
        }
        let kind = kind_of(outcome);
        self.asks[number].outcomes.insert(node, Some(kind));
        self.counts.outcomes[kind] += 1;
        Ok(())
    }

    /// Whether all asked must have heard and taken it that the job has ended.
    fn is_late(&self, at: u64, ask: &Ask) -> bool {
        let late = |hears_in_ms| ask.ended_ms + hears_in_ms + TAKING_MS < at;
        ask.end.is_some() && self.hears_in_ms.is_some_and(late)
    }

    /// Whether the deadline has passed as the node knows it, which may not have heard of another.
    fn is_over(&self, at: u64, ask: &Ask, node: ReplicaId) -> bool {
        self.over_ms(ask, node) <= at
    }

    /// The first of the deadlines that the node may go by.
    fn over_ms(&self, ask: &Ask, node: ReplicaId) -> u64 {
        let hears_in_ms = if node == ask.replica { Some(0) } else { self.hears_in_ms };
        let in_force = |&&(deadline, moved): &&(u64, u64)| {
            hears_in_ms.is_none_or(|hears_in_ms| deadline <= moved + hears_in_ms)
        };
        let earlier = ask.moved.iter().filter(in_force).map(|&(deadline, _)| deadline);
        earlier.fold(ask.deadline_ms, u64::min)
    }

    pub fn ended(&mut self, at: u64, life: usize, job: JobId, end: End) -> Result<(), String> {
        let number = self.number_of(life, job)?;
        let ask = &mut self.asks[number];
        let has = |kind: &Outcome| ask.outcomes.values().any(|&of| of == Some(kind_of(kind)));
        let expected = match () {
            () if has(&Outcome::Aborted) => End::Aborted,
            () if has(&Outcome::Timeout) => End::Timeout,
            () => End::Complete,
        };
        let all = ask.outcomes.values().all(Option::is_some);
        if ask.end.is_some() || !all || end != expected {
            return Err(format!("ends as {end:?}: {ask:?}"));
        }
        ask.end = Some(end);
        ask.ended_ms = at;
        self.open.remove(&(life, ask.deadline_ms, number));
        Ok(())
    }

    fn number_of(&self, life: usize, job: JobId) -> Result<usize, String> {
        self.by_job.get(&(life, job)).copied().ok_or(format!("{job:?} is not its own"))
    }

    /// All items were taken: every job whose time is over has ended.
    pub fn check_overdue(&self, at: u64, life: usize) -> Result<(), String> {
        match self.open.range((life, 0, 0)..(life + 1, 0, 0)).next() {
            Some(&(_, deadline, number)) if deadline < at => {
                Err(format!("a job goes on after its deadline: {:?}", self.asks[number]))
            }
            _ => Ok(()),
        }
    }

    // ---- the other side

    /// The number of the ask that a run is for.
    pub fn ran(&mut self, at: u64, life: usize, handed: Handed<'_>) -> Result<(), String> {
        let Handed { run, offer, name, args, caller, job, remaining_ms, trace } = handed;
        let Some(number) = number_in(args).filter(|&number| number < self.asks.len()) else {
            return Err(format!("{run:?}: nobody asked {args:.60}"));
        };
        let ask = &self.asks[number];
        let own = self.lives[life].replica;
        let wrong = |what: &str| Err(format!("{run:?}, {remaining_ms} ms remain: {what}; {ask:?}"));
        if (ask.offer, ask.name.as_str(), &*ask.args) != (offer, name, args) {
            return wrong("its arguments or name are others");
        }
        if (job, trace) != (ask.job, &*trace_of(number)) {
            return wrong("its number or trace is another");
        }
        if ask.replica != caller {
            return wrong("its caller is another");
        }
        let asked = |id: &ReplicaId| self.is_or_was(life, *id);
        if !ask.outcomes.keys().any(asked) {
            return wrong("this node was not asked");
        }
        if ask.runs.contains_key(&life) {
            return wrong("it ran here before");
        }
        if !self.offered_since(life, offer, name, ask.asked_ms) {
            return wrong("this node has no such name");
        }
        if self.is_late(at, ask) {
            return wrong("the job has ended long ago");
        }
        if remaining_ms == 0 || remaining_ms > ask.timeout_ms_max {
            return wrong("no such time was given");
        }
        if caller == own && at + remaining_ms != ask.deadline_ms {
            return wrong("another time remains");
        }
        if self.lives[life].left {
            return wrong("this node has left");
        }
        let record = Run { run, taken_ms: at, answer: None, stopped: false };
        self.asks[number].runs.insert(life, record);
        if self.by_run.insert((life, run), number).is_some() {
            return Err(format!("{run:?} was used before"));
        }
        self.counts.runs += 1;
        Ok(())
    }

    /// What a run is for.
    pub fn asked_for(&self, life: usize, run: RunId) -> Option<&Ask> {
        self.by_run.get(&(life, run)).map(|&number| &self.asks[number])
    }

    pub fn was_postponed(&self, life: usize, run: RunId) -> bool {
        let number = self.by_run.get(&(life, run));
        number.is_some_and(|&number| !self.asks[number].moved.is_empty())
    }

    pub fn answered(&mut self, life: usize, run: RunId, takes: u64, outcome: Outcome) {
        let number = self.by_run[&(life, run)];
        let record = self.asks[number].runs.get_mut(&life).expect("by_run names it");
        if !record.stopped {
            record.answer = Some((outcome, takes));
        }
    }

    /// `takes`: how often all items had been taken before.
    pub fn stopped(
        &mut self,
        at: u64,
        life: usize,
        run: RunId,
        why: &Stop,
        takes: u64,
    ) -> Result<(), String> {
        let Some(&number) = self.by_run.get(&(life, run)) else {
            return Err(format!("{run:?} stops and was never given"));
        };
        let ask = &self.asks[number];
        let wrong = |what: &str| Err(format!("{run:?} stops, {why:?}: {what}; {ask:?}"));
        let record = &ask.runs[&life];
        if record.stopped {
            return wrong("it was stopped before");
        }
        if record.answer.as_ref().is_some_and(|&(_, at_take)| at_take < takes) {
            return wrong("it has answered");
        }
        let right = match why {
            Stop::Timeout => self.is_over(at, ask, self.lives[life].replica),
            // By the caller's engine, for what it has lost.
            Stop::Cancelled(reason) if &**reason == "null" => {
                let own = self.lives[life].replica;
                self.may_be_lost(ask.life, ask.replica, own, ask.asked_ms)
            }
            Stop::Cancelled(reason) => ask.cancelled.as_deref() == Some(reason),
            Stop::CallerLost => {
                let own = self.lives[life].replica;
                self.lives[life].left
                    || self.saw_go(ask.life, own, ask.asked_ms)
                    || self.may_be_lost(life, own, ask.replica, ask.asked_ms)
            }
        };
        if !right {
            return wrong("that is not so");
        }
        if self.is_late(at, ask) {
            return wrong("the job has ended long ago");
        }
        let record = self.asks[number].runs.get_mut(&life).expect("just read");
        record.stopped = true;
        Ok(())
    }

    // ---- events

    pub fn next_emit(&self) -> usize {
        self.emits.len()
    }

    #[expect(clippy::too_many_arguments, reason = "an event has so many properties")]
    pub fn emitted(
        &mut self,
        at: u64,
        life: usize,
        replica: ReplicaId,
        name: &str,
        args: Arc<str>,
        targets: BTreeSet<ReplicaId>,
        count: usize,
    ) -> Result<(), String> {
        let hearers = 0;
        let name = name.into();
        let emit = Emit { life, replica, at_ms: at, name, args, targets, count, hearers };
        if count > emit.targets.len() {
            return Err(format!("{emit:?}"));
        }
        self.emits.push(emit);
        self.counts.emitted += count;
        Ok(())
    }

    pub fn heard(
        &mut self,
        life: usize,
        peer: ReplicaId,
        name: &str,
        args: &str,
    ) -> Result<(), String> {
        let Some(number) = number_in(args).filter(|&number| number < self.emits.len()) else {
            return Err(format!("nobody sent the event {args:.60}"));
        };
        let emit = &mut self.emits[number];
        emit.hearers += 1;
        let emit = &self.emits[number];
        let wrong = |what: &str| Err(format!("event #{number} from {peer:?}: {what}; {emit:?}"));
        if (emit.replica, emit.name.as_str(), &*emit.args) != (peer, name, args) {
            return wrong("its sender, name or arguments are others");
        }
        let meant = |id: &ReplicaId| self.is_or_was(life, *id);
        if !emit.targets.iter().any(meant) || emit.hearers > emit.count {
            return wrong("it was not sent here");
        }
        if !self.offered_since(life, Offer::Event, name, emit.at_ms) {
            return wrong("nobody listens");
        }
        let last = self.last_heard.insert((emit.life, life), number);
        if last.is_some_and(|last| last >= number) {
            return wrong(&format!("it comes after #{}", last.unwrap_or_default()));
        }
        self.heard.insert((number, life));
        self.counts.heard += 1;
        Ok(())
    }

    // ---- the end

    /// A function that still runs although it began, and its caller's job ended, before that time.
    pub fn check_stopped(&self, before: u64) -> Result<(), String> {
        for ask in &self.asks {
            if ask.end.is_none() || ask.ended_ms >= before {
                continue;
            }
            for (&life, run) in &ask.runs {
                let Life { replica, ended_ms, .. } = self.lives[life];
                let runs_on = ended_ms.is_none() && run.answer.is_none() && !run.stopped;
                let long = run.taken_ms < before;
                if runs_on && long && !self.may_be_lost(life, replica, ask.replica, ask.asked_ms) {
                    return Err(format!("a function runs on for nobody: {ask:?}"));
                }
            }
        }
        Ok(())
    }

    /// A life is over, or everything has come to rest: all that was asked has ended, all that ran
    /// has answered or was stopped.
    pub fn check_life(&self, life: usize) -> Result<(), String> {
        for ask in &self.asks {
            if ask.life == life && ask.end.is_none() {
                return Err(format!("a job has not ended: {ask:?}"));
            }
            let runs_on = |run: &Run| run.answer.is_none() && !run.stopped;
            if ask.runs.get(&life).is_some_and(runs_on) {
                return Err(format!("a function was not told to stop: {ask:?}"));
            }
        }
        Ok(())
    }

    /// Between nodes that did not see each other go, every event was heard.
    pub fn check_events(&self) -> Result<(), String> {
        for (number, emit) in self.emits.iter().enumerate() {
            let lives_on = |life: usize| self.lives[life].ended_ms.is_none();
            if emit.count < emit.targets.len() || !lives_on(emit.life) {
                continue;
            }
            for &peer in &emit.targets {
                let Some(&there) = self.by_replica.get(&peer) else { continue };
                if lives_on(there)
                    && self.offered_throughout(there, Offer::Event, &emit.name, emit.at_ms)
                    && !self.may_be_lost(emit.life, emit.replica, peer, emit.at_ms)
                    && !self.heard.contains(&(number, there))
                {
                    return Err(format!("{peer:?} never heard event #{number}: {emit:?}"));
                }
            }
        }
        Ok(())
    }

    /// Whether a node is this replica, or was before it joined again.
    pub fn is_or_was(&self, life: usize, replica: ReplicaId) -> bool {
        self.by_replica.get(&replica) == Some(&life)
    }

    /// The node that a replica is or was.
    pub fn node_of(&self, replica: ReplicaId) -> Option<usize> {
        self.by_replica.get(&replica).map(|&life| self.lives[life].node)
    }
}

/// What a parcel costs besides its bytes.
const PARCEL_OVERHEAD: usize = 128;

/// What one peer may have sent that was not taken.
pub fn window_bytes(config: &Config) -> usize {
    let message_bytes_max = config.limits.value_bytes_max + MESSAGE_OVERHEAD;
    let pieces = message_bytes_max.div_ceil(config.part_bytes_max);
    let cost = message_bytes_max + pieces * PARCEL_OVERHEAD;
    config.window_bytes.max(2 * cost) + message_bytes_max
}

/// What goes along with an ask.
pub fn trace_of(number: usize) -> String {
    format!("trace {number}")
}

/// The number that arguments begin with.
fn number_in(args: &str) -> Option<usize> {
    args.strip_prefix('[')?.split(',').next()?.parse().ok()
}

/// The engine makes its own description of an error for an answer over the limits.
fn is_given(outcome: &Outcome, given: &Outcome) -> bool {
    match (outcome, given) {
        // It made room by dropping the answer.
        (Outcome::Error(told), _) if told.contains("\"ERR_BUSY\"") => true,
        (Outcome::Error(told), Outcome::Error(code)) if code.starts_with("ERR_") => {
            told.contains(&**code)
        }
        _ => outcome == given,
    }
}

/// In the order of `kind_of`.
const KINDS: [&str; 7] = ["ok", "error", "no worker", "lost", "timeout", "aborted", "busy"];

fn kind_of(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Ok(_) => 0,
        Outcome::Error(_) => 1,
        Outcome::NoWorker => 2,
        Outcome::Lost => 3,
        Outcome::Timeout => 4,
        Outcome::Aborted => 5,
        Outcome::Busy => 6,
    }
}
