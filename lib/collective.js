'use strict';

const EventEmitter = require('node:events');

const { attempt } = require('./attempt.js');
const { ReadCache } = require('./cache.js');
const { DataViews, SHAPE_ABSENT } = require('./data-view.js');
const { codedError } = require('./errors.js');
const { History } = require('./history.js');
const { encode } = require('./json.js');
const { checkKey, closedError } = require('./keys.js');
const { LocalNode, eventError, warn } = require('./local-node.js');
const { Node } = require('./node.js');
const { collectiveOptions, isLoopback, splitAddress } = require('./options.js');
const { Slots } = require('./slots.js');

const OPERATIONS = Object.freeze({ SET: 0, INCREMENT: 1, DELETE: 2 });
const TYPES = Object.freeze(['New', 'Accept', 'Data']);
const DELIMITER = '\n';

/** What a collective has for a node after it has left one that goes on. */
const GONE = {
  isClosed: true,
  cache: new ReadCache(new Slots()),
  ref() {},
  unref() {},
};
for (const name of ['set', 'increment', 'delete', 'shape', 'keptShape', 'names', 'explain', 'stats', 'rotate']) {
  GONE[name] = () => {
    throw closedError();
  };
}

/** The inside of a Collective, see `Inside`. */
const kInside = Symbol('collective');

/**
 * A nested object that all processes of a cluster share.
 *
 * A function and not a class: programs of collective.js's time make subclasses with
 * `util.inherits` and `Collective.call(this, local, all, callback)`.
 *
 * @param {{host?: string, port: number}} local where this node listens
 * @param {{host?: string, port: number}[]} all every node of the cluster, this one included
 * @param {(collective: Collective) => void} [callback] runs once, when this node has the data
 * @param {import('..').Options} [options] with a `node`, the first two are left out
 */
function Collective(local, all, callback, options) {
  if (!(this instanceof Collective)) {
    throw new TypeError("Collective cannot be called without 'new'");
  }
  const settings = collectiveOptions(local, all, callback, options);
  EventEmitter.call(this);

  this.local = settings.local;
  this.remote = settings.remote;
  this.connections = {};
  this.active = 0;
  this.active_remote = 0;
  Object.defineProperty(this, kInside, { value: new Inside(this, settings, callback) });
  this[kInside].arrive();
}
Object.setPrototypeOf(Collective, EventEmitter);
Object.setPrototypeOf(Collective.prototype, EventEmitter.prototype);

for (const target of [Collective, Collective.prototype]) {
  Object.assign(target, { OPERATIONS, TYPES, DELIMITER });
}

/** The value at a dotted key, `undefined` where there is none. */
Collective.prototype.get = function get(key) {
  return this[kInside].cache.get(key);
};

/** SETs, INCREMENTs or DELETEs a dotted key, here at once and soon on every node. */
Collective.prototype.set = function set(key, value, operation) {
  switch (operation) {
    case undefined:
    case null:
    case OPERATIONS.SET:
      return this[kInside].set(key, value);
    case OPERATIONS.INCREMENT:
      return this[kInside].increment(key, value);
    case OPERATIONS.DELETE:
      return this[kInside].delete(key);
    default:
      throw codedError('ERR_INVALID_OPERATION', `There is no operation ${String(operation)}`);
  }
};

/** What a dotted key shows, and why; `null` is the whole state. For people who wonder. */
Collective.prototype.explain = function explain(key) {
  if (key !== null) refuseSegments(key);
  return this[kInside].node.explain(key);
};

/** Counters of this node. */
Collective.prototype.stats = function stats() {
  return this[kInside].node.stats();
};

/** Goes on with other secrets, of which the first is used and all are accepted, or certificates. */
Collective.prototype.rotate = function rotate(options) {
  this[kInside].node.rotate(options);
};

/** Leaves the cluster. The promise is fulfilled when nothing of this node is left. Repeatable. */
Collective.prototype.close = function close() {
  return this[kInside].close();
};

/** Lets this node keep the process alive, as it does from the start. */
Collective.prototype.ref = function ref() {
  this[kInside].node.ref();
  return this;
};

/** Lets the process end although this node listens. */
Collective.prototype.unref = function unref() {
  this[kInside].node.unref();
  return this;
};

Object.defineProperties(Collective.prototype, {
  /** The whole state, live: assigning to its members and deleting them replicates. */
  data: {
    configurable: true,
    get() {
      return this[kInside].views.root;
    },
    set() {
      throw codedError('ERR_INVALID_ARGUMENT', 'Assign to the members of `data`, not to `data` itself');
    },
  },
  /** The same node as today's interface has it. */
  node: {
    configurable: true,
    get() {
      return this[kInside].today;
    },
  },
  /** Per key, the time in ms of the write that gave it its value. */
  history: {
    configurable: true,
    get() {
      return this[kInside].history.view;
    },
  },
});

/** What a Collective does behind its public members. */
class Inside {
  #collective;
  #settings;
  #callback;
  /** What this is to the node. */
  #face = { event: (event) => this.#handle(event) };
  #local;
  /** The node was there before, and goes on when this collective closes. */
  #isGuest;
  /** Its end, if it is a guest. */
  #left;
  /** Live peers: id to the name that each has in `connections`. */
  #peers = new Map();

