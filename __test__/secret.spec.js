'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const path = require('node:path');
const test = require('node:test');
const { inspect } = require('node:util');

const Collective = require('..');
const { join } = require('..');
const { open } = require('./support/collectives');
const { meet, openNode } = require('./support/nodes');
const { freeAddresses } = require('./support/ports');
const { listening, openServent } = require('./support/servents');
const { until } = require('./support/until');

const BIN = path.join(__dirname, '..', require('../package.json').bin['collective-io']);

function keygen(...args) {
  return execFileSync(process.execPath, [BIN, 'keygen', ...args], { encoding: 'utf8' });
}

function makeSecret() {
  return randomBytes(32).toString('base64');
}

/** Sets COLLECTIVE_SECRET until the end of the test. */
function setEnvironment(t, value) {
  t.after(() => delete process.env.COLLECTIVE_SECRET);
  process.env.COLLECTIVE_SECRET = value;
}

/** Everything that a program or its log can get to see of these. */
function seen(...things) {
  return things.map((thing) => inspect(thing, { depth: Infinity, showHidden: true, getters: true })
    + (thing instanceof Error ? thing.stack : '')).join('\n');
}

test('keygen prints a secret, another one each time', async (t) => {
  const secret = keygen();
  assert.match(secret, /^[A-Za-z0-9+/]{43}=\n$/);
  assert.notEqual(keygen(), secret);
  const { secret: told, ...others } = JSON.parse(keygen('--json'));
  assert.deepEqual([Buffer.from(told, 'base64').length, others], [32, {}]);
  const hex = keygen('--hex');
  assert.match(hex, /^[0-9a-f]{64}\n$/);
  // With the end of the line, as `$(cat file)` would not leave it but a file read as a whole does.
  for (const text of [secret, hex]) await openNode(t, { secret: text });
});

test('the command line says what it can do', () => {
  const run = (...args) => spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
  for (const args of [['--help'], ['keygen', '--help']]) {
    const { status, stdout } = run(...args);
    assert.deepEqual([status, stdout.includes('keygen')], [0, true]);
  }
  assert.equal(run('--version').stdout, `${Collective.version}\n`);
  for (const args of [[], ['keygne'], ['toString'], ['keygen', '--hexadecimal'], ['keygen', 'x']]) {
    const { status, stdout, stderr } = run(...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stdout + stderr, /npx collective-io/);
  }
});

test('nodes with one secret meet, however it is written', async (t) => {
  const bytes = randomBytes(32);
  const forms = [
    bytes, new Uint8Array(bytes), bytes.toString('hex'), bytes.toString('hex').toUpperCase(), bytes.toString('base64'),
    bytes.toString('base64url'), [bytes], [makeSecret(), bytes], [bytes.toString('hex'), makeSecret()],
  ];
  const first = await openNode(t, { secret: bytes });
  const others = forms.map((secret) => openNode(t, { secret, seeds: [first.address] }));
  await meet([first, ...await Promise.all(others)]);
});

test('COLLECTIVE_SECRET holds for every kind of node, and may hold several', async (t) => {
  const [a, b] = [makeSecret(), makeSecret()];
  setEnvironment(t, `${a},${b}`);
  const [local] = await freeAddresses(1);
  const collective = await open(t, local, [local]);
  const node = await openNode(t, { seeds: [`127.0.0.1:${local.port}`] });
  const servent = await listening(t);
  servent.connect(local.port);
  await until('all are connected', () => collective.active === 2 && node.peers.size === 2);
  const older = await openNode(t, { secret: b, seeds: [node.address] });
  await until('the older secret is good', () => older.peers.size > 0);
});

test('an option goes before the environment, and null is none', async (t) => {
  const secret = makeSecret();
  setEnvironment(t, makeSecret());
  const node = await openNode(t, { secret });
  const inTheClear = await openNode(t, { secret: null });
  delete process.env.COLLECTIVE_SECRET;
  const [same, clear] = await Promise.all([
    openNode(t, { secret, seeds: [node.address] }), openNode(t, { seeds: [inTheClear.address] }),
  ]);
  assert.ok(same.peers.has(node.id));
  assert.ok(clear.peers.has(inTheClear.id));
});

const BAD = {
  empty: '',
  short: 'aGVsbG8=',
  'a password': 'correct horse battery staple',
  'one character too many': `${makeSecret()}A`,
  'hexadecimal, one digit short': randomBytes(32).toString('hex').slice(1),
  'a byte short': randomBytes(31),
  'no bytes': new Uint8Array(0),
  'a number': 42,
  'an object': {},
  zeros: Buffer.alloc(32),
  'not random': Buffer.from('passwordpasswordpasswordpassword'),
  'an empty list': [],
  'too many': Array.from({ length: 5 }, makeSecret),
  'one bad of several': [makeSecret(), 'x'],
};

for (const [name, secret] of Object.entries(BAD)) {
  test(`a secret that is none is refused: ${name}`, async (t) => {
    const expected = { name: 'TypeError', code: 'ERR_INVALID_SECRET' };
    await assert.rejects(join({ secret }), expected);

    const [local] = await freeAddresses(1);
    const collective = new Collective(local, [local], null, { secret });
    t.after(() => collective.close());
    const [error] = await once(collective, 'error');
    assert.equal(error.code, 'ERR_INVALID_SECRET');
    collective.set('works.alone', 1);
    assert.equal(collective.get('works.alone'), 1);

    const servent = openServent(t, { secret });
    for (const attempt of [() => servent.listen(0), () => servent.connect(1)]) {
      attempt();
      const [error] = await once(servent, 'error');
      assert.equal(error.code, 'ERR_INVALID_SECRET');
    }
  });
}

