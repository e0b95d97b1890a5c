'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { inspect } = require('node:util');

const Collective = require('..');
const { join } = require('..');
const { Authority } = require('./support/certificates');
const { open } = require('./support/collectives');
const { meet, openNode } = require('./support/nodes');
const { freeAddresses } = require('./support/ports');
const { openServent } = require('./support/servents');
const { until } = require('./support/until');

/** A folder that goes with the test, and a function that puts files into it. */
function folder(t) {
  const name = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-'));
  t.after(() => fs.rmSync(name, { recursive: true }));
  return (file, text) => {
    fs.writeFileSync(path.join(name, file), text);
    return path.join(name, file);
  };
}

test('nodes with certificates of one authority meet, however they are given', async (t) => {
  const authority = new Authority();
  const write = folder(t);
  const bytes = authority.issue(['a.example']);
  const files = authority.issue(['b.example']);
  const forms = [
    authority.issue(['c.example']),
    Object.fromEntries(Object.entries(bytes).map(([part, pem]) => [part, Buffer.from(pem)])),
    Object.fromEntries(Object.entries(files).map(([part, pem]) => [part, write(`${part}.pem`, pem)])),
    { ...authority.issue(['d.example']), ca: [new Authority('other').pem, write('ca.pem', authority.pem)] },
    { ...authority.issue(['e.example']), names: ['*.example'] },
  ];
  const first = await openNode(t, { tls: authority.issue(['first.example']) });
  const nodes = await Promise.all(forms.map((tls) => openNode(t, { tls, seeds: [first.address] })));
  await meet([first, ...nodes]);
});

test('every kind of node takes certificates, and listens where strangers are', async (t) => {
  const authority = new Authority();
  const all = await freeAddresses(2);
  const tls = authority.issue(['a.example']);
  const [collective] = await Promise.all(all.map((local) => open(t, local, all, { tls })));
  const servent = openServent(t, { tls });
  servent.on('warning', (warning) => assert.fail(warning));
  servent.connect(all[0].port);
  servent.listen(0, '0.0.0.0');
  await once(servent, 'listening');
  await until('all are connected', () => collective.active === 2);
});

/** What each side of a connection is told, if the second dials the first. */
async function refusal(t, inside, outside) {
  const node = await openNode(t, { tls: inside });
  const warned = once(node, 'warning');
  const servent = openServent(t, { tls: outside });
  servent.connect(node.address);
  const [[warning], [error]] = await Promise.all([warned, once(servent, 'error')]);
  assert.equal(node.peers.size, 0);
  return { warning, error };
}

test('other certificates are refused, and only this side learns why', async (t) => {
  const [authority, other] = [new Authority('one'), new Authority('other')];
  const inside = { ...authority.issue(['a.example']), names: ['a.example'] };
  const unknown = other.issue(['a.example']);
  const cases = [
    [{ ...unknown, ca: [unknown.ca, authority.pem] }, /it is of another authority/],
    [authority.issue(['b.example']), /it is for b\.example, and none of its names is allowed/],
    [authority.issue([]), /it has no name that is allowed/],
  ];
  for (const [outside, reason] of cases) {
    const { warning, error } = await refusal(t, inside, outside);
    assert.equal(warning.code, 'ERR_CERTIFICATE_REFUSED');
    assert.match(warning.message, reason);
    assert.deepEqual([error.code, error.syscall], ['ERR_HANDSHAKE_FAILED', 'connect']);
    assert.doesNotMatch(error.message, /certificate|authority|name/);
  }
});

test('a certificate and a secret do not go together', async (t) => {
  const tls = new Authority().issue(['a.example']);
  const secret = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 7));
  await assert.rejects(join({ tls, secret }), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  const inside = await openNode(t, { tls });
  const warned = once(inside, 'warning');
  openServent(t, { secret }).on('error', () => {}).connect(inside.address);
  const [warning] = await warned;
  assert.equal(warning.code, 'ERR_MODE_MISMATCH');
  assert.match(warning.message, /offers a secret/);
  assert.throws(() => inside.rotate({ secret }), { code: 'ERR_INVALID_STATE' });
});

test('COLLECTIVE_SECRET is for nodes without a certificate', async (t) => {
  t.after(() => delete process.env.COLLECTIVE_SECRET);
  process.env.COLLECTIVE_SECRET = 'of no use';
  const authority = new Authority();
  const first = await openNode(t, { tls: authority.issue(['a.example']) });
  const second = await openNode(t, { tls: authority.issue(['b.example']), seeds: [first.address] });
  assert.ok(second.peers.has(first.id));
});

