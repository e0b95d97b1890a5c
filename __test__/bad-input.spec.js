'use strict';

/* Bad calls throw an error with a code, change nothing and send nothing. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { OPERATIONS } = require('..');
const { open, openAlone, openMesh } = require('./support/collectives');
const { openNode } = require('./support/nodes');
const { freeAddresses } = require('./support/ports');
const { openServent } = require('./support/servents');
const { until } = require('./support/until');

const { INCREMENT, DELETE } = OPERATIONS;

const cycle = {};
cycle.self = cycle;
const nested = (levels) => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

/** [arguments of set, code, class] */
const CALLS = {
  'key missing': [[], 'ERR_INVALID_KEY', TypeError],
  'key null': [[null, 1], 'ERR_INVALID_KEY', TypeError],
  'key a number': [[1, 1], 'ERR_INVALID_KEY', TypeError],
  'key an array': [[['a'], 1], 'ERR_INVALID_KEY', TypeError],
  'key a symbol': [[Symbol('a'), 1], 'ERR_INVALID_KEY', TypeError],
  'key with a lone surrogate': [['a\ud800', 1], 'ERR_INVALID_KEY', TypeError],
  'INCREMENT of a bad key': [[{}, 1, INCREMENT], 'ERR_INVALID_KEY', TypeError],
  'DELETE of a bad key': [[undefined, null, DELETE], 'ERR_INVALID_KEY', TypeError],
  'key too long': [['k'.repeat(4097), 1], 'ERR_KEY_TOO_LONG', Error],
  'key too long in UTF-8': [['é'.repeat(2049), 1], 'ERR_KEY_TOO_LONG', Error],
  'INCREMENT of a key too long': [['k'.repeat(4097), 1, INCREMENT], 'ERR_KEY_TOO_LONG', Error],
  'key too deep': [['a.'.repeat(64) + 'a', 1], 'ERR_TOO_DEEP', Error],
  'value too deep': [['a', nested(64)], 'ERR_TOO_DEEP', Error],
  'value much too deep': [['a', nested(5000)], 'ERR_TOO_DEEP', Error],
  'value too large': [['a', 'x'.repeat(1 << 20)], 'ERR_VALUE_TOO_LARGE', Error],
  'value NaN': [['a', NaN], 'ERR_INVALID_VALUE', TypeError],
  'value infinite': [['a', Infinity], 'ERR_INVALID_VALUE', TypeError],
  'value a function': [['a', () => {}], 'ERR_INVALID_VALUE', TypeError],
  'value a symbol': [['a', Symbol('s')], 'ERR_INVALID_VALUE', TypeError],
  'value a BigInt': [['a', 1n], 'ERR_INVALID_VALUE', TypeError],
  'value with a BigInt': [['a', [{ b: 1n }]], 'ERR_INVALID_VALUE', TypeError],
  'value with a cycle': [['a', cycle], 'ERR_INVALID_VALUE', TypeError],
  'INCREMENT by a text': [['n', '1', INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT by nothing': [['n', undefined, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT by null': [['n', null, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT by NaN': [['n', NaN, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT by infinity': [['n', -Infinity, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT by a BigInt': [['n', 1n, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT of a text': [['text', 1, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT of null': [['null', 1, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT of true': [['yes', 1, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT of an object': [['object', 1, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'INCREMENT of an array': [['list', 1, INCREMENT], 'ERR_NOT_A_NUMBER', TypeError],
  'a name below an array': [['list.name', 1], 'ERR_NOT_AN_INDEX', TypeError],
  'an index with a leading zero': [['list.01', 1], 'ERR_NOT_AN_INDEX', TypeError],
  'an index too large': [['list.65536', 1], 'ERR_NOT_AN_INDEX', TypeError],
  'operation 3': [['a', 1, 3], 'ERR_INVALID_OPERATION', TypeError],
  'operation -1': [['a', 1, -1], 'ERR_INVALID_OPERATION', TypeError],
  'operation a text': [['a', 1, '1'], 'ERR_INVALID_OPERATION', TypeError],
  'operation a name': [['a', 1, 'INCREMENT'], 'ERR_INVALID_OPERATION', TypeError],
  'operation false': [['a', 1, false], 'ERR_INVALID_OPERATION', TypeError],
  'operation NaN': [['a', 1, NaN], 'ERR_INVALID_OPERATION', TypeError],
};

const STATE = { n: 5, text: 'x', null: null, yes: true, object: { a: 1 }, list: [1] };

for (const [name, [args, code, Class]] of Object.entries(CALLS)) {
  test(name, async (t) => {
    const [collective, peer] = await openMesh(t, 2);
    for (const [key, value] of Object.entries(STATE)) collective.set(key, value);
    await until('the peer has it', () => 'list' in peer.data);

    assert.throws(() => collective.set(...args), (error) => {
      assert.equal(error.code, code);
      assert.ok(error instanceof Class);
      assert.notEqual(error.message, '');
      return true;
    });
    assert.deepEqual(collective.data, STATE);
    collective.set('after', 1);
    await until('the next write arrives', () => peer.get('after') === 1);
    assert.deepEqual(peer.data, { ...STATE, after: 1 });
  });
}

test('at the limits all is well', async (t) => {
  const collective = await openAlone(t);
  collective.set('k'.repeat(4096), 1);
  collective.set('a', nested(63));
  collective.set('b.'.repeat(63) + 'b', 1);
  collective.set('value', 'x'.repeat((1 << 20) - 2));
  assert.equal(collective.get('k'.repeat(4096)), 1);
  assert.equal(collective.get('value').length, (1 << 20) - 2);
});

test('limits can be moved', async (t) => {
  const collective = await openAlone(t, { limits: { keyBytes: 8000, depth: 100, valueBytes: 10 } });
  collective.set('k'.repeat(8000), 1);
  collective.set('a.'.repeat(99) + 'a', 1);
  assert.throws(() => collective.set('a', 'x'.repeat(9)), { code: 'ERR_VALUE_TOO_LARGE' });
});

test('a full state refuses own writes, takes those of peers, and says so once', async (t) => {
  const maxBytes = 1 << 16;
  const [peer, { local }] = await openMesh(t, 2);
  const all = [local, peer.local];
  const [own] = await freeAddresses(1);
  const full = await open(t, own, all, { maxBytes });
  const warnings = [];
  full.on('warning', ({ code }) => warnings.push(code));
  await until('all are connected', () => full.active === 2);

  full.set('count', 1, INCREMENT);
  const large = 'x'.repeat(maxBytes);
  const refused = { name: 'Error', code: 'ERR_STATE_FULL', message: /65536/ };
  assert.throws(() => full.set('large', large), refused);
  assert.throws(() => { full.data.large = large; }, refused);
  assert.equal(full.get('large'), undefined);
  full.set('small', 'x'.repeat(maxBytes / 2));
  assert.throws(() => full.set('other', 'x'.repeat(maxBytes / 2)), refused);

  peer.set('peers', large);
  await until('the peer\'s value is here', () => full.get('peers') === large);
  assert.ok(full.stats().documentBytes > maxBytes);
  assert.throws(() => full.set('more', 1), refused);
  full.set('small', 'y');
  full.set('count', 1, INCREMENT);
  full.set('peers', null, DELETE);
  full.set('more', 1);
  await until('all is equal', () => peer.get('more') === 1 && peer.get('small') === 'y');
  assert.deepEqual(peer.data, { count: 2, small: 'y', more: 1 });
  await until('it is told', () => warnings.length > 0);
  assert.deepEqual(warnings, ['ERR_STATE_FULL']);
});

test('a node and a servent have the limit too', async (t) => {
  const options = { maxBytes: 1000 };
  const node = await openNode(t, options);
  const servent = openServent(t, options);
  const large = 'x'.repeat(1000);
  for (const { state } of [node, servent.node]) {
    assert.throws(() => state.set('a', large), { code: 'ERR_STATE_FULL' });
    state.set('a', 'x');
    assert.throws(() => state.batch(() => state.set('b', large)), { code: 'ERR_STATE_FULL' });
    assert.equal(state.get('b'), undefined);
  }
});

test('get with what is no key', async (t) => {
  const collective = await openAlone(t);
  for (const key of [undefined, null, 1, {}, ['a'], Symbol('a'), '\udc00']) {
    assert.throws(() => collective.get(key), { name: 'TypeError', code: 'ERR_INVALID_KEY' });
  }
});

test('after close', async (t) => {
  const collective = await openAlone(t);
  collective.set('a', 1);
  collective.get('a');
  const { data } = collective;
  const closed = collective.close();
  const calls = [
    () => collective.set('a', 2),
    () => collective.set('a', 2, INCREMENT),
    () => collective.set('a', 2, DELETE),
    () => collective.get('a'),
    () => data.a,
    () => (data.a = 2),
    () => Object.keys(data),
    () => collective.stats(),
    () => collective.explain('a'),
  ];
  for (const call of calls) assert.throws(call, { code: 'ERR_CLOSED' });
  await closed;
  for (const call of calls) assert.throws(call, { code: 'ERR_CLOSED' });
  await collective.close();
  collective.ref().unref();
});
