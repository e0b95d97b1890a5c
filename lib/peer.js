'use strict';

const EventEmitter = require('node:events');
const { inspect } = require('node:util');

const { codedError } = require('./errors.js');
const { checkEvent } = require('./event-names.js');
const { kInside } = require('./inside.js');
const { Call, invoke } = require('./rpc.js');

/**
 * Another node, seen from this one. Who goes and comes back is the same peer.
 *
 * Its one event is `end`, when it goes: `emit` is for the other side.
 */
class Peer extends EventEmitter {
  /** @hideconstructor */
  constructor(servent, id) {
    super();
    this.id = id;
    /** Where it listens, as far as it is known. */
    this.host = undefined;
    this.port = undefined;
    /** Whether there is no connection to it. */
    this.destroyed = false;
    this.servent = servent;
    const inside = {
      isUp: false,
      /** What native calls name it by, and all that they ever did. */
      replica: undefined,
      replicas: new Set(),
      /** Where it listens, by its own words, and where it was dialled; each may be null. */
      addresses: [null, null],
      /** What it may call and others may not. */
      functions: new Map(),
      /** How listeners are told where something comes from. */
      origin: Object.freeze({ node: id, peer: this }),
    };
    Object.defineProperty(this, kInside, { value: inside });
  }

  /** For how many ms its event loop has not turned, 0 while it does: it is alive, but busy. */
  get busyFor() {
    return this.destroyed ? 0 : this.#tasks.node.busyFor(this[kInside].replica);
  }

  /**
   * Fires an event on the other side's servent, with the peer that stands for this node there as
   * first argument. Whether it was sent.
   */
  emit(event, ...args) {
    // The emitter that this is tells of its own listeners by `emit`.
    const isOwn = event === 'newListener' || event === 'removeListener';
    if (isOwn && this.listenerCount(event) > 0) return super.emit(event, ...args);
    checkEvent(event);
    return this.#tasks.emit(event, args, this[kInside].replica) > 0;
  }

  /**
   * Sends a message: `{type: 'event', name, args}`, or `{type: 'rpc', method, params}` if nobody
   * waits for the result. Whether it was sent.
   */
  send(message) {
    const { type, name, args = [], data } = Object(message);
    if (type === 'event' && Array.isArray(args)) return this.emit(name, ...args);
    if (type === 'rpc') {
      const { method, params } = Object(data ?? message);
      return new Call(this.#tasks, () => {}).start(this[kInside].replica, method, params ?? [], {}) > 0;
    }
    throw codedError(
      'ERR_INVALID_ARGUMENT',
      "A message is {type: 'event', name, args: []} or {type: 'rpc', method, params: []}",
    );
  }

  /**
   * Calls a function that the peer exposes.
   *
   * @param {string} method
   * @param {unknown[]} [params]
   * @param {(error: {message: string, code: number | string} | null, result: any, id: string) => void} [callback]
   * @param {{timeout?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<any> | undefined} a promise if there is no callback
   */
  invoke(method, ...rest) {
    return invoke(this, method, rest);
  }

  /** Exposes a function, or an object of functions, to this peer alone. */
  expose(name, exposed) {
    this.#tasks.functions.expose(this[kInside].functions, name, exposed);
  }

  /** Ends the connection; neither side dials the other again. Whether there was one. */
  destroy() {
    return this.#tasks.peers.dismiss(this);
  }

  toString() {
    return `[Peer: ${this.id}]`;
  }

  toJSON() {
    const { id, host, port, destroyed } = this;
    return { id, host, port, destroyed };
  }

  [inspect.custom]() {
    return this.toString();
  }

  get #tasks() {
    return this.servent[kInside];
  }
}

module.exports = { Peer };
