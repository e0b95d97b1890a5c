'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { checkKey, checkName, isName } = require('../lib/keys');

test('any well-formed text is a key', () => {
  for (const key of ['a', 'a.b', '', '.', '..', 'é☃', '😀', '__proto__', 'k v', '\0', 'a'.repeat(1e5)]) {
    checkKey(key);
  }
});

test('anything else is not', () => {
  const bad = [undefined, null, 1, true, Symbol('s'), {}, [], ['a'], new String('a'), () => {}, '\ud800', 'a.\udc00b'];
  for (const key of bad) assert.throws(() => checkKey(key), { name: 'TypeError', code: 'ERR_INVALID_KEY' });
});

test('a name has 1 to 255 bytes', () => {
  const fine = ['a', ' ', '__proto__', 'é☃😀', 'x'.repeat(255), 'é'.repeat(127), '☃'.repeat(85), '😀'.repeat(63)];
  for (const name of fine) {
    checkName(name);
    assert.ok(isName(name));
  }
  const bad = ['', 'x'.repeat(256), 'é'.repeat(128), '☃'.repeat(86), '😀'.repeat(64), '\ud800', undefined, null, 5, {}, Symbol('s'), new String('a')];
  for (const name of bad) {
    assert.throws(() => checkName(name), { name: 'TypeError', code: 'ERR_INVALID_NAME' });
    assert.ok(!isName(name));
  }
});
