'use strict';

/**
 * One node writes distinct keys, the others wait for the last one. Writes of one node take effect
 * in order on both sides, so whoever sees the last key has them all; each reader then reads all of
 * them, as a check and because a value that nobody has read yet may not have been decoded yet.
 */

const { now, sleep, meter } = require('../meter');
const { STORES } = require('../sides');

// As a server would between requests: an event loop that never turns is nobody's program.
const WRITES_PER_TURN = 100;
const WARM_UP_WRITES = 5000;
const LOOK_EVERY_MS = 2;

/** So many writes a second, and for how long, to see what they cost a program that has other work. */
const PACE = 5000;
const PACE_EVERY_MS = 10;

/** What is written, by its name in the titles. */
const VALUES = {
  numbers: (i) => i,
  '100-byte objects': (i) => ({ id: i, name: `user ${i}`, tags: ['a', 'b'], text: 'x'.repeat(50) }),
  '10-kB objects': (i) => ({ id: i, lines: Array(100).fill('y'.repeat(97)) }),
};

function cases({ quick }) {
  const many = quick ? 10_000 : 40_000;
  return [
    { nodes: 1, kind: 'numbers', count: many },
    { nodes: 2, kind: 'numbers', count: many },
    { nodes: 4, kind: 'numbers', count: many },
    { nodes: 8, kind: 'numbers', count: many },
    ...(quick ? [] : [{ nodes: 16, kind: 'numbers', count: many / 2, rounds: 2 }]),
    { nodes: 2, kind: '100-byte objects', count: many },
    { nodes: 2, kind: '10-kB objects', count: many / 20 },
  ].map(({ nodes, kind, count, rounds }) => ({
    title: `${count.toLocaleString('en')} writes of ${kind}, ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`,
    nodes,
    rounds,
    deadlineMs: 120_000,
    rows: [
      {
        id: 'rate',
        title: 'writes a second, visible everywhere',
        unit: '/s',
        more: true,
        words: ['fast', 'slow'],
        plotted: nodes > 1,
      },
      cost('pacedThread', `caller's main thread, CPU a write, at ${PACE.toLocaleString('en')} a second`),
      cost('pacedNothing', 'of that the turns themselves, with nothing written'),
      cost('callerThread', "caller's main thread, CPU a write"),
      cost('callerProcess', "caller's whole process, CPU a write"),
      cost('callerLoop', "caller's event loop busy, a write"),
      ...(nodes === 1 ? [] : [
        cost('readerThread', "each reader's main thread, CPU a write"),
        cost('readerProcess', "each reader's whole process, CPU a write"),
        cost('readerLoop', "each reader's event loop busy, a write"),
        cost('cluster', 'all processes together, CPU a write'),
        cost('firstRead', 'first read of each key afterwards'),
      ]),
    ],
    async run({ nodes: [writer, ...readers], open }) {
      await open();
      await spread(writer, readers, { name: 'warm', kind, count: Math.min(WARM_UP_WRITES, count) });
      const figures = await spread(writer, readers, { name: 'main', kind, count });
      const ms = quick ? 500 : 2000;
      figures.pacedThread = await writer.ask('pace', { kind, ms, writes: true });
      figures.pacedNothing = await writer.ask('pace', { kind, ms, writes: false });
      return figures;
    },
  }));
}

function cost(id, title) {
  return { id, title, unit: 'µs', words: ['cheap', 'dear'] };
}

async function spread(writer, readers, writes) {
  // A node alone waits for itself, since a store may take its time.
  const lookers = readers.length > 0 ? readers : [writer];
  await Promise.all(readers.map((reader) => reader.ask('watch', writes)));
  const startedAt = await writer.ask('write', writes);
  if (readers.length === 0) await writer.ask('watch', writes);
  const seen = await Promise.all(lookers.map((reader) => reader.ask('seen')));
  const caller = await writer.ask('cost');
  // One after another: they would only wait for each other's cores.
  const firstReads = [];
  for (const reader of readers) firstReads.push(await reader.ask('check', writes));

  const seconds = (Math.max(...seen.map(({ seenAt }) => seenAt)) - startedAt) / 1e9;
  const perWrite = (us) => (us === null ? null : us / writes.count);
  const figures = {
    rate: writes.count / seconds,
    callerThread: perWrite(caller.thread),
    callerProcess: perWrite(caller.process),
    callerLoop: perWrite(caller.loop),
  };
  if (readers.length === 0) return figures;
  const ofReaders = (what) => perWrite(mean(seen.map(({ cost }) => cost[what])));
  return {
    ...figures,
    readerThread: ofReaders('thread'),
    readerProcess: ofReaders('process'),
    readerLoop: ofReaders('loop'),
    cluster: figures.callerProcess + ofReaders('process') * readers.length,
    firstRead: mean(firstReads),
  };
}

function mean(values) {
  if (values.includes(null)) return null;
  return values.reduce((sum, value) => sum + value) / values.length;
}

function keysOf(name, count) {
  return Array.from({ length: count }, (_, i) => {
    return `${name}.batch${Math.floor(i / 100)}.key${i % 100}`;
  });
}

let readCost;
let watching;

const duties = {
  async write(collective, { name, kind, count }) {
    const keys = keysOf(name, count);
    const valueOf = VALUES[kind];
    const values = keys.map((_, i) => valueOf(i));
    readCost = await meter();
    const startedAt = now();
    for (let i = 0; i < count; i++) {
      collective.set(keys[i], values[i]);
      if (i % WRITES_PER_TURN === WRITES_PER_TURN - 1) await new Promise(setImmediate);
    }
    collective.set(`done.${name}`, count);
    return startedAt;
  },

  /** Until everybody has everything: the event loop may still be sending when `write` returns. */
  cost() {
    return readCost();
  },

  /** µs of the main thread per write, the thread's turns between the writes included. */
  async pace(collective, { kind, ms, writes }) {
    const store = writes ? collective : { set() {} };
    const perTurn = PACE * PACE_EVERY_MS / 1000;
    const keys = keysOf('paced', PACE);
    const readCost = await meter();
    const startedAt = now();
    let written = 0;
    while (written < PACE * ms / 1000) {
      for (let i = 0; i < perTurn; i++, written++) {
        store.set(keys[written % PACE], VALUES[kind](written));
      }
      const next = startedAt + written / perTurn * PACE_EVERY_MS * 1e6;
      await sleep(Math.max(0, (next - now()) / 1e6));
    }
    const { thread } = await readCost();
    return thread === null ? null : thread / written;
  },

  /** Returns at once; `seen` gives the outcome. */
  async watch(collective, { name, count }) {
    const readCost = await meter();
    watching = (async () => {
      // Every wake-up is in the reader's costs (about 20 µs), every pause in the rate.
      while (await collective.get(`done.${name}`) !== count) await sleep(LOOK_EVERY_MS);
      return { seenAt: now(), cost: await readCost() };
    })();
  },

  seen() {
    return watching;
  },

  /** µs per first read of a key. */
  async check(collective, { name, kind, count }) {
    const keys = keysOf(name, count);
    const startedAt = now();
    const values = collective.isAsync
      ? await Promise.all(keys.map((key) => collective.get(key)))
      : keys.map((key) => collective.get(key));
    const us = (now() - startedAt) / 1000;
    const wrong = values.filter((value, i) => (kind === 'numbers' ? value : value?.id) !== i).length;
    if (wrong > 0) throw new Error(`${wrong} of ${count} keys are wrong though the last is there`);
    return us / count;
  },
};

module.exports = { sides: STORES, cases, duties };
