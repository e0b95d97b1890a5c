'use strict';

/* Where we differ from partition.io on purpose: one test for each line of the table in docs/api.md. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const os = require('node:os');
const test = require('node:test');

const { RESERVED_EVENTS } = require('../lib/event-names');
const { freePorts, freePortsInARow } = require('./support/ports');
const { Companion, run, runFile } = require('./support/process');
const { gather, listening, openServent, openServents } = require('./support/servents');
const { until } = require('./support/until');

test('every node gets to know every other: a job run anywhere reaches all', async (t) => {
  const servents = await openServents(t, 4);
  const workers = servents.map((servent, index) => servent.createWorker('who', async () => index));
  for (const worker of workers) {
    assert.deepEqual((await gather(worker.distribute())).data.sort(), [0, 1, 2, 3]);
  }
});

test('an error of a remote worker is an `error` with message, code and peer', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('fail', (callback) => callback(Object.assign(new Error('why'), { code: 'E_MINE' })));
  const { data, errors } = await gather(first.createWorker('fail', async () => 1).distribute());
  assert.deepEqual(data, [1]);
  const [error] = errors;
  assert.ok(error instanceof Error);
  assert.deepEqual([error.message, error.code, error.peer], ['why', 'E_MINE', first.peers[second.id]]);
});

test('a node without that worker says so at once', async (t) => {
  const [first, second] = await openServents(t, 2);
  const started = performance.now();
  const { errors, summary } = await gather(first.createWorker('mine', async () => 1).distribute());
  assert.ok(performance.now() - started < 1000);
  assert.deepEqual(errors.map(({ code, node }) => [code, node]), [['ERR_NO_WORKER', second.id]]);
  assert.equal(summary.reason, 'complete');
});

test('a job always ends, without a TTL after 10 minutes', async (t) => {
  let deadline;
  const worker = openServent(t).createWorker('never', function never() {
    ({ deadline } = this);
  });
  const job = worker.distribute().run();
  await until('it works', () => deadline);
  const minutes = (deadline - Date.now()) / 60_000;
  assert.ok(minutes > 9.9 && minutes < 10.1, `${minutes}`);
  job.setTTL(10);
  assert.equal((await once(job, 'end'))[0].reason, 'timeout');
});

test('a peer that dies in the middle is an error', async (t) => {
  const first = await listening(t);
  const second = new Companion(t);
  await second.connect(first.address().port);
  await until('it is there', () => Object.keys(first.peers).length === 1);
  const job = first.createWorker('never', async () => 1).distribute();
  const ended = gather(job);
  await until('it works', async () => (await second.stats()).runs === 1);
  await second.kill();
  const { errors, summary } = await ended;
  assert.deepEqual(errors.map(({ code, executed }) => [code, executed]), [['ERR_PEER_LOST', 'unknown']]);
  assert.equal(summary.reason, 'complete');
});

test('answers after the end change nothing', async (t) => {
  const servent = openServent(t);
  let answer;
  const worker = servent.createWorker('late', (callback) => {
    answer = callback;
    job.end();
  });
  const job = worker.distribute();
  await gather(job);
  job.on('data', () => assert.fail('it has ended'));
  answer(null, 1);
  await gather(servent.createWorker('other', async () => 1).distribute());
  assert.equal(job.responses, 0);
});

test('the first answer of a node counts, and a second is none of another node', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('twice', (callback) => {
    callback(null, 'one');
    callback(null, 'two');
  });
  let answer;
  const worker = first.createWorker('twice', (callback) => (answer = callback));
  const job = worker.distribute();
  const ended = gather(job);
  await until('the other has answered', () => job.responses === 1);
  answer(null, 'own');
  assert.deepEqual((await ended).data, ['one', 'own']);
});

test('what a remote worker throws is that node\'s error, and the process lives', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.createWorker('throw', () => {
    throw new TypeError('thrown');
  });
  const { errors } = await gather(first.createWorker('throw', async () => 1).distribute());
  assert.deepEqual(errors.map(({ name, message }) => [name, message]), [['TypeError', 'thrown']]);
});

test('`this` in a worker\'s function inherits from the worker', async (t) => {
  let self;
  const worker = openServent(t).createWorker('self', async function work() {
    self = this;
  });
  await gather(worker.distribute());
  assert.equal(Object.getPrototypeOf(self), worker);
});

test('nothing comes while `run` has not returned', async (t) => {
  const job = openServent(t).createWorker('sync', (callback) => callback(null, 1)).distribute();
  let hasReturned = false;
  for (const name of ['start', 'data', 'end']) job.on(name, () => assert.ok(hasReturned, name));
  const ended = gather(job);
  hasReturned = true;
  await ended;
});

test('reserved events are not sent, and not received', async (t) => {
  const [first, second] = await openServents(t, 2);
  const peer = first.peers[second.id];
  const heard = [];
  for (const name of RESERVED_EVENTS) {
    second.on(name, (...args) => heard.push([name, ...args]));
    assert.throws(() => first.broadcast(name), { name: 'TypeError', code: 'ERR_RESERVED_EVENT' });
    assert.throws(() => peer.emit(name), { name: 'TypeError', code: 'ERR_RESERVED_EVENT' });
  }
  heard.length = 0;
  second.on('after', () => {});
  heard.length = 0;
  // One of ours that does not refuse: what it sends is not even taken in.
  const before = second.stats().eventsUnheard;
  const { kInside } = require('../lib/inside');
  for (const name of RESERVED_EVENTS) first[kInside].node.emit(name, '[1]', '-');
  await until('they have come', () => second.stats().eventsUnheard === before + RESERVED_EVENTS.length);
  assert.deepEqual(heard, []);
});

test("a failed connect is an 'error' with a code", async (t) => {
  const [port] = await freePorts(1);
  const servent = openServent(t);
  servent.connect(port);
  assert.equal((await once(servent, 'error'))[0].code, 'ECONNREFUSED');
  const lost = openServent(t);
  lost.connect(8888, 'no.such.host.invalid');
  const [error] = await once(lost, 'error');
  assert.match(error.code, /^(ENOTFOUND|EAI_AGAIN)$/);
});

test('functions given to servent.expose are found', async (t) => {
  const [first, second] = await openServents(t, 2);
  second.expose('sum', (a, b) => a + b);
  assert.equal(await first.peers[second.id].invoke('sum', [1, 2]), 3);
});

test('no interface but loopback is listened on, unless it is allowed', async (t) => {
  const servent = await listening(t);
  assert.equal(servent.address().address, '127.0.0.1');
  const outside = Object.values(os.networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal);
  if (outside !== undefined) {
    const [refused] = await once(net.connect(servent.address().port, outside.address), 'error');
    assert.equal(refused.code, 'ECONNREFUSED');
  }
  const open = openServent(t);
  open.listen(0, '0.0.0.0');
  assert.equal((await once(open, 'error'))[0].code, 'ERR_INSECURE_BIND');
  assert.equal(open.listening, false);
});

test('it is silent', async (t) => {
  const { code, stdout, stderr } = await run(t, `
    const { Servent } = Collective;
    const [first, second] = [new Servent(), new Servent()];
    second.expose('x', () => 1);
    const worker = first.createWorker('work', async () => 1);
    first.listen(0, () => second.connect(first.address().port));
    first.on('peer', async (peer) => {
      await peer.invoke('x');
      await peer.invoke('nobody').catch(() => {});
      first.broadcast('nobody');
      worker.distribute().run().on('end', () => Promise.all([first.close(), second.destroy()]));
    });
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
});

test('in node:cluster each worker has a port of its own', async (t) => {
  const port = await freePortsInARow(1);
  const { code, stdout, stderr } = await runFile(t, '__test__/fixtures/pattern.js', { env: { PORT: String(port) } });
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split('\n').sort();
  assert.equal(lines.filter((line) => line === 'disconnected').length, 1);
  assert.equal(lines.filter((line) => line === 'exit 0').length, 3);
  assert.equal(lines.filter((line) => line === 'EADDRINUSE').length, 2);
  const ports = lines.filter((line) => line.startsWith('listening')).map((line) => Number(line.split(' ')[1]));
  assert.equal(new Set(ports).size, 3);
  assert.ok(ports.includes(port));
  assert.equal(lines.filter((line) => line === 'peers 2, answers 3').length, 3);
});
