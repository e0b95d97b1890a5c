'use strict';

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const test = require('node:test');

const { join } = require('..');
const { openNode, openNodes } = require('./support/nodes');
const { run } = require('./support/process');
const { until } = require('./support/until');

/** A copy of what is watched, kept by what is told alone. */
class Copy {
  root = {};
  changes = [];
  #depth;

  constructor(path, value) {
    this.#depth = path.length;
    this.root.value = structuredClone(value);
  }

  take = (change) => {
    this.changes.push(change);
    let at = this.root;
    const names = ['value', ...change.path.slice(this.#depth)];
    for (const name of names.slice(0, -1)) at = at[name];
    if (change.value === undefined) delete at[names.at(-1)];
    else at[names.at(-1)] = structuredClone(change.value);
  };
}

/** `Promise.withResolvers`, which Node.js 20 lacks. */
function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

const plain = ({ path, value, local, skipped }) => ({ path: path.join('/'), value, local, skipped });

test('a listener is told what changes below a path, here and elsewhere', async (t) => {
  const [a, b] = await openNodes(t, 2);
  a.state.set('users.x', { name: 'X' });
  await until('it arrives', () => b.state.has('users.x'));
  const told = [];
  const stop = b.state.watch('users', (change) => told.push(plain(change)));
  a.state.set('users.x.name', 'Y');
  await until('the first is told', () => told.length === 1);
  // The value was one until somebody wrote below it.
  assert.deepEqual(told.shift(), { path: 'users/x', value: { name: 'Y' }, local: false, skipped: false });
  a.state.set('users.x.name', 'Z');
  await until('the second is told', () => told.length === 1);
  assert.deepEqual(told.shift(), { path: 'users/x/name', value: 'Z', local: false, skipped: false });
  b.state.set(['users', 'a.b'], 1);
  b.state.delete('users.x');
  b.state.set('other', 1);
  await until('its own are told', () => told.length === 2);
  assert.deepEqual(told.splice(0), [
    { path: 'users/a.b', value: 1, local: true, skipped: false },
    { path: 'users/x', value: undefined, local: true, skipped: false },
  ]);
  a.state.delete('users');
  await until('what is above is told', () => told.length === 1);
  assert.deepEqual(told.shift(), { path: 'users', value: undefined, local: false, skipped: false });
  stop();
  stop();
  a.state.set('users.late', 1);
  await until('it arrives', () => b.state.has('users.late'));
  await new Promise(setImmediate);
  assert.deepEqual(told, []);
});

test('once a turn, however often something was written', async (t) => {
  const { state } = await openNode(t);
  const told = [];
  state.watch('n', (change) => told.push(change.value));
  for (let n = 0; n < 1000; n++) state.increment('n');
  await until('it is told', () => told.length > 0);
  assert.deepEqual(told, [1000]);
});

test('what is told is frozen, and each change is of its own', async (t) => {
  const { state } = await openNode(t);
  const told = [];
  state.watch('a', (change) => told.push(change));
  state.set('a', { b: [1] });
  await until('it is told', () => told.length > 0);
  const [{ path, value }] = told;
  for (const frozen of [told[0], path, value, value.b]) assert.ok(Object.isFrozen(frozen));
});

test('an iterator, to begin with what is there, to the end of the node', async (t) => {
  const { state, ...node } = { state: (await openNode(t)).state };
  void node;
  state.set('a.b', 1);
  const changes = state.watch('a', { initial: true });
  assert.deepEqual((await changes.next()).value, { path: ['a'], value: { b: 1 }, local: false, skipped: false });
  state.set('a.b', 2);
  state.set('a.c', 3);
  const found = [];
  for await (const { path, value } of changes) {
    found.push([path.join('.'), value]);
    if (found.length === 2) break;
  }
  assert.deepEqual(found, [['a.b', 2], ['a.c', 3]]);
  assert.deepEqual(await changes.next(), { value: undefined, done: true });
});

test('an iterator that is slow is told the last value, once', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const changes = b.state.watch([]);
  for (let n = 1; n <= 500; n++) {
    a.state.set('n', n);
    if (n % 50 === 0) await a.state.replicated();
  }
  await until('all arrive', () => b.state.get('n') === 500);
  const { value } = await changes.next();
  assert.deepEqual([value.path, value.value], [['n'], 500]);
  a.state.set('n', 0);
  assert.equal((await changes.next()).value.value, 0);
  await changes.return();
});

test('whoever is told of a change finds it when he reads', async (t) => {
  const [a, b] = await openNodes(t, 2);
  // Each write here has this node look for changes, also where one of the peer has only just come.
  const { promise: done, resolve, reject } = withResolvers();
  const answer = (node, from, to) => node.state.watch(from, ({ value }) => {
    try {
      assert.equal(node.state.get(from), value);
    } catch (error) {
      reject(error);
    }
    if (value === 300) resolve();
    else node.state.set(to, value + 1);
  });
  answer(a, 'ping', 'pong');
  answer(b, 'pong', 'ping');
  a.state.set('pong', 0);
  await done;

  const changes = a.state.watch('told');
  void (async () => {
    for (let n = 1; n <= 300; n++) {
      b.state.set('told', n);
      await new Promise(setImmediate);
    }
  })();
  for await (const { value } of changes) {
    // Or what has come since.
    assert.ok(a.state.get('told') >= value);
    if (value === 300) break;
    a.state.set('other', value);
  }
});

test('what an iterator takes leaves what was read in the same turn as it was', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const changes = a.state.watch('n');
  b.state.set('n', 1);
  assert.equal((await changes.next()).value.value, 1);
  b.state.set('n', 2);
  b.state.set('m', 1);
  await b.state.replicated();
  const before = a.state.get('n');
  const next = changes.next();
  assert.equal(a.state.get('n'), before);
  assert.equal((await next).value.value, 2);
  assert.equal(a.state.get('n'), 2);
  await changes.return();
});

