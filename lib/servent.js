'use strict';

const EventEmitter = require('node:events');

const { attempt } = require('./attempt.js');
const { checkEvent, isEvent } = require('./event-names.js');
const { codedError } = require('./errors.js');
const { EVENT, kInside } = require('./inside.js');
const { closedError } = require('./keys.js');
const { LocalNode, eventError, warn } = require('./local-node.js');
const { Node } = require('./node.js');
const {
  connectArguments, insecureBind, listenArguments, serventOptions,
} = require('./options.js');
const { Peers } = require('./peers.js');
const { Functions, broadcastInvoke } = require('./rpc.js');
const { Tasks } = require('./tasks.js');
const { uid } = require('./uid.js');
const { Worker } = require('./worker.js');

/**
 * A node that asks all others: it listens, connects, and does its part of what any of them
 * distributes. Every node gets to know every other through the one it connects to.
 *
 * Its own events are the reserved ones of `event-names.js`; listeners of all others get what peers
 * send, as `(peer, ...args)`.
 */
class Servent extends EventEmitter {
  /** Why it must neither listen nor connect. */
  #problem;
  #node;
  /** What this is to the node. */
  #face;
  /** The node was there before, and goes on when this servent closes. */
  #isGuest;
  #peers;
  #tasks;
  /** Whether it listens or is about to, and whether it is to be connected. */
  #isListening = false;
  #isConnecting = false;
  /** Its end, if it is a guest, once that was asked for. */
  #leaving;
  #isClosed = false;
  /** `{address, callback}` for whom there is no peer yet. */
  #wishes = new Set();

