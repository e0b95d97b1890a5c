#!/usr/bin/env node
'use strict';

/**
 * npm run chaos [-- --minutes 1 --nodes 8 --seed N --storm --hosts --clocks]: real processes whose
 * links are cut, stalled and delayed, and which are killed, started again and frozen, all while they
 * write. Then all is healed, and every node must show one state with exact counters. Beside that every
 * node has all nodes do jobs, each of which must end in time with one outcome for each node. The seed
 * chooses the faults; what they meet is up to the machine, which must not starve them. Exit code 0 if
 * all is well.
 *
 * With `--storm` the only fault is that a node is killed, one every second, and back at once: of what
 * it knew that its peers had, nothing is lost, and the memory of those that live does not grow.
 *
 * With `--hosts` the nodes are on three hosts with a network between (Linux's network namespaces, for
 * which one has to be root): the faults are those of interfaces, routes and narrow links.
 *
 * With `--clocks` wall clocks are set as well, by up to an hour (libfaketime).
 */

const assert = require('node:assert/strict');
const { isDeepStrictEqual, parseArgs } = require('node:util');
const { setTimeout: sleep } = require('node:timers/promises');

const { anySeed, chance } = require('../__test__/support/chance');
const { Clocks } = require('../__test__/support/clocks');
const { Hosts } = require('../__test__/support/hosts');
const { freePorts } = require('../__test__/support/ports');
const { Member } = require('../__test__/support/process');
const { linkedMesh } = require('../__test__/support/wire');
const { until } = require('../__test__/support/until');
const { Progress } = require('../lib/progress');
const { OPERATIONS } = require('..');

const HEAL_MS = 30_000;
const WRITE_GAP_MS = 20;
const OPTIONS = { lossTimeout: 2000, heartbeatInterval: 400 };
const JOB_TTL_MS = 3000;
/** How late a process of a busy machine may notice that the time is over. */
const JOB_SLACK_MS = 2000;
/** How often a storm strikes. */
const STORM_GAP_MS = 1000;
/** What a process may take more at the end than after a third of the time. */
const GROWTH_BYTES_MAX = 32 << 20;

/** Everything that was started, to be ended. Has the one method of a test context that is used. */
class Ends {
  #ends = [];

  after(end) {
    this.#ends.push(end);
  }

  async all() {
    for (const end of this.#ends.reverse()) await end();
  }
}

class Chaos {
  #random;
  #ends;
  #members = [];
  /** By incarnation: which node, how often it incremented, whether it was killed. */
  #incarnations = [];
  #current = [];
  #frozen = new Set();
  #freezes = 0;
  #down = new Set();
  #writing = true;
  #wrongJobs = [];
  #isStorm;
  #hosts;
  #clocks;
  counts = { writes: 0, jobs: 0, outcomes: 0 };
  /** By kind, how often each struck. */
  faults = {};

  constructor(random, ends, { storm, hosts, clocks }) {
    this.#random = random;
    this.#ends = ends;
    this.#isStorm = storm;
    this.#hosts = hosts;
    this.#clocks = clocks;
  }

  async open(count) {
    [this.ports, this.serventPorts] = [await freePorts(count), await freePorts(count)];
    this.mesh = this.#hosts ? this.#hosts.mesh(this.ports) : await linkedMesh(this.#ends, this.ports);
    for (let index = 0; index < count; index++) this.#start(index);
    await Promise.all(this.#members.map((_, index) => this.#ready(index)));
    await this.#connected();
  }

  /** Writes on every node that can until `stop`. */
  async write() {
    await Promise.all(this.#members.map(async (_, index) => {
      for (let round = 0; this.#writing; round++) {
        if (!this.#down.has(index) && !this.#frozen.has(index)) await this.#writeOnce(index, round);
        await sleep(WRITE_GAP_MS);
      }
    }));
  }

  /** Runs one job after the other on every node that can until `stop`. */
  async ask() {
    await Promise.all(this.#members.map(async (_, index) => {
      while (this.#writing) {
        if (!this.#down.has(index) && !this.#frozen.has(index)) await this.#askOnce(index);
        await sleep(WRITE_GAP_MS);
      }
    }));
  }

