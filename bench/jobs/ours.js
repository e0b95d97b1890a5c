'use strict';

/** A Servent in the shape that node.js opens, with one worker that answers at once. */

const { Servent } = require('../..');

class Ours {
  constructor(local, all, callback) {
    this.servent = new Servent();
    this.worker = this.servent.createWorker('echo', (value, done) => done(null, value));
    this.servent.expose('echo', function (value) {
      this.send(value);
    });
    this.servent.on('error', (error) => this.onError?.(error));
    this.servent.listen(local.port, local.host, () => {
      for (const { host, port } of all) {
        if (port !== local.port) this.servent.connect(port, host);
      }
      callback();
    });
  }

  get active() {
    return Object.keys(this.servent.peers).length;
  }

  /** Asks every node, this one included; calls back with what they answered. */
  gather(value, callback) {
    this.worker.distribute((job) => {
      const values = [];
      job.on('data', (answer) => values.push(answer));
      job.on('end', () => callback(values));
      job.run(value);
    });
  }

  /** Asks one node. */
  call({ port }, value) {
    this.byPort ??= new Map(Object.values(this.servent.peers).map((peer) => [peer.port, peer]));
    return this.byPort.get(port).invoke('echo', [value]);
  }

  on(event, listener) {
    this.onError = listener;
  }
}

module.exports = Ours;
