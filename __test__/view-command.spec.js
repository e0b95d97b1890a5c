'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { openNode } = require('./support/nodes');
const { freePorts } = require('./support/ports');
const { ROOT, startFile } = require('./support/process');
const { until } = require('./support/until');

const BIN = require('../package.json').bin['collective-io'];
const DEADLINE_MS = 30_000;

function view(...args) {
  return spawnSync(process.execPath, [path.join(ROOT, BIN), 'view', ...args], { encoding: 'utf8', timeout: DEADLINE_MS });
}

/** A view that goes on, once it has told its address. */
async function start(t, args, env = {}) {
  const child = startFile(t, BIN, { args: ['view', ...args], env });
  const url = await until('it tells its address', () => /http:[^\s"]+/.exec(child.output.stdout)?.[0], DEADLINE_MS);
  return { child, url: new URL(url) };
}

async function status(url) {
  const [response] = await once(http.get(url, { agent: false }), 'response');
  response.resume();
  return response.statusCode;
}

/** Ends it as Ctrl-C does. */
async function stop({ child }) {
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  return exited;
}

test('wrong arguments are told, with what is right', () => {
  for (const args of [[], ['a:1', 'b:2'], ['127.0.0.1:9000', '--port', 'x'], ['127.0.0.1:9000', '--port', '70000'], ['127.0.0.1:9000', '--host', '0.0.0.0']]) {
    const { status, stderr } = view(...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, /npx collective-io view <host:port>/);
  }
  const { status, stdout } = view('--help');
  assert.deepEqual([status, /--port/.test(stdout)], [0, true]);
});

test('a node that is not there is told', async () => {
  const [port] = await freePorts(1);
  const { status, stdout, stderr } = view(`127.0.0.1:${port}`);
  assert.deepEqual([status, stdout], [3, '']);
  assert.match(stderr, /ECONNREFUSED/);
});

test('it serves until a signal comes, and leaves nothing', async (t) => {
  const node = await openNode(t);
  const one = await start(t, [node.address, '--port', '0']);
  assert.equal(one.url.hostname, '127.0.0.1');
  assert.equal(await status(one.url), 200);
  assert.deepEqual(await stop(one), [0, null]);
  assert.equal(one.child.output.stderr, '');
  await assert.rejects(status(one.url), { code: 'ECONNREFUSED' });
});

test('the port that was asked for, or an error', async (t) => {
  const node = await openNode(t);
  const [port] = await freePorts(1);
  const one = await start(t, [node.address, '--port', String(port), '--json']);
  assert.equal(one.url.port, String(port));
  assert.deepEqual(JSON.parse(one.child.output.stdout), { url: one.url.href });
  const { status, stderr } = await new Promise((resolve) => {
    const other = startFile(t, BIN, { args: ['view', node.address, '--port', String(port)] });
    other.on('exit', (code) => resolve({ status: code, stderr: other.output.stderr }));
  });
  assert.equal(status, 1);
  assert.match(stderr, /EADDRINUSE/);
});

test('another port if the usual one is taken', async (t) => {
  const node = await openNode(t);
  // Somebody else may have it already, which is as good.
  const taken = net.createServer().listen(8080, '127.0.0.1');
  t.after(() => taken.close());
  await Promise.race([once(taken, 'listening'), once(taken, 'error')]);
  const { url } = await start(t, [node.address]);
  assert.notEqual(url.port, '8080');
  assert.equal(await status(url), 200);
});

test('the browser gets a file that nobody else can read', { skip: process.platform !== 'linux' && 'there is no xdg-open here' }, async (t) => {
  const node = await openNode(t);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-test-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const told = path.join(folder, 'told');
  fs.writeFileSync(path.join(folder, 'xdg-open'), `#!/bin/sh\n(echo "$@"; stat -c %a "$1" "$(dirname "$1")"; cat "$1") > ${told}.new && mv ${told}.new ${told}\n`, { mode: 0o755 });
  const one = await start(t, [node.address, '--port', '0', '--open'], { PATH: `${folder}:${process.env.PATH}` });
  await until('it was opened', () => fs.existsSync(told), DEADLINE_MS);
  const [file, mode, folderMode, content] = fs.readFileSync(told, 'utf8').split('\n');
  assert.ok(!file.includes(one.url.pathname.replaceAll('/', '')));
  assert.deepEqual([mode, folderMode], ['600', '700']);
  assert.ok(content.includes(one.url.href));
  assert.deepEqual(await stop(one), [0, null]);
  assert.ok(!fs.existsSync(file));
});

test('where there is no browser the page is there all the same', { skip: process.platform !== 'linux' && 'there is no xdg-open here' }, async (t) => {
  const node = await openNode(t);
  const one = await start(t, [node.address, '--port', '0', '--open'], { PATH: '/nowhere' });
  await until('it is told', () => /No browser/.test(one.child.output.stderr), DEADLINE_MS);
  assert.equal(await status(one.url), 200);
});

test('with the secret of the cluster, which it never tells', async (t) => {
  const secret = randomBytes(32).toString('base64');
  const node = await openNode(t, { secret });
  const one = await start(t, [node.address, '--port', '0'], { COLLECTIVE_SECRET: secret });
  assert.equal(await status(one.url), 200);
  await stop(one);
  const { stdout, stderr } = one.child.output;
  assert.ok(!(stdout + stderr).includes(secret));

  const other = startFile(t, BIN, { args: ['view', node.address], env: { COLLECTIVE_SECRET: randomBytes(32).toString('base64') } });
  const [code] = await once(other, 'exit');
  assert.equal(code, 3);
  assert.match(other.output.stderr, /ERR_/);
});
