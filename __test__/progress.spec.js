'use strict';

const assert = require('node:assert/strict');
const { subscribe, unsubscribe } = require('node:diagnostics_channel');
const { once } = require('node:events');
const net = require('node:net');
const test = require('node:test');

const { Progress, describe } = require('../lib/progress');
const { openNode } = require('./support/nodes');
const { freePorts } = require('./support/ports');
const { until } = require('./support/until');
const { Link } = require('./support/wire');

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

test('a log hears of a close that takes its time', async (t) => {
  const entries = [];
  const a = await openNode(t, { log: ({ message }) => entries.push(message) });
  const b = await openNode(t, { seeds: [a.address] });
  let finish;
  a.worker('slow', () => new Promise((resolve) => (finish = resolve)));
  const answer = b.call('slow', [], { to: a.id });
  await until('it runs', () => finish !== undefined);
  const closed = a.close();
  await until('it tells', () => entries.some((message) => /^closes, for \d+ s so far: 1 functions and 0 jobs under way, 0 peers lack writes$/.test(message)));
  finish(5);
  assert.equal(await answer, 5);
  await closed;
});

test('a node that catches up with a peer tells how far it is', async (t) => {
  const heard = [];
  const listener = (message) => heard.push(message);
  subscribe('collective-io:catch-up', listener);
  t.after(() => unsubscribe('collective-io:catch-up', listener));
  const entries = [];
  const [port] = await freePorts(1);
  const link = await Link.open(t, port);
  const a = await openNode(t, { name: 'a', listen: { port }, advertise: { port: link.port } });
  const b = await openNode(t, { name: 'b', listen: false, seeds: [{ port: link.port }], log: (entry) => entries.push(entry) });
  link.cut();
  await until('they are apart', () => b.peers.size === 0);
  for (let n = 0; n < 40; n++) a.state.set(`k${n}`, 'x'.repeat(200_000));
  link.heal();
  // What comes in one piece, 64 KiB at most, takes so long: 8 MB take many seconds.
  link.lag(150);
  const { ms, bytes, paths, merged, ...who } = await until('it tells', () => heard[0]);
  assert.deepEqual(who, { node: b.id, type: 'progress', peer: a.id, name: 'a' });
  assert.equal(ms >= 1000, true, String(ms));
  assert.deepEqual([bytes > 0, paths > 0, merged], [true, true, 0]);
  const [{ catchingUp }] = b.stats().links;
  assert.deepEqual(Object.keys(catchingUp), ['ms', 'bytes', 'paths', 'merged']);
  assert.equal(catchingUp.bytes >= bytes, true);
  assert.equal(a.stats().links[0].catchingUp, null);
  link.heal();
  await until('it is over', () => heard.at(-1).type === 'end');
  await until('all is there', () => b.state.size === 40);
  assert.equal(b.stats().links[0].catchingUp, null);
  const messages = entries.map(({ message }) => message).join('\n');
  assert.match(messages, /^has been catching up with a for \d+ s: \d+ bytes received$/m);
  assert.match(messages, /^does not catch up with a any more$/m);
});
