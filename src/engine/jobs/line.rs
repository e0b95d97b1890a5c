//! A line: the parcels between this node and one peer, whichever link they go over.
//!
//! Between two nodes there may for a moment be two links, and what is under way on the one that is
//! given up may be lost. So each side numbers its parcels, keeps them until the other has
//! acknowledged them, and sends them again over a new link. Numbers do not travel with the parcels,
//! which are the same bytes for every peer: a `Resume` tells the number of the first parcel on a
//! link, and both sides count from there. A parcel that arrives twice is taken once, so they arrive
//! at most once and in order.
//!
//! A peer whose last link breaks is lost, and with it all that was under way to it. `Resume` tells
//! it so, should it have noticed nothing: it counts the losses, and says which count of the peer's
//! own was known at the last. A peer that has counted on since has lost the same and knows.
//!
//! Each parcel has a cost, about the memory it takes. The receiver grants a window and tells the
//! cost of what its application has taken; beyond the window parcels wait here. A message too large
//! for a parcel goes in pieces, which are parcels themselves, one such message after the other;
//! small ones go past it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::engine::id::JobId;
use crate::engine::rare::{Gone, Rare};
use crate::engine::wire::message::{self, Ack, Kind, Malformed, Piece, PieceEnd, Resume};

/// What a parcel takes besides its bytes.
const OVERHEAD: u64 = 128;
/// Parcels received after which the peer is told.
const ACK_PARCELS: u64 = 64;
/// It is told also when this part of the window was taken.
const ACK_WINDOW_PART: u64 = 8;
/// Frames that are worth joining with others.
const SMALL_BYTES_MAX: usize = 4 << 10;
/// Numbers and costs that no node reaches: beyond them a peer is not believed.
const COUNT_MAX: u64 = 1 << 60;

/// What a message costs that goes in pieces.
pub fn cost(message_bytes: usize, piece_bytes: usize) -> u64 {
    let pieces = message_bytes.div_ceil(piece_bytes.max(1)) as u64;
    message_bytes as u64 + pieces * OVERHEAD
}

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

#[derive(Clone, Debug)]
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
    /// The number of the last parcel that was ever sent.
    last_sent: u64,
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
    /// How often the peer has lost this node, as it told last; and when it was lost last.
    peer_losses: Option<u64>,
    peer_losses_when_lost: Option<u64>,
    /// The number of the last parcel received, and the cost of all up to it.
    received: u64,
    received_cost: u64,
    taken_cost: u64,
    assembly: Vec<u8>,
    assembly_cost: u64,
    /// The beginning of the message in pieces that comes was dropped: its rest may yet come.
    headless: bool,

    // ---- to be said
    resume_due: bool,
    ack_due: bool,
    /// What the last acknowledgement said.
    acked: (u64, u64),
    pub rare: Gone,
}

#[derive(Clone, Debug)]
struct Parcel {
    frames: Bytes,
    cost: u64,
    /// `None`: it is a piece.
    class: Option<Class>,
}

#[derive(Clone, Debug)]
struct Large {
    message: Bytes,
    at: usize,
    class: Class,
}

impl Large {
    /// Whether it asks for this job or belongs to it.
    fn is_of(&self, job: JobId) -> bool {
        self.class == Class::Call(job) || self.class == Class::About(job)
    }
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
#[derive(Clone, Debug)]
pub enum Arrived {
    /// It was here before, or more of it is to come.
    Nothing,
    /// A message, with the cost to be given back when it is taken.
    Message { message: Bytes, cost: u64 },
}

/// Whether the peer counts us as lost since it last said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasLost {
    No,
    /// It was at a loss that is known here: what it had asked is void.
    Known,
    /// What was asked of it is void, too.
    News,
}

