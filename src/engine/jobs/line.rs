//! A line: the parcels between this node and one peer, whichever link they go over.
//!
//! Between two nodes there may for a moment be two links, and what is under way on the one that is
//! given up may be lost. So each side numbers its parcels, keeps them until the other has
//! acknowledged them, and sends them again over a new link. Numbers do not travel with the parcels,
//! which are the same bytes for every peer: a `Resume` tells the number of the first parcel on a
//! link, and both sides count from there. A parcel that arrives twice is taken once, so they arrive
//! at most once and in order.
//!
//! A peer whose last link breaks is lost, and with it all that was under way to it. The count of
//! losses in `Resume` tells it so, should it have noticed nothing.
//!
//! Each parcel has a cost, about the memory it takes. The receiver grants a window and tells the
//! cost of what its application has taken; beyond the window parcels wait here. A message too large
//! for a parcel goes in pieces, which are parcels themselves, one such message after the other;
//! small ones go past it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::engine::id::JobId;
use crate::engine::wire::message::{self, Ack, Kind, Malformed, Piece, PieceEnd, Resume};

/// What a parcel takes besides its bytes.
const OVERHEAD: u64 = 128;
/// Parcels received after which the peer is told.
const ACK_PARCELS: u64 = 64;
/// It is told also when this part of the window was taken.
const ACK_WINDOW_PART: u64 = 8;
/// Numbers and costs that no node reaches: beyond them a peer is not believed.
const COUNT_MAX: u64 = 1 << 60;

/// The limits of all lines.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a piece.
    pub piece_bytes: usize,
    /// Bytes of a message.
    pub message_bytes_max: usize,
    /// Cost that the peer may have sent and the application has not taken.
    pub window: u64,
}

#[derive(Debug)]
pub struct Line {
    bounds: Bounds,
    /// The peer is there.
    up: bool,

    // ---- sending
    /// How often this peer was lost.
    losses: u64,
    /// The number of the first parcel in `queue`, and the cost of all before it.
    first: u64,
    cost_before: u64,
    /// Not acknowledged; the first `sent` went over the present link.
    queue: VecDeque<Parcel>,
    queue_cost: u64,
    sent: usize,
    /// The cost of all that was sent.
    cost_sent: u64,
    /// Not in pieces yet.
    large: VecDeque<Large>,
    /// Bytes in `queue` and `large`.
    bytes: usize,
    /// As the peer told: its window, and the cost of what it has taken.
    peer_window: u64,
    peer_taken: u64,

    // ---- receiving
    peer_losses: Option<u64>,
    /// The number of the last parcel received, and the cost of all up to it.
    received: u64,
    received_cost: u64,
    taken_cost: u64,
    assembly: Vec<u8>,
    assembly_cost: u64,

    // ---- to be said
    resume_due: bool,
    ack_due: bool,
    /// What the last acknowledgement said.
    acked: (u64, u64),
}

#[derive(Debug)]
struct Parcel {
    frames: Bytes,
    cost: u64,
    is_piece: bool,
}

#[derive(Debug)]
struct Large {
    message: Bytes,
    at: usize,
    /// The job that it asks for or belongs to.
    job: Option<JobId>,
    is_event: bool,
}

/// What a message is to the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks for this job.
    Call(JobId),
    /// Says something of a job asked for before.
    About(JobId),
    /// Keeps its place among the events.
    Event,
    Other,
}

/// What to do about a parcel that arrived.
#[derive(Debug)]
pub enum Arrived {
    /// It was here before, or more of it is to come.
    Nothing,
    /// A message, with the cost to be given back when it is taken.
    Message { message: Bytes, cost: u64 },
}

/// The peer counts us as lost since it last said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WasLost(pub bool);

impl Line {
    pub fn new(bounds: Bounds) -> Self {
        Line {
            bounds,
            up: false,
            losses: 0,
            first: 1,
            cost_before: 0,
            queue: VecDeque::new(),
            queue_cost: 0,
            sent: 0,
            cost_sent: 0,
            large: VecDeque::new(),
            bytes: 0,
            peer_window: 0,
            peer_taken: 0,
            peer_losses: None,
            received: 0,
            received_cost: 0,
            taken_cost: 0,
            assembly: Vec::new(),
            assembly_cost: 0,
            resume_due: false,
            ack_due: false,
            acked: (0, 0),
        }
    }

