'use strict';

/* Where we differ from collective.js on purpose: one test for each line of the table in docs/api.md. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const test = require('node:test');

const Collective = require('..');
const { open, openAlone, openMesh } = require('./support/collectives');
const { freeAddresses, freePorts } = require('./support/ports');
const { Member, run } = require('./support/process');
const { until } = require('./support/until');
const { Link } = require('./support/wire');

const { INCREMENT, DELETE } = Collective.OPERATIONS;

test('below a number there is nothing', async (t) => {
  const node = await openAlone(t);
  node.set('n', 5);
  node.set('text', 'abc');
  assert.equal(node.get('n.x'), undefined);
  assert.equal(node.get('text.length'), undefined);
  assert.equal(node.get('text.0'), undefined);
});

test('SET below a scalar replaces it by an object', async (t) => {
  const node = await openAlone(t);
  node.set('n', 5);
  node.set('n.x', 1);
  assert.deepEqual(node.data, { n: { x: 1 } });
  node.set('n.x.y', 1, INCREMENT);
  assert.deepEqual(node.data, { n: { x: { y: 1 } } });
});

test('null is a scalar like others', async (t) => {
  const node = await openAlone(t);
  node.set('a', null);
  assert.equal(node.get('a'), null);
  assert.equal(node.get('a.b'), undefined);
  node.set('a.b', 1);
  assert.deepEqual(node.data, { a: { b: 1 } });
});

test('a counter is a finite number', async (t) => {
  const node = await openAlone(t);
  const state = { text: '1', object: { a: 1 }, n: 1 };
  for (const [key, value] of Object.entries(state)) node.set(key, value);
  for (const [key, by] of [['text', 1], ['object', 1], ['n', '1'], ['n', NaN], ['n', {}], ['new', undefined]]) {
    assert.throws(() => node.set(key, by, INCREMENT), { name: 'TypeError', code: 'ERR_NOT_A_NUMBER' });
  }
  assert.deepEqual(node.data, state);
  node.set('big', Number.MAX_VALUE);
  node.set('big', Number.MAX_VALUE, INCREMENT);
  assert.equal(node.get('big'), Number.MAX_VALUE);
});

test('a value that JSON cannot hold is refused; else it is what JSON.stringify gives', async (t) => {
  const [node, peer] = await openMesh(t, 2);
  const cycle = [];
  cycle.push(cycle);
  for (const value of [() => {}, Symbol('s'), 1n, NaN, Infinity, cycle, { a: 1n }]) {
    assert.throws(() => node.set('a', value), { name: 'TypeError', code: 'ERR_INVALID_VALUE' });
  }
  assert.deepEqual(node.data, {});
  const value = { date: new Date(0), f() {}, nan: NaN, list: [undefined], half: '\ud800', own: { toJSON: () => 7 } };
  node.set('a', value);
  const expected = { date: '1970-01-01T00:00:00.000Z', nan: null, list: [null], half: '\ud800', own: 7 };
  assert.deepEqual(node.get('a'), expected);
  await until('it arrives', () => peer.get('a'));
  assert.deepEqual(peer.get('a'), expected);
  node.set('a', undefined);
  assert.deepEqual(node.data, {});
  await until('it is gone', () => peer.get('a') === undefined);
});

test('SET takes the value at the call, get gives a copy of this node', async (t) => {
  const [node, peer] = await openMesh(t, 2);
  const value = { list: [1] };
  node.set('a', value);
  value.list.push(2);
  assert.deepEqual(node.get('a'), { list: [1] });
  await until('it arrives', () => peer.get('a'));
  assert.deepEqual(peer.get('a'), { list: [1] });
  assert.equal(node.get('a'), node.get('a'));

  const copy = node.get('a');
  copy.list.push(3);
  node.set('a', copy);
  await until('it arrives', () => peer.get('a.list.1') === 3);
  assert.deepEqual(node.get('a'), { list: [1, 3] });
});

test('__proto__ is an ordinary name everywhere', async (t) => {
  const all = await freeAddresses(2);
  const node = await open(t, all[0], all);
  node.set('__proto__.polluted', 1);
  node.set('a.__proto__.polluted', 2);
  node.set('b', JSON.parse('{"__proto__":{"polluted":3}}'));
  node.set('constructor.prototype.polluted', 4);
  const late = await open(t, all[1], all);
  for (const each of [node, late]) {
    const { data } = each;
    const get = (key) => each.get(key);
    assert.equal({}.polluted, undefined);
    assert.deepEqual(Object.keys(data).sort(), ['__proto__', 'a', 'b', 'constructor']);
    assert.equal(get('__proto__.polluted'), 1);
    assert.ok(Object.hasOwn(get('a'), '__proto__'));
    assert.equal(get('b.__proto__.polluted'), 3);
    assert.equal(get('constructor.prototype.polluted'), 4);
    assert.equal(data.__proto__.polluted, 1);
    assert.equal(get('toString'), undefined);
    assert.equal(get('a.hasOwnProperty'), undefined);
  }
});

test('what is not ours on the port closes that connection and nothing else', async (t) => {
  const node = await openAlone(t);
  const warned = once(node, 'warning');
  const socket = net.connect(node.local.port, '127.0.0.1').on('error', () => {}).resume();
  socket.write('not JSON at all\n');
  await once(socket, 'close');
  const [{ code }] = await warned;
  assert.match(code, /^ERR_/);
  node.set('a', 1);
  assert.equal(node.get('a'), 1);
});

test('the callback runs when the data is here', async (t) => {
  const all = await freeAddresses(2);
  const node = await open(t, all[0], all);
  for (let i = 0; i < 20_000; i++) node.set(`k${i}`, i);
  const count = await new Promise((resolve) => {
    const late = new Collective(all[1], all, (ready) => resolve(Object.keys(ready.data).length));
    t.after(() => late.close());
  });
  assert.equal(count, 20_000);
});

test('a write beats what its writer has seen, whatever the clocks say', async (t) => {
  const all = await freeAddresses(2);
  const [one, two] = all.map((local) => new Member(t, local, all));
  await Promise.all([one.ready(), two.ready()]);
  for (let i = 0; i < 50; i++) {
    const [writer, reader] = i % 2 ? [one, two] : [two, one];
    await writer.set('a', i);
    await until('it is seen', async () => (await reader.get('a')) === i);
  }
  assert.equal(await one.get('a'), await two.get('a'));
});

test('after a lost connection they converge', async (t) => {
  const ports = await freePorts(2);
  const link = await Link.open(t, ports[0]);
  const [a, b] = ports.map((port) => ({ host: '127.0.0.1', port }));
  const node = await open(t, a, []);
  const peer = await open(t, b, [{ host: '127.0.0.1', port: link.port }]);
  link.cut();
  await until('it is lost', () => node.active === 0 && peer.active === 0);
  node.set('n', 1, INCREMENT);
  peer.set('n', 2, INCREMENT);
  node.set('from.node', true);
  peer.set('from.peer', true);
  link.heal();
  await until('they agree', () => {
    for (const { data } of [node, peer]) assert.deepEqual(data, { n: 3, from: { node: true, peer: true } });
    return true;
  });
});

test("an address in use is an 'error' event", async (t) => {
  const taken = await openAlone(t);
  const node = new Collective(taken.local, [taken.local], () => assert.fail('not ready'));
  t.after(() => node.close());
  const [error] = await once(node, 'error');
  assert.equal(error.code, 'EADDRINUSE');
  assert.equal(error.syscall, 'listen');
  assert.equal(error.port, taken.local.port);
  taken.set('a', 1);
  assert.equal(taken.get('a'), 1);
});

test('another host than loopback needs `insecure`', async (t) => {
  const [{ port }] = await freeAddresses(1);
  const local = { host: '0.0.0.0', port };
  const node = new Collective(local, [local], () => assert.fail('not ready'));
  t.after(() => node.close());
  const [error] = await once(node, 'error');
  assert.equal(error.code, 'ERR_INSECURE_BIND');
  assert.match(error.message, /insecure: true/);
  const [refused] = await once(net.connect(port, '127.0.0.1'), 'error');
  assert.equal(refused.code, 'ECONNREFUSED');

  const allowed = new Collective(local, [local], null, { insecure: true });
  t.after(() => allowed.close());
  const [warning] = await once(allowed, 'warning');
  assert.equal(warning.code, 'ERR_INSECURE_BIND');
  assert.ok(warning.message.includes(`0.0.0.0:${port}`));
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
  allowed.set('a', 1);
});

test('a node that must not listen is never ready, also if the program is busy while it opens', async (t) => {
  // When the program comes to its first turn, what the node's own thread has to say is there.
  const { code, stdout, stderr } = await run(t, `
    const local = { host: '0.0.0.0', port: 9000 };
    const node = new Collective(local, [local], () => console.log('called back'));
    node.on('ready', () => console.log('ready'));
    node.on('error', ({ code }) => {
      console.log(code);
      node.close();
    });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  `);
  assert.deepEqual([code, stdout, stderr], [0, 'ERR_INSECURE_BIND\n', '']);
});

test('a host that never answers delays the callback by seconds at most', async (t) => {
  const [local, hole] = await freeAddresses(2);
  const link = await Link.open(t, hole.port);
  link.stall();
  const started = performance.now();
  const node = await open(t, local, [{ host: '127.0.0.1', port: link.port }]);
  assert.ok(performance.now() - started < 5500);
  assert.equal(node.active, 0);
});

test('readyTimeout', async (t) => {
  const [local, hole] = await freeAddresses(2);
  const link = await Link.open(t, hole.port);
  link.stall();
  const started = performance.now();
  await open(t, local, [{ host: '127.0.0.1', port: link.port }], { readyTimeout: 300 });
  assert.ok(performance.now() - started < 1500);
});

test('a donor that stalls is replaced', async (t) => {
  const all = await freeAddresses(3);
  const [donor, other] = await Promise.all(all.slice(0, 2).map((local) => open(t, local, all)));
  const count = 5000;
  for (let i = 0; i < count; i++) donor.set(`k${i}`, 'x'.repeat(100));
  await until('both have it', () => other.get(`k${count - 1}`));

  // The link to the first lets the handshake through and no more.
  const link = await Link.open(t, all[0].port, { stallAfter: 20_000 });
  const late = await open(t, all[2], [{ host: '127.0.0.1', port: link.port }, all[1]]);
  assert.equal(Object.keys(late.data).length, count);
});

test('DELETE of what is not there creates nothing, an emptied parent stays', async (t) => {
  const node = await openAlone(t);
  node.set('a.b.c', null, DELETE);
  assert.deepEqual(node.data, {});
  node.set('a.b', 1);
  node.set('a.b', null, DELETE);
  assert.deepEqual(node.data, { a: {} });
  node.set('a.x.y', null, DELETE);
  assert.deepEqual(node.data, { a: {} });
});
