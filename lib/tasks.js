'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

const { attempt } = require('./attempt.js');
const { codedError } = require('./errors.js');
const { WORKER, kEnded, kOutcome, kPending, kStarted, kTraced } = require('./inside.js');
const { encodeArguments } = require('./json.js');
const { closedError } = require('./keys.js');
const { ABORTED, END_ABORTED, ENDS, ERROR, NO_WORKER, OK, OUTCOMES, STOP_CLOSED, describeError, encodeReason } = require('./outcomes.js');
const { Run } = require('./run.js');
const { tellEnded, tellOutcome, traceJob, traceRun } = require('./telemetry.js');

/** What becomes of runs that are under way at the end, for their callers. */
const CLOSED = describeError(codedError('ERR_CLOSED'));

/** Kinds of items, by their first element. */
const ITEM_RUN = 0;
const ITEM_STOP = 1;
const ITEM_OUTCOME = 2;
const ITEM_ENDED = 3;
const ITEM_EMITTED = 4;

/** How long a closing node waits for what is under way, and how often it looks. */
const FINISH_MS = 5000;
const FINISH_LOOK_MS = 10;
/** So many bytes that wait for peers go out with the goodbye. */
const FINISH_BYTES = 128 << 10;

/** What a servent, or a node itself, asks of nodes, and what it does for them. */
class Tasks {
  #emitter;
  /** Own jobs and calls by number. */
  #asked = new Map();
  /** What runs here, by number. */
  #runs = new Map();
  /** Names, by kind. */
  #offered = [new Set(), new Set(), new Set()];
  /** How many of those have no outcome yet, by node. */
  #loads = new Map();
  #isClosing = false;

  /** Workers by name. */
  workers = new Map();
  /** What is exposed, of a servent. */
  functions;

  /**
   * @param {EventEmitter} emitter the servent or node, for warnings and what peers emit
   * @param {LocalNode} node
   * @param {Peers | NodePeers} peers
   */
  constructor(emitter, node, peers) {
    this.#emitter = emitter;
    this.node = node;
    this.peers = peers;
  }

