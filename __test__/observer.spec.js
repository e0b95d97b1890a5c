'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const test = require('node:test');

const { Servent, observe } = require('..');
const { openNode, openNodes } = require('./support/nodes');
const { freeAddresses } = require('./support/ports');
const { Fellow } = require('./support/process');
const { until } = require('./support/until');

/** One that is closed at the end of the test. */
async function open(t, address, options) {
  const observer = await observe(address, { timeout: 20_000, ...options });
  t.after(() => observer.close());
  return observer;
}

test('an observer has the state, live, and is no peer', async (t) => {
  const nodes = await openNodes(t, 3);
  const [a, b, c] = nodes;
  a.state.set('x.y', 5);
  await a.state.replicated();
  const joined = [];
  for (const node of nodes) node.on('peer:join', (peer) => joined.push(peer));
  const observer = await open(t, b.address, { name: 'eyes' });
  assert.equal(observer.isConnected, true);
  assert.deepEqual(observer.state.get(), { x: { y: 5 } });
  const seen = [];
  observer.state.watch('x', ({ value }) => seen.push(value));
  c.state.set('x.z', 6);
  await until('it is seen', () => seen.length > 0);
  assert.deepEqual(seen, [6]);
  assert.deepEqual(nodes.map((node) => node.peers.size), [2, 2, 2]);
  assert.deepEqual(nodes.map((node) => node.stats().observers), [0, 1, 0]);
  assert.deepEqual(nodes.map((node) => node.stats().replicas), [2, 2, 2]);
  await observer.close();
  await until('it is gone', () => b.stats().observers === 0);
  assert.deepEqual(joined, []);
});

test('nobody asks an observer, waits for it or tells it who has which worker', async (t) => {
  const [a, b] = await openNodes(t, 2);
  await open(t, a.address);
  assert.deepEqual([...(await a.run('nothing').results()).keys()].sort(), [a.id, b.id].sort());
  a.state.set('k', 1);
  assert.equal(await a.state.replicated(), 1);
});

test('what an observer writes every node gets', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const observer = await open(t, a.address);
  assert.equal(observer.state.increment('n', 2), 2);
  observer.state.set('s', 'text');
  await observer.close();
  await until('it is there', () => {
    assert.deepEqual(b.state.get(), { n: 2, s: 'text' });
    return true;
  });
});

test('there is a report of every node, also of those that the observer is not connected with', async (t) => {
  const first = await openNode(t, { name: 'first', tags: { role: 'web' } });
  const second = await openNode(t, { name: 'second', listen: false, seeds: [first.address] });
  const third = await openNode(t, { name: 'third', seeds: [first.address] });
  first.worker('slow', () => new Promise(() => {}));
  const gathering = first.run('slow', [], { timeout: 60_000, to: first.id });
  const observer = await open(t, third.address, { state: false });
  const reports = await until('all know all', async () => {
    const all = await observer.reports();
    return all.length === 3 && all;
  });
  assert.equal(reports[0].name, 'third');
  const byName = Object.fromEntries(reports.map((report) => [report.name, report]));
  assert.deepEqual(Object.keys(byName).sort(), ['first', 'second', 'third']);
  assert.deepEqual(byName.first.tags, { role: 'web' });
  assert.deepEqual([byName.second.id, byName.second.address], [second.id, null]);
  assert.equal(byName.first.replica, first.state.explain('nothing').replica);
  for (const { stats, ms, code } of reports) {
    assert.equal(stats.connections > 0, true);
    assert.equal(ms >= 0, true);
    assert.equal(code, undefined);
  }
  const [job] = byName.first.jobs;
  assert.deepEqual([job.id, job.name], [gathering.id, 'slow']);
  assert.deepEqual(job.outcomes, [{ node: first.id, status: 'running' }]);
  assert.equal(job.deadlineMs - job.startedMs, 60_000);
  assert.deepEqual(byName.third.jobs, []);
  gathering.cancel();
});

test('of a node that does not answer there is a code', async (t) => {
  const node = await openNode(t, { name: 'here' });
  const fellow = new Fellow(t, { name: 'stopped', seeds: [node.address], lossTimeout: 60_000 });
  await until('it is there', () => node.peers.size === 1);
  await fellow.stop();
  const observer = await open(t, node.address, { state: false, timeout: 500 });
  const reports = await observer.reports();
  assert.deepEqual(reports.map(({ name, stats, code }) => [name, stats === null, code]), [
    ['here', false, undefined],
    ['stopped', true, 'ERR_TIMEOUT'],
  ]);
  await node.close();
  await until('it is lost', () => !observer.isConnected);
  const [lost, ...others] = await observer.reports();
  assert.deepEqual([lost.name, lost.stats, lost.code, others], ['here', null, 'ERR_PEER_LOST', []]);
});

