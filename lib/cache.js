'use strict';

const { checkKey, closedError } = require('./keys.js');
const { TOLD } = require('./slots.js');

/** Decoded values kept. */
const ENTRIES_MAX = 65_536;
/** Those of one age. The cache holds two, and what is left of a third. */
const ENTRIES_PER_AGE = ENTRIES_MAX / 2;
/** The slot of no key. */
const NO_SLOT = 0;

/**
 * Decoded values, and how to know without asking Rust that they are still right.
 *
 * Every entry watches its key: Rust owns one word of `Slots` for it and changes that word when
 * what `get` would give has changed. So a value stays what it is within one turn of the event loop.
 *
 * Entries that are read belong to the present age; when it is full a new one begins, and what has
 * not been read since the last one began is forgotten, one entry for each that comes.
 */
class ReadCache {
  #young = new Map();
  #old = new Map();
  #age = 0;
  /** Goes through the entries that were neither young nor old when the present age began. */
  #leaving = [].values();
  #size = 0;
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

  /** Keys that are watched. */
  get size() {
    return this.#size;
  }

  /** @param {{get, load, unwatch}} native */
  open(native) {
    this.#native = native;
  }

  /** From now on every read is refused. */
  close() {
    this.#young.clear();
    this.#old.clear();
    this.#leaving = [].values();
    this.#size = 0;
    this.#native = undefined;
  }

  /**
   * The value shown at a key: the shared decoded copy, `undefined` where there is none.
   *
   * @param {string} key
   * @param {string[]} [path] the segments, if a dotted key cannot name them; the key then is theirs alone
   */
  get(key, path) {
    const entry = this.#young.get(key);
    if (entry !== undefined && this.#words[entry.slot] === entry.version) {
      this.hits += 1;
      return entry.value;
    }
    return this.#find(key, path, entry);
  }

  /** Like `get`, but leaves no trace: for walks over more than a cache should hold. */
  peek(key) {
    const entry = this.#young.get(key) ?? this.#old.get(key);
    if (entry !== undefined && this.#words[entry.slot] === entry.version) return entry.value;
    return this.#decoded(this.#opened().get(key));
  }

  #find(key, path, young) {
    const native = this.#opened();
    // First, so that the entry is of no age that ends here.
    this.#turn();
    const entry = young ?? this.#old.get(key);
    if (entry === undefined) return this.#load(key, path);
    if (entry !== young) {
      const leaving = this.#leave();
      if (leaving !== NO_SLOT) native.unwatch(leaving);
      this.#keep(key, entry);
      if (this.#words[entry.slot] === entry.version) {
        this.hits += 1;
        return entry.value;
      }
    }
    this.misses += 1;
    return this.#take(entry, native.get(path ?? key));
  }

  #load(key, path) {
    this.misses += 1;
    if (path === undefined) this.#check(key);
    const given = this.#native.load(path ?? key, this.#leave());
    const slot = this.#words[TOLD];
    this.#slots.fit(slot);
    // No word is ever -1, so an entry whose text cannot be decoded is never taken for a value.
    const entry = { slot, version: -1, value: undefined, age: this.#age };
    this.#size += 1;
    this.#keep(key, entry);
    return this.#take(entry, given);
  }

  #take(entry, given) {
    entry.value = this.#decoded(given);
    entry.version = this.#words[entry.slot];
    return entry.value;
  }

  /** Numbers come as they are, and so does what is not there; everything else as JSON text. */
  #decoded(given) {
    return typeof given === 'string' ? this.#decode(given) : given;
  }

  #opened() {
    if (this.#native === undefined) throw closedError();
    return this.#native;
  }

  /** Begins a new age if the present one is full. */
  #turn() {
    if (this.#young.size < ENTRIES_PER_AGE) return;
    this.#leaving = this.#old.values();
    this.#old = this.#young;
    this.#young = new Map();
    this.#age += 1;
  }

  /** Makes an entry one of the present age. */
  #keep(key, entry) {
    entry.age = this.#age;
    this.#young.set(key, entry);
  }

  /**
   * Forgets an entry that has not been read for an age, if there is one: its slot, which is to be
   * unwatched. Called once for each that is kept, so none is left when the next age begins.
   */
  #leave() {
    for (;;) {
      const { done, value: entry } = this.#leaving.next();
      if (done) return NO_SLOT;
      if (entry.age === this.#age - 2) {
        this.#size -= 1;
        return entry.slot;
      }
    }
  }
}

module.exports = { ReadCache, ENTRIES_MAX };
