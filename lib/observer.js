'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

const { codedError } = require('./errors.js');
const { FUNCTION } = require('./inside.js');
const { REPORT_FUNCTION, RUN_FUNCTION } = require('./inquiries.js');
const { encodeArguments } = require('./json.js');
const { checkName, closedError } = require('./keys.js');
const { LocalNode, eventError } = require('./local-node.js');
const { observeOptions } = require('./options.js');
const { OK, OUTCOMES, rebuildError } = require('./outcomes.js');
const { State } = require('./state.js');

/** Nodes that are asked for a report at once. */
const ASKED_AT_ONCE = 16;
/** Nodes of which there are reports; the others of a larger mesh are left out. */
const NODES_MAX = 1024;

/** Nodes whose addresses are remembered. */
const PLACES_MAX = 64;
/** How long the node may take to come back before another one is looked for, and between two rounds of that. */
const SEEK_MS = 1000;
/** For a look whether a node is there, and then for the connection. */
const PROBE_MS_MAX = 2000;
/** How often it is looked whether that has come about. */
const LOOK_MS = 50;

/**
 * Connects with one node of a cluster to look on: to nobody a peer, asked for nothing, and as long
 * as it writes nothing no replica.
 *
 * @param {string | {host?: string, port: number}} address of any node
 * @param {object} [options] `secret`, `tls`, `cluster`, `limits` as of `join`; `name`, for the others;
 *   `timeout` of the connection and of each report, in ms; `state` false: the state is not brought
 *   here; `signal` to give up
 * @returns {Promise<Observer>}
 */
function observe(address, options) {
  return open(address, options, () => {});
}

/** The same; `opened` is given the local node at once, to look how far it is. */
async function open(address, options, opened) {
  const { native, credentials, timeout, hasState, signal } = observeOptions(address, options);
  if (signal?.aborted) throw aborted(signal);
  const local = new LocalNode(native, { handsOver: true, credentials });
  opened(local);
  const observer = new Observer(local, { address: native.connect[0], options, timeout, hasState });
  const stop = () => local.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await connected(local, { address: native.connect[0], timeout, hasState });
  } catch (error) {
    await local.destroy();
    throw signal?.aborted ? aborted(signal) : error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  return observer;
}

/** See `observe`. */
class Observer {
  #local;
  /** The address that was given, and the one that is dialled. */
  #given;
  #address;
  #options;
  #timeout;
  #state;
  /** What is known of the node that it is connected with, or was. */
  #entry;
  /** Where nodes listen, by id, as reports have told; who was told of last comes last. */
  #places = new Map();
  /** It looks for another node, until this is aborted. */
  #seeking;