  /** Has this node offer a name to everybody, or no longer. Repeatable. */
  offer(kind, name, isOffered) {
    if (this.#isClosing || this.node.isClosed) return;
    const names = this.#offered[kind];
    if (isOffered) {
      this.node.offer(kind, name, this);
      names.add(name);
    } else if (names.delete(name)) {
      this.node.withdraw(kind, name, this);
    }
  }

  /** The names of a kind that are offered. */
  offered(kind) {
    return [...this.#offered[kind]];
  }

  /**
   * Asks nodes to run a function. What becomes of it is told to `task`, never within this call.
   *
   * @param {number} kind `WORKER` or `FUNCTION`
   * @param {string} name
   * @param {string} args JSON text of an array
   * @param {string} to `'*'` for all nodes, `'-'` for all peers, or replicas joined by commas
   * @param {number} timeout ms
   * @param {object} task a job or call
   * @param {string} [trace] goes along, for the function
   * @returns {number} its number
   */
  ask(kind, name, args, to, timeout, task, trace) {
    if (this.#isClosing) throw closedError();
    let number;
    let nodes;
    task[kTraced] = traceJob(this.node, kind, name, trace, (along) => {
      [number, ...nodes] = JSON.parse(this.node.ask(kind, name, args, to, Math.ceil(timeout), along));
      return [number, nodes.length];
    });
    task[kPending] = nodes;
    task[kStarted] = performance.now();
    this.node.meter.asked();
    for (const replica of nodes) this.#loads.set(replica, this.load(replica) + 1);
    this.#asked.set(number, task);
    this.node.hold(this, true);
    return number;
  }

  /** How many own jobs and calls wait for a node. */
  load(replica) {
    return this.#loads.get(replica) ?? 0;
  }

  /** Whether the worker of this name may run again for a job for which it may have run. */
  isIdempotent(name) {
    return this.workers.get(name)?.idempotent === true;
  }

  setTimeout(number, ms) {
    this.node.setTimeoutOf(number, Math.ceil(ms));
  }

  cancel(number, reason) {
    this.node.cancel(number, encodeReason(reason));
  }

  /** Gives the answer of a run. */
  answer(number, isOk, json) {
    this.#runs.get(number)?.ended?.(OUTCOMES[isOk ? OK : ERROR].status, isOk ? undefined : json);
    this.#runs.delete(number);
    this.node.answer(number, isOk, json);
  }

  /** A run is not begun. */
  refuse(number, outcome) {
    this.#runs.get(number)?.ended?.(OUTCOMES[outcome].status);
    this.#runs.delete(number);
    this.node.refuse(number, outcome);
  }

  /** Sends an event, and gives the number of peers it goes to. */
  emit(name, args, to) {
    const json = encodeArguments(args);
    return this.node.isClosed ? 0 : this.node.emit(name, json, to);
  }

  /** Tells of something that was handled. */
  warn(code, message) {
    attempt(this.#emitter.emit, this.#emitter, 'warning', codedError(code, message));
  }

  /**
   * One item of a drain: see "The binding's contract" in docs/ARCHITECTURE.md. Those about runs and
   * jobs of others are no news here.
   */
  item(item) {
    switch (item[0]) {
      case ITEM_RUN:
        return this.#run(item);
      case ITEM_STOP:
        return this.#stop(item[1], item[2], item[3]);
      case ITEM_OUTCOME:
        return this.#outcome(item[1], item[2], item[3], item[4]);
      case ITEM_ENDED:
        return this.#ended(item[1], item[2]);
      case ITEM_EMITTED:
        return this.#emitted(this.peers.origin(item[1]), item[2], item[3]);
    }
  }

  #run([, number, kind, name, replica, remaining, args, job, trace = '']) {
    const caller = this.peers.origin(replica);
    const run = new Run(this, number, name, caller, remaining, job, trace);
    this.#runs.set(number, run);
    traceRun(this.node, kind, run, () => {
      if (kind === WORKER) this.workers.get(name).work(run, args);
      else this.functions.work(run, name, args);
    });
  }

  #stop(number, why, reason) {
    const run = this.#runs.get(number);
    this.#runs.delete(number);
    run?.ended?.('stopped');
    run?.stop(why, reason);
  }

  #outcome(number, replica, outcome, value) {
    const task = this.#asked.get(number);
    const at = task === undefined ? -1 : task[kPending].indexOf(replica);
    if (at === -1) return;
    task[kPending].splice(at, 1);
    const load = this.load(replica) - 1;
    if (load > 0) this.#loads.set(replica, load);
    else this.#loads.delete(replica);
    this.node.meter.outcome(outcome);
    if (task[kTraced] !== undefined) tellOutcome(task[kTraced], this.peers.origin(replica), outcome, value);
    task[kOutcome](this.peers.origin(replica), outcome, value);
  }

  #ended(number, end) {
    const task = this.#asked.get(number);
    if (task === undefined) return;
    this.#asked.delete(number);
    if (this.#asked.size === 0) this.node.hold(this, false);
    const ms = performance.now() - task[kStarted];
    this.node.meter.ended(ms);
    if (task[kTraced] !== undefined) tellEnded(task[kTraced], ENDS[end], ms);
    task[kEnded](end);
  }

  #emitted({ peer }, name, args) {
    if (peer !== undefined) this.#emitter.emit(name, peer, ...args);
  }

  /** Takes no new work and waits for what is under way, if there is something, but not for long. */
  finish() {
    this.#takeNoMore();
    return this.#isBusy() ? this.#settle() : undefined;
  }

  #takeNoMore() {
    this.#isClosing = true;
    for (const [kind, names] of this.#offered.entries()) {
      for (const name of names) this.node.withdraw(kind, name, this);
      names.clear();
    }
  }

  async #settle() {
    const end = performance.now() + FINISH_MS;
    while (this.#isBusy() && performance.now() < end) await sleep(FINISH_LOOK_MS);
  }

  #isBusy() {
    if (this.node.isClosed) return false;
    return this.#asked.size > 0 || this.#runs.size > 0
      || this.node.stats().jobBytesQueued > FINISH_BYTES;
  }

  /** This is the end: nobody answers any more, and nobody waits for an answer. */
  abandon() {
    this.#takeNoMore();
    for (const [number, run] of [...this.#runs]) {
      if (run.isWaiting) this.node.refuse(number, NO_WORKER);
      else this.node.answer(number, false, CLOSED);
      this.#stop(number, STOP_CLOSED);
    }
    for (const [number, task] of [...this.#asked]) {
      this.node.cancel(number, encodeReason(codedError('ERR_CLOSED')));
      for (const replica of [...task[kPending]]) {
        attempt(this.#outcome, this, number, replica, ABORTED);
      }
      attempt(this.#ended, this, number, END_ABORTED);
    }
  }
}

module.exports = { Tasks };
