'use strict';

const { once } = require('node:events');
const Collective = require('../..');
const { freeAddresses } = require('./ports');
const { until } = require('./until');

/**
 * A Collective that is closed at the end of the test, ready.
 * @returns {Promise<Collective>}
 */
async function open(t, local, all, options) {
  const collective = new Collective(local, all, null, options);
  t.after(() => collective.close());
  await once(collective, 'ready');
  return collective;
}

/** One node by itself. */
async function openAlone(t, options) {
  const [local] = await freeAddresses(1);
  return open(t, local, [local], options);
}

/** Nodes that are all connected to each other. */
async function openMesh(t, count, options) {
  const all = await freeAddresses(count);
  const nodes = await Promise.all(all.map((local) => open(t, local, all, options)));
  await until('all are connected', () => nodes.every((node) => node.active === count - 1));
  return nodes;
}

module.exports = { open, openAlone, openMesh };
