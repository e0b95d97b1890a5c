'use strict';

/** What a key takes where it was written and where it came to, three levels deep. */

const { sleep, rss } = require('../meter');

const WRITES_PER_TURN = 1000;

function cases({ quick }) {
  const many = quick ? 50_000 : 300_000;
  return [
    ['integers', many],
    ['10 bytes', many],
    ['100 bytes', many],
    ['1 kB', many / 5],
  ].map(([title, count]) => ({
    title: `${count.toLocaleString('en')} keys of ${title}`,
    nodes: 2,
    rounds: quick ? 1 : 2,
    deadlineMs: 60_000,
    rows: [
      row('writer', 'bytes a key where it was written', true),
      row('reader', 'bytes a key where it came to'),
    ],
    async run({ nodes: [writer, reader], open }) {
      await open();
      const before = [await writer.ask('memory'), await reader.ask('memory')];
      await writer.ask('fill', { title, count });
      await reader.ask('complete', { count });
      const after = [await writer.ask('memory'), await reader.ask('memory')];
      const [ofWriter, ofReader] = after.map((bytes, i) => (bytes - before[i]) / count);
      return { writer: ofWriter, reader: ofReader };
    },
  }));
}

function row(id, title, plotted = false) {
  return { id, title, unit: 'bytes', words: ['small', 'large'], plotted };
}

const VALUES = {
  integers: (i) => i,
  '10 bytes': (i) => String(i).padStart(10, '0'),
  '100 bytes': (i) => String(i).padStart(100, '0'),
  '1 kB': (i) => String(i).padStart(1000, '0'),
};

const duties = {
  memory: () => rss(),

  async fill(collective, { title, count }) {
    for (let i = 0; i < count; i++) {
      collective.set(`group${Math.floor(i / 1000)}.user${Math.floor(i / 10)}.field${i % 10}`, VALUES[title](i));
      if (i % WRITES_PER_TURN === 0) await new Promise(setImmediate);
    }
    collective.set('done', count);
  },

  async complete(collective, { count }) {
    while (collective.get('done') !== count) await sleep(5);
    // What is here and not yet in its place is put there while nothing else goes on.
    for (let before = -1, after; ; before = after) {
      await sleep(200);
      after = collective.stats?.().documentNodes ?? 0;
      if (after === before || collective.stats === undefined) return;
    }
  },
};

module.exports = { cases, duties };
