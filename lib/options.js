'use strict';

const { availableParallelism } = require('node:os');

const { credentialsOf } = require('./credentials.js');
const { codedError } = require('./errors.js');
const { kLocal } = require('./inside.js');

const LISTEN_HOST_DEFAULT = '127.0.0.1';
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const PORT_MAX = 65_535;
/** The parser goes down with recursion, at most 127 levels. */
const DEPTH_MAX = 120;
/** They are part of a hello, of which a stranger may send no more than 8 KiB. */
const TAGS_MAX = 32;
const TAGS_BYTES_MAX = 2048;

/**
 * How each option is checked. What is left out gets its default in the engine
 * (`src/engine/config.rs`), so that every default is written down once.
 */
const CHECKS = {
  /** What all nodes of the cluster have and nobody else: one, or several of which the first is used. */
  secret: isAny,
  /** A certificate, and the authority of those that others must have. */
  tls: { key: isAny, cert: isAny, ca: isAny, names: isAny },
  /** Listen on any host in the clear. */
  insecure: isBoolean,
  /** Peers of another cluster name are refused. */
  cluster: isName,
  /** Static limits; they must be equal on all nodes. */
  limits: { keyBytes: isCount, depth: isDepth, valueBytes: isCount },
  /** Memory that the state may take here; own writes beyond it are refused. */
  maxBytes: isCount,
  /** Ready at the latest so long after listening (ms). */
  readyTimeout: isTimeout,
  /** How long a node may be away and how long a dead one is remembered (ms). */
  forgetAfter: isDuration,
  /** How often peers hear from this node (ms). */
  heartbeatInterval: isTimeout,
  /** A peer that was silent for so long is lost (ms). */
  lossTimeout: isTimeout,
  /** Gets what a log should have. */
  log: isFunction,
};

/** What a running node can go on with. */
const ROTATE_CHECKS = { secret: CHECKS.secret, tls: CHECKS.tls };

/** Those of a Collective or Servent that stands on a node that is there. */
const GUEST_CHECKS = { node: isNode };

/** Those of `join`. */
const JOIN_CHECKS = {
  ...CHECKS,
  /** Where to listen: `'host:port'`, `{host, port}`, or false. */
  listen: isAny,
  /** Where others reach this node, if that is not where it listens. */
  advertise: isAny,
  /** As others show this node to people. */
  name: isName,
  /** What others choose nodes by. */
  tags: isTags,
  /** Nodes to begin with. */
  seeds: isSeeds,
  /** Gives up joining when it is aborted. */
  signal: isSignal,
};

/** Those of `observe`. */
const OBSERVE_CHECKS = {
  secret: CHECKS.secret,
  tls: CHECKS.tls,
  cluster: CHECKS.cluster,
  limits: CHECKS.limits,
  name: isName,
  /** How long the connection may take, and each report (ms). */
  timeout: isTimeout,
  /** Whether the state is brought here. */
  state: isBoolean,
  /** Gives up connecting when it is aborted. */
  signal: isSignal,
};
const OBSERVE_TIMEOUT_MS = 5000;
const REPORT_LIMITS = { depth: DEPTH_MAX, valueBytes: 16 << 20 };
/** The state of a large cluster takes its time: it is waited for as long as the connection lasts. */
const OBSERVE_READY_MS = 2 ** 31 - 1;

/** Those of `state.entries`. */
const ENTRIES_CHECKS = {
  /** At most so many. */
  limit: isCount,
  /** Those after the one of this name. */
  after: isAfter,
};

/** Those of `state.replicated`. */
const REPLICATED_CHECKS = {
  /** How many peers must have the writes: a number, or all that are there. */
  peers: isPeers,
  timeout: isPeriod,
  signal: isSignal,
};
const REPLICATED_TIMEOUT_MS = 30_000;

/** Those of `state.watch`. */
const WATCH_CHECKS = {
  /** Ends it when it is aborted. */
  signal: isSignal,
  /** Tells what is there to begin with. */
  initial: isBoolean,
};

