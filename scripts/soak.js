#!/usr/bin/env node
'use strict';

/**
 * npm run soak [-- --minutes 60 --cycles 10000]: whether nodes leave anything behind. So many times a
 * node is opened and closed; then three nodes do all that nodes do, for so long, with keys that stay
 * the same. In between the collector runs and it is looked at what the process has. From 10 minutes
 * on the memory of the last sixth is compared with that of the second, which is what a run of an hour
 * has between its 10th and 20th minute. Exit code 0 if all is well.
 */

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const v8 = require('node:v8');
const vm = require('node:vm');

const { join } = require('..');

const GROWTH_BYTES_MAX = 5 << 20;
/** Who has written is dead for 12 s before it is folded, and who has not is away for a minute. */
const FORGOTTEN_WITHIN_MS = 90_000;
/** With less the allocator has not come to rest. */
const MINUTES_TO_JUDGE = 10;
/** How often it is looked at what there is; a multiple of 6. */
const LOOKS = 60;
const LOOKS_WITHIN_A_MINUTE = 12;
const KEYS = 2000;
const COUNTERS = 100;
const OPERATIONS_PER_ROUND = 40;
const ROUND_PAUSE_MS = 5;

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');
const started = performance.now();

function say(text) {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}`);
}

/** What the process has, the collector's work done. */
async function look() {
  for (let round = 0; round < 2; round++) {
    gc();
    await sleep(20);
  }
  const entries = (path) => (fs.existsSync(path) ? fs.readdirSync(path).length : 0);
  const { rss, heapUsed } = process.memoryUsage();
  return {
    rss,
    heapUsed,
    descriptors: entries('/proc/self/fd'),
    threads: entries('/proc/self/task'),
    handles: process.getActiveResourcesInfo().filter((name) => !/Timeout|Immediate/.test(name)).length,
    listeners: process.listenerCount('exit'),
  };
}

/** Opens and closes a node that has two peers, again and again. */
async function cycle(cycles) {
  const peer = await join();
  const other = await join({ seeds: [peer.address] });
  const wrong = [];
  const settle = Math.min(cycles, Math.max(5, cycles / 6));
  let before;
  for (let round = 0; round < cycles; round++) {
    if (round === Math.floor(settle)) before = await look();
    const node = await join({ seeds: [peer.address] });
    node.state.set('round', round);
    node.worker('nothing', () => null);
    await (round % 10 === 9 ? node.destroy() : node.close());
    if (round % 1000 === 999) say(`${round + 1} nodes opened and closed`);
  }
  const left = await forgotten([peer, other]);
  if (left > 0) wrong.push(`${left} that have ended are not forgotten`);
  await Promise.all([peer.close(), other.close()]);
  // The peers' own are gone as well.
  const after = await look();
  before ??= after;
  for (const what of ['descriptors', 'threads', 'handles', 'listeners']) {
    if (after[what] > before[what]) wrong.push(`${what}: ${before[what]} before, ${after[what]} after ${cycles} cycles`);
  }
  const grown = after.rss - before.rss;
  say(`${cycles} nodes opened and closed: ${inMiB(grown)} MiB more`);
  if (cycles >= 10_000 && grown > GROWTH_BYTES_MAX) wrong.push(`${inMiB(grown)} MiB more after ${cycles} cycles`);
  return wrong;
}

/** How many replicas nodes still know beside themselves when they have had time to fold the others. */
async function forgotten(nodes) {
  const left = () => Math.max(...nodes.map((node) => node.stats().replicas)) - nodes.length;
  const deadline = performance.now() + FORGOTTEN_WITHIN_MS;
  while (left() > 0 && performance.now() < deadline) await sleep(100);
  return left();
}

/** Everything that nodes do, with keys that stay the same. */
class Load {
  #nodes;
  #random = (below) => Math.floor(Math.random() * below);
  #round = 0;
  counts = { writes: 0, reads: 0, jobs: 0, calls: 0, watches: 0 };

  static async open() {
    const load = new Load();
    const first = await join();
    const others = await Promise.all([1, 2].map(() => join({ seeds: [first.address] })));
    load.#nodes = [first, ...others];
    for (const node of load.#nodes) node.worker('echo', (value) => value);
    for (let n = 0; n < KEYS; n++) first.state.set(['keys', `k${n}`], { n, text: 'x'.repeat(100) });
    return load;
  }

  async round() {
    const pick = () => this.#nodes[this.#random(this.#nodes.length)];
    for (let n = 0; n < OPERATIONS_PER_ROUND; n++) {
      const { state } = pick();
      const key = ['keys', `k${this.#random(KEYS)}`];
      if (this.#random(4) === 0) {
        state.get(key);
        this.counts.reads++;
      } else if (this.#random(3) === 0) {
        state.increment(['counters', `c${this.#random(COUNTERS)}`]);
        this.counts.writes++;
      } else {
        // Of one size, so that what is held is too.
        if (this.#random(5) === 0) state.delete(key);
        state.set(key, { n: this.#random(9), text: 'x'.repeat(100) });
        this.counts.writes++;
      }
    }
    const node = pick();
    await node.call('echo', [this.#round++]);
    this.counts.calls++;
    if (this.#round % 10 === 0) {
      await node.run('echo', ['to all']);
      this.counts.jobs++;
      const stop = new AbortController();
      const watched = (async () => {
        for await (const _ of pick().state.watch('keys', { signal: stop.signal })) break;
      })();
      await sleep(1);
      stop.abort();
      await watched.catch((error) => {
        if (error.code !== 'ABORT_ERR') throw error;
      });
      this.counts.watches++;
    }
    await sleep(ROUND_PAUSE_MS);
  }

  documentBytes() {
    return this.#nodes.map((node) => node.stats().documentBytes);
  }

  async close() {
    const from = performance.now();
    await Promise.all(this.#nodes.map((node) => node.close()));
    return performance.now() - from;
  }
}

async function run(minutes) {
  const load = await Load.open();
  const wrong = [];
  const looks = [];
  const count = minutes < 1 ? LOOKS_WITHIN_A_MINUTE : LOOKS;
  const gapMs = (minutes * 60_000) / count;
  for (let n = 0; n < count; n++) {
    const end = performance.now() + gapMs;
    do await load.round(); while (performance.now() < end);
    looks.push({ ...(await look()), documentBytes: Math.max(...load.documentBytes()) });
  }
  const early = looks.slice(count / 6, count / 3);
  const late = looks.slice(-count / 6);
  say(`what                 early       late   after ${minutes} minutes`);
  for (const what of Object.keys(looks[0])) {
    const [before, after] = [early, late].map((some) => median(some.map((each) => each[what])));
    say(`${what.padEnd(15)} ${format(what, before)} ${format(what, after)}`);
    if (what === 'documentBytes') {
      if (Math.abs(after - before) > before / 20) wrong.push(`the document took ${before} bytes, then ${after}`);
    } else if (['rss', 'heapUsed'].includes(what)) {
      if (minutes >= MINUTES_TO_JUDGE && after - before > GROWTH_BYTES_MAX) wrong.push(`${what} grew by ${inMiB(after - before)} MiB`);
    } else if (after > before) {
      wrong.push(`${what}: ${before}, then ${after}`);
    }
  }
  const { writes, reads, jobs, calls, watches } = load.counts;
  say(`${writes} writes, ${reads} reads, ${jobs} jobs, ${calls} calls, ${watches} watches`);
  say(`closed in ${Math.round(await load.close())} ms`);
  return wrong;
}

function median(numbers) {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}

function inMiB(bytes) {
  return (bytes / (1 << 20)).toFixed(1);
}

function format(what, value) {
  const isBytes = /rss|heap|bytes/i.test(what);
  return (isBytes ? `${inMiB(value)} MiB` : String(value)).padStart(10);
}

async function main() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '60' },
      cycles: { type: 'string', default: '10000' },
    },
  });
  const wrong = [...await cycle(Number(values.cycles)), ...await run(Number(values.minutes))];
  for (const line of wrong) say(`WRONG: ${line}`);
  say(wrong.length === 0 ? 'PASS' : 'FAIL');
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

main();
