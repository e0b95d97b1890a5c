'use strict';

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const test = require('node:test');

const { listening, meet, openServents } = require('./support/servents');
const { until } = require('./support/until');

const NOT_FOUND = { message: 'Method not found.', code: 32601 };
const INVALID_REQUEST = { message: 'Invalid Request', code: 32600 };
const INVALID_PARAMS = { message: 'Invalid params.', code: 32602 };

/** Two servents, and the peer of the first that stands for the second. */
async function pair(t) {
  const [first, second] = await openServents(t, 2);
  return { first, second, peer: first.peers[second.id] };
}

/** Calls with a callback, and gives its arguments. */
function called(peer, method, ...rest) {
  return new Promise((resolve) => peer.invoke(method, ...rest, (...args) => resolve(args)));
}

test('a function that sets and sends', async (t) => {
  const { second, peer } = await pair(t);
  second.expose('test', function (max) {
    this.set('max', max);
    this.add('object', { test: true }).set('max', this.get('max') + 1);
    assert.equal(this.get('toString'), undefined);
    this.send();
  });
  const [error, result, id] = await called(peer, 'test', [1000]);
  assert.equal(error, null);
  assert.deepEqual(result, { max: 1001, object: { test: true } });
  assert.match(id, /^[0-9A-F]{24}$/);
  assert.deepEqual(await peer.invoke('test', [1]), { max: 2, object: { test: true } });
});

test('what a function knows of its call', async (t) => {
  const { first, second, peer } = await pair(t);
  let self;
  second.expose('test', function () {
    self = this;
    this.send('id', this.id);
  });
  const params = [1, { two: [2] }, null];
  const [, result, id] = await called(peer, 'test', params);
  assert.equal(result.id, id);
  assert.equal(self.id, id);
  assert.equal(self.method, 'test');
  assert.deepEqual(self.params, params);
  assert.equal(self.peer, second.peers[first.id]);
  assert.ok(self.deadline > Date.now() + 20_000 && self.deadline < Date.now() + 31_000);
  assert.equal(self.signal.aborted, false);
});

test('all ways to answer', async (t) => {
  const { second, peer } = await pair(t);
  const functions = {
    bag() {
      this.set('a', 1).send();
    },
    pair() {
      this.set('a', 1).send('b', 2);
    },
    value() {
      this.send(42);
    },
    end() {
      this.end('a', 1);
    },
    empty() {
      this.send();
    },
    plain: (a, b) => a + b,
    zero: () => 0,
    later() {
      setTimeout(() => this.send('late', true), 5);
    },
    async promised() {
      return { promised: true };
    },
    async bagged() {
      this.set('a', 1);
    },
    async nothing() {},
    async chained() {
      return this.set('a', 1);
    },
    proto() {
      this.set('__proto__', 1).send();
    },
    sentAndReturned() {
      this.send(1);
      return 2;
    },
  };
  second.expose('way', functions);
  const results = {};
  for (const name of Object.keys(functions)) results[name] = await peer.invoke(`way.${name}`, [1, 2]);
  assert.deepEqual(results, {
    bag: { a: 1 }, pair: { a: 1, b: 2 }, value: 42, end: { a: 1 }, empty: {}, plain: 3, zero: 0,
    later: { late: true }, promised: { promised: true }, bagged: { a: 1 }, nothing: null,
    chained: { a: 1 }, proto: JSON.parse('{"__proto__":1}'), sentAndReturned: 1,
  });
});