/** What the addon is told of every node that `join` opens. */
const JOINED = { learn: true, readyWithOne: true };

/** What the addon is told of every servent. */
const SERVENT = { listen: false, learn: true };

/** Those of a remote call. */
const CALL_CHECKS = {
  /** How long the answer may take (ms). */
  timeout: isPeriod,
  /** Gives up when it is aborted. */
  signal: isSignal,
};

/** Those of `node.worker`. */
const WORKER_CHECKS = {
  /** How many functions run at once. */
  concurrency: isCount,
  /** How many wait for one of them to end. */
  queue: isIndex,
  /** A job may be repeated for which it may have run. */
  idempotent: isBoolean,
};

/** Those of `node.run` and `node.call`. */
const RUN_CHECKS = {
  ...CALL_CHECKS,
  /** Which nodes. */
  to: isTarget,
  /** The caller's trace, as W3C's headers of these names. What is malformed is left out. */
  traceparent: isString,
  tracestate: isString,
};

/** Those of a cluster of workers, beside some of `join`. */
const CLUSTER_CHECKS = {
  /** How many. */
  workers: isCount,
  /** Where they listen: the first on this port, the others on those after it. */
  port: isAny,
  host: isAny,
  /** How long a worker that is to leave may live on (ms). */
  stopTimeout: isTimeout,
};
const STOP_TIMEOUT_MS = 10_000;
/** Options of `join` that each worker has its own of. */
const OWN_OF_WORKERS = ['listen', 'advertise', 'signal'];

/**
 * Checks what `new Collective()` was given.
 *
 * @param {{host?: string, port: number}} local
 * @param {{host?: string, port: number}[]} all
 * @param {Function} [callback]
 * @param {object} [options]
 * @returns {{ local: object, others: Address[], remote: object[], problem?: Error, native: object, credentials?: object, guestOf?: LocalNode }}
 *   `others` and `remote` are `all` without `local`, parsed and as given; with a `problem` the node
 *   neither listens nor dials; `native` and `credentials` are what the addon is opened with, unless
 *   there is a node, `guestOf`.
 */
function collectiveOptions(local, all, callback, options) {
  if (callback != null && typeof callback !== 'function') {
    throw invalid('The callback must be a function');
  }
  const guestOf = guestOptions(options);
  if (guestOf !== undefined) {
    if (local != null || all != null) {
      throw invalid('With `node`, where to listen and whom to connect with is that node\'s: give null for both');
    }
    const { address = LISTEN_HOST_DEFAULT, port = 0 } = guestOf.address ?? {};
    return { local: { host: address, port }, others: [], remote: [], guestOf };
  }
  const own = parseAddress(local, 'local');
  if (!Array.isArray(all)) {
    throw invalid('`all` must be an array of {host, port}');
  }
  const parsed = Array.from(all, (item, index) => parseAddress(item, `all[${index}]`));
  const others = parsed.filter((address) => address.name !== own.name);
  if (others.some((address) => address.port === 0)) {
    throw invalid('Port 0, any that is free, is for `local` alone');
  }
  checkOptions(options ?? {}, CHECKS, '');

  const { problem, credentials, engine } = protection(options ?? {}, own);
  return {
    local,
    others,
    remote: all.filter((_, index) => parsed[index].name !== own.name),
    problem,
    credentials,
    native: {
      ...engine,
      host: own.host,
      port: own.port,
      listen: !problem,
      advertised: !problem && own.port !== 0 ? own.dial : null,
      connect: problem ? [] : [...new Set(others.map((address) => address.dial))],
    },
  };
}

/**
 * What keeps strangers out, apart from the other options.
 *
 * @param {object} options
 * @param {Address} [own] where the node is to listen
 * @returns {{ problem?: Error, credentials?: object, engine: object }} `problem`: why it must not
 */
