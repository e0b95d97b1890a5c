'use strict';

/** A node joins one that holds a lot: how long until it has it all, and what that costs both. */

const { monitorEventLoopDelay } = require('perf_hooks');
const { now, sleep, rss, peakRss } = require('../meter');

const KEYS_PER_GROUP = 10_000;
const WRITES_PER_TURN = 1000;

function cases({ quick }) {
  return (quick ? [100_000] : [100_000, 1_000_000, 2_000_000]).map((count) => ({
    title: `join with ${count.toLocaleString('en')} keys`,
    nodes: 2,
    rounds: quick ? 1 : 3,
    deadlineMs: 60_000 + count / 10,
    rows: [
      { id: 'ms', title: 'until the joiner has called back and has it all', unit: 'ms', words: ['fast', 'slow'] },
      { id: 'donorDelayMax', title: "donor's longest event-loop delay meanwhile", unit: 'ms', words: ['short', 'long'] },
      { id: 'donorDelayP99', title: "donor's event-loop delay, 99th percentile", unit: 'ms', words: ['short', 'long'] },
      { id: 'joinerBytesPerKey', title: 'joiner, bytes a key', unit: 'bytes', words: ['small', 'large'] },
      { id: 'donorBytesPerKey', title: 'donor (wrote them itself), bytes a key', unit: 'bytes', words: ['small', 'large'] },
      { id: 'joinerRss', title: 'joiner, resident memory after', unit: 'MB', words: ['small', 'large'] },
      { id: 'joinerPeak', title: 'joiner, resident memory at its peak', unit: 'MB', words: ['small', 'large'] },
      { id: 'donorRss', title: 'donor, resident memory after', unit: 'MB', words: ['small', 'large'] },
      { id: 'donorPeak', title: 'donor, resident memory at its peak', unit: 'MB', words: ['small', 'large'] },
    ],
    async run({ nodes: [donor, joiner], all, open }) {
      await open([donor]);
      const donorEmpty = await donor.ask('memory');
      await donor.ask('load', { count });
      const donorFull = await donor.ask('memory');
      const joinerEmpty = await joiner.ask('memory');

      await donor.ask('watchDelay');
      const ms = await joinMs(joiner, all, count);
      const delay = await donor.ask('delay');

      const joinerFull = await joiner.ask('memory');
      const donorAfter = await donor.ask('memory');
      await joiner.ask('check', { count });
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
  }));
}

async function joinMs(joiner, all, count) {
  const startedAt = await joiner.ask('now');
  await joiner.ask('open', { local: joiner.local, all });
  return (await joiner.ask('complete', { count }) - startedAt) / 1e6;
}

function keyOf(i) {
  const group = Math.floor(i / KEYS_PER_GROUP);
  return `group${group}.shelf${Math.floor(i / 100) % 100}.item${i % 100}`;
}

let delays;

const duties = {
  now: () => now(),

  async memory() {
    return { rss: await rss(), peak: peakRss() };
  },

  async load(collective, { count }) {
    for (let i = 0; i < count; i++) {
      collective.set(keyOf(i), i);
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
  async complete(collective, { count }) {
    for (let i = count - 1; i >= 0; i -= Math.floor(count / 1000)) {
      while (collective.get(keyOf(i)) !== i) await sleep(1);
    }
    return now();
  },

  /** Group by group, so that nothing as large as the whole is ever decoded at once. */
  check(collective, { count }) {
    let found = 0;
    let sum = 0;
    for (let i = 0; i < count; i += KEYS_PER_GROUP) {
      for (const shelf of Object.values(collective.get(keyOf(i).split('.')[0]))) {
        for (const value of Object.values(shelf)) {
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
