//! Who is there: connections, who is behind them, and which addresses to dial.
//!
//! Knows nothing of the document. It is told what happens to connections and tells, through
//! [`Step`]s, what to do about it.
//!
//! Addresses spread by asking: who hears of a replica that it has no link with asks the peer that
//! spoke of it, and dials what it is told. Only what a node says of itself is passed on.
//!
//! Beside that each node tells the others, unasked, by which address it knows a new peer, before
//! anything that the peer has written: so that whoever has its writes can find out that its process has
//! ended.

mod address_book;
mod dismissals;
mod inquiries;
mod occupants;
mod offenders;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;

use super::config::Config;
use super::error::CloseReason;
use super::event::{Address, Profile};
use super::id::{LinkId, NodeId, ReplicaId};
use super::rare::{Gone, Rare};
use super::wire::message::{self, Addresses, Kind, Malformed, Presence, WhoIs, REPLICAS_MAX};
use address_book::AddressBook;
use dismissals::Dismissals;
use inquiries::Inquiries;
use occupants::Occupants;
use offenders::Offenders;

/// How long the address of one that was told of is remembered, should nothing be heard of it.
const TOLD_MS: u64 = 60_000;
/// A peer that becomes busy is told of at most so often.
const BUSY_EVENT_GAP_MS: u64 = 1000;
/// Bytes of an address: a host name, a colon and a port.
const ADDRESS_BYTES_MAX: usize = 255 + 6;

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
        profile: Profile,
        advertised: Option<Address>,
        dialled: Option<Address>,
        observer: bool,
    },
    /// Its application does not answer any more.
    Busy {
        peer: ReplicaId,
    },
    Down {
        peer: ReplicaId,
        reason: CloseReason,
    },
    /// Another process has the address that this one, which is gone, was known by; or none has.
    Dead {
        peer: ReplicaId,
    },
    /// An address that was to be announced led to no peer.
    ConnectFailed {
        address: Address,
        code: String,
    },
    /// An address that was to be announced is this node's own.
    ConnectedToSelf {
        address: Address,
    },
}

/// What a hello says of its sender.
#[derive(Clone, Debug)]
pub struct Introduction {
    pub replica: ReplicaId,
    pub node: NodeId,
    pub profile: Profile,
    pub advertised: Option<Address>,
    pub observer: bool,
}

/// An address that a peer has told: `host:port`, and of a size that one can have.
pub fn told_address(text: &str) -> Option<Address> {
    let (host, port) = Address::split(text)?;
    let sound = port != 0
        && text.len() <= ADDRESS_BYTES_MAX
        && !host.contains(|c: char| c.is_control() || c.is_whitespace());
    sound.then(|| Address::new(text))
}

#[derive(Clone, Debug)]
pub struct Membership {
    own: ReplicaId,
    advertised: Option<Address>,
    busy_ms: u64,
    /// When peers were last told that this node is busy.
    busy_told_ms: Option<u64>,
    links: BTreeMap<LinkId, Link>,
    peers: BTreeMap<ReplicaId, Peer>,
    book: AddressBook,
    learns: bool,
    inquiries: Inquiries,
    dismissals: Dismissals,
    offenders: Offenders,
    /// Counts what the user wants: connections and dismissals.
    wishes: u64,
    handshake_timeout_ms: u64,
    loss_timeout_ms: u64,
    heartbeat_interval_ms: u64,
    /// When peers are to hear from this node, if no digest tells them that it lives.
    beat_due_ms: Option<u64>,
    occupants: Occupants,
    steps: VecDeque<Step>,
    sends: VecDeque<(LinkId, Bytes)>,
    pub rare: Gone,
}

#[derive(Clone, Debug)]
struct Link {
    dialled: Option<Address>,
    opened_ms: u64,
    heard_ms: u64,
    peer: Option<ReplicaId>,
    /// Something came after its hello: it has had ours.
    confirmed: bool,
    /// Its hello was not accepted. It was told why and closes; what it says until then is nothing.
    refused: bool,
    /// Another to the same peer is to take its place: when that is dialled, again if it has to be.
    renew_due_ms: Option<u64>,
    /// What the other side says of itself on this link.
    theirs: Theirs,
    /// What it was told of us on this link.
    ours: Ours,
}

