'use strict';

/** What `collective.get(key)` costs a program, on a node alone. */

const { now } = require('../meter');

const MISSES_AT_ONCE = 1000;
const OBJECT = { host: 'web-1.example.org', port: 8080, tags: ['eu', 'blue'], load: 0.25 };

const CASES = [
  ['hot', 'one key, again and again'],
  ['thousand', '1,000 keys in turn'],
  ['many', '20,000 keys in turn'],
  ['built', '1,000 keys, the string built for each call'],
  ['object', 'an object that was SET whole'],
  ['miss', 'a key right after its local SET'],
];

function cases({ quick }) {
  return [{
    title: 'get',
    nodes: 1,
    deadlineMs: 60_000,
    rows: CASES.map(([id, title]) => ({ id, title, unit: 'ns', words: ['fast', 'slow'] })),
    async run({ nodes: [node], open }) {
      await open();
      await node.ask('fill');
      const figures = {};
      for (const [id] of CASES) {
        figures[id] = await node.ask('read', { id, ms: quick ? 50 : 150 });
      }
      return figures;
    },
  }];
}

// What is read ends here, so that no compiler can leave a get out.
let sink = 0;
let keys;

const duties = {
  fill(collective) {
    keys = Array.from({ length: 20_000 }, (_, i) => {
      return `fleet.rack${Math.floor(i / 100)}.unit${i % 100}`;
    });
    keys.forEach((key, i) => collective.set(key, i));
    collective.set('config.web', OBJECT);
  },

  /** Nanoseconds per get, over at least `ms`, after a third of that to warm up. */
  read(collective, { id, ms }) {
    spend(collective, id, ms / 3);
    return spend(collective, id, ms);
  },
};

function spend(collective, id, ms) {
  let spentNs = 0;
  let gets = 0;
  while (spentNs < ms * 1e6) {
    const [ns, count] = batches[id](collective);
    spentNs += ns;
    gets += count;
  }
  return spentNs / gets;
}

/** Each reads a batch, long enough for the clock not to matter, and gives [ns, gets]. */
const batches = {
  hot: (collective) => timed(10_000, () => {
    for (let i = 0; i < 10_000; i++) sink += collective.get('fleet.rack7.unit7');
  }),
  thousand: (collective) => timed(10_000, () => {
    for (let i = 0; i < 10_000; i++) sink += collective.get(keys[i % 1000]);
  }),
  many: (collective) => timed(20_000, () => {
    for (let i = 0; i < 20_000; i++) sink += collective.get(keys[i]);
  }),
  built: (collective) => timed(10_000, () => {
    for (let i = 0; i < 10_000; i++) {
      sink += collective.get(`fleet.rack${i % 10}.unit${i % 100}`);
    }
  }),
  object: (collective) => timed(10_000, () => {
    for (let i = 0; i < 10_000; i++) sink += collective.get('config.web').port;
  }),
  miss(collective) {
    for (let i = 0; i < MISSES_AT_ONCE; i++) collective.set(keys[i], sink + i);
    return timed(MISSES_AT_ONCE, () => {
      for (let i = 0; i < MISSES_AT_ONCE; i++) sink += collective.get(keys[i]) & 1;
    });
  },
};

function timed(count, work) {
  const startedAt = now();
  work();
  return [now() - startedAt, count];
}

module.exports = { cases, duties };
