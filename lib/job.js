'use strict';

const { AsyncResource } = require('node:async_hooks');
const EventEmitter = require('node:events');
const { inspect } = require('node:util');

const { codedError } = require('./errors.js');
const { WORKER, kEnded, kInside, kOutcome, kPending } = require('./inside.js');
const { encodeArguments } = require('./json.js');
const { ABORTED, ENDS, OK, OUTCOMES, TIMEOUT, outcomeError } = require('./outcomes.js');
const { checkTTL } = require('./options.js');
const { uid } = require('./uid.js');

/** How long a job without `setTTL` may take. */
const TTL_MS = 10 * 60 * 1000;

/** States of a job. */
const NEW = 0;
const RUNNING = 1;
const ENDED = 2;

/**
 * Has every node that is alive do its part of some work, and gathers what they answer. It ends when
 * each of them has answered, failed or gone, at the latest when its time is over.
 *
 * Its events come after `run` has returned, in the async context of `run`:
 *
 * - `start`
 * - `data` (value, origin) once for each node that answers
 * - `error` (error, origin) once for each that fails, if somebody listens
 * - `end` (summary); nothing after it
 */
class Job extends EventEmitter {
  #state = NEW;
  #number;
  #ttl = TTL_MS;
  #resource;
  #started;
  /** Why the program has ended it. */
  #reason;
  #answered = [];
  #failed = [];
  #missing = [];

  /** @hideconstructor */
  constructor(worker) {
    super();
    this.id = uid();
    this.worker = worker;
    /** How many nodes were asked, this one included. */
    this.peers = 0;
    /** How many of them have answered or failed. */
    this.responses = 0;
  }

  /**
   * Limits the time from `run` on, or from now on if it runs.
   *
   * @param {number} ms
   */
  setTTL(ms) {
    checkTTL(ms);
    this.#ttl = ms;
    if (this.#state === RUNNING) this.#tasks.setTimeout(this.#number, ms);
    return this;
  }

  /** Asks all nodes. The parameters go to the function of each, before its callback. */
  run(...params) {
    if (this.#state !== NEW) {
      throw codedError('ERR_INVALID_STATE', 'A job runs once: distribute() makes another');
    }
    const args = encodeArguments(params);
    this.#number = this.#tasks.ask(WORKER, this.worker.name, args, '*', this.#ttl, this);
    this.#state = RUNNING;
    this.#started = performance.now();
    this.#resource = new AsyncResource('CollectiveJob', { requireManualDestroy: true });
    this.peers = this[kPending].length;
    this.worker.incomplete[this.id] = this;
    process.nextTick(start, this);
    return this;
  }

  /** Ends the job now; who has not answered is missing. */
  end() {
    return this.abort();
  }

  /** The same. Functions that still run get the reason in `this.signal.reason`. */
  abort(reason) {
    if (this.#state === RUNNING) {
      this.#reason ??= reason;
      this.#tasks.cancel(this.#number, reason);
    } else if (this.#state === NEW) {
      this.#state = ENDED;
      process.nextTick(end, this, this.#summary('aborted'));
    }
    return this;
  }

  toString() {
    return `[Job: ${this.id}]`;
  }

  inspect() {
    return this.toString();
  }

  [inspect.custom]() {
    return this.toString();
  }

  [kOutcome](origin, outcome, value) {
    if (outcome === OK) {
      this.responses += 1;
      this.#answered.push(origin);
      this.#resource.runInAsyncScope(this.emit, this, 'data', value, origin);
      return;
    }
    const isAborted = outcome === ABORTED;
    const error = outcomeError(outcome, value, origin, isAborted ? this.#reason : undefined);
    const failure = { node: origin.node, peer: origin.peer, status: OUTCOMES[outcome].status, error };
    if (isAborted || outcome === TIMEOUT) {
      this.#missing.push(failure);
      return;
    }
    this.responses += 1;
    this.#failed.push(failure);
    if (this.listenerCount('error') > 0) {
      this.#resource.runInAsyncScope(this.emit, this, 'error', error, origin);
    }
  }

  [kEnded](how) {
    this.#state = ENDED;
    delete this.worker.incomplete[this.id];
    this.#resource.emitDestroy();
    this.#resource.runInAsyncScope(this.emit, this, 'end', this.#summary(ENDS[how]));
  }

  #summary(reason) {
    return {
      reason,
      asked: this.peers,
      answered: this.#answered,
      failed: this.#failed,
      missing: this.#missing,
      ms: this.#started === undefined ? 0 : performance.now() - this.#started,
    };
  }

  get #tasks() {
    return this.worker.servent[kInside];
  }
}

function start(job) {
  job.emit('start');
}

function end(job, summary) {
  job.emit('end', summary);
}

module.exports = { Job };
