'use strict';

/**
 * State in an LMDB file that all processes of this machine have open, through lmdb-js without its
 * cache, in the shape of a Collective. Writes of one turn of the event loop are one transaction,
 * which nobody waits for; nothing is synced to the disk.
 */

const { open } = require('lmdb');

const OPERATIONS = { SET: 0, INCREMENT: 1, DELETE: 2 };

class OverLmdb {
  OPERATIONS = OPERATIONS;

  constructor(local, all, callback) {
    this.others = all.length - 1;
    this.db = open({ path: process.env.BENCH_DIRECTORY, cache: false, noSync: true });
    setImmediate(callback);
  }

  get active() {
    return this.others;
  }

  get(key) {
    return this.db.get(key);
  }

  set(key, value, operation = OPERATIONS.SET) {
    if (operation === OPERATIONS.SET) this.db.put(key, value);
    else if (operation === OPERATIONS.INCREMENT) {
      this.db.transaction(() => this.db.put(key, (this.db.get(key) ?? 0) + value));
    } else this.db.remove(key);
  }
}

module.exports = OverLmdb;
