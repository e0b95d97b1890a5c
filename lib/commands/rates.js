'use strict';

/** What has happened between two looks at a cluster, of counters that only grow. */

/** Looks kept: as many as the widest plot shows. */
const LOOKS_MAX = 240;

class Rates {
  #before = new Map();
  #at;

  /** Of each look but the first. */
  writes = [];
  jobs = [];
  /** How long half of the jobs took, and nineteen of twenty, in ms; NaN if there were none. */
  p50 = [];
  p95 = [];

  /** @param {Report[]} reports @param {number} now ms */
  look(reports, now) {
    const seconds = (now - this.#at) / 1000;
    let writes = 0;
    let jobs = 0;
    const counts = [];
    let bounds = [];
    for (const { id, stats } of reports) {
      if (stats === null) continue;
      const before = this.#before.get(id) ?? stats;
      // A node that was started again begins anew.
      writes += Math.max(0, stats.writesLocal - before.writesLocal);
      jobs += Math.max(0, stats.jobsAsked - before.jobsAsked);
      bounds = stats.jobMs.bounds;
      stats.jobMs.counts.forEach((count, at) => {
        counts[at] = (counts[at] ?? 0) + Math.max(0, count - before.jobMs.counts[at]);
      });
      this.#before.set(id, stats);
    }
    const isFirst = this.#at === undefined;
    this.#at = now;
    if (isFirst) return;
    push(this.writes, writes / seconds);
    push(this.jobs, jobs / seconds);
    push(this.p50, quantile(counts, bounds, 0.5));
    push(this.p95, quantile(counts, bounds, 0.95));
  }
}

function push(values, value) {
  values.push(value);
  if (values.length > LOOKS_MAX) values.shift();
}

/** The bound that this share of all does not exceed; the largest if it is beyond. */
function quantile(counts, bounds, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return NaN;
  let seen = 0;
  const at = counts.findIndex((count) => {
    seen += count;
    return seen >= share * total;
  });
  return bounds[at] ?? bounds.at(-1);
}

module.exports = { Rates, quantile };
