'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { inspect } = require('node:util');

const Collective = require('..');
const { openNode, openNodes } = require('./support/nodes');
const { run } = require('./support/process');
const { until } = require('./support/until');

test('set, get, has, increment, delete', async (t) => {
  const [{ state }, other] = await openNodes(t, 2);
  state.set('users.x', { name: 'X', tags: ['a'] });
  assert.deepEqual(state.get('users.x'), { name: 'X', tags: ['a'] });
  assert.equal(state.get(['users', 'x', 'name']), 'X');
  assert.equal(state.get('users.x.tags.0'), 'a');
  assert.deepEqual([state.has('users.x'), state.has('users.y'), state.has([])], [true, false, true]);
  assert.equal(state.increment('visits'), 1);
  assert.equal(state.increment('visits', 2.5), 3.5);
  assert.equal(state.increment(['visits'], -1), 2.5);
  await until('it arrives', () => other.state.get('visits') === 2.5);
  assert.deepEqual(other.state.get(), { users: { x: { name: 'X', tags: ['a'] } }, visits: 2.5 });
  assert.equal(other.state.delete('visits'), true);
  assert.equal(other.state.delete('visits'), false);
  assert.equal(other.state.get('visits'), undefined);
  await until('it is gone', () => !state.has('visits'));
});

test('segments may be any strings', async (t) => {
  const [{ state }, other] = await openNodes(t, 2);
  const paths = [['users', 'a.b@c.d'], ['users', ''], ['..'], ['a', '\0', '\u0001'], ['__proto__'], ['ü', '.'], ['users', 'plain']];
  for (const [index, path] of paths.entries()) {
    state.set(path, { index });
    assert.deepEqual(state.get(path), { index });
    assert.equal(state.get([...path, 'index']), index);
    assert.equal(state.increment([...path, 'n']), 1);
    assert.ok(state.has(path));
  }
  await until('all arrive', () => paths.every((path) => other.state.get([...path, 'n']) === 1));
  assert.deepEqual(other.state.keys('users').sort(), ['', 'a.b@c.d', 'plain']);
  assert.deepEqual(other.state.keys(['users', 'a.b@c.d']).sort(), ['index', 'n']);
  assert.equal(other.state.explain(['users', 'a.b@c.d', 'index']).json, '0');
  for (const path of paths) {
    assert.equal(state.delete(path), true);
    assert.equal(state.get(path), undefined);
  }
  // A key of two segments is another one than the segment with a dot.
  state.set(['a.b'], 1);
  state.set('a.b', 2);
  assert.deepEqual([state.get(['a.b']), state.get('a.b'), state.get(['a', 'b'])], [1, 2, 2]);
});

const badPaths = {
  'an empty string': '',
  'an empty first segment': '.a',
  'an empty last segment': 'a.',
  'an empty segment': 'a..b',
  'half of a surrogate pair': 'a\ud800',
  'half of one in a segment': ['a', '\udc00'],
  'a number': 5,
  null: null,
  'an object': { path: 'a' },
  'a segment that is a number': ['list', 0],
  'a hole': ['a', , 'b'],
};
for (const [name, path] of Object.entries(badPaths)) {
  test(`no path: ${name}`, async (t) => {
    const { state } = await openNode(t);
    const error = { name: 'TypeError', code: 'ERR_INVALID_KEY' };
    for (const method of ['get', 'has', 'set', 'increment', 'delete', 'keys', 'entries', 'watch', 'explain']) {
      assert.throws(() => state[method](path, method === 'increment' ? 1 : undefined), method === 'set' ? /./ : error, method);
    }
    assert.throws(() => state.set(path, 1), error);
  });
}

test('the state as a whole is read, not written', async (t) => {
  const { state } = await openNode(t);
  for (const path of [[], undefined]) {
    for (const write of [() => state.set(path, {}), () => state.increment(path), () => state.delete(path)]) {
      assert.throws(write, { code: 'ERR_INVALID_KEY' });
    }
    assert.deepEqual(state.get(path), {});
    assert.deepEqual(state.keys(path), []);
    assert.deepEqual(state.entries(path), []);
  }
});

test('what is no value or number is refused, and changes nothing', async (t) => {
  const { state } = await openNode(t);
  state.set('text', 'a');
  for (const value of [undefined, NaN, () => {}, Symbol('a'), 1n]) {
    assert.throws(() => state.set('a', value), { name: 'TypeError', code: 'ERR_INVALID_VALUE' });
  }
  for (const by of [NaN, Infinity, '1', null]) {
    assert.throws(() => state.increment('a', by), { name: 'TypeError', code: 'ERR_NOT_A_NUMBER' });
  }
  assert.throws(() => state.increment('text'), { code: 'ERR_NOT_A_NUMBER' });
  assert.deepEqual(state.get(), { text: 'a' });
});

