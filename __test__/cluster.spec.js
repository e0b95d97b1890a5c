'use strict';

/* Inside node:cluster: the example of the original, the demo, leaving. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');

const { freePorts } = require('./support/ports');
const { runFile, startFile } = require('./support/process');
const { until } = require('./support/until');

/** The first of four free ports in a row, which is how the example counts. */
async function fourInARow() {
  for (;;) {
    const [first] = await freePorts(1);
    if (first > 65_000) continue;
    const all = await freePorts(1).then(() => areFree([0, 1, 2, 3].map((offset) => first + offset)));
    if (all) return first;
  }
}

async function areFree(ports) {
  const net = require('node:net');
  const servers = ports.map((port) => net.createServer().listen(port, '127.0.0.1'));
  const results = await Promise.all(
    servers.map((server) => once(server, 'listening').then(() => true, () => false)),
  );
  await Promise.all(servers.map((server) => server.listening && once(server.close(), 'close')));
  return results.every(Boolean);
}

test("the original's example with four workers: they agree", async (t) => {
  const port = await fourInARow();
  const child = startFile(t, 'examples/cluster.js', { env: { WORKERS: '4', PORT: String(port) } });
  const lines = () => child.output.stdout.split('\n').filter(Boolean);
  await until('all have told all', () => lines().filter((line) => /after DELETE/.test(line)).length === 4, 20_000);

  // A late worker SETs 0 over what it has seen, so the sum is anybody's guess; that they agree is not.
  const values = (when) => lines().filter((line) => line.includes(when)).map((line) => / is (.*)$/.exec(line)[1]);
  assert.deepEqual(values('after DELETE'), Array(4).fill('undefined'));
  assert.equal(values('INCREMENTs').length, 4);
  assert.equal(new Set(values('INCREMENTs')).size, 1, child.output.stdout);
  assert.equal(child.output.stderr, '');
});

test('the demo', async (t) => {
  const { code, stdout, stderr } = await runFile(t, 'scripts/demo.js', { deadlineMs: 25_000 });
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /36000/);
  assert.match(stdout, /PASS: all workers agreed/);
  assert.doesNotMatch(stdout, /FAIL/);
});

test('cluster.disconnect() returns and the workers end by themselves', async (t) => {
  const { code, stdout } = await runFile(t, '__test__/fixtures/leaving.js');
  assert.equal(stdout, 'exit 0\nexit 0\ndisconnected\n');
  assert.equal(code, 0);
});
