'use strict';

/**
 * Asking every node the plain way, in JavaScript alone, as partition.io does: JSON lines over TCP,
 * a job counts the answers, everything on the event loop.
 *
 * It is honest, not weak: a request is encoded once whatever the number of peers, the Nagle delay
 * is off, nothing is logged, a node that is gone is not waited for twice. It is simple, not
 * complete: no deadline, no error, no cancelling; a peer that dies in the middle leaves a job
 * hanging.
 */

const net = require('net');

const { eachLine } = require('../plain-mesh');

const HELLO = 0; //   [name]
const REQUEST = 1; // [job, worker, args]
const ANSWER = 2; //  [job, error, value]

class PlainJobs {
  constructor(local, all, callback) {
    this.name = `${local.host}:${local.port}`;
    this.peers = new Map();
    this.workers = new Map([['echo', (value, done) => done(null, value)]]);
    this.jobs = new Map();
    this.lastJob = 0;
    this.server = net.createServer((socket) => this.attach(socket));
    this.server.on('error', (error) => this.onError?.(error));
    this.server.listen(local.port, local.host, () => {
      // Of two nodes one dials, so that there is one connection for each pair.
      for (const { host, port } of all) {
        if (port < local.port) this.dial(host, port);
      }
      callback();
    });
  }

  get active() {
    return this.peers.size;
  }

  gather(value, callback) {
    const id = ++this.lastJob;
    const job = { waiting: this.peers.size + 1, values: [], callback };
    this.jobs.set(id, job);
    const line = JSON.stringify([REQUEST, [id, 'echo', [value]]]) + '\n';
    for (const socket of this.peers.values()) socket.write(line);
    this.workers.get('echo')(value, (error, result) => this.answered(id, error, result));
  }

  /** Asks one node. */
  call({ host, port }, value) {
    return new Promise((resolve) => {
      const id = ++this.lastJob;
      this.jobs.set(id, { waiting: 1, values: [], callback: ([answer]) => resolve(answer) });
      const line = JSON.stringify([REQUEST, [id, 'echo', [value]]]) + '\n';
      this.peers.get(`${host}:${port}`).write(line);
    });
  }

  answered(id, error, value) {
    const job = this.jobs.get(id);
    if (!error) job.values.push(value);
    if (--job.waiting > 0) return;
    this.jobs.delete(id);
    job.callback(job.values);
  }

  dial(host, port) {
    const socket = net.connect(port, host);
    socket.on('error', () => setTimeout(() => this.dial(host, port), 20));
    socket.once('connect', () => this.attach(socket));
  }

  attach(socket) {
    socket.setNoDelay(true);
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.write(JSON.stringify([HELLO, [this.name]]) + '\n');
    eachLine(socket, (line) => {
      const [type, payload] = JSON.parse(line);
      if (type === REQUEST) {
        const [job, worker, args] = payload;
        this.workers.get(worker)(...args, (error, value) => {
          socket.write(JSON.stringify([ANSWER, [job, error, value]]) + '\n');
        });
      } else if (type === ANSWER) {
        this.answered(...payload);
      } else {
        this.peers.set(payload[0], socket);
        socket.on('close', () => this.peers.delete(payload[0]));
      }
    });
  }

  on(event, listener) {
    this.onError = listener;
  }
}

module.exports = PlainJobs;
