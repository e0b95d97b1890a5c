'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { Node, join } = require('..');
const { openNode, openNodes } = require('./support/nodes');
const { kLocal } = require('../lib/inside');
const { freePorts } = require('./support/ports');
const { run } = require('./support/process');
const { until } = require('./support/until');

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

test('a function gives the seeds', async (t) => {
  const first = await openNode(t);
  for (const give of [() => [first.address], async () => [{ host: '127.0.0.1', port: first.address.split(':')[1] }]]) {
    const node = await openNode(t, { seeds: give });
    assert.ok(node.peers.has(first.id));
  }
});

test('a function is asked again while there is nobody, and what it gave before is forgotten', async (t) => {
  const [nobody, port] = await freePorts(2);
  let seeds = [`127.0.0.1:${nobody}`];
  let asked = 0;
  const node = await openNode(t, { seeds: async () => (asked++, seeds) });
  assert.equal(node.peers.size, 0);
  const first = await openNode(t, { listen: { port } });
  seeds = [first.address];
  await until('they meet', () => node.peers.has(first.id));
  assert.ok(asked > 1);
  await until('nothing is left to dial', () => node[kLocal].unreached.length === 0);
  const then = asked;
  await first.close();
  await until('it is asked again', () => asked > then);
});

test('a function of seeds that fails is a warning, told once until it works', async (t) => {
  const first = await openNode(t);
  const cause = new Error('no such record');
  let isBroken = true;
  let asked = 0;
  const node = await openNode(t, {
    seeds() {
      asked++;
      if (isBroken) throw cause;
      return [first.address];
    },
  });
  const warnings = [];
  node.on('warning', (warning) => warnings.push(warning));
  await until('it is asked a third time', () => asked >= 3);
  assert.deepEqual(warnings.map(({ code }) => code), ['ERR_SEEDS_FAILED']);
  assert.equal(warnings[0].cause, cause);
  isBroken = false;
  await until('they meet', () => node.peers.has(first.id));
});

test('a function that gives no addresses is a mistake', async () => {
  const bad = { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' };
  for (const seeds of [() => 'host:1', async () => null, () => ['host'], () => [{ host: 'a' }]]) {
    await assert.rejects(join({ seeds }), bad);
  }
});

test('a function of seeds that never answers holds up nobody for longer than a node may take', async (t) => {
  const never = () => new Promise(() => {});
  const node = await openNode(t, { seeds: never, readyTimeout: 50 });
  assert.equal(node.peers.size, 0);
  const reason = new Error('enough');
  const controller = new AbortController();
  const joining = join({ seeds: never, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(joining, { code: 'ABORT_ERR', cause: reason });
});

test('names and tags', async (t) => {
  const tags = { role: 'web', zone: 'a' };
  const named = await openNode(t, { name: 'web-1', tags });
  const other = await openNode(t, { seeds: [named.address] });
  const peer = other.peers.get(named.id);
  assert.deepEqual([named.name, named.tags, peer.name, peer.tags], ['web-1', tags, 'web-1', tags]);
  assert.ok(Object.isFrozen(peer.tags) && Object.isFrozen(named.tags));
  const told = await until('it is there too', () => named.peers.get(other.id));
  assert.deepEqual([told.name, told.tags], [other.name, {}]);
  assert.match(other.name, new RegExp(`-${process.pid}$`));
  const full = { ...Object.fromEntries(Array.from({ length: 31 }, (_, n) => [`k${n}`, ''])), rest: 'ü'.repeat(970) };
  const heavy = await openNode(t, { name: 'n'.repeat(255), cluster: 'c'.repeat(255), tags: full });
  const friend = await openNode(t, { cluster: 'c'.repeat(255), seeds: [heavy.address] });
  assert.deepEqual(friend.peers.get(heavy.id)?.tags, full);
});

const badOptions = {
  listen: [true, 5, 'host', 'host:', ':1', 'host:99999', { port: -1 }, { host: 5 }],
  advertise: [5, 'host', 'host:0', { host: 'a' }],
  seeds: ['a:1', 5, {}, ['a'], ['a:0'], [null], [, 'a:1']],
  name: ['', 5, 'n'.repeat(256), '\ud800'],
  tags: [['web'], 'web', { role: 5 }, { role: '\ud800' }, { long: 'x'.repeat(2048) },
    Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`k${n}`, '']))],
  signal: [{}, new AbortController()],
  cluster: ['', 5],
  limits: [5, { depth: 0 }, { keys: 1 }],
  readyTimeout: [0, -1, 1.5, '5'],
};
for (const [option, values] of Object.entries(badOptions)) {
  test(`refused: ${option}`, async () => {
    for (const value of values) {
      await assert.rejects(join({ [option]: value }), (error) => {
        assert.ok(error instanceof TypeError);
        assert.equal(error.code, 'ERR_INVALID_ARGUMENT');
        assert.match(error.message, new RegExp(`\`${option}`), 'it names the option');
        return true;
      });
    }
    await assert.rejects(join('options'), { code: 'ERR_INVALID_ARGUMENT' });
  });
}

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
