'use strict';

/** One node calls another: one call after the other, then many at once. */

const { meter, now } = require('../meter');
const { JOBS } = require('../sides');

const WARM_UP = 1000;
const IN_FLIGHT = 64;

function cases({ quick }) {
  const [inTurn, atOnce] = quick ? [500, 5_000] : [3_000, 50_000];
  return [{
    title: 'a call to another node',
    nodes: 2,
    deadlineMs: 60_000,
    rows: [
      { id: 'p50', title: 'one in flight, p50', unit: 'µs', words: ['fast', 'slow'], plotted: true },
      { id: 'p99', title: 'one in flight, p99', unit: 'µs', words: ['fast', 'slow'] },
      {
        id: 'rate', title: `${IN_FLIGHT} in flight, calls a second`, unit: '/s', more: true, words: ['fast', 'slow'], plotted: true,
      },
      { id: 'thread', title: `${IN_FLIGHT} in flight, caller's main thread a call`, unit: 'µs', words: ['cheap', 'dear'] },
      { id: 'process', title: `${IN_FLIGHT} in flight, caller's CPU a call`, unit: 'µs', words: ['cheap', 'dear'] },
    ],
    async run({ nodes: [caller, other], open }) {
      await open();
      const { local } = other;
      await caller.ask('call', { local, calls: WARM_UP, inFlight: 10 });
      const alone = await caller.ask('call', { local, calls: inTurn, inFlight: 1 });
      const together = await caller.ask('call', { local, calls: atOnce, inFlight: IN_FLIGHT });
      return {
        p50: alone.p50,
        p99: alone.p99,
        rate: together.rate,
        thread: together.thread,
        process: together.process,
      };
    },
  }];
}

const duties = {
  async call(node, { local, calls, inFlight }) {
    const stop = await meter();
    const times = [];
    const startedAt = now();
    let begun = 0;
    const callOneByOne = async () => {
      while (begun < calls) {
        const number = begun++;
        const from = now();
        const answer = await node.call(local, number);
        times.push(now() - from);
        if (answer !== number) throw new Error(`call ${number} gave ${JSON.stringify(answer)}`);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, callOneByOne));
    const seconds = (now() - startedAt) / 1e9;
    const cost = await stop();
    times.sort((a, b) => a - b);
    return {
      p50: times[times.length >> 1] / 1000,
      p99: times[Math.floor(times.length * 0.99)] / 1000,
      rate: calls / seconds,
      thread: cost.thread === null ? null : cost.thread / calls,
      process: cost.process / calls,
    };
  },
};

module.exports = { sides: JOBS, cases, duties };
