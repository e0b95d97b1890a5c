'use strict';

const { inspect } = require('node:util');

const { WORKER, kEnded, kOutcome, kPending } = require('./inside.js');
const { jobId } = require('./job-context.js');
const { ABORTED, LOST, OK, OUTCOMES, notRunError, outcomeError } = require('./outcomes.js');

/**
 * What becomes of a job on each node, as `node.run` gives it: an async iterable of outcomes in the
 * order in which they come. It keeps them, so that each method may be called at any time.
 */
class Gathering {
  #tasks;
  #number = 0;
  #started = performance.now();
  #outcomes = [];
  #isEnded = false;
  /** Fulfilled by the next outcome or the end, if somebody waits for it. */
  #news;
  #tell;
  /** Why the program has ended it. */
  #reason;
  #signal;
  #onAbort;

  /**
   * Asks.
   *
   * @hideconstructor
   * @param {Tasks} tasks
   * @param {string} name of the worker
   * @param {string} args JSON text of an array
   * @param {{replica?: string, origin: object}[]} targets those without a replica are not there
   * @param {{timeout: number, signal?: AbortSignal, trace: string}} options
   */
  constructor(tasks, name, args, targets, options) {
    this.#tasks = tasks;
    if (options.signal?.aborted) this.#askNobody(targets, options.signal.reason);
    else this.#ask(name, args, targets, options);
    /** The ids of the nodes asked. */
    this.nodes = targets.map(({ origin }) => origin.node);
    /** Names the job on every node: what functions that run for it have as `job.id`. */
    this.id = jobId(tasks.peers.own.node, this.#number);
  }

  /** All outcomes by the id of the node, once all are there. */
  async results() {
    await this.#end();
    return new Map(this.#outcomes.map((outcome) => [outcome.node, outcome]));
  }

  /** All values, in the order in which they came; rejected if a node has not given one. */
  async values() {
    await this.#end();
    const errors = this.#errors();
    if (errors.length === 0) return this.#outcomes.map(({ value }) => value);
    throw new AggregateError(errors, `${errors.length} of ${this.nodes.length} nodes gave no value`);
  }

  /** The first value that comes; rejected if no node gives one. The others go on. */
  async first() {
    for (let next = 0; await this.#has(next); next++) {
      const { status, value } = this.#outcomes[next];
      if (status === 'ok') return value;
    }
    throw new AggregateError(this.#errors(), 'No node gave a value');
  }

  /** Ends it now. Functions that still run have the reason as `signal.reason`. */
  cancel(reason) {
    if (this.#isEnded) return;
    this.#reason ??= reason;
    this.#tasks.cancel(this.#number, reason);
  }

  /** Leaving the loop ends the job. */
  async *[Symbol.asyncIterator]() {
    try {
      for (let next = 0; await this.#has(next); next++) yield this.#outcomes[next];
    } finally {
      this.cancel();
    }
  }

  [inspect.custom](_depth, options) {
    const { id, nodes } = this;
    return `Gathering ${inspect({ id, nodes, outcomes: this.#outcomes }, options)}`;
  }

  [kOutcome](origin, outcome, value) {
    if (outcome === OK) return this.#add(origin, OK, value);
    const reason = outcome === ABORTED ? this.#reason : undefined;
    this.#add(origin, outcome, undefined, outcomeError(outcome, value, origin, reason));
  }

  [kEnded]() {
    this.#isEnded = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#tell?.();
  }

  #ask(name, args, targets, { timeout, signal, trace }) {
    const replicas = targets.flatMap(({ replica }) => replica ?? []);
    if (replicas.length > 0) {
      this.#number = this.#tasks.ask(WORKER, name, args, replicas.join(), timeout, this, trace);
    } else {
      this.#isEnded = true;
    }
    for (const { replica, origin } of targets) {
      if (!this[kPending]?.includes(replica)) this.#add(origin, LOST, undefined, notRunError(LOST, origin));
    }
    if (signal === undefined || this.#isEnded) return;
    this.#signal = signal;
    this.#onAbort = () => this.cancel(signal.reason);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  #askNobody(targets, reason) {
    for (const { origin } of targets) {
      this.#add(origin, ABORTED, undefined, notRunError(ABORTED, origin, reason));
    }
    this.#isEnded = true;
  }

  #add({ node, name }, outcome, value, error) {
    const { status } = OUTCOMES[outcome];
    const ms = performance.now() - this.#started;
    this.#outcomes.push({ node, name, status, value, error, ms });
    this.#tell?.();
  }

  /** Whether there is an outcome at an index, once that is known. */
  async #has(index) {
    while (index >= this.#outcomes.length && !this.#isEnded) await this.#more();
    return index < this.#outcomes.length;
  }

  async #end() {
    while (!this.#isEnded) await this.#more();
  }

  #more() {
    this.#news ??= new Promise((resolve) => {
      this.#tell = () => {
        this.#news = undefined;
        this.#tell = undefined;
        resolve();
      };
    });
    return this.#news;
  }

  #errors() {
    return this.#outcomes.flatMap(({ error }) => error ?? []);
  }
}

module.exports = { Gathering };