test('errors', async (t) => {
  const { second, peer } = await pair(t);
  second.expose('fail', {
    coded() {
      this.error('You have an error!', 4565455);
    },
    plain() {
      this.error('plain');
    },
    text() {
      this.error('text', 'E_TEXT');
    },
    thrown() {
      throw new Error('thrown');
    },
    thrownCode() {
      throw Object.assign(new Error('coded'), { code: 'E_MINE' });
    },
    async rejected() {
      throw new RangeError('rejected');
    },
    bigint: () => 1n,
    huge: () => 'x'.repeat(2 << 20),
  });
  const errors = {};
  for (const name of ['coded', 'plain', 'text', 'thrown', 'thrownCode', 'rejected']) {
    const [error, result] = await called(peer, `fail.${name}`);
    errors[name] = error;
    assert.equal(result, null);
    await assert.rejects(peer.invoke(`fail.${name}`), (rejected) => {
      assert.ok(rejected instanceof Error);
      assert.deepEqual({ message: rejected.message, code: rejected.code }, error);
      assert.equal(rejected.executed, 'yes');
      assert.equal(rejected.peer, peer);
      return true;
    });
  }
  assert.deepEqual(errors, {
    coded: { message: 'You have an error!', code: 4565455 },
    plain: { message: 'plain', code: 1000 },
    text: { message: 'text', code: 'E_TEXT' },
    thrown: { message: 'thrown', code: 1000 },
    thrownCode: { message: 'coded', code: 'E_MINE' },
    rejected: { message: 'rejected', code: 1000 },
  });
  await assert.rejects(peer.invoke('fail.rejected'), { name: 'RangeError', stack: /rpc\.spec\.js/ });
  await assert.rejects(peer.invoke('fail.bigint'), { code: 'ERR_INVALID_VALUE' });
  await assert.rejects(peer.invoke('fail.huge'), { code: 'ERR_VALUE_TOO_LARGE' });
});

test('a second send is ignored, with a warning', async (t) => {
  const { second, peer } = await pair(t);
  second.expose('twice', function () {
    this.error('first', 5);
    this.send('second', 1);
  });
  const warned = once(second, 'warning');
  assert.deepEqual((await called(peer, 'twice'))[0], { message: 'first', code: 5 });
  const [{ code, message }] = await warned;
  assert.equal(code, 'ERR_ANSWERED_TWICE');
  assert.match(message, /'twice'/);
});

test('only what was exposed can be called', async (t) => {
  const { second, peer } = await pair(t);
  class Exposing {
    own = () => 'own';
    method() {}
  }
  second.expose('object', Object.assign(Object.create({ inherited() {} }), { mine: () => 'mine', value: 5, nothing: null }));
  second.expose('instance', new Exposing());
  assert.equal(await peer.invoke('object.mine'), 'mine');
  assert.equal(await peer.invoke('instance.own'), 'own');
  const names = [
    'object', 'object.value', 'object.nothing', 'object.inherited', 'instance.method', 'instance.constructor',
    'object.toString', 'toString', 'hasOwnProperty', '__proto__', 'constructor', 'nobody',
  ];
  for (const name of names) assert.deepEqual((await called(peer, name))[0], NOT_FOUND, name);
  await assert.rejects(peer.invoke('nobody'), { ...NOT_FOUND, name: 'Error', executed: 'no' });
  // Until they are exposed.
  for (const name of ['hasOwnProperty', '__proto__', 'constructor']) {
    second.expose(name, () => name);
    assert.equal(await peer.invoke(name), name);
  }
});

test('objects in objects, and objects in themselves', async (t) => {
  const { second, peer } = await pair(t);
  const object = { deep: { er: { add: (a, b) => a + b } }, list: [() => 'first'] };
  object.self = object;
  object.deep.up = object;
  second.expose('os', object);
  assert.equal(await peer.invoke('os.deep.er.add', [1, 2]), 3);
  assert.equal(await peer.invoke('os.list.0'), 'first');
  assert.deepEqual((await called(peer, 'os.self.deep.er.add'))[0], NOT_FOUND);
});

