'use strict';

/**
 * What the view takes of a node's `stats()`: the one place that knows its fields.
 *
 * `counts` only grow; of them rates are made. `latency` is how many jobs and calls ended within
 * each bound, in ms, and how many above the last.
 */
function figures(stats) {
  const { links, jobMs } = stats;
  return {
    context: stats.context,
    hash: stats.hash,
    paths: stats.documentNodes,
    /** How far it is in being brought up to date: `{ms, bytes, paths, merged}`. */
    catchingUp: links.find((link) => link.catchingUp)?.catchingUp ?? null,
    peers: links.map(({ id, state, rttMs, lag, lagMs }) => ({ id, state, rtt: rttMs, behind: lag, behindMs: lagMs })),
    latency: jobMs,
    counts: {
      writes: stats.writesLocal,
      received: stats.writesRemote,
      jobs: jobMs.counts.reduce((total, count) => total + count, 0),
      bytesIn: stats.bytesIn,
      bytesOut: stats.bytesOut,
    },
  };
}

/**
 * Below what so much of what some histograms count lies; null if they count nothing. Between two
 * bounds it is taken to lie evenly.
 *
 * @param {{bounds: number[], counts: number[]}[]} histograms with the same bounds
 * @param {number} part of 1
 */
function quantile(histograms, part) {
  if (histograms.length === 0) return null;
  const [{ bounds, counts: first }] = histograms;
  const counts = first.map((_, index) => histograms.reduce((total, { counts }) => total + counts[index], 0));
  const all = counts.reduce((total, count) => total + count, 0);
  if (all === 0) return null;
  let left = part * all;
  for (const [index, count] of counts.entries()) {
    if (count === 0 || left > count) {
      left -= count;
      continue;
    }
    const low = bounds[index - 1] ?? 0;
    // Of those above the last bound nothing else is known.
    const high = bounds[index] ?? low;
    return low + (left / count) * (high - low);
  }
  return bounds.at(-1);
}

module.exports = { figures, quantile };
