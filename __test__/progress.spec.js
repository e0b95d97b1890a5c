'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const test = require('node:test');

const { Progress, describe } = require('../lib/progress');
const { openNode } = require('./support/nodes');
const { until } = require('./support/until');

/** What a terminal, or a file, is given. */
function stream(isTTY) {
  return { isTTY, columns: 40, text: '', write(text) { this.text += text; } };
}

test('a line says how far it is', () => {
  assert.equal(describe('work', 3400, {}, true), 'work 3 s');
  assert.equal(describe('work', 3400, { done: 1, total: 4 }, false), 'work 25 % 3 s');
  assert.equal(describe('work', 3400, { done: 1, total: 4 }, true), `work [${'#'.repeat(6)}${'.'.repeat(18)}] 25 % 3 s`);
  assert.equal(describe('work', 0, { done: 9, total: 4, note: 'much' }, false), 'work 100 % much 0 s');
});

test('on a terminal one line changes, and is gone in the end', async () => {
  const terminal = stream(true);
  const progress = new Progress(terminal, 'work', () => ({ done: 1, total: 2, note: 'x'.repeat(100) }));
  await until('it is drawn twice', () => terminal.text.split('\r').length > 2);
  progress.end();
  progress.end();
  const lines = terminal.text.split('\r').filter(Boolean).map((line) => line.replace('\x1b[K', ''));
  assert.equal(lines.every((line) => line.length < 40 && !line.includes('\n')), true);
  assert.equal(lines[0].startsWith('work ['), true);
  assert.equal(terminal.text.endsWith('\r\x1b[K'), true);
});

test('what is over soon is not told of', () => {
  const file = stream(false);
  new Progress(file, 'work').end();
  assert.equal(file.text, '');
});

test('a log hears of a join that takes its time', async (t) => {
  const entries = [];
  // Somebody who says nothing: a handshake has 2 s.
  const silent = net.createServer().listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const { port } = silent.address();
  const node = await openNode(t, { seeds: [{ port }], log: (entry) => entries.push(entry) });
  assert.match(entries.map(({ message }) => message).join('\n'), /has been joining for \d+ s: 0 peers/);
  await node.close();
});