  constructor(collective, settings, callback) {
    this.#collective = collective;
    this.#settings = settings;
    this.#callback = callback ?? undefined;
    this.#isGuest = settings.guestOf !== undefined;
    this.#local = settings.guestOf ?? new LocalNode(settings.native, { credentials: settings.credentials });
    this.node = this.#local;
    this.cache = this.#local.cache;
    this.history = new History((key) => this.shape(key) !== SHAPE_ABSENT);
    this.views = new DataViews(this);
  }

  /** Takes part in what happens to the node from now on. */
  arrive() {
    const { node } = this;
    node.attach(this.#face);
    if (!this.#isGuest) {
      const { problem } = this.#settings;
      node.stay(this.#face, problem === undefined);
      if (problem) {
        this.#callback = null;
        setImmediate(() => node.isClosed || this.#failed(problem));
      }
      return;
    }
    const found = node.roster.map((event) => this.#join(event));
    // Listeners are told once there can be some.
    process.nextTick(() => {
      if (node.address !== null) attempt(this.#collective.emit, this.#collective, 'listening', node.address);
      for (const name of found) attempt(this.#collective.emit, this.#collective, 'connect', name);
      if (node.isReady) this.#ready();
    });
  }

  get today() {
    return Node.of(this.#local);
  }

  close() {
    if (!this.#isGuest) return this.#local.close();
    this.#left ??= this.#leave();
    return this.#left;
  }

  set(key, value) {
    if (value === undefined) return this.delete(key);
    const json = encode(value);
    refuseSegments(key);
    if (this.#isHeld(key)) return;
    this.node.set(key, json);
    this.history.wrote(key);
  }

  increment(key, by) {
    if (typeof by !== 'number' || !Number.isFinite(by)) {
      throw codedError('ERR_NOT_A_NUMBER', 'INCREMENT needs a finite number');
    }
    refuseSegments(key);
    this.node.increment(key, by);
  }

  delete(key) {
    refuseSegments(key);
    if (this.#isHeld(key)) return;
    this.node.delete(key);
    this.history.forget(key);
  }

  get(key) {
    return this.cache.get(key);
  }

  peek(key) {
    return this.cache.peek(key);
  }

  shape(key) {
    return key === null || key.isWellFormed() ? this.node.shape(key) : SHAPE_ABSENT;
  }

  keptShape(key) {
    return key.isWellFormed() ? this.node.keptShape(key) : SHAPE_ABSENT;
  }

  names(key) {
    return this.node.names(key);
  }

  /** Whether `history` holds back writes of this key. What is wrong with them is told all the same. */
  #isHeld(key) {
    if (!this.history.holds(key)) return false;
    if (this.node.isClosed) throw closedError();
    checkKey(key);
    return true;
  }

  async #leave() {
    this.#local.detach(this.#face);
    this.node = GONE;
    this.cache = GONE.cache;
    await null;
    this.#closed();
  }

  #handle(event) {
    const collective = this.#collective;
    switch (event.type) {
      case 'listening':
        return collective.emit('listening', event.address);
      case 'connect':
        return this.#connected(event);
      case 'disconnect':
        return this.#disconnected(event);
      case 'ready':
        return this.#ready();
      case 'warning':
        return warn(collective, event);
      case 'error':
        return this.#failed(eventError(event));
      case 'closed':
        return this.#closed();
    }
  }

  #connected(event) {
    this.#collective.emit('connect', this.#join(event));
  }

  /** A peer is there: the name that it gets. */
  #join({ peer, address, advertised }) {
    const name = this.#nameOf(address ?? advertised ?? peer);
    this.#peers.set(peer, name);
    this.#collective.connections[name] = { id: peer, ...splitAddress(name) };
    this.#count();
    return name;
  }

  #disconnected({ peer, code }) {
    const name = this.#peers.get(peer);
    if (name === undefined) return;
    this.#peers.delete(peer);
    // A restarted peer may be here under the same name before its former self is lost.
    const { connections } = this.#collective;
    if (connections[name]?.id === peer) delete connections[name];
    this.#count();
    this.#collective.emit('disconnect', name, code);
  }

  #count() {
    const { connections, local } = this.#collective;
    const hosts = Object.values(connections).map((connection) => connection.host);
    this.#collective.active = hosts.length;
    this.#collective.active_remote = hosts.filter((host) => host !== local.host).length;
  }

  /** The name that `all` has for an address; the address itself if it is not there. */
  #nameOf(address) {
    const { others } = this.#settings;
    const exact = others.find((other) => other.dial === address);
    if (exact !== undefined) return exact.name;
    // A peer may call itself 127.0.0.1 where we were told localhost.
    const { host, port } = splitAddress(address);
    const alias = isLoopback(host)
      ? others.find((other) => other.port === port && isLoopback(other.host))
      : undefined;
    return alias?.name ?? address;
  }

  #ready() {
    // Without a listener of its own this node is no member, and the program knows from 'error'.
    if (this.#callback === null) return;
    const callback = this.#callback;
    this.#callback = null;
    this.#collective.emit('ready');
    callback?.(this.#collective);
  }

  #failed(error) {
    this.#callback = null;
    this.node.stay(this.#face, false);
    this.#collective.emit('error', error);
  }

  #closed() {
    this.#peers.clear();
    for (const name of Object.keys(this.#collective.connections)) {
      delete this.#collective.connections[name];
    }
    this.#count();
    this.#collective.emit('close');
  }
}

/** A list of segments is a path to `node.state`; a collective's keys are dotted strings. */
function refuseSegments(key) {
  if (typeof key !== 'string') checkKey(key);
}

module.exports = { Collective };
