'use strict';

const { randomBytes } = require('node:crypto');
const { hostname } = require('node:os');
const { types } = require('node:util');
const { isMainThread, threadId } = require('node:worker_threads');

const {
  Announcements, HAS, HAS_IDEMPOTENT, HAS_NONE, HEARD_FUNCTION, WORKERS_EVENT,
} = require('./announcements.js');
const { attempt, rethrow } = require('./attempt.js');
const { ReadCache } = require('./cache.js');
const { codedError } = require('./errors.js');
const { parseFrozen } = require('./freeze.js');
const { Headway } = require('./headway.js');
const { Inquiries } = require('./inquiries.js');
const { JobMeter } = require('./job-meter.js');
const { EVENT, FUNCTION, WORKER } = require('./inside.js');
const { jobId } = require('./job-context.js');
const { checkKey, closedError } = require('./keys.js');
const lifetime = require('./lifetime.js');
const native = require('./native.js');
const { Offers } = require('./offers.js');
const { isLoopback, joinAddress, rotateOptions } = require('./options.js');
const { NO_WORKER, OUTCOMES } = require('./outcomes.js');
const { checkDotted } = require('./paths.js');
const { Questions } = require('./questions.js');
const { Slots } = require('./slots.js');
const { entryOf, tellEvent } = require('./telemetry.js');
const { Watches } = require('./watch.js');

/** How often the network thread hears that the event loop turns. */
const BEAT_MS = 1000;
/** How long a closing node waits for peers to take what they lack. */
const HAND_OVER_MS = 5000;

/** What items of jobs are about, by their first element. */
const ITEM_RUN = 0;
const ITEM_EMITTED = 4;

/** Own jobs that a report tells of. */
const JOBS_TOLD_MAX = 32;

/** How long a closing node waits until its peers know that its workers are gone. */
const FAREWELL_MS = 1000;

/**
 * One node of ours: the addon's handle, the values read through it, its events and its end. The
 * objects that programs use are its faces: a `Node`, a `Collective`, a `Servent`, or several of
 * them at once.
 *
 * @typedef {object} Face called between turns; what it throws is an uncaught exception
 * @property {(event: object) => void} event
 * @property {(item: any[]) => void} [item] of jobs, calls and events of peers
 * @property {() => Promise<void> | undefined} [finish] what is to be done before the node closes
 */
class LocalNode {
  #handle;
  #native;
  #slots = new Slots();
  #cache = new ReadCache(this.#slots);
  #frozen = new ReadCache(this.#slots, { decode: parseFrozen, check: checkDotted });
  /** Likewise what stands at a key, for views that are walked again and again. */
  #shapes = new ReadCache(this.#slots, { check: () => {} });
  #watches = new Watches(this);
  #faces = new Set();
  /** Counts what becomes of own jobs and calls. */
  meter = new JobMeter();
  #offers = new Offers();
  #announcements = new Announcements((json, peer) => this.#announce(json, peer));
  #questions = new Questions();
  #inquiries = new Inquiries(this, this.#questions);
  /** Peers that are there: replica to the event that told so. */
  #roster = new Map();
  /** The same of observers, of which nobody is told. */
  #observers = new Map();
  #address = null;
  /** Gets lines of a log, if the program wants them. */
  #log;
  #headway;
  #mayListenAnywhere;
  #isReady = false;
  /** Who listens, and who wanted to be connected to an address: they are told if that fails. */
  #listener;
  #connectors = new Map();
  /** Calls of `replicated` that wait. */
  #waits = new Map();
  #isBatching = false;
  /** What peers lack is handed over before the end. */
  #handsOver;
  #isClosed = false;
  #isDestroyed = false;
  /** The end of the node, once it was asked for, and what fulfils it. */
  #closing;
  #closed;
  /**
   * Beats, and keeps the process alive: every threadsafe function of the addon is weak, so that
   * JavaScript alone decides.
   */
  #timer;
  /** Faces for which the process stays, unless the program lets the node go. */
  #stays = new Set();
  #isRef = true;
  /** Those with something under way, for which it stays whatever the program said. */
  #holds = new Set();

