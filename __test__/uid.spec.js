'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { uid } = require('../lib/uid');

test('24 digits that say when, and are never the same twice', () => {
  const ids = new Set(Array.from({ length: 10_000 }, uid));
  assert.equal(ids.size, 10_000);
  for (const id of ids) assert.match(id, /^[0-9A-F]{24}$/);
  const seconds = Number.parseInt(uid().slice(0, 8), 16);
  assert.ok(Math.abs(seconds - Date.now() / 1000) < 5);
});

test('any process number will do', (t) => {
  const own = Object.getOwnPropertyDescriptor(process, 'pid');
  t.after(() => Object.defineProperty(process, 'pid', own));
  Object.defineProperty(process, 'pid', { ...own, value: 4_194_303 });
  delete require.cache[require.resolve('../lib/uid')];
  const { uid: fresh } = require('../lib/uid');
  assert.match(fresh(), /^[0-9A-F]{8}FFFF[0-9A-F]{12}$/);
});
