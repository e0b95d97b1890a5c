'use strict';

/**
 * One node of a measured cluster: a process of its own that loads the implementation and does what
 * run.js asks, one duty at a time. Arguments: the implementation's path, the scenario's name.
 */

const { sleep } = require('./meter');

const [implementation, scenario] = process.argv.slice(2);
const Collective = require(implementation);

let collective;

const duties = {
  /** Resolves when the node is ready, which includes its snapshot. */
  open({ local, all }) {
    return new Promise((resolve, reject) => {
      collective = new Collective(local, all, () => resolve());
      collective.on?.('error', reject);
    });
  },

  async connected({ peers }) {
    while (collective.active < peers) await sleep(5);
  },
};

for (const [name, duty] of Object.entries(require(`./scenarios/${scenario}`).duties)) {
  duties[name] = (args) => duty(collective, args);
}

process.on('message', async ({ id, duty, args }) => {
  try {
    const value = await duties[duty](args);
    process.send({ id, value });
  } catch (error) {
    process.send({ id, error: error?.stack ?? String(error) });
  }
});

// An orphan must not go on measuring beside the next run.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
