'use strict';

/** A node joins one that holds a lot: how long until it has it all, and what that costs both. */

const { monitorEventLoopDelay } = require('perf_hooks');
const { now, sleep, rss, peakRss } = require('../meter');

const KEYS_PER_GROUP = 10_000;
const WRITES_PER_TURN = 1000;

// How keys are named decides what V8 makes of the plain mesh's nested object, so both are measured:
// where all records have the same fields, their objects share one hidden class and a joiner parses
// them fast; where every name occurs once, each object needs its own.
const SHAPES = {
  records: (group, i) => `group${group}.user${Math.floor(i / 10)}.field${i % 10}`,
  'distinct names': (group, i) => `group${group}.shelf${Math.floor(i / 100) % 100}.item${i}`,
};

function cases({ quick }) {
  const counts = quick ? [100_000] : [100_000, 1_000_000, 2_000_000];
  return Object.keys(SHAPES).flatMap((shape) => counts.map((count) => ({
    title: `${count.toLocaleString('en')} keys, ${shape}`,
    nodes: 2,
    rounds: quick ? 1 : 3,
    deadlineMs: 60_000 + count / 10,
    rows: [
      row('ms', 'until the joiner has called back and has it all', 'ms', ['fast', 'slow']),
      row('donorDelayMax', "donor's longest event-loop delay meanwhile", 'ms', ['short', 'long']),
      row('donorDelayP99', "donor's event-loop delay, 99th percentile", 'ms', ['short', 'long']),
      row('joinerBytesPerKey', 'joiner, bytes a key', 'bytes', ['small', 'large']),
      row('donorBytesPerKey', 'donor (wrote them), bytes a key', 'bytes', ['small', 'large']),
      row('joinerRss', 'joiner, resident memory after', 'MB', ['small', 'large']),
      row('joinerPeak', 'joiner, resident memory at its peak', 'MB', ['small', 'large']),
      row('donorRss', 'donor, resident memory after', 'MB', ['small', 'large']),
      row('donorPeak', 'donor, resident memory at its peak', 'MB', ['small', 'large']),
    ],
    async run({ nodes: [donor, joiner], all, open }) {
      const keys = { shape, count };
      await open([donor]);
      const donorEmpty = await donor.ask('memory');
      await donor.ask('load', keys);
      const donorFull = await donor.ask('memory');
      const joinerEmpty = await joiner.ask('memory');

      await donor.ask('watchDelay');
      const ms = await joinMs(joiner, all, keys);
      const delay = await donor.ask('delay');

      // Reading all has all merged.
      await joiner.ask('check', keys);
      const joinerFull = await joiner.ask('memory');
      const donorAfter = await donor.ask('memory');
      return {
        ms,
        donorDelayMax: delay.max,
        donorDelayP99: delay.p99,
        joinerBytesPerKey: (joinerFull.rss - joinerEmpty.rss) / count,
        donorBytesPerKey: (donorFull.rss - donorEmpty.rss) / count,
        joinerRss: joinerFull.rss / 1e6,
        joinerPeak: joinerFull.peak / 1e6,
        donorRss: donorAfter.rss / 1e6,
        donorPeak: donorAfter.peak / 1e6,
      };
    },
  })));
}

function row(id, title, unit, words) {
  return { id, title, unit, words };
}

async function joinMs(joiner, all, keys) {
  const startedAt = await joiner.ask('now');
  await joiner.ask('open', { local: joiner.local, all });
  return (await joiner.ask('complete', keys) - startedAt) / 1e6;
}

function keyOf(shape, i) {
  return SHAPES[shape](Math.floor(i / KEYS_PER_GROUP), i);
}

let delays;

const duties = {
  now: () => now(),

  async memory() {
    return { rss: await rss(), peak: peakRss() };
  },

  async load(collective, { shape, count }) {
    for (let i = 0; i < count; i++) {
      collective.set(keyOf(shape, i), i);
      if (i % WRITES_PER_TURN === 0) await new Promise(setImmediate);
    }
  },

  watchDelay() {
    delays = monitorEventLoopDelay({ resolution: 1 });
    delays.enable();
  },

  async delay() {
    // A delay is recorded when it is over; give the last one time to be.
    await sleep(20);
    delays.disable();
    return { max: delays.max / 1e6, p99: delays.percentile(99) / 1e6 };
  },

  /** When a thousand keys from all over are there: a snapshot may come in parts, in any order. */
  async complete(collective, { shape, count }) {
    for (let i = count - 1; i >= 0; i -= Math.floor(count / 1000)) {
      while (collective.get(keyOf(shape, i)) !== i) await sleep(1);
    }
    return now();
  },

  /** Group by group, so that nothing as large as the whole is ever decoded at once. */
  check(collective, { shape, count }) {
    let found = 0;
    let sum = 0;
    for (let i = 0; i < count; i += KEYS_PER_GROUP) {
      for (const inner of Object.values(collective.get(`group${i / KEYS_PER_GROUP}`))) {
        for (const value of Object.values(inner)) {
          found++;
          sum += value;
        }
      }
    }
    if (found !== count || sum !== count * (count - 1) / 2) {
      throw new Error(`the joiner has ${found} of ${count} keys, sum ${sum}`);
    }
  },
};

module.exports = { cases, duties };
