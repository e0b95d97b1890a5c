'use strict';

const { encode } = require('./json.js');
const { describeError, stopReason } = require('./outcomes.js');

/** One call of a function of ours, for a peer or for this node itself. The first answer counts. */
class Run {
  #tasks;
  #number;
  #until;
  #answered = false;
  /** Why it was told to stop, as `stopReason` takes it. */
  #stop;
  /** Forgets that it waits to be begun. */
  #forget;
  /** Made when somebody asks for the signal: most functions don't. */
  #controller;
  /** Hears how it ended, if somebody wants to know. */
  ended;

  /**
   * @param {Tasks} tasks
   * @param {number} number
   * @param {string} name of the function
   * @param {{node: string, peer?: Peer}} caller
   * @param {number} remaining ms until the deadline
   * @param {number} job its number, which is the caller's
   * @param {string} trace what the caller gave to go along, empty if nothing
   */
  constructor(tasks, number, name, caller, remaining, job, trace) {
    this.#tasks = tasks;
    this.#number = number;
    this.#until = performance.now() + remaining;
    this.name = name;
    this.caller = caller;
    this.job = job;
    this.trace = trace;
    /** In ms since 1970. */
    this.deadline = Date.now() + remaining;
  }

  /** Ms until the deadline. */
  get remaining() {
    return Math.max(0, this.#until - performance.now());
  }

  /** Whether it was put off and has not begun. */
  get isWaiting() {
    return this.#forget !== undefined;
  }

  get isAnswered() {
    return this.#answered;
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stop !== undefined) this.#controller.abort(stopReason(...this.#stop));
    }
    return this.#controller.signal;
  }

  /** The result, from the function's callback or promise. */
  answer(value) {
    if (!this.#isFirst()) return;
    let json;
    try {
      json = value === undefined ? 'null' : encode(value);
    } catch (error) {
      this.#tasks.answer(this.#number, false, describeError(error));
      return;
    }
    this.#tasks.answer(this.#number, true, json);
  }

  /** The function has thrown, or called back with an error. */
  fail(thrown) {
    if (this.#isFirst()) this.#tasks.answer(this.#number, false, describeError(thrown));
  }

  /** The function is not to be run, which makes this outcome. */
  refuse(outcome) {
    this.#forget = undefined;
    if (this.#isFirst()) this.#tasks.refuse(this.#number, outcome);
  }

  /** It is put off; `forget` is called if it is told to stop before `begin`. */
  wait(forget) {
    this.#forget = forget;
  }

  begin() {
    this.#forget = undefined;
  }

  /**
   * Takes what comes of a promise. `settle` is given the value instead, if there is one.
   *
   * @returns {Promise<void>} fulfilled when that is done
   */
  follow(promise, settle = (value) => this.#settle(value)) {
    // Anybody's thenable may be given, so it is not trusted with our callbacks.
    return Promise.resolve(promise).then(settle, (error) => this.fail(error));
  }

  /** Nobody waits any more. */
  stop(...why) {
    this.#stop = why;
    this.#forget?.();
    this.#controller?.abort(stopReason(...why));
  }

  #settle(value) {
    // An async function that has used its callback returns nothing.
    if (value === undefined && this.#answered) return;
    this.answer(value);
  }

  #isFirst() {
    // Nobody waits for a function that was told to stop.
    if (this.#stop !== undefined) return false;
    if (this.#answered) {
      this.#tasks.warn('ERR_ANSWERED_TWICE', `'${this.name}' has answered more than once`);
      return false;
    }
    this.#answered = true;
    return true;
  }
}

module.exports = { Run };