impl Line {
    pub fn new(bounds: Bounds) -> Self {
        Line {
            bounds,
            up: false,
            losses: 0,
            first: 1,
            cost_before: 0,
            last_sent: 0,
            queue: VecDeque::new(),
            queue_cost: 0,
            sent: 0,
            cost_sent: 0,
            large: VecDeque::new(),
            bytes: 0,
            peer_window: 0,
            peer_taken: 0,
            peer_losses: None,
            peer_losses_when_lost: None,
            received: 0,
            received_cost: 0,
            taken_cost: 0,
            assembly: Vec::new(),
            assembly_cost: 0,
            headless: false,
            resume_due: false,
            ack_due: false,
            acked: (0, 0),
            rare: Gone::default(),
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

    /// What waits and why, in a line, for reports of failures.
    pub fn describe(&self) -> String {
        let begun = self.large.front().map(|large| (large.at, large.message.len()));
        format!(
            "up {}, {} of {} parcels from {} on sent, {} large ({begun:?} begun), {} bytes; \
             cost sent {}, peer took {}, its window {}; received {}, acked {:?}",
            self.up,
            self.sent,
            self.queue.len(),
            self.first,
            self.large.len(),
            self.bytes,
            self.cost_sent,
            self.peer_taken,
            self.peer_window,
            self.received,
            self.acked,
        )
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
        self.peer_losses_when_lost = self.peer_losses;
        self.first += self.queue.len() as u64;
        self.cost_before += std::mem::take(&mut self.queue_cost);
        self.queue.clear();
        self.sent = 0;
        self.cost_sent = self.cost_before;
        self.large.clear();
        self.bytes = 0;
        self.headless |= self.assembly_cost > 0;
        self.drop_assembly();
    }

    /// What was never sent will not be: the peer no longer knows what it is about. The rest keeps
    /// its numbers, which the peer may have counted. So a call that was sent may get there yet, and
    /// run: what is said of jobs still goes, lest nobody stop one that has been cancelled.
    pub fn forget_unsent(&mut self) {
        let sent = (self.last_sent + 1).saturating_sub(self.first) as usize;
        for parcel in self.queue.split_off(sent.min(self.queue.len())) {
            // Nor does a piece wait but one that ends what the peer may hold.
            if let None | Some(Class::About(_)) = parcel.class {
                self.queue.push_back(parcel);
            } else {
                self.bytes -= parcel.frames.len();
                self.queue_cost -= parcel.cost;
            }
        }
        for large in std::mem::take(&mut self.large) {
            if large.at > 0 {
                // The peer may hold its beginning.
                self.drop_piece();
            }
            self.bytes -= large.message.len() - large.at;
            if let Class::About(_) = large.class {
                self.bytes += large.message.len();
                self.large.push_back(Large { at: 0, ..large });
            }
        }
    }

    // ---- sending

    /// Queues a message. `frames` are the message in frames, the same for every peer.
    pub fn push(&mut self, class: Class, frames: &Bytes, message: &Bytes) {
        let is_before = |large: &Large| match class {
            Class::Event => large.class == Class::Event,
            Class::About(job) => large.is_of(job),
            Class::Call(_) | Class::Other => false,
        };
        let before = self.large.iter().rposition(is_before);
        if message.len() <= self.bounds.piece_bytes && before.is_none() {
            self.enqueue(frames.clone(), message.len(), Some(class));
            return;
        }
        self.bytes += message.len();
        // Nobody is to run on because others are large.
        let place = before.filter(|_| matches!(class, Class::About(_))).map(|before| before + 1);
        let large = Large { message: message.clone(), at: 0, class };
        self.large.insert(place.unwrap_or(self.large.len()), large);
    }

    /// Takes back a call that has not gone out whole. `false`: it has; the peer must be told.
    pub fn take_back(&mut self, job: JobId) -> bool {
        let call = self.large.iter().position(|large| large.class == Class::Call(job));
        let Some(place) = call else { return false };
        let begun = self.large[place].at > 0;
        let bytes = &mut self.bytes;
        self.large.retain(|large| {
            let keep = !large.is_of(job);
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
                when_lost: self.peer_losses_when_lost,
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
                    self.rare.note(Rare::WindowFull);
                    return None;
                }
                let between = self.large.front().is_some_and(|large| large.at > 0);
                self.rare.note_if(between && parcel.class.is_some(), Rare::PieceInterleaved);
                return self.send_next();
            }
        }
        if outstanding < pieces_max && self.sent == self.queue.len() {
            return self.cut_piece();
        }
        None
    }

    /// The next parcel, if it is small and may go.
    pub fn poll_small(&mut self) -> Option<Bytes> {
        let parcel = self.queue.get(self.sent).filter(|_| self.up && !self.resume_due)?;
        let may = parcel.frames.len() <= SMALL_BYTES_MAX && self.may_send(parcel.cost);
        may.then(|| self.send_next()).flatten()
    }

    /// The next piece of the first large message.
    fn cut_piece(&mut self) -> Option<Bytes> {
        let large = self.large.front()?;
        let length = (large.message.len() - large.at).min(self.bounds.piece_bytes);
        if !self.may_send(length as u64 + OVERHEAD) {
            self.rare.note(Rare::WindowFull);
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
        self.enqueue(message::finish(&piece), piece.len(), None);
        self.send_next()
    }

    fn send_next(&mut self) -> Option<Bytes> {
        let parcel = self.queue.get(self.sent)?;
        self.sent += 1;
        let number = self.first + self.sent as u64 - 1;
        self.rare.note_if(number <= self.last_sent, Rare::ParcelAgain);
        self.cost_sent += parcel.cost;
        self.last_sent = self.last_sent.max(number);
        Some(parcel.frames.clone())
    }

    /// What is the first to go always may, lest a window smaller than it stop everything.
    fn may_send(&self, cost: u64) -> bool {
        let untaken = self.cost_sent.saturating_sub(self.peer_taken);
        untaken == 0 || untaken + cost <= self.peer_window
    }

    fn enqueue(&mut self, frames: Bytes, message_bytes: usize, class: Option<Class>) {
        let cost = message_bytes as u64 + OVERHEAD;
        self.bytes += frames.len();
        self.queue_cost += cost;
        self.queue.push_back(Parcel { frames, cost, class });
    }

    fn drop_piece(&mut self) {
        self.rare.note(Rare::PieceDropped);
        let mut piece = message::begin(Kind::Piece);
        message::append(&mut piece, &Piece { end: PieceEnd::Dropped, bytes: &[] });
        self.enqueue(message::finish(&piece), piece.len(), None);
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
            if self.sent > 0 {
                self.sent -= 1;
            } else {
                // It was to go over this link again. Now that it need not, the next one is not the
                // one that the peer counts to.
                self.resume_due = true;
            }
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
            self.headless = false;
            self.drop_assembly();
        }
        self.peer_window = resume.window;
        self.ack_due = true;
        // A resume of an old link may come late.
        let was_heard = self.peer_losses.is_some();
        let before = self.peer_losses.unwrap_or(0);
        self.peer_losses = Some(before.max(resume.losses));
        let has_lost = resume.losses > before;
        if has_lost {
            // The rest of what came in pieces will not come.
            self.headless = false;
            self.drop_assembly();
        }
        let is_news = match resume.when_lost {
            Some(known) => known == self.losses,
            // It had never heard us when it lost us. We had heard it, or there was nothing to lose.
            None => was_heard && self.losses == 0,
        };
        Ok(match is_news {
            _ if !has_lost => WasLost::No,
            true => WasLost::News,
            false => WasLost::Known,
        })
    }

    /// A parcel arrived that has this number.
    pub fn receive(&mut self, number: u64, message: Bytes) -> Result<Arrived, Malformed> {
        if number <= self.received {
            self.rare.note(Rare::ParcelTwice);
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
        if self.headless {
            self.headless = piece.end == PieceEnd::More;
            self.drop_assembly();
            return Ok(Arrived::Nothing);
        }
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

    /// The application has taken what cost this, or never will. What it takes late may have come over
    /// an earlier line, which this one took the place of when this node got another replica id.
    pub fn take(&mut self, cost: u64) {
        self.taken_cost = (self.taken_cost + cost).min(self.received_cost);
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

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { piece_bytes: 100, message_bytes_max: 1000, window: 3000 };

    /// Two lines, and what is under way from the first to the second.
    struct Pair {
        from: Line,
        to: Line,
        /// As the receiver counts.
        number: u64,
    }

    impl Pair {
        fn new() -> Self {
            let mut pair = Pair { from: Line::new(BOUNDS), to: Line::new(BOUNDS), number: 0 };
            pair.switch();
            pair
        }

        fn switch(&mut self) {
            self.from.switch();
            self.to.switch();
            // The receiver's window must be known before anything is sent.
            let window = BOUNDS.window;
            let resume =
                Resume { losses: self.to.losses, when_lost: None, next: 1, cost_before: 0, window };
            self.from.receive_resume(resume).unwrap();
        }

        fn push(&mut self, class: Class, bytes: usize) {
            let mut message = vec![Kind::Emit as u8; bytes];
            message[bytes - 1] = self.from.queue.len() as u8;
            let frames = message::finish(&message);
            self.from.push(class, &frames, &message.into());
        }

        /// Everything that goes now, as messages.
        fn sent(&mut self) -> Vec<Bytes> {
            let mut sent = Vec::new();
            while let Some(frames) = self.from.poll_send(0, 1, 1) {
                sent.push(frames.slice(4..));
            }
            sent
        }

        /// Sizes of the messages that come out.
        fn arrive(&mut self, sent: Vec<Bytes>) -> Vec<usize> {
            let mut sizes = Vec::new();
            for message in sent {
                match Kind::of(&message) {
                    Some(Kind::Resume) => {
                        let resume: Resume = message::decode(&message).unwrap();
                        self.number = resume.next;
                        self.to.receive_resume(resume).unwrap();
                    }
                    Some(Kind::Ack) => {}
                    _ => {
                        let number = self.number;
                        self.number += 1;
                        match self.to.receive(number, message).unwrap() {
                            Arrived::Nothing => {}
                            Arrived::Message { message, cost } => {
                                sizes.push(message.len());
                                self.to.take(cost);
                            }
                        }
                    }
                }
            }
            sizes
        }

        fn ack(&mut self) {
            let ack = Ack { received: self.to.received, cost_taken: self.to.taken_cost };
            self.from.receive_ack(ack).unwrap();
        }
    }

    #[test]
    fn what_was_not_acknowledged_goes_again_and_arrives_once() {
        let mut pair = Pair::new();
        for bytes in [1, 2, 3, 4] {
            pair.push(Class::Other, bytes);
        }
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent[..4].to_vec()), [1, 2]);
        pair.switch();
        pair.push(Class::Other, 5);
        let again = pair.sent();
        assert_eq!(pair.arrive(again), [3, 4, 5]);
        pair.ack();
        assert_eq!(pair.from.bytes(), 0);
    }

    /// An acknowledgement of what went over the old link comes when the new one was told of already.
    #[test]
    fn numbers_fit_when_what_was_to_go_again_is_acknowledged_meanwhile() {
        let mut pair = Pair::new();
        for bytes in [1, 2, 3] {
            pair.push(Class::Other, bytes);
        }
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [1, 2, 3]);
        pair.switch();
        let resume: Vec<Bytes> =
            pair.from.poll_send(0, 1, 1).map(|f| f.slice(4..)).into_iter().collect();
        assert_eq!(Kind::of(&resume[0]), Some(Kind::Resume));
        pair.arrive(resume);
        pair.ack();
        pair.push(Class::Other, 4);
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [4]);
        pair.ack();
        assert_eq!(pair.from.bytes(), 0);
    }

