//! Driving the engines as the shell does, and what must hold on each at any time.

use std::collections::{BTreeMap, BTreeSet};

use super::{address, parsed, Cluster, Happening, Life};
use crate::engine::{Again, CloseReason, Dot, Event, Input, Now, Output, WarningCode};
use crate::sim::jobs::Deed;
use crate::sim::model::{Kind, Op, Seen};
use crate::sim::newer;
use crate::sim::Trouble;

/// An engine that puts out more than this for one input would do so for ever.
const OUTPUTS_MAX: usize = 100_000;
/// Times that a deadline may lie in the past in a row.
const LATE_DEADLINES_MAX: usize = 1_000;
/// Reading the whole merges the whole: most merges are to be left to their steps.
const LOOKS_PERCENT: u64 = 10;

impl Cluster {
    pub(super) fn handle(&mut self, node: usize, input: Input) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.paused {
            life.backlog.push_back(input);
            return Ok(());
        }
        let link = match &input {
            Input::Opened { link, .. }
            | Input::Received { link, .. }
            | Input::Drained { link, .. }
            | Input::Closed { link, .. } => Some(link),
            Input::Command(_) | Input::DialFailed { .. } => None,
        };
        if link.is_some_and(|link| life.closed.contains(link)) {
            return Ok(());
        }
        if life.leaving && !matches!(input, Input::Closed { .. } | Input::Drained { .. }) {
            return Ok(());
        }
        if let Some(story) = &mut self.story {
            let from = link.and_then(|&link| self.network.other_end(link));
            story.expect(self.now, node, &input, from, &self.model);
        }
        match &input {
            Input::Opened { dialled: Some(address), .. } | Input::DialFailed { address, .. } => {
                life.tried.insert(address.clone());
            }
            _ => {}
        }
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        let may_meet = !matches!(input, Input::Drained { .. });
        life.engine.handle_input(now, input);
        if may_meet {
            self.note_meetings(node);
        }
        self.drain(node)
    }

    pub(super) fn note_meetings(&mut self, node: usize) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let peers = life.engine.peers();
        if !life.engine.is_alone() && !life.comes_back {
            life.alone.clear();
        }
        let met = (life.engine.id(), peers);
        if life.met == met {
            return;
        }
        for &peer in &met.1 {
            let context = || life.engine.context().clone();
            self.first_meetings.entry((met.0, peer)).or_insert_with(context);
        }
        life.met = met;
    }

    pub(super) fn keep_deadline(&mut self, node: usize) -> Result<(), Trouble> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.deadline().is_none_or(|deadline| deadline > self.now) {
            return Ok(());
        }
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if let Some(story) = &mut self.story {
            story.expect_timeout();
        }
        life.rests_until = self.now + self.plan.step_ms;
        life.wall_max_ms = life.wall_max_ms.max(now.wall_ms);
        life.engine.handle_timeout(now);
        self.drain(node)?;
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let late = life.deadline().is_some_and(|deadline| deadline <= self.now);
        life.late_deadlines = if late { life.late_deadlines + 1 } else { 0 };
        if life.late_deadlines > LATE_DEADLINES_MAX {
            return Err(format!("n{node}: its deadline never moves into the future").into());
        }
        let is_fed = life.engine.is_fed();
        if is_fed && !self.forgetting && self.looks.percent(LOOKS_PERCENT) {
            // It must show all, whatever is merged of it.
            self.check_whole(node)?;
        }
        Ok(())
    }

    pub(super) fn act(&mut self, node: usize, deed: Deed) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let acted = self.jobs.act(self.now, now, node, &mut life.engine, deed);
        acted.map_err(|what| format!("n{node}: {what}"))?;
        self.drain(node)
    }

    /// An application's write wakes the shell, which may come a little later.
    pub(super) fn turn_later(&mut self, node: usize) -> Result<(), Trouble> {
        if self.plan.outputs_max.is_none() {
            return self.drain(node);
        }
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if !std::mem::replace(&mut life.turn_due, true) {
            self.at(self.now + self.plan.turn_ms, Happening::Turn(node));
        }
        Ok(())
    }

    pub(super) fn turn(&mut self, node: usize) -> Result<(), Trouble> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.paused {
            return Ok(());
        }
        life.turn_due = false;
        self.drain_some(node, OUTPUTS_MAX)
    }

    pub(super) fn drain(&mut self, node: usize) -> Result<(), Trouble> {
        self.drain_some(node, self.plan.outputs_max.unwrap_or(OUTPUTS_MAX))
    }

    /// Does what the engine puts out; if that is more, the rest comes in the next turn.
    pub(super) fn drain_some(&mut self, node: usize, outputs_max: usize) -> Result<(), Trouble> {
        let now = self.clocks(node);
        for count in 0..=OUTPUTS_MAX {
            let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
            if count == outputs_max && outputs_max < OUTPUTS_MAX {
                life.deadline_stale = true;
                return self.turn_later(node);
            }
            let Some(output) = life.engine.poll_output(now) else {
                if let Some(story) = &mut self.story {
                    story.note(self.now, node, &life.engine, &self.model);
                }
                life.deadline_stale = true;
                self.spring(node);
                return self.check_node(node);
            };
            match output {
                Output::Send { link, frames } => {
                    if life.closed.contains(&link) {
                        return Err(format!("n{node}: sends on {link:?}, which it closed").into());
                    }
                    let frames = match self.plan.newer[node] {
                        true => newer::translate(frames, &mut self.faults),
                        false => frames,
                    };
                    self.network.send(self.now, link, frames);
                }
                Output::Close { link, .. } => {
                    life.closed.insert(link);
                    self.network.close(self.now, link);
                }
                Output::Dial { address } => {
                    let to = self.addresses.iter().position(|of| of.contains(&address));
                    self.network.dial(self.now, node, address, to);
                }
                Output::Event(event) => {
                    self.check_event(node, event).map_err(|what| format!("n{node}: {what}"))?;
                }
            }
        }
        Err(format!("n{node}: its output never ends").into())
    }

    /// Lets a node ask all for what all have; `endless`: that they never answer.
    pub fn ask_all(&mut self, node: usize, endless: bool) -> Result<(), Trouble> {
        let now = self.clocks(node);
        let engine = &mut self.nodes[node].life.as_mut().expect("it is live").engine;
        let asked = match endless {
            true => self.jobs.ask_endless(self.now, now, node, engine),
            false => self.jobs.ask_all(self.now, now, node, engine),
        };
        asked.map_err(|what| format!("n{node}: {what}"))?;
        self.drain(node)
    }

    pub(super) fn clocks(&self, node: usize) -> Now {
        let origin_ms = self.nodes[node].life.as_ref().map_or(0, |life| life.origin_ms);
        let wall_ms = self.nodes[node].clock.wall_ms(self.now);
        Now { monotonic_ms: self.now + origin_ms, wall_ms }
    }

    /// Sampled, as the checks cost more than what they check.
    pub(super) fn check_node(&mut self, node: usize) -> Result<(), Trouble> {
        let life = self.nodes[node].life.as_mut().expect("its engine was just drained");
        life.inputs += 1;
        if life.replica != life.engine.id() {
            self.incarnations += 1;
            self.ended.insert(std::mem::replace(&mut life.replica, life.engine.id()));
            life.context = life.engine.context().clone();
        }
        // Parcels of jobs change nothing that is looked at here.
        if !life.inputs.is_multiple_of(if self.jobs.is_on() { 16 } else { 8 }) {
            return Ok(());
        }
        life.check_context(self.plan.forgets).map_err(|what| format!("n{node}: {what}"))?;
        life.check_peers().map_err(|what| format!("n{node}: {what}"))?;
        let batches = self.pledges.check(life.engine.id(), life.engine.context());
        batches.map_err(|what| format!("n{node} {what}"))?;
        life.looks += 1;
        if !life.looks.is_multiple_of(2) {
            return life.check_watches().map_err(|what| format!("n{node}: {what}").into());
        }
        if life.looks.is_multiple_of(4) {
            let turn = life.looks / 4 % life.onlookers.len();
            let looked = life.onlookers[turn].look(&mut life.engine);
            looked.map_err(|what| format!("n{node}: {what}"))?;
        }
        Ok(())
    }

    pub fn check_onlookers(&mut self, node: usize) -> Result<(), Trouble> {
        let life = self.nodes[node].life.as_mut().expect("the caller asks for a live node");
        for onlooker in &mut life.onlookers {
            onlooker.check(&mut life.engine).map_err(|what| format!("n{node}: {what}"))?;
        }
        Ok(())
    }

    pub(super) fn check_event(&mut self, node: usize, event: Event) -> Result<(), String> {
        let life = self.nodes[node].life.as_mut().expect("its engine just spoke");
        self.jobs.told(self.now, node, life.engine.id(), &event)?;
        let faulty = |reason: &CloseReason| {
            matches!(
                reason,
                CloseReason::BadMessage(_)
                    | CloseReason::TooLarge { .. }
                    | CloseReason::Incompatible(_)
                    | CloseReason::HandshakeTimeout
            )
        };
        match event {
            Event::Ready if std::mem::replace(&mut life.was_ready, true) => {
                Err("ready for the second time".into())
            }
            Event::Ready => self.check_ready(node),
            Event::MadeAgain { dot, hlc, path, write } => {
                let path: Vec<String> = path.iter().map(|segment| segment.to_string()).collect();
                let kind = match write {
                    Again::Set(json) => Kind::Set(json.into()),
                    Again::Increment(by) => Kind::Increment(by),
                };
                life.made_again.push((path.clone(), kind.clone()));
                let vector = vec![(dot.replica, dot.counter - 1)];
                let seen = Seen { vector, dots: BTreeSet::new() };
                self.model.record(Op { dot, hlc, path, kind, seen })?;
                self.journal.push((self.now, node));
                Ok(())
            }
            Event::PeerUp { peer, .. } if !life.peers.insert(peer) => {
                Err(format!("peer {peer:?} comes up and is up"))
            }
            Event::PeerUp { peer, advertised, observer, .. } => {
                life.tried.extend(advertised);
                if life.engine.context().get(peer) > 0 {
                    self.taken_for_themselves.insert(peer);
                }
                if observer {
                    life.observers.insert(peer);
                }
                Ok(())
            }
            Event::PeerDown { peer, .. } if !life.peers.remove(&peer) => {
                Err(format!("peer {peer:?} goes down and is not up"))
            }
            Event::PeerDown { reason, .. } if faulty(&reason) => {
                Err(format!("peer down: {reason}"))
            }
            Event::Replicated { wait, peers } => {
                let own = life.engine.id();
                let lives = self.nodes.iter().filter_map(|node| node.life.as_ref());
                let knows = |peer, dot| {
                    let engine = &lives.clone().find(|life| life.engine.id() == peer)?.engine;
                    Some(engine.knows(dot))
                };
                self.pledges.replicated(own, node, wait, &peers, knows)
            }
            Event::Warning { code, detail, .. } => match code {
                WarningCode::ClockSkew => Ok(()),
                WarningCode::ConnectedToSelf if self.plan.announce => Ok(()),
                WarningCode::StateFull if self.plan.config.document_bytes_max.is_some() => Ok(()),
                WarningCode::Rejoined
                    if self.plan.may_rejoin()
                        || self.plan.observer == Some(node)
                        || self.has_more_of_the_dead(node) =>
                {
                    self.check_made_again(node)
                }
                _ => Err(format!("warning {code:?}: {detail}")),
            },
            _ => Ok(()),
        }
    }

    /// Whether a node had writes of one that has ended which nobody else has: those who fold that one
    /// may not have known of the node.
    fn has_more_of_the_dead(&self, node: usize) -> bool {
        let Some(life) = &self.nodes[node].life else { return false };
        let dead = life.context.iter().filter(|(replica, _)| self.ended.contains(replica));
        let mut last = dead.map(|(replica, counter)| Dot::new(replica, counter));
        last.any(|dot| self.knowers(dot).iter().all(|&other| other == node))
    }

    /// Before its time is over, a node is ready only with all that its peers had when they met.
    pub(super) fn check_ready(&self, node: usize) -> Result<(), String> {
        let life = self.nodes[node].life.as_ref().expect("its engine just spoke");
        let in_time = self.now < life.started + self.plan.config.ready_timeout_ms;
        // Told late, it may have met others since.
        if !in_time || self.plan.outputs_max.is_some() || life.has_held_back {
            return Ok(());
        }
        for &peer in &self.plan.connects[node] {
            if !life.tried.contains(&address(peer)) {
                return Err(format!("ready before n{peer} was dialled"));
            }
        }
        // Nobody waits for what those have who look on.
        for peer in life.engine.peers().into_iter().filter(|peer| !life.observers.contains(peer)) {
            let meeting = (peer, life.engine.id());
            let Some(had) = self.first_meetings.get(&meeting) else {
                return Err(format!("ready before {peer:?} has said hello"));
            };
            let had = had.iter().map(|(replica, counter)| Dot::new(replica, counter));
            if let Some(dot) = had.into_iter().find(|&dot| !life.engine.knows(dot)) {
                return Err(format!("ready without {dot:?}, which {peer:?} had"));
            }
        }
        Ok(())
    }

    /// What it wrote with no peer, a node that was forgotten makes again: the last SET of a path,
    /// the sum of the increments since; unless it cannot, as what stood there then does not now. If a
    /// peer had taken it for what it was, it need not.
    pub(super) fn check_made_again(&mut self, node: usize) -> Result<(), String> {
        let life = self.nodes[node].life.as_mut().expect("its engine just spoke");
        let made = std::mem::take(&mut life.made_again);
        let alone = std::mem::take(&mut life.alone);
        let was_met = self.taken_for_themselves.contains(&life.replica);
        if !std::mem::take(&mut life.comes_back) || (was_met && made.is_empty()) {
            return Ok(());
        }
        let seen_by_others = |&&index: &&usize| {
            let knowers = self.knowers(self.model.ops()[index].dot);
            knowers.iter().any(|&other| other != node)
        };
        if let Some(&index) = alone.iter().find(seen_by_others) {
            return Err(format!("makes write #{index} again, which others have"));
        }
        let life = self.nodes[node].life.as_ref().expect("as above");
        let mut due: BTreeMap<&[String], (Option<&str>, f64)> = BTreeMap::new();
        for op in alone.iter().map(|&index| &self.model.ops()[index]) {
            if !matches!(op.kind, Kind::Increment(_)) {
                due.retain(|path, _| !path.starts_with(&op.path));
            }
            match &op.kind {
                Kind::Set(json) => {
                    due.insert(&op.path, (Some(json), 0.0));
                }
                Kind::Increment(by) => due.entry(&op.path).or_default().1 += by,
                Kind::Delete => {}
            }
        }
        let mut due_writes = Vec::new();
        for (path, (set, by)) in due {
            let path = path.to_vec();
            due_writes.extend(set.map(|json| (path.clone(), Kind::Set(json.into()))));
            if by != 0.0 {
                due_writes.push((path, Kind::Increment(by)));
            }
        }
        let seen = Seen::from(life.engine.context());
        let missed = due_writes.iter().filter(|due| !made.contains(due));
        let refused =
            |(path, kind): &(Vec<String>, Kind)| self.model.refuses(path, kind, &seen).is_some();
        let wrong = made.iter().find(|write| !due_writes.contains(write));
        match wrong.or(missed.into_iter().find(|due| !refused(due))) {
            None => Ok(()),
            Some(write) => Err(format!("made {made:?} again, which is wrong for {write:?}")),
        }
    }
}

