'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { encode, encodeArguments } = require('../lib/json');

test('what JSON can hold is written as JSON.stringify writes it', () => {
  const values = [
    0, -0, 1, -1.5, 1e21, 5e-324, Number.MAX_VALUE, true, false, null, '', 'text', 'é☃"\\\n', '\ud800',
    [], [1, , 3], {}, { a: undefined, b: () => {}, c: NaN }, [undefined, Symbol('s'), Infinity],
    new Date(0), new Date(NaN), { toJSON: () => 5 }, new Number(3), new String('s'), Buffer.from('ab'),
    new Map([[1, 2]]), Object.create(null), JSON.parse('{"__proto__":{"x":1}}'),
  ];
  for (const value of values) assert.equal(encode(value), JSON.stringify(value));
});

const cycle = {};
cycle.self = { cycle };

for (const [name, value] of Object.entries({
  'NaN': NaN,
  'infinity': -Infinity,
  'a function': () => {},
  'a class': class {},
  'a symbol': Symbol('s'),
  'a BigInt': 1n,
  'a BigInt inside': { a: [1n] },
  'a cycle': cycle,
  'a toJSON that gives nothing': { toJSON: () => undefined },
})) {
  test(`${name} is refused`, () => {
    assert.throws(() => encode(value), { name: 'TypeError', code: 'ERR_INVALID_VALUE' });
  });
}

test('an exception of toJSON is the cause', () => {
  const cause = new Error('mine');
  assert.throws(() => encode({ toJSON() { throw cause; } }), { code: 'ERR_INVALID_VALUE', cause });
});

test('a value too deep for the stack is refused where writing it takes the stack', () => {
  const levels = 100_000;
  let deep = [];
  for (let i = 1; i < levels; i++) deep = [deep];
  let json;
  try {
    json = encode(deep);
  } catch (error) {
    assert.equal(error.code, 'ERR_TOO_DEEP');
    return;
  }
  // From Node.js 26 on it takes none; the node counts levels in any case.
  assert.equal(json, '['.repeat(levels) + ']'.repeat(levels));
});

test('arguments: each as a value, undefined as null', () => {
  const args = [1, 'two', { three: [3] }, undefined, null, [undefined], , { toJSON: () => undefined }];
  assert.equal(encodeArguments(args), '[1,"two",{"three":[3]},null,null,[null],null,null]');
  assert.equal(encodeArguments([]), '[]');
  for (const value of [NaN, Infinity, () => {}, Symbol('s'), 1n, cycle, { a: 1n }]) {
    assert.throws(() => encodeArguments(['fine', value]), { name: 'TypeError', code: 'ERR_INVALID_VALUE' });
  }
});
