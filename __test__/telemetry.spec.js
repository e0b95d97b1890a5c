'use strict';

/* What programs hear of nodes: through channels, and as lines of a log. */

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { channel, subscribe, tracingChannel, unsubscribe } = require('node:diagnostics_channel');
const test = require('node:test');

const { Servent, join } = require('..');
const { openNode, openNodes } = require('./support/nodes');
const { until } = require('./support/until');

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Listens to a channel until the test ends; gives what it has heard. */
function hear(t, name) {
  const heard = [];
  const listener = (message) => heard.push({ ...message });
  subscribe(name, listener);
  t.after(() => unsubscribe(name, listener));
  return heard;
}

/** The same of a tracing channel: what came, in order, with the part of it. */
function hearTracing(t, name) {
  const heard = [];
  const parts = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];
  const listeners = Object.fromEntries(parts.map((part) => [part, (message) => heard.push({ part, ...message })]));
  const tracing = tracingChannel(name);
  tracing.subscribe(listeners);
  t.after(() => tracing.unsubscribe(listeners));
  return heard;
}

test('who comes and goes is told', async (t) => {
  const nodes = hear(t, 'collective-io:node');
  const peers = hear(t, 'collective-io:peer');
  const [a, b] = await openNodes(t, 2);
  await b.close();
  await until('it is gone', () => a.peers.size === 0);
  const own = nodes.filter(({ node }) => node === b.id).map(({ type }) => type);
  assert.deepEqual(own.sort(), ['closed', 'listening', 'ready']);
  const told = peers.filter(({ node }) => node === a.id);
  assert.deepEqual(told.map(({ type, peer, name, code }) => [type, peer, name, code]), [
    ['connect', b.id, b.name, undefined],
    ['disconnect', b.id, b.name, 'ERR_PEER_LEFT'],
  ]);
});

test('jobs, their outcomes and functions are told', async (t) => {
  const [a, b] = await openNodes(t, 2);
  b.worker('w', async (x) => {
    if (x === undefined) throw new RangeError('no');
    return x;
  });
  const jobs = hearTracing(t, 'collective-io:job');
  const runs = hearTracing(t, 'collective-io:run');
  const outcomes = hear(t, 'collective-io:outcome');
  const gathering = a.run('w', [1]);
  await gathering.results();
  assert.deepEqual(jobs.map(({ part }) => part), ['start', 'end', 'asyncStart', 'asyncEnd']);
  const { id, node, kind, name, asked, outcomes: counted, end, ms } = jobs.at(-1);
  assert.deepEqual({ id, node, kind, name, asked, counted, end },
    { id: gathering.id, node: a.id, kind: 'job', name: 'w', asked: 2, counted: { 'ok': 1, 'no-worker': 1 }, end: 'complete' });
  assert.equal(ms > 0, true);
  assert.deepEqual(outcomes.map(({ node: at, status }) => [at, status]).sort(), [[a.id, 'no-worker'], [b.id, 'ok']].sort());
  assert.deepEqual(runs.map(({ part }) => part), ['start', 'end', 'asyncStart', 'asyncEnd']);
  assert.deepEqual([runs.at(-1).id, runs.at(-1).caller, runs.at(-1).status], [gathering.id, a.id, 'ok']);

  runs.length = 0;
  await assert.rejects(a.call('w'), { name: 'RangeError', message: 'no' });
  assert.deepEqual(runs.map(({ part }) => part), ['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
  assert.deepEqual([runs.at(-1).status, runs.at(-1).error.message], ['error', 'no']);
  assert.equal(outcomes.at(-1).error.name, 'RangeError');
});

test('a job that cannot be asked, or is stopped, is told as well', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const runs = hearTracing(t, 'collective-io:run');
  const jobs = hearTracing(t, 'collective-io:job');
  b.worker('slow', () => new Promise(() => {}));
  const gathering = a.run('slow');
  await until('it runs', () => runs.length === 2);
  gathering.cancel();
  await until('it is stopped', () => runs.at(-1).part === 'asyncEnd');
  assert.equal(runs.at(-1).status, 'stopped');
  assert.equal(jobs.at(-1).end, 'aborted');
  jobs.length = 0;
  assert.throws(() => a.run('w', ['x'.repeat(2 << 20)]), { code: 'ERR_VALUE_TOO_LARGE' });
  assert.deepEqual(jobs.map(({ part }) => part), ['start', 'error', 'end']);
  assert.equal(jobs.at(-1).error.code, 'ERR_VALUE_TOO_LARGE');
});

test('who hears of a start gives the trace that goes along, and what runs has what it has bound', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const store = new AsyncLocalStorage();
  const { start } = tracingChannel('collective-io:run');
  start.bindStore(store, ({ traceparent }) => ({ parent: traceparent }));
  t.after(() => start.unbindStore(store));
  const begin = (context) => Object.assign(context, { traceparent: TRACE });
  subscribe('tracing:collective-io:job:start', begin);
  t.after(() => unsubscribe('tracing:collective-io:job:start', begin));
  b.worker('w', async function w() {
    await null;
    return [this.traceparent, store.getStore().parent];
  });
  assert.deepEqual(await a.call('w'), [TRACE, TRACE]);
});

