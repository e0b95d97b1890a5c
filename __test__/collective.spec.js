'use strict';

const assert = require('node:assert/strict');
const EventEmitter = require('node:events');
const { once } = require('node:events');
const test = require('node:test');
const { inherits } = require('node:util');

const Collective = require('..');
const { open, openAlone, openMesh } = require('./support/collectives');
const { freeAddresses } = require('./support/ports');
const { until } = require('./support/until');

test('constants', async (t) => {
  const collective = await openAlone(t);
  for (const owner of [collective, Collective]) {
    assert.deepEqual(owner.OPERATIONS, { SET: 0, INCREMENT: 1, DELETE: 2 });
    assert.deepEqual(owner.TYPES, ['New', 'Accept', 'Data']);
    assert.equal(owner.DELIMITER, '\n');
  }
});

test('set and get', async (t) => {
  const collective = await openAlone(t);
  const { SET, INCREMENT, DELETE } = collective.OPERATIONS;
  assert.equal(collective.set('a.b', 'x'), undefined);
  assert.equal(collective.get('a.b'), 'x');
  assert.deepEqual(collective.get('a'), { b: 'x' });
  collective.set('a', [1, { c: 2 }], SET);
  assert.equal(collective.get('a.1.c'), 2);
  collective.set('a.1.c', 3, null);
  assert.deepEqual(collective.get('a'), [1, { c: 3 }]);
  collective.set('n', 2.5, INCREMENT);
  collective.set('n', -1, INCREMENT);
  assert.equal(collective.get('n'), 1.5);
  collective.set('n', 'ignored', DELETE);
  assert.equal(collective.get('n'), undefined);
  collective.set('a', undefined);
  assert.equal(collective.get('a'), undefined);
  assert.deepEqual(collective.data, {});
});

test('empty segments are ordinary', async (t) => {
  const collective = await openAlone(t);
  collective.set('', 1);
  collective.set('a..b', 2);
  assert.equal(collective.get(''), 1);
  assert.deepEqual(collective.get('a'), { '': { b: 2 } });
  assert.deepEqual(collective.data, { '': 1, a: { '': { b: 2 } } });
});

test('the callback runs once, later, with the collective, and before it writes work', async (t) => {
  const [local] = await freeAddresses(1);
  let calls = 0;
  const ready = new Promise((resolve) => {
    const collective = new Collective(local, [local], (given) => {
      calls++;
      resolve([collective, given]);
    });
    t.after(() => collective.close());
    assert.equal(calls, 0);
    collective.set('early', 1);
    assert.equal(collective.get('early'), 1);
  });
  const [collective, given] = await ready;
  assert.equal(given, collective);
  await new Promise(setImmediate);
  assert.equal(calls, 1);
});

test('addresses and peers', async (t) => {
  const all = await freeAddresses(3);
  const [local, b, c] = all;
  const first = await open(t, local, all);
  assert.equal(first.local, local);
  assert.deepEqual(first.remote, [b, c]);
  assert.deepEqual(first.connections, {});
  assert.equal(first.active, 0);

  const names = [b, c].map(({ host, port }) => `${host}:${port}`);
  const connected = [];
  const disconnected = [];
  first.on('connect', (name) => connected.push(name));
  first.on('disconnect', (name) => disconnected.push(name));
  const second = await open(t, b, all);
  const third = await open(t, c, all);
  await until('both are there', () => first.active === 2);
  assert.deepEqual(connected.sort(), names.sort());
  assert.deepEqual(Object.keys(first.connections).sort(), names);
  assert.equal(first.connections[names[0]].host, '127.0.0.1');
  assert.equal(first.active_remote, 0);

  await second.close();
  await until('one is gone', () => first.active === 1);
  assert.deepEqual(disconnected, [`${b.host}:${b.port}`]);
  assert.deepEqual(Object.keys(first.connections), [`${c.host}:${c.port}`]);
  await until('the third knows too', () => third.active === 1);
});

