'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { inspect } = require('node:util');

const {
  ERROR, OUTCOMES, describeError, encodeReason, outcomeError, rebuildError, stopReason,
} = require('../lib/outcomes');

const travel = (thrown) => rebuildError(JSON.parse(describeError(thrown)));

test('an error arrives as it was', () => {
  const error = Object.assign(new TypeError('why', { cause: new RangeError('deep') }), { code: 'E_MINE' });
  const there = travel(error);
  assert.ok(there instanceof Error);
  const { name, message, code, stack } = there;
  assert.deepEqual({ name, message, code, stack }, { name: 'TypeError', message: 'why', code: 'E_MINE', stack: error.stack });
  assert.equal(there.cause.name, 'RangeError');
  assert.deepEqual(Object.keys(there), ['code']);
  assert.match(inspect(there), /TypeError\]?: why\n {4}at /);
});

test('a number as code', () => {
  assert.equal(travel(Object.assign(new Error('x'), { code: 404 })).code, 404);
  assert.ok(!('code' in travel(Object.assign(new Error('x'), { code: NaN }))));
});

test('an error is cut to a size that fits', () => {
  const huge = new Error('\0'.repeat(1e6));
  let cause = huge;
  for (let i = 0; i < 100; i++) cause = Object.assign(new Error('\0'.repeat(1e6), { cause }), { stack: '\0'.repeat(1e6) });
  const text = describeError(cause);
  assert.ok(text.length < 1 << 20, `${text.length}`);
  let causes = 0;
  for (let at = travel(cause); at.cause; at = at.cause) causes++;
  assert.equal(causes, 4);
});

test('nothing that a peer can say throws or is trusted', () => {
  const descriptions = [
    null, 5, 'x', [], {}, { message: 5 }, { name: {}, message: [] }, { code: {} }, { stack: 5 }, { cause: null },
    { __proto__: null, message: 'x' }, JSON.parse('{"__proto__":{"polluted":1},"message":"x"}'),
  ];
  for (const description of descriptions) {
    const error = rebuildError(description);
    assert.ok(error instanceof Error);
    for (const text of [error.name, error.message, error.stack]) assert.equal(typeof text, 'string');
    assert.equal({}.polluted, undefined);
  }
  let deep = { message: 'x' };
  for (let i = 0; i < 50; i++) deep = { message: 'x', cause: deep };
  rebuildError(deep);
});

test('the error of each outcome', () => {
  const origin = { node: 'A', peer: undefined };
  for (const [outcome, { code, executed }] of OUTCOMES.entries()) {
    if (outcome <= ERROR) continue;
    const error = outcomeError(outcome, undefined, origin);
    assert.equal(error.code, code);
    assert.equal(error.executed, executed);
    assert.equal(error.node, 'A');
    assert.match(error.message, /Node A /);
  }
  assert.equal(outcomeError(ERROR, { message: 'x', code: 7 }, origin).code, 7);
});

test('reasons to stop', () => {
  const there = (reason) => stopReason(1, JSON.parse(encodeReason(reason)));
  for (const value of ['text', 0, false, null, { a: 1 }, [1]]) assert.deepEqual(there(value), value);
  assert.equal(there(undefined).name, 'AbortError');
  assert.equal(there(new TypeError('why')).name, 'TypeError');
  assert.equal(there(AbortSignal.abort().reason).name, 'AbortError');
  assert.ok(there(1n) instanceof Error);
  assert.ok(encodeReason('x'.repeat(1e6)).length < 100_000);
  assert.equal(stopReason(0).code, 'ERR_TIMEOUT');
  assert.equal(stopReason(2).code, 'ERR_PEER_LOST');
  assert.equal(stopReason(3).code, 'ERR_CLOSED');
  for (const odd of [5, 'x', []]) assert.equal(stopReason(1, odd).code, 'ABORT_ERR');
});
