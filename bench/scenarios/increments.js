'use strict';

/** All nodes increment one key at once; done when each of them shows the exact sum. */

const { now, sleep } = require('../meter');
const { STORES } = require('../sides');

const INCREMENTS_PER_TURN = 100;
const WARM_UP_INCREMENTS = 4000;

function cases({ quick }) {
  const total = quick ? 8_000 : 40_000;
  return [2, 4, 8].map((nodes) => ({
    title: `${total.toLocaleString('en')} increments, ${nodes} nodes`,
    nodes,
    deadlineMs: 60_000,
    rows: [{
      id: 'rate',
      title: `increments a second by ${nodes} nodes, exact sum everywhere`,
      unit: '/s',
      more: true,
      words: ['fast', 'slow'],
      plotted: true,
    }],
    async run({ nodes, open }) {
      await open();
      await sum(nodes, 'warm', WARM_UP_INCREMENTS);
      return { rate: await sum(nodes, 'main', total) };
    },
  }));
}

async function sum(nodes, name, total) {
  const args = { key: `hits.${name}`, count: total / nodes.length, total };
  const spans = await Promise.all(nodes.map((node) => node.ask('increment', args)));
  // Long enough for one that came twice to show.
  await sleep(100);
  const sums = await Promise.all(nodes.map((node) => node.ask('show', args)));
  if (sums.some((shown) => shown !== total)) throw new Error(`sums ${sums}, not ${total}`);
  const startedAt = Math.min(...spans.map((span) => span.startedAt));
  const doneAt = Math.max(...spans.map((span) => span.doneAt));
  return total / ((doneAt - startedAt) / 1e9);
}

const duties = {
  async increment(collective, { key, count, total }) {
    const startedAt = now();
    for (let i = 1; i <= count; i++) {
      collective.set(key, 1, collective.OPERATIONS.INCREMENT);
      if (i % INCREMENTS_PER_TURN === 0) await new Promise(setImmediate);
    }
    while (await collective.get(key) !== total) await sleep(1);
    return { startedAt, doneAt: now() };
  },

  show(collective, { key }) {
    return collective.get(key);
  },
};

module.exports = { sides: STORES, cases, duties };
