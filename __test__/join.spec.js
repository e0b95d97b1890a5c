'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { Node, join } = require('..');
const { openNode, openNodes } = require('./support/nodes');
const { freePorts } = require('./support/ports');
const { run } = require('./support/process');

test('a node by itself listens on a free port of 127.0.0.1', async (t) => {
  const node = await openNode(t);
  assert.ok(node instanceof Node);
  assert.match(node.id, /^[0-9A-F]{24}$/);
  assert.match(node.address, /^127\.0\.0\.1:\d+$/);
  assert.equal(node.peers.size, 0);
});

test('where to listen, in every form', async (t) => {
  const [a, b] = await freePorts(2);
  assert.equal((await openNode(t, { listen: `127.0.0.1:${a}` })).address, `127.0.0.1:${a}`);
  assert.equal((await openNode(t, { listen: { port: b } })).address, `127.0.0.1:${b}`);
  assert.match((await openNode(t, { listen: { host: 'localhost' } })).address, /:\d+$/);
  const advertise = `localhost:${a}`;
  assert.equal((await openNode(t, { advertise })).address, advertise);
  assert.equal((await openNode(t, { listen: false })).address, null);
});

test('three nodes get to know each other through one, and one that does not listen', async (t) => {
  const nodes = await openNodes(t, 3);
  const silent = await openNode(t, { listen: false, seeds: [nodes[0].address] });
  assert.ok(silent.peers.size > 0);
  const peer = nodes[0].peers.get(nodes[1].id);
  assert.deepEqual(
    [peer.id, peer.address, peer.state, peer.busyFor],
    [nodes[1].id, nodes[1].address, 'up', 0],
  );
});

test('a port that is taken rejects, as do options that are none', async (t) => {
  const { address } = await openNode(t);
  await assert.rejects(join({ listen: address }), { code: 'EADDRINUSE', syscall: 'listen' });
  await assert.rejects(join({ listen: '0.0.0.0:0' }), { code: 'ERR_INSECURE_BIND' });
  await assert.rejects(join({ seed: [] }), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
});

test('nobody there: the node is ready all the same', async (t) => {
  const [port] = await freePorts(1);
  const node = await openNode(t, { seeds: [`127.0.0.1:${port}`] });
  assert.equal(node.peers.size, 0);
});

test('joining is given up when the signal is aborted', async () => {
  const reason = new Error('enough');
  const aborted = { code: 'ABORT_ERR', name: 'AbortError', cause: reason };
  await assert.rejects(join({ signal: AbortSignal.abort(reason) }), aborted);
  const controller = new AbortController();
  const joining = join({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(joining, aborted);
});

test('a node keeps the process until it is closed, or let go', async (t) => {
  const closed = await run(t, `
    Collective.join().then(async (node) => {
      await using_(node);
      console.log('open', node.address !== null);
      await node.close();
      await node.close();
      await node.destroy();
      console.log('closed');
    });
    async function using_() { await new Promise((resolve) => setTimeout(resolve, 50)); }
  `);
  assert.deepEqual([closed.code, closed.stdout, closed.stderr], [0, 'open true\nclosed\n', '']);
  const unref = await run(t, 'Collective.join().then((node) => node.unref())');
  assert.deepEqual([unref.code, unref.signal, unref.stderr], [0, null, '']);
});
