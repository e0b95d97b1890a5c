//! Who is there: connections, who is behind them, and which addresses to dial.
//!
//! Knows nothing of the document. It is told what happens to connections and tells, through
//! [`Step`]s, what to do about it.

mod address_book;

use std::collections::{BTreeMap, VecDeque};

use super::config::Config;
use super::error::CloseReason;
use super::event::Address;
use super::id::{LinkId, NodeId, ReplicaId};
use address_book::AddressBook;
use rand_chacha::ChaCha8Rng;

/// Addresses remembered for the replica last seen there; beyond that, only those of peers.
const ADDRESSES_MAX: usize = 1024;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Step {
    Dial(Address),
    SayHello(LinkId),
    Close {
        link: LinkId,
        reason: CloseReason,
    },
    /// Messages to this peer go over another link from now on.
    Use {
        peer: ReplicaId,
    },
    Up {
        peer: ReplicaId,
        node: NodeId,
        advertised: Option<Address>,
        dialled: Option<Address>,
    },
    Down {
        peer: ReplicaId,
        reason: CloseReason,
    },
    /// Another process has the address that this one, which is gone, was known by.
    Replaced {
        peer: ReplicaId,
    },
}

/// What a hello says of its sender.
#[derive(Clone, Debug)]
pub struct Introduction {
    pub replica: ReplicaId,
    pub node: NodeId,
    pub advertised: Option<Address>,
}

#[derive(Debug)]
pub struct Membership {
    own: ReplicaId,
    links: BTreeMap<LinkId, Link>,
    peers: BTreeMap<ReplicaId, Peer>,
    book: AddressBook,
    handshake_timeout_ms: u64,
    loss_timeout_ms: u64,
    /// Who was last known by an advertised address.
    by_address: BTreeMap<Address, ReplicaId>,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Link {
    dialled: Option<Address>,
    opened_ms: u64,
    heard_ms: u64,
    peer: Option<ReplicaId>,
    /// Something came after its hello: it has had ours.
    confirmed: bool,
}

#[derive(Debug)]
struct Peer {
    /// The link that messages go over; others to the same peer are about to be closed.
    link: LinkId,
}

impl Membership {
    pub fn new(own: ReplicaId, config: &Config) -> Self {
        Membership {
            own,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            book: AddressBook::new(config),
            handshake_timeout_ms: config.handshake_timeout_ms,
            loss_timeout_ms: config.loss_timeout_ms,
            by_address: BTreeMap::new(),
            steps: VecDeque::new(),
        }
    }

    // ---- getters

    pub fn peers(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.peers.keys().copied()
    }

    pub fn link_of(&self, peer: ReplicaId) -> Option<LinkId> {
        self.peers.get(&peer).map(|peer| peer.link)
    }

    /// Who is behind a link, once it has said hello.
    pub fn peer_on(&self, link: LinkId) -> Option<ReplicaId> {
        self.links.get(&link)?.peer
    }