  async #askOnce(index) {
    const member = this.#members[index];
    const froze = this.#freezes;
    try {
      const job = await member.job(JOB_TTL_MS);
      this.counts.jobs++;
      this.counts.outcomes += job.outcomes;
      const sound = job.outcomes === job.asked && job.nodes === job.asked && job.wrong === 0;
      // A frozen caller cannot keep a time.
      const inTime = job.ms <= JOB_TTL_MS + JOB_SLACK_MS || froze !== this.#freezes;
      if (!sound || !inTime) this.#wrongJobs.push(`node ${index}: a job ended with ${JSON.stringify(job)}`);
    } catch (error) {
      // It was killed.
      if (member === this.#members[index] && !this.#down.has(index)) throw error;
    }
  }

  async #writeOnce(index, round) {
    const incarnation = this.#incarnations[this.#current[index]];
    const member = this.#members[index];
    try {
      // The total first: a node killed in between has one more in it than in its own.
      incarnation.tried++;
      await member.increment('total');
      await member.increment(`own.i${incarnation.id}`);
      await member.set(`shared.k${this.#random(20)}`, { by: index, round });
      if (this.#random(4) === 0) {
        await member.set(`shared.k${this.#random(20)}`, null, OPERATIONS.DELETE);
      }
      incarnation.made++;
      this.counts.writes += 3;
      // Waited for now and then: what is written meanwhile must not hang on it.
      if (this.#isStorm && round % 10 === 0) await this.#confirm(incarnation, member);
    } catch (error) {
      // It was killed.
      if (member === this.#members[index] && !this.#down.has(index)) throw error;
    }
  }

  /** What it has written until here its peers have, as far as it is told. */
  async #confirm(incarnation, member) {
    const { made } = incarnation;
    if (await member.replicated(STORM_GAP_MS)) incarnation.confirmed = made;
  }

  /** The next fault after the last. */
  pause() {
    return sleep(this.#isStorm ? STORM_GAP_MS : 100 + this.#random(1500));
  }

  #note(kind) {
    this.faults[kind] = (this.faults[kind] ?? 0) + 1;
  }

