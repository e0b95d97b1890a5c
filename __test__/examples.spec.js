'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { freePortsInARow } = require('./support/ports');
const { ROOT, runFile, startFile } = require('./support/process');
const { until } = require('./support/until');

/** What each example writes, with P for the first port and Q for the next. */
const OUTPUT = {
  'basic.js': "hello [ 'world', 'everybody' ]\n",
  'counter.js': '[ 3000, 3000, 3000 ]\n',
  'events.js':
    'listening on 127.0.0.1:P\n127.0.0.1:Q is here, 1 in all\n127.0.0.1:Q is gone: ERR_PEER_LEFT\n',
  'free-memory.js': /^([0-9A-F]{24} has \d+ MiB\n){4}complete: 4 of 4 nodes have answered\n$/,
  'state.js': "on 2 peers\n31 [ 'ann', 'b.o@example.org' ]\n2 web\n",
  'watch.js': /^(tea 4 elsewhere\nmilk undefined elsewhere|milk undefined elsewhere\ntea 4 elsewhere)\n{ tea: 4 }\n$/,
  'run.js': 'the second ok 10\n3 nodes have 30\nok 10\nerror no idea\n',
  'call.js':
    '[\n   2,  4,  6,  8,\n  10, 12, 14, 16\n]\nRangeError 13? asks the shop\n' +
    "ERR_NO_WORKER No node has a worker 'triple'\n",
  'rpc.js': "3\nHELLO\n{ once: 'ha', twice: 'haha' }\nnothing to repeat 7\n1 null 7\n",
};

test('every example is run here or by cluster.spec.js', () => {
  const files = fs.readdirSync(path.join(ROOT, 'examples'));
  assert.deepEqual(files.sort(), [...Object.keys(OUTPUT), 'cluster.js', 'express.js', 'random.js', 'workers.js'].sort());
});

for (const [file, expected] of Object.entries(OUTPUT)) {
  test(file, async (t) => {
    const port = await freePortsInARow(3);
    const env = { PORT: String(port) };
    const { code, stdout, stderr } = await runFile(t, `examples/${file}`, { env });
    assert.equal(stderr, '');
    if (expected instanceof RegExp) assert.match(stdout, expected);
    else assert.equal(stdout, expected.replace(/:P/g, `:${port}`).replace(/:Q/g, `:${port + 1}`));
    assert.equal(code, 0);
  });
}

test('random.js, three times', async (t) => {
  const env = { PORT: String(await freePortsInARow(1)) };
  const nodes = [1, 2, 3].map(() => startFile(t, 'examples/random.js', { env }));
  const three = /^\[ \d+, \d+, \d+ \]$/m;
  await until('each has three numbers', () => nodes.every(({ output }) => three.test(output.stdout)));
  for (const { output } of nodes) assert.equal(output.stderr, '');
});

test('workers.js: every request is counted', async (t) => {
  const port = await freePortsInARow(4);
  const child = startFile(t, 'examples/workers.js', { env: { PORT: String(port), HTTP_PORT: String(port + 3) } });
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${port + 3}/`, { headers: { connection: 'close' } }).catch(() => undefined);
    return /^Worker (\d): (\d+) requests served by (\d) workers\n$/.exec(await response?.text());
  };
  await until('all workers are there', async () => (await ask())?.[3] === '3');
  const [, , before] = await ask();
  for (let times = 1; times <= 5; times++) assert.equal(Number((await ask())[2]), Number(before) + times);
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.deepEqual([code, child.output.stderr], [0, '']);
});

/** A browser of its own address, which asks a worker after the other. */
class Browser {
  #url;
  #address;
  #cookie = '';
  /** The process that has answered last. */
  worker;

  constructor(httpPort, address) {
    this.#url = `http://127.0.0.1:${httpPort}`;
    this.#address = address;
  }

  async ask(method, path) {
    const headers = { connection: 'close', cookie: this.#cookie, 'x-forwarded-for': this.#address };
    // What node:cluster hands to a worker that is killed at this moment is answered by nobody.
    const signal = AbortSignal.timeout(5000);
    const response = await fetch(this.#url + path, { method, headers, signal });
    const [cookie] = response.headers.getSetCookie();
    if (cookie) [this.#cookie] = cookie.split(';');
    this.worker = Number(response.headers.get('x-worker'));
    return { status: response.status, body: await response.json() };
  }

  get(path) {
    return this.ask('GET', path);
  }

  post(path) {
    return this.ask('POST', path);
  }
}

/** The Express app, when its workers know each other. */
async function startApp(t, env = {}) {
  const port = await freePortsInARow(4);
  const httpPort = port + 3;
  const child = startFile(t, 'examples/express.js', {
    env: { PORT: String(port), HTTP_PORT: String(httpPort), WINDOW_MS: '1e15', ...env },
  });
  const app = { child, browser: (address) => new Browser(httpPort, address) };
  await until('all workers are there', () => meet(app, 3), 30_000);
  return app;
}

/** Whether so many workers answer, of which each knows all others; their process numbers. */
async function meet(app, count) {
  const probe = app.browser('127.0.0.9');
  const workers = new Set();
  for (let times = 0; times < 2 * count; times++) {
    const { body } = await probe.get('/health').catch(() => ({}));
    if (body?.peers !== count - 1) return false;
    workers.add(probe.worker);
  }
  return workers.size === count && [...workers];
}

async function stop({ child }) {
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.deepEqual([code, child.output.stderr], [0, '']);
}

test('express.js: a session is the same on every worker, and outlives the one that made it', async (t) => {
  const app = await startApp(t);
  const ann = app.browser('10.0.0.1');
  assert.equal((await ann.get('/me')).status, 401);
  assert.deepEqual(await ann.post('/login/ann'), { status: 200, body: { user: 'ann' } });
  const maker = ann.worker;

  const workers = new Set();
  for (let visits = 1; visits <= 6; visits++) {
    assert.deepEqual(await ann.get('/me'), { status: 200, body: { user: 'ann', visits } });
    workers.add(ann.worker);
  }
  assert.equal(workers.size, 3);
  // Looked at and not changed.
  for (let times = 0; times < 3; times++) assert.deepEqual((await ann.get('/who')).body, { user: 'ann' });
  const bob = app.browser('10.0.0.2');
  assert.equal((await bob.get('/me')).status, 401);

  process.kill(maker, 'SIGKILL');
  const after = await until('another has taken its place', () => meet(app, 3), 30_000);
  assert.ok(!after.includes(maker));
  for (let visits = 7; visits <= 12; visits++) assert.equal((await ann.get('/me')).body.visits, visits);

  assert.equal((await ann.post('/logout')).status, 200);
  for (let times = 0; times < 3; times++) assert.equal((await ann.get('/me')).status, 401);
  await stop(app);
});

test('express.js: workers count one limit together', async (t) => {
  const limit = 12;
  const app = await startApp(t, { LIMIT: String(limit) });
  const greedy = app.browser('10.0.0.1');
  for (let times = 0; times < limit; times++) assert.equal((await greedy.get('/me')).status, 401);
  const refusing = new Set();
  await until('every worker refuses', async () => {
    if ((await greedy.get('/me')).status === 429) refusing.add(greedy.worker);
    return refusing.size === 3;
  });
  for (let times = 0; times < 3; times++) assert.equal((await greedy.get('/me')).status, 429);
  for (let times = 0; times < 3; times++) assert.equal((await app.browser('10.0.0.2').get('/me')).status, 401);
  await stop(app);
});
