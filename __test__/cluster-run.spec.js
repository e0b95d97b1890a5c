'use strict';

/* `collective-io/cluster`, with real processes. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');

const { run } = require('../cluster');
const { pause } = require('../lib/cluster');
const { freePortsInARow } = require('./support/ports');
const { startFile } = require('./support/process');
const { until } = require('./support/until');

/** A running cluster, and what its processes have said. */
class Workers {
  static async start(t, behaviour, options) {
    const port = await freePortsInARow(3);
    const argument = JSON.stringify({ workers: 3, port, behaviour, ...options });
    return new Workers(startFile(t, '__test__/fixtures/workers.js', { args: [argument] }), port);
  }

  constructor(child, port) {
    this.child = child;
    this.port = port;
    this.ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  }

  get said() {
    // The last line may not be whole yet.
    return this.child.output.stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line));
  }

  /** The last that each worker has said, by its id. */
  get last() {
    const last = [];
    for (const line of this.said) if (line.id !== undefined) last[line.id] = line;
    return last;
  }

  get exits() {
    return this.said.flatMap(({ exit }) => exit ?? []);
  }

  /** Waits until each knows all others. */
  async meet(count = 3) {
    await until('all know all', () => {
      const { last } = this;
      return last.length === count && [...last].every((line) => line?.peers === count - 1);
    }, 20_000);
    return this.last;
  }
}

test('workers know each other, the primary is none of them, and SIGTERM ends them all', async (t) => {
  const workers = await Workers.start(t, 'meet', { name: 'web' });
  const last = await workers.meet();
  for (const [id, line] of last.entries()) {
    assert.deepEqual([line.name, line.port, line.address], [`web-${id}`, workers.port + id, `127.0.0.1:${workers.port + id}`]);
    assert.notEqual(line.pid, workers.child.pid);
  }
  workers.child.kill('SIGTERM');
  assert.equal(await workers.ended, 0);
  assert.deepEqual(workers.exits, [0, 0, 0]);
  assert.equal(workers.said.at(-1).over, true);
  assert.equal(workers.child.output.stderr, '');
});

test('a worker that is killed comes back with its id and port', async (t) => {
  const workers = await Workers.start(t, 'meet');
  const before = await workers.meet();
  process.kill(before[1].pid, 'SIGKILL');
  await until('another is there', () => workers.last[1].pid !== before[1].pid);
  const after = await workers.meet();
  assert.deepEqual([after[1].port, after[1].address], [before[1].port, before[1].address]);
  for (const id of [0, 2]) assert.equal(after[id].pid, before[id].pid);
  assert.deepEqual(workers.exits, ['SIGKILL']);
  workers.child.kill('SIGINT');
  assert.equal(await workers.ended, 0);
});

test('a worker that is told to end leaves in order, and another takes its place', async (t) => {
  const workers = await Workers.start(t, 'meet');
  const before = await workers.meet();
  process.kill(before[2].pid, 'SIGTERM');
  await until('another is there', () => workers.last[2].pid !== before[2].pid);
  await workers.meet();
  assert.deepEqual(workers.exits, [0]);
  workers.child.kill('SIGTERM');
  assert.equal(await workers.ended, 0);
});

test('cluster.disconnect() ends it', async (t) => {
  const workers = await Workers.start(t, 'meet');
  await workers.meet();
  workers.child.kill('SIGUSR2');
  await until('it is over', () => workers.said.at(-1).over);
  assert.deepEqual(workers.exits, [0, 0, 0]);
  assert.equal(await workers.ended, 0);
});

test('a signal to all processes, as Ctrl-C sends it, ends them all', { skip: process.platform === 'win32' }, async (t) => {
  const workers = await Workers.start(t, 'meet');
  await workers.meet();
  process.kill(-workers.child.pid, 'SIGINT');
  assert.equal(await workers.ended, 0);
  assert.deepEqual(workers.exits, [0, 0, 0]);
  assert.equal(workers.child.output.stderr, '');
});

test('what is under way is finished first', async (t) => {
  const workers = await Workers.start(t, 'work', { workers: 2 });
  await until('it has begun', () => workers.said.some(({ begun }) => begun === 1));
  workers.child.kill('SIGTERM');
  assert.equal(await workers.ended, 0);
  assert.deepEqual(workers.said.flatMap(({ value }) => value ?? []), [1]);
});

test('a worker that something keeps is made to end, the primary goes on', async (t) => {
  const workers = await Workers.start(t, 'stay', { stopTimeout: 200 });
  await workers.meet();
  workers.child.kill('SIGTERM');
  assert.equal(await workers.ended, 0);
  assert.deepEqual(workers.said.flatMap(({ leaves }) => leaves ?? []).sort(), [0, 1, 2]);
  assert.deepEqual(workers.exits, [0, 0, 0]);
});

test('a worker that dies at its start is tried again, and the others do not mind', async (t) => {
  const workers = await Workers.start(t, 'crash');
  await until('it has died often', () => workers.exits.length >= 4, 20_000);
  assert.deepEqual(new Set(workers.exits), new Set([1]));
  const [, ...others] = workers.last;
  for (const line of others) assert.equal(workers.said.find(({ id }) => id === line.id).pid, line.pid);
  workers.child.kill('SIGTERM');
  assert.equal(await workers.ended, 0);
  assert.match(workers.child.output.stderr, /as I always do/);
});

test('the second signal waits for nobody', async (t) => {
  const workers = await Workers.start(t, 'stay', { stopTimeout: 60_000 });
  await workers.meet();
  workers.child.kill('SIGTERM');
  await until('they leave', () => [...workers.last].every((line) => line.peers === 0));
  workers.child.kill('SIGTERM');
  assert.equal(await workers.ended, 0);
  assert.deepEqual(workers.exits, ['SIGKILL', 'SIGKILL', 'SIGKILL']);
});

test('pauses grow up to 10 s', () => {
  assert.deepEqual([0, 1, 2, 3, 7, 8, 100].map(pause), [0, 100, 200, 400, 6400, 10_000, 10_000]);
});

test('bad options are refused before anything is forked', async () => {
  const bad = { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' };
  for (const options of [
    undefined, null, 5, {}, { port: 0 }, { port: 'x' }, { port: 65_535, workers: 2 }, { port: 9000, workers: 0 },
    { port: 9000, stopTimeout: 0 }, { port: 9000, listen: false }, { port: 9000, host: 'a b' },
    { port: 9000, advertise: 'a:1' }, { port: 9000, signal: AbortSignal.abort() }, { port: 9000, seeds: [5] },
    { port: 9000, what: 1 },
  ]) await assert.rejects(run(options, () => {}), bad, JSON.stringify(options));
  await assert.rejects(run({ port: 9000 }), bad);
  await assert.rejects(run({ port: 9000, host: '0.0.0.0' }, () => {}), { code: 'ERR_INSECURE_BIND' });
});

test('a process runs one cluster, and a worker that somebody else has forked none', async (t) => {
  for (const [behaviour, exits] of [['twice', [0]], ['stranger', [1]]]) {
    const workers = await Workers.start(t, behaviour, { workers: 1 });
    assert.equal(await workers.ended, 0);
    assert.deepEqual(workers.said.flatMap(({ code }) => code ?? []), ['ERR_INVALID_STATE']);
    assert.deepEqual(workers.exits, exits);
  }
});

test('it can be imported', async () => {
  assert.equal((await import('collective-io/cluster')).run, run);
});