test('twice the same secret is refused', async () => {
  const secret = makeSecret();
  await assert.rejects(join({ secret: [secret, secret] }), { code: 'ERR_INVALID_SECRET' });
});

test('a bad COLLECTIVE_SECRET is no reason to do without', async (t) => {
  for (const value of ['', 'x', `${makeSecret()},`]) {
    setEnvironment(t, value);
    await assert.rejects(join(), { code: 'ERR_INVALID_SECRET' });
  }
});

test('with another secret nobody gets in, and only this side learns why', async (t) => {
  const inside = await openNode(t, { secret: makeSecret() });
  const warned = once(inside, 'warning');
  const outside = openServent(t, { secret: makeSecret() });
  outside.connect(inside.address);
  const [[warning], [error]] = await Promise.all([warned, once(outside, 'error')]);
  assert.equal(warning.code, 'ERR_UNKNOWN_SECRET');
  assert.match(warning.message, /^A connection from 127\.0\.0\.1:\d+ was refused: it has none of the secrets/);
  assert.deepEqual([error.code, error.syscall], ['ERR_HANDSHAKE_FAILED', 'connect']);
  assert.ok(inside.stats().refused.ERR_UNKNOWN_SECRET >= 1);
  assert.equal(inside.peers.size, 0);
});

test('in the clear nobody gets in', async (t) => {
  const inside = await openNode(t, { secret: makeSecret() });
  const warned = once(inside, 'warning');
  const outside = openServent(t);
  outside.connect(inside.address);
  const [[warning]] = await Promise.all([warned, once(outside, 'error')]);
  assert.equal(warning.code, 'ERR_MODE_MISMATCH');
  assert.match(warning.message, /speaks in the clear/);
});

test('a secret lets a node listen where strangers are', async (t) => {
  const servent = openServent(t, { secret: makeSecret() });
  servent.on('warning', (warning) => assert.fail(warning));
  servent.listen(0, '0.0.0.0');
  await once(servent, 'listening');
  assert.equal(servent.address().address, '0.0.0.0');
  await openNode(t, { secret: makeSecret(), listen: '0.0.0.0:0' });
});

test('secrets change on a running cluster, from every kind of node', async (t) => {
  const [before, after] = [makeSecret(), makeSecret()];
  const all = await freeAddresses(2);
  const collectives = await Promise.all(all.map((local) => open(t, local, all, { secret: before })));
  const node = await openNode(t, { secret: before, seeds: [`127.0.0.1:${all[0].port}`] });
  const servent = openServent(t, { secret: before });
  servent.connect(all[1].port);
  const nodes = [...collectives, node, servent];
  await until('all are connected', () => collectives.every(({ active }) => active === 3));
  const left = [];
  const leave = { Collective: 'disconnect', Servent: 'peerLeave', Node: 'peer:leave' };
  for (const one of nodes) one.on(leave[one.constructor.name], (_, code) => left.push(code));
  let written = 0;
  const writing = setInterval(() => {
    for (const collective of collectives) collective.set('n', 1, Collective.OPERATIONS.INCREMENT);
    written += collectives.length;
  });
  t.after(() => clearInterval(writing));
  for (const secret of [[before, after], [after, before]]) {
    for (const one of nodes) one.rotate({ secret });
    await until('no connection is outdated', () => nodes.every((one) => one.stats().outdated === 0));
  }
  for (const one of nodes) one.rotate({ secret: after });
  const late = await openNode(t, { secret: after, seeds: [node.address] });
  await until('the new one counts', () => written > 100);
  clearInterval(writing);
  await until('nothing was lost', () => collectives.every((collective) => collective.get('n') === written));
  await until('who comes now knows all', () => late.peers.size === 4);
  assert.deepEqual(left, []);
});

test('a rotation that is none changes nothing', async (t) => {
  const secret = makeSecret();
  const node = await openNode(t, { secret });
  for (const options of [undefined, null, 5, {}, { secret: null }, { secrets: secret }]) {
    assert.throws(() => node.rotate(options), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
  assert.throws(() => node.rotate({ secret: 'x' }), { code: 'ERR_INVALID_SECRET' });
  const other = await openNode(t, { secret, seeds: [node.address] });
  assert.ok(other.peers.has(node.id));
  const inTheClear = await openNode(t);
  assert.throws(() => inTheClear.rotate({ secret }), { code: 'ERR_INVALID_STATE' });
  await node.close();
  assert.throws(() => node.rotate({ secret }), { code: 'ERR_CLOSED' });
});

test('a secret is not to be seen on anything', async (t) => {
  const bytes = randomBytes(32);
  const secret = bytes.toString('base64');
  const [local] = await freeAddresses(1);
  const collective = await open(t, local, [local], { secret });
  const servent = openServent(t, { secret });
  const node = await openNode(t, { secret });
  node.rotate({ secret: [secret, makeSecret()] });
  const errors = [];
  for (const bad of [secret.slice(1), `${secret}x`, bytes.toString('hex').slice(2), [secret, secret]]) {
    await join({ secret: bad }).catch((error) => errors.push(error));
  }
  assert.equal(errors.length, 4);
  const text = seen(
    collective, servent, node, collective.node, collective.stats(), servent.stats(), node.stats(), ...errors,
    collective.explain(null),
  );
  for (const form of [secret, bytes.toString('hex'), bytes.toString('base64url')]) {
    for (let at = 0; at + 8 <= form.length; at += 4) assert.ok(!text.includes(form.slice(at, at + 8)));
  }
});