#[derive(Clone, Debug, Default)]
struct Theirs {
    advertised: Option<Address>,
    busy_ms: u64,
    busy_at_ms: u64,
    /// When the application was last told of it.
    busy_event_ms: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Ours {
    advertised: Option<Address>,
    busy: bool,
}

#[derive(Clone, Debug)]
struct Peer {
    /// The link that messages go over; others to the same peer are about to be closed.
    link: LinkId,
    observer: bool,
    bytes_in: u64,
    bytes_out: u64,
}

impl Membership {
    pub fn new(own: ReplicaId, config: &Config) -> Self {
        Membership {
            own,
            advertised: config.advertised.clone(),
            busy_ms: 0,
            busy_told_ms: None,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            book: AddressBook::new(config),
            learns: config.learn_addresses,
            inquiries: Inquiries::new(config.heartbeat_interval_ms),
            dismissals: Dismissals::default(),
            offenders: Offenders::new(config),
            wishes: 0,
            handshake_timeout_ms: config.handshake_timeout_ms,
            loss_timeout_ms: config.loss_timeout_ms,
            heartbeat_interval_ms: config.heartbeat_interval_ms,
            beat_due_ms: (!config.follows).then_some(0),
            occupants: Occupants::default(),
            steps: VecDeque::new(),
            sends: VecDeque::new(),
            rare: Gone::default(),
        }
    }

    // ---- getters

    pub fn peers(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.peers.keys().copied()
    }

    /// Whether a peer looks on. It is no peer to applications.
    pub fn is_observer(&self, peer: ReplicaId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.observer)
    }

    /// Bytes of messages from a peer and to it, since it came.
    pub fn bytes(&self, peer: ReplicaId) -> (u64, u64) {
        self.peers.get(&peer).map_or((0, 0), |peer| (peer.bytes_in, peer.bytes_out))
    }

    /// Counts what went over a link.
    pub fn count(&mut self, link: LinkId, bytes_in: usize, bytes_out: usize) {
        let peer = self.links.get(&link).and_then(|link| link.peer);
        if let Some(peer) = peer.and_then(|peer| self.peers.get_mut(&peer)) {
            peer.bytes_in += bytes_in as u64;
            peer.bytes_out += bytes_out as u64;
        }
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
        let given = |address: &Address| self.book.order_of(address).is_some();
        let shaking_hands =
            |link: &Link| link.peer.is_none() && !link.refused && link.dialled.is_some();
        let waited_for = |link: &Link| shaking_hands(link) && link.dialled.iter().all(given);
        self.book.all_tried() && !self.links.values().any(waited_for)
    }

    /// Where this node says that it listens.
    pub fn advertised(&self) -> Option<&Address> {
        self.advertised.as_ref()
    }

    /// For how long a peer has been busy, by what it said last.
    pub fn busy_ms(&self, now_ms: u64, peer: ReplicaId) -> u64 {
        match self.link_of(peer).and_then(|link| self.links.get(&link)) {
            Some(Link { theirs, .. }) if theirs.busy_ms > 0 => {
                theirs.busy_ms.saturating_add(now_ms.saturating_sub(theirs.busy_at_ms))
            }
            _ => 0,
        }
    }

    // ---- what this node wants

    /// Keeps a connection to an address; `announce`: tells if the first dial leads to no peer.
    pub fn connect(&mut self, now_ms: u64, address: Address, announce: bool) {
        self.wishes += 1;
        self.book.give(now_ms, address, self.wishes, announce);
    }

    /// The address is given no more. What it has led to stays.
    pub fn forget(&mut self, address: &Address) {
        self.book.forget(address);
    }

    /// The addresses given that have led neither to a peer that is there nor to this node itself.
    pub fn unreached(&self) -> impl Iterator<Item = &Address> {
        self.book.unreached()
    }

