'use strict';

/* Nodes in processes of their own, which are stopped, killed and started again. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { openNode } = require('./support/nodes');
const { freePorts } = require('./support/ports');
const { Fellow } = require('./support/process');
const { until } = require('./support/until');

const SLOW_MS = 20_000;

/** That many processes, each of which knows all others. */
async function start(t, count, options) {
  const first = new Fellow(t, options);
  const { address } = await first.ask('about');
  const others = Array.from({ length: count - 1 }, () => new Fellow(t, { seeds: [address], ...options }));
  const fellows = [first, ...others];
  await until('all know all', async () => {
    const peers = await Promise.all(fellows.map((fellow) => fellow.ask('peers')));
    return peers.every((list) => list.length === count - 1);
  }, SLOW_MS);
  return fellows;
}

test('a state across processes: counters count, and who has it is known', async (t) => {
  const fellows = await start(t, 4);
  await Promise.all(fellows.map(async (fellow, index) => {
    for (let i = 0; i < 50; i++) await fellow.ask('increment', 'visits', 1);
    await fellow.ask('set', ['by', `${index}`], { index });
    assert.equal(await fellow.ask('replicated'), 3);
  }));
  const states = await Promise.all(fellows.map((fellow) => fellow.ask('get')));
  for (const state of states) {
    assert.deepEqual(state, { visits: 200, by: { 0: { index: 0 }, 1: { index: 1 }, 2: { index: 2 }, 3: { index: 3 } } });
  }
});

test('replicated waits for a process that is stopped, and for others only as asked', async (t) => {
  const [first, second, stopped] = await start(t, 3, { lossTimeout: 60_000 });
  await stopped.stop();
  await first.ask('set', 'a', 1);
  assert.equal(await first.ask('replicated', { peers: 1 }), 1);
  await assert.rejects(first.ask('replicated', { timeout: 200 }), { code: 'ERR_TIMEOUT' });
  await assert.rejects(first.ask('replicated', { peers: 2, timeout: 200 }), { code: 'ERR_TIMEOUT' });
  const waiting = first.ask('replicated');
  stopped.signal('SIGCONT');
  assert.equal(await waiting, 2);
  assert.equal(await stopped.ask('get', 'a'), 1);
  assert.equal(await second.ask('get', 'a'), 1);
});

test('replicated does not wait for who says goodbye', async (t) => {
  const [first, second, leaving] = await start(t, 3, { lossTimeout: 60_000 });
  await first.ask('set', 'a', 1);
  assert.equal(await first.ask('replicated'), 2);
  await leaving.ask('close');
  await first.ask('set', 'a', 2);
  assert.equal(await first.ask('replicated'), 1);
  assert.equal(await second.ask('get', 'a'), 2);
});

test('a copy made of what a watch tells is right, across a process that is lost and back', async (t) => {
  const [port] = await freePorts(1);
  const listen = { port };
  const options = { heartbeatInterval: 200, lossTimeout: 1000 };
  let writer = new Fellow(t, { listen, ...options });
  await writer.ask('setMany', 'tree', 100);
  const watcher = new Fellow(t, { seeds: [`127.0.0.1:${port}`], ...options });
  await watcher.ask('watch', ['tree']);

  writer.signal('SIGSTOP');
  await until('it is lost', async () => (await watcher.ask('peers')).length === 0, SLOW_MS);
  for (let i = 0; i < 30; i++) await watcher.ask('set', ['tree', `n${i}`], { i });
  writer.signal('SIGCONT');
  for (let i = 20; i < 50; i++) await writer.ask('remove', ['tree', `n${i}`]);
  await writer.ask('increment', ['tree', 'sum'], 2);
  await until('they meet again', async () => (await watcher.ask('peers')).length === 1, SLOW_MS);
  await agree(writer, watcher);

  await writer.kill();
  await watcher.ask('increment', ['tree', 'sum'], 3);
  writer = new Fellow(t, { listen, ...options });
  await writer.ask('set', ['tree', 'n99'], 'again');
  await agree(writer, watcher);
  assert.equal((await watcher.ask('copy')).sum, 5);
});

/** Waits until both have one state, and the copy of the watcher is it. */
function agree(writer, watcher) {
  return until('the copy is right', async () => {
    const [there, here, copy] = await Promise.all([writer.ask('get', 'tree'), watcher.ask('get', 'tree'), watcher.ask('copy')]);
    assert.deepEqual(here, there);
    assert.deepEqual(copy, here);
    return true;
  }, SLOW_MS);
}

test('close hands over what a slow peer lacks', async (t) => {
  const node = await openNode(t);
  const leaving = new Fellow(t, { seeds: [node.address] });
  await leaving.ask('about');
  await leaving.ask('setManyAndClose', 'large', 60, 'x'.repeat(500_000));
  assert.equal(node.state.keys('large').length, 60);
});

test('a busy event loop is told, and is no loss', async (t) => {
  const node = await openNode(t, { heartbeatInterval: 200, lossTimeout: 1000 });
  const fellow = new Fellow(t, { seeds: [node.address], heartbeatInterval: 200, lossTimeout: 1000 });
  const { id } = await fellow.ask('about');
  const told = [];
  node.on('peer:busy', (peer) => told.push([peer.id, peer.state, peer.busyFor > 0]));
  node.on('peer:leave', (peer, code) => told.push([peer.id, code]));
  await fellow.ask('block', 4000);
  assert.deepEqual(told, [[id, 'busy', true]]);
  const peer = node.peers.get(id);
  await until('it is busy no longer', () => peer.state === 'up' && peer.busyFor === 0);
});