test('bad exposures are thrown, and nothing is exposed', async (t) => {
  const { second, peer } = await pair(t);
  for (const exposed of [undefined, null, 5, 'x', true]) {
    assert.throws(() => second.expose('x', exposed), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
  for (const name of [undefined, 5, '', 'x'.repeat(256)]) {
    assert.throws(() => second.expose(name, () => {}), { name: 'TypeError', code: 'ERR_INVALID_NAME' });
  }
  assert.throws(() => second.expose('x', { fine() {}, ['y'.repeat(255)]() {} }), { code: 'ERR_INVALID_NAME' });
  assert.deepEqual((await called(peer, 'x.fine'))[0], NOT_FOUND);
});

test('exposing again replaces', async (t) => {
  const { first, second, peer } = await pair(t);
  second.expose('x', () => 'former');
  second.expose('x', () => 'latter');
  assert.equal(await peer.invoke('x'), 'latter');
  second.peers[first.id].expose('x', () => 'for this peer');
  assert.equal(await peer.invoke('x'), 'for this peer');
});

test('peer.expose is for that peer alone', async (t) => {
  const [first, second, third] = await openServents(t, 3);
  first.peers[second.id].expose('secret', () => 'secret');
  assert.equal(await second.peers[first.id].invoke('secret'), 'secret');
  assert.deepEqual((await called(third.peers[first.id], 'secret'))[0], NOT_FOUND);
  assert.deepEqual((await third.peers[first.id].invoke('list')).Array, ['list']);
  assert.deepEqual((await second.peers[first.id].invoke('list')).Array, ['list', 'secret']);
});

test('servent.expose is for peers of before and of later', async (t) => {
  const { first, second, peer } = await pair(t);
  second.expose('x', () => 'x');
  assert.equal(await peer.invoke('x'), 'x');
  const late = await listening(t);
  late.connect(first.address().port);
  await meet([first, second, late]);
  assert.equal(await late.peers[second.id].invoke('x'), 'x');
});

test('list', async (t) => {
  const { second, peer } = await pair(t);
  assert.deepEqual(await peer.invoke('list'), { list: 'function', Array: ['list'] });
  second.expose('sum', (a, b) => a + b);
  second.expose('os', { cpus() {} });
  assert.deepEqual(await peer.invoke('list', []), {
    'list': 'function', 'sum': 'function', 'os.cpus': 'function', 'Array': ['list', 'sum', 'os.cpus'],
  });
});

test('bad calls', async (t) => {
  const { second, peer } = await pair(t);
  second.expose('x', (...params) => params);
  for (const method of [undefined, null, 5, {}]) {
    assert.deepEqual((await called(peer, method, []))[0], INVALID_REQUEST);
    await assert.rejects(peer.invoke(method), INVALID_REQUEST);
  }
  for (const params of [{ a: 1 }, 'text', 5, true]) {
    assert.deepEqual((await called(peer, 'x', params))[0], INVALID_PARAMS);
    await assert.rejects(peer.invoke('x', params), INVALID_PARAMS);
  }
  assert.deepEqual(await peer.invoke('x'), []);
  assert.deepEqual(await peer.invoke('x', null), []);
  assert.deepEqual(await peer.invoke('x', [undefined]), [null]);
  assert.equal((await called(peer, 'x', [1n]))[0].code, 'ERR_INVALID_VALUE');
  assert.equal((await called(peer, ''))[0].code, 'ERR_INVALID_NAME');
  assert.equal((await called(peer, 'x', ['y'.repeat(2 << 20)]))[0].code, 'ERR_VALUE_TOO_LARGE');
  for (const rest of [[[], 'callback'], [[], () => {}, 5], [[], { timeout: -1 }], [[], { timeout: '5' }], [[], { signal: {} }], [[], { ttl: 5 }]]) {
    assert.throws(() => peer.invoke('x', ...rest), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
});

test('a callback never runs within the call', async (t) => {
  const { second, peer } = await pair(t);
  second.destroy();
  await until('it is gone', () => peer.destroyed);
  for (const args of [['x'], [5], ['x', {}]]) {
    let within = true;
    const done = new Promise((resolve) => peer.invoke(...args, () => resolve(within)));
    within = false;
    assert.equal(await done, false);
  }
});

test('timeout', async (t) => {
  const { second, peer } = await pair(t);
  let signal;
  second.expose('never', function () {
    ({ signal } = this);
  });
  await assert.rejects(peer.invoke('never', [], { timeout: 50 }), { code: 'ERR_TIMEOUT', executed: 'unknown' });
  await until('the function knows', () => signal.aborted);
  assert.equal(signal.reason.code, 'ERR_TIMEOUT');
  const [error] = await new Promise((resolve) => peer.invoke('never', [], (...args) => resolve(args), { timeout: 50 }));
  assert.equal(error.code, 'ERR_TIMEOUT');
});

test('an AbortSignal', async (t) => {
  const { second, peer } = await pair(t);
  let signal;
  second.expose('never', function () {
    ({ signal } = this);
  });
  const controller = new AbortController();
  const promise = peer.invoke('never', [], { signal: controller.signal });
  await until('it works', () => signal);
  controller.abort('enough');
  await assert.rejects(promise, { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' });
  await until('the function knows', () => signal.aborted);
  assert.equal(signal.reason, 'enough');
  await assert.rejects(peer.invoke('never', [], { signal: controller.signal }), { code: 'ABORT_ERR', cause: 'enough' });
  const { signal: other } = new AbortController();
  second.expose('echo', (value) => value);
  assert.equal(await peer.invoke('echo', [1], { signal: other }), 1);
});

test('a peer that goes in the middle', async (t) => {
  const { second, peer } = await pair(t);
  let works = false;
  second.expose('never', () => void (works = true));
  const promise = peer.invoke('never');
  const [callback] = [called(peer, 'never')];
  await until('it works', () => works);
  second.destroy();
  await assert.rejects(promise, { code: 'ERR_PEER_LOST', executed: 'unknown' });
  assert.equal((await callback)[0].code, 'ERR_PEER_LOST');
});

test('broadcastInvoke calls back once for each peer', async (t) => {
  const [first, ...others] = await openServents(t, 3);
  for (const servent of others) servent.expose('who', () => servent.id);
  const got = [];
  const asked = first.broadcastInvoke('who', [], (error, result, id, { node, peer }) => {
    assert.equal(error, null);
    assert.equal(result, node);
    assert.equal(peer, first.peers[node]);
    got.push(result);
  });
  assert.equal(asked, 2);
  assert.equal(got.length, 0);
  await until('both have answered', () => got.length === 2);
  assert.deepEqual(got.sort(), others.map(({ id }) => id).sort());

  const errors = [];
  first.broadcastInvoke('nobody', (error) => errors.push(error));
  await until('both have answered', () => errors.length === 2);
  assert.deepEqual(errors, [NOT_FOUND, NOT_FOUND]);
  assert.equal(first.broadcastInvoke('who'), 2);
  assert.throws(() => first.broadcastInvoke('who', 5), INVALID_PARAMS);
  assert.throws(() => first.broadcastInvoke(5), INVALID_REQUEST);
});

test('broadcast in an exposed function', async (t) => {
  const [first, second, third] = await openServents(t, 3);
  for (const servent of [first, third]) servent.expose('name', () => servent.id);
  second.expose('ask', function () {
    const names = [];
    assert.equal(this.broadcast('name', [], (error, name) => {
      if (names.push(name) === 2) this.send('names', names.sort());
    }), this);
  });
  const { names } = await first.peers[second.id].invoke('ask');
  assert.deepEqual(names, [first.id, third.id].sort());
});

test('callbacks run in the async context of the call', async (t) => {
  const { second, peer } = await pair(t);
  second.expose('echo', (value) => value);
  const storage = new AsyncLocalStorage();
  const stores = await Promise.all([1, 2, 3].map((store) => storage.run(store, async () => {
    const seen = [];
    await Promise.all([
      new Promise((resolve) => peer.invoke('echo', [1], () => resolve(seen.push(storage.getStore())))),
      new Promise((resolve) => peer.invoke('nobody', () => resolve(seen.push(storage.getStore())))),
      new Promise((resolve) => peer.invoke(5, () => resolve(seen.push(storage.getStore())))),
      peer.servent.broadcastInvoke('echo', [1], () => seen.push(storage.getStore())),
    ]);
    await until('all are here', () => seen.length === 4);
    return seen;
  })));
  assert.deepEqual(stores, [1, 2, 3].map((store) => Array(4).fill(store)));
});

test('many calls at once, of a megabyte too', async (t) => {
  const { second, peer } = await pair(t);
  second.expose('echo', async (value) => value);
  const results = await Promise.all(Array.from({ length: 2000 }, (_, n) => peer.invoke('echo', [n])));
  assert.deepEqual(results, Array.from({ length: 2000 }, (_, n) => n));
  const big = 'x'.repeat((1 << 20) - 100);
  assert.ok(await peer.invoke('echo', [big]) === big);
});