test('an observer has a job run on every node', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const callers = [];
  b.worker('add', function add(x, y) {
    callers.push(this.caller);
    if (y === undefined) throw new RangeError('too little');
    return x + y;
  });
  const observer = await open(t, a.address, { state: false });
  const outcomes = await observer.run('add', [1, 2]);
  const byNode = Object.fromEntries(outcomes.map((outcome) => [outcome.node, outcome]));
  assert.equal(byNode[a.id].status, 'no-worker');
  assert.equal(byNode[a.id].error.code, 'ERR_NO_WORKER');
  assert.deepEqual([byNode[b.id].status, byNode[b.id].value, byNode[b.id].name], ['ok', 3, b.name]);
  assert.equal(callers[0].node, a.id);
  const failed = (await observer.run('add', [1])).find(({ status }) => status === 'error');
  assert.deepEqual([failed.error.name, failed.error.message], ['RangeError', 'too little']);
  await assert.rejects(observer.run('collective-io:report'), { code: 'ERR_INVALID_NAME' });
  await assert.rejects(observer.run(''), { code: 'ERR_INVALID_NAME' });
});

test('when the node goes away it goes on through another one', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  const { address } = a;
  const observer = await open(t, address);
  await observer.reports();
  await a.close();
  await until('it is lost', () => !observer.isConnected);
  b.state.set('k', 1);
  await until('it is connected', () => observer.isConnected, 30_000);
  await until('it goes on', () => observer.state.get('k') === 1);
  const through = async () => (await observer.reports())[0].id;
  const second = await through();
  assert.equal([b.id, c.id].includes(second), true);
  const [left, right] = second === b.id ? [b, c] : [c, b];
  // What it says while it leaves makes nobody forgotten.
  const closed = left.close();
  while (observer.isConnected) await observer.reports();
  await closed;
  await until('it goes on once more', async () => observer.isConnected && await through() === right.id, 30_000);
  assert.equal(right.stats().observers, 1);
  // Where it began comes before those that it was told of.
  const first = await openNode(t, { listen: address, seeds: [right.address] });
  await right.close();
  await until('it is back', async () => observer.isConnected && await through() === first.id, 30_000);
  assert.equal(observer.state.get('k'), 1);
});

test('it goes on through a node that its own knows of no more', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const observer = await open(t, a.address);
  assert.equal((await observer.reports()).length, 2);
  new Servent({ node: a }).removePeer(b.id);
  await until('it is alone', async () => a.peers.size === 0 && (await observer.reports()).length === 1);
  await a.close();
  await until('it goes on', async () => observer.isConnected && (await observer.reports())[0].id === b.id, 30_000);
});

test('it does not go on through a stranger who has the address', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const [given, told] = [a.address, b.address];
  const observer = await open(t, given);
  await observer.reports();
  await Promise.all([a.close(), b.close()]);
  const stranger = await openNode(t, { listen: told });
  stranger.state.set('strange', true);
  await until('it has looked who that is', () => stranger.stats().handshakes > 0);
  await until('it has gone again', () => stranger.stats().observers === 0);
  assert.equal(observer.isConnected, false);
  const successor = await openNode(t, { listen: given });
  await until('it is back where it began', () => observer.isConnected);
  assert.equal((await observer.reports())[0].id, successor.id);
  assert.equal(observer.state.get('strange'), undefined);
});

test('without the state there is none', async (t) => {
  const node = await openNode(t);
  const observer = await open(t, node.address, { state: false });
  assert.throws(() => observer.state, { code: 'ERR_INVALID_STATE' });
});

test('an observer that cannot be connected says why', async (t) => {
  const node = await openNode(t);
  const secret = randomBytes(32);
  const [{ port }] = await freeAddresses(1);
  await assert.rejects(observe({ port }), { code: 'ECONNREFUSED' });
  await assert.rejects(observe(node.address, { cluster: 'another' }), { code: 'ERR_INCOMPATIBLE_PEER' });
  await assert.rejects(observe(node.address, { limits: { depth: 3 } }), { code: 'ERR_INCOMPATIBLE_PEER' });
  await assert.rejects(observe(node.address, { secret }), { code: 'ERR_MODE_MISMATCH' });
  await assert.rejects(observe(node.address, { secret: 'short' }), { code: 'ERR_INVALID_SECRET' });
  await assert.rejects(observe('nowhere'), { code: 'ERR_INVALID_ARGUMENT' });
  await assert.rejects(observe(node.address, { nothing: 1 }), { code: 'ERR_INVALID_ARGUMENT' });
  const signal = AbortSignal.abort('no');
  await assert.rejects(observe(node.address, { signal }), { code: 'ABORT_ERR' });
  assert.equal(node.stats().observers, 0);
});

test('an observer has the same handshake', async (t) => {
  const secret = randomBytes(32);
  const node = await openNode(t, { secret });
  const observer = await open(t, node.address, { secret, state: false });
  assert.equal((await observer.reports()).length, 1);
  await assert.rejects(observe(node.address, { secret: randomBytes(32) }), { code: 'ERR_HANDSHAKE_FAILED' });
  await assert.rejects(observe(node.address, { secret: null }), { code: 'ERR_PEER_LOST', message: /may want a secret/ });
});
