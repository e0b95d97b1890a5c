'use strict';

/**
 * What a node notices of writes that it does not read: another one writes at a steady pace, and the
 * event loop's delay here is compared with that of an idle node.
 */

const { monitorEventLoopDelay } = require('perf_hooks');

const { now, sleep, meter } = require('../meter');

const EVERY_MS = 10;
const KEYS = 20_000;

function cases({ quick }) {
  const ms = quick ? 500 : 3000;
  return [5_000, 50_000].map((pace) => ({
    title: `${pace.toLocaleString('en')} writes a second from another node`,
    nodes: 2,
    deadlineMs: 60_000,
    rows: [
      row('p99', 'event-loop delay beyond an idle node\'s, 99th percentile', 'ms', ['short', 'long']),
      row('idle', 'that of an idle node', 'ms', ['short', 'long']),
      { ...row('thread', 'main thread, CPU a write', 'µs', ['cheap', 'dear']), plotted: true },
      row('process', 'whole process, CPU a write', 'µs', ['cheap', 'dear']),
      row('wakeUps', 'times the event loop was woken, per 1,000 writes', '', ['rare', 'frequent']),
      { ...row('pace', 'writes a second that were written', '/s', ['fast', 'slow']), more: true },
    ],
    async run({ nodes: [writer, reader], open }) {
      await open();
      await writer.ask('write', { pace, ms: 300, name: 'warm' });
      await reader.ask('begin');
      await sleep(ms / 3);
      const idle = await reader.ask('end');
      await reader.ask('begin');
      const written = await writer.ask('write', { pace, ms, name: 'main' });
      const busy = await reader.ask('end');
      await reader.ask('check', { name: 'main', last: written.writes });
      const perWrite = (us) => (us === null ? null : Math.max(0, us) / written.writes);
      return {
        p99: Math.max(0, busy.p99 - idle.p99),
        idle: idle.p99,
        thread: perWrite(busy.cost.thread),
        process: perWrite(busy.cost.process),
        wakeUps: busy.wakeUps === null ? null : busy.wakeUps / written.writes * 1000,
        pace: written.pace,
      };
    },
  }));
}

function row(id, title, unit, words) {
  return { id, title, unit, words };
}

let delays;
let readCost;
let wakeUpsBefore;

const duties = {
  /** A pace that cannot be kept is written as fast as can be. */
  async write(collective, { pace, ms, name }) {
    const perTurn = pace * EVERY_MS / 1000;
    const startedAt = now();
    let writes = 0;
    while (writes < pace * ms / 1000 && now() - startedAt < ms * 3e6) {
      for (let i = 0; i < perTurn; i++, writes++) {
        collective.set(`${name}.part${writes % 100}.key${Math.floor(writes % KEYS / 100)}`, writes);
      }
      const next = startedAt + writes / perTurn * EVERY_MS * 1e6;
      await sleep(Math.max(0, (next - now()) / 1e6));
    }
    collective.set(`${name}.last`, writes);
    return { writes, pace: writes / (now() - startedAt) * 1e9 };
  },

  async begin(collective) {
    readCost = await meter();
    wakeUpsBefore = collective.stats?.().rings ?? null;
    delays = monitorEventLoopDelay({ resolution: 1 });
    delays.enable();
  },

  async end(collective) {
    // A delay is recorded when it is over; give the last one time to be.
    await sleep(20);
    delays.disable();
    const wakeUps = wakeUpsBefore === null ? null : collective.stats().rings - wakeUpsBefore;
    return { p99: delays.percentile(99) / 1e6, cost: await readCost(), wakeUps };
  },

  async check(collective, { name, last }) {
    while (collective.get(`${name}.last`) !== last) await sleep(2);
  },
};

module.exports = { cases, duties };
