'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { openNode, openNodes } = require('./support/nodes');
const { Workshop } = require('./support/process');
const { until } = require('./support/until');

/** Two nodes in processes of their own, and one here. */
async function withWorkshops(t, name, as, options) {
  const node = await openNode(t);
  const shops = [0, 1].map(() => new Workshop(t, { seeds: [node.address] }));
  const ids = await Promise.all(shops.map(async (shop) => {
    await shop.worker(name, as, options);
    return (await shop.node()).id;
  }));
  await until('all are there', () => ids.every((id) => node.peers.has(id)));
  return { node, shops };
}

test('one node that has the worker is asked, this one too', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  for (const node of [b, c]) node.worker('id', () => node.id);
  const answers = new Set();
  await until('both are asked', async () => {
    answers.add(await a.call('id'));
    return answers.size === 2;
  });
  assert.deepEqual([...answers].sort(), [b.id, c.id].sort());
  a.worker('id', () => a.id);
  await until('the own is asked', async () => (await a.call('id')) === a.id);
  assert.equal(await a.call('id', [], { to: c.id }), c.id);
  assert.notEqual(await a.call('id', [], { to: 'others' }), a.id);
  assert.equal(await a.call('id', [], { to: ({ id }) => id === b.id }), b.id);
});

test('nobody has the worker: rejected, and why', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const none = { code: 'ERR_NO_WORKER', executed: 'no' };
  await assert.rejects(a.call('work'), { ...none, message: "No node has a worker 'work'" });
  b.worker('work', () => 1);
  assert.equal(await a.call('work'), 1);
  for (const to of [a.id, [], '0'.repeat(24), () => false]) {
    await assert.rejects(a.call('work', [], { to }), { ...none, message: "None of the nodes meant has a worker 'work'" });
  }
});

test('of two the less loaded is asked', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  const finish = [];
  b.worker('hold', () => new Promise((resolve) => finish.push(resolve)));
  for (const node of [b, c]) node.worker('id', () => node.id);
  await a.call('id', [], { to: b.id });
  await a.call('id', [], { to: c.id });
  const held = a.call('hold');
  await until('it runs', () => finish.length === 1);
  for (let times = 0; times < 20; times++) assert.equal(await a.call('id'), c.id);
  finish[0]();
  await held;
  await until('it is asked again', async () => (await a.call('id')) === b.id);
});

test('a node whose event loop does not turn is asked last', async (t) => {
  const { node, shops: [shop] } = await withWorkshops(t, 'block', 'block');
  const { id } = await shop.node();
  await node.call('pid', [], { to: id });
  const blocked = node.call('block', [4000], { to: id });
  await until('it is known to be busy', () => node.peers.get(id).busyFor > 0);
  const others = await Promise.all(Array.from({ length: 20 }, () => node.call('pid')));
  assert.deepEqual([...new Set(others)].includes(shop.pid), false);
  assert.equal(await blocked, shop.pid);
});

test('who is busy passes it on, and all that are busy are an error', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  const finish = [];
  for (const node of [b, c]) {
    node.worker('work', () => new Promise((resolve) => finish.push(() => resolve(node.id))), { concurrency: 1, queue: 0 });
  }
  await until('both have told', async () => {
    const outcomes = await a.run('work', [], { to: 'others', timeout: 1 }).results();
    return [...outcomes.values()].every(({ status }) => status === 'busy' || status === 'timeout');
  });
  finish.splice(0).forEach((done) => done());
  const jobs = [a.call('work'), a.call('work')];
  await until('both run', () => finish.length === 2);
  await assert.rejects(a.call('work'), { code: 'ERR_BUSY', executed: 'no' });
  finish.forEach((done) => done());
  assert.deepEqual((await Promise.all(jobs)).sort(), [b.id, c.id].sort());
});

test('who no longer has it passes it on', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  const workers = [b, c].map((node) => node.worker('work', () => node.id));
  for (const { id } of [b, c]) assert.equal(await a.call('work', [], { to: id }), id);
  // Asked before its news can have come.
  workers[0].remove();
  const answers = await Promise.all(Array.from({ length: 20 }, () => a.call('work')));
  assert.deepEqual(new Set(answers), new Set([c.id]));
});

test('what a worker throws is not asked of another', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  let runs = 0;
  for (const node of [b, c]) {
    node.worker('fails', () => {
      runs += 1;
      throw Object.assign(new Error('no'), { code: 'E_NO' });
    }, { idempotent: true });
  }
  await assert.rejects(a.call('fails'), (error) => {
    assert.deepEqual([error.message, error.code, error.executed, error.peer.id], ['no', 'E_NO', 'yes', error.node]);
    return true;
  });
  assert.equal(runs, 1);
});

test('a node that is lost: what is idempotent is asked of another, the rest is an error', async (t) => {
  for (const idempotent of [true, false]) {
    const { node, shops } = await withWorkshops(t, 'work', 'never', { idempotent });
    const answered = node.call('work').then(() => 'answered', ({ code, executed }) => [code, executed]);
    const runs = () => Promise.all(shops.map((shop) => (shop.isRunning ? shop.runs() : 0)));
    await until('one runs it', async () => (await runs()).includes(1));
    const first = (await runs()).indexOf(1);
    await shops[first].kill();
    if (idempotent) {
      await until('the other runs it', () => shops[1 - first].runs());
      await shops[1 - first].kill();
    }
    assert.deepEqual(await answered, ['ERR_PEER_LOST', 'unknown']);
  }
});

test('no call is lost because nodes leave and others join', async (t) => {
  const { node, shops } = await withWorkshops(t, 'work', 'pid');
  const pids = new Set();
  let isOver = false;
  const callers = Array.from({ length: 10 }, async () => {
    while (!isOver) pids.add(await node.call('work'));
  });
  const called = Promise.all(callers);
  const isAsked = (shop) => until('it is asked', () => pids.has(shop.pid));
  await Promise.all(shops.map(isAsked));
  const late = new Workshop(t, { seeds: [node.address] });
  await late.worker('work', 'pid');
  await shops[0].close();
  await isAsked(late);
  await shops[1].close();
  pids.clear();
  await isAsked(late);
  isOver = true;
  await called;
});

test('the timeout and the signal are for all attempts together', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const runs = [];
  b.worker('never', function () {
    runs.push(this);
    return new Promise(() => {});
  });
  const controller = new AbortController();
  const call = a.call('never', [], { signal: controller.signal });
  await until('it runs', () => runs.length === 1);
  controller.abort(new Error('enough'));
  await assert.rejects(call, { name: 'AbortError', code: 'ABORT_ERR', executed: 'unknown', cause: new Error('enough') });
  await until('it was told', () => runs[0].signal.aborted);
  assert.equal(runs[0].signal.reason.message, 'enough');
  const aborted = { code: 'ABORT_ERR', executed: 'no' };
  await assert.rejects(a.call('never', [], { signal: AbortSignal.abort() }), aborted);
  await assert.rejects(a.call('never', [], { timeout: 0 }), { code: 'ERR_TIMEOUT', executed: 'no' });
  assert.equal(runs.length, 1);
  await assert.rejects(a.call('never', [], { timeout: 30 }), { code: 'ERR_TIMEOUT', executed: 'unknown' });
});

test('a call right after joining finds a worker whose node has not told yet', async (t) => {
  const nodes = await openNodes(t, 2);
  for (const node of nodes) node.worker('id', () => node.id);
  for (let times = 0; times < 5; times++) {
    const late = await openNode(t, { seeds: nodes.map(({ address }) => address) });
    assert.ok(nodes.map(({ id }) => id).includes(await late.call('id')));
    await late.close();
  }
});
