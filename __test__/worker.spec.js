'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { inspect } = require('node:util');

const { Worker, Job } = require('..');
const { gather, listening, openServent, openServents } = require('./support/servents');
const { until } = require('./support/until');

/** Runs a function on another node, and gives its value or error as it arrives. */
async function elsewhere(t, func, ...params) {
  const [first, second] = await openServents(t, 2);
  second.createWorker('work', func);
  const { summary, data, errors } = await gather(first.createWorker('work').distribute(), ...params);
  assert.equal(summary.reason, 'complete');
  return { value: data[0], error: errors.find(({ node }) => node === second.id), first, second };
}

test('members', async (t) => {
  const servent = openServent(t);
  const func = (callback) => callback(null, 1);
  const worker = servent.createWorker('work', func);
  assert.ok(worker instanceof Worker);
  assert.equal(worker.name, 'work');
  assert.equal(worker.servent, servent);
  assert.equal(worker.func, func);
  assert.deepEqual(worker.incomplete, {});
  assert.equal(`${worker}`, '[Worker: work]');
  assert.equal(inspect(worker), '[Worker: work]');
  assert.equal(worker.signal, undefined);
  assert.equal(Worker.REQUEST_NAMESPACE, 'PIO::REQUEST::');
  assert.equal(worker.RESPONSE_NAMESPACE, 'PIO::RESPONSE::');
});

test('distribute gives the job, to its callback too', async (t) => {
  const worker = openServent(t).createWorker('work', (callback) => callback(null, 1));
  let given;
  const job = worker.distribute((made) => (given = made));
  assert.ok(job instanceof Job);
  assert.equal(job, given);
  assert.equal(job.worker, worker);
  assert.notEqual(worker.distribute(), job);
});

