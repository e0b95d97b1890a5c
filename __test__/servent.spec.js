'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const { once } = require('node:events');
const net = require('node:net');
const test = require('node:test');

const Collective = require('..');
const { Servent, Peer } = Collective;
const { gather, listening, meet, openServent, openServents } = require('./support/servents');
const { freePorts } = require('./support/ports');
const { until } = require('./support/until');

test('id and peers', async (t) => {
  const servents = await openServents(t, 3);
  assert.ok(servents[0] instanceof EventEmitter);
  assert.equal(new Set(servents.map(({ id }) => id)).size, 3);
  for (const servent of servents) {
    assert.match(servent.id, /^[0-9A-F]{24}$/);
    const others = servents.filter((other) => other !== servent);
    assert.deepEqual(Object.keys(servent.peers).sort(), others.map(({ id }) => id).sort());
    for (const other of others) {
      const peer = servent.peers[other.id];
      assert.ok(peer instanceof Peer);
      assert.equal(peer.id, other.id);
      assert.equal(peer.servent, servent);
      assert.equal(peer.host, '127.0.0.1');
      assert.equal(peer.port, other.address().port);
      assert.equal(peer.destroyed, false);
      assert.equal(peer.busyFor, 0);
    }
  }
});

test('all forms of listen', async (t) => {
  const [one, two, three, four] = await freePorts(4);
  const forms = [
    [one], [String(two), '127.0.0.1'], [three, 'localhost', 511], [{ port: four, host: '127.0.0.1', backlog: 5 }],
    [0], [], [undefined, null], [null, 511], [{ port: 0, host: undefined }],
  ];
  for (const args of forms) {
    const servent = openServent(t);
    assert.equal(servent.listening, false);
    assert.equal(servent.address(), null);
    let calls = 0;
    const called = new Promise((resolve) => {
      assert.equal(servent.listen(...args, () => resolve(++calls)), servent);
    });
    await called;
    assert.equal(servent.listening, true);
    const { address, family, port } = servent.address();
    assert.match(address, /^(127\.0\.0\.1|::1)$/);
    assert.match(family, /^IPv[46]$/);
    const wanted = Number(args[0]?.port ?? args[0] ?? 0);
    assert.ok(wanted === 0 ? port > 0 : port === wanted);
    const socket = net.connect(port, address);
    await once(socket, 'connect');
    socket.destroy();
    await servent.destroy();
    assert.equal(calls, 1);
    assert.equal(servent.listening, false);
    assert.equal(servent.address(), null);
  }
});

test('bad arguments are thrown', async (t) => {
  const servent = openServent(t);
  for (const args of [['/tmp/socket'], [65536], [-1], [NaN], [1.5], [true], [{}], [{ host: 'a' }], [0, {}], [0, 'a b'], [0, '127.0.0.1', 5, 'callback']].slice(0, 10)) {
    assert.throws(() => servent.listen(...args), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(args));
  }
  for (const args of [[], [0], ['a'], ['a:0'], [':'], ['a:b:c'], [{}], [null], [70000], [80, 5], [80, 'a b']]) {
    assert.throws(() => servent.connect(...args), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(args));
  }
  for (const options of [5, 'a', { port: 8888 }, { advertise: 'a' }, { advertise: 'a:0' }, { advertise: 8888 }, { listen: true }, { learn: false }, { insecure: 1 }]) {
    assert.throws(() => new Servent(options), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(options));
  }
  assert.throws(() => Servent(), TypeError);
});

test('a port in use is an error, and another may be tried from its handler', async (t) => {
  const taken = await listening(t);
  const { port } = taken.address();
  const servent = openServent(t);
  const errors = [];
  servent.on('error', (error) => {
    errors.push(error);
    servent.listen(0);
  });
  servent.listen(port);
  await once(servent, 'listening').catch(() => once(servent, 'listening'));
  assert.equal(errors.length, 1);
  const [{ code, syscall, address }] = errors;
  assert.deepEqual({ code, syscall, address, port: errors[0].port }, { code: 'EADDRINUSE', syscall: 'listen', address: '127.0.0.1', port });
  assert.notEqual(servent.address().port, port);
});

test('who listens cannot listen again', async (t) => {
  const servent = openServent(t);
  servent.listen(0);
  assert.throws(() => servent.listen(0), { code: 'ERR_INVALID_STATE' });
  await once(servent, 'listening');
  assert.throws(() => servent.listen(0), { code: 'ERR_INVALID_STATE' });
});

