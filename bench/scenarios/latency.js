'use strict';

/**
 * How long a write takes to show elsewhere when nothing else goes on: one node SETs a number, the
 * other looks for it on every turn of its event loop and answers through a key of its own. A figure
 * is half of a round trip, as seen by the first.
 */

const { now } = require('../meter');

const WARM_UP_SAMPLES = 200;

function cases({ quick }) {
  const samples = quick ? 300 : 2000;
  return [{
    title: `${samples.toLocaleString('en')} round trips, 2 nodes, idle`,
    nodes: 2,
    deadlineMs: 60_000,
    rows: [
      { id: 'p50', title: 'one way, median', unit: 'µs', words: ['fast', 'slow'] },
      { id: 'p99', title: 'one way, 99th percentile', unit: 'µs', words: ['fast', 'slow'] },
    ],
    async run({ nodes: [asker, echo], open }) {
      await open();
      await echo.ask('echo');
      await asker.ask('ping', { from: 1, count: WARM_UP_SAMPLES });
      return asker.ask('ping', { from: WARM_UP_SAMPLES + 1, count: samples });
    },
  }];
}

const duties = {
  /** Returns at once and answers as long as the process lives. */
  echo(collective) {
    let answered;
    setImmediate(function look() {
      const asked = collective.get('ping');
      if (asked !== answered) {
        collective.set('pong', asked);
        answered = asked;
      }
      setImmediate(look);
    });
  },

  async ping(collective, { from, count }) {
    const halves = [];
    for (let number = from; number < from + count; number++) {
      halves.push(await roundTrip(collective, number) / 2 / 1000);
      // A pause, so that each finds the other side idle.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    halves.sort((a, b) => a - b);
    return { p50: halves[Math.floor(count * 0.5)], p99: halves[Math.floor(count * 0.99)] };
  },
};

function roundTrip(collective, number) {
  return new Promise((resolve) => {
    const startedAt = now();
    collective.set('ping', number);
    setImmediate(function look() {
      if (collective.get('pong') === number) resolve(now() - startedAt);
      else setImmediate(look);
    });
  });
}

module.exports = { cases, duties };