function protection({ secret, tls, ...others }, own) {
  const insecure = others.insecure ?? process.env.COLLECTIVE_INSECURE === '1';
  const engine = { ...others, insecure };
  try {
    const credentials = credentialsOf({ secret, tls });
    const isExposed = own !== undefined && !isLoopback(own.host);
    const isRefused = isExposed && !insecure && credentials === undefined;
    return { engine, credentials, problem: isRefused ? insecureBind(own.host, own.port) : undefined };
  } catch (problem) {
    return { engine, problem };
  }
}

/** The credentials that a running node is to go on with. */
function rotateOptions(options) {
  if (options === null || typeof options !== 'object') throw invalid('The options must be an object');
  checkOptions(options, ROTATE_CHECKS, '');
  if (options.secret == null && options.tls == null) {
    throw invalid('`secret` or `tls` must be what to go on with');
  }
  return credentialsOf(options);
}

/**
 * Checks what `new Servent()` was given.
 *
 * @param {object} [options]
 * @returns {{ problem?: Error, native: object, credentials?: object, guestOf?: LocalNode }} `native`
 *   and `credentials` are what the addon is opened with, a node that neither listens nor dials and,
 *   with a `problem`, must not; unless there is a node, `guestOf`
 */
function serventOptions(options) {
  const guestOf = guestOptions(options);
  if (guestOf !== undefined) return { guestOf };
  const { advertise, ...others } = options ?? {};
  checkOptions(others, CHECKS, '');
  const advertised = advertise == null ? null : dialled(advertise, 'advertise');
  const { problem, credentials, engine } = protection(others);
  return { problem, credentials, native: { ...engine, advertised, ...SERVENT } };
}

/** The local node that the options name, if they do: that leaves nothing else to choose. */
function guestOptions(options) {
  checkObject(options);
  if (options?.node === undefined) return undefined;
  checkOptions(options, GUEST_CHECKS, '');
  return options.node[kLocal];
}

/**
 * Checks what `join()` was given.
 *
 * @param {object} [options]
 * @returns {{ seeds?: Function, signal?: AbortSignal, problem?: Error, native: object, credentials?: object }}
 *   `problem` is why it must not be opened; `native` and `credentials` are what the addon is opened
 *   with
 */
function joinOptions(options) {
  checkObject(options);
  checkOptions(options ?? {}, JOIN_CHECKS, '');
  const { listen, advertise, seeds = [], signal, ...others } = options ?? {};
  const own = listen === false ? undefined : parseAddress(inParts(listen ?? {}), 'listen', LISTEN);
  const advertised = advertise == null ? null : dialled(advertise, 'advertise');
  const isAsked = typeof seeds === 'function';
  const { problem, credentials, engine } = protection(others, own);
  return {
    seeds: isAsked ? seeds : undefined,
    signal,
    problem,
    credentials,
    native: {
      ...engine,
      ...JOINED,
      host: own?.host,
      port: own?.port,
      listen: own !== undefined,
      advertised,
      connect: isAsked ? [] : seedAddresses(seeds, 'seeds'),
    },
  };
}

/**
 * Checks what `observe` was given.
 *
 * @param {unknown} address
 * @param {object} [options]
 * @returns {{ native: object, credentials?: object, timeout: number, hasState: boolean, signal?: AbortSignal }}
 */
function observeOptions(address, options) {
  checkObject(options);
  checkOptions(options ?? {}, OBSERVE_CHECKS, '');
  const { timeout = OBSERVE_TIMEOUT_MS, state = true, signal, ...others } = options ?? {};
  const { problem, credentials, engine } = protection(others);
  if (problem) throw problem;
  const connect = [dialled(address, 'address')];
  const manner = { listen: false, observer: true, follows: state, readyTimeout: OBSERVE_READY_MS };
  // Without the state they are not compared, and must not be too small for any report.
  const limits = state ? engine.limits : REPORT_LIMITS;
  return { native: { ...engine, ...manner, limits, connect }, credentials, timeout, hasState: state, signal };
}

