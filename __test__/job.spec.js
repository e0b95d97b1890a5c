'use strict';

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const EventEmitter = require('node:events');
const { once } = require('node:events');
const test = require('node:test');
const { inspect } = require('node:util');

const { Job } = require('..');
const { gather, listening, openServent, openServents } = require('./support/servents');
const { until } = require('./support/until');

const echo = (value, callback) => callback(null, value);

test('members', async (t) => {
  const servent = openServent(t);
  const worker = servent.createWorker('echo', echo);
  const job = worker.distribute();
  assert.ok(job instanceof Job && job instanceof EventEmitter);
  assert.match(job.id, /^[0-9A-F]{24}$/);
  assert.equal(job.worker, worker);
  assert.equal(job.responses, 0);
  assert.equal(`${job}`, `[Job: ${job.id}]`);
  assert.equal(inspect(job), `[Job: ${job.id}]`);
  assert.deepEqual(worker.incomplete, {});

  assert.equal(job.run(1), job);
  assert.equal(job.peers, 1);
  assert.deepEqual(Object.entries(worker.incomplete), [[job.id, job]]);
  const [summary] = await once(job, 'end');
  assert.equal(job.responses, 1);
  assert.deepEqual(worker.incomplete, {});
  assert.ok(summary.ms >= 0);
});

test('every node is asked, and the summary says who has answered', async (t) => {
  const servents = await openServents(t, 4);
  for (const [index, servent] of servents.entries()) servent.createWorker('who', async () => index);
  const [first] = servents;
  const job = first.createWorker('who', async () => 0).distribute();
  const { data, from, errors, summary } = await gather(job);
  assert.deepEqual([...data].sort(), [0, 1, 2, 3]);
  assert.deepEqual(errors, []);
  assert.equal(job.peers, 4);
  assert.equal(job.responses, 4);
  for (const [at, { node, peer }] of from.entries()) {
    assert.equal(node, servents[data[at]].id);
    assert.equal(peer, first.peers[node]);
  }
  assert.equal(summary.reason, 'complete');
  assert.equal(summary.asked, 4);
  assert.deepEqual(summary.answered, from);
  assert.deepEqual([summary.failed, summary.missing], [[], []]);
});

test('events come after run, in order, and none after the end', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('echo', echo);
  const job = first.createWorker('echo', echo).distribute();
  const events = [];
  for (const name of ['start', 'data', 'error', 'end']) job.on(name, () => events.push(name));
  job.run(1);
  assert.deepEqual(events, []);
  await once(job, 'end');
  assert.deepEqual(events, ['start', 'data', 'data', 'end']);
  job.end().abort('late').setTTL(5);
  await gather(first.createWorker('echo', echo).distribute(), 1);
  assert.deepEqual(events, ['start', 'data', 'data', 'end']);
});

test('listeners may be added after run', async (t) => {
  const job = openServent(t).createWorker('echo', echo).distribute().run(5);
  const [[started], [value]] = await Promise.all([once(job, 'start'), once(job, 'data'), once(job, 'end')]);
  assert.equal(started, undefined);
  assert.equal(value, 5);
});

test('a job runs once', async (t) => {
  const job = openServent(t).createWorker('echo', echo).distribute();
  job.run(1);
  assert.throws(() => job.run(1), { code: 'ERR_INVALID_STATE' });
  await once(job, 'end');
  assert.throws(() => job.run(1), { code: 'ERR_INVALID_STATE' });
});

test('what cannot be sent is thrown, leaves nothing, and may be tried again', async (t) => {
  const worker = openServent(t).createWorker('echo', (...args) => args.pop()(null, args));
  const job = worker.distribute();
  const cycle = [];
  cycle.push(cycle);
  for (const value of [1n, () => {}, Symbol('s'), NaN, Infinity, cycle, [1n]]) {
    assert.throws(() => job.run(value), { name: 'TypeError', code: 'ERR_INVALID_VALUE' });
  }
  assert.throws(() => job.run('x'.repeat(2 << 20)), { code: 'ERR_VALUE_TOO_LARGE' });
  const deep = JSON.parse('['.repeat(100) + ']'.repeat(100));
  assert.throws(() => job.run(deep), { code: 'ERR_TOO_DEEP' });
  assert.deepEqual(worker.incomplete, {});
  const { data } = await gather(job, undefined, { date: new Date(0) });
  assert.deepEqual(data, [[null, { date: '1970-01-01T00:00:00.000Z' }]]);
});

