//! What peers send.

use bytes::Bytes;

use super::inbox::Urgency;
use super::line::{Arrived, Class, WasLost};
use super::{Early, Jobs, Parcel};
use crate::engine::event::{Item, Now, Outcome, Stop};
use crate::engine::id::{LinkId, ReplicaId};
use crate::engine::rare::Rare;
use crate::engine::wire::message::{
    self, Answer, AnswerItem, Call, Cancel, Emit, Kind, Malformed, Postpone, PARCELS,
};

impl Jobs {
    /// A message of jobs from a peer; parcels of unknown kinds are counted like others.
    pub fn receive(
        &mut self,
        now: Now,
        peer: ReplicaId,
        link: LinkId,
        message: Bytes,
    ) -> Result<(), Malformed> {
        let Some(line) = self.lines.get_mut(&peer) else { return Ok(()) };
        match Kind::of(&message) {
            Some(Kind::Resume) => {
                let resume: message::Resume = message::decode(&message)?;
                let was_lost = line.receive_resume(resume)?;
                self.numbers.insert(link, resume.next);
                if was_lost == WasLost::News {
                    self.rare.note(Rare::LossLearned);
                    line.forget_unsent();
                    if let Some(early) = self.early.get_mut(&peer) {
                        early.drain(..).for_each(|early| line.take(early.cost));
                    }
                    // Calls that went again may get there yet.
                    for job in self.gathers.waiting_for(peer) {
                        let cancel = Cancel { job, reason: Some("null") };
                        self.push(peer, Class::About(job), &Parcel::new(Kind::Cancel, &cancel));
                    }
                    self.part(peer);
                } else if was_lost == WasLost::Known {
                    // All that it has asked came before this.
                    if let Some(early) = self.early.get_mut(&peer) {
                        early.drain(..).for_each(|early| line.take(early.cost));
                    }
                    for run in self.runs.of(peer) {
                        self.stop(run, Stop::CallerLost);
                    }
                }
                self.ready.insert(peer);
                return Ok(());
            }
            Some(Kind::Ack) => {
                line.receive_ack(message::decode(&message)?)?;
                self.ready.insert(peer);
                return Ok(());
            }
            _ => {}
        }
        let next = self.numbers.get_mut(&link).ok_or(Malformed)?;
        let number = *next;
        *next += 1;
        let arrived = line.receive(number, message)?;
        self.note_ack(now, peer);
        match arrived {
            Arrived::Nothing => Ok(()),
            Arrived::Message { message, cost } if self.is_early(peer, &message)? => {
                self.rare.note(Rare::PeerUnknownYet);
                let early = Early { message, cost, now };
                self.early.entry(peer).or_default().push_back(early);
                Ok(())
            }
            Arrived::Message { message, cost } => self.receive_parcel(now, peer, &message, cost),
        }
    }

    /// Whether a parcel has to wait until the application knows the peer. All of them wait that
    /// may lead to an item of the peer's doing, so that they keep their order; checked like others.
    fn is_early(&self, peer: ReplicaId, message: &Bytes) -> Result<bool, Malformed> {
        if !self.early.contains_key(&peer) {
            return Ok(false);
        }
        match Kind::of(message) {
            Some(Kind::Call) => {
                let (call, trace) = message::decode_call(message)?;
                self.check_call(call, trace)?;
            }
            Some(Kind::Emit) => {
                let emit: Emit<'_> = message::decode(message)?;
                self.check_told(emit.name, emit.args)?;
            }
            Some(Kind::Cancel) => {
                let cancel: Cancel<'_> = message::decode(message)?;
                cancel.reason.map(|reason| self.told(reason)).transpose()?;
            }
            Some(Kind::Postpone) => {
                message::decode::<Postpone>(message)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn receive_parcel(
        &mut self,
        now: Now,
        peer: ReplicaId,
        message: &Bytes,
        cost: u64,
    ) -> Result<(), Malformed> {
        // What waits for the application keeps its cost until it is taken.
        let kept = match Kind::of(message) {
            Some(Kind::Call) => {
                let (call, trace) = message::decode_call(message)?;
                self.check_call(call, trace)?;
                self.receive_call(now, peer, call, trace, cost)
            }
            Some(Kind::Emit) => self.receive_emit(peer, message::decode(message)?, cost)?,
            Some(Kind::Answer) => self.receive_answer(peer, message::decode(message)?, cost)?,
            Some(Kind::Cancel) => {
                let cancel: Cancel<'_> = message::decode(message)?;
                let why = match cancel.reason {
                    Some(reason) => Stop::Cancelled(self.told(reason)?),
                    None => Stop::Timeout,
                };
                if let Some(run) = self.runs.find(peer, cancel.job) {
                    self.stop(run, why);
                }
                false
            }
            Some(Kind::Postpone) => {
                let Postpone { job, remaining_ms } = message::decode(message)?;
                if let Some(run) = self.runs.find(peer, job) {
                    self.runs.postpone(run, now.monotonic_ms.saturating_add(remaining_ms));
                }
                false
            }
            // Of a higher minor version, or no parcel at all.
            _ if message.first().is_some_and(|&kind| kind >= PARCELS) => false,
            _ => return Err(Malformed),
        };
        if !kept {
            self.taken(now, peer, cost);
        }
        Ok(())
    }

    fn receive_call(
        &mut self,
        now: Now,
        peer: ReplicaId,
        call: Call<'_>,
        trace: &str,
        cost: u64,
    ) -> bool {
        match self.start_run(now, peer, call, trace, Some((peer, cost))) {
            Ok(kept) => kept,
            Err(refused) => {
                let answer = match refused {
                    Outcome::NoWorker => AnswerItem::NoWorker,
                    Outcome::Timeout => AnswerItem::Timeout,
                    _ => AnswerItem::Busy,
                };
                self.reply(peer, call.job, answer);
                false
            }
        }
    }

    fn receive_emit(
        &mut self,
        peer: ReplicaId,
        emit: Emit<'_>,
        cost: u64,
    ) -> Result<bool, Malformed> {
        self.check_told(emit.name, emit.args)?;
        let Some(name) = self.offers.events.get(emit.name) else {
            self.events_unheard += 1;
            return Ok(false);
        };
        let item = Item::Emitted { peer, name: name.clone(), args: emit.args.into() };
        self.inbox.push(Urgency::Now, item, Some((peer, cost)));
        Ok(true)
    }

    fn receive_answer(
        &mut self,
        peer: ReplicaId,
        answer: Answer<'_>,
        cost: u64,
    ) -> Result<bool, Malformed> {
        let outcome = match answer.answer {
            AnswerItem::Ok(value) => Outcome::Ok(self.told(value)?),
            AnswerItem::Error(error) => Outcome::Error(self.told(error)?),
            AnswerItem::NoWorker => Outcome::NoWorker,
            AnswerItem::Timeout => Outcome::Timeout,
            AnswerItem::Busy => Outcome::Busy,
        };
        Ok(self.settle_at_cost(answer.job, peer, outcome, Some((peer, cost))))
    }
}