test('another host than loopback is an error on a later turn, unless it is allowed', async (t) => {
  const servent = openServent(t);
  servent.listen(0, '0.0.0.0');
  const [error] = await once(servent, 'error');
  assert.equal(error.code, 'ERR_INSECURE_BIND');
  assert.equal(error.syscall, 'listen');
  servent.listen(0);
  await once(servent, 'listening');

  const allowed = openServent(t, { insecure: true });
  allowed.listen(0, '0.0.0.0');
  await once(allowed, 'listening');
  assert.equal(allowed.address().address, '0.0.0.0');
});

test('all forms of connect, and their callbacks', async (t) => {
  const seed = await listening(t);
  const { port } = seed.address();
  for (const args of [[port], [String(port), 'localhost'], [`127.0.0.1:${port}`], [{ port }], [{ port, host: 'localhost' }]]) {
    const servent = openServent(t);
    const peer = await new Promise((resolve) => {
      assert.equal(servent.connect(...args, resolve), servent);
    });
    assert.equal(peer.id, seed.id);
    assert.equal(servent.peers[seed.id], peer);
    // Once more, now that it is there.
    assert.equal(await new Promise((resolve) => servent.connect(...args, resolve)), peer);
    assert.equal(Object.keys(servent.peers).length, servent.peers[seed.id] === peer ? Object.keys(servent.peers).length : -1);
    await servent.destroy();
  }
});

test('a failed connect is one error, and it goes on trying', async (t) => {
  const [port] = await freePorts(1);
  const servent = openServent(t);
  const errors = [];
  servent.on('error', (error) => errors.push(error));
  let connected;
  servent.connect(port, (peer) => (connected = peer));
  await until('it fails', () => errors.length > 0);
  const { code, syscall, address, message } = errors[0];
  assert.equal(code, 'ECONNREFUSED');
  assert.equal(syscall, 'connect');
  assert.equal(address, '127.0.0.1');
  assert.equal(errors[0].port, port);
  assert.match(message, /connect ECONNREFUSED/);

  const late = openServent(t);
  late.listen(port);
  await until('it is found', () => connected);
  assert.equal(connected.id, late.id);
  assert.equal(errors.length, 1);
});

test('nodes that do not listen take part', async (t) => {
  const seed = await listening(t);
  const quiet = [openServent(t), openServent(t)];
  for (const servent of quiet) servent.connect(seed.address().port);
  await until('the seed knows both', () => Object.keys(seed.peers).length === 2);
  for (const [index, servent] of [seed, ...quiet].entries()) servent.createWorker('who', async () => index);
  const worker = seed.createWorker('who', async () => 'seed');
  const { data } = await gather(worker.distribute());
  assert.deepEqual(data.sort(), [1, 2, 'seed']);
  assert.equal(seed.peers[quiet[0].id].host, undefined);
  assert.equal(seed.peers[quiet[0].id].port, undefined);
});

test('advertise', async (t) => {
  const seed = await listening(t);
  const servent = openServent(t, { advertise: 'a.example:7777' });
  servent.listen(0);
  await once(servent, 'listening');
  servent.connect(seed.address().port);
  await meet([seed, servent]);
  const { host, port } = seed.peers[servent.id];
  assert.deepEqual({ host, port }, { host: 'a.example', port: 7777 });
});

test("'peer' and 'peerLeave'", async (t) => {
  const seed = await listening(t);
  const events = [];
  seed.on('peer', (peer) => events.push(['peer', peer.id]));
  seed.on('peerLeave', (peer, code) => events.push(['peerLeave', peer.id, code]));
  const servent = await listening(t);
  servent.connect(seed.address().port);
  await meet([seed, servent]);
  assert.equal(seed.peers[servent.id].port, servent.address().port);
  await servent.close();
  await until('it left', () => events.length === 2);
  assert.deepEqual(events, [['peer', servent.id], ['peerLeave', servent.id, 'ERR_PEER_LEFT']]);
  assert.deepEqual(Object.keys(seed.peers), []);
});

