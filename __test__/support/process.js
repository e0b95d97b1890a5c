'use strict';

const { fork, spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

const { until } = require('./until');

const ROOT = path.resolve(__dirname, '..', '..');
const FIXTURES = path.join(ROOT, '__test__', 'fixtures');

/**
 * Runs a program to its end and returns what it wrote. Killed with the test, and after
 * `deadlineMs`, which shows as `signal`.
 *
 * @param {string} source a program in which `Collective` is loaded
 */
async function run(t, source, { deadlineMs = 15_000, env = {} } = {}) {
  const prelude = `const Collective = require(${JSON.stringify(ROOT)});\n`;
  return end(t, ['-e', prelude + source], { deadlineMs, env });
}

/** The same for a file of the repository. */
async function runFile(t, file, { args = [], deadlineMs = 15_000, env = {} } = {}) {
  return end(t, [path.join(ROOT, file), ...args], { deadlineMs, env });
}

async function end(t, args, { deadlineMs, env }) {
  const child = start(t, args, env);
  const timer = setTimeout(() => kill(child), deadlineMs);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  return { code, signal, stdout: child.output.stdout, stderr: child.output.stderr };
}

/** Starts a program that does not end by itself. `child.output` is what it wrote so far. */
function startFile(t, file, { args = [], env = {} } = {}) {
  return start(t, [path.join(ROOT, file), ...args], env);
}

function start(t, args, env) {
  // Without this process's own options: the runner of later lines of Node.js gives its files all that there are.
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a cluster goes with its primary.
    detached: process.platform !== 'win32',
  });
  child.output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (child.output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (child.output.stderr += text));
  t.after(() => kill(child));
  return child;
}

function kill(child) {
  try {
    process.kill(process.platform === 'win32' ? child.pid : -child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** A program of `fixtures/` that does over IPC what it is asked. */
class Asked {
  #child;
  #asked = 0;
  #waiting = new Map();

  /** @param {object} [launcher] options of `fork` */
  constructor(t, fixture, argument, launcher) {
    const args = [JSON.stringify(argument)];
    this.#child = fork(path.join(FIXTURES, fixture), args, { cwd: ROOT, execArgv: [], ...launcher });
    this.exited = once(this.#child, 'exit');
    this.#child.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) reject(Object.assign(new Error(error.message), { code: error.code }));
      else resolve(value);
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`It ended: ${code ?? signal}`));
    });
    t.after(() => this.kill());
  }

  get pid() {
    return this.#child.pid;
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal) {
    this.#child.kill(signal);
  }

  /** Stops it. Its threads go on until one of them has taken the signal, which is waited for. */
  async stop() {
    this.signal('SIGSTOP');
    const state = () => spawnSync('ps', ['-o', 'stat=', '-p', String(this.pid)], { encoding: 'utf8' }).stdout;
    await until('it has stopped', () => state().startsWith('T'));
  }

  async kill() {
    if (!this.isRunning) return;
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  ask(method, ...args) {
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, method, args }, (error) => error && reject(error));
    });
  }
}

/** A Collective in a process of its own, see `fixtures/member.js`. */
class Member extends Asked {
  constructor(t, local, all, options, launcher) {
    super(t, 'member.js', { local, all, options }, launcher);
  }

  ready() {
    return this.ask('ready');
  }

  /** Is a Servent too. */
  serve(port, seeds, options) {
    return this.ask('serve', port, seeds, options);
  }

  /** Has a Servent on the same node. */
  serveHere() {
    return this.ask('serveHere');
  }

  /** Whether all peers have what it has written, as far as they say so in time. */
  replicated(timeout) {
    return this.ask('replicated', timeout);
  }

  memory() {
    return this.ask('memory');
  }

  peers() {
    return this.ask('peers');
  }

  job(ttl) {
    return this.ask('job', ttl);
  }

  set(key, value, operation) {
    return this.ask('set', key, value, operation);
  }

  /** SETs that many keys below a prefix, without waiting in between. */
  setMany(prefix, count) {
    return this.ask('setMany', prefix, count);
  }

  increment(key, by = 1, times = 1) {
    return this.ask('increment', key, by, times);
  }

  get(key) {
    return this.ask('get', key);
  }

  data() {
    return this.ask('data');
  }

  active() {
    return this.ask('active');
  }

  stats() {
    return this.ask('stats');
  }
}

/** A Servent in a process of its own, see `fixtures/servent.js`. */
class Companion extends Asked {
  constructor(t, options = {}) {
    super(t, 'servent.js', options);
  }

  id() {
    return this.ask('id');
  }

  listen(port) {
    return this.ask('listen', port);
  }

  connect(port) {
    return this.ask('connect', port);
  }

  peers() {
    return this.ask('peers');
  }

  busyFor(id) {
    return this.ask('busyFor', id);
  }

  /** Why its functions that never answer were told to stop. */
  stopped() {
    return this.ask('stopped');
  }

  stats() {
    return this.ask('stats');
  }

  start(name, ...params) {
    return this.ask('start', name, ...params);
  }

  block(ms) {
    return this.ask('block', ms);
  }

  invoke(id, method, params) {
    return this.ask('invoke', id, method, params);
  }

  close() {
    return this.ask('close');
  }
}

/** A node in a process of its own, see `fixtures/node.js`: `ask` has its methods. */
class Fellow extends Asked {
  constructor(t, options = {}) {
    super(t, 'node.js', options);
  }
}

/** A node with workers in a process of its own, see `fixtures/jobs.js`. */
class Workshop extends Asked {
  constructor(t, options = {}) {
    super(t, 'jobs.js', options);
  }

  node() {
    return this.ask('node');
  }

  peers() {
    return this.ask('peers');
  }

  /** Offers one of its functions under another name. */
  worker(name, as, options) {
    return this.ask('worker', name, as, options);
  }

  call(name, args, options) {
    return this.ask('call', name, args, options);
  }

  start(name) {
    return this.ask('start', name);
  }

  runs() {
    return this.ask('runs');
  }

  /** Why its functions that never answer were told to stop. */
  stopped() {
    return this.ask('stopped');
  }

  close() {
    return this.ask('close');
  }
}

module.exports = { ROOT, Companion, Fellow, Member, Workshop, run, runFile, startFile };
