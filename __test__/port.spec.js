'use strict';

/* Strangers on the port: their connection is closed and counted, the node lives. */

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const test = require('node:test');

const { openAlone, openMesh } = require('./support/collectives');
const { until } = require('./support/until');

const JUNK = {
  'one byte': Buffer.from([0]),
  'a line': Buffer.from('x\n'),
  "collective.js's hello": Buffer.from('[0,["127.0.0.1",9000,true]]\n'),
  'an unknown message of collective.js': Buffer.from('[9,null]\n'),
  'HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
  'TLS': Buffer.from('160301020001000001fc0303', 'hex'),
  'zeros': Buffer.alloc(70_000),
  'ones': Buffer.alloc(70_000, 0xff),
  'a length of 4 GiB': Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
  'deep JSON': Buffer.from('['.repeat(100_000)),
  'chance': randomBytes(70_000),
};

/** Writes bytes, ends nothing, and waits until the other side has had enough. */
async function send(port, bytes) {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {}).resume();
  socket.write(bytes);
  await closed(socket);
}

/** Waits for the end of a connection, be it a reset. */
function closed(socket) {
  return until('the connection is closed', () => socket.closed);
}

for (const [name, bytes] of Object.entries(JUNK)) {
  test(name, async (t) => {
    const node = await openAlone(t);
    node.set('a', 1);
    await send(node.local.port, bytes);
    assert.equal(node.active, 0);
    assert.deepEqual(node.data, { a: 1 });
    node.set('a', 2);
    assert.equal(node.get('a'), 2);
  });
}

test('it is counted, and peers do not notice', async (t) => {
  const [node, peer] = await openMesh(t, 2);
  const before = JSON.stringify({ ...node.stats() });
  const warned = once(node, 'warning');
  await Promise.all(Array.from({ length: 20 }, () => send(node.local.port, randomBytes(1000))));
  const [{ code }] = await warned;
  assert.match(code, /^ERR_/);
  assert.notEqual(JSON.stringify(node.stats()), before);
  node.set('a', 1);
  await until('it arrives', () => peer.get('a') === 1);
  assert.equal(node.active, 1);
});

test('those who say nothing are sent away, and many at once keep nobody out', async (t) => {
  const [node] = await openMesh(t, 1);
  const sockets = Array.from({ length: 200 }, () =>
    net.connect(node.local.port, '127.0.0.1').on('error', () => {}).resume(),
  );
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map(closed));
  assert.equal(node.active, 0);
});

test('a reset is no reason to fall', async (t) => {
  const node = await openAlone(t);
  for (let i = 0; i < 20; i++) {
    const socket = net.connect(node.local.port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    await new Promise((written) => socket.write('x', written));
    socket.resetAndDestroy();
  }
  node.set('a', 1);
  assert.equal(node.get('a'), 1);
});
