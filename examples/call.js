'use strict';

/*
 * A node has others do its work, each piece on one of them. They do one at a time, so it is spread,
 * and what the one that leaves has not begun is done by the other.
 */

const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { join } = require('collective-io');

async function main() {
  const office = await join();
  const shops = await Promise.all([1, 2].map(() => join({ seeds: [office.address] })));
  for (const shop of shops) {
    shop.worker('double', async function (number) {
      await sleep(5);
      if (number === 13) throw new RangeError(`${number}? asks ${this.caller.node === office.id ? 'the shop' : '?'}`);
      return number * 2;
    }, { concurrency: 1, queue: 100 });
  }
  while (office.peers.size < shops.length) await once(office, 'peer:join');

  const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
  const doubled = numbers.map((number) => office.call('double', [number]));
  const leaving = shops[0].close();
  console.log(await Promise.all(doubled));
  await leaving;

  await office.call('double', [13]).catch(({ name, message }) => console.log(name, message));
  await office.call('triple', [1]).catch(({ code, message }) => console.log(code, message));
  await Promise.all([office.close(), shops[1].close()]);
}

main();
