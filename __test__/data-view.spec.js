'use strict';

const assert = require('node:assert');
const test = require('node:test');
const { inspect, format } = require('node:util');

const { openAlone, openMesh } = require('./support/collectives');
const { until } = require('./support/until');

const PLAIN = { a: { n: 1, list: [1, { x: null }, []], empty: {} }, text: 'é', no: false };

async function setup(t) {
  const collective = await openAlone(t);
  for (const [key, value] of Object.entries(PLAIN)) collective.set(key, value);
  return collective;
}

test('it looks like the plain object it stands for', async (t) => {
  const { data } = await setup(t);
  assert.deepEqual(data, PLAIN);
  assert.deepEqual(PLAIN, data);
  assert.deepStrictEqual(data, PLAIN);
  assert.deepStrictEqual(PLAIN, data);
  assert.deepStrictEqual(data.a.list, PLAIN.a.list);
  assert.notDeepStrictEqual(data, {});
  assert.notDeepStrictEqual(data.a, { ...PLAIN.a, n: 2 });
  assert.notDeepStrictEqual(data.a.list, [1, { x: null }]);
  assert.equal(JSON.stringify(data.a.list), JSON.stringify(PLAIN.a.list));
  assert.deepStrictEqual(JSON.parse(JSON.stringify(data)), PLAIN);
  assert.deepStrictEqual(JSON.parse(JSON.stringify({ inside: data.a })), { inside: PLAIN.a });
  assert.equal(inspect(data.a.list), inspect(PLAIN.a.list));
  assert.equal(inspect(data.text), inspect('é'));
  assert.equal(format('%j', data.a.list), format('%j', PLAIN.a.list));
  assert.match(inspect(data, { depth: Infinity }), /list: \[ 1, \{ x: null \}, \[\] \]/);
  assert.equal(String(data), '[object Object]');
  assert.equal(typeof data, 'object');
  assert.equal(Object.getPrototypeOf(data), Object.prototype);
});

test('it can be walked', async (t) => {
  const { data } = await setup(t);
  assert.deepStrictEqual(Object.keys(data).sort(), Object.keys(PLAIN).sort());
  assert.deepStrictEqual(Object.fromEntries(Object.entries(data)), PLAIN);
  assert.deepStrictEqual({ ...data }, PLAIN);
  assert.deepStrictEqual(Object.assign({}, data.a), PLAIN.a);
  const names = [];
  for (const name in data) names.push(name);
  assert.deepStrictEqual(names.sort(), Object.keys(PLAIN).sort());
  assert.ok('a' in data);
  assert.ok(!('b' in data));
  assert.ok('toString' in data);
  assert.ok(Object.hasOwn(data, 'a'));
  assert.ok(!Object.hasOwn(data, 'toString'));
  assert.ok(data.hasOwnProperty('text'));
  assert.ok(data.propertyIsEnumerable('text'));
  assert.equal(data.b, undefined);
  const { a: { n }, ...rest } = data;
  assert.equal(n, 1);
  assert.deepStrictEqual(rest, { text: 'é', no: false });
});

test('an array is an array', async (t) => {
  const { data } = await setup(t);
  const { list } = data.a;
  assert.ok(Array.isArray(list));
  assert.equal(list.length, 3);
  assert.deepStrictEqual([...list], PLAIN.a.list);
  assert.deepStrictEqual(list.map((item) => typeof item), ['number', 'object', 'object']);
  assert.equal(list.at(-1).length, 0);
  assert.equal(list.indexOf(list[1]), 1);
  assert.deepStrictEqual(list.slice(0, 1), [1]);
  assert.deepStrictEqual([].concat(list), PLAIN.a.list);
  assert.deepStrictEqual(Object.keys(list), ['0', '1', '2']);
  assert.ok(!('3' in list));
});

test('assigning and deleting are writes', async (t) => {
  const [first, second] = await openMesh(t, 2);
  first.data.a = { b: { c: 1 } };
  const { a } = first.data;
  a.b.c = 2;
  a.d = [1];
  delete first.data.a.b.missing;
  Object.assign(first.data.a, { e: 'x' });
  Object.defineProperty(first.data.a, 'f', { value: null });
  const expected = { a: { b: { c: 2 }, d: [1], e: 'x', f: null } };
  assert.deepStrictEqual(first.data, expected);
  await until('the other has it', () => second.get('a.f') === null);
  assert.deepStrictEqual(second.data, expected);

  delete second.data.a.b;
  second.data.a.e = undefined;
  await until('it is gone', () => !('b' in a) && !('e' in a));
  assert.deepStrictEqual(first.data, { a: { d: [1], f: null } });
  assert.deepStrictEqual(first.get('a'), { d: [1], f: null });
});

