'use strict';

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

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
  const child = spawn(process.execPath, [...process.execArgv, ...args], {
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

/** A node in a process of its own, see `fixtures/member.js`. */
class Member {
  #child;
  #asked = 0;
  #waiting = new Map();

  constructor(t, local, all, options) {
    const args = [JSON.stringify({ local, all, options })];
    this.#child = fork(path.join(FIXTURES, 'member.js'), args, { cwd: ROOT });
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

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  ready() {
    return this.#ask('ready');
  }

  set(key, value, operation) {
    return this.#ask('set', key, value, operation);
  }

  /** SETs that many keys below a prefix, without waiting in between. */
  setMany(prefix, count) {
    return this.#ask('setMany', prefix, count);
  }

  increment(key, by = 1, times = 1) {
    return this.#ask('increment', key, by, times);
  }

  get(key) {
    return this.#ask('get', key);
  }

  data() {
    return this.#ask('data');
  }

  active() {
    return this.#ask('active');
  }

  stats() {
    return this.#ask('stats');
  }

  signal(signal) {
    this.#child.kill(signal);
  }

  async kill() {
    if (!this.isRunning) return;
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  #ask(method, ...args) {
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, method, args }, (error) => error && reject(error));
    });
  }
}

module.exports = { ROOT, Member, run, runFile, startFile };
