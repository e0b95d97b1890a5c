'use strict';

/*
 * The scenario of collective.js's own test suite, in our words: its order, its waiting times, its
 * way of looking at `data` and `connections`.
 */

const assert = require('node:assert');
const test = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const Collective = require('..');
const { freePorts } = require('./support/ports');

/** What the original waits for sockets. */
const FLUSH_MS = 500;

function start(t, local, all) {
  return new Promise((resolve) => {
    const collective = new Collective(local, all, resolve);
    t.after(() => collective.close());
  });
}

function countConnections(collective) {
  let count = 0;
  for (const name in collective.connections) {
    if (collective.connections.hasOwnProperty(name)) count++;
  }
  return count;
}

test('the original suite', async (t) => {
  const ports = await freePorts(3);
  // One machine under two names, so that it counts as two.
  const host1 = { host: 'localhost', port: ports[0] };
  const host2 = { host: '127.0.0.1', port: ports[1] };
  const host3 = { host: '127.0.0.1', port: ports[2] };
  const both = [host1, host2];

  const one = await start(t, host1, both);
  assert.strictEqual(one.active, 0);
  assert.strictEqual(countConnections(one), 0);

  one.set('foo1', 'bar');
  assert.strictEqual(one.data.foo1, 'bar');
  one.set('foo1', 7);
  assert.strictEqual(one.data.foo1, 7);
  one.set('foo1', 7, one.OPERATIONS.INCREMENT);
  assert.strictEqual(one.data.foo1, 14);
  one.set('foo1', -7, one.OPERATIONS.INCREMENT);
  assert.strictEqual(one.data.foo1, 7);
  one.set('foo1', { sample: true });
  assert.deepEqual(one.data.foo1, { sample: true });
  assert.deepEqual(one.get('foo1'), { sample: true });
  one.set('foo1', null, one.OPERATIONS.DELETE);
  assert.deepEqual(one.data.foo1, undefined);

  one.set('foo2.bar', 'quz');
  assert.strictEqual(one.data.foo2.bar, 'quz');
  one.set('foo2.bar', { sample: true });
  assert.deepEqual(one.data.foo2.bar, { sample: true });
  assert.deepEqual(one.get('foo2.bar'), { sample: true });
  one.set('foo2.bar', null, one.OPERATIONS.DELETE);
  assert.deepEqual(one.data.foo2.bar, undefined);

  const two = await start(t, host2, both);
  assert.strictEqual(two.active, 1);
  assert.strictEqual(countConnections(two), 1);

  await sleep(FLUSH_MS);
  assert.strictEqual(one.active, two.active);
  assert.strictEqual(countConnections(one), countConnections(two));
  assert.deepEqual(one.data, two.data);

  one.set('foo3', 'bar');
  two.set('foo4', 'bar');
  await sleep(FLUSH_MS);
  assert.deepEqual(one.data, two.data);

  // A SET that is older than what is there.
  one.history.foo3 += 1500;
  two.history.foo3 += 1500;
  two.set('foo3', 'bar_newer');
  await sleep(FLUSH_MS);
  assert.deepEqual(one.data.foo3, 'bar');
  assert.strictEqual(one.get('foo5'), undefined);

  one.set('foo2', null, one.OPERATIONS.DELETE);
  one.set('foo4', null, one.OPERATIONS.DELETE);
  await sleep(FLUSH_MS);
  assert.deepEqual(one.data, two.data);

  await start(t, host3, [host3]);
});
