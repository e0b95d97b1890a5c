'use strict';

const { randomBytes } = require('node:crypto');

const { ReadCache } = require('./cache.js');
const { codedError } = require('./errors.js');
const { checkKey, closedError } = require('./keys.js');
const lifetime = require('./lifetime.js');
const native = require('./native.js');

/** How often the network thread hears that the event loop turns. */
const BEAT_MS = 1000;

/**
 * One node of ours: the addon's handle, the values read through it, its events and its end.
 * What the originals' APIs and today's have in common is here.
 *
 * @typedef {object} Handlers called between turns; what they throw is an uncaught exception
 * @property {(event: object) => void} event
 * @property {(item: any[]) => void} [item] of jobs, calls and events of peers
 * @property {() => Promise<void>} [finish] what is to be done before a node closes
 */
class LocalNode {
  #handle;
  #native;
  #handlers;
  #cache = new ReadCache();
  #isClosed = false;
  #isDestroyed = false;
  /** The end of the node, once it was asked for, and what fulfils it. */
  #closing;
  #closed;
  /**
   * Beats, and keeps the process alive: every threadsafe function of the addon is weak, so that
   * JavaScript alone decides.
   */
  #timer;
  /** Why the process stays: the node listens or is to be connected, unless the program lets it go. */
  #isOpen = false;
  #isRef = true;
  /** Something is under way. */
  #isHeld = false;

  /**
   * @param {object} options for the addon, see "The binding's contract" in docs/ARCHITECTURE.md
   * @param {Handlers} handlers
   */
  constructor(options, handlers) {
    this.#handlers = handlers;
    // Chance comes in as an argument: the engine has none of its own.
    const seeded = { ...options, seed: randomBytes(32).toString('hex') };
    const doorbell = () => this.#drain();
    this.#handle = native.open(JSON.stringify(seeded), this.#cache.slots, doorbell);
    this.#native = this.#handle.functions();
    this.#cache.open(this.#native, (slots) => this.#handle.resizeSlots(slots));
    this.#timer = setInterval(this.#native.beat, BEAT_MS).unref();
    lifetime.add(this);
  }

  /** 16 hexadecimal digits: another one if this node has to join again. */
  get id() {
    return this.#handle.id();
  }

  /** Reads go to it directly: it is the hot path. */
  get cache() {
    return this.#cache;
  }

  get isClosed() {
    return this.#isClosed;
  }

  /** Whether its end was asked for. */
  get isClosing() {
    return this.#closing !== undefined;
  }

  set(key, json) {
    this.#checkWrite(key);
    this.#native.set(key, json);
  }

  increment(key, by) {
    this.#checkWrite(key);
    this.#native.increment(key, by);
  }

  delete(key) {
    this.#checkWrite(key);
    this.#native.delete(key);
  }

  /** What stands at a key, without reading it: see `SHAPE_*` in data-view.js. */
  shape(key) {
    this.#checkOpen();
    return this.#native.shape(key);
  }

  /** The names below a key, none if it is no container. */
  names(key) {
    this.#checkOpen();
    const json = this.#native.keys(key);
    return json === undefined ? [] : JSON.parse(json).keys;
  }

