'use strict';

const { checkKey, closedError } = require('./keys.js');

const SLOTS_INITIAL = 1024;
/** Decoded values kept. The oldest go first, a batch at a time. */
const ENTRIES_MAX = 65_536;
const EVICTED_AT_ONCE = ENTRIES_MAX / 16;

/**
 * Decoded values, and how to know without asking Rust that they are still right.
 *
 * Every entry watches its key: Rust owns one word of `slots` for it and changes that word when
 * what `get` would give has changed. It does so on this thread only, inside a call of ours, so a
 * plain load is enough, and a value stays what it is within one turn of the event loop.
 */
class ReadCache {
  #entries = new Map();
  #slots;
  #native;
  #resize;

  constructor() {
    this.#slots = makeSlots(SLOTS_INITIAL);
  }

  /** The words that Rust changes; handed to it before there is anything to read. */
  get slots() {
    return this.#slots;
  }

  get size() {
    return this.#entries.size;
  }

  /**
   * @param {{get, watch, unwatch}} native
   * @param {(slots: Uint32Array) => void} resize tells Rust about a larger array
   */
  open(native, resize) {
    this.#native = native;
    this.#resize = resize;
  }

  /** From now on every read is refused. */
  close() {
    this.#entries.clear();
    this.#native = undefined;
  }

  /** The value shown at a key: the shared decoded copy, `undefined` where there is none. */
  get(key) {
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#slots[entry.slot] === entry.version) return entry.value;
    return this.#load(key, entry);
  }

  /** Like `get`, but leaves no trace: for walks over more than a cache should hold. */
  peek(key) {
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#slots[entry.slot] === entry.version) return entry.value;
    if (this.#native === undefined) throw closedError();
    return decode(this.#native.get(key));
  }

  #load(key, known) {
    const native = this.#native;
    if (native === undefined) throw closedError();
    let entry = known;
    if (entry === undefined) {
      checkKey(key);
      if (this.#entries.size >= ENTRIES_MAX) this.#evict();
      const slot = native.watch(key);
      if (slot >= this.#slots.length) this.#grow(slot);
      // No word is ever -1, so an entry whose read fails below is never taken for a value.
      entry = { slot, version: -1, value: undefined };
      this.#entries.set(key, entry);
    }
    entry.value = decode(native.get(key));
    entry.version = this.#slots[entry.slot];
    return entry.value;
  }

  #evict() {
    let left = EVICTED_AT_ONCE;
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      this.#native.unwatch(entry.slot);
      if (--left === 0) return;
    }
  }

  #grow(slot) {
    let length = this.#slots.length;
    while (length <= slot) length *= 2;
    const slots = makeSlots(length);
    slots.set(this.#slots);
    this.#resize(slots);
    this.#slots = slots;
  }
}

/** Shared memory because it can be neither detached nor moved while Rust points at it. */
function makeSlots(length) {
  return new Uint32Array(new SharedArrayBuffer(length * Uint32Array.BYTES_PER_ELEMENT));
}

function decode(json) {
  return json === undefined ? undefined : JSON.parse(json);
}

module.exports = { ReadCache, ENTRIES_MAX };
