'use strict';

/**
 * npm run demo -- --view [--open] [--port 8080] [--seconds 60]: five workers of `node:cluster` under
 * a load that comes and goes, of which one is killed now and then and forked again, with the live
 * view on them. Until Ctrl-C, or for so many seconds.
 */

const cluster = require('node:cluster');
const { randomInt } = require('node:crypto');
const { once } = require('node:events');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { freePorts } = require('../__test__/support/ports');
const { observe } = require('../lib/observer');
const { openInBrowser } = require('../lib/view/open');
const { openView } = require('../lib/view/server');

const WORKERS = 5;
const TIMEOUT_MS = 2000;

/** Between two kills, and until the worker is forked again. */
const CALM_MS_MIN = 14_000;
const CALM_MS_MAX = 26_000;
const AWAY_MS = 7000;
/** How long workers may take to leave. */
const LEAVE_MS = 6000;

async function run(args) {
  const { port, seconds, open } = parseArgs({
    args,
    options: { view: { type: 'boolean' }, open: { type: 'boolean' }, port: { type: 'string', default: '0' }, seconds: { type: 'string' } },
  }).values;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  if (seconds !== undefined) setTimeout(() => stop.abort(), Number(seconds) * 1000).unref();

  cluster.setupPrimary({ exec: path.join(__dirname, 'live-demo-worker.js'), args: [] });
  const ports = await freePorts(WORKERS);
  const workers = ports.map((_, index) => fork(index, ports));
  await Promise.all(workers.map(isReady));
  // The view hangs on the first worker, which is left alone.
  const observer = await observe(`127.0.0.1:${ports[0]}`, { timeout: TIMEOUT_MS });
  const view = await openView(observer, { port: Number(port) });
  console.log(`Five workers, each a node of its own. Their live view, for this machine alone:\n\n  ${view.url}\n\nCtrl-C ends it.\n`);
  const forget = open ? await openInBrowser(view.url) : undefined;

  await disturb(workers, ports, stop.signal);

  forget?.();
  await view.close();
  await observer.close();
  await leave(workers);
}

/** Kills a worker now and then. */
async function disturb(workers, ports, signal) {
  try {
    for (;;) {
      await sleep(randomInt(CALM_MS_MIN, CALM_MS_MAX), undefined, { signal });
      const index = randomInt(1, WORKERS);
      say(`worker ${index + 1} is killed`);
      workers[index].process.kill('SIGKILL');
      await sleep(AWAY_MS, undefined, { signal });
      say(`worker ${index + 1} is forked again`);
      workers[index] = fork(index, ports);
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
}

function fork(index, ports) {
  const worker = cluster.fork({ DEMO_INDEX: index, DEMO_PORTS: ports.join() });
  // It may be gone when it is told to leave.
  worker.on('error', () => {});
  return worker;
}

function isReady(worker) {
  return Promise.race([once(worker, 'message'), once(worker, 'exit').then(([code, signal]) => {
    throw new Error(`A worker has ended: ${code ?? signal}`);
  })]);
}

async function leave(workers) {
  const timer = setTimeout(() => workers.forEach((worker) => worker.process.kill('SIGKILL')), LEAVE_MS);
  await Promise.all(workers.map(async (worker) => {
    if (worker.isDead()) return;
    const exited = once(worker, 'exit');
    if (worker.isConnected()) worker.disconnect();
    await exited;
  }));
  clearTimeout(timer);
}

function say(what) {
  console.log(`${new Date().toTimeString().slice(0, 8)}  ${what}`);
}

module.exports = { run };
