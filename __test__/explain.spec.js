'use strict';

/* `explain(key)`: what is shown, by whom it was written, and what hides the rest. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { OPERATIONS } = require('..');
const { open, openAlone, openMesh } = require('./support/collectives');
const { freeAddresses } = require('./support/ports');
const { until } = require('./support/until');

const { INCREMENT, DELETE } = OPERATIONS;

/**
 * Two nodes that have not heard of one another when they write, the second one later. They agree
 * through a third one, which knows both.
 */
async function openConcurrent(t, writeFirst, writeSecond) {
  const all = await freeAddresses(3);
  const [a, b] = await Promise.all(all.slice(1).map((local) => open(t, local, [local])));
  writeFirst(a);
  const written = Date.now();
  await until('the clock moves', () => Date.now() > written);
  writeSecond(b);
  await open(t, all[0], all);
  await until('they agree', () => {
    assert.equal(a.stats().replicas, 2);
    assert.equal(b.stats().replicas, 2);
    return true;
  });
  return [a, b];
}

const own = (collective) => collective.explain(null).replica;

/** The only thing that is shown, and the only one that is hidden. */
function winnerAndLoser({ things }) {
  assert.equal(things.length, 2);
  const [winner, loser] = things;
  assert.deepEqual([winner.shown, loser.shown], [true, false]);
  assert.equal(winner.hidden, undefined);
  return { winner, loser };
}

test('a value, by whom and when', async (t) => {
  const before = Date.now();
  const collective = await openAlone(t);
  collective.set('a.b', ['x', 1]);
  const after = Date.now();
  const explanation = collective.explain('a.b');
  const { ms, tick, ...thing } = explanation.things[0];
  assert.ok(before <= ms && ms <= after && Number.isInteger(tick));
  assert.deepEqual({ ...explanation, things: [thing] }, {
    key: 'a.b',
    replica: own(collective),
    shown: 'array',
    things: [{
      key: 'a.b',
      kind: 'set',
      setAt: 'a.b',
      shape: 'array',
      length: 2,
      json: '["x",1]',
      replica: own(collective),
      counter: 1,
      shown: true,
    }],
    cuts: [],
    leftOut: 0,
  });
});

test('of two concurrent SETs, winner and loser', async (t) => {
  const [a, b] = await openConcurrent(
    t,
    (node) => node.set('x', 'first'),
    (node) => node.set('x', 'second'),
  );
  for (const node of [a, b]) {
    const explanation = node.explain('x');
    assert.equal(explanation.shown, 'value');
    assert.equal(explanation.json, '"second"');
    assert.equal(explanation.replica, own(node));
    const { winner, loser } = winnerAndLoser(explanation);
    assert.deepEqual([winner.json, winner.replica], ['"second"', own(b)]);
    assert.deepEqual([loser.json, loser.replica], ['"first"', own(a)]);
    const { replica, counter, ms, tick } = winner;
    assert.deepEqual(loser.hidden, { why: 'laterSet', key: 'x', kind: 'set', replica, counter, ms, tick });
    assert.ok(winner.ms > loser.ms);
  }
});

test('what hides a whole value and what it hides', async (t) => {
  const [a, b] = await openConcurrent(
    t,
    (node) => node.set('x', { y: 1 }),
    (node) => node.set('x', 'text'),
  );

  const at = winnerAndLoser(a.explain('x'));
  assert.deepEqual([at.loser.json, at.loser.hidden.why], ['{"y":1}', 'laterSet']);
  const below = b.explain('x.y');
  assert.equal(below.shown, 'nothing');
  const piece = below.things.find((thing) => thing.key === 'x.y');
  assert.deepEqual([piece.setAt, piece.json, piece.hidden.why], ['x', '1', 'laterSet']);
  const scalar = below.things.find((thing) => thing.key === 'x');
  assert.deepEqual([scalar.json, scalar.shown], ['"text"', true]);
});

