'use strict';

const { randomInt } = require('node:crypto');

const { HAS_IDEMPOTENT, HAS_NONE } = require('./announcements.js');
const { codedError } = require('./errors.js');
const { Gathering } = require('./gathering.js');
const { WORKER, kEnded, kInside, kOutcome, kPending } = require('./inside.js');
const { joinTrace, running } = require('./job-context.js');
const { encodeArguments } = require('./json.js');
const { checkName, closedError } = require('./keys.js');
const { NodeWorker } = require('./node-worker.js');
const { runOptions, workerOptions } = require('./options.js');
const { ABORTED, LOST, NO_WORKER, OK, TIMEOUT, notRunError, outcomeError } = require('./outcomes.js');
const { Tasks } = require('./tasks.js');

const TIMEOUT_MS = 30_000;

/** What a `Node` asks of nodes, and what it does for them. */
class NodeJobs {
  #node;
  #local;
  #peers;
  #tasks;

  /**
   * @param {Node} node
   * @param {LocalNode} local
   * @param {NodePeers} peers
   */
  constructor(node, local, peers) {
    this.#node = node;
    this.#local = local;
    this.#peers = peers;
    this.#tasks = new Tasks(node, local, peers);
  }

  worker(name, func, options) {
    checkName(name);
    if (typeof func !== 'function') {
      throw codedError('ERR_INVALID_ARGUMENT', 'What a worker does must be a function');
    }
    const settings = workerOptions(options);
    if (this.#local.isClosing) throw closedError();
    return new NodeWorker(this.#node, this.#tasks, name, func, settings);
  }

  run(name, args, options) {
    const question = this.#question(name, args, options);
    if (this.#local.isClosing) throw closedError();
    const targets = this.#targets(question.to);
    return new Gathering(this.#tasks, name, question.args, targets, question);
  }

  async call(name, args, options) {
    const question = this.#question(name, args, options);
    const until = performance.now() + question.timeout;
    const tried = new Set();
    let failure;
    for (;;) {
      if (this.#local.isClosing) throw closedError();
      const target = this.#choose(question, tried);
      if (target === undefined) throw failure ?? noWorker(question);
      tried.add(target.replica);
      const { outcome, value, error } = await this.#ask(target, question, until);
      if (outcome === OK) return value;
      if (error.executed !== 'no' && !(outcome === LOST && target.has === HAS_IDEMPOTENT)) throw error;
      if (outcome === ABORTED || outcome === TIMEOUT) throw error;
      // Who else is asked says as much, and that nobody has it is said best of all together.
      if (outcome !== NO_WORKER) failure = error;
    }
  }

  /** The context of the job for which the running code runs. */
  context() {
    return running.getStore();
  }

  item(item) {
    this.#tasks.item(item);
  }

  finish() {
    return this.#tasks.finish();
  }

  abandon() {
    this.#tasks.abandon();
  }

  /** What is asked, checked, with what comes from the job for which this is asked. */
  #question(name, args = [], options) {
    checkName(name);
    if (!Array.isArray(args)) {
      throw codedError('ERR_INVALID_ARGUMENT', 'The arguments must be an array');
    }
    const { to, signal, timeout = TIMEOUT_MS, traceparent, tracestate } = runOptions(options);
    const context = running.getStore()?.[kInside];
    return {
      name,
      args: encodeArguments(args),
      to,
      signal,
      timeout: Math.min(timeout, context?.remaining ?? Infinity),
      trace: traceparent === undefined ? context?.trace ?? '' : joinTrace(traceparent, tracestate),
    };
  }

  /**
   * The nodes meant, each once; this one only if `ownToo`.
   *
   * @returns {{replica?: string, origin: object}[]} without a replica it is not there
   */
  #targets(to, ownToo = true) {
    const own = () => (ownToo ? [{ replica: this.#local.id, origin: this.#peers.own }] : []);
    const peers = [...this.#peers.live.values()];
    if (to === undefined) return [...own(), ...peers.map(target)];
    if (to === 'others') return peers.map(target);
    if (typeof to === 'function') return peers.filter((peer) => to(peer)).map(target);
    if (to.tags !== undefined) {
      const tagged = peers.filter(({ tags }) => includes(tags, to.tags)).map(target);
      return includes(this.#local.tags, to.tags) ? [...own(), ...tagged] : tagged;
    }
    return [...new Set([to].flat())].flatMap((id) => {
      const peer = this.#peers.live.get(id);
      if (peer !== undefined) return target(peer);
      return id === this.#peers.own.node ? own() : { origin: { node: id, name: undefined, peer: undefined } };
    });
  }

  /**
   * Of the nodes meant and not tried the less loaded of two that are drawn at random from those that
   * have told that they have the worker; if none has, from those that have not told yet; then from
   * the rest, whose news may be on its way. Each says at once if it has no such worker.
   */
  #choose({ name, to }, tried) {
    const targets = this.#targets(to, this.#local.has(name) !== HAS_NONE)
      .filter(({ replica }) => replica !== undefined && !tried.has(replica))
      .map((each) => ({ ...each, has: this.#has(each, name) }));
    const best = Math.max(...targets.map(rank));
    const drawn = targets.filter((each) => rank(each) === best);
    if (drawn.length < 2) return drawn[0];
    const first = drawn.splice(randomInt(drawn.length), 1)[0];
    const second = drawn[randomInt(drawn.length)];
    return this.#load(second) < this.#load(first) ? second : first;
  }

  #has({ replica, origin }, name) {
    return origin.peer === undefined ? this.#local.has(name) : this.#local.peerHas(replica, name);
  }

  /** Own jobs that wait for it; one whose event loop does not turn has more than any other. */
  #load({ replica, origin }) {
    return this.#tasks.load(replica) + (origin.peer?.busyFor > 0 ? 2 ** 32 : 0);
  }

  /** Asks one node. Gives its outcome, with the error of one that is not `OK`. */
  #ask({ replica, origin }, { name, args, signal, trace }, until) {
    if (signal?.aborted) return failed(ABORTED, notRunError(ABORTED, origin, signal.reason));
    const timeout = until - performance.now();
    if (timeout <= 0) return failed(TIMEOUT, notRunError(TIMEOUT, origin));
    return new Promise((resolve) => {
      const task = {
        [kOutcome](_, outcome, value) {
          const reason = outcome === ABORTED ? signal?.reason : undefined;
          if (outcome === OK) resolve({ outcome, value });
          else resolve(failed(outcome, outcomeError(outcome, value, origin, reason)));
        },
        [kEnded]: () => signal?.removeEventListener('abort', onAbort),
      };
      const number = this.#tasks.ask(WORKER, name, args, replica, timeout, task, trace);
      const onAbort = () => this.#tasks.cancel(number, signal.reason);
      if (task[kPending].length === 0) resolve(failed(LOST, notRunError(LOST, origin)));
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function target(peer) {
  const { replica, origin } = peer[kInside];
  return { replica, origin };
}

/** How likely it has the worker. */
function rank({ has }) {
  if (has === HAS_NONE) return 0;
  return has === undefined ? 1 : 2;
}

function includes(tags, wanted) {
  return Object.entries(wanted).every(([key, tag]) => Object.hasOwn(tags, key) && tags[key] === tag);
}

function failed(outcome, error) {
  return { outcome, error };
}

/** Why nobody was asked. */
function noWorker({ name, to }) {
  const who = to === undefined ? 'No node' : 'None of the nodes meant';
  return codedError('ERR_NO_WORKER', `${who} has a worker '${name}'`, { executed: 'no' });
}

module.exports = { NodeJobs };