test('values are deeply frozen, each once, and those of a Collective are not', async (t) => {
  const node = await openNode(t);
  const collective = new Collective(null, null, null, { node });
  const { state } = node;
  state.set('a', { b: [{ c: 1 }] });
  const value = state.get('a');
  assert.equal(state.get('a'), value);
  assert.throws(() => (value.b = 1), TypeError);
  assert.throws(() => value.b.push(1), TypeError);
  assert.throws(() => (value.b[0].c = 1), TypeError);
  assert.ok(Object.isFrozen(state.entries()[0][1].b[0]));
  const own = collective.get('a');
  own.b[0].c = 2;
  assert.equal(collective.get('a').b[0].c, 2);
  assert.equal(state.get('a').b[0].c, 1);
  state.set('a.b.0.c', 3);
  assert.deepEqual([collective.get('a').b[0].c, state.get('a').b[0].c, value.b[0].c], [3, 3, 1]);
});

test('keys, entries and size', async (t) => {
  const { state } = await openNode(t);
  state.set('whole', { b: 2, a: { x: 1 }, 'c.d': 3 });
  for (const name of ['b', 'a', 'c', 'ü', 'z']) state.set(['split', name], name);
  state.delete('split.c');
  state.set('list', ['p', 'q', 'r']);
  state.set('list.12', 's');
  assert.equal(state.size, 3);
  assert.deepEqual(state.keys('whole'), ['b', 'a', 'c.d']);
  assert.deepEqual(state.keys('split'), ['a', 'b', 'z', 'ü']);
  assert.deepEqual(state.keys('whole.b'), []);
  assert.deepEqual(state.keys('nothing'), []);
  assert.deepEqual(state.entries('whole'), [['a', { x: 1 }], ['b', 2], ['c.d', 3]]);
  assert.deepEqual(state.entries('split', { limit: 2 }), [['a', 'a'], ['b', 'b']]);
  assert.deepEqual(state.entries('split', { limit: 2, after: 'b' }), [['z', 'z'], ['ü', 'ü']]);
  assert.deepEqual(state.entries('whole', { after: 'aa' }), [['b', 2], ['c.d', 3]]);
  assert.deepEqual(state.entries('list', { limit: 2, after: '1' }), [['2', 'r'], ['12', 's']]);
  assert.deepEqual(state.entries('list.0'), []);
  assert.deepEqual(state.entries('nothing'), []);
  for (const options of [{ limit: 0 }, { limit: 1.5 }, { after: 1 }, { until: 'a' }, 5]) {
    assert.throws(() => state.entries('whole', options), { code: 'ERR_INVALID_ARGUMENT' });
  }
});

test('thousands of entries, in pages', async (t) => {
  const { state } = await openNode(t);
  const names = Array.from({ length: 5000 }, (_, n) => `n${String(n).padStart(4, '0')}`);
  for (const name of names) state.set(['many', name], { name });
  assert.deepEqual(state.entries('many').map(([name, value]) => [name, value.name]), names.map((name) => [name, name]));
  const pages = [];
  for (let after; ;) {
    const page = state.entries('many', { limit: 1500, after });
    if (page.length === 0) break;
    after = page.at(-1)[0];
    pages.push(page.length);
  }
  assert.deepEqual(pages, [1500, 1500, 1500, 500]);
});

test('data reads and writes through', async (t) => {
  const { state } = await openNode(t);
  state.data.users = { x: { name: 'X' } };
  state.data.users.y = { name: 'Y' };
  delete state.data.users.x;
  state.data.gone = undefined;
  assert.deepEqual(state.get(), { users: { y: { name: 'Y' } } });
  assert.deepEqual(JSON.parse(JSON.stringify(state.data)), { users: { y: { name: 'Y' } } });
  assert.equal(inspect(state.data.users), "{ y: { name: 'Y' } }");
  state.set(['users', ''], 1);
  assert.equal(state.data.users[''], 1);
  assert.equal(state.data, state.data);
});

test('the writes of a batch arrive together', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const seen = [];
  b.state.watch('pair', () => seen.push(b.state.get('pair')));
  const result = a.state.batch(() => {
    for (let n = 1; n <= 1000; n++) {
      a.state.set('pair.left', n);
      // One within another is a part of it.
      a.state.batch(() => a.state.set('pair.right', n));
    }
    assert.deepEqual(a.state.get('pair'), { left: 1000, right: 1000 }, 'the function sees its own writes');
    return 'done';
  });
  assert.equal(result, 'done');
  await until('it is told', () => seen.length > 0);
  assert.deepEqual(seen[0], { left: 1000, right: 1000 });
});

