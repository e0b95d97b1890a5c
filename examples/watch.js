'use strict';

/* A cache of what is below a path, kept right by what is told of it. */

const { join } = require('collective-io');

async function main() {
  const writer = await join();
  const reader = await join({ seeds: [writer.address] });

  for (const [name, price] of [['tea', 3], ['milk', 2]]) writer.state.set(['prices', name], price);
  await writer.state.replicated();

  const prices = new Map(reader.state.entries('prices'));
  const changes = reader.state.watch('prices');
  writer.state.set('prices.tea', 4);
  writer.state.delete('prices.milk');

  for await (const { path: [, name], value, local } of changes) {
    if (value === undefined) prices.delete(name);
    else prices.set(name, value);
    console.log(name, value, local ? 'here' : 'elsewhere');
    if (!prices.has('milk') && prices.get('tea') === 4) break;
  }
  console.log(Object.fromEntries(prices));
  await Promise.all([writer.close(), reader.close()]);
}

main();