test('bad workers are thrown', (t) => {
  const servent = openServent(t);
  for (const name of [undefined, null, 5, '', {}, 'x'.repeat(256), '\ud800']) {
    assert.throws(() => servent.createWorker(name, () => {}), { name: 'TypeError', code: 'ERR_INVALID_NAME' });
  }
  for (const func of [null, 5, 'x', {}]) {
    assert.throws(() => servent.createWorker('work', func), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
});

test('any name is only a name', async (t) => {
  const servent = openServent(t);
  for (const name of ['__proto__', 'constructor', 'error', 'a.b', '*', '-', ' ', 'ü']) {
    const worker = servent.createWorker(name, async () => name);
    assert.deepEqual((await gather(worker.distribute())).data, [name]);
  }
});

test('`this` inherits from the worker and is another one each time', async (t) => {
  const servent = openServent(t);
  const seen = [];
  const before = Date.now();
  const worker = servent.createWorker('work', function work(callback) {
    this.mark ??= seen.push(this);
    callback(null, 1);
  });
  await gather(worker.distribute().setTTL(60_000));
  await gather(worker.distribute());
  assert.equal(seen.length, 2);
  for (const self of seen) {
    assert.equal(Object.getPrototypeOf(self), worker);
    assert.ok(self instanceof Worker);
    assert.equal(self.name, 'work');
    assert.deepEqual(self.caller, { node: servent.id, peer: undefined });
    assert.ok(self.signal instanceof AbortSignal);
    assert.equal(self.signal, self.signal);
    assert.equal(self.signal.aborted, false);
  }
  assert.ok(seen[0].deadline > before + 50_000 && seen[0].deadline < Date.now() + 61_000);
  assert.ok(seen[1].deadline > before + 590_000);
  assert.equal(worker.mark, undefined);
});

test('the caller is a peer elsewhere', async (t) => {
  let caller;
  const { first, second } = await elsewhere(t, async function work() {
    caller = this.caller;
    this.distribute();
  });
  assert.deepEqual(caller, { node: first.id, peer: second.peers[first.id] });
});

test('the parameters come before the callback', async (t) => {
  const params = [1, 'two', { three: [3] }, null, undefined, true, '\ud83d\ude00\ud800'];
  const { value } = await elsewhere(t, (...args) => {
    const callback = args.pop();
    callback(null, args);
  }, ...params);
  assert.deepEqual(value, [1, 'two', { three: [3] }, null, null, true, '\ud83d\ude00\ud800']);
});

test('a callback later, a promise, a value that is false', async (t) => {
  assert.equal((await elsewhere(t, (callback) => setTimeout(callback, 5, null, 'later'))).value, 'later');
  assert.equal((await elsewhere(t, async () => 'promised')).value, 'promised');
  assert.equal((await elsewhere(t, () => ({ then: (resolve) => resolve('thenable') }))).value, 'thenable');
  for (const value of [0, '', false, null]) {
    assert.equal((await elsewhere(t, (callback) => callback(null, value))).value, value);
    assert.equal((await elsewhere(t, async () => value)).value, value);
  }
  assert.equal((await elsewhere(t, (callback) => callback())).value, null);
  assert.equal((await elsewhere(t, async () => {})).value, null);
});

test('a plain return value is no answer', async (t) => {
  const servent = openServent(t);
  const worker = servent.createWorker('work', () => 'ignored');
  const { summary } = await gather(worker.distribute().setTTL(50));
  assert.equal(summary.reason, 'timeout');
  assert.deepEqual(summary.missing.map(({ status, error }) => [status, error.code]), [['timeout', 'ERR_TIMEOUT']]);
});

test('an async function that calls back', async (t) => {
  const servent = openServent(t);
  servent.on('warning', (warning) => assert.fail(warning));
  const worker = servent.createWorker('work', async (callback) => {
    await null;
    callback(null, 'called');
  });
  assert.deepEqual((await gather(worker.distribute())).data, ['called']);
});

class Mine extends RangeError {
  name = 'Mine';
  code = 'E_MINE';
}

const FAILURES = {
  'a throw': () => {
    throw new Mine('why', { cause: new TypeError('deep') });
  },
  'a rejection': async () => {
    throw new Mine('why', { cause: new TypeError('deep') });
  },
  'a callback with an error': (callback) => callback(new Mine('why', { cause: new TypeError('deep') })),
};
for (const [name, func] of Object.entries(FAILURES)) {
  test(`${name} arrives as that node's error`, async (t) => {
    const { error, first, second } = await elsewhere(t, func);
    assert.ok(error instanceof Error);
    assert.equal(error.name, 'Mine');
    assert.equal(error.message, 'why');
    assert.equal(error.code, 'E_MINE');
    assert.match(error.stack, /why[^]*worker\.spec\.js/);
    assert.equal(error.cause.name, 'TypeError');
    assert.equal(error.cause.message, 'deep');
    assert.equal(error.executed, 'yes');
    assert.equal(error.node, second.id);
    assert.equal(error.peer, first.peers[second.id]);
  });
}

test('what is no Error is described', async (t) => {
  const cases = [
    ['text', 'text'], [7, '7'], [{ a: 1 }, '{ a: 1 }'], [Symbol('s'), 'Symbol(s)'],
    [{ message: 'like one', code: 3 }, 'like one'],
  ];
  for (const [thrown, message] of cases) {
    const { error } = await elsewhere(t, () => {
      throw thrown;
    });
    assert.equal(error.message, message);
    assert.equal(error.code, thrown.code);
  }
  const { error } = await elsewhere(t, (callback) => callback('text'));
  assert.equal(error.message, 'text');
});

test('errors that are made to hurt', async (t) => {
  const trap = new Proxy(new Error('x'), { get() { throw new Error('gotcha'); } });
  assert.match((await elsewhere(t, (callback) => callback(trap))).error.message, /cannot be read/);
  const endless = new Error('endless');
  endless.cause = endless;
  assert.equal((await elsewhere(t, (callback) => callback(endless))).error.message, 'endless');
  const huge = new Error('x'.repeat(5e6));
  assert.ok((await elsewhere(t, (callback) => callback(huge))).error.message.length > 1000);
  const odd = Object.assign(new Error('odd'), { code: { a: 1 }, stack: 5, name: null });
  const { error } = await elsewhere(t, (callback) => callback(odd));
  assert.deepEqual([error.name, error.message, error.code], ['Error', 'odd', undefined]);
});

test('a value that JSON cannot hold is that node\'s error', async (t) => {
  const cycle = {};
  cycle.cycle = cycle;
  for (const value of [1n, () => {}, Symbol('s'), NaN, cycle, { a: 1n }, { toJSON() { throw new Error('no'); } }]) {
    const { error } = await elsewhere(t, (callback) => callback(null, value));
    assert.equal(error.code, 'ERR_INVALID_VALUE');
    assert.equal(error.name, 'TypeError');
    assert.equal(error.executed, 'yes');
  }
  assert.equal((await elsewhere(t, async () => 'x'.repeat(2 << 20))).error.code, 'ERR_VALUE_TOO_LARGE');
});

test('the first answer counts, a later one is a warning', async (t) => {
  const twice = {
    'called twice': (callback) => {
      callback(null, 1);
      callback(null, 2);
    },
    'called and thrown': (callback) => {
      callback(null, 1);
      throw new Error('late');
    },
    'called and rejected': async (callback) => {
      callback(null, 1);
      throw new Error('late');
    },
    'called and promised': async (callback) => {
      callback(null, 1);
      return 2;
    },
  };
  for (const [name, func] of Object.entries(twice)) {
    const servent = openServent(t);
    const warned = once(servent, 'warning');
    const worker = servent.createWorker('work', func);
    const { data, errors } = await gather(worker.distribute());
    assert.deepEqual([data, errors], [[1], []], name);
    const [{ code, message }] = await warned;
    assert.equal(code, 'ERR_ANSWERED_TWICE');
    assert.match(message, /'work'/);
  }
});

test('a worker of the same name takes the place of the former', async (t) => {
  const servent = openServent(t);
  const former = servent.createWorker('work', async () => 'former');
  const worker = servent.createWorker('work', async () => 'latter');
  assert.deepEqual((await gather(worker.distribute())).data, ['latter']);
  assert.deepEqual((await gather(former.distribute())).data, ['latter']);
  worker.func = async () => 'assigned';
  assert.deepEqual((await gather(worker.distribute())).data, ['assigned']);
  servent.createWorker('work');
  assert.deepEqual((await gather(worker.distribute())).errors.map(({ code }) => code), ['ERR_NO_WORKER']);
});

test('a worker made later serves jobs from then on', async (t) => {
  const [first, second] = await openServents(t, 2);
  const worker = first.createWorker('late', async () => 1);
  assert.deepEqual((await gather(worker.distribute())).errors.map(({ code }) => code), ['ERR_NO_WORKER']);
  second.createWorker('late', async () => 2);
  assert.deepEqual((await gather(worker.distribute())).data.sort(), [1, 2]);
});

test('`new Worker` is the same', async (t) => {
  const servent = await listening(t);
  const worker = new Worker(servent, 'work', async () => 1);
  assert.deepEqual((await gather(worker.distribute())).data, [1]);
});

test('signals: why a function is to stop', async (t) => {
  const [first, second] = await openServents(t, 2);
  const signals = [];
  second.createWorker('never', function never() {
    // One is looked at before, one after.
    if (signals.length === 0) void this.signal;
    signals.push(this);
  });
  const worker = first.createWorker('never');
  const stop = async (how, ttl = 60_000) => {
    const job = worker.distribute().setTTL(ttl).run();
    const count = signals.length + 1;
    await until('it works', () => signals.length === count);
    how(job);
    const { signal } = signals[count - 1];
    if (!signal.aborted) await once(signal, 'abort');
    return signal.reason;
  };
  assert.equal((await stop(() => {}, 50)).code, 'ERR_TIMEOUT');
  assert.equal((await stop((job) => job.end())).code, 'ABORT_ERR');
  assert.equal((await stop((job) => job.abort())).name, 'AbortError');
  assert.equal(await stop((job) => job.abort('enough')), 'enough');
  assert.equal(await stop((job) => job.abort(0)), 0);
  assert.deepEqual(await stop((job) => job.abort({ a: [1] })), { a: [1] });
  const reason = await stop((job) => job.abort(new Mine('mine')));
  assert.ok(reason instanceof Error);
  assert.deepEqual([reason.name, reason.message, reason.code], ['Mine', 'mine', 'E_MINE']);
  assert.match((await stop((job) => job.abort('x'.repeat(1e6)))).message, /^x+$/);
  assert.match((await stop((job) => job.abort(1n))).message, /1n/);
  assert.equal((await stop(() => first.peers[second.id].destroy())).code, 'ERR_PEER_LOST');
});

test('an answer after the end is nobody\'s, and no warning', async (t) => {
  const servent = openServent(t);
  servent.on('warning', (warning) => assert.fail(warning));
  let late;
  const worker = servent.createWorker('late', (callback) => {
    late = callback;
    job.setTTL(1);
  });
  const job = worker.distribute();
  const { summary } = await gather(job);
  assert.equal(summary.reason, 'timeout');
  await until('it was told', () => servent.stats().runs === 0);
  late(null, 1);
  late(null, 2);
  await gather(servent.createWorker('other', async () => 1).distribute());
});