test('a counter, by node', async (t) => {
  const [a, b] = await openMesh(t, 2);
  assert.equal(Object.values(a.connections)[0].id, own(b));
  a.set('n', 10);
  await until('it is there', () => b.get('n') === 10);
  a.set('n', 1, INCREMENT);
  b.set('n', 2, INCREMENT);
  b.set('n', 3.5, INCREMENT);
  await until('all count', () => a.get('n') === 16.5 && b.get('n') === 16.5);
  for (const node of [a, b]) {
    const { shown, json, things } = node.explain('n');
    assert.deepEqual([shown, json], ['number', '16.5']);
    assert.ok(things.every((thing) => thing.shown));
    const amounts = things.filter(({ kind }) => kind === 'increments');
    assert.deepEqual(
      Object.fromEntries(amounts.map(({ replica, amount }) => [replica, amount])),
      { [own(a)]: 1, [own(b)]: 5.5 },
    );
    assert.deepEqual(things.filter(({ kind }) => kind === 'set').map((set) => set.json), ['10']);
  }
});

test('a path in a whole object', async (t) => {
  const collective = await openAlone(t);
  collective.set('user', { name: { first: 'Ada' } });
  const { shown, json, things } = collective.explain('user.name.first');
  assert.deepEqual([shown, json, things.length], ['value', '"Ada"', 1]);
  const [{ key, setAt, shape }] = things;
  assert.deepEqual([key, setAt, shape], ['user.name.first', 'user', 'scalar']);
  const missing = collective.explain('user.name.last');
  assert.equal(missing.shown, 'nothing');
  assert.deepEqual(missing.things.map((thing) => [thing.key, thing.json]), [['user.name', '{"first":"Ada"}']]);
});

test('an object that was written to piece by piece', async (t) => {
  const collective = await openAlone(t);
  collective.set('a.b.c', 1);
  const { shown, things } = collective.explain('a.b');
  assert.equal(shown, 'object');
  assert.deepEqual(things.map(({ kind, shape }) => [kind, shape]), [['mark', 'object']]);
  assert.equal(collective.explain('a.b.c').things.length, 1);
});

test('an element that is missing reads null', async (t) => {
  const collective = await openAlone(t);
  collective.set('list', [1, 2]);
  collective.set('list.0', null, DELETE);
  assert.equal(collective.explain('list.0').shown, 'hole');
  assert.equal(collective.explain('list').json, undefined);
});

test('nothing there', async (t) => {
  const collective = await openAlone(t);
  collective.set('gone', 1);
  collective.set('gone', null, DELETE);
  for (const key of ['gone', 'never', 'never.ever', '', '__proto__', 'constructor']) {
    const replica = own(collective);
    assert.deepEqual(
      collective.explain(key),
      { key, replica, shown: 'nothing', things: [], cuts: [], leftOut: 0 },
    );
  }
});

test('the whole state', async (t) => {
  const collective = await openAlone(t);
  collective.set('a', 1);
  const { key, shown, things } = collective.explain(null);
  assert.deepEqual([key, shown, things], [null, 'object', []]);
});

test('long texts are cut', async (t) => {
  const collective = await openAlone(t);
  collective.set('long', 'x'.repeat(100_000));
  const { json, things } = collective.explain('long');
  assert.equal(json, `"${'x'.repeat(199)}…`);
  assert.equal(things[0].json, json);
});

test('it changes nothing', async (t) => {
  const collective = await openAlone(t);
  collective.set('user', { name: 'Ada', tags: ['x'] });
  const { things, documentNodes } = collective.stats();
  for (const key of ['user', 'user.name', 'user.tags.0', 'user.tags.5.x']) collective.explain(key);
  const after = collective.stats();
  assert.deepEqual([after.things, after.documentNodes], [things, documentNodes]);
  assert.deepEqual(collective.data, { user: { name: 'Ada', tags: ['x'] } });
});

test('bad keys', async (t) => {
  const collective = await openAlone(t);
  for (const key of [undefined, 1, {}, ['a'], Symbol('a'), 'a\ud800']) {
    assert.throws(() => collective.explain(key), { name: 'TypeError', code: 'ERR_INVALID_KEY' });
  }
  const closed = collective.close();
  assert.throws(() => collective.explain('a'), { code: 'ERR_CLOSED' });
  await closed;
});
