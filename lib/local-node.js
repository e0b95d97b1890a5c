'use strict';

const { randomBytes } = require('node:crypto');

const { ReadCache } = require('./cache.js');
const { SHAPE_ABSENT, SHAPE_ARRAY, SHAPE_OBJECT, SHAPE_SCALAR } = require('./data-view.js');
const { codedError } = require('./errors.js');
const { checkKey, closedError } = require('./keys.js');
const lifetime = require('./lifetime.js');
const native = require('./native.js');

/** The longest interval there is: a timer that keeps the process alive and otherwise rests. */
const REST_MS = 2 ** 31 - 1;

/**
 * One node of ours: the addon's handle, the values read through it, its events and its end.
 * What the originals' APIs and today's have in common is here.
 */
class LocalNode {
  #handle;
  #native;
  #onEvent;
  #cache = new ReadCache();
  #closing;
  /** Fulfils `#closing`. */
  #closed;
  /** Every threadsafe function of the addon is weak, so a timer says whether the process lives. */
  #timer;

  /**
   * @param {object} options for the addon, see "The binding's contract" in docs/ARCHITECTURE.md
   * @param {(event: object) => void} onEvent called between turns; may throw
   */
  constructor(options, onEvent) {
    this.#onEvent = onEvent;
    // Chance comes in as an argument: the engine has none of its own.
    const seeded = { ...options, seed: randomBytes(32).toString('hex') };
    const doorbell = () => this.#drain();
    this.#handle = native.open(JSON.stringify(seeded), this.#cache.slots, doorbell);
    this.#native = this.#handle.functions();
    this.#cache.open(this.#native, (slots) => this.#handle.resizeSlots(slots));
    this.#timer = setInterval(() => {}, REST_MS);
    lifetime.add(this);
  }

  get id() {
    return this.#handle.id();
  }

  /** Reads go to it directly: it is the hot path. */
  get cache() {
    return this.#cache;
  }

  get isClosed() {
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

  stats() {
    this.#checkOpen();
    return { ...JSON.parse(this.#handle.stats()), cachedKeys: this.#cache.size };
  }

  ref() {
    if (!this.isClosed) this.#timer?.ref();
  }

  unref() {
    if (!this.isClosed) this.#timer?.unref();
  }

  /** Nothing listens any more, so nothing keeps the process. */
  rest() {
    if (this.isClosed) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Says goodbye to the peers and frees everything. Repeatable. */
  close() {
    this.#closing ??= this.#leave();
    return this.#closing;
  }

  /** Gives what is queued a last chance, at the end of the process. */
  flushSync(ms) {
    this.#handle.flushSync(ms);
  }

  #leave() {
    this.#cache.close();
    clearInterval(this.#timer);
    // The goodbye is short; the process stays for it even if it was told not to stay for the node.
    this.#timer = setInterval(() => {}, REST_MS);
    this.#handle.close();
    return new Promise((resolve) => {
      this.#closed = resolve;
    });
  }

  #drain() {
    const batch = this.#native.drain();
    if (batch === undefined) return;
    for (const event of JSON.parse(batch)) {
      if (event.type === 'closed') this.#end();
      // Who closes a node has done with it: nothing but the end is told.
      else if (this.isClosed) continue;
      // A listener that throws is an uncaught exception, as with every emitter, but the other
      // events of the batch are delivered all the same.
      try {
        this.#onEvent(event);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    }
  }

  #end() {
    clearInterval(this.#timer);
    lifetime.remove(this);
    this.#closed?.();
  }

  #checkOpen() {
    if (this.isClosed) throw closedError();
  }

  #checkWrite(key) {
    if (this.isClosed) throw closedError();
    checkKey(key);
  }
}

/** The `Error` that an event of the addon stands for. */
function eventError({ type, code, message, ...properties }) {
  return codedError(code, message, properties);
}

function rethrow(error) {
  throw error;
}

module.exports = { LocalNode, eventError };
