'use strict';

/* A node tells who comes and goes, and what went wrong. */

const Collective = require('collective-io');

const port = Number(process.env.PORT ?? 9120);
const all = [{ host: '127.0.0.1', port }, { host: '127.0.0.1', port: port + 1 }];

const node = new Collective(all[0], all, () => {
  const visitor = new Collective(all[1], all, () => visitor.close());
});

node.on('listening', ({ address, port }) => console.log(`listening on ${address}:${port}`));
node.on('connect', (peer) => console.log(`${peer} is here, ${node.active} in all`));
node.on('disconnect', (peer, code) => {
  console.log(`${peer} is gone: ${code}`);
  node.close();
});
node.on('warning', (warning) => console.error(warning.code, warning.message));
node.on('error', (error) => console.error('cannot listen:', error.code));