    /// One of the two applications wants no connection with the other. Addresses given before lead
    /// there no more.
    pub fn dismissed(&mut self, peer: ReplicaId) {
        for link in self.links.values().filter(|link| link.peer == Some(peer)) {
            if let Some(address) = &link.theirs.advertised {
                self.book.remove(address);
            }
        }
        self.book.remove_all(peer);
        self.wishes += 1;
        self.dismissals.add(peer, self.wishes);
    }

    pub fn set_advertised(&mut self, advertised: Option<Address>) {
        self.advertised = advertised;
        self.tell_changes();
    }

    pub fn set_busy_ms(&mut self, busy_ms: u64) {
        self.busy_ms = busy_ms;
        if busy_ms == 0 {
            self.tell_changes();
        }
    }

    /// Another connection is to take the place of this one, if this node dialled it.
    pub fn renew(&mut self, now_ms: u64, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            if link.peer.is_some() && link.dialled.is_some() {
                link.renew_due_ms = Some(now_ms);
            }
        }
    }

    /// The peer has broken a rule. Gives for how long it is kept out from here on.
    pub fn keep_out(&mut self, now_ms: u64, peer: ReplicaId) -> u64 {
        self.offenders.add(now_ms, peer)
    }

    /// For how much longer a replica is kept out, if it is.
    pub fn kept_out_ms(&self, now_ms: u64, replica: ReplicaId) -> Option<u64> {
        self.offenders.remaining_ms(now_ms, replica)
    }

    // ---- what happens

    pub fn opened(&mut self, now_ms: u64, link: LinkId, dialled: Option<Address>) {
        let opened = Link {
            dialled,
            opened_ms: now_ms,
            heard_ms: now_ms,
            peer: None,
            confirmed: false,
            refused: false,
            renew_due_ms: None,
            theirs: Theirs::default(),
            ours: Ours { advertised: self.advertised.clone(), busy: false },
        };
        self.links.insert(link, opened);
        self.steps.push_back(Step::SayHello(link));
    }

    pub fn dial_failed(
        &mut self,
        now_ms: u64,
        address: Address,
        code: String,
        rng: &mut ChaCha8Rng,
    ) {
        if self.book.failed(now_ms, &address, rng) {
            self.steps.push_back(Step::ConnectFailed { address, code });
        }
    }

    /// No process listens at an address of this machine: who was known by it has ended, unless it is
    /// a peer all the same. A node without peers does not conclude it: two that did so of each other
    /// would both begin again, and nobody would have what they had.
    pub fn vacant(&mut self, now_ms: u64, address: &Address) {
        if self.peers.is_empty() {
            return;
        }
        // What was told since the dial may be of a process that came later.
        let told =
            self.occupants.told_at(address, now_ms.saturating_sub(self.handshake_timeout_ms));
        for peer in self.occupants.at(address).into_iter().chain(told) {
            if !self.peers.contains_key(&peer) {
                self.occupants.forget(address, peer);
                self.book.forget_learned(peer);
                self.rare.note(Rare::AddressVacant);
                self.dead(peer);
            }
        }
    }

    /// These have written and are silent. Who was only told of has ended if a peer has its address;
    /// else it is looked for there. `concerns`: those whose address is still of interest.
    pub fn look_for(
        &mut self,
        now_ms: u64,
        missing: &[ReplicaId],
        concerns: impl Fn(ReplicaId) -> bool,
    ) {
        for &replica in missing {
            let Some(address) = self.occupants.told(replica).cloned() else { continue };
            match self.occupants.at(&address).filter(|id| self.peers.contains_key(id)) {
                Some(_) => {
                    self.rare.note(Rare::AddressTaken);
                    self.dead(replica);
                }
                None => self.seek(now_ms, replica, Some(address)),
            }
        }
        let since_ms = now_ms.saturating_sub(TOLD_MS);
        self.occupants.forget_told_before(since_ms, concerns);
    }

    fn dead(&mut self, peer: ReplicaId) {
        self.occupants.forget_told(peer);
        self.steps.push_back(Step::Dead { peer });
    }

    /// The hello is not accepted, and its sender is being told why. Closing at once might take that
    /// from it: what it sends meanwhile would be answered by a reset. Who does not close is closed
    /// when the handshake takes too long.
    pub fn refuse(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.refused = true;
        }
    }

    pub fn is_refused(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.refused)
    }

    /// Something came over a link, and nobody looks at it yet.
    pub fn hears(&mut self, now_ms: u64, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.heard_ms = now_ms;
        }
    }

    pub fn heard(&mut self, now_ms: u64, id: LinkId, rng: &mut ChaCha8Rng) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.heard_ms = now_ms;
        let Some(peer) = link.peer else { return };
        let is_inbound = link.dialled.is_none();
        if !std::mem::replace(&mut link.confirmed, true) {
            // Of two connections that the peer has dialled it says which is to be used by using it.
            let current = self.link_of(peer).filter(|&current| current < id);
            if current.is_some_and(|current| is_inbound && !self.dialled_by_us(current)) {
                self.use_link(peer, id);
                self.steps.push_back(Step::Use { peer });
                self.tell_changes();
            }
            self.close_duplicates(now_ms, peer, rng);
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
        let dialled = opened.dialled.clone();
        if who.replica == self.own {
            if let Some(address) = dialled.filter(|address| self.book.is_own(now_ms, address)) {
                self.steps.push_back(Step::ConnectedToSelf { address });
            }
            self.close(now_ms, link, CloseReason::Oneself, rng);
            return;
        }
        if let (Some(address), Some(dismissed)) = (&dialled, self.dismissals.order_of(who.replica))
        {
            if self.book.order_of(address).is_none_or(|given| given < dismissed) {
                self.book.remove(address);
                self.close(now_ms, link, CloseReason::Dismissed, rng);
                return;
            }
            self.dismissals.lift(who.replica);
        }
        opened.peer = Some(who.replica);
        opened.theirs.advertised = who.advertised.clone();
        for address in dialled.iter().chain(&who.advertised) {
            self.book.leads_to(address, who.replica);
        }
        let is_news = |address: &&Address| !self.occupants.is_known(who.replica, address);
        let news = who.advertised.as_ref().filter(is_news).cloned();
        if let Some(address) = &who.advertised {
            self.note_address(now_ms, address.clone(), who.replica);
        }
        let Some(peer) = self.peers.get(&who.replica) else {
            self.peers.insert(
                who.replica,
                Peer { link, observer: who.observer, bytes_in: 0, bytes_out: 0 },
            );
            self.steps.push_back(Step::Use { peer: who.replica });
            self.share_addresses(link, who.replica, news);
            let Introduction { replica: peer, node, profile, advertised, observer } = who;
            let up = Step::Up { peer, node, profile, advertised, dialled, observer };
            self.steps.push_back(up);
            self.tell_changes();
            return;
        };
        // A second connection to the same peer. Of two dialled by different sides that of the
        // smaller id is kept, of two dialled by one side the older; the dialler in the first case
        // of the kept one, in the second of both, closes the other as soon as the peer has both, lest it
        // lose its only one. Meanwhile either works.
        let current = peer.link;
        let (ours, other_ours) = (dialled.is_some(), self.dialled_by_us(current));
        let is_outdated = self.links.get(&current).is_some_and(|link| link.renew_due_ms.is_some());
        let keep = !(ours && is_outdated)
            && (ours == other_ours || other_ours == (self.own < who.replica));
        let kept = if keep { current } else { link };
        if kept != current {
            self.rare.note(Rare::LinkSwitched);
            self.use_link(who.replica, kept);
            self.steps.push_back(Step::Use { peer: who.replica });
        }
        self.tell_changes();
        self.close_duplicates(now_ms, who.replica, rng);
    }

    /// A message of membership's arrived from a peer.
    pub fn receive(
        &mut self,
        now_ms: u64,
        link: LinkId,
        kind: Kind,
        message: &[u8],
    ) -> Result<(), Malformed> {
        match kind {
            Kind::WhoIs => self.receive_who_is(link, message::decode(message)?),
            Kind::Addresses => self.receive_addresses(now_ms, link, message::decode(message)?),
            Kind::Presence => {
                self.receive_presence(now_ms, link, message::decode(message)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The peer on this link has links with these replicas.
    pub fn links_told(
        &mut self,
        now_ms: u64,
        link: LinkId,
        links: impl Iterator<Item = ReplicaId>,
    ) {
        if !self.learns {
            return;
        }
        let (own, peers, dismissals) = (self.own, &self.peers, &self.dismissals);
        let strange =
            |&id: &ReplicaId| id != own && !peers.contains_key(&id) && !dismissals.contains(id);
        let replicas = self.inquiries.select(now_ms, links.filter(strange));
        if !replicas.is_empty() {
            let frames = message::encode(Kind::WhoIs, &WhoIs { replicas });
            self.sends.push_back((link, frames));
        }
    }

    /// The connection is gone.
    pub fn closed(&mut self, now_ms: u64, link: LinkId, reason: CloseReason, rng: &mut ChaCha8Rng) {
        let Some(closed) = self.links.remove(&link) else { return };
        let Some(peer) = closed.peer else {
            let Some(address) = closed.dialled else { return };
            if reason == CloseReason::Rejoin || closed.refused {
                // It is dialled again by or as another replica; that is the attempt to tell of.
                self.book.postpone(now_ms, &address, rng);
            } else {
                self.dial_failed(now_ms, address, reason.code().into(), rng);
            }
            return;
        };
        if self.link_of(peer) != Some(link) {
            return;
        }
        let other = self.links.iter().find(|(_, other)| other.peer == Some(peer));
        if let Some((&other, _)) = other {
            self.rare.note(Rare::LinkSwitched);
            self.use_link(peer, other);
            self.steps.push_back(Step::Use { peer });
            self.tell_changes();
        } else {
            self.peers.remove(&peer);
            self.book.lost(now_ms, peer, rng);
            if reason == CloseReason::Left {
                self.book.forget_learned(peer);
                self.forget_address(closed.theirs.advertised.as_ref(), peer);
            }
            let is_lost = matches!(reason, CloseReason::Lost(_) | CloseReason::Silent);
            if is_lost && closed.dialled.is_none() {
                self.seek(now_ms, peer, closed.theirs.advertised);
            }
            self.steps.push_back(Step::Down { peer, reason });
        }
    }

    /// Who was lost is dialled though it had dialled this node: it may be that it cannot, and whether
    /// it is still there is good to know.
    fn seek(&mut self, now_ms: u64, peer: ReplicaId, address: Option<Address>) {
        let Some(address) = address.filter(|_| self.learns && !self.dismissals.contains(peer))
        else {
            return;
        };
        self.book.seek(now_ms, address, peer);
    }

    /// Closes a connection for a reason of ours; and others to the same peer, if it is not to be
    /// a peer any more.
    pub fn close(&mut self, now_ms: u64, link: LinkId, reason: CloseReason, rng: &mut ChaCha8Rng) {
        if !self.links.contains_key(&link) {
            return;
        }
        let is_over = matches!(
            reason,
            CloseReason::Left
                | CloseReason::Dismissed
                | CloseReason::BadMessage(_)
                | CloseReason::TooLarge { .. }
        );
        if let (true, Some(peer)) = (is_over, self.peer_on(link)) {
            let same = |(&id, other): (&LinkId, &Link)| {
                (id != link && other.peer == Some(peer)).then_some(id)
            };
            let others: Vec<LinkId> = self.links.iter().filter_map(same).collect();
            for other in others {
                self.close(now_ms, other, CloseReason::Duplicate, rng);
            }
        }
        self.steps.push_back(Step::Close { link, reason: reason.clone() });
        self.closed(now_ms, link, reason, rng);
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
        let renewals = self.links.values().filter_map(|link| link.renew_due_ms);
        let others = self.busy_due_ms().into_iter().chain(self.beat_due_ms);
        links.chain(self.book.deadline()).chain(others).chain(renewals).min()
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
            let (reason, rare) = match was_peer {
                true => (CloseReason::Silent, Rare::PeerSilent),
                false => (CloseReason::HandshakeTimeout, Rare::HandshakeTimeout),
            };
            self.rare.note(rare);
            self.close(now_ms, link, reason, rng);
        }
        let forgotten = self.book.forget_overdue(now_ms);
        self.rare.note_if(forgotten, Rare::AddressForgotten);
        while let Some(address) = self.book.next_due(now_ms) {
            self.steps.push_back(Step::Dial(address));
        }
        for link in self.links.values_mut() {
            if link.renew_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
                link.renew_due_ms = Some(now_ms + self.loss_timeout_ms);
                self.steps.extend(link.dialled.clone().map(Step::Dial));
            }
        }
        let beats = self.beat_due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        if beats {
            self.beat_due_ms = Some(now_ms + self.heartbeat_interval_ms);
        }
        if beats || self.busy_due_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            self.busy_told_ms = Some(now_ms);
            let links: Vec<LinkId> = self.peers.values().map(|peer| peer.link).collect();
            links.into_iter().for_each(|link| self.tell_presence(link));
        }
    }

    // ---- output

    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// The next frames for a link.
    pub fn poll_send(&mut self) -> Option<(LinkId, Bytes)> {
        loop {
            let (link, frames) = self.sends.pop_front()?;
            if self.links.contains_key(&link) {
                return Some((link, frames));
            }
        }
    }

    // ---- inside

    fn receive_who_is(&mut self, link: LinkId, asked: WhoIs) -> Result<(), Malformed> {
        if asked.replicas.len() > REPLICAS_MAX {
            return Err(Malformed);
        }
        let known = asked.replicas.iter().filter_map(|&replica| {
            let link = self.links.get(&self.link_of(replica)?)?;
            Some((replica, &*link.theirs.advertised.as_ref()?.0))
        });
        let answer = Addresses { known: known.collect() };
        if !answer.known.is_empty() {
            let frames = message::encode(Kind::Addresses, &answer);
            self.sends.push_back((link, frames));
        }
        Ok(())
    }

    fn receive_addresses(
        &mut self,
        now_ms: u64,
        link: LinkId,
        told: Addresses<'_>,
    ) -> Result<(), Malformed> {
        let Some(from) = self.peer_on(link) else { return Ok(()) };
        if told.known.len() > REPLICAS_MAX {
            return Err(Malformed);
        }
        let mut news = Vec::new();
        for (replica, text) in told.known {
            let Some(address) = told_address(text) else { continue };
            if replica == self.own || self.peers.contains_key(&replica) {
                continue;
            }
            if self.occupants.tell(now_ms, replica, &address) {
                news.push((replica, address.clone()));
            }
            if self.dismissals.contains(replica) || !self.inquiries.is_asked(replica) {
                continue;
            }
            if self.advertised.as_ref() != Some(&address) {
                // Of two that can dial each other one waits: most often it is dialled by then.
                let first = self.advertised.is_none() || self.own < replica;
                let due_ms = if first { now_ms } else { now_ms + self.heartbeat_interval_ms };
                self.rare.note(Rare::AddressLearned);
                self.book.learn(now_ms, due_ms, address, replica);
            }
        }
        self.pass_on(&news, |peer| peer != from);
        Ok(())
    }

    fn receive_presence(&mut self, now_ms: u64, link: LinkId, told: Presence<'_>) {
        let Some(peer) = self.peer_on(link) else { return };
        let begins = told.busy_ms > 0 && self.busy_ms(now_ms, peer) == 0;
        let in_use = self.link_of(peer) == Some(link);
        let Some(link) = self.links.get_mut(&link) else { return };
        let mut busy_event_ms = link.theirs.busy_event_ms;
        let due = busy_event_ms.is_none_or(|at_ms| now_ms >= at_ms + BUSY_EVENT_GAP_MS);
        if in_use && begins && due {
            busy_event_ms = Some(now_ms);
            self.steps.push_back(Step::Busy { peer });
        }
        let advertised = told.advertised.and_then(told_address);
        let theirs = Theirs {
            advertised: advertised.clone(),
            busy_ms: told.busy_ms,
            busy_at_ms: now_ms,
            busy_event_ms,
        };
        let before = std::mem::replace(&mut link.theirs, theirs);
        if before.advertised == advertised {
            return;
        }
        // Who comes to be there is another, but this one lives.
        self.forget_address(before.advertised.as_ref(), peer);
        if let Some(address) = advertised {
            self.book.leads_to(&address, peer);
            let news = [(peer, address.clone())];
            self.note_address(now_ms, address, peer);
            self.pass_on(&news, |other| other != peer);
        }
    }

    /// Remembers who is at an address. Who was there before is gone for good, at once if it is no peer.
    fn note_address(&mut self, now_ms: u64, address: Address, replica: ReplicaId) {
        let (peers, book) = (&self.peers, &self.book);
        // Of who was lost and is dialled it may yet be found that nobody is there any more.
        let keep = |at: &Address, id: ReplicaId| peers.contains_key(&id) || book.knows(at);
        let before = self.occupants.meet(address.clone(), replica, keep);
        match before {
            // Two have one address, or its link has yet to break.
            Some(before) if self.peers.contains_key(&before) => {
                self.occupants.tell(now_ms, before, &address);
            }
            Some(before) => {
                self.rare.note(Rare::AddressTaken);
                self.dead(before);
            }
            None => {}
        }
    }

    fn forget_address(&mut self, address: Option<&Address>, replica: ReplicaId) {
        if let Some(address) = address {
            self.occupants.forget(address, replica);
        }
    }

    /// Tells a new peer where all are that are known, and the others where the new one is, if that is
    /// news.
    fn share_addresses(&mut self, link: LinkId, new: ReplicaId, news: Option<Address>) {
        let others = self.occupants.all().filter(|&(replica, _)| replica != new);
        let known: Vec<(ReplicaId, &str)> = others.map(|(replica, at)| (replica, &*at.0)).collect();
        for known in known.chunks(REPLICAS_MAX) {
            let frames = message::encode(Kind::Addresses, &Addresses { known: known.to_vec() });
            self.sends.push_back((link, frames));
        }
        if let Some(address) = news {
            self.pass_on(&[(new, address)], |peer| peer != new);
        }
    }

    fn pass_on(&mut self, news: &[(ReplicaId, Address)], to: impl Fn(ReplicaId) -> bool) {
        if news.is_empty() {
            return;
        }
        let known = news.iter().map(|(replica, address)| (*replica, &*address.0)).collect();
        let frames = message::encode(Kind::Addresses, &Addresses { known });
        let to = self.peers.iter().filter(|&(&id, _)| to(id));
        self.sends.extend(to.map(|(_, peer)| (peer.link, frames.clone())));
    }

    /// Tells peers what has changed since they were told.
    fn tell_changes(&mut self) {
        let changed = |link: &Link| {
            link.ours.advertised != self.advertised || (link.ours.busy && self.busy_ms == 0)
        };
        let in_use = self.peers.values().map(|peer| peer.link);
        let links: Vec<LinkId> =
            in_use.filter(|link| self.links.get(link).is_some_and(changed)).collect();
        links.into_iter().for_each(|link| self.tell_presence(link));
    }

    fn tell_presence(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ours = Ours { advertised: self.advertised.clone(), busy: self.busy_ms > 0 };
        let advertised = self.advertised.as_ref().map(|address| &*address.0);
        let presence = Presence { advertised, busy_ms: self.busy_ms };
        self.sends.push_back((id, message::encode(Kind::Presence, &presence)));
    }

    /// When peers are to be told that this node is busy.
    fn busy_due_ms(&self) -> Option<u64> {
        if self.busy_ms == 0 || self.peers.is_empty() {
            return None;
        }
        Some(self.busy_told_ms.map_or(0, |told_ms| told_ms + self.heartbeat_interval_ms))
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
            self.rare.note(Rare::DuplicateClosed);
            self.close(now_ms, link, CloseReason::Duplicate, rng);
        }
    }

    fn use_link(&mut self, peer: ReplicaId, link: LinkId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.link = link;
        }
    }

    fn dialled_by_us(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.dialled.is_some())
    }
}
