'use strict';

/*
 * Real processes behind links that fail. Whatever happens to the links, all nodes end with one
 * state and exact counters soon after they heal.
 */

const assert = require('node:assert/strict');
const test = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const { OPERATIONS } = require('..');
const { linkedMesh } = require('./support/wire');
const { freePorts } = require('./support/ports');
const { Member } = require('./support/process');
const { until } = require('./support/until');

const HEAL_MS = 20_000;

async function setup(t, count, options) {
  const ports = await freePorts(count);
  const mesh = await linkedMesh(t, ports);
  const locals = ports.map((port) => ({ host: '127.0.0.1', port }));
  const start = (index) => new Member(t, locals[index], mesh.alls[index], options);
  const members = locals.map((_, index) => start(index));
  await Promise.all(members.map((member) => member.ready()));
  await connected(members);
  return { ...mesh, members, start };
}

function connected(members) {
  return until('all are connected', async () => {
    const counts = await Promise.all(members.map((member) => member.active()));
    return counts.every((count) => count === members.length - 1);
  }, HEAL_MS);
}

/** Waits until all have the expected data, or just the same if nothing is expected. */
function agree(members, expected) {
  return until('all agree', async () => {
    const [first, ...others] = await Promise.all(members.map((member) => member.data()));
    assert.deepEqual(first, expected ?? first);
    for (const other of others) assert.deepEqual(other, first);
    return true;
  }, HEAL_MS);
}

test('both halves of a cut cluster write; healed, nothing is lost', async (t) => {
  const { members, links, between } = await setup(t, 4);
  for (const [i, j] of [[0, 2], [0, 3], [1, 2], [1, 3]]) {
    for (const link of between(i, j)) link.cut();
  }
  await Promise.all(members.map(async (member, index) => {
    await member.increment('count', 1, 100);
    await member.set(`only.n${index}`, { by: index });
    await member.set('contested', index);
  }));
  await until('the halves differ', async () =>
    (await members[1].get('count')) === 200 && (await members[3].get('count')) === 200);

  for (const link of links) link.heal();
  await agree(members);
  const { count, only, contested } = await members[0].data();
  assert.equal(count, 400);
  assert.deepEqual(Object.keys(only), ['n0', 'n1', 'n2', 'n3']);
  assert.ok([0, 1, 2, 3].includes(contested));
});

test('a delete is not undone by a node that was away', async (t) => {
  const { members, between } = await setup(t, 3);
  await members[0].set('a', { old: true, kept: 1 });
  await agree(members, { a: { old: true, kept: 1 } });
  const away = [...between(0, 2), ...between(1, 2)];
  for (const link of away) link.cut();
  await members[0].set('a.old', null, OPERATIONS.DELETE);
  await members[2].set('a.new', 1);
  for (const link of away) link.heal();
  await agree(members, { a: { kept: 1, new: 1 } });
});

test('links that stall', async (t) => {
  const { members, links } = await setup(t, 3, { lossTimeout: 1500, heartbeatInterval: 300 });
  for (const link of links) link.stall();
  await Promise.all(members.map((member) => member.increment('count', 1, 50)));
  await until('the silence is noticed', async () => (await members[0].active()) === 0);
  await Promise.all(members.map((member) => member.increment('count', 1, 50)));
  for (const link of links) link.heal();
  await agree(members, { count: 300 });
});

test('links that come and go while everybody writes', async (t) => {
  const { members, links } = await setup(t, 4);
  let healed = false;
  const chaos = (async () => {
    for (let round = 0; round < 12; round++) {
      const link = links[(round * 5) % links.length];
      link.cut();
      await sleep(60);
      link.heal();
    }
    healed = true;
  })();
  let rounds = 0;
  while (!healed) {
    rounds++;
    await Promise.all(members.map((member, index) => Promise.all([
      member.increment('count', 1, 10),
      member.increment(`own.n${index}`, 0.5, 2),
      member.set(`last.n${index}`, rounds),
    ])));
    await sleep(5);
  }
  await chaos;
  const each = (value) => ({ n0: value, n1: value, n2: value, n3: value });
  await agree(members, { count: rounds * 40, own: each(rounds), last: each(rounds) });
});

test('a node that is killed loses nothing that others had, and comes back', async (t) => {
  const { members, start } = await setup(t, 4);
  await Promise.all(members.map((member) => member.increment('count', 1, 100)));
  await agree(members, { count: 400 });
  await members[2].kill();
  await members[0].increment('count', 1, 10);
  members[2] = start(2);
  await members[2].ready();
  await members[2].increment('count', 1, 10);
  await agree(members, { count: 420 });
});

test('a node that is frozen', { skip: process.platform === 'win32' && 'no SIGSTOP' }, async (t) => {
  const { members } = await setup(t, 4);
  members[3].signal('SIGSTOP');
  const others = members.slice(0, 3);
  await Promise.all(others.map((member) => member.setMany('k', 200)));
  await Promise.all(others.map((member) => member.increment('count', 1, 100)));
  await until('it is missed', async () => (await members[0].active()) === 2, HEAL_MS);
  await others[0].set('k', undefined);
  await others[0].set('k', null, OPERATIONS.DELETE);
  await others[0].set('after', true);
  members[3].signal('SIGCONT');
  await members[3].increment('count', 1, 1);
  await agree(members, { count: 301, after: true });
});

test('a chain of nodes converges like a full mesh', async (t) => {
  const ports = await freePorts(4);
  const at = (index) => ({ host: '127.0.0.1', port: ports[index] });
  const members = ports.map((_, index) => new Member(t, at(index), index === 0 ? [] : [at(index - 1)]));
  await Promise.all(members.map((member) => member.ready()));
  await Promise.all(members.map((member, index) => member.increment('count', 10 ** index)));
  await agree(members, { count: 1111 });
});
