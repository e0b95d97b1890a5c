'use strict';

/* Three nodes share a state: paths, counters, a batch, and knowing who has it. */

const { join } = require('collective-io');

async function main() {
  const first = await join({ name: 'first', tags: { role: 'web' } });
  const seeds = [first.address];
  const [second, third] = await Promise.all([join({ seeds }), join({ seeds })]);

  first.state.set('users.ann', { age: 30 });
  first.state.set(['users', 'b.o@example.org'], { age: 31 });
  first.state.batch(() => {
    first.state.increment('users.ann.age');
    first.state.increment('birthdays');
  });
  console.log('on', await first.state.replicated({ peers: 2 }), 'peers');

  console.log(second.state.get('users.ann.age'), second.state.keys('users'));
  console.log(third.state.increment('birthdays'), third.peers.get(first.id).tags.role);
  await Promise.all([first, second, third].map((node) => node.close()));
}

main();
