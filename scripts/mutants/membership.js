'use strict';

/** Defects of who is there, which connections are kept and which addresses are dialled. */

const MEMBERSHIP = 'src/engine/membership/mod.rs';
const BOOK = 'src/engine/membership/address_book.rs';
const ENGINE = 'src/engine/mod.rs';
const HELLO = 'src/engine/hello.rs';

const APPLICATION = 'simulated applications dismiss nobody and say nothing of being busy';

module.exports = [
  // ---- connections
  {
    name: 'duplicate-closed-unconfirmed',
    file: MEMBERSHIP,
    find: 'let is_sure = |link: &Link| link.dialled.is_some() && link.confirmed;',
    replace: 'let is_sure = |link: &Link| link.dialled.is_some();',
    breaks: 'a peer stays',
  },
  {
    name: 'each-keeps-its-own',
    file: MEMBERSHIP,
    find: '&& (ours == other_ours || other_ours == (self.own < who.replica));',
    replace: '&& (ours == other_ours || other_ours);',
    breaks: 'a peer stays',
  },
  {
    name: 'duplicates-stay',
    file: MEMBERSHIP,
    find: 'let is_other = |(&link, of): &(&LinkId, &Link)| link != kept && of.peer == Some(peer);',
    replace: 'let is_other = |(&link, of): &(&LinkId, &Link)| link != kept && of.peer == Some(peer) && false;',
    breaks: 'one connection a peer',
    test: '--test addresses --test convergence --test jobs',
    because: 'two connections are as good as one',
  },
  {
    name: 'second-link-not-used',
    file: MEMBERSHIP,
    find: 'let other = self.links.iter().find(|(_, other)| other.peer == Some(peer));',
    replace: 'let other = self.links.iter().find(|(_, other)| other.peer == Some(peer) && false);',
    breaks: 'a peer stays',
  },
  {
    name: 'silence-not-noticed',
    file: MEMBERSHIP,
    find: 'Some(_) => link.heard_ms + self.loss_timeout_ms,',
    replace: 'Some(_) => link.heard_ms.saturating_add(self.loss_timeout_ms << 30),',
    breaks: 'a loss is noticed',
  },
  {
    name: 'handshake-without-end',
    file: MEMBERSHIP,
    find: 'None => link.opened_ms + self.handshake_timeout_ms,',
    replace: 'None => link.opened_ms.saturating_add(self.handshake_timeout_ms << 30),',
    breaks: 'a loss is noticed',
  },
  {
    name: 'link-to-itself-stays',
    file: MEMBERSHIP,
    find: '            self.close(now_ms, link, CloseReason::Oneself, rng);\n            return;',
    replace: '            return;',
    breaks: 'oneself is no peer',
    test: '--test addresses',
    because: 'it does no harm but to take a connection',
  },
  {
    name: 'peer-of-itself',
    file: MEMBERSHIP,
    find: 'if who.replica == self.own {',
    replace: 'if who.replica == self.own && dialled.is_none() {',
    breaks: 'oneself is no peer',
  },
  {
    name: 'refused-link-goes-on',
    file: MEMBERSHIP,
    find: 'link.refused = true;',
    replace: 'link.refused = false;',
    breaks: 'rule 9',
  },

  // ---- addresses
  {
    name: 'lost-peer-not-dialled-again',
    file: BOOK,
    find: 'entry.state = State::Due(now_ms + entry.pause(min, max, rng));\n                entry.keep_until(until_ms);',
    replace: 'let pause = entry.pause(min, max, rng);\n                entry.keep_until(until_ms + pause);',
    breaks: 'rule 9',
  },
  {
    name: 'failed-dial-not-repeated',
    file: BOOK,
    find: 'if entry.state == State::Dialling {',
    replace: 'if entry.state == State::Dialling && false {',
    breaks: 'rule 9',
  },
  {
    name: 'given-address-forgotten',
    file: BOOK,
    find: 'self.entries.retain(|_, entry| entry.until_ms().is_none_or(|until_ms| until_ms > now_ms));',
    replace: 'self.entries.retain(|_, entry| entry.failures < 8 && entry.until_ms().is_none_or(|at| at > now_ms));',
    breaks: 'rule 9',
  },
  {
    name: 'who-is-not-answered',
    file: MEMBERSHIP,
    find: 'if !answer.known.is_empty() {',
    replace: 'if !answer.known.is_empty() && false {',
    breaks: 'addresses spread',
  },
  {
    name: 'links-not-asked-about',
    file: MEMBERSHIP,
    find: 'let replicas = self.inquiries.select(now_ms, links.filter(strange));',
    replace: 'let replicas = self.inquiries.select(now_ms, links.filter(strange).skip(1));',
    breaks: 'addresses spread',
  },
  {
    name: 'learned-address-not-dialled',
    file: MEMBERSHIP,
    find: 'self.book.learn(now_ms, due_ms, address, replica);',
    replace: 'let _ = (now_ms, due_ms);',
    breaks: 'addresses spread',
  },
  {
    name: 'only-the-lower-dials',
    file: MEMBERSHIP,
    find: 'let due_ms = if first { now_ms } else { now_ms + self.heartbeat_interval_ms };',
    replace: 'let due_ms = if first { now_ms } else { now_ms.saturating_add(1 << 40) };',
    breaks: 'addresses spread',
  },

  // ---- who is dead
  {
    name: 'goodbye-not-noted',
    file: ENGINE,
    find: `                self.replication.peer_dead(now, peer);
                Err(CloseReason::Left)`,
    replace: '                Err(CloseReason::Left)',
    breaks: 'rule 8',
    test: '--test edges --test convergence --test addresses',
    because: 'that nobody hears it any more tells the same, later',
  },
  {
    name: 'successor-not-noted',
    file: MEMBERSHIP,
    find: `                self.rare.note(Rare::AddressTaken);
                self.dead(before);`,
    replace: '                let _ = before;',
    breaks: 'rule 8',
    test: '--test edges --test convergence --test addresses',
    because: 'that nobody hears it any more tells the same, later',
  },
  {
    name: 'who-is-replaced-while-linked-is-forgotten',
    file: MEMBERSHIP,
    find: 'self.occupants.tell(now_ms, before, &address);',
    replace: 'let _ = now_ms;',
    breaks: 'rule 8',
    faults: 'storm',
  },
  {
    name: 'addresses-not-shared',
    file: MEMBERSHIP,
    find: '            self.share_addresses(link, who.replica, news);\n',
    replace: '            let _ = news;\n',
    breaks: 'rule 8',
    test: '--test edges',
    because: 'folds are rare, and what goes wrong with them shows late',
  },
  {
    name: 'second-at-an-address-kills-the-first',
    file: MEMBERSHIP,
    find: 'Some(before) if self.peers.contains_key(&before) => {',
    replace: 'Some(before) if self.peers.contains_key(&before) && false => {',
    breaks: 'rule 9',
    test: '--test together',
    because: 'it is folded only when it is silent as well, and then it would be anyway',
  },

  // ---- what applications want
  {
    name: 'other-limits-accepted',
    file: HELLO,
    find: 'if hello.limits != self.limits() && self.config.follows && !observer {',
    replace: 'if hello.limits != self.limits() && self.config.follows && false {',
    breaks: 'rule 10',
    test: '--test convergence',
    because: 'simulated nodes have the same limits',
  },
  {
    name: 'dismissed-peer-dialled-again',
    file: MEMBERSHIP,
    find: '        self.book.remove_all(peer);\n',
    replace: '',
    breaks: 'dismissal',
    test: '--test addresses',
    because: APPLICATION,
  },
  {
    name: 'dismissal-never-lifted',
    file: MEMBERSHIP,
    find: 'if self.book.order_of(address).is_none_or(|given| given < dismissed) {',
    replace: 'if self.book.order_of(address).is_none_or(|given| given < dismissed || true) {',
    breaks: 'dismissal',
    test: '--test addresses',
    because: APPLICATION,
  },
  {
    name: 'end-of-being-busy-not-told',
    file: MEMBERSHIP,
    find: `        if busy_ms == 0 {
            self.tell_changes();
        }`,
    replace: '',
    breaks: 'busy peers',
    test: '--test addresses',
    because: APPLICATION,
  },
];