  /** One fault, and its end some time later. */
  async fault() {
    // The first is left alone, for its memory.
    if (this.#isStorm) return this.#kill(1 + this.#random(this.#members.length - 1), 0);
    if (this.#clocks && this.#random(4) === 0) return this.#setClock(this.#random(this.#members.length));
    if (this.#hosts && this.#random(3) > 0) {
      return this.#hosts.fault(this.#random, (kind, text) => {
        this.#note(kind);
        say(text);
      });
    }
    const count = this.#members.length;
    const index = this.#random(count);
    const other = (index + 1 + this.#random(count - 1)) % count;
    const last = 200 + this.#random(3000);
    const links = this.mesh.between(index, other);
    // Between hosts there are no links of ours.
    switch (this.#hosts ? 5 + this.#random(2) : this.#random(7)) {
      case 0:
        this.#note('cut');
        say(`link ${index}-${other} cut for ${last} ms`);
        return this.#during(links, 'cut', last);
      case 1:
        this.#note('stall');
        say(`link ${index}-${other} stalls for ${last} ms`);
        return this.#during(links, 'stall', last);
      case 2: {
        const ms = 20 + this.#random(300);
        this.#note('delay');
        say(`link ${index}-${other} delays by ${ms} ms for ${last} ms`);
        return this.#during(links, 'lag', last, ms);
      }
      case 3: {
        const side = this.#members.map(() => this.#random(2));
        const names = (which) => side.flatMap((is, at) => (is === which ? at : [])).join(' ');
        this.#note('partition');
        say(`partition for ${last} ms: ${names(0)} | ${names(1)}`);
        const across = side.flatMap((is, i) => side.flatMap((its, j) =>
          (i < j && is !== its ? this.mesh.between(i, j) : [])));
        return this.#during(across, 'cut', last);
      }
      case 4:
        this.#note('cut off');
        say(`node ${index} is cut off for ${last} ms`);
        return this.#during(side(count, index).flatMap((at) => this.mesh.between(index, at)), 'cut', last);
      case 5:
        return this.#kill(index, last);
      default:
        return this.#freeze(index, last);
    }
  }

  /** All faults end, every node lives; then all must agree. */
  async heal() {
    this.#writing = false;
    for (const link of this.mesh.links) link.heal();
    await this.#hosts?.heal();
    await Promise.all([...this.#members.keys()].map((index) => this.#thaw(index)));
    await until('every node lives', () => this.#down.size === 0, HEAL_MS);
    await this.#connected();
    const started = performance.now();
    const data = await until('all show one state', () => this.#same(), HEAL_MS);
    say(`one state after ${Math.round(performance.now() - started)} ms`);
    await until('all are reached by a job', async () => {
      const jobs = await Promise.all(this.#members.map((member) => member.job(JOB_TTL_MS)));
      return jobs.every((job) => job.answered === this.#members.length);
    }, HEAL_MS);
    say('a job of any node reaches all');
    return [...this.#check(data), ...this.#wrongJobs, ...await this.#alarms()];
  }

  /** Counters that only a defect raises, on those that live at the end. */
  async #alarms() {
    const stats = await Promise.all(this.#members.map((member) => member.stats()));
    const sum = (name) => stats.reduce((all, each) => all + each[name], 0);
    if (this.#clocks) this.counts['writes from clocks ahead'] = sum('clockSkews');
    return ['stateMismatches', 'badMessages'].filter((name) => sum(name) > 0).map((name) => `${name}: ${sum(name)}`);
  }

  async #same() {
    const [first, ...others] = await Promise.all(this.#members.map((member) => member.data()));
    return others.every((other) => isDeepStrictEqual(other, first)) && first;
  }

  /** What is wrong with the state that all show. */
  #check({ total = 0, own = {} }) {
    const wrong = [];
    let sum = 0;
    for (const { id, tried, made, killed, confirmed } of this.#incarnations) {
      const shown = own[`i${id}`] ?? 0;
      sum += shown;
      const right = killed ? shown <= tried && shown >= confirmed : shown === made;
      if (!right) wrong.push(`incarnation ${id} made ${made} of ${tried}, ${confirmed} confirmed; its counter shows ${shown}`);
    }
    const killed = this.#incarnations.filter((each) => each.killed).length;
    if (total < sum || total > sum + killed) {
      wrong.push(`the total is ${total}, the counters add up to ${sum}; ${killed} were killed`);
    }
    return wrong;
  }

  #start(index) {
    const local = { host: '127.0.0.1', port: this.ports[index] };
    const options = { ...OPTIONS, ...this.#hosts?.options };
    const all = this.mesh.alls[index];
    const launcher = { ...this.#hosts?.launcher(index), ...this.#clocks?.launcher(index) };
    this.#members[index] = new Member(this.#ends, this.#hosts ? all[0] : local, all, options, launcher);
    const id = this.#incarnations.length;
    this.#incarnations.push({ id, tried: 0, made: 0, confirmed: 0, killed: false });
    this.#current[index] = id;
  }

  async #ready(index) {
    const seeds = this.serventPorts.slice(0, 2).filter((_, seed) => seed !== index);
    await this.#members[index].ready();
    if (this.#hosts) return this.#members[index].serveHere();
    await this.#members[index].serve(this.serventPorts[index], seeds, OPTIONS);
  }

  async #kill(index, ms) {
    if (this.#down.size > 2 || this.#down.has(index) || this.#frozen.has(index)) return;
    this.#note('kill');
    say(`node ${index} is killed, and back after ${ms} ms`);
    this.#down.add(index);
    this.#incarnations[this.#current[index]].killed = true;
    await this.#members[index].kill();
    await sleep(ms);
    this.#start(index);
    await this.#ready(index);
    this.#down.delete(index);
  }

  /** Stays wrong until it is set again. */
  #setClock(index) {
    const seconds = [0, 1, 30, 3600][this.#random(4)] * (this.#random(2) === 0 ? -1 : 1);
    this.#note('clock');
    say(`the clock of node ${index} is set ${seconds} s wrong`);
    this.#clocks.set(index, seconds);
  }

  async #freeze(index, ms) {
    if (process.platform === 'win32' || this.#down.has(index) || this.#frozen.has(index)) return;
    this.#note('freeze');
    say(`node ${index} is frozen for ${ms} ms`);
    this.#frozen.add(index);
    this.#freezes++;
    this.#members[index].signal('SIGSTOP');
    await sleep(ms);
    this.#thaw(index);
  }

  #thaw(index) {
    if (this.#frozen.delete(index)) this.#members[index].signal('SIGCONT');
  }

  async #during(links, fault, ms, ...args) {
    for (const link of links) link[fault](...args);
    await sleep(ms);
    for (const link of links) link.heal();
  }

  /** What the first process takes. */
  memory() {
    return this.#members[0].memory();
  }

  #connected() {
    return until('all are connected', async () => {
      const counts = await Promise.all(this.#members.map((member) => member.active()));
      assert.deepEqual(counts, counts.map(() => counts.length - 1));
      return true;
    }, HEAL_MS);
  }
}

/** The others. */
function side(count, index) {
  return Array.from({ length: count }, (_, at) => at).filter((at) => at !== index);
}

const started = performance.now();

function say(text) {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}

/** What has happened, as a table. */
function table(chaos, memory) {
  const rows = Object.entries({
    ...chaos.counts,
    ...Object.fromEntries(Object.entries(chaos.faults).map(([kind, times]) => [`fault: ${kind}`, times])),
    'MiB of the first process': memory.map((bytes) => (bytes / (1 << 20)).toFixed(0)).join(', then '),
  });
  for (const [name, value] of rows) say(`${name.padEnd(26)} ${value}`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      nodes: { type: 'string', default: '8' },
      seed: { type: 'string', default: anySeed() },
      storm: { type: 'boolean', default: false },
      hosts: { type: 'boolean', default: false },
      clocks: { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds ?? Number(values.minutes) * 60);
  const nodes = Number(values.nodes);
  const missing = (values.hosts && Hosts.missing()) || (values.clocks && Clocks.missing());
  if (missing) return say(`SKIP: ${missing}`);
  const [random, ends] = [chance(values.seed), new Ends()];
  const hosts = values.hosts ? await Hosts.open(ends) : undefined;
  if (hosts && !hosts.hasLoss) say('SKIP: the kernel has no netem, so no packets are lost');
  const clocks = values.clocks ? new Clocks(ends) : undefined;
  const chaos = new Chaos(random, ends, { storm: values.storm, hosts, clocks });
  const memory = [];
  let wrong;
  let progress;
  try {
    say(`seed ${values.seed}: ${nodes} nodes for ${seconds} s`);
    await chaos.open(nodes);
    const working = [chaos.write(), chaos.ask()];
    const faults = [];
    const start = performance.now();
    progress = new Progress(process.stderr, 'faults', () => ({ done: performance.now() - start, total: seconds * 1000 }));
    while (performance.now() < start + seconds * 1000) {
      faults.push(chaos.fault());
      await chaos.pause();
      const isSettled = performance.now() > start + (seconds * 1000) / 3;
      if (values.storm && memory.length === 0 && isSettled) memory.push(await chaos.memory());
    }
    progress.end();
    say('everything heals');
    await Promise.all(faults);
    wrong = chaos.heal();
    await Promise.all(working);
    wrong = await wrong;
    memory.push(await chaos.memory());
  } catch (error) {
    wrong = [error.message];
  } finally {
    progress?.end();
    await ends.all();
  }
  if (memory.at(-1) - memory[0] > GROWTH_BYTES_MAX) wrong.push(`the first process grew by ${memory.at(-1) - memory[0]} bytes`);
  table(chaos, memory);
  for (const line of wrong) say(`WRONG: ${line}`);
  const { writes, jobs, outcomes } = chaos.counts;
  const faults = Object.values(chaos.faults).reduce((sum, times) => sum + times, 0);
  const verdict = wrong.length === 0 ? 'PASS' : 'FAIL';
  say(`${verdict}: seed ${values.seed}, ${writes} writes, ${jobs} jobs with ${outcomes} outcomes,`
    + ` ${faults} faults`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

main();
