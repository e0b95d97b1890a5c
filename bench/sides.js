'use strict';

/**
 * Who is compared, by name: the module that implements it and the server that it needs. The first is
 * ours, the second the plain JavaScript way.
 */

const path = require('path');

const here = (...names) => path.join(__dirname, ...names);

const ours = { implementation: here('..') };
const plain = { implementation: here('plain-mesh.js') };

/** State, where each side does what the scenario needs. */
const STATE = { ours, plain };

/** State, with what one would use instead of a mesh. */
const STORES = {
  ...STATE,
  redis: { implementation: here('rivals', 'redis.js'), server: 'redis-server' },
  lmdb: { implementation: here('rivals', 'lmdb.js') },
};

/** Asking nodes. */
const JOBS = {
  ours: { implementation: here('jobs', 'ours.js') },
  plain: { implementation: here('jobs', 'plain.js') },
  moleculer: { implementation: here('jobs', 'moleculer.js') },
  nats: { implementation: here('jobs', 'nats.js'), server: 'nats-server' },
};

module.exports = { STATE, STORES, JOBS };