/**
 * Checks what `run` of `collective-io/cluster` was given.
 *
 * @param {object} options
 * @returns {{ workers: number, stopTimeout: number, ports: number[], addresses: string[],
 *   seeds: object[], options: object }} `ports` and `addresses` by the id of the worker, `options`
 *   for `join`
 */
function clusterOptions(options) {
  if (options === null || typeof options !== 'object') throw invalid('The options must be an object');
  const own = {};
  const others = {};
  for (const [name, value] of Object.entries(options)) {
    if (OWN_OF_WORKERS.includes(name)) throw invalid(`There is no option \`${name}\` for all workers`);
    (Object.hasOwn(CLUSTER_CHECKS, name) ? own : others)[name] = value;
  }
  checkOptions(own, CLUSTER_CHECKS, '');
  const { workers = availableParallelism(), stopTimeout = STOP_TIMEOUT_MS, host, port } = own;
  const first = parseAddress({ host, port }, 'options');
  if (first.port === 0 || first.port + workers - 1 > PORT_MAX) {
    throw invalid(`\`port\` must be the first of ${workers} ports from 1 to ${PORT_MAX}`);
  }
  const ports = Array.from({ length: workers }, (_, id) => first.port + id);
  const { seeds = [], ...rest } = others;
  // What is wrong is better said once here than by every worker, again and again.
  const { problem } = joinOptions({ ...rest, seeds, listen: first.dial });
  if (problem) throw problem;
  const addresses = ports.map((each) => joinAddress(first.host, each));
  return { workers, stopTimeout, ports, addresses, seeds, options: rest };
}

/** What can be dialled of a list of seeds, each once. */
function seedAddresses(seeds, what) {
  if (!Array.isArray(seeds)) throw invalid(`\`${what}\` must give an array of 'host:port'`);
  return [...new Set(Array.from(seeds, (seed, index) => dialled(seed, `${what}[${index}]`)))];
}

/**
 * Where to listen, from the arguments of `listen` in all the forms of `net.Server`: `(port, host,
 * backlog, callback)` of which all but the order is optional, or an object in place of the first.
 *
 * @returns {{ host: string, port: number, callback?: Function }}
 */
function listenArguments(args) {
  const callback = callbackOf(args);
  const [first, ...rest] = args;
  if (first !== null && typeof first === 'object') {
    return { ...parseAddress({ ...first, host: first.host ?? undefined }, 'options'), callback };
  }
  // The backlog is the system's business.
  const host = rest.find((arg) => arg != null && typeof arg !== 'number');
  return { ...parseAddress({ host, port: first ?? 0 }, 'address'), callback };
}

/**
 * Where to connect to: `(port, host, callback)`, `('host:port', callback)` or an object.
 *
 * @returns {{ address: string, callback?: Function }}
 */
function connectArguments(args) {
  const callback = callbackOf(args);
  const [first, host] = args;
  const isPort = typeof first === 'number' || /^\d+$/.test(first);
  const address = dialled(isPort ? { port: first, host: host ?? undefined } : first, 'address');
  return { address, callback };
}

/** Checks the options of a remote call. */
function callOptions(options) {
  return optionsOf(options, CALL_CHECKS);
}

/** Checks the options of a node's worker. */
function workerOptions(options) {
  const checked = optionsOf(options, WORKER_CHECKS);
  if (checked.queue !== undefined && checked.concurrency === undefined) {
    throw invalid('`queue` is for a worker with `concurrency`');
  }
  return checked;
}

/** Checks the options of a job or call of a node. */
function runOptions(options) {
  return optionsOf(options, RUN_CHECKS);
}

/** Checks options that may be left out. */
function optionsOf(options, checks) {
  checkObject(options);
  checkOptions(options ?? {}, checks, '');
  return options ?? {};
}

/** Checks for how many ms a job may run. */
function checkTTL(ms) {
  const problem = isPeriod(ms);
  if (problem) throw invalid(`The TTL must be ${problem}`);
}

