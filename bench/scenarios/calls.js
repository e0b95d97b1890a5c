'use strict';

/** One node calls another: one call after the other, then many at once. */

const { measureLoad } = require('../load');
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
  call(node, { local, calls, inFlight }) {
    return measureLoad({ asks: calls, inFlight }, (number, done) => {
      node.call(local, number).then((answer) => {
        const isRight = answer === number;
        done(isRight ? undefined : new Error(`call ${number} gave ${JSON.stringify(answer)}`));
      }, done);
    });
  },
};

module.exports = { sides: JOBS, cases, duties };