  /** What a key shows and why; `null` is the whole document. */
  explain(key) {
    this.#checkOpen();
    if (key !== null) checkKey(key);
    return JSON.parse(this.#handle.explain(key));
  }

  listen(host, port) {
    this.#checkOpen();
    this.#handle.listen(host, port);
  }

  /** Keeps a connection to `host:port`, for ever. */
  connect(address) {
    this.#checkOpen();
    this.#handle.connect(address);
  }

  /** Ends the connection to a peer; neither side dials the other again. */
  dismiss(peer) {
    if (!this.#isClosed) this.#handle.dismiss(peer);
  }

  /** For how many ms the event loop of a peer has not turned; 0 while it does. */
  busyFor(peer) {
    return this.#isClosed ? 0 : this.#handle.busyFor(peer);
  }

  /** Has peers know that there is something of this name. */
  offer(kind, name) {
    this.#checkOpen();
    this.#handle.offer(kind, name);
  }

  withdraw(kind, name) {
    if (!this.#isClosed) this.#handle.withdraw(kind, name);
  }

  /** Starts a job or call: JSON text of its number and the nodes asked. */
  ask(kind, name, args, to, timeout) {
    this.#checkOpen();
    return this.#native.ask(kind, name, args, to, timeout);
  }

  answer(run, isOk, json) {
    if (!this.#isClosed) this.#native.answer(run, isOk, json);
  }

  setTimeoutOf(job, ms) {
    if (!this.#isClosed) this.#native.setTimeoutOf(job, ms);
  }

  cancel(job, reason) {
    if (!this.#isClosed) this.#native.cancel(job, reason);
  }

  /** Sends an event: the number of peers it goes to. */
  emit(name, args, to) {
    this.#checkOpen();
    return this.#native.emit(name, args, to);
  }

  stats() {
    this.#checkOpen();
    return { ...JSON.parse(this.#handle.stats()), cachedKeys: this.#cache.size };
  }

  /** Whether this node listens, or is to be connected, and so keeps the process. */
  stay(isOpen) {
    this.#isOpen = isOpen;
    this.#weigh();
  }

  /** Whether something is under way for which the process stays, whatever the program said. */
  hold(isHeld) {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#weigh();
  }

  ref() {
    this.#isRef = true;
    this.#weigh();
  }

  unref() {
    this.#isRef = false;
    this.#weigh();
  }

  /** Finishes what is under way, says goodbye to the peers and frees everything. Repeatable. */
  close() {
    if (this.#closing === undefined) {
      this.#ending();
      const finished = this.#handlers.finish?.();
      if (finished === undefined) this.#leave();
      else finished.then(() => this.#leave());
    }
    return this.#closing;
  }

  /** Frees everything, at once. Repeatable, and cuts `close` short. */
  destroy() {
    this.#ending();
    this.#shut();
    if (!this.#isDestroyed) {
      this.#isDestroyed = true;
      this.#handle.destroy();
    }
    return this.#closing;
  }

  /** Gives what is queued a last chance, at the end of the process. */
  flushSync(ms) {
    this.#handle.flushSync(ms);
  }

  #ending() {
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve;
    });
    // The end is near; the process stays for it even if it was told not to stay for the node.
    this.#weigh();
  }

  #leave() {
    if (this.#isClosed) return;
    this.#shut();
    this.#handle.close();
  }

  #shut() {
    this.#isClosed = true;
    this.#cache.close();
  }

  #weigh() {
    const stays = this.#closing !== undefined || this.#isHeld || (this.#isOpen && this.#isRef);
    if (stays) this.#timer.ref();
    else this.#timer.unref();
  }

  #drain() {
    const batch = this.#native.drain();
    if (batch === undefined) return;
    for (const told of JSON.parse(batch)) {
      // What listeners throw is an uncaught exception, as with every emitter, but the rest of the
      // batch is delivered all the same.
      try {
        if (Array.isArray(told)) this.#handleItem(told);
        else this.#handleEvent(told);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    }
  }

  #handleItem(item) {
    if (!this.#isClosed) this.#handlers.item?.(item);
  }

  #handleEvent(event) {
    if (event.type === 'closed') this.#end();
    // Who closes a node has done with it: nothing but the end is told.
    else if (this.#isClosed) return;
    this.#handlers.event(event);
  }

  #end() {
    // A node may also end by a defect in itself.
    this.#ending();
    this.#shut();
    clearInterval(this.#timer);
    lifetime.remove(this);
    this.#closed();
  }

  #checkOpen() {
    if (this.#isClosed) throw closedError();
  }

  #checkWrite(key) {
    if (this.#isClosed) throw closedError();
    checkKey(key);
  }
}

/** The `Error` that an event of the addon stands for. */
function eventError({ type, code, message, ...properties }) {
  return codedError(code, message, properties);
}

/**
 * Calls what runs code of the program. What that throws is an uncaught exception, but whatever
 * comes after this call is done all the same.
 */
function attempt(method, self, ...args) {
  try {
    method.apply(self, args);
  } catch (error) {
    process.nextTick(rethrow, error);
  }
}

function rethrow(error) {
  throw error;
}

module.exports = { LocalNode, attempt, eventError };
