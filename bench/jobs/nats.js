'use strict';

/**
 * Asking every node through a NATS server of this machine: each subscribes to one subject, whoever
 * asks publishes there and counts the answers in an inbox of his own.
 */

const { connect, JSONCodec } = require('nats');

const codec = JSONCodec();

class OverNats {
  constructor(local, all, callback) {
    this.name = nameOf(local);
    this.nodes = all.length;
    this.jobs = new Map();
    this.lastJob = 0;
    this.open(callback).catch((error) => this.onError?.(error));
  }

  async open(callback) {
    this.nats = await connect({ port: Number(process.env.BENCH_PORT) });
    const answer = (error, message) => message.respond(message.data);
    this.nats.subscribe('echo', { callback: answer });
    this.nats.subscribe(`echo.${this.name}`, { callback: answer });
    this.inbox = `inbox.${this.name}`;
    this.nats.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => {
        const number = Number(message.subject.slice(this.inbox.length + 1));
        this.answered(number, codec.decode(message.data));
      },
    });
    /** Who has said to be there. */
    this.present = new Set();
    this.nats.subscribe('here', {
      callback: (error, message) => this.present.add(codec.decode(message.data)),
    });
    await this.nats.flush();
    this.beat = setInterval(() => this.nats.publish('here', codec.encode(this.name)), 50);
    callback();
  }

  /** The peers that have subscribed. */
  get active() {
    const others = this.present.size - (this.present.has(this.name) ? 1 : 0);
    // From here on nobody needs to be told.
    if (others === this.nodes - 1) setTimeout(() => clearInterval(this.beat), 500);
    return others;
  }

  gather(value, callback) {
    const number = ++this.lastJob;
    this.jobs.set(number, { waiting: this.nodes, values: [], callback });
    this.nats.publish('echo', codec.encode(value), { reply: `${this.inbox}.${number}` });
  }

  answered(number, value) {
    const job = this.jobs.get(number);
    job.values.push(value);
    if (--job.waiting > 0) return;
    this.jobs.delete(number);
    job.callback(job.values);
  }

  /** Asks one node. */
  async call(address, value) {
    const { data } = await this.nats.request(`echo.${nameOf(address)}`, codec.encode(value));
    return codec.decode(data);
  }

  on(event, listener) {
    this.onError = listener;
  }
}

/** Dots have a meaning in subjects. */
function nameOf({ host, port }) {
  return `${host.replaceAll('.', '-')}-${port}`;
}

module.exports = OverNats;
