'use strict';

/* A short run of `npm run chaos`, so that it stays fit to be run for longer. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { Clocks } = require('./support/clocks');
const { Hosts } = require('./support/hosts');
const { runFile } = require('./support/process');

test('a few seconds of chaos', { skip: process.platform === 'win32' && 'no SIGSTOP' }, async (t) => {
  const args = ['--seconds', '4', '--nodes', '4', '--seed', '7'];
  const { code, stdout } = await runFile(t, 'scripts/chaos.js', { args, deadlineMs: 60_000 });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /PASS: seed 7, \d+ writes, \d+ jobs with \d+ outcomes, \d+ faults\n$/);
});

test('a few seconds of a storm', { skip: process.platform === 'win32' && 'no SIGKILL' }, async (t) => {
  const args = ['--seconds', '4', '--nodes', '4', '--seed', '8', '--storm'];
  const { code, stdout } = await runFile(t, 'scripts/chaos.js', { args, deadlineMs: 60_000 });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /fault: kill +[1-9]/);
});

test('a few seconds on three hosts', { skip: Hosts.missing() ?? false }, async (t) => {
  const args = ['--seconds', '4', '--nodes', '3', '--seed', '9', '--hosts'];
  const { code, stdout } = await runFile(t, 'scripts/chaos.js', { args, deadlineMs: 90_000 });
  assert.equal(code, 0, stdout);
});

test('a few seconds with clocks that are set', { skip: Clocks.missing() ?? false }, async (t) => {
  const args = ['--seconds', '4', '--nodes', '3', '--seed', '10', '--clocks'];
  const { code, stdout } = await runFile(t, 'scripts/chaos.js', { args, deadlineMs: 90_000 });
  assert.equal(code, 0, stdout);
});
