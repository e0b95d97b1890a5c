'use strict';

/**
 * `collective-io/cluster`: the workers of `node:cluster`, each with a node, which stay what they are
 * when they are forked again.
 */

const cluster = require('node:cluster');

const { codedError } = require('./errors.js');
const { join } = require('./join.js');
const { clusterOptions } = require('./options.js');

/** In the environment of a worker: which one it is. */
const ID_VARIABLE = 'COLLECTIVE_WORKER';

/** A worker that lives for so long has not failed at its start. */
const STEADY_MS = 10_000;
/** The pause before a worker is forked again that has, and the longest. */
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 10_000;

const SIGNALS = ['SIGTERM', 'SIGINT'];

/** What a worker asks of its primary when a signal has come: to leave, and another in its place. */
const LEAVE = 'collective-io:leave';

let isRunning = false;

/**
 * In the primary process: forks workers, forks again those that die, and ends when they have left.
 * In a worker: joins the others and calls `main`.
 *
 * @param {import('../cluster').Options} options
 * @param {(node: Node, worker: {id: number, port: number}) => unknown} main
 * @returns {Promise<void>} in the primary fulfilled when all have left, in a worker with `main`
 */
async function run(options, main) {
  const settings = clusterOptions(options);
  if (typeof main !== 'function') {
    throw codedError('ERR_INVALID_ARGUMENT', 'What a worker does must be a function');
  }
  if (isRunning) throw codedError('ERR_INVALID_STATE', 'A process runs one cluster');
  isRunning = true;
  await (cluster.isPrimary ? new Primary(settings).run() : work(settings, main));
}

/**
 * The primary process. It has no node: nothing that the program does can bring it down or keep it
 * from forking a worker.
 */
class Primary {
  #places;
  #stopTimeout;
  #isStopping = false;
  #isOver;
  #onSignal = () => this.#stop();

  constructor({ workers, stopTimeout }) {
    this.#places = Array.from({ length: workers }, (_, id) => ({ id, failures: 0 }));
    this.#stopTimeout = stopTimeout;
  }

  run() {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    for (const place of this.#places) this.#fork(place);
    return new Promise((resolve) => {
      this.#isOver = resolve;
    });
  }

  #fork(place) {
    const worker = cluster.fork({ [ID_VARIABLE]: place.id });
    Object.assign(place, { worker, forked: performance.now(), returns: false });
    worker.on('message', (message) => {
      if (message !== LEAVE || worker.exitedAfterDisconnect) return;
      place.returns = true;
      disconnect(worker);
    });
    worker.on('exit', () => this.#left(place));
  }

  #left(place) {
    const { worker, forked, returns } = place;
    place.worker = undefined;
    // `worker.disconnect()` takes it away for good, as `cluster.disconnect()` does with all.
    const isAway = this.#isStopping || (worker.exitedAfterDisconnect && !returns);
    if (!isAway) {
      place.failures = performance.now() - forked < STEADY_MS ? place.failures + 1 : 0;
      place.timer = setTimeout(() => this.#fork(place), pause(place.failures));
    } else if (this.#places.every((other) => other.worker === undefined)) {
      this.#end();
    }
  }

  /** A signal has come. The second one waits for nobody. */
  #stop() {
    const workers = this.#places.flatMap(({ worker }) => worker ?? []);
    if (this.#isStopping) {
      for (const worker of workers) worker.process.kill('SIGKILL');
      return;
    }
    this.#isStopping = true;
    this.#cancel();
    if (workers.length === 0) this.#end();
    for (const worker of workers) {
      disconnect(worker);
      setTimeout(() => worker.process.kill('SIGKILL'), 2 * this.#stopTimeout).unref();
    }
  }

  #end() {
    this.#cancel();
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    // It ends by itself, unless the program keeps it.
    if (this.#isStopping) setTimeout(() => process.exit(), this.#stopTimeout).unref();
    this.#isOver();
  }

  /** Nobody is forked again. */
  #cancel() {
    for (const { timer } of this.#places) clearTimeout(timer);
  }
}

/** Asks a worker to leave. Once: asked twice, or while it leaves by itself, it would fail. */
function disconnect(worker) {
  if (worker.isConnected() && !worker.exitedAfterDisconnect) worker.disconnect();
}

/** How many ms to wait before a worker is forked that has failed so often at its start. */
function pause(failures) {
  return failures === 0 ? 0 : Math.min(PAUSE_MS * 2 ** (failures - 1), PAUSE_MS_MAX);
}

/** In a worker process. */
async function work(settings, main) {
  const { addresses, ports, stopTimeout } = settings;
  const id = Number(process.env[ID_VARIABLE]);
  if (addresses[id] === undefined) {
    throw codedError('ERR_INVALID_STATE', 'This worker was forked by somebody else: let `run` fork it');
  }
  const leaving = new AbortController();
  cluster.worker.once('disconnect', () => {
    leaving.abort();
    // What keeps the process when its node has closed gets some time, and no more.
    setTimeout(() => process.exit(), stopTimeout).unref();
  });
  for (const signal of SIGNALS) {
    process.once(signal, () => cluster.worker.isConnected() && process.send(LEAVE));
  }
  let node;
  try {
    node = await join({ ...nodeOptions(settings, id), signal: leaving.signal });
  } catch (error) {
    if (leaving.signal.aborted) return;
    throw error;
  }
  await main(node, { id, port: ports[id] });
}

/** What `join` is told by a worker. */
function nodeOptions({ addresses, seeds, options }, id) {
  const others = addresses.filter((_, other) => other !== id);
  return {
    ...options,
    name: options.name && `${options.name}-${id}`,
    listen: addresses[id],
    seeds: typeof seeds === 'function' ? async () => [...others, ...await seeds()] : [...others, ...seeds],
  };
}

module.exports = { run, pause };
