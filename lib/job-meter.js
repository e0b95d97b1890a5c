'use strict';

const { OUTCOMES } = require('./outcomes.js');

/** Jobs and calls took at most so many ms; there is one count more, for those that took longer. */
const BOUNDS_MS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/** What became of the jobs and calls of a node, for `stats()`. */
class JobMeter {
  #asked = 0;
  #outcomes = OUTCOMES.map(() => 0);
  #counts = new Array(BOUNDS_MS.length + 1).fill(0);
  #sum = 0;

  asked() {
    this.#asked += 1;
  }

  outcome(outcome) {
    this.#outcomes[outcome] += 1;
  }

  ended(ms) {
    let at = 0;
    while (ms > BOUNDS_MS[at]) at += 1;
    this.#counts[at] += 1;
    this.#sum += ms;
  }

  stats() {
    return {
      jobsAsked: this.#asked,
      outcomes: Object.fromEntries(OUTCOMES.map(({ status }, index) => [status, this.#outcomes[index]])),
      jobMs: { bounds: [...BOUNDS_MS], counts: [...this.#counts], sum: this.#sum },
    };
  }
}

module.exports = { JobMeter };