  /** @hideconstructor */
  constructor(local, { address, options, timeout, hasState }) {
    this.#local = local;
    this.#given = address;
    this.#address = address;
    this.#options = options;
    this.#timeout = timeout;
    this.#state = hasState ? new State(local) : undefined;
    const face = { event: (event) => this.#note(event) };
    local.attach(face);
    local.stay(face, true);
  }

  /** Whether it is connected. If not it dials again, and other nodes of which reports have told. */
  get isConnected() {
    return this.#local.roster.length > 0;
  }

  /** The state that all nodes share, as `node.state`. The first write makes it a replica. */
  get state() {
    if (this.#state === undefined) throw codedError('ERR_INVALID_STATE', 'It was opened with `state: false`');
    return this.#state;
  }

  /**
   * One report of each node that the mesh has, the one that it is connected with first. What cannot
   * be had of a node in time is null, with a code.
   *
   * @returns {Promise<import('..').Report[]>}
   */
  async reports() {
    if (this.#local.isClosing) throw closedError();
    const reports = new Map();
    let routes = [{ ...(this.#entry ?? { id: null, name: null, tags: {}, address: this.#address }), route: [] }];
    while (routes.length > 0 && reports.size < NODES_MAX) {
      const found = [];
      for (let at = 0; at < routes.length; at += ASKED_AT_ONCE) {
        found.push(...await Promise.all(routes.slice(at, at + ASKED_AT_ONCE).map((node) => this.#report(node))));
      }
      for (const { report } of found) reports.set(report.id, report);
      const next = new Map();
      for (const { route, peers } of found) {
        for (const { id, ...peer } of peers) {
          if (!reports.has(id)) next.set(id, { id, ...peer, route: [...route, id] });
        }
      }
      routes = [...next.values()].slice(0, NODES_MAX - reports.size);
    }
    this.#remember([...reports.values()]);
    return [...reports.values()];
  }

  /**
   * Has the node that it is connected with run a job on every node.
   *
   * @param {string} name of the worker
   * @param {unknown[]} [args]
   * @param {{timeout?: number}} [options]
   * @returns {Promise<{node: string, name: string, status: string, value?: any, error?: Error, ms: number}[]>}
   */
  async run(name, args = [], { timeout = this.#timeout } = {}) {
    checkName(name);
    const given = encodeArguments([name, args]);
    const { outcome, value } = await this.#ask(RUN_FUNCTION, given, timeout);
    if (outcome !== OK) throw failure(outcome, value);
    return value.map(({ error, ...result }) => (error === undefined ? result : { ...result, error: rebuildError(error) }));
  }

  /** Ends it, when what it has written is with the node. Repeatable. */
  close() {
    this.#seeking?.abort();
    return this.#local.close();
  }

  async #report({ route, ...node }) {
    const { outcome, value, ms } = await this.#ask(REPORT_FUNCTION, JSON.stringify([route]), this.#timeout);
    if (outcome === OK) {
      const { peers, jobs, wallMs, ...own } = value;
      const clockAheadMs = Math.round(wallMs - (Date.now() - ms / 2));
      return { route, peers, report: { ...own, ms, clockAheadMs, jobs: jobs.map(dated) } };
    }
    const { code } = failure(outcome, value);
    return { route, peers: [], report: { ...node, ms: null, clockAheadMs: null, stats: null, jobs: [], code } };
  }

  /** The outcome on the node that it is connected with. */
  async #ask(name, args, timeout) {
    if (this.#local.isClosing) throw closedError();
    const [entry] = this.#local.roster;
    const outcomes = entry === undefined ? [] : await this.#local.question(FUNCTION, name, args, entry.peer, timeout);
    return outcomes[0] ?? { outcome: OUTCOMES.findIndex(({ status }) => status === 'lost') };
  }

  /** A node that leaves, or is cut off, may know of nobody any more: what was told before is kept. */
  #remember(reports) {
    for (const { id, address } of reports.slice(0, PLACES_MAX)) {
      if (id === null || typeof address !== 'string') continue;
      for (const [other, place] of this.#places) {
        if (other === id || place === address) this.#places.delete(other);
      }
      this.#places.set(id, address);
    }
    for (const id of this.#places.keys()) {
      if (this.#places.size <= PLACES_MAX) break;
      this.#places.delete(id);
    }
  }

  #note(event) {
    if (event.type === 'connect') {
      const { node: id, name, tags, address, advertised } = event;
      this.#entry = { id, name, tags, address: advertised ?? address };
    }
    if (event.type === 'disconnect') this.#lost();
    if (event.type === 'closed') this.#seeking?.abort();
  }

  #lost() {
    if (this.isConnected || this.#local.isClosing || this.#seeking !== undefined || this.#places.size === 0) return;
    this.#seeking = new AbortController();
    this.#seek(this.#seeking.signal)
      .catch((error) => {
        if (error.name !== 'AbortError' && error.code !== 'ABORT_ERR') throw error;
      })
      .finally(() => {
        this.#seeking = undefined;
        // It may have been lost again meanwhile.
        this.#lost();
      });
  }

  /** Until it is connected again, tries one node after the other, the one that was given first. */
  async #seek(signal) {
    const timeout = Math.min(this.#timeout, PROBE_MS_MAX);
    const options = { ...this.#options, state: false, timeout, signal };
    for (;;) {
      await sleep(SEEK_MS, undefined, { signal });
      const candidates = [[undefined, this.#given], ...[...this.#places].reverse()];
      for (const [id, address] of candidates) {
        if (this.isConnected) return;
        if (address === this.#address) continue;
        if (!await this.#isThere(id, address, options)) continue;
        signal.throwIfAborted();
        if (this.isConnected) return;
        this.#local.forget(this.#address);
        this.#address = address;
        this.#local.connect(address);
        // As long as a connection may take; then the next one is tried.
        for (const end = performance.now() + timeout; !this.isConnected && performance.now() < end;) {
          await sleep(LOOK_MS, undefined, { signal });
        }
        if (this.isConnected) return;
      }
    }
  }

  /**
   * Whether the node that is meant is at an address. Behind a tunnel, or where another one has taken
   * its place, an address that reports have told may be that of a stranger, whose state is another one.
   */
  async #isThere(id, address, options) {
    const { timeout, signal } = options;
    const opening = open(address, options, () => {});
    try {
      // Opening has an end, and so has what comes after a failure; whatever keeps either holds up nothing here.
      const probe = await Promise.race([opening, sleep(2 * timeout, undefined, { signal, ref: false })]);
      return probe !== undefined && (id === undefined || probe.#entry?.id === id);
    } catch (error) {
      if (signal.aborted) throw error;
      return false;
    } finally {
      opening.then((probe) => probe.close(), () => {});
    }
  }
}

/** When a job began and is to end on this clock; nodes tell how long ago and how soon. */
function dated({ ageMs, remainingMs, ...job }) {
  const now = Date.now();
  return { ...job, startedMs: now - ageMs, deadlineMs: now + remainingMs };
}

function failure(outcome, value) {
  if (value !== undefined) return rebuildError(value);
  const { code, message } = OUTCOMES[outcome];
  return codedError(code, `The node ${message}`);
}

function aborted(signal) {
  return codedError('ABORT_ERR', undefined, { cause: signal.reason });
}

/** Why there is no connection. Who speaks in another mode is closed without a word. */
function refused(event, address) {
  if (event.code !== 'ERR_PEER_LOST') return eventError(event);
  const message = `${address} has ended the connection: it may want a secret or a certificate, or be no node`;
  return eventError({ ...event, message });
}

/** The node is connected, and has what the other has if it is to; rejected if it cannot be. */
function connected(local, { address, timeout, hasState }) {
  return new Promise((resolve, reject) => {
    let warning;
    const done = (settle, value) => {
      clearTimeout(timer);
      local.detach(face);
      settle(value);
    };
    const late = () => codedError('ERR_TIMEOUT', `No node has answered at ${address} within ${timeout} ms`);
    const timer = setTimeout(() => done(reject, warning ?? late()), timeout);
    const face = {
      event(event) {
        // All of the state may take as long as it takes; else there is nothing more to wait for.
        if (event.type === 'connect' && hasState) clearTimeout(timer);
        else if (event.type === 'warning') warning = eventError(event);
        else if (event.type === 'connectFailed' || event.type === 'disconnect') done(reject, warning ?? refused(event, address));
        else if (event.type === 'closed') done(reject, codedError('ERR_CLOSED'));
        else if (event.type === 'ready' && local.roster.length > 0) done(resolve);
      },
    };
    local.attach(face);
    // So that it is told if that fails.
    local.connect(address, face);
  });
}

module.exports = { observe, open, Observer };
