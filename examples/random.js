'use strict';

/*
 * The example of partition.io's README, with its one `require` line changed. Start it in several
 * terminals: the first listens on the port, the others find it there, and each asks all for a
 * random number, again and again. It runs until it is stopped.
 */

const { Servent } = require('collective-io');

const servent = new Servent();
const port = Number(process.env.PORT ?? 8888);

servent.on('listening', () => {
  /* On another port, so there is a first node to connect to. */
  if (servent.address().port !== port) servent.connect(port);
});
servent.on('error', (error) => {
  if (error.code === 'EADDRINUSE') servent.listen(0);
  else throw error;
});
servent.listen(port);

const worker = servent.createWorker('random', (max, callback) => {
  callback(null, Math.floor(Math.random() * max));
});

setInterval(() => worker.distribute((job) => {
  const numbers = [];
  job.setTTL(5000);
  job.on('data', (number) => numbers.push(number));
  job.on('error', console.error);
  job.on('end', () => console.log(numbers));
  job.run(1000);
}), 1000);
