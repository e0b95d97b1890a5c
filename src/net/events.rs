//! What waits for the application, and the bell that says so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::sync::Mutex;
use crate::engine::{Address, NodeId, Profile, ReplicaId, WaitId};

/// Events that wait while JavaScript is busy, but for those that it must not miss. Enough for every
/// peer of the largest mesh to come and go several times.
const EVENTS_MAX: usize = 4096;
/// Warnings of one code that are told within [`WARNING_WINDOW`]; the others are counted. A peer or
/// a stranger that misbehaves on purpose must not occupy the event loop.
const WARNINGS_PER_WINDOW: u32 = 8;
const WARNING_WINDOW: Duration = Duration::from_secs(1);
/// Rings closer together than this are merged: one costs the event loop 16 to 18 µs, so that a
/// thousand per second are 2 % of it.
const RING_INTERVAL: Duration = Duration::from_millis(1);

/// Told to the application.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeEvent {
    Listening {
        /// The address bound, not the name given.
        host: String,
        port: u16,
        /// `IPv4` or `IPv6`, as in Node.js.
        family: &'static str,
    },
    /// Of a node opened to listen: it is good for nothing but `close` now. Others may try again.
    ListenFailed {
        code: String,
        message: String,
        syscall: &'static str,
        address: String,
        port: u16,
    },
    PeerUp {
        peer: ReplicaId,
        node: NodeId,
        profile: Profile,
        /// The address dialled, else the one advertised.
        address: Option<Address>,
        advertised: Option<Address>,
        /// It looks on, and is no peer.
        observer: bool,
    },
    PeerDown {
        peer: ReplicaId,
        address: Option<Address>,
        code: &'static str,
    },
    PeerBusy {
        peer: ReplicaId,
    },
    /// So many peers have what this node had written when it began to wait.
    Replicated {
        wait: WaitId,
        peers: usize,
    },
    /// The first dial of an address given by the application; others follow in silence.
    ConnectFailed {
        code: String,
        message: String,
        syscall: &'static str,
        address: String,
        port: u16,
    },
    Ready,
    Warning {
        code: &'static str,
        message: String,
        peer: Option<ReplicaId>,
    },
    /// The last event: all sockets are gone.
    Closed,
}

/// Whether the application is to be woken.
#[derive(Debug, PartialEq)]
pub(super) enum Ring {
    /// Nothing waits, or the last ring has not been answered.
    No,
    Now,
    At(Instant),
}

/// A bounded queue with at most one unanswered ring.
#[derive(Default)]
pub(super) struct EventQueue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<NodeEvent>,
    /// The engine has touched slots that no ring has spoken of.
    touched: bool,
    /// Items wait in the engine, to be rung for at this time.
    items_due: Option<Instant>,
    ringing: bool,
    rung_at: Option<Instant>,
    warnings: BTreeMap<&'static str, Window>,
    dropped: u64,
}

struct Window {
    since: Instant,
    told: u32,
}

impl EventQueue {
    pub fn push(&self, event: NodeEvent) {
        let mut state = self.state.lock();
        if let NodeEvent::Warning { code, .. } = &event {
            if !state.may_warn(code, Instant::now()) {
                state.dropped += 1;
                return;
            }
        }
        if state.events.len() >= EVENTS_MAX {
            state.make_room();
        }
        state.events.push_back(event);
    }

    /// Notes that the engine has touched slots to publish.
    pub fn touch(&self) {
        self.state.lock().touched = true;
    }