test('calls and exposed functions of a servent are told', async (t) => {
  const jobs = hearTracing(t, 'collective-io:job');
  const runs = hearTracing(t, 'collective-io:run');
  const [one, two] = [new Servent(), new Servent()];
  t.after(() => Promise.all([one.close(), two.close()]));
  await new Promise((resolve) => one.listen(0, resolve));
  one.expose('double', (x) => 2 * x);
  two.connect(one.address().port);
  const peer = await until('it is there', () => Object.values(two.peers)[0]);
  assert.equal(await peer.invoke('double', [4]), 8);
  assert.deepEqual([jobs.at(-1).kind, jobs.at(-1).name], ['call', 'double']);
  assert.deepEqual([runs.at(-1).kind, runs.at(-1).status], ['call', 'ok']);
});

test('without subscribers nothing is published', async (t) => {
  const [a, b] = await openNodes(t, 2);
  b.worker('w', (x) => x);
  const names = ['node', 'peer', 'catch-up', 'warning', 'outcome'].map((name) => `collective-io:${name}`);
  const traced = ['job', 'run'].flatMap((name) => ['start', 'end', 'asyncStart', 'asyncEnd', 'error']
    .map((part) => `tracing:collective-io:${name}:${part}`));
  const channels = [...names, ...traced].map((name) => channel(name));
  let published = 0;
  for (const each of channels) {
    const { publish } = each;
    each.publish = () => (published += 1);
    t.after(() => (each.publish = publish));
  }
  await a.call('w', [1]);
  await b.close();
  await until('it is gone', () => a.peers.size === 0);
  assert.equal(published, 0);
});

test('a log has what happens, and what it throws harms nobody', async (t) => {
  const entries = [];
  const a = await openNode(t, { name: 'a', log: (entry) => entries.push(entry) });
  const { address } = a;
  const b = await openNode(t, { name: 'b', seeds: [address] });
  await until('they know each other', () => a.peers.size === 1);
  await b.close();
  await until('it is gone', () => a.peers.size === 0);
  await a.close();
  assert.deepEqual(entries.map(({ level, message }) => [level, message]), [
    ['info', `listens on ${address}`],
    ['info', 'is ready'],
    ['info', 'is connected with b'],
    ['info', 'has lost b: ERR_PEER_LEFT'],
    ['info', 'is closed'],
  ]);
  assert.equal(entries.every(({ node, id }) => node === 'a' && id === a.id), true);
  assert.equal(entries[2].peer, b.id);
  await assert.rejects(join({ log: 'yes' }), { code: 'ERR_INVALID_ARGUMENT' });
});
