'use strict';

/* Inside node:cluster: the example of the original, the demo, leaving. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { freePortsInARow } = require('./support/ports');
const { runFile, startFile } = require('./support/process');
const { until } = require('./support/until');


test("the original's example with four workers: they agree", async (t) => {
  const port = await freePortsInARow(4);
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
  assert.deepEqual(stdout.split('\n').sort(), ['', 'disconnected', 'exit 0', 'exit 0']);
  assert.equal(code, 0);
});
