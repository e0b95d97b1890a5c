'use strict';

/**
 * The rival: shared state the plain way, in JavaScript alone. It has collective.js's API and its
 * ideas: a nested object, dotted keys, JSON lines over TCP, one socket write for each message and
 * peer, everything on the event loop, one snapshot for whoever joins.
 *
 * It is honest, not weak: a message is encoded once whatever the number of peers, the Nagle delay
 * is off, a long line is put together without searching it again, nothing is logged. It is simple,
 * not complete: nothing is sent again after a lost connection, clocks alone decide between SETs,
 * and an INCREMENT that meets a snapshot on its way can count twice.
 */

const net = require('net');

const OPERATIONS = { SET: 0, INCREMENT: 1, DELETE: 2 };
const TYPES = ['New', 'Accept', 'Data'];
const DELIMITER = '\n';

const NEW = 0; //    [name, wantsData]: the first line of whoever dialled
const ACCEPT = 1; // the whole data, for a peer that wanted it
const DATA = 2; //   [key, time, value, operation]

class PlainMesh {
  constructor(local, all, callback) {
    this.local = local;
    this.remote = all.filter(({ host, port }) => host !== local.host || port !== local.port);
    this.connections = {};
    this.data = {};
    // Time of the last SET or DELETE of each key. Without it two nodes that SET one key at once
    // would each keep what arrived last, and differ.
    this.history = {};
    this.OPERATIONS = OPERATIONS;
    this.TYPES = TYPES;
    this.DELIMITER = DELIMITER;
    this.watched = new Map();
    // Writes that arrive between asking for the snapshot and getting it; null when not waiting.
    this.early = null;

    this.server = net.createServer((socket) => this.attach(socket, null));
    this.server.listen(local.port, local.host, async () => {
      await Promise.all(this.remote.map((address) => this.dial(address)));
      callback?.(this);
    });
  }

  get active() {
    return Object.keys(this.connections).length;
  }

  get active_remote() {
    return Object.keys(this.connections)
      .filter((name) => name.slice(0, name.lastIndexOf(':')) !== this.local.host).length;
  }

  get(key) {
    let value = this.data;
    for (const name of key.split('.')) {
      if (value === null || typeof value !== 'object') return undefined;
      value = value[name];
    }
    return value;
  }

  set(key, value, operation = OPERATIONS.SET) {
    const write = [key, Date.now(), value, operation];
    this.take(write);
    const line = JSON.stringify([DATA, write]) + DELIMITER;
    for (const name in this.connections) this.connections[name].write(line);
  }

  /** Calls back when the key is written, until the function that it gives is called. */
  watch(key, callback) {
    this.watched.set(key, callback);
    return () => this.watched.delete(key);
  }

  close() {
    this.server.close();
    for (const name in this.connections) this.connections[name].destroy();
  }

  /** Resolves when the peer is connected and, if it was asked, has sent its data; or has failed. */
  dial({ host, port }) {
    return new Promise((resolve) => {
      const socket = net.connect(port, host);
      socket.once('error', resolve);
      socket.once('close', resolve);
      socket.once('connect', () => {
        const wantsData = this.early === null && !this.joined;
        if (wantsData) {
          this.early = [];
          this.joined = resolve;
        }
        this.attach(socket, nameOf({ host, port }));
        socket.write(JSON.stringify([NEW, [nameOf(this.local), wantsData]]) + DELIMITER);
        if (!wantsData) resolve();
      });
    });
  }

  /** Reads a connection whoever dialled. The first one to a peer is the one we write on. */
  attach(socket, name) {
    const register = () => {
      this.connections[name] ??= socket;
    };
    if (name !== null) register();

    socket.setNoDelay(true);
    socket.setEncoding('utf8');
    socket.on('error', () => {}); // 'close' follows and does the work
    socket.on('close', () => {
      if (this.connections[name] === socket) delete this.connections[name];
    });
    eachLine(socket, (line) => {
      const [type, payload] = JSON.parse(line);
      if (type === DATA) {
        this.take(payload);
      } else if (type === NEW) {
        let wantsData;
        [name, wantsData] = payload;
        register();
        if (wantsData) socket.write(JSON.stringify([ACCEPT, this.data]) + DELIMITER);
      } else if (type === ACCEPT) {
        this.data = payload;
        const early = this.early;
        this.early = null;
        early.forEach((write) => this.apply(write));
        this.joined();
      }
    });
  }

  take(write) {
    this.early?.push(write);
    this.apply(write);
  }

  apply([key, time, value, operation]) {
    if (operation !== OPERATIONS.INCREMENT) {
      if (this.history[key] > time) return;
      this.history[key] = time;
    }
    const names = key.split('.');
    const last = names.pop();
    let parent = this.data;
    for (const name of names) {
      const child = parent[name];
      parent = child !== null && typeof child === 'object' ? child : (parent[name] = {});
    }
    if (operation === OPERATIONS.SET) parent[last] = value;
    else if (operation === OPERATIONS.INCREMENT) parent[last] = (parent[last] ?? 0) + value;
    else delete parent[last];
    if (this.watched.size > 0) this.watched.get(key)?.();
  }
}

function nameOf({ host, port }) {
  return `${host}:${port}`;
}

/** Calls back with each line. Only the new chunk is searched, so that a long line stays linear. */
function eachLine(socket, callback) {
  let begun = '';
  socket.on('data', (chunk) => {
    let from = 0;
    for (let to; (to = chunk.indexOf(DELIMITER, from)) !== -1; from = to + 1) {
      callback(begun + chunk.slice(from, to));
      begun = '';
    }
    begun += chunk.slice(from);
  });
}

module.exports = PlainMesh;
module.exports.eachLine = eachLine;
