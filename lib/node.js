'use strict';

const EventEmitter = require('node:events');
const { inspect } = require('node:util');

const { attempt } = require('./attempt.js');
const { codedError } = require('./errors.js');
const { kLocal } = require('./inside.js');
const { warn } = require('./local-node.js');
const { NodeJobs } = require('./node-jobs.js');
const { NodePeers } = require('./node-peers.js');
const { State } = require('./state.js');

/** The node that a local node is to programs, once one has asked. */
const nodes = new WeakMap();

/**
 * One node of a cluster, as `join` gives it. A `Collective` and a `Servent` stand on one too, and
 * several of them may stand on the same.
 *
 * Its events: `peer:join` (peer), `peer:leave` (peer, code), `peer:busy` (peer), `warning` (error),
 * `error` (error), `close`.
 */
class Node extends EventEmitter {
  #local;
  #peers;
  #state;
  #jobs;

  /** @hideconstructor */
  constructor(local) {
    super();
    this.#local = local;
    this.#peers = new NodePeers(local);
    this.#jobs = new NodeJobs(this, local, this.#peers);
    Object.defineProperty(this, kLocal, { value: local });
    for (const event of local.roster) this.#peers.join(event);
    local.attach({
      event: (event) => this.#handle(event),
      item: (item) => this.#jobs.item(item),
      finish: () => this.#jobs.finish(),
    });
  }

  /** The one for a local node. */
  static of(local) {
    let node = nodes.get(local);
    if (node === undefined) {
      node = new Node(local);
      nodes.set(local, node);
    }
    return node;
  }

  /** 24 upper-case hexadecimal digits, another one for each node. */
  get id() {
    return this.#local.node;
  }

  /** As others show it to people. */
  get name() {
    return this.#local.name;
  }

  /** What others choose nodes by. */
  get tags() {
    return this.#local.tags;
  }

  /** Where others reach it, `'host:port'`; null if it does not listen. */
  get address() {
    return this.#local.reachable;
  }

  /** The nodes that it is connected with, by id. */
  get peers() {
    return this.#peers.live;
  }

  /** The state that all nodes share. */
  get state() {
    this.#state ??= new State(this.#local);
    return this.#state;
  }

  /**
   * Does this node's part of each job of a name, whichever node asks for it. Another worker of the
   * same name takes its place.
   *
   * @param {string} name
   * @param {Function} func gets the arguments; `this` is a `JobContext`
   * @param {import('..').WorkerOptions} [options]
   * @returns {NodeWorker}
   */
  worker(name, func, options) {
    return this.#jobs.worker(name, func, options);
  }

  /**
   * Asks every node, this one too, to do its part of a job, at once.
   *
   * @param {string} name
   * @param {unknown[]} [args]
   * @param {import('..').RunOptions} [options]
   * @returns {Gathering}
   */
  run(name, args, options) {
    return this.#jobs.run(name, args, options);
  }

  /**
   * Asks one node that has the worker, and another only if the first has certainly not run it or
   * the worker is idempotent.
   *
   * @param {string} name
   * @param {unknown[]} [args]
   * @param {import('..').RunOptions} [options]
   * @returns {Promise<any>} what the worker gives
   */
  call(name, args, options) {
    return this.#jobs.call(name, args, options);
  }

  /** In a worker's function and what it calls and awaits: the same as its `this`. */
  context() {
    return this.#jobs.context();
  }

  /** Counters of this node. */
  stats() {
    return this.#local.stats();
  }

  /**
   * Goes on with other secrets, of which the first is used and all are accepted, or certificates.
   * Connections are made anew where they have to be, without loss; what is not accepted any more ends.
   *
   * @param {import('..').RotateOptions} options
   */
  rotate(options) {
    this.#local.rotate(options);
  }

  /** Lets it keep the process alive, as it does at first. */
  ref() {
    this.#local.ref();
    return this;
  }

  /** Lets the process end although it is open. */
  unref() {
    this.#local.unref();
    return this;
  }

  /** Finishes what is under way, says goodbye and frees everything. Repeatable. */
  close() {
    return this.#local.close();
  }

  /** Frees everything at once. Repeatable, also to cut `close` short. */
  destroy() {
    return this.#local.destroy();
  }

  [inspect.custom](_depth, options) {
    const { id, name, tags, address } = this;
    return `Node ${inspect({ id, name, tags, address, peers: this.peers.size }, options)}`;
  }

  #handle(event) {
    switch (event.type) {
      case 'connect': {
        const peer = this.#peers.join(event);
        if (peer !== undefined) this.emit('peer:join', peer);
        return undefined;
      }
      case 'disconnect': {
        const peer = this.#peers.leave(event.peer);
        if (peer !== undefined) this.emit('peer:leave', peer, event.code);
        return undefined;
      }
      case 'busy': {
        const peer = this.#peers.at(event.peer);
        if (peer !== undefined) this.emit('peer:busy', peer);
        return undefined;
      }
      case 'warning':
        return warn(this, this.#peers.named(event));
      case 'closed':
        return this.#closed(event);
    }
  }

  #closed({ isAsked }) {
    if (!isAsked) {
      const error = codedError('ERR_INTERNAL', 'A defect in collective-io has ended this node: please report it');
      attempt(this.emit, this, 'error', error);
    }
    this.#jobs.abandon();
    for (const peer of this.#peers.leaveAll()) attempt(this.emit, this, 'peer:leave', peer, 'ERR_CLOSED');
    this.emit('close');
  }
}

// Node.js before 20.4 does not have the symbol.
if (Symbol.asyncDispose !== undefined) {
  Object.defineProperty(Node.prototype, Symbol.asyncDispose, {
    value: Node.prototype.close,
    configurable: true,
    writable: true,
  });
}

module.exports = { Node };
