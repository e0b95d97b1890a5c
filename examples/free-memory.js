'use strict';

/* A node asks all for their free memory, and learns who has answered and who could not. */

const cluster = require('node:cluster');
const os = require('node:os');
const { Servent } = require('collective-io');

const NODES = 4;
const port = Number(process.env.PORT ?? 9130);
const servent = new Servent();
const worker = servent.createWorker('free memory', async () => os.freemem());

if (cluster.isPrimary) {
  servent.listen(port, () => {
    for (let i = 1; i < NODES; i++) cluster.fork();
  });
  servent.on('peer', () => {
    if (Object.keys(servent.peers).length < NODES - 1) return;
    const job = worker.distribute().setTTL(1000).run();
    job.on('data', (bytes, { peer }) => {
      console.log(`${peer ? 'a peer' : 'this node'} has ${bytes > 0 ? 'some' : 'none'}`);
    });
    job.on('end', ({ reason, answered, failed, missing }) => {
      console.log(`${reason}: ${answered.length} answered, ${failed.length} failed, ${missing.length} missing`);
      cluster.disconnect(() => servent.close());
    });
  });
} else {
  servent.connect(port);
}
