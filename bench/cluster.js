'use strict';

/** Forked nodes on loopback, on ports from the system, all killed at the end whatever happens. */

const { fork } = require('child_process');
const path = require('path');

const { HOST, freePorts } = require('./ports');

const STDERR_KEPT_CHARS = 2000;

const alive = new Set();

class Cluster {
  /** Forks `count` nodes; none is a member of anything before `open`. `env` is added to theirs. */
  static async fork(implementation, scenario, count, env) {
    const ports = await freePorts(count);
    return new Cluster(ports.map((port) => new Node(implementation, scenario, port, env)));
  }

  constructor(nodes) {
    this.nodes = nodes;
    this.all = nodes.map(({ local }) => local);
  }

  get pids() {
    return this.nodes.map((node) => node.pid);
  }

  /** Opens these nodes (all of them unless told) at once and waits until they form a full mesh. */
  async open(nodes = this.nodes) {
    await Promise.all(nodes.map((node) => node.ask('open', { local: node.local, all: this.all })));
    await Promise.all(nodes.map((node) => node.ask('connected', { peers: nodes.length - 1 })));
  }

  kill() {
    return Promise.all(this.nodes.map((node) => node.kill()));
  }
}

class Node {
  #child;
  #asked = new Map();
  #lastId = 0;
  #stderr = '';
  #gone;

  constructor(implementation, scenario, port, env) {
    this.local = { host: HOST, port };
    this.#child = fork(path.join(__dirname, 'node.js'), [implementation, scenario], {
      execArgv: ['--expose-gc'],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    alive.add(this.#child);
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT_CHARS);
    });
    this.#child.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#asked.get(id);
      this.#asked.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    });
    // 'close', not 'exit': by then everything it wrote to stderr is here.
    this.#gone = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        alive.delete(this.#child);
        const why = new Error(`a node ended (${signal ?? `code ${code}`}) ${this.#stderr}`.trim());
        for (const { reject } of this.#asked.values()) reject(why);
        this.#asked.clear();
        this.exit = why;
        resolve();
      });
    });
  }

  /** Has the node do a duty (see node.js and the scenarios) and resolves to what it gives. */
  ask(duty, args = {}) {
    return new Promise((resolve, reject) => {
      if (this.exit) return reject(this.exit);
      const id = ++this.#lastId;
      this.#asked.set(id, { resolve, reject });
      // A failed send means that the node is dying; 'close' says why.
      this.#child.send({ id, duty, args }, () => {});
    });
  }

  get pid() {
    return this.#child.pid;
  }

  signal(name) {
    this.#child.kill(name);
  }

  kill() {
    this.#child.kill('SIGKILL');
    return this.#gone;
  }
}

process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

module.exports = { Cluster };
