'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { inspect } = require('node:util');

const { History } = require('../lib/history');

function setup() {
  const keys = new Set();
  return { keys, history: new History((key) => keys.has(key)) };
}

test('a write made here has its time', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1000 });
  const { keys, history } = setup();
  keys.add('a.b').add('c');
  history.wrote('a.b');
  t.mock.timers.setTime(2000);
  history.wrote('c');
  assert.equal(history.view['a.b'], 1000);
  assert.equal(history.view.c, 2000);
  history.wrote('a.b');
  assert.equal(history.view['a.b'], 2000);
  assert.deepEqual({ ...history.view }, { 'a.b': 2000, c: 2000 });
  assert.equal(inspect(history.view), "{ 'a.b': 2000, c: 2000 }");
});

test('a value from elsewhere has the time when it was first asked for', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1000 });
  const { keys, history } = setup();
  keys.add('a');
  assert.equal(history.view.a, 1000);
  t.mock.timers.setTime(2000);
  assert.equal(history.view.a, 1000);
  assert.ok('a' in history.view);
});

test('what is not there has no time', () => {
  const { keys, history } = setup();
  assert.equal(history.view.a, undefined);
  assert.ok(!('a' in history.view));
  keys.add('a');
  history.wrote('a');
  keys.delete('a');
  history.forget('a');
  assert.equal(history.view.a, undefined);
  assert.deepEqual(Object.keys(history.view), []);
  history.view.unknown += 1500;
  assert.ok(!history.holds('unknown'));
});

test('a time in the future holds the key until then', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1000 });
  const { keys, history } = setup();
  keys.add('a');
  history.wrote('a');
  assert.ok(!history.holds('a'));
  history.view.a += 1500;
  assert.equal(history.view.a, 2500);
  assert.ok(history.holds('a'));
  assert.ok(!history.holds('a.b'));
  t.mock.timers.setTime(2499);
  assert.ok(history.holds('a'));
  t.mock.timers.setTime(2500);
  assert.ok(!history.holds('a'));
  history.wrote('a');
  assert.equal(history.view.a, 2500);
  history.view.a = Infinity;
  assert.ok(history.holds('a'));
  delete history.view.a;
  assert.ok(!history.holds('a'));
});

test('memory does not grow with the number of writes', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1000 });
  const { keys, history } = setup();
  keys.add('first').add('key99999');
  history.wrote('first');
  t.mock.timers.setTime(2000);
  for (let i = 0; i < 100_000; i++) history.wrote(`key${i}`);
  assert.equal(history.view.key99999, 2000);
  assert.equal(history.view.first, 2000, 'long ago: the time of asking');
});

test('names of Object.prototype are keys like others', () => {
  const { keys, history } = setup();
  assert.equal(typeof history.view.hasOwnProperty, 'function');
  keys.add('constructor').add('__proto__');
  assert.equal(typeof history.view.constructor, 'number');
  assert.equal(typeof history.view.__proto__, 'number');
});
