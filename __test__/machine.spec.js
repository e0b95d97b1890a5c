'use strict';

/* What the machine may run out of: a node says so, goes on, and tries again. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const test = require('node:test');

const { join } = require('..');
const { openNode } = require('./support/nodes');
const { freePorts } = require('./support/ports');
const { ROOT, run, runFile } = require('./support/process');
const { openServent } = require('./support/servents');
const { until } = require('./support/until');

const hasLimits = { skip: process.platform === 'win32' && 'there is no ulimit here' };

/** A process with a node and a servent that can use up its file descriptors. */
const PROGRAM = `
  const { join, Servent } = require(${JSON.stringify(ROOT)});
  const fs = require('node:fs');
  const taken = [];
  const tell = (name, value) => process.send({ [name]: value });
  join().then((node) => {
    const servent = new Servent();
    node.on('warning', ({ code }) => tell('warning', code));
    servent.on('error', ({ code }) => tell('error', code));
    process.on('message', ([what, ...args]) => ({
      exhaust() {
        try {
          for (;;) taken.push(fs.openSync('/dev/null'));
        } catch (error) {
          tell('exhausted', error.code);
        }
      },
      free() {
        taken.splice(0).forEach((descriptor) => fs.closeSync(descriptor));
      },
      connect(port) {
        servent.connect(port);
      },
    })[what](...args));
    tell('address', node.address);
  });
`;

test('a process out of file descriptors tells so, and connects once there are some', hasLimits, async (t) => {
  const args = ['-c', 'ulimit -n 100; exec "$0" -e "$1"', process.execPath, PROGRAM];
  const child = spawn('sh', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  const told = { warning: [], error: [] };
  child.on('message', (message) => {
    for (const [name, value] of Object.entries(message)) (told[name] ??= []).push(value);
  });
  await until('it listens', () => told.address);
  const [address] = told.address;

  child.send(['exhaust']);
  await until('there are none left', () => told.exhausted);
  assert.deepEqual(told.exhausted, ['EMFILE']);

  const servent = openServent(t);
  const [port] = await freePorts(1);
  servent.listen(port);
  await once(servent, 'listening');
  child.send(['connect', port]);
  const peer = await openNode(t, { seeds: [address], readyTimeout: 1 });
  await until('both are told of', () => told.warning.length > 0 && told.error.length > 0, 30_000);
  assert.deepEqual([...new Set(told.warning)], ['EMFILE']);
  assert.deepEqual(told.error, ['EMFILE']);
  assert.equal(peer.peers.size, 0);

  child.send(['free']);
  await until('both are connected', () => peer.peers.size === 1 && servent.node.peers.size === 1, 30_000);
  assert.equal(child.exitCode, null);
});

/** Has a panic in each storey of a node of its own, and says what came of it. */
const PANICS = `
  const { join } = Collective;
  (async () => {
    const bystander = await join();
    const seen = {};
    for (const storey of ['binding', 'engine', 'net']) {
      const node = await join();
      const events = [];
      for (const name of ['warning', 'error', 'close']) node.on(name, (event) => events.push([name, event?.code ?? null]));
      let thrown = null;
      try {
        node.state.set(['collective-io:panic', storey], 1);
      } catch ({ code }) {
        thrown = code;
      }
      if (storey === 'binding' && thrown === null) {
        console.log('a release');
        return Promise.all([node.destroy(), bystander.destroy()]);
      }
      if (storey !== 'binding') await new Promise((closed) => node.once('close', closed));
      let after = 'open';
      try {
        node.state.set('a', 1);
      } catch ({ code }) {
        after = code;
      }
      seen[storey] = { thrown, events: [...events], after };
      await node.close();
    }
    bystander.state.set('a', 1);
    console.log(JSON.stringify({ seen, bystander: bystander.state.get('a') }));
    await bystander.close();
  })();
`;

test('a panic of ours ends its call or its node, and neither another nor the process', async (t) => {
  const { code, stdout } = await run(t, PANICS, { deadlineMs: 30_000 });
  assert.equal(code, 0);
  if (stdout === 'a release\n') return t.skip('a release has no place for one');
  assert.deepEqual(JSON.parse(stdout), {
    bystander: 1,
    seen: {
      binding: { thrown: 'ERR_INTERNAL', events: [], after: 'open' },
      engine: {
        thrown: 'ERR_INTERNAL',
        events: [['warning', 'ERR_INTERNAL'], ['error', 'ERR_INTERNAL'], ['close', null]],
        after: 'ERR_CLOSED',
      },
      net: {
        thrown: null,
        events: [['warning', 'ERR_INTERNAL'], ['error', 'ERR_INTERNAL'], ['close', null]],
        after: 'ERR_CLOSED',
      },
    },
  });
});

test('a name that nobody has is tried again, and keeps nobody waiting', async (t) => {
  const first = await openNode(t);
  const node = await openNode(t, { seeds: ['nobody.invalid:9000', first.address] });
  await until('they meet', () => node.peers.size === 1);
});

test('seeds of the other address family lead nowhere, and to the node once it is there', async (t) => {
  const [port] = await freePorts(1);
  const node = await openNode(t, { seeds: [`127.0.0.1:${port}`, `[::1]:${port}`], readyTimeout: 1 });
  assert.equal(node.peers.size, 0);
  await openNode(t, { listen: `127.0.0.1:${port}` });
  await until('they meet', () => node.peers.size === 1);
});

test('a port that another has taken is told of, and can be listened on later', async (t) => {
  const first = await openNode(t);
  const { address } = first;
  await assert.rejects(join({ listen: address }), { code: 'EADDRINUSE', syscall: 'listen' });
  await first.close();
  const second = await openNode(t, { listen: address });
  assert.equal(second.address, address);
});

test('what a node has opened is closed with it', { skip: !fs.existsSync('/proc/self/fd') && 'there is no /proc here' }, async () => {
  const CYCLES = 200;
  const count = () => ({
    descriptors: fs.readdirSync('/proc/self/fd').length,
    threads: fs.readdirSync('/proc/self/task').length,
    // Not the test runner's own.
    handles: process.getActiveResourcesInfo().filter((name) => !/Timeout|Immediate/.test(name)).length,
    listeners: process.listenerCount('exit'),
  });
  const cycle = async (round) => {
    const first = await join();
    const second = await join({ seeds: [first.address] });
    first.state.set('a', round);
    await second.peers.size;
    await (round % 2 === 0 ? Promise.all([first.close(), second.close()]) : first.destroy().then(() => second.destroy()));
  };
  // The network thread and what Node.js makes at first are there once and for all.
  for (let round = 0; round < 5; round++) await cycle(round);
  const before = count();
  for (let round = 0; round < CYCLES; round++) await cycle(round);
  await until('nothing is left', () => {
    assert.deepEqual(count(), before);
    return true;
  });
});

/** A short run, so that it stays fit to be run for longer. */
test('a little soaking', async (t) => {
  const args = ['--minutes', '0.05', '--cycles', '30'];
  const { code, stdout } = await runFile(t, 'scripts/soak.js', { args, deadlineMs: 120_000 });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /documentBytes +\d+\.\d MiB +\d+\.\d MiB\n/);
});
