'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { inspect } = require('node:util');

const Collective = require('..');
const { Node, Servent, join } = Collective;
const { openAlone } = require('./support/collectives');
const { openNode, openNodes } = require('./support/nodes');
const { gather, listening } = require('./support/servents');
const { until } = require('./support/until');

test('peers come and go', async (t) => {
  const node = await openNode(t);
  const joined = once(node, 'peer:join');
  const other = await join({ seeds: [node.address] });
  const [peer] = await joined;
  assert.equal(peer, node.peers.get(other.id));
  assert.equal(peer.state, 'up');
  const left = once(node, 'peer:leave');
  await other.close();
  assert.deepEqual(await left, [peer, 'ERR_PEER_LEFT']);
  assert.deepEqual([peer.state, peer.busyFor, node.peers.size], ['gone', 0, 0]);
  assert.match(inspect(peer), /^NodePeer \{/);
  assert.match(inspect(node), /^Node \{/);
});

test('the end of a node is told once, and what was there before it', async (t) => {
  const [node] = await openNodes(t, 2);
  const told = [];
  node.on('peer:leave', (_, code) => told.push(code)).on('close', () => told.push('close'));
  await Promise.all([node.close(), node.close(), node.destroy()]);
  assert.deepEqual(told, ['ERR_CLOSED', 'close']);
});

test('await using closes it', { skip: Symbol.asyncDispose === undefined }, async () => {
  const node = await join();
  const closed = once(node, 'close');
  await node[Symbol.asyncDispose]();
  await closed;
});

test('a collective and a servent stand on a node of their own', async (t) => {
  const collective = await openAlone(t);
  const servent = await listening(t);
  for (const { node } of [collective, servent]) assert.ok(node instanceof Node);
  assert.equal(collective.node, collective.node);
  assert.equal(servent.node.id, servent.id);
  assert.equal(servent.node.address, `127.0.0.1:${servent.address().port}`);
  await Promise.all([collective.node.close(), once(collective, 'close')]);
  assert.throws(() => collective.set('a', 1), { code: 'ERR_CLOSED' });
});

test('a collective and a servent stand on a node that is there, and share its mesh', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const ready = [];
  const collectives = [a, b].map((node) => new Collective(null, null, (self) => ready.push(self), { node }));
  const servents = [a, b].map((node) => new Servent({ node }));
  const told = { peers: [], connected: [] };
  servents[0].on('peer', (peer) => told.peers.push(peer.id)).on('listening', () => told.peers.unshift('listening'));
  collectives[0].on('connect', (name) => told.connected.push(name));
  assert.deepEqual(Object.keys(servents[0].peers), [b.id]);
  assert.deepEqual(Object.keys(collectives[0].connections), [b.address]);
  await until('all is told', () => ready.length === 2 && told.peers.length === 2);
  assert.deepEqual(told, { peers: ['listening', b.id], connected: [b.address] });
  assert.equal(a.stats().connections, 1);
  for (const [face, node] of [[collectives[0], a], [servents[0], a], [servents[1], b]]) assert.equal(face.node, node);

  collectives[0].set('shared', { by: 'both' });
  await until('it arrives', () => collectives[1].get('shared')?.by === 'both');
  const [worker] = servents.map((servent) => servent.createWorker('id', async () => servent.id));
  const { data } = await gather(worker.distribute());
  assert.deepEqual(data.sort(), [a.id, b.id].sort());
  assert.throws(() => servents[0].listen(0), { code: 'ERR_INVALID_STATE' });
});

test('guests go and the node stays', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const collective = new Collective(null, null, null, { node: a });
  const servent = new Servent({ node: a });
  const stays = new Servent({ node: a });
  const heard = [];
  for (const one of [servent, stays]) one.on('hello', () => heard.push(one));
  servent.createWorker('who', async () => 'first');
  stays.createWorker('who', async () => 'second');
  const closed = Promise.all([once(collective, 'close'), once(servent, 'close')]);
  const other = new Servent({ node: b });
  const worker = other.createWorker('who');

  // The latest of a name does the work, and every listener hears.
  assert.deepEqual((await gather(worker.distribute())).data, ['second']);
  await until('both listen', () => other.broadcast('hello') === 1 && heard.includes(servent) && heard.includes(stays));

  await stays.close();
  assert.deepEqual((await gather(worker.distribute())).data, ['first']);
  const ends = [servent.close(), servent.close(), collective.close()];
  assert.throws(() => collective.get('a'), { code: 'ERR_CLOSED' });
  assert.throws(() => collective.set('a', 1), { code: 'ERR_CLOSED' });
  assert.throws(() => servent.connect(1), { code: 'ERR_CLOSED' });
  await Promise.all([...ends, closed]);
  await servent.destroy();
  const { data, summary } = await gather(worker.distribute());
  assert.deepEqual([data, summary.failed.map(({ status }) => status)], [[], ['no-worker', 'no-worker']]);
  assert.equal(a.peers.size, 1);
});

test('what a guest has under way ends with it', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const [guest, caller] = [new Servent({ node: a }), new Servent({ node: b })];
  const signals = [];
  guest.createWorker('never', function never() {
    signals.push(this.signal);
  });
  const job = caller.createWorker('never').distribute();
  const asked = gather(job);
  await until('it runs', () => signals.length === 1);
  const own = guest.createWorker('mine', () => {}).distribute();
  const ended = gather(own);
  await guest.destroy();
  assert.equal(signals[0].reason.code, 'ERR_CLOSED');
  assert.deepEqual((await asked).errors.map(({ code }) => code).sort(), ['ERR_CLOSED', 'ERR_NO_WORKER']);
  assert.equal((await ended).summary.reason, 'aborted');
});

test('a node and anything else beside it is too much', async (t) => {
  const node = await openNode(t);
  const bad = { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' };
  assert.throws(() => new Servent({ node, cluster: 'x' }), bad);
  assert.throws(() => new Servent({ node: {} }), bad);
  assert.throws(() => new Servent({ node: null }), bad);
  assert.throws(() => new Collective({ port: 0 }, [], null, { node }), bad);
});
