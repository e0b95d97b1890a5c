'use strict';

/**
 * One node writes distinct keys, the others wait for the last one. Writes of one node take effect
 * in order on both sides, so whoever sees the last key has them all; each reader then reads all of
 * them, as a check and because a value that nobody has read yet may not have been decoded yet.
 */

const { now, sleep, meter } = require('../meter');

// As a server would between requests: an event loop that never turns is nobody's program.
const WRITES_PER_TURN = 100;
const WARM_UP_WRITES = 5000;
const LOOK_EVERY_MS = 2;

function cases({ quick }) {
  const count = quick ? 10_000 : 40_000;
  return [2, 4, 8].map((nodes) => ({
    title: `${count.toLocaleString('en')} writes, ${nodes} nodes`,
    nodes,
    deadlineMs: 60_000,
    rows: [
      {
        id: 'rate',
        title: 'writes a second, visible everywhere',
        unit: '/s',
        more: true,
        words: ['fast', 'slow'],
      },
      cost('callerThread', "caller's main thread, CPU a write"),
      cost('callerProcess', "caller's whole process, CPU a write"),
      cost('callerLoop', "caller's event loop busy, a write"),
      cost('readerThread', "each reader's main thread, CPU a write"),
      cost('readerProcess', "each reader's whole process, CPU a write"),
      cost('readerLoop', "each reader's event loop busy, a write"),
      cost('firstRead', 'first read of each key afterwards'),
    ],
    async run({ nodes: [writer, ...readers], open }) {
      await open();
      await spread(writer, readers, 'warm', WARM_UP_WRITES);
      return spread(writer, readers, 'main', count);
    },
  }));
}

function cost(id, title) {
  return { id, title, unit: 'µs', words: ['cheap', 'dear'] };
}

async function spread(writer, readers, name, count) {
  await Promise.all(readers.map((reader) => reader.ask('watch', { name, count })));
  const startedAt = await writer.ask('write', { name, count });
  const seen = await Promise.all(readers.map((reader) => reader.ask('seen')));
  const caller = await writer.ask('cost');
  // One after another: they would only wait for each other's cores.
  const firstReads = [];
  for (const reader of readers) firstReads.push(await reader.ask('check', { name, count }));

  const seconds = (Math.max(...seen.map(({ seenAt }) => seenAt)) - startedAt) / 1e9;
  const perWrite = (us) => (us === null ? null : us / count);
  const ofReaders = (what) => perWrite(mean(seen.map(({ cost }) => cost[what])));
  return {
    rate: count / seconds,
    callerThread: perWrite(caller.thread),
    callerProcess: perWrite(caller.process),
    callerLoop: perWrite(caller.loop),
    readerThread: ofReaders('thread'),
    readerProcess: ofReaders('process'),
    readerLoop: ofReaders('loop'),
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
  async write(collective, { name, count }) {
    const keys = keysOf(name, count);
    readCost = await meter();
    const startedAt = now();
    for (let i = 0; i < count; i++) {
      collective.set(keys[i], i);
      if (i % WRITES_PER_TURN === WRITES_PER_TURN - 1) await new Promise(setImmediate);
    }
    collective.set(`done.${name}`, count);
    return startedAt;
  },

  /** Until everybody has everything: the event loop may still be sending when `write` returns. */
  cost() {
    return readCost();
  },

  /** Returns at once; `seen` gives the outcome. */
  async watch(collective, { name, count }) {
    const readCost = await meter();
    watching = (async () => {
      // Every wake-up is in the reader's costs (about 20 µs), every pause in the rate.
      while (collective.get(`done.${name}`) !== count) await sleep(LOOK_EVERY_MS);
      return { seenAt: now(), cost: await readCost() };
    })();
  },

  seen() {
    return watching;
  },

  /** µs per first read of a key. */
  check(collective, { name, count }) {
    const keys = keysOf(name, count);
    let wrong = 0;
    const startedAt = now();
    for (let i = 0; i < count; i++) if (collective.get(keys[i]) !== i) wrong++;
    const us = (now() - startedAt) / 1000;
    if (wrong > 0) throw new Error(`${wrong} of ${count} keys are wrong though the last is there`);
    return us / count;
  },
};

module.exports = { cases, duties };
