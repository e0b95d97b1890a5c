'use strict';

const { once } = require('node:events');
const { Servent } = require('../..');
const { until } = require('./until');

/** A Servent that is destroyed at the end of the test. It neither listens nor is connected. */
function openServent(t, options) {
  const servent = new Servent(options);
  t.after(() => servent.destroy());
  return servent;
}

/** One that listens on any port. */
async function listening(t, options) {
  const servent = openServent(t, options);
  servent.listen(0);
  await once(servent, 'listening');
  return servent;
}

/** That many, each of which knows all others; all but the first were told of the first alone. */
async function openServents(t, count, options) {
  const servents = await Promise.all(Array.from({ length: count }, () => listening(t, options)));
  const [first, ...others] = servents;
  for (const other of others) other.connect(first.address().port);
  await meet(servents);
  return servents;
}

/** Waits until each knows all others. */
async function meet(servents) {
  await until('all know all', () => servents.every(({ id, peers }) =>
    servents.every((other) => other.id === id || peers[other.id] !== undefined)));
}

/** Runs a job to its end: what its listeners were given, in order. */
function gather(job, ...params) {
  const told = { data: [], errors: [], from: [] };
  return new Promise((resolve) => {
    job.on('data', (value, origin) => {
      told.data.push(value);
      told.from.push(origin);
    });
    job.on('error', (error) => told.errors.push(error));
    job.on('end', (summary) => resolve({ ...told, summary }));
    job.run(...params);
  });
}

module.exports = { gather, listening, meet, openServent, openServents };
