'use strict';

const { randomBytes } = require('node:crypto');

const { attempt, rethrow } = require('./attempt.js');
const { ReadCache } = require('./cache.js');
const { codedError } = require('./errors.js');
const { EVENT } = require('./inside.js');
const { checkKey, closedError } = require('./keys.js');
const lifetime = require('./lifetime.js');
const native = require('./native.js');
const { Offers } = require('./offers.js');
const { joinAddress } = require('./options.js');
const { describeError } = require('./outcomes.js');

/** How often the network thread hears that the event loop turns. */
const BEAT_MS = 1000;

/** What items of jobs are about, by their first element. */
const ITEM_RUN = 0;
const ITEM_EMITTED = 4;
/** What becomes of a run whose function was taken away while it was on its way. */
const NO_WORKER = describeError(codedError('ERR_NO_WORKER'));

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
  #cache = new ReadCache();
  #faces = new Set();
  #offers = new Offers();
  /** Peers that are there: replica to the event that told so. */
  #roster = new Map();
  #address = null;
  #isReady = false;
  /** Who listens, and who wanted to be connected to an address: they are told if that fails. */
  #listener;
  #connectors = new Map();
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

  /** @param {object} options for the addon, see "The binding's contract" in docs/ARCHITECTURE.md */
  constructor(options) {
    /** Where others reach it, `'host:port'`, as the program says; or null. */
    this.advertised = options.advertised ?? null;
    // Chance comes in as an argument: the engine has none of its own.
    const seed = randomBytes(32).toString('hex');
    // A peer's calls wait until every face has heard of the peer.
    const seeded = { ...options, introductions: true, seed };
    const doorbell = () => this.#drain();
    this.#handle = native.open(JSON.stringify(seeded), this.#cache.slots, doorbell);
    this.#native = this.#handle.functions();
    this.#cache.open(this.#native, (slots) => this.#handle.resizeSlots(slots));
    this.#native.beat();
    this.#timer = setInterval(this.#native.beat, BEAT_MS).unref();
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

  /** Whether it was told that it is ready. */
  get isReady() {
    return this.#isReady;
  }

  /** The events that told of the peers that are there. */
  get roster() {
    return [...this.#roster.values()];
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
  }

  increment(key, by) {
    this.#checkWrite(key);
    this.#native.increment(key, by);
  }

  delete(key) {
    this.#checkWrite(key);
    this.#native.delete(key);
  }

  /** What stands at a key, without reading it: see `SHAPE_*` in data-view.js. */
  shape(key) {
    this.#checkOpen();
    return this.#native.shape(key);
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
    if (key !== null) checkKey(key);
    return JSON.parse(this.#handle.explain(key));
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
    const faces = this.#connectors.get(address) ?? new Set();
    this.#connectors.set(address, faces.add(face));
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
  }

  withdraw(kind, name, tasks) {
    if (this.#offers.remove(kind, name, tasks) && !this.#isClosed) this.#handle.withdraw(kind, name);
  }

  /** Starts a job or call: JSON text of its number and the nodes asked. */
  ask(kind, name, args, to, timeout) {
    this.#checkOpen();
    return this.#native.ask(kind, name, args, to, timeout);
  }

  answer(run, isOk, json) {
    if (!this.#isClosed) this.#native.answer(run, isOk, json);
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
    return { ...JSON.parse(this.#handle.stats()), cachedKeys: this.#cache.size };
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
      const finishing = [...this.#faces].map((face) => face.finish?.()).filter(Boolean);
      if (finishing.length === 0) this.#leave();
      else Promise.all(finishing).then(() => this.#leave());
    }
    return this.#closing;
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
    this.#handle.flushSync(ms);
  }

  #ending() {
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve;
    });
    // The end is near; the process stays for it even if it was told not to stay for the node.
    this.#weigh();
  }

  #leave() {
    if (this.#isClosed) return;
    this.#shut();
    this.#handle.close();
  }

  #shut() {
    this.#isClosed = true;
    this.#cache.close();
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

  #drain() {
    const batch = this.#native.drain();
    if (batch === undefined) return;
    for (const told of JSON.parse(batch)) {
      // What listeners throw is an uncaught exception, as with every emitter, but the rest of the
      // batch is delivered all the same.
      try {
        if (Array.isArray(told)) this.#handleItem(told);
        else this.#handleEvent(told);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    }
  }

  #handleItem(item) {
    if (this.#isClosed) return;
    if (item[0] === ITEM_RUN) return this.#handleRun(item);
    const told = item[0] === ITEM_EMITTED ? this.#offers.all(EVENT, item[2]) : this.#faces;
    for (const face of [...told]) attempt(face.item, face, item);
  }

  #handleRun(item) {
    const [, run, kind, name] = item;
    const tasks = this.#offers.latest(kind, name);
    if (tasks === undefined) this.#native.answer(run, false, NO_WORKER);
    else tasks.item(item);
  }

  #handleEvent(event) {
    if (event.type === 'closed') this.#end();
    // Who closes a node has done with it: nothing but the end is told.
    else if (this.#isClosed) return;
    this.#note(event);
    for (const face of this.#told(event)) attempt(face.event, face, event);
    // Listeners may have exposed something to it: what it calls waits for that.
    if (event.type === 'connect' && !this.#isClosed) this.#handle.introduce(event.peer);
  }

  #note(event) {
    switch (event.type) {
      case 'listening':
        this.#address = event.address;
        break;
      case 'ready':
        this.#isReady = true;
        break;
      case 'connect':
        this.#roster.set(event.peer, event);
        break;
      case 'disconnect':
        this.#roster.delete(event.peer);
        break;
      case 'closed':
        this.#roster.clear();
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

  #end() {
    // A node may also end by a defect in itself.
    this.#ending();
    this.#shut();
    clearInterval(this.#timer);
    lifetime.remove(this);
    this.#closed();
  }

  #checkOpen() {
    if (this.#isClosed) throw closedError();
  }

  #checkWrite(key) {
    if (this.#isClosed) throw closedError();
    checkKey(key);
  }
}

/** The `Error` that an event of the addon stands for. */
function eventError({ type, code, message, ...properties }) {
  return codedError(code, message, properties);
}

module.exports = { LocalNode, eventError };