    // ---- getters

    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Bytes that wait for the peer.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of this size may be queued.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= self.bounds.window as usize
    }

    pub fn ack_is_due(&self) -> bool {
        self.up && self.ack_due
    }

    /// Whether the peer does not know yet what was received or taken here.
    pub fn owes_ack(&self) -> bool {
        self.up && self.acked != (self.received, self.taken_cost)
    }

    // ---- links

    /// Parcels go over another link from now on.
    pub fn switch(&mut self) {
        self.up = true;
        self.sent = 0;
        self.cost_sent = self.cost_before;
        self.resume_due = true;
    }

    /// The last link is gone.
    pub fn lose(&mut self) {
        self.up = false;
        self.losses += 1;
        self.first += self.queue.len() as u64;
        self.cost_before += std::mem::take(&mut self.queue_cost);
        self.queue.clear();
        self.sent = 0;
        self.cost_sent = self.cost_before;
        self.large.clear();
        self.bytes = 0;
        self.drop_assembly();
    }

    /// What has not been sent will not be: the peer no longer knows what it is about.
    pub fn forget_unsent(&mut self) {
        let mut begun = self.large.front().is_some_and(|large| large.at > 0);
        for parcel in self.queue.drain(self.sent..) {
            self.bytes -= parcel.frames.len();
            self.queue_cost -= parcel.cost;
            begun |= parcel.is_piece;
        }
        for large in self.large.drain(..) {
            self.bytes -= large.message.len() - large.at;
        }
        if begun {
            // The peer may hold its beginning.
            self.drop_piece();
        }
    }

    // ---- sending

    /// Queues a message. `frames` are the message in frames, the same for every peer.
    pub fn push(&mut self, class: Class, frames: &Bytes, message: &Bytes) {
        let behind_large = |large: &Large| match class {
            Class::Event => large.is_event,
            Class::About(job) => large.job == Some(job),
            Class::Call(_) | Class::Other => false,
        };
        if message.len() > self.bounds.piece_bytes || self.large.iter().any(behind_large) {
            self.bytes += message.len();
            let job = match class {
                Class::Call(job) | Class::About(job) => Some(job),
                Class::Event | Class::Other => None,
            };
            let is_event = class == Class::Event;
            self.large.push_back(Large { message: message.clone(), at: 0, job, is_event });
        } else {
            self.enqueue(frames.clone(), message.len(), false);
        }
    }

    /// Takes back a call that has not gone out whole. `false`: it has; the peer must be told.
    pub fn take_back(&mut self, job: JobId) -> bool {
        let Some(place) = self.large.iter().position(|large| large.job == Some(job)) else {
            return false;
        };
        let begun = self.large[place].at > 0;
        let bytes = &mut self.bytes;
        self.large.retain(|large| {
            let keep = large.job != Some(job);
            if !keep {
                *bytes -= large.message.len() - large.at;
            }
            keep
        });
        if begun {
            self.drop_piece();
        }
        true
    }

    /// The next frames for the link, on which `outstanding` bytes wait already: at most
    /// `small_max` beside small parcels, `pieces_max` beside pieces.
    pub fn poll_send(
        &mut self,
        outstanding: usize,
        small_max: usize,
        pieces_max: usize,
    ) -> Option<Bytes> {
        if !self.up {
            return None;
        }
        if std::mem::take(&mut self.resume_due) {
            self.ack_due = true;
            let resume = Resume {
                losses: self.losses,
                next: self.first,
                cost_before: self.cost_before,
                window: self.bounds.window,
            };
            return Some(message::encode(Kind::Resume, &resume));
        }
        if std::mem::take(&mut self.ack_due) {
            self.acked = (self.received, self.taken_cost);
            let ack = Ack { received: self.received, cost_taken: self.taken_cost };
            return Some(message::encode(Kind::Ack, &ack));
        }
        if outstanding < small_max {
            if let Some(parcel) = self.queue.get(self.sent) {
                if !self.may_send(parcel.cost) {
                    return None;
                }
                self.sent += 1;
                self.cost_sent += parcel.cost;
                return Some(parcel.frames.clone());
            }
        }
        if outstanding < pieces_max && self.sent == self.queue.len() {
            return self.cut_piece();
        }
        None
    }

    /// The next piece of the first large message.
    fn cut_piece(&mut self) -> Option<Bytes> {
        let large = self.large.front()?;
        let length = (large.message.len() - large.at).min(self.bounds.piece_bytes);
        if !self.may_send(length as u64 + OVERHEAD) {
            return None;
        }
        let large = self.large.front_mut()?;
        let bytes = &large.message[large.at..large.at + length];
        large.at += length;
        let last = large.at == large.message.len();
        let end = if last { PieceEnd::Last } else { PieceEnd::More };
        let mut piece = message::begin(Kind::Piece);
        message::append(&mut piece, &Piece { end, bytes });
        self.bytes -= length;
        if last {
            self.large.pop_front();
        }
        self.enqueue(message::finish(&piece), piece.len(), true);
        let parcel = &self.queue[self.sent];
        self.sent += 1;
        self.cost_sent += parcel.cost;
        Some(parcel.frames.clone())
    }

    /// What is the first to go always may, lest a window smaller than it stop everything.
    fn may_send(&self, cost: u64) -> bool {
        let untaken = self.cost_sent.saturating_sub(self.peer_taken);
        untaken == 0 || untaken + cost <= self.peer_window
    }

    fn enqueue(&mut self, frames: Bytes, message_bytes: usize, is_piece: bool) {
        let cost = message_bytes as u64 + OVERHEAD;
        self.bytes += frames.len();
        self.queue_cost += cost;
        self.queue.push_back(Parcel { frames, cost, is_piece });
    }

    fn drop_piece(&mut self) {
        let mut piece = message::begin(Kind::Piece);
        message::append(&mut piece, &Piece { end: PieceEnd::Dropped, bytes: &[] });
        self.enqueue(message::finish(&piece), piece.len(), true);
    }

    pub fn receive_ack(&mut self, ack: Ack) -> Result<(), Malformed> {
        let total = self.cost_before + self.queue_cost;
        if ack.received >= self.first + self.queue.len() as u64 || ack.cost_taken > total {
            return Err(Malformed);
        }
        while self.first <= ack.received {
            let Some(parcel) = self.queue.pop_front() else { break };
            self.first += 1;
            self.cost_before += parcel.cost;
            self.queue_cost -= parcel.cost;
            self.bytes -= parcel.frames.len();
            self.sent = self.sent.saturating_sub(1);
        }
        self.cost_sent = self.cost_sent.max(self.cost_before);
        self.peer_taken = self.peer_taken.max(ack.cost_taken);
        Ok(())
    }

    // ---- receiving

    /// Parcels come over a link, from this number on.
    pub fn receive_resume(&mut self, resume: Resume) -> Result<WasLost, Malformed> {
        if resume.next == 0 || resume.next > COUNT_MAX || resume.cost_before > COUNT_MAX {
            return Err(Malformed);
        }
        if resume.next > self.received + 1 {
            // What lies between was given up by its sender; nobody will take it.
            let skipped = resume.cost_before.checked_sub(self.received_cost).ok_or(Malformed)?;
            self.received = resume.next - 1;
            self.received_cost = resume.cost_before;
            self.taken_cost += skipped;
            self.drop_assembly();
        }
        self.peer_window = resume.window;
        self.ack_due = true;
        let before = self.peer_losses.replace(resume.losses);
        let was_lost = before.is_some_and(|before| before != resume.losses);
        if was_lost {
            self.drop_assembly();
        }
        Ok(WasLost(was_lost))
    }

    /// A parcel arrived that has this number.
    pub fn receive(&mut self, number: u64, message: Bytes) -> Result<Arrived, Malformed> {
        if number <= self.received {
            return Ok(Arrived::Nothing);
        }
        if number != self.received + 1 {
            return Err(Malformed);
        }
        let cost = message.len() as u64 + OVERHEAD;
        let most = self.bounds.window + self.bounds.message_bytes_max as u64 + OVERHEAD;
        if self.received_cost.saturating_sub(self.taken_cost) + cost > most {
            return Err(Malformed);
        }
        self.received = number;
        self.received_cost += cost;
        self.ack_due |= self.received - self.acked.0 >= ACK_PARCELS;
        if Kind::of(&message) != Some(Kind::Piece) {
            return Ok(Arrived::Message { message, cost });
        }
        let piece: Piece<'_> = message::decode(&message)?;
        self.assembly_cost += cost;
        if self.assembly.len() + piece.bytes.len() > self.bounds.message_bytes_max {
            return Err(Malformed);
        }
        self.assembly.extend_from_slice(piece.bytes);
        match piece.end {
            PieceEnd::More => Ok(Arrived::Nothing),
            PieceEnd::Dropped => {
                self.drop_assembly();
                Ok(Arrived::Nothing)
            }
            PieceEnd::Last => {
                let cost = std::mem::take(&mut self.assembly_cost);
                let message = Bytes::from(std::mem::take(&mut self.assembly));
                Ok(Arrived::Message { message, cost })
            }
        }
    }

    /// The application has taken what cost this, or never will.
    pub fn take(&mut self, cost: u64) {
        self.taken_cost += cost;
        self.ack_due |= self.taken_cost - self.acked.1 >= self.bounds.window / ACK_WINDOW_PART;
    }

    /// It is time to say what was received and taken.
    pub fn ack_now(&mut self) {
        self.ack_due = self.owes_ack();
    }

    fn drop_assembly(&mut self) {
        self.assembly = Vec::new();
        let cost = std::mem::take(&mut self.assembly_cost);
        self.take(cost);
    }
}
