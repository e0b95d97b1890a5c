'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { inspect } = require('node:util');

/**
 * Looks until `look()` gives something true, and returns it.
 *
 * @param {string} what is waited for, for the message of the failure
 * @param {() => unknown} look may be async; an assertion that it throws is "not yet"
 * @param {number} [deadlineMs]
 */
async function until(what, look, deadlineMs = 10_000) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    let last;
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      if (error?.code !== 'ERR_ASSERTION') throw error;
      last = error;
    }
    if (performance.now() > end) {
      throw new Error(`Not within ${deadlineMs} ms: ${what}; last seen: ${inspect(last)}`);
    }
    await sleep(5);
  }
}

module.exports = { until };