test('certificates that cannot be used are told of', async (t) => {
  const authority = new Authority();
  const good = authority.issue(['a.example']);
  const cases = [
    [{ ...good, key: undefined }, /`tls\.key` must be PEM/],
    [{ ...good, ca: [] }, /`tls\.ca` must be PEM/],
    [{ ...good, cert: 5 }, /`tls\.cert` must be PEM/],
    [{ ...good, key: '/nowhere/key.pem' }, /`tls\.key` cannot be read: ENOENT/],
    [{ ...good, key: authority.issue([]).key }, /`tls\.key` does not belong to `tls\.cert`/],
    [{ ...good, cert: good.key }, /`tls\.cert` has no PEM of this kind/],
    [{ ...good, ca: new Authority('other').pem }, /another authority/],
    [{ ...authority.issue(['a.example'], -1) }, /it has expired/],
    [{ ...good, names: ['b.example'] }, /it is for a\.example/],
    [{ ...good, names: 'a.example' }, /`tls\.names` must be an array/],
  ];
  for (const [tls, message] of cases) {
    const expected = { name: 'TypeError', code: 'ERR_INVALID_CERTIFICATE', message };
    await assert.rejects(join({ tls }), expected);
    const [local] = await freeAddresses(1);
    const collective = new Collective(local, [local], null, { tls });
    t.after(() => collective.close());
    assert.equal((await once(collective, 'error'))[0].code, 'ERR_INVALID_CERTIFICATE');
  }
  for (const tls of [5, 'a', { ...good, passphrase: 'x' }]) {
    await assert.rejects(join({ tls }), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
});

test('certificates are read again while the node runs', async (t) => {
  const [before, after] = [new Authority('before'), new Authority('after')];
  const write = folder(t);
  const store = (place, { key, cert }, ca) => {
    const file = (part, pem) => write(`${place}.${part}`, pem);
    return { key: file('key', key), cert: file('cert', cert), ca: file('ca', ca) };
  };
  const names = ['a.example', 'b.example'];
  const all = await freeAddresses(2);
  const opened = all.map((local, at) => {
    const tls = store(at, before.issue([names[at]]), before.pem);
    return open(t, local, all, { tls }).then((collective) => ({ collective, tls }));
  });
  const nodes = await Promise.all(opened);
  const collectives = nodes.map(({ collective }) => collective);
  await until('they are connected', () => collectives.every(({ active }) => active === 1));
  const left = [];
  for (const collective of collectives) collective.on('disconnect', (_, code) => left.push(code));
  let written = 0;
  const writing = setInterval(() => {
    for (const collective of collectives) collective.set('n', 1, Collective.OPERATIONS.INCREMENT);
    written += collectives.length;
  });
  t.after(() => clearInterval(writing));
  await until('there is something to lose', () => written > 0);
  const both = before.pem + after.pem;
  for (const [authority, ca] of [[before, both], [after, both], [after, after.pem]]) {
    for (const [at, { collective, tls }] of nodes.entries()) {
      store(at, authority.issue([names[at]]), ca);
      collective.rotate({ tls });
    }
    await until('they are connected anew', () => collectives.every((collective) => {
      const { outdated, connections } = collective.stats();
      return outdated === 0 && connections === 1;
    }));
  }
  clearInterval(writing);
  await until('nothing was lost', () => collectives.every((collective) => collective.get('n') === written));
  assert.deepEqual(left, []);

  const { collective } = nodes[0];
  assert.throws(() => collective.rotate({ tls: { ...nodes[0].tls, key: '/nowhere' } }), { code: 'ERR_INVALID_CERTIFICATE' });
  const warned = once(collective, 'warning');
  const outsider = openServent(t, { tls: { ...before.issue(['c.example']), ca: both } });
  outsider.on('error', () => {}).connect(all[0].port);
  assert.match((await warned)[0].message, /another authority/);
});

test('a key is not to be seen on anything', async (t) => {
  const tls = new Authority().issue(['a.example']);
  const node = await openNode(t, { tls });
  node.rotate({ tls });
  const bad = await join({ tls: { ...tls, cert: tls.key } }).catch((error) => error);
  const text = inspect([node, node.stats(), bad], { depth: Infinity, showHidden: true, getters: true }) + bad.stack;
  const body = tls.key.split('\n')[1];
  for (let at = 20; at + 8 <= body.length; at += 4) assert.ok(!text.includes(body.slice(at, at + 8)));
});
