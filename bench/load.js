'use strict';

const { meter, now } = require('./meter');

/**
 * Asks so often, so many at once, and gives in µs how long each took and what it cost this process,
 * and how many that are a second.
 *
 * @param {{asks: number, inFlight: number}} load
 * @param {(number: number, done: (error?: Error) => void) => void} ask
 */
async function measureLoad({ asks, inFlight }, ask) {
  const stop = await meter();
  const times = [];
  const startedAt = now();
  await new Promise((resolve, reject) => {
    let begun = 0;
    let done = 0;
    const next = () => {
      if (begun === asks) return;
      const from = now();
      ask(begun++, (error) => {
        times.push(now() - from);
        if (error) reject(error);
        else if (++done === asks) resolve();
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
    rate: asks / seconds,
    thread: cost.thread === null ? null : cost.thread / asks,
    process: cost.process / asks,
  };
}

module.exports = { measureLoad };
