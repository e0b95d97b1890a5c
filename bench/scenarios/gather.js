'use strict';

/** One node asks all: one job after the other, then many at once. */

const path = require('path');

const { meter, now } = require('../meter');

const WARM_UP = 300;
const IN_FLIGHT = 100;

/** Who is compared. The first is ours. */
const sides = Object.fromEntries(['ours', 'plain', 'moleculer']
  .map((name) => [name, path.join(__dirname, '..', 'jobs', `${name}.js`)]));

function cases({ quick }) {
  const [inTurn, atOnce] = quick ? [300, 2_000] : [2_000, 20_000];
  return [2, 4, 8].map((nodes) => ({
    title: `a job over ${nodes} nodes`,
    nodes,
    deadlineMs: 60_000,
    rows: [
      { id: 'p50', title: 'one in flight, p50', unit: 'µs', words: ['fast', 'slow'] },
      { id: 'p99', title: 'one in flight, p99', unit: 'µs', words: ['fast', 'slow'] },
      { id: 'alone', title: 'one in flight, caller\'s CPU a job', unit: 'µs', words: ['cheap', 'dear'] },
      { id: 'rate', title: `${IN_FLIGHT} in flight, jobs a second`, unit: '/s', more: true, words: ['fast', 'slow'] },
      { id: 'thread', title: `${IN_FLIGHT} in flight, caller's main thread a job`, unit: 'µs', words: ['cheap', 'dear'] },
      { id: 'process', title: `${IN_FLIGHT} in flight, caller's CPU a job`, unit: 'µs', words: ['cheap', 'dear'] },
    ],
    async run({ nodes, open }) {
      await open();
      const args = { nodes: nodes.length };
      await nodes[0].ask('run', { ...args, jobs: WARM_UP, inFlight: 10 });
      const alone = await nodes[0].ask('run', { ...args, jobs: inTurn, inFlight: 1 });
      const together = await nodes[0].ask('run', { ...args, jobs: atOnce, inFlight: IN_FLIGHT });
      return {
        p50: alone.p50,
        p99: alone.p99,
        alone: alone.process,
        rate: together.rate,
        thread: together.thread,
        process: together.process,
      };
    },
  }));
}

const duties = {
  async run(node, { nodes, jobs, inFlight }) {
    const stop = await meter();
    const times = [];
    const startedAt = now();
    await new Promise((resolve, reject) => {
      let begun = 0;
      let done = 0;
      const next = () => {
        if (begun === jobs) return;
        const number = begun++;
        const from = now();
        node.gather(number, (values) => {
          times.push(now() - from);
          if (values.length !== nodes || values.some((value) => value !== number)) {
            reject(new Error(`job ${number} gave ${JSON.stringify(values)}`));
          }
          if (++done === jobs) resolve();
          else next();
        });
      };
      for (let i = 0; i < inFlight; i++) next();
    });
    const seconds = (now() - startedAt) / 1e9;
    const cost = await stop();
    times.sort((a, b) => a - b);
    return {
      p50: times[times.length >> 1] / 1000,
      p99: times[Math.floor(times.length * 0.99)] / 1000,
      rate: jobs / seconds,
      thread: cost.thread === null ? null : cost.thread / jobs,
      process: cost.process / jobs,
    };
  },
};

module.exports = { sides, cases, duties };
