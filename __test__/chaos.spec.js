'use strict';

/* A short run of `npm run chaos`, so that it stays fit to be run for longer. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { runFile } = require('./support/process');

test('a few seconds of chaos', { skip: process.platform === 'win32' && 'no SIGSTOP' }, async (t) => {
  const args = ['--seconds', '4', '--nodes', '4', '--seed', '7'];
  const { code, stdout } = await runFile(t, 'scripts/chaos.js', { args, deadlineMs: 60_000 });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /PASS: seed 7, \d+ writes, \d+ jobs with \d+ outcomes, \d+ faults\n$/);
});
