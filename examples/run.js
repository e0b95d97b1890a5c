'use strict';

/*
 * Three nodes; one asks all what they have, and hears each as it answers. In real life each runs in
 * a process of its own.
 */

const { once } = require('node:events');
const { join } = require('collective-io');

async function main() {
  const first = await join();
  const seeds = [first.address];
  const nodes = [first, await join({ seeds }), await join({ seeds })];
  while (first.peers.size < 2) await once(first, 'peer:join');

  nodes.forEach((node, index) => node.worker('stock', (item) => {
    if (item === 'pears' && index === 2) throw new Error('no idea');
    return index * 10;
  }));

  for await (const { status, value } of first.run('stock', ['apples'])) {
    if (value === 10) console.log('the second', status, value);
  }
  const all = await first.run('stock', ['apples']).values();
  console.log(all.length, 'nodes have', all.reduce((sum, value) => sum + value));

  const outcomes = await first.run('stock', ['pears'], { timeout: 1000, to: 'others' }).results();
  for (const node of nodes.slice(1)) {
    const { status, value, error } = outcomes.get(node.id);
    console.log(status, value ?? error.message);
  }
  await Promise.all(nodes.map((node) => node.close()));
}

main();