test('localhost counts as a different host', async (t) => {
  const [{ port }, other] = await freeAddresses(2);
  const all = [{ host: 'localhost', port }, other];
  const first = await open(t, all[0], all);
  const second = await open(t, other, all);
  await until('connected', () => first.active === 1 && second.active === 1);
  assert.deepEqual(Object.keys(first.connections), [`127.0.0.1:${other.port}`]);
  assert.deepEqual(Object.keys(second.connections), [`localhost:${port}`]);
  assert.equal(first.active_remote, 1);
  assert.equal(second.active_remote, 1);
});

test('a list without the own address is a list of the others', async (t) => {
  const [a, b] = await freeAddresses(2);
  const first = await open(t, a, [b]);
  const second = await open(t, b, []);
  assert.deepEqual(first.remote, [b]);
  await until('connected', () => first.active === 1 && second.active === 1);
});

test('history holds back writes of this node', async (t) => {
  const [first, second] = await openMesh(t, 2);
  first.set('foo', 'bar');
  await until('it arrives', () => second.get('foo') === 'bar');
  assert.ok(Math.abs(first.history.foo - Date.now()) < 2000);
  assert.ok(Math.abs(second.history.foo - Date.now()) < 2000);

  second.history.foo += 1500;
  second.set('foo', 'held');
  second.data.foo = 'held';
  second.set('foo', null, second.OPERATIONS.DELETE);
  assert.equal(second.get('foo'), 'bar');
  assert.throws(() => second.set('foo', NaN), { code: 'ERR_INVALID_VALUE' });
  second.set('other', 1);
  second.set('foo.child', 1);
  await until('the rest goes through', () => first.get('other') === 1 && first.get('foo.child') === 1);

  second.history.foo = 0;
  second.set('foo', 'late');
  await until('it is free again', () => first.get('foo') === 'late');
});

test('a read value is the same object until something in it changes', async (t) => {
  const collective = await openAlone(t);
  collective.set('a', { b: 1 });
  const a = collective.get('a');
  assert.equal(collective.get('a'), a);
  collective.set('other', 1);
  assert.equal(collective.get('a'), a);
  collective.set('a.c', 2);
  assert.deepEqual(collective.get('a'), { b: 1, c: 2 });
  assert.deepEqual(a, { b: 1 });
});

test('what was read keeps its value within one turn', async (t) => {
  const [first, second] = await openMesh(t, 2);
  first.set('a', 1);
  await until('it arrives', () => second.get('a') === 1);
  first.set('a', 2);
  const end = performance.now() + 100;
  while (performance.now() < end) assert.equal(second.get('a'), 1);
  await until('it arrives', () => second.get('a') === 2);
});

test('stats', async (t) => {
  const collective = await openAlone(t);
  collective.get('a');
  const stats = collective.stats();
  assert.equal(stats.cachedKeys, 1);
  assert.equal(JSON.stringify(stats).length > 2, true);
});

test('it is an EventEmitter and says when it listens', async (t) => {
  const collective = new Collective({ host: '127.0.0.1', port: 0 }, []);
  t.after(() => collective.close());
  assert.ok(collective instanceof EventEmitter);
  const [address] = await once(collective, 'listening');
  assert.equal(address.address, '127.0.0.1');
  assert.ok(address.port > 0);
});

test('new is required', () => {
  assert.throws(() => Collective({ port: 0 }, []), TypeError);
});

test('subclasses of both styles', async (t) => {
  class Modern extends Collective {
    total(key) {
      return this.get(key) * 2;
    }
  }
  function Old(local, all, callback) {
    Collective.call(this, local, all, callback);
  }
  inherits(Old, Collective);

  for (const Class of [Modern, Old]) {
    const collective = await new Promise((resolve) => new Class({ port: 0 }, [], resolve));
    t.after(() => collective.close());
    assert.ok(collective instanceof Class);
    assert.ok(collective instanceof Collective);
    collective.set('n', 2);
    assert.equal(collective.get('n'), 2);
  }
});

test('an object as collective.js wrote it has nothing hidden in its enumerable members', async (t) => {
  const collective = await openAlone(t);
  const own = Object.keys(collective).filter((name) => !name.startsWith('_'));
  assert.deepEqual(own, ['local', 'remote', 'connections', 'active', 'active_remote']);
});
