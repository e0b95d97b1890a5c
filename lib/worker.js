'use strict';

const { inspect } = require('node:util');

const { codedError } = require('./errors.js');
const { WORKER, kInside } = require('./inside.js');
const { Job } = require('./job.js');
const { checkName } = require('./keys.js');
const { NO_WORKER } = require('./outcomes.js');

/** Names of events on partition.io's wire, which is not spoken here; kept for programs that look. */
const REQUEST_NAMESPACE = 'PIO::REQUEST::';
const RESPONSE_NAMESPACE = 'PIO::RESPONSE::';

/** The run for which a function is called, on the object that is its `this`. */
const kRun = Symbol('run');

/**
 * Work of one kind: the function that does this node's part, and jobs that have every node do it.
 *
 * No private members: the function's `this` is an object that inherits from the worker.
 */
class Worker {
  /**
   * @param {Servent} servent
   * @param {string} name the same on all nodes. A worker of this name that is there is replaced
   * @param {Function} [func] does this node's part; without it this node only distributes
   */
  constructor(servent, name, func) {
    checkName(name);
    if (func !== undefined && typeof func !== 'function') {
      throw codedError('ERR_INVALID_ARGUMENT', 'What a worker does must be a function');
    }
    this.name = name;
    this.servent = servent;
    this.func = func;
    /** Jobs that run, by id. */
    this.incomplete = {};

    const tasks = servent[kInside];
    tasks.workers.set(name, this);
    tasks.offer(WORKER, name, func !== undefined);
  }

  /** In the function: aborted when nobody waits for the answer any more. */
  get signal() {
    return this[kRun]?.signal;
  }

  /** In the function: until when it must have answered, in ms since 1970. */
  get deadline() {
    return this[kRun]?.deadline;
  }

  /** In the function: the node that runs the job, as `{node, peer}`. */
  get caller() {
    return this[kRun]?.caller;
  }

  /**
   * Makes a job, to be run once.
   *
   * @param {(job: Job) => void} [callback] is called with it
   * @returns {Job}
   */
  distribute(callback) {
    const job = new Job(this);
    callback?.(job);
    return job;
  }

  /** Does this node's part of a job. */
  work(run, args) {
    const self = Object.create(this);
    self[kRun] = run;
    args.push((error, data) => (error ? run.fail(error) : run.answer(data)));
    try {
      if (this.func === undefined) return run.refuse(NO_WORKER);
      const result = this.func.apply(self, args);
      if (typeof result?.then === 'function') run.follow(result);
    } catch (error) {
      run.fail(error);
    }
  }

  toString() {
    return `[Worker: ${this.name}]`;
  }

  inspect() {
    return this.toString();
  }

  [inspect.custom]() {
    return this.toString();
  }
}

for (const target of [Worker, Worker.prototype]) {
  Object.assign(target, { REQUEST_NAMESPACE, RESPONSE_NAMESPACE });
}

module.exports = { Worker };