test('calls of next that wait are answered in order', async (t) => {
  const { state } = await openNode(t);
  const changes = state.watch('a');
  const waiting = [changes.next(), changes.next(), changes.next(), changes.next()];
  state.set('a.x', 1);
  state.set('a.y', 2);
  await new Promise(setImmediate);
  state.set('a.z', 3);
  const first = await Promise.all(waiting.slice(0, 2));
  assert.deepEqual(first.map(({ value }) => value.path.join('.')), ['a', 'a.z']);
});

test('abort ends a listener and rejects an iterator once', async (t) => {
  const { state } = await openNode(t);
  const controller = new AbortController();
  const { signal } = controller;
  const told = [];
  state.watch('a', (change) => told.push(change), { signal });
  const changes = state.watch('a', { signal });
  const waiting = changes.next();
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(waiting, { name: 'AbortError', code: 'ABORT_ERR', cause: reason });
  assert.equal((await changes.next()).done, true);
  const late = state.watch('a', { signal });
  await assert.rejects(late.next(), { code: 'ABORT_ERR' });
  assert.equal((await late.next()).done, true);
  state.watch('a', (change) => told.push(change), { signal })();
  state.set('a', 1);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.deepEqual(told, []);
});

test('the end of the node ends what waits', async () => {
  const node = await join();
  const waiting = node.state.watch('a').next();
  await node.close();
  assert.deepEqual(await waiting, { value: undefined, done: true });
});

test('bad arguments', async (t) => {
  const { state } = await openNode(t);
  const bad = { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' };
  for (const options of [{ signal: {} }, { initial: 1 }, { deep: true }, 5, 'a']) {
    assert.throws(() => state.watch('a', options), bad);
    assert.throws(() => state.watch('a', () => {}, options), bad);
  }
});

test('a listener is called in the context of its watch, and one that throws does not stop others', async (t) => {
  const { code, stdout, stderr } = await run(t, `
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    Collective.join().then(({ state, close }) => {
      state.watch('a', () => { throw new Error('mine'); });
      state.watch('a', ({ value }) => console.log('told', value));
      state.set('a', 1);
      setTimeout(process.exit, 50);
    });
  `);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n').sort(), ['told 1', 'uncaught mine']);

  const { state } = await openNode(t);
  const storage = new AsyncLocalStorage();
  const told = new Promise((resolve) => {
    storage.run('mine', () => state.watch('a', () => resolve(storage.getStore())));
  });
  state.set('a', 1);
  assert.equal(await told, 'mine');
});

test('more than is kept: it says so, and the value is there to be read', async (t) => {
  const { state } = await openNode(t);
  const changes = state.watch('many');
  for (let n = 0; n < 20_000; n++) state.set(['many', `n${n}`], n);
  const { value: change } = await changes.next();
  assert.deepEqual([change.path, change.skipped, change.local], [['many'], true, false]);
  assert.equal(Object.keys(change.value).length, 20_000);
  state.set('many.last', 1);
  assert.deepEqual(plain((await changes.next()).value), { path: 'many/last', value: 1, local: true, skipped: false });
});

test('a copy made of what is told is what is there, across a cut and a feed', async (t) => {
  const options = { heartbeatInterval: 100, lossTimeout: 500 };
  const a = await openNode(t, options);
  const b = await openNode(t, { ...options, seeds: [a.address] });
  for (let n = 0; n < 50; n++) a.state.set(`tree.k${n}`, { n });
  await a.state.replicated();
  const copy = new Copy(['tree'], b.state.get('tree'));
  b.state.watch('tree', copy.take);
  const { address } = a;
  await Promise.all([once(b, 'peer:leave'), a.close()]);

  // Another node at the same place has the state from b, and changes it while b is cut off.
  const c = await openNode(t, { ...options, listen: address });
  await until('they meet again', () => c.peers.size === 1 && c.state.has('tree.k49'), 20_000);
  for (let n = 0; n < 50; n++) {
    if (n % 3 === 0) c.state.delete(`tree.k${n}`);
    else if (n % 3 === 1) c.state.set(`tree.k${n}.n`, -n);
    else b.state.set(`tree.k${n}`, [n]);
  }
  c.state.increment('tree.sum', 5);
  await Promise.all([b, c].map(({ state }) => state.replicated()));
  await until('the copy is complete', () => {
    assert.deepEqual(copy.root.value, b.state.get('tree'));
    assert.deepEqual(b.state.get('tree'), c.state.get('tree'));
    return true;
  });
});