test('setTTL before run', async (t) => {
  const worker = openServent(t).createWorker('never', () => {});
  const job = worker.distribute();
  assert.equal(job.setTTL(60_000), job);
  assert.equal(job.setTTL(50), job);
  const started = performance.now();
  const { summary } = await gather(job);
  assert.ok(performance.now() - started >= 45);
  assert.equal(summary.reason, 'timeout');
  assert.equal(job.responses, 0);
  assert.equal(summary.answered.length + summary.failed.length, 0);
  assert.equal(summary.missing[0].status, 'timeout');
  assert.equal(summary.missing[0].error.code, 'ERR_TIMEOUT');
  assert.equal(summary.missing[0].error.executed, 'unknown');
});

test('setTTL after run, in both directions', async (t) => {
  const [first, second] = await openServents(t, 2);
  let deadlines = 0;
  second.createWorker('never', function never() {
    this.signal.addEventListener('abort', () => deadlines++);
  });
  const worker = first.createWorker('never', () => {});
  const sooner = worker.distribute().run();
  sooner.setTTL(30);
  assert.equal((await once(sooner, 'end'))[0].reason, 'timeout');

  const later = worker.distribute().setTTL(100).run();
  later.setTTL(400);
  const started = performance.now();
  assert.equal((await once(later, 'end'))[0].reason, 'timeout');
  assert.ok(performance.now() - started > 350);
  await until('both functions know', () => deadlines === 2);
});

test('bad TTLs are thrown', (t) => {
  const job = openServent(t).createWorker('echo', echo).distribute();
  for (const ttl of [undefined, null, '5', -1, NaN, Infinity, 2 ** 31, {}]) {
    assert.throws(() => job.setTTL(ttl), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
  job.setTTL(0.5).setTTL(0).setTTL(2 ** 31 - 1);
});

test('end and abort: who has not answered is missing', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('half', async () => 'quick');
  const worker = first.createWorker('half', () => {});
  for (const [method, reason] of [['end'], ['abort'], ['abort', new Error('enough')]]) {
    const job = worker.distribute();
    const ended = gather(job);
    await once(job, 'data');
    assert.equal(job[method](reason), job);
    const { data, summary } = await ended;
    assert.deepEqual(data, ['quick']);
    assert.equal(summary.reason, 'aborted');
    assert.deepEqual(summary.answered, [{ node: second.id, peer: first.peers[second.id] }]);
    const [{ node, peer, status, error }] = summary.missing;
    assert.deepEqual([node, peer, status], [first.id, undefined, 'aborted']);
    assert.equal(error.name, 'AbortError');
    assert.equal(error.code, 'ABORT_ERR');
    assert.equal(error.cause, reason);
  }
});

test('end before run', async (t) => {
  const job = openServent(t).createWorker('echo', echo).distribute();
  const ended = once(job, 'end');
  job.end();
  assert.throws(() => job.run(1), { code: 'ERR_INVALID_STATE' });
  const [summary] = await ended;
  assert.deepEqual(summary, { reason: 'aborted', asked: 0, answered: [], failed: [], missing: [], ms: 0 });
});

test('end from a listener', async (t) => {
  const servents = await openServents(t, 3);
  for (const servent of servents) servent.createWorker('echo', echo);
  const job = servents[0].createWorker('echo', echo).distribute();
  let ends = 0;
  job.on('end', () => ends++);
  job.once('data', () => job.end());
  job.run(1);
  await once(job, 'end');
  await gather(servents[0].createWorker('echo', echo).distribute(), 1);
  assert.equal(ends, 1);
});

test('errors of nodes: as events if somebody listens, in the summary always', async (t) => {
  const [first, second] = await openServents(t, 3);
  const fail = async () => {
    throw new TypeError('no');
  };
  second.createWorker('fail', fail);
  const worker = first.createWorker('fail', async () => 'fine');

  const heard = await gather(worker.distribute());
  assert.deepEqual(heard.data, ['fine']);
  assert.deepEqual(heard.errors.map(({ executed }) => executed).sort(), ['no', 'yes']);

  const job = worker.distribute().run();
  const summary = await new Promise((resolve) => job.on('end', resolve));
  assert.equal(summary.reason, 'complete');
  assert.equal(job.responses, 3);
  const by = Object.fromEntries(summary.failed.map((failure) => [failure.status, failure]));
  assert.deepEqual(Object.keys(by).sort(), ['error', 'no-worker']);
  assert.equal(by.error.node, second.id);
  assert.equal(by.error.peer, first.peers[second.id]);
  assert.equal(by.error.error.message, 'no');
  assert.equal(by['no-worker'].error.code, 'ERR_NO_WORKER');
});

test('the second argument of error', async (t) => {
  const [first, second] = await openServents(t, 2);
  const job = first.createWorker('missing', async () => 1).distribute();
  job.run();
  const [error, origin] = await new Promise((resolve) => job.on('error', (...args) => resolve(args)));
  assert.deepEqual(origin, { node: second.id, peer: first.peers[second.id] });
  assert.equal(error.node, second.id);
});

test('a peer that goes in the middle is lost, at once', async (t) => {
  const [first, second] = await openServents(t, 2);
  let works = false;
  second.createWorker('never', () => (works = true));
  const job = first.createWorker('never', async () => 1).distribute();
  const ended = gather(job);
  await until('it works', () => works);
  second.destroy();
  const { data, errors, summary } = await ended;
  assert.deepEqual(data, [1]);
  const [error] = errors;
  assert.equal(error.code, 'ERR_PEER_LOST');
  assert.equal(error.executed, 'unknown');
  assert.equal(error.node, second.id);
  assert.equal(error.peer.id, second.id);
  assert.equal(summary.reason, 'complete');
  assert.equal(summary.failed[0].status, 'lost');
});

test('who comes later is not asked', async (t) => {
  const first = await listening(t);
  let answer;
  const worker = first.createWorker('slow', (callback) => (answer = callback));
  const job = worker.distribute();
  const ended = gather(job);
  const late = await listening(t);
  late.createWorker('slow', async () => 'late');
  late.connect(first.address().port);
  await once(first, 'peer');
  await until('it works', () => answer);
  answer(null, 'first');
  const { data, summary } = await ended;
  assert.deepEqual(data, ['first']);
  assert.equal(summary.asked, 1);
});

test('listeners run in the async context of run', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('half', async () => 1);
  const worker = first.createWorker('half', async () => {
    throw new Error('no');
  });
  const storage = new AsyncLocalStorage();
  const seen = await Promise.all(['a', 'b', 'c'].map((store) => storage.run(store, () => {
    const job = worker.distribute();
    const stores = [];
    storage.run('listeners are added elsewhere', () => {
      for (const name of ['start', 'data', 'error']) job.on(name, () => stores.push(storage.getStore()));
    });
    job.run();
    return new Promise((resolve) => {
      storage.exit(() => job.on('end', () => resolve([...stores, storage.getStore()])));
    });
  })));
  assert.deepEqual(seen, ['a', 'b', 'c'].map((store) => Array(4).fill(store)));
});

