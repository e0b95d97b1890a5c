'use strict';

/* Inside node:cluster: the example of the original, the demo, leaving. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { freePortsInARow } = require('./support/ports');
const { runFile, startFile } = require('./support/process');
const { until } = require('./support/until');

/**
 * Runs the example with four workers until all have told everything. Gives what they said each
 * time, sorted.
 */
async function runExample(t, pause) {
  const port = await freePortsInARow(4);
  const child = startFile(t, 'examples/cluster.js', { env: { WORKERS: '4', PORT: String(port), PAUSE: String(pause) } });
  const values = (when) => {
    const lines = child.output.stdout.split('\n').filter((line) => line.includes(when));
    return lines.map((line) => / is (.*)$/.exec(line)[1]).sort();
  };
  await until('all have told all', () => values('after DELETE').length === 4, 20_000 + pause * 4);
  assert.equal(child.output.stderr, '');
  return { sums: values('INCREMENTs'), ends: values('after DELETE') };
}

test("the original's example with four workers: they agree", async (t) => {
  // A late worker SETs 0 over what it has seen, so the sum is anybody's guess; that they agree is
  // not, unless this machine was so busy that they looked at different times.
  let last;
  for (const pause of [1000, 3000, 10_000]) {
    last = await runExample(t, pause);
    if (new Set(last.sums).size === 1 && last.ends.every((value) => value === 'undefined')) return;
  }
  assert.fail(`They disagreed: ${JSON.stringify(last)}`);
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
