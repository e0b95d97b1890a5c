'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { checkKey } = require('../lib/keys');

test('any well-formed text is a key', () => {
  for (const key of ['a', 'a.b', '', '.', '..', 'é☃', '😀', '__proto__', 'k v', '\0', 'a'.repeat(1e5)]) {
    checkKey(key);
  }
});

test('anything else is not', () => {
  const bad = [undefined, null, 1, true, Symbol('s'), {}, [], ['a'], new String('a'), () => {}, '\ud800', 'a.\udc00b'];
  for (const key of bad) assert.throws(() => checkKey(key), { name: 'TypeError', code: 'ERR_INVALID_KEY' });
});
