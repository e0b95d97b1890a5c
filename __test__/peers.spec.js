'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { kInside } = require('../lib/inside');
const { Peers } = require('../lib/peers');

/** Peers of a servent that is not there. */
function fakePeers() {
  const forgotten = [];
  const node = { id: 'own', dismiss() {}, observer() {} };
  const servent = { id: 'OWN', [kInside]: { functions: { forget: (map) => forgotten.push(map) }, node } };
  return { peers: new Peers(servent, node), node, forgotten };
}

const event = (number, more) => ({ peer: `r${number}`, node: `N${number}`, address: null, advertised: null, ...more });

test('come, go, come back', () => {
  const { peers } = fakePeers();
  const peer = peers.join(event(1, { advertised: '[::1]:80', address: 'localhost:80' }));
  assert.deepEqual([peer.id, peer.host, peer.port], ['N1', '::1', 80]);
  assert.deepEqual(peers.live, { N1: peer });
  assert.deepEqual(peers.origin('r1'), { node: 'N1', peer });
  assert.equal(peers.at('localhost:80'), peer);
  assert.equal(peers.at('[::1]:80'), peer);
  assert.equal(peers.at('localhost:81'), undefined);
  assert.equal(peers.join(event(1)), undefined);

  assert.equal(peers.leave('r1'), peer);
  assert.equal(peers.leave('r1'), undefined);
  assert.equal(peer.destroyed, true);
  assert.deepEqual(peers.live, {});
  // What it has sent before may still be told.
  assert.equal(peers.origin('r1').peer, peer);

  assert.equal(peers.join(event(1)), peer);
  assert.equal(peer.destroyed, false);
  assert.deepEqual([peer.host, peer.port], ['::1', 80]);
});

test('a peer that has joined again under another name', () => {
  const { peers } = fakePeers();
  const peer = peers.join(event(1));
  assert.equal(peers.join(event(1, { peer: 'r1b' })), undefined);
  assert.equal(peers.leave('r1'), undefined);
  assert.equal(peer.destroyed, false);
  assert.equal(peers.origin('r1').peer, peer);
  assert.equal(peers.leave('r1b'), peer);
});

test('this node, under another name too', () => {
  const { peers, node } = fakePeers();
  assert.deepEqual(peers.origin('own'), { node: 'OWN', peer: undefined });
  node.id = 'own2';
  assert.deepEqual(peers.origin('own2'), { node: 'OWN', peer: undefined });
  assert.deepEqual(peers.origin('own'), { node: 'OWN', peer: undefined });
  assert.deepEqual(peers.origin('nobody'), { node: undefined, peer: undefined });
});

test('of those that are gone the longest gone are forgotten', () => {
  const { peers, forgotten } = fakePeers();
  const first = peers.join(event(0));
  for (let number = 1; number <= 1024; number++) peers.join(event(number));
  peers.leave('r0');
  for (let number = 1; number <= 1023; number++) peers.leave(`r${number}`);
  assert.equal(forgotten.length, 0);
  assert.equal(peers.join(event(0)), first);
  peers.leave('r0');
  peers.leave('r1024');
  assert.equal(forgotten.length, 1);
  assert.equal(peers.origin('r1').peer, undefined);
  assert.equal(peers.origin('r0').peer, first);
});