test('a view stays live', async (t) => {
  const collective = await setup(t);
  const { a } = collective.data;
  assert.equal(collective.data.a, a);
  collective.set('a.n', 5);
  assert.equal(a.n, 5);
  collective.set('a', [1]);
  assert.ok(Array.isArray(collective.data.a));
  collective.set('a', 'text');
  assert.deepStrictEqual(Object.keys(a), []);
  assert.equal(collective.data.a, 'text');
  a.again = 1;
  assert.deepStrictEqual(collective.get('a'), { again: 1 });
});

test('methods of arrays write', async (t) => {
  const collective = await openAlone(t);
  collective.data.list = [3, 1];
  const { list } = collective.data;
  const now = () => collective.get('list');
  assert.equal(list.push(2), 3);
  assert.deepStrictEqual(now(), [3, 1, 2]);
  assert.equal(list.pop(), 2);
  assert.deepStrictEqual(now(), [3, 1]);
  list.sort();
  assert.deepStrictEqual(now(), [1, 3]);
  list.unshift(0);
  assert.deepStrictEqual(now(), [0, 1, 3]);
  list.splice(1, 1);
  assert.deepStrictEqual(now(), [0, 3]);
  list[3] = 'end';
  assert.deepStrictEqual(now(), [0, 3, null, 'end']);
  assert.deepStrictEqual([...list], [0, 3, null, 'end']);
  delete list[0];
  assert.equal(list[0], null);
  list.length = 1;
  assert.deepStrictEqual(now(), [null]);
  list.length = 0;
  assert.deepStrictEqual(now(), []);
  assert.throws(() => (list.name = 1), { code: 'ERR_NOT_AN_INDEX' });
});

test('names of Object.prototype are ordinary', async (t) => {
  const collective = await openAlone(t);
  collective.data.__proto__ = { x: 1 };
  collective.data.constructor = 'c';
  collective.data.a = JSON.parse('{"__proto__":{"y":2}}');
  assert.equal({}.x, undefined);
  assert.deepStrictEqual(Object.keys(collective.data).sort(), ['__proto__', 'a', 'constructor']);
  assert.equal(collective.get('__proto__.x'), 1);
  assert.equal(collective.data.__proto__.x, 1);
  assert.equal(collective.get('a.__proto__.y'), 2);
  assert.deepStrictEqual(collective.data.a.__proto__, { y: 2 });
  assert.equal(JSON.stringify(collective.data.a), '{"__proto__":{"y":2}}');
  assert.equal(collective.data.toString.name, 'toString');
});

test('a name with a dot in a value can be read and not written', async (t) => {
  const collective = await openAlone(t);
  collective.set('a', { 'x.y': { z: 1 }, x: { y: 2 } });
  assert.deepStrictEqual(collective.data.a, { 'x.y': { z: 1 }, x: { y: 2 } });
  assert.deepStrictEqual(collective.data.a['x.y'], { z: 1 });
  assert.equal(collective.data['a.x'], undefined);
  assert.ok('x.y' in collective.data.a);
  assert.throws(() => (collective.data['a.x'] = 1), { code: 'ERR_INVALID_KEY' });
  assert.throws(() => delete collective.data.a['x.y'], { code: 'ERR_INVALID_KEY' });
  assert.equal(collective.data.a['\ud800'], undefined);
});

test('what an assignment cannot mean is refused', async (t) => {
  const collective = await setup(t);
  const { data } = collective;
  assert.throws(() => (data.f = () => {}), { code: 'ERR_INVALID_VALUE' });
  assert.throws(() => (data[Symbol('s')] = 1), TypeError);
  assert.throws(() => Object.freeze(data), TypeError);
  assert.throws(() => Object.setPrototypeOf(data, null), TypeError);
  assert.throws(() => Object.defineProperty(data, 'g', { get: () => 1 }), TypeError);
  assert.throws(() => (collective.data = {}), { code: 'ERR_INVALID_ARGUMENT' });
  assert.deepStrictEqual(data, PLAIN);
});
