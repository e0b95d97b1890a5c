'use strict';

/** Functions that are exposed to peers, and calls of those of peers. */

const { AsyncResource } = require('node:async_hooks');

const { codedError } = require('./errors.js');
const { FUNCTION, kEnded, kInside, kOutcome, kPending } = require('./inside.js');
const { encodeArguments } = require('./json.js');
const { checkName } = require('./keys.js');
const { ABORTED, NO_WORKER, OK, outcomeError } = require('./outcomes.js');
const { callOptions } = require('./options.js');
const { uid } = require('./uid.js');

const TIMEOUT_MS = 30_000;

/** The code of an error that has none. */
const CODE_DEFAULT = 1000;
/** As JSON-RPC has them, without its sign, as partition.io. */
const INVALID_REQUEST = { message: 'Invalid Request', code: 32600 };
const METHOD_NOT_FOUND = { message: 'Method not found.', code: 32601 };
const INVALID_PARAMS = { message: 'Invalid params.', code: 32602 };

/** What a servent exposes. Names are looked up here and nowhere else. */
class Functions {
  #tasks;
  /** For every peer. What is for one alone is in a Map of that peer. */
  #common = new Map();
  /** In how many Maps a name is. */
  #uses = new Map();

  constructor(tasks) {
    this.#tasks = tasks;
    const functions = this;
    this.expose(this.#common, 'list', function list() {
      const names = functions.#names(this.peer);
      for (const name of names) this.set(name, 'function');
      this.set('Array', names).send();
    });
  }

  get common() {
    return this.#common;
  }

  /**
   * Adds a function, or the functions of an object and of the objects in it, to `map`. Names that
   * are there get the new function.
   */
  expose(map, name, exposed) {
    if (typeof exposed !== 'function' && !isObject(exposed)) {
      throw codedError('ERR_INVALID_ARGUMENT', 'What is exposed is a function or an object of functions');
    }
    const found = new Map();
    collect(found, name, exposed, []);
    for (const [full, func] of found) {
      if (!map.has(full)) this.#use(full, 1);
      map.set(full, func);
    }
  }

  /** Forgets what was exposed to one peer. */
  forget(map) {
    for (const name of map.keys()) this.#use(name, -1);
    map.clear();
  }

  /** Calls a function for a peer. */
  work(run, name, [id, ...params]) {
    const { peer } = run.caller;
    const func = peer?.[kInside].functions.get(name) ?? this.#common.get(name);
    // What is exposed to another peer alone.
    if (func === undefined) return run.fail(METHOD_NOT_FOUND);

    const exposed = new Exposed(run, id, name, params);
    let value;
    try {
      value = func.apply(exposed, params);
      if (typeof value?.then === 'function') return run.follow(value, (late) => exposed[kReturned](late));
    } catch (error) {
      return run.fail(error);
    }
    // A function that returns nothing may send later.
    if (value !== undefined && value !== exposed) exposed[kReturned](value);
  }

  #names(peer) {
    return [...new Set([...this.#common.keys(), ...peer[kInside].functions.keys()])];
  }

  #use(name, change) {
    const uses = (this.#uses.get(name) ?? 0) + change;
    if (uses > 0) this.#uses.set(name, uses);
    else this.#uses.delete(name);
    this.#tasks.offer(FUNCTION, name, uses > 0);
  }
}

function collect(found, name, exposed, within) {
  checkName(name);
  if (typeof exposed === 'function') {
    found.set(name, exposed);
    return;
  }
  // An object that contains itself has no more to give.
  if (within.includes(exposed)) return;
  for (const [key, member] of Object.entries(exposed)) {
    if (typeof member === 'function' || isObject(member)) {
      collect(found, `${name}.${key}`, member, [...within, exposed]);
    }
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

/** A function that has returned, or whose promise is fulfilled. */
const kReturned = Symbol('returned');

/** `this` in an exposed function. */
class Exposed {
  #run;
  #result = Object.create(null);

  constructor(run, id, method, params) {
    this.#run = run;
    /** That of the call, as its callback gets it. */
    this.id = id;
    this.method = method;
    this.params = params;
    this.peer = run.caller.peer;
  }

  /** Aborted when the caller does not wait any more. */
  get signal() {
    return this.#run.signal;
  }

  /** In ms since 1970. */
  get deadline() {
    return this.#run.deadline;
  }

  /** Sets a member of the result. */
  set(key, value) {
    this.#result[key] = value;
    return this;
  }

  /** A member of the result. */
  get(key) {
    return this.#result[key];
  }

  /** Sends the result: what was set, after `(key, value)` is set too; or a value. */
  send(...args) {
    if (args.length > 1) this.set(args[0], args[1]);
    this.#run.answer(args.length === 1 ? args[0] : this.#result);
    return this;
  }

  /** Sends an error instead. */
  error(message, code) {
    const { message: text = message, code: own } = Object(message);
    this.#run.fail({ message: `${text}`, code: code || own || CODE_DEFAULT });
    return this;
  }

  /** Calls a function on all peers, as `servent.broadcastInvoke`. */
  broadcast(method, params, callback) {
    this.peer.servent.broadcastInvoke(method, params, callback);
    return this;
  }

  [kReturned](value) {
    if (this.#run.isAnswered) return;
    if (value !== undefined && value !== this) this.#run.answer(value);
    else this.#run.answer(Object.keys(this.#result).length > 0 ? this.#result : undefined);
  }
}
Exposed.prototype.add = Exposed.prototype.set;
Exposed.prototype.end = Exposed.prototype.send;

/** A call of a function of one peer, or of all. */
class Call extends AsyncResource {
  #tasks;
  #callback;
  #number;
  #signal;
  #onAbort;
  #hasOutcome = false;

  id = uid();

  /**
   * @param {Tasks} tasks
   * @param {(error: Error | null, result: any, id: string, origin: object) => void} callback once
   *   for each peer
   */
  constructor(tasks, callback) {
    super('CollectiveCall', { requireManualDestroy: true });
    this.#tasks = tasks;
    this.#callback = callback;
  }

  /**
   * Asks. Gives how many peers; throws if nobody is to be asked such a thing.
   *
   * @param {string} to a replica, or `'-'` for all peers
   * @param {string} method
   * @param {unknown[]} params
   * @param {{timeout?: number, signal?: AbortSignal}} options
   */
  start(to, method, params, { timeout = TIMEOUT_MS, signal }) {
    if (typeof method !== 'string') throw rpcError(INVALID_REQUEST);
    if (!Array.isArray(params)) throw rpcError(INVALID_PARAMS);
    checkName(method);
    if (signal?.aborted) throw codedError('ABORT_ERR', undefined, { cause: signal.reason });

    const args = encodeArguments([this.id, ...params]);
    this.#number = this.#tasks.ask(FUNCTION, method, args, to, timeout, this);
    const asked = this[kPending].length;
    if (signal !== undefined && asked > 0) {
      this.#signal = signal;
      this.#onAbort = () => this.#tasks.cancel(this.#number, signal.reason);
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    return asked;
  }

  [kOutcome](origin, outcome, value) {
    const error = outcome === OK ? null : this.#error(origin, outcome, value);
    const result = outcome === OK ? value : null;
    this.runInAsyncScope(this.#callback, undefined, error, result, this.id, origin);
  }

  [kEnded]() {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.emitDestroy();
  }

  #error(origin, outcome, description) {
    const reason = outcome === ABORTED ? this.#signal?.reason : undefined;
    const error = outcomeError(outcome, description, origin, reason);
    if (outcome === NO_WORKER) Object.assign(error, METHOD_NOT_FOUND);
    error.code ??= CODE_DEFAULT;
    return error;
  }
}

/**
 * `peer.invoke`: calls a function of one peer.
 *
 * @param {Peer} peer
 * @param {string} method
 * @param {any[]} rest `(params, callback, options)`, of which each may be left out
 * @returns {Promise<any> | undefined} a promise if there is no callback
 */
function invoke(peer, method, rest) {
  const { params, callback, options } = callArguments(rest);
  if (callback === undefined) {
    return new Promise((resolve, reject) => {
      const tell = (error, result) => (error ? reject(error) : resolve(result));
      ask(peer, method, params, options, tell);
    });
  }
  ask(peer, method, params, options, (error, result, id) => callback(plain(error), result, id));
}

function ask(peer, method, params, options, tell) {
  const call = new Call(peer.servent[kInside], tell);
  try {
    if (call.start(peer[kInside].replica, method, params, options) === 0) {
      const origin = { ...peer[kInside].origin, executed: 'no' };
      throw codedError('ERR_PEER_LOST', `Peer ${peer.id} is not connected`, origin);
    }
  } catch (error) {
    // A callback runs on a later turn, whatever the reason.
    process.nextTick(tell, error, null, call.id);
  }
}

/**
 * `servent.broadcastInvoke`: calls a function of every peer.
 *
 * @returns {number} how many were asked
 */
function broadcastInvoke(tasks, method, rest) {
  const { params, callback, options } = callArguments(rest);
  const tell = (error, result, id, origin) => callback?.(plain(error), result, id, origin);
  return new Call(tasks, tell).start('-', method, params, options);
}

/** `(params, callback, options)`, of which each may be left out, checked. */
function callArguments([params, callback, options]) {
  if (typeof params === 'function') [params, callback, options] = [[], params, callback];
  else if (typeof callback !== 'function' && options === undefined) [callback, options] = [null, callback];
  if (callback != null && typeof callback !== 'function') {
    throw codedError('ERR_INVALID_ARGUMENT', 'The callback must be a function');
  }
  return { params: params ?? [], callback: callback ?? undefined, options: callOptions(options) };
}

/** An error as callbacks get it. */
function plain(error) {
  return error && { message: error.message, code: error.code };
}

function rpcError({ message, code }) {
  return Object.assign(new Error(message), { code });
}

module.exports = { Call, Functions, broadcastInvoke, invoke };
