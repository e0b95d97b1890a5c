'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { RESERVED_EVENTS, checkEvent, isEvent } = require('../lib/event-names');

test('the reserved names', () => {
  assert.deepEqual(RESERVED_EVENTS, [
    'error', 'warning', 'listening', 'close', 'connection', 'drop', 'peer', 'peerLeave',
    'newListener', 'removeListener',
  ]);
  for (const name of [...RESERVED_EVENTS, 'collective-io:workers']) {
    assert.ok(!isEvent(name));
    assert.throws(() => checkEvent(name), { name: 'TypeError', code: 'ERR_RESERVED_EVENT' });
  }
});

test('other names', () => {
  for (const name of ['end', 'rpc', 'data', 'PIO::REQUEST::x', '__proto__', 'x'.repeat(255), 'é'.repeat(127)]) {
    assert.ok(isEvent(name));
    checkEvent(name);
  }
  for (const name of ['', 'x'.repeat(256), 'é'.repeat(128), '\ud800', Symbol('s'), 5, undefined]) {
    assert.ok(!isEvent(name));
    assert.throws(() => checkEvent(name), { name: 'TypeError', code: 'ERR_INVALID_NAME' });
  }
});
