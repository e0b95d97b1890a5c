'use strict';

const { checkKey, closedError } = require('./keys.js');

/** Decoded values kept. The oldest go first, a batch at a time. */
const ENTRIES_MAX = 65_536;
const EVICTED_AT_ONCE = ENTRIES_MAX / 16;

/**
 * Decoded values, and how to know without asking Rust that they are still right.
 *
 * Every entry watches its key: Rust owns one word of `Slots` for it and changes that word when
 * what `get` would give has changed. So a value stays what it is within one turn of the event loop.
 */
class ReadCache {
  #entries = new Map();
  #slots;
  #words;
  #native;
  #decode;
  #check;

  /** Reads that were served from here, and that were not. */
  hits = 0;
  misses = 0;

  /**
   * @param {Slots} slots
   * @param {object} [kind]
   * @param {(json: string) => unknown} [kind.decode]
   * @param {(key: string) => void} [kind.check] throws for a key that is not to be read
   */
  constructor(slots, { decode = JSON.parse, check = checkKey } = {}) {
    this.#slots = slots;
    this.#decode = decode;
    this.#check = check;
    slots.use((words) => (this.#words = words));
  }

  get size() {
    return this.#entries.size;
  }

  /** @param {{get, watch, unwatch}} native */
  open(native) {
    this.#native = native;
  }

  /** From now on every read is refused. */
  close() {
    this.#entries.clear();
    this.#native = undefined;
  }

  /**
   * The value shown at a key: the shared decoded copy, `undefined` where there is none.
   *
   * @param {string} key
   * @param {string[]} [path] the segments, if a dotted key cannot name them; the key then is theirs alone
   */
  get(key, path) {
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#words[entry.slot] === entry.version) {
      this.hits += 1;
      return entry.value;
    }
    return this.#load(key, path, entry);
  }

  /** Like `get`, but leaves no trace: for walks over more than a cache should hold. */
  peek(key) {
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#words[entry.slot] === entry.version) return entry.value;
    if (this.#native === undefined) throw closedError();
    return this.#read(key);
  }

  #load(key, path, known) {
    const native = this.#native;
    if (native === undefined) throw closedError();
    this.misses += 1;
    const named = path ?? key;
    let entry = known;
    if (entry === undefined) {
      if (path === undefined) this.#check(key);
      if (this.#entries.size >= ENTRIES_MAX) this.#evict();
      const slot = native.watch(named);
      this.#slots.fit(slot);
      // No word is ever -1, so an entry whose read fails below is never taken for a value.
      entry = { slot, version: -1, value: undefined };
      this.#entries.set(key, entry);
    }
    entry.value = this.#read(named);
    entry.version = this.#words[entry.slot];
    return entry.value;
  }

  #read(named) {
    const json = this.#native.get(named);
    return json === undefined ? undefined : this.#decode(json);
  }

  #evict() {
    let left = EVICTED_AT_ONCE;
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      this.#native.unwatch(entry.slot);
      if (--left === 0) return;
    }
  }
}

module.exports = { ReadCache, ENTRIES_MAX };