    #[test]
    fn numbers_that_were_sent_are_never_used_again() {
        let mut pair = Pair::new();
        pair.push(Class::Other, 1);
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [1]);
        pair.switch();
        pair.push(Class::Other, 2);
        pair.from.forget_unsent();
        pair.push(Class::Other, 3);
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [3]);
    }

    #[test]
    fn a_loss_drops_what_was_queued_and_the_rest_goes_on() {
        let mut pair = Pair::new();
        pair.push(Class::Other, 1);
        pair.push(Class::Other, 350);
        let sent = pair.sent();
        // Two of its pieces get there.
        assert_eq!(pair.arrive(sent[..5].to_vec()), [1]);
        pair.from.lose();
        pair.switch();
        pair.push(Class::Other, 3);
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [3]);
        pair.ack();
        assert_eq!((pair.from.bytes(), pair.from.peer_taken), (0, pair.from.cost_before));
    }

    /// The sender has lost a peer that it never heard, just when the first piece had arrived.
    #[test]
    fn a_piece_from_before_a_loss_is_no_part_of_what_comes_after() {
        let mut pair = Pair::new();
        pair.from.peer_losses = None;
        pair.push(Class::Other, 350);
        let sent: Vec<Bytes> =
            (0..3).filter_map(|_| pair.from.poll_send(0, 1, 1)).map(|f| f.slice(4..)).collect();
        let begun = sent.iter().position(|m| Kind::of(m) == Some(Kind::Piece)).unwrap();
        assert!(pair.arrive(sent[..=begun].to_vec()).is_empty());
        pair.from.queue.truncate(1);
        pair.from.lose();
        pair.from.switch();
        let resume = pair.from.poll_send(0, 1, 1).unwrap().slice(4..);
        let resume: Resume = message::decode(&resume).unwrap();
        assert_eq!(resume.next, pair.to.received + 1);
        assert_eq!(pair.to.receive_resume(resume).unwrap(), WasLost::News);
        assert!(pair.to.assembly.is_empty());
    }

    #[test]
    fn pieces_of_a_message_that_is_taken_back_are_forgotten() {
        let mut pair = Pair::new();
        pair.push(Class::Call(JobId(7)), 950);
        let mut sent = Vec::new();
        for _ in 0..5 {
            sent.extend(pair.from.poll_send(0, 1, 1).map(|frames| frames.slice(4..)));
        }
        assert!(pair.from.take_back(JobId(7)));
        assert!(!pair.from.take_back(JobId(7)));
        pair.push(Class::Other, 250);
        sent.extend(pair.sent());
        assert_eq!(pair.arrive(sent), [250]);
    }

    /// What was said of it while it was going still waits, and is no sign that it has not gone.
    #[test]
    fn a_call_that_has_gone_whole_is_not_taken_back() {
        let mut pair = Pair::new();
        pair.push(Class::Call(JobId(7)), 950);
        pair.push(Class::About(JobId(7)), 20);
        let mut sent = Vec::new();
        while pair.from.large.len() > 1 {
            sent.extend(pair.from.poll_send(0, 1, 1).map(|frames| frames.slice(4..)));
        }
        assert!(!pair.from.take_back(JobId(7)));
        pair.push(Class::About(JobId(7)), 30);
        sent.extend(pair.sent());
        assert_eq!(pair.arrive(sent), [950, 20, 30]);
    }

    #[test]
    fn what_is_said_of_a_large_call_waits_for_that_and_for_no_other() {
        let mut pair = Pair::new();
        pair.push(Class::Call(JobId(7)), 350);
        pair.push(Class::Call(JobId(8)), 450);
        pair.push(Class::Event, 550);
        pair.push(Class::About(JobId(7)), 20);
        pair.push(Class::About(JobId(8)), 30);
        pair.push(Class::About(JobId(7)), 250);
        pair.push(Class::Event, 40);
        let mut arrived = Vec::new();
        while pair.from.bytes() > 0 {
            let sent = pair.sent();
            arrived.extend(pair.arrive(sent));
            pair.ack();
        }
        assert_eq!(arrived, [350, 20, 250, 450, 30, 550, 40]);
    }

    #[test]
    fn the_window_stops_and_taking_goes_on() {
        let mut pair = Pair::new();
        let mut count = 0;
        while pair.from.has_room(90) {
            pair.push(Class::Other, 90);
            count += 1;
        }
        let mut arrived = 0;
        for _ in 0..count {
            let sent = pair.sent();
            let costs: u64 = sent.iter().map(|m| m.len() as u64 + OVERHEAD).sum();
            assert!(costs <= BOUNDS.window + 200);
            arrived += pair.arrive(sent).len();
            pair.ack();
        }
        assert_eq!(arrived, count);
    }

    #[test]
    fn what_came_over_an_earlier_line_is_not_taken_of_this_one() {
        let mut pair = Pair::new();
        pair.push(Class::Event, 20);
        pair.to.take(1000);
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [20]);
        pair.to.take(1000);
        // More would be malformed.
        pair.ack();
    }

    /// The peer was lost while a call was on its way, and before what belongs to it was sent.
    #[test]
    fn what_is_said_of_a_call_goes_wherever_the_call_may_have_gone() {
        let mut pair = Pair::new();
        pair.push(Class::Call(JobId(7)), 90);
        pair.sent();
        pair.switch();
        pair.push(Class::Event, 10);
        pair.push(Class::About(JobId(7)), 20);
        pair.push(Class::Other, 30);
        pair.push(Class::About(JobId(7)), 250);
        pair.push(Class::Other, 350);
        pair.from.forget_unsent();
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [90, 20, 250]);
        pair.ack();
        assert_eq!(pair.from.bytes(), 0);
    }

    #[test]
    fn pieces_that_arrive_after_a_loss_make_no_message_without_those_before() {
        let mut pair = Pair::new();
        pair.push(Class::Other, 350);
        let sent = pair.sent();
        let half = sent.iter().position(|m| Kind::of(m) == Some(Kind::Piece)).unwrap() + 2;
        assert!(pair.arrive(sent[..half].to_vec()).is_empty());
        pair.to.lose();
        pair.switch();
        pair.from.forget_unsent();
        pair.push(Class::Other, 250);
        let sent = pair.sent();
        assert_eq!(pair.arrive(sent), [250]);
    }

    #[test]
    fn what_no_peer_would_say_is_malformed() {
        let mut line = Line::new(BOUNDS);
        let sound = Resume { losses: 0, when_lost: None, next: 1, cost_before: 0, window: 10 };
        assert!(line.receive_resume(Resume { next: 0, ..sound }).is_err());
        assert!(line.receive_resume(Resume { next: u64::MAX, ..sound }).is_err());
        assert!(line.receive_resume(Resume { next: 9, cost_before: u64::MAX, ..sound }).is_err());
        assert!(line.receive_ack(Ack { received: 1, cost_taken: 0 }).is_err());
        assert!(line.receive_ack(Ack { received: 0, cost_taken: 1 }).is_err());
        assert!(line.receive(2, Bytes::from_static(&[Kind::Emit as u8])).is_err());
        // More than was granted.
        let large = Bytes::from(vec![Kind::Emit as u8; 2000]);
        assert!((1..5).any(|number| line.receive(number, large.clone()).is_err()));
    }
}
