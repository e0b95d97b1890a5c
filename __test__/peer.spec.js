'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { inspect } = require('node:util');

const { listening, meet, openServents } = require('./support/servents');
const { until } = require('./support/until');

/** Two servents that know each other, and the peer that stands for the second at the first. */
async function pair(t) {
  const [first, second] = await openServents(t, 2);
  return { first, second, peer: first.peers[second.id] };
}

test('emit fires the event on the other side, with the peer that sent it', async (t) => {
  const { first, second, peer } = await pair(t);
  const heard = once(second, 'custom');
  assert.equal(peer.emit('custom', 1, [2]), true);
  assert.deepEqual(await heard, [second.peers[first.id], 1, [2]]);
});

test('an answer from the listener', async (t) => {
  const { first, second, peer } = await pair(t);
  second.on('ping', (from, n) => from.emit('pong', n + 1));
  const heard = once(first, 'pong');
  peer.emit('ping', 1);
  assert.deepEqual(await heard, [peer, 2]);
});

test('emit is not for listeners of the peer itself', async (t) => {
  const { first, second, peer } = await pair(t);
  peer.on('custom', () => assert.fail('it is for the other side'));
  const heard = once(second, 'custom');
  peer.emit('custom');
  assert.equal((await heard)[0].id, first.id);

  const added = [];
  peer.on('newListener', (name) => added.push(name));
  peer.on('end', () => {});
  assert.deepEqual(added, ['end']);
});

test('send', async (t) => {
  const { second, peer } = await pair(t);
  const heard = once(second, 'custom');
  assert.equal(peer.send({ type: 'event', name: 'custom', args: [1, [2]] }), true);
  assert.deepEqual((await heard).slice(1), [1, [2]]);
  const bare = once(second, 'bare');
  assert.equal(peer.send({ type: 'event', name: 'bare' }), true);
  assert.equal((await bare).length, 1);

  const called = [];
  second.expose('note', (...params) => called.push(params));
  assert.equal(peer.send({ type: 'rpc', method: 'note', params: [1] }), true);
  assert.equal(peer.send({ type: 'rpc', data: { id: 'x', method: 'note' } }), true);
  await until('both were called', () => called.length === 2);
  assert.deepEqual(called, [[1], []]);

  for (const message of [undefined, null, 5, 'event', {}, { type: 'discovery' }, { type: 'newPeer' }, { type: 'destroy' }, { type: 'event', name: 'x', args: 5 }]) {
    assert.throws(() => peer.send(message), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
  assert.throws(() => peer.send({ type: 'event', name: 'error' }), { code: 'ERR_RESERVED_EVENT' });
  assert.throws(() => peer.send({ type: 'event' }), { code: 'ERR_INVALID_NAME' });
  assert.throws(() => peer.send({ type: 'rpc', params: [] }), { code: 32600 });
});

test('destroy ends the connection on both sides', async (t) => {
  const { first, second, peer } = await pair(t);
  const other = second.peers[first.id];
  const ends = [once(peer, 'end'), once(other, 'end')];
  assert.equal(peer.destroy(), true);
  assert.equal(peer.destroyed, true);
  assert.equal(peer.destroy(), false);
  assert.deepEqual(Object.keys(first.peers), []);
  await Promise.all(ends);
  assert.equal(other.destroyed, true);
  assert.deepEqual(Object.keys(second.peers), []);
  assert.equal(peer.busyFor, 0);
  await until('nothing is sent any more', () => peer.emit('custom') === false);
  assert.equal(peer.send({ type: 'event', name: 'custom' }), false);
  await assert.rejects(peer.invoke('list'), { code: 'ERR_PEER_LOST', executed: 'no' });
});

test('a peer that returns is the same peer', async (t) => {
  const { first, second, peer } = await pair(t);
  peer.expose('mine', () => 5);
  let ends = 0;
  peer.on('end', () => ends++);
  peer.destroy();
  await until('it is gone', () => ends === 1 && Object.keys(second.peers).length === 0);

  second.connect(first.address().port);
  await meet([first, second]);
  assert.equal(first.peers[second.id], peer);
  assert.equal(peer.destroyed, false);
  assert.equal(await second.peers[first.id].invoke('mine'), 5);
  assert.equal(peer.emit('custom'), true);
});

test('another process on the same port is another peer', async (t) => {
  const { first, second, peer } = await pair(t);
  const { port } = second.address();
  await second.close();
  await until('it is gone', () => peer.destroyed);
  const reborn = await listening(t);
  reborn.connect(first.address().port);
  await meet([first, reborn]);
  assert.notEqual(first.peers[reborn.id], peer);
  assert.notEqual(reborn.address().port, port);
});

test('how it looks', async (t) => {
  const { second, peer } = await pair(t);
  assert.equal(`${peer}`, `[Peer: ${second.id}]`);
  assert.equal(inspect(peer), `[Peer: ${second.id}]`);
  const { id, host, port } = peer;
  assert.deepEqual(JSON.parse(JSON.stringify(peer)), { id, host, port, destroyed: false });
});