/** Checks the options of `state.entries`. */
function entriesOptions(options) {
  checkObject(options);
  checkOptions(options ?? {}, ENTRIES_CHECKS, '');
  const { limit = Infinity, after } = options ?? {};
  return { limit, after };
}

/** Checks the options of `state.replicated`. */
function replicatedOptions(options) {
  checkObject(options);
  checkOptions(options ?? {}, REPLICATED_CHECKS, '');
  const { peers = 'all', timeout = REPLICATED_TIMEOUT_MS, signal } = options ?? {};
  return { peers, timeout, signal };
}

/** Checks the options of `state.watch`. */
function watchOptions(options) {
  checkObject(options);
  checkOptions(options ?? {}, WATCH_CHECKS, '');
  return options ?? {};
}

function checkObject(options) {
  if (options != null && typeof options !== 'object') throw invalid('The options must be an object');
}

/** The last argument, if it is a function. */
function callbackOf(args) {
  return typeof args.at(-1) === 'function' ? args.pop() : undefined;
}

/** An address that can be dialled, of `'host:port'` or `{host, port}`. */
function dialled(value, what) {
  const { port, dial } = parseAddress(inParts(value), what, DIALLED);
  if (port === 0) throw invalid(`\`${what}.port\` must be the port that a node listens on`);
  return dial;
}

/** An address given as text, as an object. */
function inParts(value) {
  return typeof value === 'string' ? splitAddress(value) : value;
}

function insecureBind(address, port) {
  return codedError(
    'ERR_INSECURE_BIND',
    `Whoever reaches ${joinAddress(address, port)} could read and write all data. Give all nodes one`
      + ' secret: `npx collective-io keygen` makes it, the option `secret` or COLLECTIVE_SECRET takes'
      + ' it; or use `tls`; or listen on 127.0.0.1. Without any of these `insecure: true` or'
      + ' COLLECTIVE_INSECURE=1 listens in the clear',
    { syscall: 'listen', address, port },
  );
}

/**
 * @typedef {object} Address
 * @property {string} host
 * @property {number} port
 * @property {string} name `host:port`, the name that a peer has in `connections`
 * @property {string} dial the same for the addon, with IPv6 addresses in brackets
 */

/**
 * @param {unknown} value
 * @param {string} what it is, for the message
 * @param {{takes: string, port?: number}} form what else may be given, and the port if none is
 * @returns {Address}
 */
function parseAddress(value, what, form = ADDRESS) {
  if (value === null || typeof value !== 'object') {
    throw invalid(`\`${what}\` must be ${form.takes}`);
  }
  const { host = LISTEN_HOST_DEFAULT } = value;
  if (typeof host !== 'string' || !/^[^\s/?#@[\]\p{C}]{1,253}$/u.test(host)) {
    throw invalid(`\`${what}.host\` must be a host name or an IP address`);
  }
  // Ports come from the environment as text often enough.
  const given = value.port ?? form.port;
  const text = typeof given === 'number' ? String(given) : given;
  const port = typeof text === 'string' && /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= PORT_MAX)) {
    throw invalid(`\`${what}.port\` must be an integer from 0 to ${PORT_MAX}`);
  }
  return { host, port, name: `${host}:${port}`, dial: joinAddress(host, port) };
}

/** `host:port` in parts. */
function splitAddress(address) {
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice(0, Math.max(colon, 0)).replace(/^\[|\]$/g, ''),
    port: Number(address.slice(colon + 1) || NaN),
  };
}