test('broadcast: to all peers, and how many those are', async (t) => {
  const [first, ...others] = await openServents(t, 3);
  const got = [];
  for (const servent of [first, ...others]) {
    servent.on('hello', function hello(peer, ...args) {
      assert.equal(this, servent);
      got.push([servent.id, peer.id, args]);
    });
  }
  assert.equal(first.broadcast('hello', 1, 'two', { three: [3] }, undefined, null), 2);
  await until('both have it', () => got.length === 2);
  const args = [1, 'two', { three: [3] }, null, null];
  assert.deepEqual(got.sort(), others.map(({ id }) => [id, first.id, args]).sort());
  assert.equal(openServent(t).broadcast('hello'), 0);
});

test('events of one peer come in order', async (t) => {
  const [first, second] = await openServents(t, 2);
  const got = [];
  second.on('tick', (peer, n) => got.push(n));
  for (let n = 0; n < 5000; n++) first.broadcast('tick', n);
  await until('all are here', () => got.length === 5000);
  assert.deepEqual(got, Array.from({ length: 5000 }, (_, n) => n));
});

test('listeners come and go in every way there is', async (t) => {
  const [first, second] = await openServents(t, 2);
  let calls = 0;
  const listener = () => calls++;
  /** Whether an event is heard; one after it tells when it would have come. */
  const isHeard = async () => {
    const before = calls;
    const after = once(second, 'after');
    first.broadcast('knock');
    first.broadcast('after');
    await after;
    return calls > before;
  };
  for (const method of ['on', 'addListener', 'prependListener']) {
    second[method]('knock', listener);
    assert.ok(await isHeard(), method);
    second.removeListener('knock', listener);
    assert.ok(!(await isHeard()), method);
  }
  for (const method of ['once', 'prependOnceListener']) {
    second[method]('knock', listener);
    assert.ok(await isHeard(), method);
    assert.ok(!(await isHeard()), method);
  }
  second.on('knock', listener).on('knock', listener);
  second.off('knock', listener);
  assert.ok(await isHeard());
  second.removeAllListeners('knock');
  assert.ok(!(await isHeard()));
  second.on('knock', listener);
  second.removeAllListeners();
  assert.ok(!(await isHeard()));
  second.on('removeListener', () => {});
  second.on('knock', listener);
  second.removeAllListeners();
  assert.ok(!(await isHeard()));
});

test('what nobody listens to does not come in', async (t) => {
  const [first, second] = await openServents(t, 2);
  const before = second.stats().eventsUnheard;
  for (let n = 0; n < 100; n++) first.broadcast('nobody', n);
  await until('they have come and gone', () => second.stats().eventsUnheard === before + 100);
});

test('bad events are thrown', async (t) => {
  const [first, second] = await openServents(t, 2);
  const peer = first.peers[second.id];
  const cycle = [];
  cycle.push(cycle);
  for (const send of [first.broadcast.bind(first), peer.emit.bind(peer)]) {
    for (const name of [undefined, 5, '', Symbol('s'), 'x'.repeat(256), 'é'.repeat(128), '\ud800']) {
      assert.throws(() => send(name), { name: 'TypeError', code: 'ERR_INVALID_NAME' });
    }
    for (const value of [1n, cycle, () => {}, Symbol('s'), NaN, { a: 1n }]) {
      assert.throws(() => send('x', value), { name: 'TypeError', code: 'ERR_INVALID_VALUE' });
    }
    assert.throws(() => send('x', 'y'.repeat(2 << 20)), { code: 'ERR_VALUE_TOO_LARGE' });
    send('é'.repeat(127));
  }
});

test('removePeer', async (t) => {
  const [first, second] = await openServents(t, 2);
  assert.equal(first.removePeer('nobody'), false);
  assert.equal(first.removePeer('constructor'), false);
  const gone = [once(first, 'peerLeave'), once(second, 'peerLeave')];
  assert.equal(first.removePeer(second.id), true);
  assert.equal(first.removePeer(second.id), false);
  assert.deepEqual(Object.keys(first.peers), []);
  for (const leaving of gone) assert.equal((await leaving)[1], 'ERR_PEER_DISMISSED');
  assert.deepEqual(Object.keys(second.peers), []);
});

