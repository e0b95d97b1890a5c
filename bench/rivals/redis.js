'use strict';

/**
 * State in a Redis of this machine, through ioredis, in the shape of a Collective: a key is a key,
 * a value its JSON text. Commands of one turn of the event loop go out together, and nobody waits
 * for the answer of a write. A read is a round trip.
 */

const Redis = require('ioredis');

const OPERATIONS = { SET: 0, INCREMENT: 1, DELETE: 2 };

class OverRedis {
  /** `get` gives a promise. */
  isAsync = true;
  OPERATIONS = OPERATIONS;

  constructor(local, all, callback) {
    this.others = all.length - 1;
    this.redis = new Redis({ port: Number(process.env.BENCH_PORT), enableAutoPipelining: true });
    this.redis.on('error', (error) => this.onError?.(error));
    this.redis.once('ready', callback);
  }

  /** Whoever is ready shares everything with everybody. */
  get active() {
    return this.others;
  }

  async get(key) {
    const text = await this.redis.get(key);
    return text === null ? undefined : JSON.parse(text);
  }

  set(key, value, operation = OPERATIONS.SET) {
    const failed = (error) => this.onError?.(error);
    if (operation === OPERATIONS.SET) this.redis.set(key, JSON.stringify(value)).catch(failed);
    else if (operation === OPERATIONS.INCREMENT) this.redis.incrby(key, value).catch(failed);
    else this.redis.del(key).catch(failed);
  }

  on(event, listener) {
    this.onError = listener;
  }
}

module.exports = OverRedis;