  /**
   * @param {object} options for the addon, see "The binding's contract" in docs/ARCHITECTURE.md
   * @param {{handsOver?: boolean, credentials?: object}} [manner] `handsOver`: `close` hands over
   *   what peers lack; `credentials`: see `credentialsOf`
   */
  constructor(options, { handsOver = false, credentials } = {}) {
    this.#handsOver = handsOver;
    this.#log = options.log;
    this.#headway = new Headway(this, options.log);
    this.#mayListenAnywhere = options.insecure || credentials !== undefined;
    /** Where others reach it, `'host:port'`, as the program says; or null. */
    this.advertised = options.advertised ?? null;
    /** As others show it to people. */
    this.name = options.name ?? defaultName();
    this.tags = Object.freeze({ ...options.tags });
    // Chance comes in as an argument: the engine has none of its own.
    const seed = randomBytes(32).toString('hex');
    // A peer's calls wait until every face has heard of the peer.
    const seeded = { ...options, name: this.name, introductions: true, seed };
    const doorbell = () => this.#drain();
    this.#handle = native.open(JSON.stringify(seeded), this.#slots.words, doorbell, credentials);
    this.#native = this.#handle.functions();
    this.#slots.open((words) => this.#handle.resizeSlots(words));
    for (const user of [this.#cache, this.#frozen, this.#watches, this.#questions]) user.open(this.#native);
    const { shape, loadShape, unwatch } = this.#native;
    this.#shapes.open({ get: shape, load: loadShape, unwatch });
    if (!options.observer) this.#offerOwn();
    this.#native.beat();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
    lifetime.add(this);
  }

  /** 16 hexadecimal digits: another one if this node has to join again. */
  get id() {
    return this.#handle.id();
  }

  /** 24 hexadecimal digits, which stay. */
  get node() {
    return this.#handle.node();
  }

  /** Where it listens, as `{address, family, port}`, or null. */
  get address() {
    return this.#address;
  }

  /** Where others reach it, `'host:port'`; null if it does not listen. */
  get reachable() {
    if (this.advertised !== null || this.#address === null) return this.advertised;
    return joinAddress(this.#address.address, this.#address.port);
  }

  /** Whether it was told that it is ready. */
  get isReady() {
    return this.#isReady;
  }

  /** The events that told of the peers that are there. */
  get roster() {
    return [...this.#roster.values()];
  }

  /** What told of an observer that is there, as the caller of something. */
  observer(replica) {
    return this.#observers.get(replica);
  }

  /** From now on this face is told everything, until `detach`. The first one is the listener. */
  attach(face) {
    this.#faces.add(face);
    this.#listener ??= face;
  }

  /** The node goes on without this face. */
  detach(face) {
    this.#faces.delete(face);
    this.stay(face, false);
    for (const faces of this.#connectors.values()) faces.delete(face);
  }

  /** Reads go to it directly: it is the hot path. */
  get cache() {
    return this.#cache;
  }

  /** The same values, deeply frozen. */
  get frozen() {
    return this.#frozen;
  }

  get watches() {
    return this.#watches;
  }

  get isClosed() {
    return this.#isClosed;
  }

  /** Whether its end was asked for. */
  get isClosing() {
    return this.#closing !== undefined;
  }

  set(key, json) {
    this.#checkWrite(key);
    this.#native.set(key, json);
    this.#watches.wrote();
  }

  increment(key, by) {
    this.#checkWrite(key);
    this.#native.increment(key, by);
    this.#watches.wrote();
  }

  /** The same, and gives the sum. */
  add(key, by) {
    this.#checkWrite(key);
    const sum = this.#native.add(key, by);
    this.#watches.wrote();
    return sum;
  }

  /** Whether there was something. */
  delete(key) {
    this.#checkWrite(key);
    const wasThere = this.#native.delete(key);
    this.#watches.wrote();
    return wasThere;
  }

  /** Calls a function of whose writes others see all or none. */
  batch(fn) {
    this.#checkOpen();
    if (typeof fn !== 'function' || types.isAsyncFunction(fn)) {
      throw codedError('ERR_INVALID_ARGUMENT', '`batch` needs a function that is not async: it is over when that returns');
    }
    // One within another is a part of it.
    if (this.#isBatching) return fn();
    this.#isBatching = true;
    this.#native.beginBatch();
    try {
      return fn();
    } finally {
      this.#endBatch();
    }
  }

  /** Waits until peers have what was written so far: how many do. */
  async replicated({ peers, timeout, signal }) {
    this.#checkOpen();
    if (signal?.aborted) throw codedError('ABORT_ERR', undefined, { cause: signal.reason });
    const wait = this.#handle.waitFor(peers === 'all' ? null : peers);
    let timer;
    let onAbort;
    try {
      return await new Promise((resolve, reject) => {
        this.#waits.set(wait, { resolve, reject });
        this.hold(wait, true);
        const late = `Not within ${timeout} ms: the writes of this node on ${peers === 'all' ? 'all' : peers} peers`;
        timer = setTimeout(() => reject(codedError('ERR_TIMEOUT', late)), timeout);
        onAbort = () => reject(codedError('ABORT_ERR', undefined, { cause: signal.reason }));
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.#waits.delete(wait);
      this.hold(wait, false);
      if (!this.#isClosed) this.#handle.stopWaiting(wait);
    }
  }

  /** `[rtt, lag, context, hash]` of a peer, if it is there. */
  standing(peer) {
    const json = this.#isClosed ? undefined : this.#handle.standing(peer);
    return json == null ? undefined : JSON.parse(json);
  }

  /** Which peer brings this node up to date, and how far that is; `undefined` if none does. */
  catchUp() {
    const json = this.#isClosed ? undefined : this.#handle.catchUp();
    if (json == null) return undefined;
    const [peer, far] = JSON.parse(json);
    return { peer, ...far };
  }

  observe(key) {
    this.#checkOpen();
    return this.#handle.observe(key);
  }

  stopObserving(id) {
    if (!this.#isClosed) this.#handle.stopObserving(id);
  }

  /** How many members there are. */
  count(key) {
    this.#checkOpen();
    return this.#native.count(key);
  }

  /** Members after one: whether others follow, then names and values. */
  page(key, after, max) {
    this.#checkOpen();
    const json = this.#native.page(key, after, max);
    return json === undefined ? [false] : JSON.parse(json);
  }

  /** What stands at a key, without reading it: see `SHAPE_*` in data-view.js. */
  shape(key) {
    this.#checkOpen();
    return this.#native.shape(key);
  }

  /** The same, kept for the next time. */
  keptShape(key) {
    return this.#shapes.get(key);
  }

  /** The names below a key, none if it is no container. */
  names(key) {
    this.#checkOpen();
    const json = this.#native.keys(key);
    return json === undefined ? [] : JSON.parse(json).keys;
  }

  /** What a key shows and why; `null` is the whole document. */
  explain(key) {
    this.#checkOpen();
    if (key !== null && !Array.isArray(key)) checkKey(key);
    return JSON.parse(this.#handle.explain(key));
  }

  /** Whether strangers cannot reach this host, or cannot do anything there, or were let in. */
  mayListen(host) {
    return this.#mayListenAnywhere || isLoopback(host);
  }

  /** Goes on with other secrets. */
  rotate(options) {
    this.#checkOpen();
    this.#handle.rotate(rotateOptions(options));
  }

  /** Listens, for a face. */
  listen(host, port, face) {
    this.#checkOpen();
    this.#handle.listen(host, port);
    this.#listener = face;
  }

  /** Keeps a connection to `host:port`, for ever. A face is told once if it fails at first. */
  connect(address, face) {
    this.#checkOpen();
    this.#handle.connect(address);
    if (face === undefined) return;
    const faces = this.#connectors.get(address) ?? new Set();
    this.#connectors.set(address, faces.add(face));
  }

  /** Keeps it no longer for its own sake. */
  forget(address) {
    if (!this.#isClosed) this.#handle.forget(address);
  }

  /** The addresses given that lead neither to a peer that is there nor to this node. */
  get unreached() {
    return this.#isClosed ? [] : this.#handle.unreached();
  }

  /** Tells of something that was handled. */
  warn(error) {
    const { code, message, cause } = error;
    this.#handleEvent({ type: 'warning', code, message, cause });
  }

  /** Ends the connection to a peer; neither side dials the other again. */
  dismiss(peer) {
    if (!this.#isClosed) this.#handle.dismiss(peer);
  }

  /** For how many ms the event loop of a peer has not turned; 0 while it does. */
  busyFor(peer) {
    return this.#isClosed ? 0 : this.#handle.busyFor(peer);
  }

  /**
   * Has peers know that there is something of this name, and `tasks` handle what comes of it: of
   * several with one name the latest runs functions, and all hear events.
   */
  offer(kind, name, tasks) {
    this.#checkOpen();
    if (this.#offers.add(kind, name, tasks)) this.#handle.offer(kind, name);
    if (kind === WORKER) this.#announcements.set(name, this.has(name));
  }

  withdraw(kind, name, tasks) {
    if (this.#offers.remove(kind, name, tasks) && !this.#isClosed) this.#handle.withdraw(kind, name);
    if (kind === WORKER) this.#announcements.set(name, this.has(name));
  }

  /** What there is here of a worker of this name: one of `HAS_*`. */
  has(name) {
    const tasks = this.#offers.latest(WORKER, name);
    if (tasks === undefined) return HAS_NONE;
    return tasks.isIdempotent(name) ? HAS_IDEMPOTENT : HAS;
  }

  /** What a peer has told that it has; `undefined` if it has not told yet. */
  peerHas(peer, name) {
    return this.#announcements.at(peer, name);
  }

  /** Starts a job or call: JSON text of its number and the nodes asked. */
  ask(kind, name, args, to, timeout, trace) {
    this.#checkOpen();
    return this.#native.ask(kind, name, args, to, timeout, trace);
  }

  answer(run, isOk, json) {
    if (!this.#isClosed) this.#native.answer(run, isOk, json);
  }

  /** Does not run what was to be run. `outcome`: `NO_WORKER` or `BUSY`. */
  refuse(run, outcome) {
    if (!this.#isClosed) this.#native.refuse(run, outcome);
  }

  setTimeoutOf(job, ms) {
    if (!this.#isClosed) this.#native.setTimeoutOf(job, ms);
  }

  cancel(job, reason) {
    if (!this.#isClosed) this.#native.cancel(job, reason);
  }

  /** Sends an event: the number of peers it goes to. */
  emit(name, args, to) {
    this.#checkOpen();
    return this.#native.emit(name, args, to);
  }

  stats() {
    this.#checkOpen();
    const { links, ...stats } = JSON.parse(this.#handle.stats());
    const caches = [this.#cache, this.#frozen, this.#shapes];
    const sum = (count) => caches.reduce((total, cache) => total + cache[count], 0);
    return {
      ...stats,
      ...this.meter.stats(),
      cachedKeys: this.#cache.size + this.#frozen.size,
      cacheHits: sum('hits'),
      cacheMisses: sum('misses'),
      links: links.map((link) => this.#linkStats(link)),
    };
  }

  #linkStats({ peer, ...link }) {
    const { node: id, name } = this.#roster.get(peer) ?? {};
    const busyFor = this.busyFor(peer);
    return { id: id ?? null, name: name ?? null, state: busyFor > 0 ? 'busy' : 'up', busyFor, ...link };
  }

  /** What this node tells of itself to observers. */
  report() {
    const { node: id, name, tags } = this;
    const peers = this.roster.map(({ peer, node, name: label, tags: theirs, address, advertised }) => (
      { id: node, name: label, tags: theirs, address: advertised ?? address, busyFor: this.busyFor(peer) }));
    const about = { id, replica: this.id, name, tags, address: this.reachable, wallMs: Date.now() };
    return { ...about, stats: this.stats(), jobs: this.#jobs(), peers };
  }

  /** Who an event is about. */
  about({ peer, code }) {
    const { node: id, name, address, advertised } = this.#roster.get(peer) ?? {};
    return { peer: id, name, address: advertised ?? address, ...(code && { code }) };
  }

  /** A line of the program's log. */
  log(entry) {
    attempt(this.#log, undefined, { ...entry, node: this.name, id: this.node });
  }

  /** Asks nodes for something that is nobody's job or call: see `Questions`. */
  question(kind, name, args, to, timeout) {
    this.#checkOpen();
    return this.#questions.ask(kind, name, args, to, timeout);
  }

  /** Whether a face listens, or is to be connected, and so keeps the process. */
  stay(face, isOpen) {
    this.#count(this.#stays, face, isOpen);
  }

  /** Whether something is under way for which the process stays, whatever the program said. */
  hold(tasks, isHeld) {
    this.#count(this.#holds, tasks, isHeld);
  }

  ref() {
    this.#isRef = true;
    this.#weigh();
  }

  unref() {
    this.#isRef = false;
    this.#weigh();
  }

  /** Finishes what is under way, says goodbye to the peers and frees everything. Repeatable. */
  close() {
    if (this.#closing === undefined) {
      this.#ending();
      const hadWorkers = this.#announcements.hasAny;
      const finishing = [...this.#faces].map((face) => face.finish?.());
      if (hadWorkers && this.#roster.size > 0) finishing.push(this.#sayFarewell());
      const waits = finishing.filter(Boolean);
      if (waits.length === 0 && !this.#handsOver) this.#leave();
      else this.#finish(waits);
    }
    return this.#closing;
  }

  async #finish(finishing) {
    await Promise.all(finishing);
    if (this.#handsOver && !this.#isClosed) {
      const lacking = this.roster.filter(({ peer }) => this.standing(peer)?.[1] > 0).length;
      if (this.#log && lacking > 0) this.log({ level: 'info', message: `waits until ${lacking} peers have what they lack` });
      // Who does not take it in time has what others got.
      await this.replicated({ peers: 'all', timeout: HAND_OVER_MS }).catch(() => {});
    }
    this.#leave();
  }

  /** Frees everything, at once. Repeatable, and cuts `close` short. */
  destroy() {
    this.#ending();
    this.#shut();
    if (!this.#isDestroyed) {
      this.#isDestroyed = true;
      this.#handle.destroy();
    }
    return this.#closing;
  }

  /** Gives what is queued a last chance, at the end of the process. */
  flushSync(ms) {
    // The process ends in the middle of one.
    this.#endBatch();
    this.#handle.flushSync(ms);
  }

  #ending() {
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve;
    });
    // The end is near; the process stays for it even if it was told not to stay for the node.
    this.#weigh();
  }

  /**
   * What peers asked of the workers that are gone is refused, while they can hear it, and when they
   * have heard of it, they ask no more.
   */
  #sayFarewell() {
    this.#announcements.flush();
    // Too much may be under way, or the node ends by itself: then there is nothing to wait for.
    return this.#questions.ask(FUNCTION, HEARD_FUNCTION, '[]', '-', FAREWELL_MS).catch(() => {});
  }

  #leave() {
    if (this.#isClosed) return;
    this.#shut();
    this.#handle.close();
  }

  /** What others can ask of every node. */
  #offerOwn() {
    this.#handle.offer(EVENT, WORKERS_EVENT);
    for (const name of [HEARD_FUNCTION, ...Inquiries.names]) this.#handle.offer(FUNCTION, name);
  }

  /** Own jobs and calls that run, the oldest first, and no more than a report has room for. */
  #jobs() {
    const names = new Map(this.roster.map(({ peer, node }) => [peer, node])).set(this.id, this.node);
    return JSON.parse(this.#handle.jobs(JOBS_TOLD_MAX)).map(({ job, outcomes, ...rest }) => ({
      id: jobId(this.node, job),
      ...rest,
      outcomes: outcomes.map(([replica, outcome]) => (
        { node: names.get(replica) ?? replica, status: OUTCOMES[outcome]?.status ?? 'running' })),
    }));
  }

  #endBatch() {
    if (!this.#isBatching) return;
    this.#isBatching = false;
    this.#native.endBatch();
  }

  #shut() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cache.close();
    this.#frozen.close();
    this.#shapes.close();
    this.#watches.close();
    this.#questions.close();
    for (const { reject } of this.#waits.values()) reject(closedError());
  }

  #count(set, member, isIn) {
    if (isIn === set.has(member)) return;
    if (isIn) set.add(member);
    else set.delete(member);
    this.#weigh();
  }

  #weigh() {
    const isKept = this.#holds.size > 0 || (this.#stays.size > 0 && this.#isRef);
    if (this.#closing !== undefined || isKept) this.#timer.ref();
    else this.#timer.unref();
  }

  #beat() {
    this.#native.beat();
    this.#announcements.flush();
    if (!this.#isClosed) this.#headway.look();
  }

  /** Tells a peer of the workers here. Whether there was room; `undefined` if it is too large. */
  #announce(json, peer) {
    if (this.#isClosed) return true;
    try {
      return this.#native.emit(WORKERS_EVENT, json, peer) > 0;
    } catch (error) {
      if (error.code === 'ERR_VALUE_TOO_LARGE') return undefined;
      throw error;
    }
  }

  #drain() {
    const batch = this.#native.drain();
    for (const told of batch === undefined ? [] : JSON.parse(batch)) {
      // What listeners throw is an uncaught exception, as with every emitter, but the rest of the
      // batch is delivered all the same.
      try {
        if (Array.isArray(told)) this.#handleItem(told);
        else this.#handleEvent(told);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    }
    this.#watches.look();
  }

  #handleItem(item) {
    if (this.#isClosed) return;
    if (item[0] === ITEM_RUN) return this.#handleRun(item);
    if (item[0] === ITEM_EMITTED && item[2] === WORKERS_EVENT) {
      return this.#announcements.hear(item[1], item[3]);
    }
    if (this.#questions.item(item)) return;
    const told = item[0] === ITEM_EMITTED ? this.#offers.all(EVENT, item[2]) : this.#faces;
    for (const face of [...told]) attempt(face.item, face, item);
  }

  #handleRun(item) {
    const [, run, kind, name, , remaining, args] = item;
    if (name === HEARD_FUNCTION) return this.#native.answer(run, true, 'null');
    if (Inquiries.names.includes(name)) return void this.#inquiries.answer(run, name, args, remaining);
    const tasks = this.#offers.latest(kind, name);
    if (tasks === undefined) this.#native.refuse(run, NO_WORKER);
    else tasks.item(item);
  }

  #handleEvent(event) {
    if (event.type === 'closed') this.#end(event);
    // Who closes a node has done with it: nothing but the end is told.
    else if (this.#isClosed) return;
    else if (this.#isOfObserver(event)) return this.#handleObserver(event);
    const tell = () => {
      tellEvent(this, event);
      const entry = this.#log && entryOf(this, event);
      if (entry !== undefined) this.log(entry);
    };
    // Who is gone has a name until then.
    if (event.type === 'disconnect') tell();
    this.#note(event);
    if (event.type !== 'disconnect') tell();
    for (const face of this.#told(event)) attempt(face.event, face, event);
    // Listeners may have exposed something to it: what it calls waits for that.
    if (event.type === 'connect' && !this.#isClosed) this.#handle.introduce(event.peer);
  }

  #isOfObserver({ type, observer, peer }) {
    return type === 'connect' ? observer : this.#observers.has(peer);
  }

  /** Programs know nothing of those who look on. */
  #handleObserver(event) {
    if (event.type === 'disconnect') this.#observers.delete(event.peer);
    if (event.type !== 'connect') return;
    this.#observers.set(event.peer, event);
    this.#handle.introduce(event.peer);
  }

  #note(event) {
    switch (event.type) {
      case 'listening':
        this.#address = event.address;
        break;
      case 'ready':
        this.#isReady = true;
        break;
      case 'replicated':
        this.#waits.get(event.wait)?.resolve(event.peers);
        break;
      case 'connect':
        this.#roster.set(event.peer, event);
        this.#announcements.join(event.peer);
        break;
      case 'disconnect':
        this.#roster.delete(event.peer);
        this.#announcements.leave(event.peer);
        break;
      case 'closed':
        this.#roster.clear();
        this.#observers.clear();
        this.#address = null;
    }
  }

  /** The faces that an event is for. */
  #told(event) {
    switch (event.type) {
      case 'error':
        return [this.#listener].filter((face) => this.#faces.has(face));
      case 'connectFailed':
        return [...this.#connectors.get(joinAddress(event.address, event.port)) ?? []];
      default:
        return [...this.#faces];
    }
  }

  #end(event) {
    // A node may also end by a defect in itself, of which a warning has told.
    event.isAsked = this.isClosing;
    this.#ending();
    this.#shut();
    clearInterval(this.#timer);
    lifetime.remove(this);
    this.#handle.retire();
    this.#closed();
  }

  #checkOpen() {
    if (this.#isClosed) throw closedError();
  }

  #checkWrite(key) {
    if (this.#isClosed) throw closedError();
    if (!Array.isArray(key)) checkKey(key);
  }
}

/** Tells apart the nodes of a machine. */
function defaultName() {
  const name = `${hostname()}-${process.pid}`;
  return isMainThread ? name : `${name}-${threadId}`;
}

/** The `Error` that an event of the addon stands for. */
function eventError({ type, code, message, ...properties }) {
  return codedError(code, message, properties);
}

let isExposureTold = false;

/**
 * Tells of something that was handled. That strangers can do everything is told to people, once,
 * even if the program does not want to know.
 */
function warn(emitter, event) {
  const error = eventError(event);
  if (emitter.emit('warning', error) || error.code !== 'ERR_INSECURE_BIND' || isExposureTold) return;
  isExposureTold = true;
  process.emitWarning(error.message, { code: error.code });
}

module.exports = { LocalNode, eventError, warn };