test('a listener that throws is an uncaught exception, and the job goes on', async (t) => {
  const servent = openServent(t);
  const worker = servent.createWorker('echo', echo);
  const thrown = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  });
  const job = worker.distribute();
  for (const name of ['start', 'data', 'end']) {
    job.on(name, () => {
      throw new Error(name);
    });
  }
  job.run(1);
  await gather(worker.distribute(), 1);
  await until('all were thrown', () => thrown.length === 3);
  assert.deepEqual(thrown, ['start', 'data', 'end']);
  assert.deepEqual(worker.incomplete, {});
});

test('arguments and results of a megabyte', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('echo', echo);
  const big = 'x'.repeat((1 << 20) - 10);
  const { data } = await gather(first.createWorker('echo', echo).distribute(), big);
  assert.equal(data.length, 2);
  for (const value of data) assert.ok(value === big);
});

test('5,000 jobs at once', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('echo', async (value) => value);
  const worker = first.createWorker('echo', echo);
  const jobs = Array.from({ length: 5000 }, (_, n) => gather(worker.distribute(), n));
  assert.equal(Object.keys(worker.incomplete).length, 5000);
  for (const [n, { data, summary }] of (await Promise.all(jobs)).entries()) {
    assert.deepEqual(data, [n, n]);
    assert.equal(summary.reason, 'complete');
  }
  assert.deepEqual(worker.incomplete, {});
  const { jobs: left, runs } = first.stats();
  assert.deepEqual([left, runs], [0, 0]);
});

test('jobs from all nodes at the same time', async (t) => {
  const servents = await openServents(t, 3);
  const workers = servents.map((servent, index) => servent.createWorker('who', async (n) => [index, n]));
  const all = await Promise.all(workers.flatMap((worker) =>
    Array.from({ length: 200 }, (_, n) => gather(worker.distribute(), n))));
  for (const [at, { data }] of all.entries()) {
    assert.deepEqual(data.sort(), [0, 1, 2].map((index) => [index, at % 200]));
  }
});

test('a job that starts jobs', async (t) => {
  const [first, second] = await openServents(t, 2);
  for (const servent of [first, second]) {
    servent.createWorker('leaf', async () => 1);
    const leaf = servent.createWorker('leaf', async () => 1);
    servent.createWorker('tree', async () => (await gather(leaf.distribute())).data.length);
  }
  const { data } = await gather(first.createWorker('tree', async () => 2).distribute());
  assert.deepEqual(data, [2, 2]);
});
