'use strict';

const { AsyncResource } = require('node:async_hooks');

const { attempt } = require('./attempt.js');
const { codedError } = require('./errors.js');
const { freeze } = require('./freeze.js');

/** Changes that the addon hands out at once. */
const CHANGES_AT_ONCE = 256;

/** The watches of one node: which of them have something to tell. */
class Watches {
  #local;
  #native;
  #byId = new Map();
  #isDue = false;

  constructor(local) {
    this.#local = local;
  }

  open(native) {
    this.#native = native;
  }

  /** Watches a key. `news` is called between turns when something has changed. */
  add(key, news) {
    const id = this.#local.observe(key);
    this.#byId.set(id, news);
    return id;
  }

  remove(id) {
    if (this.#byId.delete(id)) this.#local.stopObserving(id);
  }

  /**
   * Up to so many changes since the last ones, and whether others wait. Between turns, since reads
   * show these from here on.
   */
  take(id) {
    return JSON.parse(this.#native.changes(id, CHANGES_AT_ONCE));
  }

  /** This node has written something: it is told when this turn is over. */
  wrote() {
    if (this.#byId.size === 0 || this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.look();
    });
  }

  /** Tells those for whom something has changed. */
  look() {
    if (this.#byId.size === 0 || this.#local.isClosed) return;
    const ids = this.#native.observers();
    if (ids === undefined) return;
    for (const id of JSON.parse(ids)) {
      const news = this.#byId.get(id);
      if (news !== undefined) attempt(news);
    }
  }

  /** The node is closed: there is nothing more to tell. */
  close() {
    const all = [...this.#byId.values()];
    this.#byId.clear();
    for (const news of all) attempt(news);
  }
}

/** One watch: takes what has changed and makes objects of it. */
class Watch {
  #watches;
  #id;
  #watched;
  #isInitial;
  #onAbort;
  #signal;

  isOver = false;
  hasNews = false;

  /** @param {() => void} news something can be taken, or it is over */
  constructor(watched, { signal, initial = false }, news) {
    this.#watched = watched;
    this.#watches = watched.local.watches;
    this.#isInitial = initial;
    this.#id = this.#watches.add(watched.key, () => {
      if (watched.local.isClosed) this.end();
      this.hasNews = true;
      news();
    });
    if (initial) {
      this.hasNews = true;
      setImmediate(news);
    }
    this.#signal = signal;
    this.#onAbort = () => {
      this.end();
      news();
    };
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * What has changed since this was called last, in part if it is much; `hasNews` tells. To be called
   * between turns.
   */
  take() {
    if (this.isOver) return [];
    if (this.#isInitial) {
      this.#isInitial = false;
      const { path, read } = this.#watched;
      return [Object.freeze({ path, value: read(), local: false, skipped: false })];
    }
    const [skipped, more, ...changes] = this.#watches.take(this.#id);
    this.hasNews = more;
    const made = changes.map(([path, own, value]) => Object.freeze({
      path: Object.freeze(path), value: freeze(value), local: own === 1, skipped: false,
    }));
    return skipped ? [this.#skipped(), ...made] : made;
  }

  end() {
    if (this.isOver) return;
    this.isOver = true;
    this.#watches.remove(this.#id);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  /** All that is watched, read when it is looked at: it may be much. */
  #skipped() {
    const { path, read } = this.#watched;
    return Object.freeze({ path, get value() { return read(); }, local: false, skipped: true });
  }
}

/**
 * Calls a listener with each change, between turns, in the async context of this call.
 *
 * @returns {() => void} ends it
 */
function listen(watched, listener, options) {
  if (options.signal?.aborted) return () => {};
  const tell = AsyncResource.bind(listener);
  const watch = new Watch(watched, options, deliver);
  function deliver() {
    for (const change of watch.take()) {
      if (watch.isOver) return;
      attempt(tell, undefined, change);
    }
    // The rest in another turn.
    if (watch.hasNews && !watch.isOver) setImmediate(deliver);
  }
  return () => watch.end();
}

/** An async iterator of changes. What it has not asked for waits in the addon, once for each place. */
function iterate(watched, options) {
  return new Iterator(watched, options);
}

class Iterator {
  #watch;
  #signal;
  #changes = [];
  /** Calls of `next` that wait. */
  #waiting = [];
  #isAborted = false;
  #isDue = false;

  constructor(watched, options) {
    this.#signal = options.signal;
    if (options.signal?.aborted) {
      this.#isAborted = true;
      return;
    }
    this.#watch = new Watch(watched, options, () => this.#takeAndServe());
  }

  next() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#serve();
    });
  }

  async return(value) {
    this.#watch?.end();
    this.#changes = [];
    this.#serve();
    return { value, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** Called between turns. */
  #takeAndServe() {
    const wants = this.#waiting.length > 0 && this.#changes.length === 0;
    if (wants && this.#watch.hasNews) this.#changes = this.#watch.take();
    this.#serve();
  }

  #serve() {
    while (this.#waiting.length > 0) {
      if (this.#changes.length > 0) {
        this.#waiting.shift().resolve({ value: this.#changes.shift(), done: false });
      } else if (this.#watch?.isOver ?? true) {
        this.#end();
      } else {
        if (this.#watch.hasNews) this.#takeSoon();
        return;
      }
    }
  }

  /** What waits is taken when this turn is over: until then reads keep what they have shown. */
  #takeSoon() {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#takeAndServe();
    });
  }

  #end() {
    const { resolve, reject } = this.#waiting.shift();
    // Once, as with every iterator that fails.
    const isAborted = this.#isAborted || this.#signal?.aborted;
    this.#isAborted = false;
    if (!isAborted || this.#signal === undefined) {
      resolve({ value: undefined, done: true });
      return;
    }
    reject(codedError('ABORT_ERR', undefined, { cause: this.#signal.reason }));
    this.#signal = undefined;
  }
}

module.exports = { Watches, iterate, listen };
