'use strict';

const { inspect } = require('node:util');

const { WORKER } = require('./inside.js');
const { JobContext, running } = require('./job-context.js');
const { BUSY, NO_WORKER } = require('./outcomes.js');

/** This node's part of all jobs of one name, as `node.worker` gives it. */
class NodeWorker {
  #node;
  #tasks;
  #func;
  #concurrency;
  #queue;
  /** How many functions run. */
  #active = 0;
  /** Runs that wait for one of them to end, with their arguments, the oldest first. */
  #waiting = new Map();

  /** @hideconstructor */
  constructor(node, tasks, name, func, { concurrency = Infinity, queue = Infinity, idempotent = false }) {
    this.#node = node;
    this.#tasks = tasks;
    this.#func = func;
    this.#concurrency = concurrency;
    this.#queue = queue;
    this.name = name;
    /** Whether a job may be repeated for which it may have run already. */
    this.idempotent = idempotent;
    tasks.workers.set(name, this);
    tasks.offer(WORKER, name, true);
  }

  /** `node.run` of this name. */
  run(args, options) {
    return this.#node.run(this.name, args, options);
  }

  /** `node.call` of this name. */
  call(args, options) {
    return this.#node.call(this.name, args, options);
  }

  /**
   * Offers it no longer. What runs goes on, what waits is not begun. Whether it was offered: not if
   * it was removed before, or another has taken its place.
   */
  remove() {
    const { name } = this;
    for (const run of [...this.#waiting.keys()]) {
      this.#waiting.delete(run);
      run.refuse(NO_WORKER);
    }
    if (this.#tasks.workers.get(name) !== this) return false;
    this.#tasks.workers.delete(name);
    this.#tasks.offer(WORKER, name, false);
    return true;
  }

  /** Does this node's part of a job, at once or when others have ended. */
  work(run, args) {
    if (this.#active < this.#concurrency) return this.#begin(run, args);
    if (this.#waiting.size >= this.#queue) return run.refuse(BUSY);
    this.#waiting.set(run, args);
    run.wait(() => this.#waiting.delete(run));
  }

  [inspect.custom](_depth, options) {
    const { name, idempotent } = this;
    return `NodeWorker ${inspect({ name, idempotent }, options)}`;
  }

  #begin(run, args) {
    const context = new JobContext(run);
    this.#active += 1;
    try {
      const result = running.run(context, () => this.#func.apply(context, args));
      if (typeof result?.then === 'function') {
        run.follow(result, (value) => run.answer(value)).then(() => this.#ended());
        return;
      }
      run.answer(result);
    } catch (error) {
      run.fail(error);
    }
    this.#active -= 1;
  }

  /** A function has ended that did not end at once. */
  #ended() {
    this.#active -= 1;
    while (this.#active < this.#concurrency && this.#waiting.size > 0) {
      const [run, args] = this.#waiting.entries().next().value;
      this.#waiting.delete(run);
      run.begin();
      this.#begin(run, args);
    }
  }
}

module.exports = { NodeWorker };
