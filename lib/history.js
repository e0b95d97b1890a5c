'use strict';

const { inspect } = require('node:util');

/** Writes of this node whose time is remembered. A power of two. */
const RECENT_MAX = 32_768;

/**
 * When keys got their values, as `collective.history` shows it, and how a program holds back its
 * own writes: while a key's time is in the future, this node's SETs and DELETEs of exactly that
 * key are dropped. The engine knows nothing of it.
 *
 * A key whose value came from elsewhere, or long ago, gets the time when it is first asked for.
 */
class History {
  /** Times that the program assigned. */
  #held = new Map();
  /**
   * A ring of the latest writes. Every SET is noted here and hardly any is ever looked for, so
   * noting is two stores and looking is a walk. A time of NaN says that the key was deleted.
   */
  #keys = [];
  #times = new Float64Array(RECENT_MAX);
  #noted = 0;
  #exists;

  /**
   * The object that `collective.history` gives.
   * @type {Record<string, number>}
   */
  view;

  /** @param {(key: string) => boolean} exists */
  constructor(exists) {
    this.#exists = exists;
    // Inspecting a Proxy looks at its target and nowhere else.
    const times = () => Object.fromEntries(this.keys().map((key) => [key, this.time(key)]));
    const target = Object.defineProperty({}, inspect.custom, { value: times, configurable: true });
    this.view = new Proxy(target, new HistoryHandler(this));
  }

  /** Whether a SET or DELETE of this key is to be dropped. */
  holds(key) {
    return this.#held.size !== 0 && this.#held.get(key) > Date.now();
  }

  /** A SET of this key was made. */
  wrote(key) {
    this.#note(key, Date.now());
  }

  /** A DELETE of this key was made. */
  forget(key) {
    this.#note(key, NaN);
  }

  hold(key, time) {
    this.#held.set(key, time);
  }

  time(key) {
    const held = this.#held.get(key);
    if (held !== undefined) return held;
    if (!this.#exists(key)) return undefined;
    for (let age = 1; age <= Math.min(this.#noted, RECENT_MAX); age++) {
      const at = (this.#noted - age) % RECENT_MAX;
      if (this.#keys[at] !== key) continue;
      if (!Number.isNaN(this.#times[at])) return this.#times[at];
      break;
    }
    const now = Date.now();
    this.#note(key, now);
    return now;
  }

  keys() {
    const known = new Set([...this.#held.keys(), ...this.#keys]);
    return [...known].filter((key) => this.#held.has(key) || this.#exists(key));
  }

  #note(key, time) {
    if (this.#held.size !== 0) this.#held.delete(key);
    const at = this.#noted++ % RECENT_MAX;
    this.#keys[at] = key;
    this.#times[at] = time;
  }
}

/** Makes a `History` look like the plain object of times that programs expect. */
class HistoryHandler {
  #history;

  constructor(history) {
    this.#history = history;
  }

  get(_target, name, receiver) {
    const time = typeof name === 'string' ? this.#history.time(name) : undefined;
    return time ?? Reflect.get(Object.prototype, name, receiver);
  }

  set(_target, name, time) {
    // NaN is what `history.unknown += 1500` gives; the original ignores such a time too.
    if (typeof name !== 'string' || typeof time !== 'number') return false;
    if (!Number.isNaN(time)) this.#history.hold(name, time);
    return true;
  }

  defineProperty(target, name, descriptor) {
    return 'value' in descriptor && this.set(target, name, descriptor.value);
  }

  deleteProperty(_target, name) {
    if (typeof name === 'string') this.#history.forget(name);
    return true;
  }

  has(_target, name) {
    if (typeof name === 'string' && this.#history.time(name) !== undefined) return true;
    return Reflect.has(Object.prototype, name);
  }

  ownKeys() {
    return this.#history.keys();
  }

  getOwnPropertyDescriptor(_target, name) {
    const value = typeof name === 'string' ? this.#history.time(name) : undefined;
    if (value === undefined) return undefined;
    return { value, writable: true, enumerable: true, configurable: true };
  }

  preventExtensions() {
    return false;
  }
}

module.exports = { History };
