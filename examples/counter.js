'use strict';

/* Three nodes count at the same time, and no increment is lost. */

const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const Collective = require('collective-io');

const port = Number(process.env.PORT ?? 9110);
const all = [0, 1, 2].map((offset) => ({ host: '127.0.0.1', port: port + offset }));

async function main() {
  const nodes = all.map((local) => new Collective(local, all));
  await Promise.all(nodes.map((node) => once(node, 'ready')));

  for (let i = 0; i < 1000; i++) {
    for (const node of nodes) node.set('hits', 1, node.OPERATIONS.INCREMENT);
  }
  while (nodes.some((node) => node.get('hits') !== 3000)) await sleep(10);
  console.log(nodes.map((node) => node.get('hits')));

  await Promise.all(nodes.map((node) => node.close()));
}

main();