    /// Notes that items wait in the engine. Urgent ones ring as soon as the last ring is answered,
    /// however soon after it; the others wait for company.
    pub fn items(&self, urgent: bool, now: Instant) {
        let due = if urgent { now } else { now + RING_INTERVAL };
        let mut state = self.state.lock();
        state.items_due = Some(state.items_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// The application has taken all items. To be called with the engine locked, so that no ring
    /// for later ones is lost.
    pub fn items_taken(&self) {
        self.state.lock().items_due = None;
    }

    /// Asked by the driver before it waits. `Now` counts as rung.
    pub fn poll_ring(&self, now: Instant) -> Ring {
        let mut state = self.state.lock();
        if state.ringing {
            return Ring::No;
        }
        let news = !state.events.is_empty() || state.touched;
        let news_due = news.then(|| state.rung_at.map_or(now, |rung_at| rung_at + RING_INTERVAL));
        let Some(due) = news_due.into_iter().chain(state.items_due).min() else { return Ring::No };
        if now < due {
            return Ring::At(due);
        }
        state.ring(now);
        Ring::Now
    }

    /// Whether the caller is to ring for items that his call has caused. `true` counts as rung;
    /// `false`: a ring that is not answered will be, after this.
    pub fn ring_at_once(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let rings = !state.ringing;
        if rings {
            state.ring(now);
        }
        rings
    }

    /// Answers the ring. Also tells whether another may be due: events are left, or slots were
    /// touched or items came since the ring (which the caller may be about to fetch).
    pub fn take(&self, max: usize) -> (Vec<NodeEvent>, bool) {
        let mut state = self.state.lock();
        state.ringing = false;
        let count = state.events.len().min(max);
        let events = state.events.drain(..count).collect();
        let more = state.touched || state.items_due.is_some() || !state.events.is_empty();
        (events, more)
    }

    pub fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}

impl State {
    /// Whoever answers it takes all that waits.
    fn ring(&mut self, now: Instant) {
        self.ringing = true;
        self.touched = false;
        self.items_due = None;
        self.rung_at = Some(now);
    }

    fn may_warn(&mut self, code: &'static str, now: Instant) -> bool {
        let window = self.warnings.entry(code).or_insert(Window { since: now, told: 0 });
        if now >= window.since + WARNING_WINDOW {
            *window = Window { since: now, told: 0 };
        }
        window.told += 1;
        window.told <= WARNINGS_PER_WINDOW
    }

    /// Makes room by what the application can do without: the oldest warning, else that a peer was
    /// busy, else that one came and went. All else is kept: of each peer that is at most that it
    /// went and that it came.
    fn make_room(&mut self) {
        let warning = |event: &NodeEvent| matches!(event, NodeEvent::Warning { .. });
        let busy = |event: &NodeEvent| matches!(event, NodeEvent::PeerBusy { .. });
        let lone =
            self.events.iter().position(warning).or_else(|| self.events.iter().position(busy));
        if let Some(place) = lone {
            self.events.remove(place);
            self.dropped += 1;
        } else if let Some((up, down)) = self.visit() {
            self.events.remove(down);
            self.events.remove(up);
            self.dropped += 2;
        }
    }

    /// Where it is told that a peer came and that it went again, the first one to go.
    fn visit(&self) -> Option<(usize, usize)> {
        let mut ups = BTreeMap::new();
        for (place, event) in self.events.iter().enumerate() {
            match event {
                NodeEvent::PeerUp { peer, .. } => {
                    ups.insert(peer, place);
                }
                NodeEvent::PeerDown { peer, .. } => {
                    if let Some(&up) = ups.get(peer) {
                        return Some((up, place));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(code: &'static str) -> NodeEvent {
        NodeEvent::Warning { code, message: String::new(), peer: None }
    }

    fn up(peer: u64) -> NodeEvent {
        let (peer, node) = (ReplicaId(peer), NodeId([0; 12]));
        let profile = Profile::default();
        NodeEvent::PeerUp { peer, node, profile, address: None, advertised: None, observer: false }
    }

    #[test]
    fn rings_once_until_answered_and_merges_in_time() {
        let queue = EventQueue::default();
        let start = Instant::now();
        assert_eq!(queue.poll_ring(start), Ring::No);
        queue.push(NodeEvent::Ready);
        assert_eq!(queue.poll_ring(start), Ring::Now);
        queue.push(up(1));
        assert_eq!(queue.poll_ring(start), Ring::No);

        let (events, more) = queue.take(1);
        assert_eq!((events, more), (vec![NodeEvent::Ready], true));
        assert_eq!(queue.poll_ring(start), Ring::At(start + RING_INTERVAL));
        assert_eq!(queue.poll_ring(start + RING_INTERVAL), Ring::Now);
        assert_eq!(queue.take(10), (vec![up(1)], false));
        assert_eq!(queue.poll_ring(start + RING_INTERVAL * 2), Ring::No);
    }

    #[test]
    fn a_touch_during_a_ring_is_not_lost() {
        let queue = EventQueue::default();
        let start = Instant::now();
        queue.touch();
        assert_eq!(queue.poll_ring(start), Ring::Now);
        assert!(!queue.take(10).1);

        queue.push(NodeEvent::Ready);
        assert_eq!(queue.poll_ring(start + RING_INTERVAL), Ring::Now);
        queue.touch();
        assert!(queue.take(10).1);
        assert_eq!(queue.poll_ring(start + RING_INTERVAL * 2), Ring::Now);
    }

    #[test]
    fn urgent_items_ring_at_once_and_the_others_wait_for_company() {
        let queue = EventQueue::default();
        let start = Instant::now();
        queue.push(NodeEvent::Ready);
        assert_eq!(queue.poll_ring(start), Ring::Now);
        queue.items(true, start);
        assert_eq!(queue.poll_ring(start), Ring::No, "the last ring is not answered");
        assert!(queue.take(10).1);
        assert_eq!(queue.poll_ring(start), Ring::Now);
        assert!(!queue.take(10).1);

        let later = start + RING_INTERVAL * 5;
        queue.items(false, later);
        assert_eq!(queue.poll_ring(later), Ring::At(later + RING_INTERVAL));
        queue.items(true, later);
        assert_eq!(queue.poll_ring(later), Ring::Now);

        queue.items(true, later);
        assert!(queue.take(10).1);
        queue.items_taken();
        assert_eq!(queue.poll_ring(later), Ring::No);
    }

    #[test]
    fn a_full_queue_drops_warnings_first_and_then_visits() {
        let queue = EventQueue::default();
        let code = "ERR_CLOSED";
        let down = |peer| NodeEvent::PeerDown { peer: ReplicaId(peer), address: None, code };
        queue.push(down(0));
        queue.push(NodeEvent::Replicated { wait: WaitId(1), peers: 1 });
        queue.push(warning("ERR_A"));
        queue.push(NodeEvent::PeerBusy { peer: ReplicaId(7) });
        for _ in 0..EVENTS_MAX {
            queue.push(up(1));
            queue.push(down(1));
        }
        queue.push(up(1));
        queue.push(up(0));
        let (events, _) = queue.take(usize::MAX);
        assert!(events.len() <= EVENTS_MAX);
        let first = [down(0), NodeEvent::Replicated { wait: WaitId(1), peers: 1 }, up(1), down(1)];
        assert_eq!(events[..4], first);
        assert_eq!(events[events.len() - 2..], [up(1), up(0)]);
        assert_eq!(queue.dropped() as usize, 4 + 2 * EVENTS_MAX + 2 - events.len());
    }

    #[test]
    fn no_peer_is_dropped_that_is_there() {
        let queue = EventQueue::default();
        queue.push(NodeEvent::Ready);
        let peers = EVENTS_MAX as u64 + 10;
        for peer in 0..peers {
            queue.push(up(peer));
        }
        assert_eq!(queue.take(usize::MAX).0.len() as u64, peers + 1);
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_storm_of_warnings_is_told_in_part() {
        let queue = EventQueue::default();
        for _ in 0..100 {
            queue.push(warning("ERR_A"));
        }
        queue.push(warning("ERR_B"));
        assert_eq!(queue.take(usize::MAX).0.len(), WARNINGS_PER_WINDOW as usize + 1);
        assert_eq!(queue.dropped(), 100 - u64::from(WARNINGS_PER_WINDOW));
    }
}
