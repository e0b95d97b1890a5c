'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { inspect } = require('node:util');

const { kInside } = require('./inside.js');

/** The context of the job that runs, for what it calls and awaits. */
const running = new AsyncLocalStorage();

/** What a worker's function knows of the job that it runs for: its `this`, and `node.context()`. */
class JobContext {
  #job;

  /** @hideconstructor */
  constructor(run) {
    Object.defineProperty(this, kInside, { value: run });
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal() {
    return this[kInside].signal;
  }

  /** Until when it must have answered, in ms since 1970. */
  get deadline() {
    return this[kInside].deadline;
  }

  /** The node that asks, as `{node, name, peer}`. */
  get caller() {
    return this[kInside].caller;
  }

  /** `{id, name}`: the same on every node that is asked. */
  get job() {
    const { caller, job: number, name } = this[kInside];
    this.#job ??= Object.freeze({ id: jobId(caller.node, number), name });
    return this.#job;
  }

  /** What the caller gave as `traceparent`, if it did. */
  get traceparent() {
    return splitTrace(this[kInside].trace)[0];
  }

  /** What it gave as `tracestate`. */
  get tracestate() {
    return splitTrace(this[kInside].trace)[1];
  }

  [inspect.custom](_depth, options) {
    const { job, caller, deadline } = this;
    return `JobContext ${inspect({ job, caller, deadline }, options)}`;
  }
}

/** Names a job among those of all nodes. */
function jobId(node, number) {
  return `${node}-${number}`;
}

/** W3C's headers, as the recommendation "Trace Context" has them; others are as good as none. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;

/** How they travel: `traceparent`, then perhaps a space and `tracestate`. */
function joinTrace(traceparent, tracestate) {
  if (!TRACEPARENT.test(traceparent)) return '';
  return TRACESTATE.test(tracestate ?? '') ? `${traceparent} ${tracestate}` : traceparent;
}

function splitTrace(trace) {
  const space = trace.indexOf(' ');
  if (space !== -1) return [trace.slice(0, space), trace.slice(space + 1)];
  return [trace === '' ? undefined : trace, undefined];
}

module.exports = { JobContext, running, jobId, joinTrace, splitTrace };