    pub fn knows_link(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Whether every address given was tried at least once.
    pub fn all_tried(&self) -> bool {
        self.book.all_tried()
            && self.links.values().all(|l| l.peer.is_some() || l.dialled.is_none())
    }

    // ---- what happens

    pub fn connect(&mut self, now_ms: u64, address: Address) {
        self.book.add(now_ms, address);
    }

    pub fn opened(&mut self, now_ms: u64, link: LinkId, dialled: Option<Address>) {
        let opened =
            Link { dialled, opened_ms: now_ms, heard_ms: now_ms, peer: None, confirmed: false };
        self.links.insert(link, opened);
        self.steps.push_back(Step::SayHello(link));
    }

    pub fn dial_failed(&mut self, now_ms: u64, address: &Address, rng: &mut ChaCha8Rng) {
        self.book.failed(now_ms, address, rng);
    }

    pub fn heard(&mut self, now_ms: u64, link: LinkId, rng: &mut ChaCha8Rng) {
        let Some(link) = self.links.get_mut(&link) else { return };
        link.heard_ms = now_ms;
        if let Some(peer) = link.peer {
            if !std::mem::replace(&mut link.confirmed, true) {
                self.close_duplicates(now_ms, peer, rng);
            }
        }
    }

    /// A compatible hello arrived.
    pub fn introduced(
        &mut self,
        now_ms: u64,
        link: LinkId,
        who: Introduction,
        rng: &mut ChaCha8Rng,
    ) {
        let Some(opened) = self.links.get_mut(&link) else { return };
        if who.replica == self.own {
            if let Some(address) = opened.dialled.clone() {
                self.book.is_own(&address);
            }
            self.close(now_ms, link, CloseReason::Oneself, rng);
            return;
        }
        opened.peer = Some(who.replica);
        let dialled = opened.dialled.clone();
        for address in dialled.iter().chain(&who.advertised) {
            self.book.leads_to(address, who.replica);
        }
        if let Some(address) = &who.advertised {
            if self.by_address.len() >= ADDRESSES_MAX {
                let peers = &self.peers;
                self.by_address.retain(|_, id| peers.contains_key(id));
            }
            let before = self.by_address.insert(address.clone(), who.replica);
            let gone = before.filter(|&id| id != who.replica && !self.peers.contains_key(&id));
            if let Some(peer) = gone {
                self.steps.push_back(Step::Replaced { peer });
            }
        }
        let Some(peer) = self.peers.get(&who.replica) else {
            self.peers.insert(who.replica, Peer { link });
            self.steps.push_back(Step::Use { peer: who.replica });
            let Introduction { replica: peer, node, advertised } = who;
            let up = Step::Up { peer, node, advertised, dialled };
            self.steps.push_back(up);
            return;
        };
        // A second connection to the same peer. Of two dialled by different sides that of the
        // smaller id is kept, of two dialled by one side the older; the dialler in the first case
        // of the kept one, in the second of both, closes the other as soon as the peer has both, lest it
        // lose its only one. Meanwhile either works.
        let current = peer.link;
        let (ours, other_ours) = (dialled.is_some(), self.dialled_by_us(current));
        let keep = ours == other_ours || other_ours == (self.own < who.replica);
        let kept = if keep { current } else { link };
        if kept != current {
            self.peers.insert(who.replica, Peer { link: kept });
            self.steps.push_back(Step::Use { peer: who.replica });
        }
        self.close_duplicates(now_ms, who.replica, rng);
    }

    /// The connection is gone.
    pub fn closed(&mut self, now_ms: u64, link: LinkId, reason: CloseReason, rng: &mut ChaCha8Rng) {
        let Some(closed) = self.links.remove(&link) else { return };
        let Some(peer) = closed.peer else {
            if let Some(address) = &closed.dialled {
                self.book.failed(now_ms, address, rng);
            }
            return;
        };
        if self.link_of(peer) != Some(link) {
            return;
        }
        let other = self.links.iter().find(|(_, other)| other.peer == Some(peer));
        if let Some((&other, _)) = other {
            self.peers.insert(peer, Peer { link: other });
            self.steps.push_back(Step::Use { peer });
        } else {
            self.peers.remove(&peer);
            self.book.lost(now_ms, peer, rng);
            self.steps.push_back(Step::Down { peer, reason });
        }
    }

    /// Closes a connection for a reason of ours.
    pub fn close(&mut self, now_ms: u64, link: LinkId, reason: CloseReason, rng: &mut ChaCha8Rng) {
        if self.links.contains_key(&link) {
            self.steps.push_back(Step::Close { link, reason: reason.clone() });
            self.closed(now_ms, link, reason, rng);
        }
    }

    /// No more dialling; every connection is closed.
    pub fn leave(&mut self, now_ms: u64, rng: &mut ChaCha8Rng) {
        self.book.clear();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.close(now_ms, link, CloseReason::Closing, rng);
        }
    }

    /// Starts again under another replica id: all connections are closed and dialled anew.
    pub fn rejoin(&mut self, now_ms: u64, own: ReplicaId, rng: &mut ChaCha8Rng) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.close(now_ms, link, CloseReason::Rejoin, rng);
        }
        self.own = own;
    }

    // ---- time

    pub fn deadline(&self) -> Option<u64> {
        let links = self.links.values().map(|link| self.link_deadline(link));
        links.chain(self.book.deadline()).min()
    }

    pub fn handle_timeout(&mut self, now_ms: u64, rng: &mut ChaCha8Rng) {
        let due = |(_, link): &(&LinkId, &Link)| self.link_deadline(link) <= now_ms;
        let silent: Vec<(LinkId, bool)> = self
            .links
            .iter()
            .filter(due)
            .map(|(&link, state)| (link, state.peer.is_some()))
            .collect();
        for (link, was_peer) in silent {
            let reason = if was_peer { CloseReason::Silent } else { CloseReason::HandshakeTimeout };
            self.close(now_ms, link, reason, rng);
        }
        while let Some(address) = self.book.next_due(now_ms) {
            self.steps.push_back(Step::Dial(address));
        }
    }

    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn link_deadline(&self, link: &Link) -> u64 {
        match link.peer {
            Some(_) => link.heard_ms + self.loss_timeout_ms,
            None => link.opened_ms + self.handshake_timeout_ms,
        }
    }

    fn close_duplicates(&mut self, now_ms: u64, peer: ReplicaId, rng: &mut ChaCha8Rng) {
        let Some(kept) = self.link_of(peer) else { return };
        let is_sure = |link: &Link| link.dialled.is_some() && link.confirmed;
        if !self.links.get(&kept).is_some_and(is_sure) {
            return;
        }
        let is_other = |(&link, of): &(&LinkId, &Link)| link != kept && of.peer == Some(peer);
        let others: Vec<LinkId> =
            self.links.iter().filter(is_other).map(|(&link, _)| link).collect();
        for link in others {
            self.close(now_ms, link, CloseReason::Duplicate, rng);
        }
    }

    fn dialled_by_us(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.dialled.is_some())
    }
}
