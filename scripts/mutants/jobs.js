'use strict';

/** Defects of jobs, calls and events. What is promised: docs/jobs.md. */

const JOBS = 'src/engine/jobs/mod.rs';
const RECEIVE = 'src/engine/jobs/receive.rs';
const LINE = 'src/engine/jobs/line.rs';
const GATHER = 'src/engine/jobs/gather.rs';
const RUN = 'src/engine/jobs/run.rs';

module.exports = [
  // ---- how a job ends
  {
    name: 'second-answer-counts',
    file: GATHER,
    find: 'if !gather.pending.remove(&node) {',
    replace: 'if !gather.pending.remove(&node) && false {',
    breaks: 'jobs 2',
  },
  {
    name: 'job-outlives-deadline',
    file: GATHER,
    find: `        self.deadlines.first().map(|&(at, _)| at)
    }

    /// A job whose time`,
    replace: `        None
    }

    /// A job whose time`,
    breaks: 'jobs: the rule',
  },
  {
    name: 'timeout-ends-as-complete',
    file: GATHER,
    find: 'any(|&(_, status)| status == Status::Timeout)',
    replace: 'any(|_| false)',
    breaks: 'jobs: complete',
  },
  {
    name: 'postponed-job-never-ends',
    file: GATHER,
    find: 'self.deadlines.insert((deadline_ms, job));\n        gather.deadline_ms',
    replace: 'gather.deadline_ms',
    breaks: 'jobs: the rule',
  },
  {
    name: 'lost-peer-waited-for',
    file: JOBS,
    find: 'self.settle(job, peer, Outcome::Lost);',
    replace: 'let _ = job;',
    breaks: 'jobs 1',
  },
  {
    name: 'asks-those-gone',
    file: JOBS,
    find: 'line.is_up() && !self.observers.contains(peer);',
    replace: '!self.observers.contains(peer) || line.is_up() && false;',
    breaks: 'jobs 1',
  },
  {
    name: 'observer-asked',
    file: JOBS,
    find: 'line.is_up() && !self.observers.contains(peer);',
    replace: 'line.is_up() || self.observers.contains(peer) && false;',
    breaks: 'jobs 1',
    test: '--test observers',
    because: 'simulated nodes that look on have no jobs, and nobody waits for them',
  },
  {
    name: 'end-not-urgent',
    file: JOBS,
    find: `        if let Settled::Ended(end) = settled {
            self.inbox.push(Urgency::Now,`,
    replace: `        if let Settled::Ended(end) = settled {
            self.inbox.push(Urgency::Soon,`,
    breaks: 'jobs: the bell',
  },
  {
    name: 'leaving-leaves-jobs',
    file: 'src/engine/mod.rs',
    find: '        self.jobs.leave();\n',
    replace: '',
    breaks: 'jobs: the rule',
  },
  {
    name: 'leaving-stops-runs-as-timeouts',
    file: JOBS,
    find: `        for run in self.runs.all() {
            self.stop(run, Stop::CallerLost);
        }
        for job in self.gathers.all() {
            self.end(job, Outcome::Aborted, End::Aborted, None);
        }`,
    replace: `        for job in self.gathers.all() {
            self.end(job, Outcome::Aborted, End::Aborted, None);
        }
        for run in self.runs.all() {
            self.stop(run, Stop::CallerLost);
        }`,
    breaks: 'jobs 4',
  },

  // ---- what runs here
  {
    name: 'runs-go-on-for-the-lost',
    file: JOBS,
    find: `        for run in self.runs.of(peer) {
            self.stop(run, Stop::CallerLost);
        }`,
    replace: '',
    breaks: 'jobs 4',
  },
  {
    name: 'run-outlives-deadline',
    file: RUN,
    find: 'self.deadlines.first().map(|&(at, _)| at)',
    replace: 'None',
    breaks: 'jobs 4',
  },
  {
    name: 'expired-work-is-run',
    edits: [
      {
        file: RUN,
        find: '.filter(|running| running.deadline_ms > now_ms)?;',
        replace: '.filter(|_| { let _ = now_ms; true })?;',
      },
      {
        file: JOBS,
        find: '*remaining_ms = running.deadline_ms - now.monotonic_ms;',
        replace: '*remaining_ms = running.deadline_ms.saturating_sub(now.monotonic_ms);',
      },
    ],
    breaks: 'jobs 4',
  },
  {
    name: 'waiting-time-not-taken-off',
    file: JOBS,
    find: '*remaining_ms = running.deadline_ms - now.monotonic_ms;',
    replace: 'let _ = (running, remaining_ms);',
    breaks: 'jobs 4',
  },
  {
    name: 'one-run-too-many',
    file: JOBS,
    find: 'if self.runs.count(caller) >= self.config.runs_per_peer_max {',
    replace: 'if self.runs.count(caller) > self.config.runs_per_peer_max {',
    breaks: 'jobs 6',
  },
  {
    name: 'busy-though-it-ran',
    file: JOBS,
    find: 'let answer = AnswerItem::Error(&dropped);',
    replace: 'let answer = { let _ = &dropped; AnswerItem::Busy };',
    breaks: 'jobs: outcomes',
  },
  {
    name: 'postponement-not-told',
    file: JOBS,
    find: 'None => self.push(node, Class::About(job), &parcel),',
    replace: 'None => {}',
    breaks: 'jobs 4',
    test: '--test jobs',
    because: 'where links break a peer may not have heard of it, and few runs leave them alone',
  },
  {
    name: 'cancel-not-told',
    file: JOBS,
    find: 'if line.take_back(job) {',
    replace: 'if line.take_back(job) || true {',
    breaks: 'jobs 4',
  },
  {
    name: 'event-for-nobody-taken',
    file: RECEIVE,
    find: `        let Some(name) = self.offers.events.get(emit.name) else {
            self.events_unheard += 1;
            return Ok(false);
        };`,
    replace: '        let name: &std::sync::Arc<str> = &emit.name.into();',
    breaks: 'jobs: events',
  },

  // ---- lines
  {
    name: 'said-of-a-job-after-all-that-is-large',
    file: LINE,
    find: 'self.large.insert(place.unwrap_or(self.large.len()), large);',
    replace: 'self.large.insert(place.unwrap_or(self.large.len()).max(self.large.len()), large);',
    breaks: 'jobs 4',
    test: '--lib line::',
    because: 'one seed in 40,000 waits long enough',
  },
  {
    name: 'parcel-taken-twice',
    file: LINE,
    find: `            self.rare.note(Rare::ParcelTwice);
            return Ok(Arrived::Nothing);`,
    replace: `            if Kind::of(&message) != Some(Kind::Piece) {
                return Ok(Arrived::Message { message, cost: 0 });
            }
            return Ok(Arrived::Nothing);`,
    breaks: 'jobs 3',
  },
  {
    name: 'sent-parcels-not-repeated',
    file: LINE,
    find: `        self.up = true;
        self.sent = 0;
        self.cost_sent = self.cost_before;`,
    replace: `        self.up = true;
        for parcel in self.queue.drain(..std::mem::take(&mut self.sent)) {
            self.first += 1;
            self.cost_before += parcel.cost;
            self.queue_cost -= parcel.cost;
            self.bytes -= parcel.frames.len();
        }
        self.cost_sent = self.cost_before;`,
    breaks: 'jobs: lines',
  },
  {
    name: 'numbers-used-again-after-loss',
    file: LINE,
    find: '        self.first += self.queue.len() as u64;\n',
    replace: '',
    breaks: 'jobs: lines',
  },
  {
    name: 'large-ones-outlive-loss',
    file: LINE,
    find: `        self.large.clear();
        self.bytes = 0;`,
    replace: '        self.bytes = self.large.iter().map(|large| large.message.len() - large.at).sum();',
    breaks: 'jobs: lines',
  },
  {
    name: 'line-forgotten-at-loss',
    file: JOBS,
    find: `        self.part(peer);
    }

    pub fn link_closed`,
    replace: `        self.part(peer);
        self.lines.remove(&peer);
        self.gone.retain(|&gone| gone != peer);
    }

    pub fn link_closed`,
    breaks: 'jobs 3',
  },
  {
    name: 'unnoticed-loss-not-told',
    file: LINE,
    find: '            true => WasLost::News,',
    replace: '            true => WasLost::No,',
    breaks: 'jobs 1',
  },
  {
    name: 'noticed-loss-told-again',
    file: LINE,
    find: '            false => WasLost::Known,',
    replace: '            false => WasLost::News,',
    breaks: 'jobs: lines',
  },
  {
    name: 'unnoticed-loss-sends-the-unsent',
    file: RECEIVE,
    find: '                    line.forget_unsent();\n',
    replace: '',
    breaks: 'jobs: lines',
    test: '--test jobs',
    because: 'what reaches a peer later than it need is no broken promise',
  },
  {
    name: 'unnoticed-loss-cancels-nothing',
    file: RECEIVE,
    find: `                        let cancel = Cancel { job, reason: Some("null") };
                        self.push(peer, Class::About(job), &Parcel::new(Kind::Cancel, &cancel));`,
    replace: '                        let _ = job;',
    breaks: 'jobs 4',
  },
  {
    name: 'unnoticed-loss-ends-nothing',
    file: RECEIVE,
    find: `                    self.part(peer);
                } else if was_lost`,
    replace: `                } else if was_lost`,
    breaks: 'jobs 1',
  },
  {
    name: 'sent-numbers-used-again',
    file: LINE,
    find: 'let sent = (self.last_sent + 1).saturating_sub(self.first) as usize;',
    replace: 'let sent = self.sent;',
    breaks: 'jobs: lines',
  },
  {
    name: 'event-overtakes-event',
    file: LINE,
    find: 'Class::Event => large.class == Class::Event,',
    replace: 'Class::Event => false,',
    breaks: 'jobs: events',
  },
  {
    name: 'postponement-overtakes-call',
    file: LINE,
    find: 'Class::About(job) => large.is_of(job),',
    replace: 'Class::About(_) => false,',
    breaks: 'jobs 4',
    test: '--lib jobs::line',
    because: 'a postponement must be sent while its call goes in pieces',
  },
  {
    name: 'call-taken-back-that-has-gone',
    file: LINE,
    find: 'position(|large| large.class == Class::Call(job));',
    replace: 'position(|large| large.is_of(job));',
    breaks: 'jobs 4',
    test: '--lib jobs::line',
    because: 'a postponement must wait behind its call until that has gone in pieces, and no longer',
  },
  {
    name: 'half-a-call-stays',
    file: LINE,
    find: `        if begun {
            self.drop_piece();
        }
        true`,
    replace: `        let _ = begun;
        true`,
    breaks: 'jobs: lines',
  },
  {
    name: 'call-not-taken-back',
    file: LINE,
    find: '        let begun = self.large[place].at > 0;\n',
    replace: `        let begun = self.large[place].at > 0;
        if !begun {
            return true;
        }
`,
    breaks: 'jobs 4',
  },
  {
    name: 'half-a-message-stays',
    file: LINE,
    find: `        self.assembly = Vec::new();
        let cost`,
    replace: '        let cost',
    breaks: 'jobs: lines',
  },
  {
    name: 'window-ignored',
    file: LINE,
    find: 'untaken == 0 || untaken + cost <= self.peer_window',
    replace: '{ let _ = (untaken, cost, self.peer_window); true }',
    breaks: 'jobs 6',
  },
  {
    name: 'taken-before-it-is-taken',
    edits: [
      {
        file: RECEIVE,
        find: `        if !kept {
            self.taken(now, peer, cost);`,
        replace: `        {
            let _ = kept;
            self.taken(now, peer, cost);`,
      },
      {
        file: JOBS,
        find: '            if let Some((peer, cost)) = entry.cost {\n                self.taken(now, peer, cost);\n            }\n',
        replace: '            let _ = entry.cost;\n',
      },
    ],
    breaks: 'jobs 6',
  },
  {
    name: 'headless-message-read',
    file: LINE,
    find: 'self.headless |= self.assembly_cost > 0;',
    replace: 'self.headless |= false;',
    breaks: 'jobs 6',
    test: '--lib jobs::line',
    because: 'a peer must be lost by one side alone, in the middle of a message in pieces',
  },
  {
    name: 'large-costs-not-given-back',
    file: LINE,
    find: '        self.taken_cost = (self.taken_cost + cost).min(self.received_cost);\n        self.ack_due |= self.taken_cost',
    replace: `        if cost > 3000 {
            return;
        }
        self.taken_cost = (self.taken_cost + cost).min(self.received_cost);
        self.ack_due |= self.taken_cost`,
    breaks: 'jobs 6',
  },
  {
    name: 'no-acknowledgement-by-time',
    file: LINE,
    find: 'self.ack_due = self.owes_ack();',
    replace: 'self.ack_due = false;',
    breaks: 'jobs 6',
  },
];
