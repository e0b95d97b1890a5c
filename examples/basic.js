'use strict';

/* Two nodes in one process share an object. In real life each runs in a process of its own. */

const Collective = require('collective-io');

const port = Number(process.env.PORT ?? 9100);
const all = [{ host: '127.0.0.1', port }, { host: '127.0.0.1', port: port + 1 }];

new Collective(all[0], all, (first) => {
  first.set('greeting', { text: 'hello', to: ['world'] });
  first.data.greeting.to.push('everybody');

  new Collective(all[1], all, async (second) => {
    // The second node is ready when it has the data.
    console.log(second.get('greeting.text'), second.get('greeting.to'));

    await Promise.all([first.close(), second.close()]);
  });
});
