'use strict';

const { join } = require('../..');
const { until } = require('./until');

/** A node that is destroyed at the end of the test. */
async function openNode(t, options) {
  const node = await join(options);
  t.after(() => node.destroy());
  return node;
}

/** That many, each of which knows all others; all but the first were told of the first alone. */
async function openNodes(t, count, options) {
  const first = await openNode(t, options);
  const seeds = [first.address];
  const others = Array.from({ length: count - 1 }, () => openNode(t, { seeds, ...options }));
  const nodes = [first, ...await Promise.all(others)];
  await meet(nodes);
  return nodes;
}

/** Waits until each knows all others. */
async function meet(nodes) {
  await until('all know all', () => nodes.every((node) =>
    nodes.every((other) => other === node || node.peers.has(other.id))));
}

module.exports = { meet, openNode, openNodes };