/** `host:port` of parts. */
function joinAddress(host, port) {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The forms of an address, and what is said to who gives another. */
const ADDRESS = { takes: '{host, port}' };
const DIALLED = { takes: "'host:port' or {host, port}" };
const LISTEN = { takes: "'host:port', {host, port} or false", port: 0 };

/** Whether only programs of this machine can reach a listener on this host. */
function isLoopback(host) {
  return /^(localhost|::1|(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i.test(host);
}

function checkOptions(options, checks, prefix) {
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    // An option that we don't know is a misspelt one, which must not be ignored in silence.
    if (check === undefined) throw invalid(`There is no option \`${prefix}${name}\``);
    if (value === undefined) continue;
    if (typeof check === 'function') {
      const problem = check(value);
      if (problem) throw invalid(`\`${prefix}${name}\` must be ${problem}`);
    } else if (value === null || typeof value !== 'object') {
      throw invalid(`\`${prefix}${name}\` must be an object`);
    } else {
      checkOptions(value, check, `${prefix}${name}.`);
    }
  }
}

function isBoolean(value) {
  return typeof value !== 'boolean' && 'true or false';
}

function isName(value) {
  const ok = typeof value === 'string' && value.length > 0 && value.length <= 255;
  return !(ok && value.isWellFormed()) && 'a text of 1 to 255 characters';
}

function isFunction(value) {
  return typeof value !== 'function' && 'a function';
}

function isCount(value) {
  return !(Number.isSafeInteger(value) && value > 0) && 'a positive integer';
}

function isAfter(value) {
  return !isText(value) && 'the name of a member';
}

function isPeers(value) {
  const ok = value === 'all' || (Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31);
  return !ok && "a number of peers, or 'all'";
}

function isIndex(value) {
  return !(Number.isSafeInteger(value) && value >= 0) && 'an integer from 0 on';
}

function isDepth(value) {
  const ok = Number.isSafeInteger(value) && value > 0 && value <= DEPTH_MAX;
  return !ok && `an integer from 1 to ${DEPTH_MAX}`;
}

function isTimeout(value) {
  const ok = Number.isSafeInteger(value) && value > 0 && value <= TIMEOUT_MS_MAX;
  return !ok && 'a positive integer of milliseconds';
}

function isPeriod(value) {
  const ok = typeof value === 'number' && value >= 0 && value <= TIMEOUT_MS_MAX;
  return !ok && `a number of milliseconds from 0 to ${TIMEOUT_MS_MAX}`;
}

function isSignal(value) {
  return !(value instanceof AbortSignal) && 'an AbortSignal';
}

function isString(value) {
  return typeof value !== 'string' && 'a text';
}

function isTarget(value) {
  const isList = Array.isArray(value) && value.every((id) => typeof id === 'string');
  const isTagged = Object.keys(Object(value)).join() === 'tags' && isTags(value.tags) === false;
  const ok = typeof value === 'string' || typeof value === 'function' || isList || isTagged;
  return !ok && "'others', the id of a node, an array of ids, {tags}, or a function that chooses peers";
}

/** Checked where it is taken apart. */
function isAny() {
  return false;
}

function isTags(value) {
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
  const tags = plain ? Object.entries(value) : [];
  const sizes = tags.map(([key, tag]) => (isText(tag) && isText(key) ? Buffer.byteLength(key + tag) : NaN));
  const ok = plain && tags.length <= TAGS_MAX && sizes.reduce((sum, size) => sum + size, 0) <= TAGS_BYTES_MAX;
  return !ok && `an object of at most ${TAGS_MAX} texts, ${TAGS_BYTES_MAX} bytes in all`;
}

function isText(value) {
  return typeof value === 'string' && value.isWellFormed();
}

function isNode(value) {
  return value?.[kLocal] === undefined && 'a node, as `join` gives it';
}

function isSeeds(value) {
  const ok = Array.isArray(value) || typeof value === 'function';
  return !ok && "an array of 'host:port', or a function that gives one";
}

function isDuration(value) {
  return !(Number.isSafeInteger(value) && value > 0) && 'a positive integer of milliseconds';
}

function invalid(message) {
  return codedError('ERR_INVALID_ARGUMENT', message);
}

module.exports = {
  callOptions, checkTTL, clusterOptions, collectiveOptions, connectArguments, entriesOptions,
  insecureBind, isLoopback, joinAddress, joinOptions, listenArguments, observeOptions, replicatedOptions,
  rotateOptions, runOptions, seedAddresses, serventOptions, splitAddress, watchOptions,
  workerOptions,
};
