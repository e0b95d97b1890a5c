'use strict';

/** One node asks all: one job after the other, then many at once. */

const { measureLoad } = require('../load');
const { JOBS } = require('../sides');

const WARM_UP = 300;
const IN_FLIGHT = 100;

function cases({ quick }) {
  const [inTurn, atOnce] = quick ? [300, 2_000] : [2_000, 20_000];
  return [
    { nodes: 2 },
    { nodes: 4 },
    { nodes: 8 },
    ...(quick ? [] : [{ nodes: 16, rounds: 2, jobs: 0.25 }]),
    { nodes: 4, chars: 100_000, jobs: 0.05 },
  ].map(({ nodes, rounds, chars = 0, jobs = 1 }) => ({
    title: `a job over ${nodes} nodes${chars === 0 ? '' : ', 100 kB there and back'}`,
    nodes,
    rounds,
    deadlineMs: 60_000,
    rows: [
      { id: 'p50', title: 'one in flight, p50', unit: 'µs', words: ['fast', 'slow'], plotted: true },
      { id: 'p99', title: 'one in flight, p99', unit: 'µs', words: ['fast', 'slow'] },
      { id: 'alone', title: 'one in flight, caller\'s CPU a job', unit: 'µs', words: ['cheap', 'dear'] },
      { id: 'rate', title: `${IN_FLIGHT} in flight, jobs a second`, unit: '/s', more: true, words: ['fast', 'slow'], plotted: true },
      { id: 'busyP50', title: `${IN_FLIGHT} in flight, p50`, unit: 'µs', words: ['fast', 'slow'] },
      { id: 'thread', title: `${IN_FLIGHT} in flight, caller's main thread a job`, unit: 'µs', words: ['cheap', 'dear'] },
      { id: 'process', title: `${IN_FLIGHT} in flight, caller's CPU a job`, unit: 'µs', words: ['cheap', 'dear'] },
    ],
    async run({ nodes, open }) {
      await open();
      const args = { nodes: nodes.length, chars };
      await nodes[0].ask('run', { ...args, jobs: WARM_UP * jobs, inFlight: 10 });
      const alone = await nodes[0].ask('run', { ...args, jobs: inTurn * jobs, inFlight: 1 });
      const together = await nodes[0].ask('run', { ...args, jobs: atOnce * jobs, inFlight: IN_FLIGHT });
      return {
        p50: alone.p50,
        p99: alone.p99,
        alone: alone.process,
        rate: together.rate,
        busyP50: together.p50,
        thread: together.thread,
        process: together.process,
      };
    },
  }));
}

const duties = {
  run(node, { nodes, jobs, inFlight, chars }) {
    const text = 'z'.repeat(chars);
    return measureLoad({ asks: jobs, inFlight }, (number, done) => {
      const asked = chars === 0 ? number : text + number;
      node.gather(asked, (values) => {
        const isRight = values.length === nodes && values.every((value) => value === asked);
        done(isRight ? undefined : new Error(`job ${number} gave ${values.length} values, or others`));
      });
    });
  },
};

module.exports = { sides: JOBS, cases, duties };
