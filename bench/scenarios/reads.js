'use strict';

/** What `collective.get(key)` costs a program. */

const { now, sleep } = require('../meter');
const { STORES } = require('../sides');

const MISSES_AT_ONCE = 1000;
const AWAITED_AT_ONCE = 100;
const OBJECT = { host: 'web-1.example.org', port: 8080, tags: ['eu', 'blue'], load: 0.25 };

const CASES = [
  ['hot', 'one key, again and again'],
  ['thousand', '1,000 keys in turn'],
  ['many', '20,000 keys in turn'],
  ['million', 'a million keys in turn'],
  ['built', '1,000 keys, the string built for each call'],
  ['object', 'an object that was SET whole'],
  ['view', '1,000 keys through `data`'],
  ['miss', 'a key right after its local SET'],
  ['remote', 'a key right after a remote SET'],
  ['remoteObject', 'an object right after a remote SET of it'],
];

function cases({ quick }) {
  const million = quick ? 100_000 : 1_000_000;
  return [{
    title: 'get',
    nodes: 2,
    deadlineMs: 180_000,
    rows: [
      ...CASES.map(([id, title]) => ({
        id, title, unit: 'ns', words: ['fast', 'slow'], plotted: ['hot', 'thousand', 'remote'].includes(id),
      })),
      { id: 'parse', title: 'JSON.parse of that object\'s text', unit: 'ns', words: ['fast', 'slow'] },
    ],
    async run({ nodes: [node, other], open }) {
      await open();
      await node.ask('fill', { million });
      const figures = { parse: await node.ask('parse') };
      for (const [id] of CASES) {
        const args = { id, ms: quick ? 50 : 150 };
        figures[id] = id.startsWith('remote')
          ? await readRemote(node, other, args)
          : await node.ask('read', args);
      }
      return figures;
    },
  }];
}

/** The median of several batches that another node has just written. */
async function readRemote(node, other, { id, ms }) {
  const figures = [];
  for (let batch = 1; batch <= ms / 10; batch++) {
    await other.ask('write', { id, batch });
    figures.push(await node.ask('readOnce', { id, batch }));
  }
  return figures.sort((a, b) => a - b)[figures.length >> 1];
}

// What is read ends here, so that no compiler can leave a get out.
let sink = 0;
let keys;
let millionKeys;

const duties = {
  async fill(collective, { million }) {
    keys = Array.from({ length: 20_000 }, (_, i) => {
      return `fleet.rack${Math.floor(i / 100)}.unit${i % 100}`;
    });
    millionKeys = Array.from({ length: million }, (_, i) => {
      return `town.street${Math.floor(i / 1000)}.house${i % 1000}`;
    });
    for (const all of [keys, millionKeys]) {
      for (const [i, key] of all.entries()) {
        collective.set(key, i);
        if (i % 1000 === 0) await new Promise(setImmediate);
      }
    }
    collective.set('config.web', OBJECT);
    // LMDB's and Redis's writes take effect later.
    while (await collective.get('config.web') === undefined) await sleep(5);
  },

  /** Nanoseconds per get, over at least `ms`, after a third of that to warm up. */
  async read(collective, { id, ms }) {
    if (collective.isAsync && !(id in awaited) || id === 'view' && collective.data === undefined) {
      return null;
    }
    await spend(collective, id, ms / 3);
    return spend(collective, id, ms);
  },

  async write(collective, { id, batch }) {
    for (let i = 0; i < MISSES_AT_ONCE; i++) {
      collective.set(`remote.${id}.key${i}`, id === 'remoteObject' ? { ...OBJECT, batch } : batch);
    }
    collective.set(`written.${id}`, batch);
  },

  /** Nanoseconds per get of what another node has written. */
  async readOnce(collective, { id, batch }) {
    while (await collective.get(`written.${id}`) !== batch) await sleep(1);
    const remote = Array.from({ length: MISSES_AT_ONCE }, (_, i) => `remote.${id}.key${i}`);
    const [ns, gets] = collective.isAsync
      ? await awaitAll(collective, remote)
      : timed(MISSES_AT_ONCE, () => {
        for (const key of remote) {
          const value = collective.get(key);
          sink += (value.batch ?? value) & 1;
        }
      });
    return ns / gets;
  },

  parse() {
    const text = JSON.stringify({ ...OBJECT, batch: 1 });
    const parse = () => timed(MISSES_AT_ONCE, () => {
      for (let i = 0; i < MISSES_AT_ONCE; i++) sink += JSON.parse(text).port;
    })[0] / MISSES_AT_ONCE;
    const figures = Array.from({ length: 15 }, parse);
    return figures.sort((a, b) => a - b)[figures.length >> 1];
  },
};

async function spend(collective, id, ms) {
  let spentNs = 0;
  let gets = 0;
  while (spentNs < ms * 1e6) {
    const [ns, count] = collective.isAsync
      ? await awaitAll(collective, awaited[id]())
      : batches[id](collective);
    spentNs += ns;
    gets += count;
  }
  return spentNs / gets;
}

/** Where `get` gives a promise: so many at once, as a server would that has requests to answer. */
async function awaitAll(collective, names) {
  const startedAt = now();
  for (let i = 0; i < names.length; i += AWAITED_AT_ONCE) {
    const some = names.slice(i, i + AWAITED_AT_ONCE).map((name) => collective.get(name));
    sink += (await Promise.all(some)).length;
  }
  return [now() - startedAt, names.length];
}

/** What is read then, by case. */
const awaited = {
  hot: () => Array(1000).fill('fleet.rack7.unit7'),
  thousand: () => keys.slice(0, 1000),
  many: () => keys,
  million: () => nextOfMillion(),
  object: () => Array(1000).fill('config.web'),
};

let at = 0;

function nextOfMillion() {
  const some = millionKeys.slice(at, at + 20_000);
  at = (at + 20_000) % millionKeys.length;
  return some;
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
  million(collective) {
    const some = nextOfMillion();
    return timed(some.length, () => {
      for (const key of some) sink += collective.get(key);
    });
  },
  view(collective) {
    const { data } = collective;
    return timed(10_000, () => {
      for (let i = 0; i < 10_000; i++) sink += data.fleet[`rack${i % 10}`][`unit${i % 100}`];
    });
  },
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

module.exports = { sides: STORES, cases, duties };
