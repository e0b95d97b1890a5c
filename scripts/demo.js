#!/usr/bin/env node
'use strict';

/**
 * npm run demo: the example of collective.js's README, told step by step. Four workers of
 * `node:cluster` share a counter and ask one another with jobs; one is killed in the middle of a
 * job and comes back. Every step waits until all workers agree, so the sum is certain. Exit code 0
 * if they always did.
 *
 * With --view: something to watch, see live-demo.js.
 */

const cluster = require('node:cluster');
const { once } = require('node:events');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { inspect, isDeepStrictEqual } = require('node:util');

const Collective = require('..');
const { Servent } = Collective;

const WORKERS = 4;
const INCREMENT = 9000;
const KEY = 'over.nine.thousand';
const AGREE_MS = 4000;
const DEMO_MS = 18_000;

/* ---- the primary: says who does what, and prints what each worker then sees ---- */

class Demo {
  #ports;
  #seed;
  #workers = [];
  #disagreements = 0;
  #asked = 0;
  #answers = new Map();

  /** @param {number[]} ports one for each worker, and one for the first of the Servents */
  constructor(ports) {
    this.#ports = ports.slice(0, WORKERS);
    this.#seed = ports[WORKERS];
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

    say('Each worker is a Servent too. They got to know each other through worker 0');
    await this.#agree('Each has three peers', everybody, { peers: WORKERS - 1 });

    say('Worker 0: a job asks every worker for its pid');
    const quick = await this.#ask(0, { job: 'pid', delay: 0 });
    this.#check('It ends when all have answered', quick, { answered: everybody, failed: {} });

    const survivors = [0, 1, 3];
    say(`Worker 0: the same, but every worker takes a second; worker 2 is killed meanwhile with SIGKILL`);
    const asked = this.#ask(0, { job: 'pid', delay: 1000 });
    await this.#agree('It has begun on worker 2', [2], { running: 1 });
    this.#workers[2].process.kill('SIGKILL');
    await once(this.#workers[2], 'exit');
    this.#check('It ends when the others have answered, and tells who is missing', await asked, {
      answered: survivors,
      failed: { 2: 'ERR_PEER_LOST' },
    });
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
    const worker = cluster.fork({
      DEMO_INDEX: index,
      DEMO_PORTS: this.#ports.join(),
      DEMO_SEED: this.#seed,
    });
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

  /** Compares and prints how a job ended. The workers call themselves by number there. */
  #check(claim, { answered, failed, ms }, expected) {
    const ok = isDeepStrictEqual({ answered, failed }, expected);
    if (!ok) this.#disagreements++;
    const seen = `answered: ${answered.map((index) => `worker ${index}`).join(', ') || 'nobody'}`;
    const missing = Object.entries(failed).map(([index, code]) => `worker ${index}: ${code}`);
    console.log(`   ${claim}:`);
    console.log(`     ${ok ? 'pass' : 'FAIL'}  ${[seen, ...missing].join('; ')}  after ${ms} ms`);
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
  const ok = await new Demo(await freePorts(WORKERS + 1)).run();
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
  const index = Number(process.env.DEMO_INDEX);
  const all = process.env.DEMO_PORTS.split(',').map((port) => ({ host: '127.0.0.1', port: Number(port) }));
  const collective = new Collective(all[index], all);
  const ready = once(collective, 'ready');
  const { INCREMENT, DELETE } = collective.OPERATIONS;
  const asker = new Asker(index, Number(process.env.DEMO_SEED));

  process.on('message', async (message) => {
    if (message.leave) {
      await Promise.all([collective.close(), asker.close()]);
      process.disconnect();
      return;
    }
    if (message.ready) await ready;
    if (message.set) collective.set(message.set, message.value);
    if (message.increment) collective.set(message.increment, message.by, INCREMENT);
    if (message.delete) collective.set(message.delete, null, DELETE);
    const answer = message.job
      ? await asker.run(message.delay)
      : message.expect && await expect(collective, asker, message.expect);
    process.send({ id: message.id, answer });
  });
}

/** The job half of a worker. */
class Asker {
  #servent = new Servent();
  #worker;
  /** Who answered with which number, by node: a node that is lost is known from before. */
  #indexes = new Map();
  running = 0;

  constructor(index, seed) {
    // Worker 0 may not listen yet; it is dialled again until it does.
    this.#servent.on('error', () => {});
    this.#servent.listen(index === 0 ? seed : 0);
    if (index !== 0) this.#servent.connect(seed);
    this.#worker = this.#servent.createWorker('pid', async (delay) => {
      this.running++;
      if (delay > 0) await sleep(delay);
      this.running--;
      return { index, pid: process.pid };
    });
  }

  get peers() {
    return Object.keys(this.#servent.peers).length;
  }

  /** Asks every worker; gives who answered, who failed with which code, and the time it took. */
  run(delay) {
    return new Promise((resolve) => {
      this.#worker.distribute((job) => {
        job.on('data', ({ index }, { node }) => this.#indexes.set(node, index));
        job.on('end', ({ answered, failed, ms }) => {
          const indexOf = ({ node }) => this.#indexes.get(node);
          resolve({
            answered: answered.map(indexOf).sort(),
            failed: Object.fromEntries(failed.map((each) => [indexOf(each), each.error.code])),
            ms: Math.round(ms),
          });
        });
        job.run(delay);
      });
    });
  }

  close() {
    return this.#servent.close();
  }
}

/** Looks until the expected is there. */
async function expect(collective, asker, { key, value, connections, peers, running }) {
  const [look, expected] = key !== undefined ? [() => collective.get(key), value]
    : connections !== undefined ? [() => collective.active, connections]
      : peers !== undefined ? [() => asker.peers, peers]
        : [() => asker.running, running];
  const started = performance.now();
  for (;;) {
    const seen = look();
    const ok = isDeepStrictEqual(seen, expected);
    const ms = Math.round(performance.now() - started);
    if (ok || ms > AGREE_MS) return { ok, seen: inspect(seen), ms };
    await sleep(2);
  }
}

if (cluster.isWorker) worker();
else if (process.argv.includes('--view')) require('./live-demo.js').run(process.argv.slice(2));
else primary();