impl Life {
    pub(super) fn deadline(&mut self) -> Option<u64> {
        if std::mem::take(&mut self.deadline_stale) {
            let at = self.engine.poll_timeout();
            self.deadline = at.map(|at| at.saturating_sub(self.origin_ms));
        }
        self.deadline.filter(|_| !self.paused).map(|at| at.max(self.rests_until))
    }

    /// What a replica has once covered it covers for ever, or has folded; and perhaps forgotten.
    pub(super) fn check_context(&mut self, forgets: bool) -> Result<(), String> {
        let context = self.engine.context();
        if *context == self.context {
            return Ok(());
        }
        let ends = self.context.iter().map(|(replica, counter)| Dot::new(replica, counter));
        for dot in ends {
            let forgotten = forgets && context.get(dot.replica) == 0;
            if !context.covers(dot) && !self.engine.knows(dot) && !forgotten {
                return Err(format!("its context no longer covers {dot:?}"));
            }
        }
        self.context.clone_from(context);
        Ok(())
    }

    /// Events and getter tell of the same peers.
    pub(super) fn check_peers(&self) -> Result<(), String> {
        let peers = self.engine.peers();
        match self.leaving || self.peers.iter().eq(&peers) {
            true => Ok(()),
            false => Err(format!("events told of peers {:?}, it has {peers:?}", self.peers)),
        }
    }

    /// No watched value changes unless its slot was touched.
    pub(super) fn check_watches(&mut self) -> Result<(), String> {
        // Reading may finish merging, which touches too: first all are read.
        let mut changed = Vec::new();
        for (index, watch) in self.watches.iter().enumerate() {
            let segments: Vec<&str> = watch.path.iter().map(String::as_str).collect();
            let shown = self.engine.read(&segments);
            if shown != watch.shown {
                changed.push((index, shown));
            }
        }
        self.touched.clear();
        self.engine.take_touched(&mut self.touched);
        self.engine.take_touched_local(&mut self.touched);
        for (index, shown) in changed {
            let watch = &mut self.watches[index];
            if !self.touched.contains(&watch.slot) {
                let (before, after) = (parsed(&watch.shown)?, parsed(&shown)?);
                if before != after {
                    return Err(format!(
                        "{:?} went from {before:?} to {after:?} and was not touched",
                        watch.path
                    ));
                }
            }
            watch.shown = shown;
        }
        Ok(())
    }
}
