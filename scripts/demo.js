#!/usr/bin/env node
'use strict';

/**
 * npm run demo: the example of collective.js's README, told step by step. Four workers of
 * `node:cluster` share a counter; one is killed and comes back. Every step waits until all workers
 * agree, so the sum is certain. Exit code 0 if they always did.
 */

const cluster = require('node:cluster');
const { once } = require('node:events');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { inspect, isDeepStrictEqual } = require('node:util');

const Collective = require('..');

const WORKERS = 4;
const INCREMENT = 9000;
const KEY = 'over.nine.thousand';
const AGREE_MS = 4000;
const DEMO_MS = 18_000;

/* ---- the primary: says who does what, and prints what each worker then sees ---- */

class Demo {
  #ports;
  #workers = [];
  #disagreements = 0;
  #asked = 0;
  #answers = new Map();

  constructor(ports) {
    this.#ports = ports;
  }

  async run() {
    const everybody = this.#ports.map((_, index) => index);
    say(`Four workers, each a node of its own. No server.`);
    await Promise.all(everybody.map((index) => this.#fork(index)));
    await this.#agree('Each is connected to the three others', everybody, { connections: WORKERS - 1 });

    say(`Worker 0: set('${KEY}', 0)`);
    await this.#ask(0, { set: KEY, value: 0 });
    await this.#agree('Everybody sees 0', everybody, { key: KEY, value: 0 });

    say(`Each worker, all at once: set('${KEY}', ${INCREMENT}, INCREMENT)`);
    await Promise.all(everybody.map((index) => this.#ask(index, { increment: KEY, by: INCREMENT })));
    const sum = INCREMENT * WORKERS;
    await this.#agree(`${INCREMENT} x ${WORKERS} = ${sum}`, everybody, { key: KEY, value: sum });

    say(`Worker 3: set('${KEY}', null, DELETE)`);
    await this.#ask(3, { delete: KEY });
    await this.#agree('It is gone everywhere', everybody, { key: KEY, value: undefined });
    await this.#agree('Its parent stays', everybody, { key: 'over', value: { nine: {} } });

    const crew = { captain: 'Vegeta', power: 9001 };
    say(`Worker 1: set('crew', ${inspect(crew)})`);
    await this.#ask(1, { set: 'crew', value: crew });
    await this.#agree('Everybody has it', everybody, { key: 'crew', value: crew });

    const survivors = [0, 1, 3];
    say(`Worker 2 is killed with SIGKILL (pid ${this.#workers[2].process.pid})`);
    this.#workers[2].process.kill('SIGKILL');
    await once(this.#workers[2], 'exit');
    await this.#agree('The others notice', survivors, { connections: WORKERS - 2 });

    say(`While it is down, worker 0: set('crew.power', 1, INCREMENT)`);
    await this.#ask(0, { increment: 'crew.power', by: 1 });
    crew.power += 1;
    await this.#agree('The others see it', survivors, { key: 'crew', value: crew });

    say('Worker 2 is forked again, on its old port');
    await this.#fork(2);
    await this.#agree('It is connected', everybody, { connections: WORKERS - 1 });
    await this.#agree('It has the data, the change it missed too', everybody, { key: 'crew', value: crew });

    say('All leave with close(), and the processes end by themselves');
    await Promise.all(this.#workers.map(async (worker) => {
      worker.send({ leave: true });
      await once(worker, 'exit');
    }));
    return this.#disagreements === 0;
  }

  /** Starts a worker and waits until its node is ready. */
  async #fork(index) {
    const worker = cluster.fork({ DEMO_INDEX: index, DEMO_PORTS: this.#ports.join() });
    this.#workers[index] = worker;
    worker.on('message', ({ id, answer }) => this.#answers.get(id)?.(answer));
    await this.#ask(index, { ready: true });
  }

  #ask(index, question) {
    const id = this.#asked++;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#workers[index].send({ id, ...question });
    });
  }

  /** Asks workers until they see what is expected, and prints what they see. */
  async #agree(claim, indexes, expected) {
    console.log(`   ${claim}:`);
    const answers = await Promise.all(indexes.map((index) => this.#ask(index, { expect: expected })));
    for (const [at, { ok, seen, ms }] of answers.entries()) {
      if (!ok) this.#disagreements++;
      const index = indexes[at];
      const node = `worker ${index} (127.0.0.1:${this.#ports[index]})`;
      console.log(`     ${ok ? 'pass' : 'FAIL'}  ${node}: ${seen}  after ${ms} ms`);
    }
  }
}

async function primary() {
  const started = Date.now();
  const end = (ok, why) => {
    say(`${ok ? 'PASS' : 'FAIL'}: ${why} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
    process.exit(ok ? 0 : 1);
  };
  setTimeout(end, DEMO_MS, false, 'not finished in time').unref();
  const ok = await new Demo(await freePorts(WORKERS)).run();
  end(ok, ok ? 'all workers agreed at every step' : 'the workers disagreed, see above');
}

/** Asks the system for ports that nobody uses. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

function say(text) {
  console.log(`\n${text}`);
}

/* ---- a worker: does what it is asked, as an application would ---- */

function worker() {
  const all = process.env.DEMO_PORTS.split(',').map((port) => ({ host: '127.0.0.1', port: Number(port) }));
  const collective = new Collective(all[process.env.DEMO_INDEX], all);
  const ready = once(collective, 'ready');
  const { INCREMENT, DELETE } = collective.OPERATIONS;

  process.on('message', async (message) => {
    if (message.leave) {
      await collective.close();
      process.disconnect();
      return;
    }
    if (message.ready) await ready;
    if (message.set) collective.set(message.set, message.value);
    if (message.increment) collective.set(message.increment, message.by, INCREMENT);
    if (message.delete) collective.set(message.delete, null, DELETE);
    const answer = message.expect && await expect(collective, message.expect);
    process.send({ id: message.id, answer });
  });
}

/** Looks until the expected is there. */
async function expect(collective, { connections, key, value }) {
  const started = performance.now();
  for (;;) {
    const seen = key === undefined ? collective.active : collective.get(key);
    const ok = isDeepStrictEqual(seen, key === undefined ? connections : value);
    const ms = Math.round(performance.now() - started);
    if (ok || ms > AGREE_MS) return { ok, seen: inspect(seen), ms };
    await sleep(2);
  }
}

if (cluster.isPrimary) primary();
else worker();