test('nobody ever sees a part of a batch', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  const torn = [];
  const watch = ({ state }) => state.watch('pair', () => {
    const { left, right } = state.get('pair');
    if (left !== right) torn.push([left, right]);
  });
  [b, c].forEach(watch);
  for (let n = 1; n <= 200; n++) {
    b.state.increment('noise');
    a.state.batch(() => {
      a.state.set('pair.left', n);
      for (let m = 0; m < 20; m++) a.state.increment('other');
      a.state.set('pair.right', n);
    });
    if (n % 10 === 0) await new Promise(setImmediate);
  }
  await until('all arrive', () => [b, c].every(({ state }) => state.get('pair.right') === 200));
  assert.deepEqual(torn, []);
  assert.equal(b.state.get('other'), 4000);
});

test('a batch that throws has made the writes before that', async (t) => {
  const [a, b] = await openNodes(t, 2);
  assert.throws(() => a.state.batch(() => {
    a.state.set('before', 1);
    throw new RangeError('no');
  }), RangeError);
  a.state.set('after', 1);
  await until('both arrive', () => b.state.get('before') === 1 && b.state.get('after') === 1);
  const bad = { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' };
  assert.throws(() => a.state.batch(async () => {}), bad);
  assert.throws(() => a.state.batch(), bad);
});

test('a batch that is larger than any message arrives as one too', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const sizes = new Set();
  b.state.watch('large', () => sizes.add(b.state.keys('large').length));
  a.state.batch(() => {
    for (let n = 0; n < 30; n++) a.state.set(`large.n${n}`, 'x'.repeat(500_000));
  });
  a.state.set('last', 1);
  // 15 MB, which an addon without optimisation takes its time for.
  await until('it is told', () => sizes.size > 0 && b.state.get('last') === 1, 60_000);
  assert.deepEqual([...sizes], [30]);
});

test('what ends the process in the middle of a batch does not lose its writes', async (t) => {
  const node = await openNode(t);
  const { code } = await run(t, `
    Collective.join({ seeds: ['${node.address}'] }).then(({ state }) => state.batch(() => {
      state.set('left.behind', 1);
      process.exit();
    }));
  `);
  assert.equal(code, 0);
  await until('it arrives', () => node.state.get('left.behind') === 1);
});

test('replicated: when so many have what was written', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  for (let n = 0; n < 100; n++) a.state.set(`n${n}`, n);
  assert.equal(await a.state.replicated(), 2);
  assert.deepEqual([b, c].map(({ state }) => state.get('n99')), [99, 99]);
  a.state.set('one', 1);
  assert.ok(await a.state.replicated({ peers: 1 }) >= 1);
  assert.equal(await a.state.replicated({ peers: 0 }) >= 0, true);
  const alone = await openNode(t);
  alone.state.set('a', 1);
  assert.equal(await alone.state.replicated(), 0, 'there is nobody');
});

test('replicated gives up in time, when aborted and when the node closes', async (t) => {
  const node = await openNode(t);
  node.state.set('a', 1);
  await assert.rejects(node.state.replicated({ peers: 1, timeout: 20 }), { code: 'ERR_TIMEOUT' });
  const reason = new Error('enough');
  const controller = new AbortController();
  const aborted = { code: 'ABORT_ERR', cause: reason };
  const waiting = node.state.replicated({ peers: 1, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, aborted);
  await assert.rejects(node.state.replicated({ peers: 1, signal: controller.signal }), aborted);
  for (const options of [{ peers: -1 }, { peers: 'most' }, { timeout: -1 }, { signal: {} }, { peer: 1 }]) {
    await assert.rejects(node.state.replicated(options), { code: 'ERR_INVALID_ARGUMENT' });
  }
  const closing = node.state.replicated({ peers: 1 });
  await Promise.all([node.destroy(), assert.rejects(closing, { code: 'ERR_CLOSED' })]);
  await assert.rejects(node.state.replicated(), { code: 'ERR_CLOSED' });
});

test('converged, and what is known of each peer', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  for (const { state, id } of [a, b, c]) state.set(id, 1);
  await until('all are at one', () => [...a.state.converged().values()].every(({ context, hash }) => context && hash));
  assert.deepEqual([...a.state.converged().keys()].sort(), [b.id, c.id].sort());
  const peer = a.peers.get(b.id);
  await until('the way is measured', () => peer.rtt !== null && peer.lag === 0);
  assert.ok(peer.rtt >= 0);
  assert.equal(a.state.explain(b.id).things[0].replica, peer.replica);
  a.state.set('more', 1);
  assert.equal(peer.lag, 1);
  assert.equal(a.state.converged().get(b.id).context, false);
  await a.state.replicated();
  assert.equal(peer.lag, 0);
});

test('a closed node', async (t) => {
  const node = await openNode(t);
  const { state } = node;
  await node.close();
  const closed = { code: 'ERR_CLOSED' };
  for (const use of [
    () => state.get('a'), () => state.has('a'), () => state.set('a', 1), () => state.increment('a'),
    () => state.delete('a'), () => state.keys(), () => state.entries(), () => state.size,
    () => state.watch('a', () => {}), () => state.explain('a'), () => state.batch(() => {}),
  ]) assert.throws(use, closed);
  assert.equal(state.converged().size, 0);
});
