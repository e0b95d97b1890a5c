'use strict';

const { DataViews, SHAPE_ABSENT } = require('./data-view.js');
const { codedError } = require('./errors.js');
const { freeze } = require('./freeze.js');
const { kLocal } = require('./inside.js');
const { encode } = require('./json.js');
const { entriesOptions, replicatedOptions, watchOptions } = require('./options.js');
const { nameOf, segmentsOf, toKey, toPlace } = require('./paths.js');
const { iterate, listen } = require('./watch.js');

/** Members read in one call of the addon. */
const PAGE = 1024;

/**
 * The state that all nodes of a cluster share, as this node has it: a tree of paths.
 *
 * A path is a dotted string, or an array of segments, which may be any strings. No path, or an
 * empty array, is the whole state.
 */
class State {
  #local;
  #cache;
  #views;

  /** @hideconstructor */
  constructor(local) {
    this.#local = local;
    this.#cache = local.frozen;
    Object.defineProperty(this, kLocal, { value: local });
  }

  /** What is at a path, deeply frozen; `undefined` where there is nothing. */
  get(path) {
    if (typeof path === 'string') return this.#cache.get(path);
    const key = toKey(path);
    return this.#cache.get(nameOf(key), key);
  }

  /** Whether there is something at a path. */
  has(path) {
    return this.#local.shape(toKey(path)) !== SHAPE_ABSENT;
  }

  /** Replaces what is at a path, here at once and soon on every node. */
  set(path, value) {
    if (value === undefined) throw codedError('ERR_INVALID_VALUE', '`undefined` is not JSON: use `delete`');
    this.#local.set(toPlace(path), encode(value));
  }

  /** Adds to the number at a path, 0 if there is nothing. Concurrent additions all count. */
  increment(path, by = 1) {
    const key = toPlace(path);
    if (typeof by !== 'number' || !Number.isFinite(by)) {
      throw codedError('ERR_NOT_A_NUMBER', 'What is added must be a finite number');
    }
    return this.#local.add(key, by);
  }

  /** Takes away what is at a path and below. Whether there was something. */
  delete(path) {
    return this.#local.delete(toPlace(path));
  }

  /** How many members the state has. */
  get size() {
    return this.#local.count(null);
  }

  /** The names of the members of an object or array; none if there is no such thing. */
  keys(path) {
    return this.#local.names(toKey(path));
  }

  /**
   * The members of an object or array, as `[name, value]`, in the order of their names' bytes, of
   * elements in theirs. The values are deeply frozen.
   *
   * @param {string | string[]} [path]
   * @param {{limit?: number, after?: string}} [options] at most so many, after the one of this name
   */
  entries(path, options) {
    const key = toKey(path);
    const { limit, after } = entriesOptions(options);
    const entries = [];
    let last = after;
    while (entries.length < limit) {
      const [more, ...members] = this.#local.page(key, last, Math.min(PAGE, limit - entries.length));
      for (let at = 0; at < members.length; at += 2) entries.push([members[at], freeze(members[at + 1])]);
      if (!more) break;
      last = entries.at(-1)[0];
    }
    return entries;
  }

  /** The whole state as an object, live: assigning to its members and deleting them replicates. */
  get data() {
    this.#views ??= new DataViews({
      // A member's name may be empty.
      get: (key) => this.#cache.get(key, key),
      peek: (key) => this.#cache.peek(key),
      shape: (key) => (key === null || key.isWellFormed() ? this.#local.shape(key) : SHAPE_ABSENT),
      keptShape: (key) => (key.isWellFormed() ? this.#local.keptShape(key) : SHAPE_ABSENT),
      names: (key) => this.#local.names(key),
      set: (key, value) => (value === undefined ? this.#local.delete(key) : this.#local.set(key, encode(value))),
      delete: (key) => this.#local.delete(key),
    });
    return this.#views.root;
  }

  /**
   * Calls a function. What it writes takes effect on every other node in one step, and nothing from
   * other nodes takes effect here before it returns.
   *
   * @template R
   * @param {() => R} fn not async
   * @returns {R}
   */
  batch(fn) {
    return this.#local.batch(fn);
  }

  /**
   * Waits until peers have all that this node has written so far. Gives how many of them have.
   *
   * @param {{peers?: number | 'all', timeout?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<number>}
   */
  async replicated(options) {
    return this.#local.replicated(replicatedOptions(options));
  }

  /** How each peer stands: whether it covers the same writes, and if so whether its state is the same. */
  converged() {
    const standings = new Map();
    for (const { peer, node } of this.#local.roster) {
      const standing = this.#local.standing(peer);
      if (standing === undefined) continue;
      const [, , context, hash] = standing;
      standings.set(node, Object.freeze({ context, hash }));
    }
    return standings;
  }

  /**
   * Tells what changes at a path and below it: to a listener, or as an async iterator.
   *
   * @param {string | string[]} path
   * @param {Function} [listener] gets each change; `watch` then gives a function that ends it
   * @param {{signal?: AbortSignal, initial?: boolean}} [options]
   */
  watch(path, listener, options) {
    const isListened = typeof listener === 'function';
    const key = toKey(path);
    const settings = watchOptions(isListened ? options : listener);
    const watched = { local: this.#local, key, path: Object.freeze(segmentsOf(key)), read: () => this.get(path) };
    return isListened ? listen(watched, listener, settings) : iterate(watched, settings);
  }

  /** What a path shows, and why. For people who wonder. */
  explain(path) {
    return this.#local.explain(toKey(path));
  }
}

module.exports = { State };