  /** @param {import('..').Servent.Options} [options] */
  constructor(options) {
    super();
    const { guestOf, native, credentials, problem } = serventOptions(options);
    this.#problem = problem;
    this.#isGuest = guestOf !== undefined;
    this.#node = guestOf ?? new LocalNode({ ...native, id: uid() }, { credentials });
    this.id = this.#node.node;
    this.#peers = new Peers(this, this.#node);
    this.#tasks = new Tasks(this, this.#node, this.#peers);
    this.#tasks.functions = new Functions(this.#tasks);
    this.#face = {
      event: (event) => this.#handle(event),
      item: (item) => this.#tasks.item(item),
      finish: () => this.#tasks.finish(),
    };
    /** Those that are there, by id. */
    this.peers = this.#peers.live;
    Object.defineProperty(this, kInside, { value: this.#tasks });
    this.#node.attach(this.#face);
    if (this.#isGuest) this.#arrive();
  }

  /** The same node as today's interface has it. */
  get node() {
    return Node.of(this.#node);
  }

  /** Whether it listens. */
  get listening() {
    return !this.#isClosed && this.#node.address !== null;
  }

  /** Where it listens, as `{address, family, port}`, or null. */
  address() {
    return this.listening ? { ...this.#node.address } : null;
  }

  /**
   * Listens, in all the forms of `net.Server`: `(port, host, backlog, callback)`, of which all may
   * be left out, or `({port, host}, callback)`. No host is 127.0.0.1, no port any that is free.
   *
   * What the network has against it comes as `error`; then it may be tried again.
   */
  listen(...args) {
    const { host, port, callback } = listenArguments(args);
    if (this.#isClosing) throw closedError();
    if (this.#isListening || this.#node.address !== null) {
      throw codedError('ERR_INVALID_STATE', 'This servent listens already');
    }
    const problem = this.#problem ?? (this.#node.mayListen(host) ? undefined : insecureBind(host, port));
    if (problem) setImmediate(() => this.#listenFailed(problem));
    else this.#node.listen(host, port, this.#face);
    if (callback !== undefined) this.once('listening', callback);
    this.#isListening = true;
    this.#stay();
    return this;
  }

  /**
   * Connects to a node and through it to all others, and keeps the connection: `(port, host,
   * callback)`, `('host:port', callback)` or `({port, host}, callback)`.
   *
   * If that fails at first, there is one `error`; it goes on trying.
   */
  connect(...args) {
    const { address, callback } = connectArguments(args);
    if (this.#isClosing) throw closedError();
    if (this.#problem) {
      setImmediate(() => this.#isClosing || this.emit('error', this.#problem));
      return this;
    }
    this.#node.connect(address, this.#face);
    this.#isConnecting = true;
    this.#stay();
    if (callback !== undefined) {
      const peer = this.#peers.at(address);
      if (peer === undefined) this.#wishes.add({ address, callback });
      else process.nextTick(callback, peer);
    }
    return this;
  }

  /**
   * Makes a worker: what `func` does is done here for each job of this name, by whichever node.
   *
   * @param {string} name
   * @param {Function} [func] called with the parameters of the job and a `callback(error, data)`;
   *   it may also return a promise
   */
  createWorker(name, func) {
    return new Worker(this, name, func);
  }

  /** Exposes a function, or an object of functions, to all peers. */
  expose(name, exposed) {
    const { functions } = this.#tasks;
    functions.expose(functions.common, name, exposed);
  }

  /**
   * Calls a function that peers expose on each of them. Gives how many that are.
   *
   * @param {string} method
   * @param {unknown[]} [params]
   * @param {(error, result, id, origin) => void} [callback] once for each peer
   * @param {{timeout?: number, signal?: AbortSignal}} [options]
   */
  broadcastInvoke(method, ...rest) {
    return broadcastInvoke(this.#tasks, method, rest);
  }

  /** Fires an event on the servents of all peers. Gives how many that are. */
  broadcast(event, ...args) {
    checkEvent(event);
    return this.#tasks.emit(event, args, '-');
  }

  /** Ends the connection to a peer. Whether there was one of this id. */
  removePeer(id) {
    const peer = Object.hasOwn(this.peers, id) ? this.peers[id] : undefined;
    return peer !== undefined && peer.destroy();
  }

  /** Goes on with other secrets, of which the first is used and all are accepted, or certificates. */
  rotate(options) {
    if (this.#isClosing) throw closedError();
    this.#node.rotate(options);
  }

  /** Counters of this node. */
  stats() {
    return this.#node.stats();
  }

  /** Lets this servent keep the process while it listens or is connected, as it does at first. */
  ref() {
    this.#node.ref();
    return this;
  }

  /** Lets the process end although this servent listens; own jobs and calls are waited for. */
  unref() {
    this.#node.unref();
    return this;
  }

  /**
   * Takes no new work, waits up to 5 s for what is under way, says goodbye and frees everything.
   * Repeatable.
   *
   * @param {() => void} [callback]
   */
  close(callback) {
    if (typeof callback === 'function') {
      if (this.#isClosed) process.nextTick(callback);
      else this.once('close', callback);
    }
    if (!this.#isGuest) return this.#node.close();
    this.#leaving ??= Promise.resolve(this.#tasks.finish()).then(() => this.#leave());
    return this.#leaving;
  }

  /** Frees everything at once; own jobs are aborted. Repeatable. */
  destroy() {
    if (!this.#isGuest) return this.#node.destroy();
    this.#leaving ??= Promise.resolve();
    this.#leave();
    return this.#leaving;
  }

  on(event, listener) {
    super.on(event, listener);
    return this.#heed(event);
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    super.prependListener(event, listener);
    return this.#heed(event);
  }

  removeListener(event, listener) {
    super.removeListener(event, listener);
    return this.#heed(event);
  }

  off(event, listener) {
    return this.removeListener(event, listener);
  }

  removeAllListeners(...event) {
    super.removeAllListeners(...event);
    for (const name of this.#tasks.offered(EVENT)) this.#heed(name);
    return this;
  }

  /** What nobody listens to is not even taken from the network. */
  #heed(event) {
    if (isEvent(event)) this.#tasks.offer(EVENT, event, this.listenerCount(event) > 0);
    return this;
  }

  #handle(event) {
    switch (event.type) {
      case 'listening':
        return this.emit('listening');
      case 'error':
        return this.#listenFailed(eventError(event));
      case 'connectFailed':
        return this.emit('error', eventError(event));
      case 'connect':
        return this.#connected(event);
      case 'disconnect':
        return this.#disconnected(event);
      case 'warning':
        return warn(this, this.#named(event));
      case 'closed':
        return this.#closed();
    }
  }

  get #isClosing() {
    return this.#leaving !== undefined || this.#node.isClosing;
  }

  /** A guest finds peers that are there. Listeners are told once there can be some. */
  #arrive() {
    const found = this.#node.roster.map((event) => this.#peers.join(event));
    process.nextTick(() => {
      if (this.#node.address !== null) attempt(this.emit, this, 'listening');
      for (const peer of found) {
        if (!peer.destroyed) attempt(this.emit, this, 'peer', peer);
      }
    });
  }

  /** A guest goes. */
  #leave() {
    this.#node.detach(this.#face);
    this.#closed();
  }

  #listenFailed(error) {
    if (this.#isClosing) return;
    this.#isListening = false;
    this.#stay();
    this.emit('error', error);
  }

  #connected(event) {
    const peer = this.#peers.join(event);
    if (peer !== undefined) {
      attempt(this.emit, this, 'peer', peer);
      this.#fulfil(peer);
    }
  }

  #fulfil(peer) {
    for (const wish of [...this.#wishes]) {
      if (!this.#peers.isAt(peer, wish.address)) continue;
      this.#wishes.delete(wish);
      attempt(wish.callback, this, peer);
    }
  }

  #disconnected(event) {
    const peer = this.#peers.leave(event.peer);
    if (peer !== undefined) this.#left(peer, event.code);
  }

  #left(peer, code) {
    attempt(EventEmitter.prototype.emit, peer, 'end');
    attempt(this.emit, this, 'peerLeave', peer, code);
  }

  /** An event of a peer, with what programs know that by. */
  #named(event) {
    return event.peer === undefined ? event : { ...event, ...this.#peers.origin(event.peer) };
  }

  #closed() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wishes.clear();
    this.#tasks.abandon();
    for (const peer of this.#peers.leaveAll()) this.#left(peer, 'ERR_CLOSED');
    this.emit('close');
  }

  /** Only who listens or is to be connected keeps the process. */
  #stay() {
    this.#node.stay(this.#face, this.#isListening || this.#isConnecting);
  }
}

module.exports = { Servent };