test('close: repeatable, with a callback once, and then nothing more', async (t) => {
  const [first, second] = await openServents(t, 2);
  const { port } = first.address();
  const calls = [];
  first.on('close', () => calls.push('event'));
  const gone = once(second, 'peerLeave');
  const closing = first.close(() => calls.push('callback'));
  assert.ok(closing instanceof Promise);
  assert.equal(first.close(), closing);
  assert.equal(first.destroy(), closing);
  assert.equal(await closing, undefined);
  await gone;
  assert.deepEqual(calls, ['event', 'callback']);
  await new Promise((late) => first.close(late));
  assert.deepEqual(calls, ['event', 'callback']);
  assert.deepEqual(Object.keys(first.peers), []);
  assert.equal(first.broadcast('x'), 0);
  for (const use of [() => first.listen(0), () => first.connect(port), () => first.stats()]) {
    assert.throws(use, { code: 'ERR_CLOSED' });
  }
  assert.throws(() => first.createWorker('x', () => {}).distribute().run(), { code: 'ERR_CLOSED' });
  first.on('x', () => {}).removeAllListeners().ref().unref();

  const again = openServent(t);
  again.listen(port);
  await once(again, 'listening');
});

test('close waits for what is under way, here and for others', async (t) => {
  const [first, second] = await openServents(t, 2);
  const finish = [];
  const slow = first.createWorker('slow', (callback) => finish.push(() => callback(null, 'first')));
  second.createWorker('slow', (callback) => finish.push(() => callback(null, 'second')));
  const ended = gather(slow.distribute());
  await until('both work', () => finish.length === 2);
  let closed = 0;
  const closing = [first, second].map((servent) => servent.close(() => closed++));
  assert.throws(() => slow.distribute().run(), { code: 'ERR_CLOSED' });
  await new Promise(setImmediate);
  assert.equal(closed, 0);
  finish.forEach((answer) => answer());
  const { data, summary } = await ended;
  assert.deepEqual(data.sort(), ['first', 'second']);
  assert.equal(summary.reason, 'complete');
  await Promise.all(closing);
});

test('destroy aborts own jobs and calls, and what runs for others', async (t) => {
  const [first, second] = await openServents(t, 2);
  const signals = [];
  const never = function never() {
    signals.push(this.signal);
  };
  const worker = first.createWorker('never', never);
  second.createWorker('never', never);
  second.expose('never', never);
  const ended = gather(worker.distribute());
  const called = first.peers[second.id].invoke('never');
  await until('all work', () => signals.length === 3);
  const order = [];
  ended.then(() => order.push('end'));
  first.on('close', () => order.push('close'));
  await Promise.all([first.destroy(), assert.rejects(called, { name: 'AbortError', code: 'ABORT_ERR' })]);
  const { summary } = await ended;
  assert.equal(summary.reason, 'aborted');
  assert.deepEqual(summary.missing.map(({ node, status }) => [node, status]).sort(), [[first.id, 'aborted'], [second.id, 'aborted']].sort());
  assert.deepEqual(worker.incomplete, {});
  await until('they know', () => signals.every(({ aborted }) => aborted));
  assert.deepEqual(signals.map(({ reason }) => reason.code).sort(), ['ERR_CLOSED', 'ERR_PEER_LOST', 'ERR_PEER_LOST']);
});

test('one mesh holds Servents and Collectives', async (t) => {
  const servent = await listening(t);
  const { port } = servent.address();
  const collective = new Collective({ port: 0 }, [{ port }]);
  t.after(() => collective.close());
  await once(collective, 'ready');
  await until('they know each other', () => collective.active === 1 && Object.keys(servent.peers).length === 1);
  const worker = servent.createWorker('who', async () => 'servent');
  const { data, errors } = await gather(worker.distribute());
  assert.deepEqual(data, ['servent']);
  assert.deepEqual(errors.map(({ code }) => code), ['ERR_NO_WORKER']);
});

test('another cluster is refused', async (t) => {
  const servent = await listening(t);
  const other = openServent(t, { cluster: 'other' });
  other.on('error', () => {});
  const warned = once(other, 'warning');
  other.connect(servent.address().port);
  const [{ code }] = await warned;
  assert.equal(code, 'ERR_INCOMPATIBLE_PEER');
  assert.deepEqual(Object.keys(other.peers), []);
});

test('a listener that throws is an uncaught exception, and the others are called', async (t) => {
  const [first, second] = await openServents(t, 2);
  const thrown = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  });
  let heard = 0;
  second.on('boom', () => {
    throw new Error(`boom ${++heard}`);
  });
  for (let n = 0; n < 3; n++) first.broadcast('boom');
  await until('all are heard', () => thrown.length === 3);
  assert.deepEqual(thrown, ['boom 1', 'boom 2', 'boom 3']);
});
