'use strict';

/*
 * The example of collective.js's README, with its one `require` line changed: as many workers as
 * there are cores share a counter. It runs until it is stopped.
 *
 * WORKERS and PORT in the environment choose how many workers and where their ports begin, PAUSE how
 * many ms each waits for the others.
 */

const cluster = require('node:cluster');
const os = require('node:os');
const Collective = require('collective-io');

/* Config. */
const cpu_count = Number(process.env.WORKERS ?? os.cpus().length);
const hosts = ['127.0.0.1' /*, host2, host3, ... */];
const localhost = hosts[0]; // the host of this machine among them
const port = Number(process.env.PORT ?? 9000);
const pause = Number(process.env.PAUSE ?? 1000);

/* Every node of the cluster. Machines with different numbers of cores need a list by hand. */
const all_hosts = [];
for (const host of hosts) {
  for (let j = 0; j < cpu_count; j++) {
    all_hosts.push({ host, port: port + j });
  }
}

if (cluster.isPrimary) {
  /* A worker that is forked again gets the id, and so the port, of the one that died. */
  const map = {};

  const forkWorker = (worker_id) => {
    map[cluster.fork({ worker_id }).id] = worker_id;
  };

  for (let i = 0; i < cpu_count; i++) {
    forkWorker(i);
  }

  cluster.on('exit', (worker) => {
    const old_worker_id = map[worker.id];
    delete map[worker.id];
    forkWorker(old_worker_id);
  });
} else {
  const local = { host: localhost, port: port + parseInt(process.env.worker_id, 10) };

  new Collective(local, all_hosts, (collective) => {
    /* Your program starts here. The rest shows SET, INCREMENT and DELETE. */
    const key = 'over.nine.thousand';
    const me = `${collective.local.host}:${collective.local.port}`;
    const tell = (when) => console.log(`${me}: '${key}' ${when} is ${collective.get(key)}`);

    collective.set(key, 0);

    /* The timeouts only wait until the others are as far. */
    setTimeout(() => {
      tell('after SET');

      setTimeout(() => {
        collective.set(key, 9000, collective.OPERATIONS.INCREMENT);

        setTimeout(() => {
          tell(`after ${all_hosts.length} INCREMENTs by 9000`);

          setTimeout(() => {
            collective.set(key, null, collective.OPERATIONS.DELETE);

            setTimeout(() => tell('after DELETE'), pause);
          }, pause / 10);
        }, pause);
      }, pause / 10);
    }, pause / 10);
  });
}
