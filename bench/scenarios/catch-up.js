'use strict';

/**
 * A node is away for a while, stopped as a laptop's lid or a debugger would, while another one goes
 * on writing: how long until it has everything again once it goes on.
 */

const { now, sleep, rss } = require('../meter');

const PACE = 5000;
const EVERY_MS = 10;

function cases({ quick }) {
  const awayMs = quick ? 3_000 : 10_000;
  return [{
    title: `away for ${awayMs / 1000} s, ${PACE.toLocaleString('en')} writes a second meanwhile`,
    nodes: 2,
    rounds: quick ? 1 : 3,
    deadlineMs: awayMs + 60_000,
    rows: [
      { id: 'ms', title: 'until it has everything again', unit: 'ms', words: ['fast', 'slow'], plotted: true },
      { id: 'grown', title: 'the writer has grown meanwhile by', unit: 'MB', words: ['small', 'large'] },
    ],
    async run({ nodes: [writer, reader], open }) {
      await open();
      await writer.ask('write', { ms: 1000, name: 'warm' });
      await reader.ask('seen', { name: 'warm' });
      const before = await writer.ask('memory');
      reader.signal('SIGSTOP');
      await writer.ask('write', { ms: awayMs, name: 'main' });
      const grown = await writer.ask('memory') - before;
      const startedAt = now();
      reader.signal('SIGCONT');
      const seenAt = await reader.ask('seen', { name: 'main' });
      return { ms: (seenAt - startedAt) / 1e6, grown: Math.max(0, grown) / 1e6 };
    },
  }];
}

const duties = {
  memory: () => rss(),

  async write(collective, { ms, name }) {
    const perTurn = PACE * EVERY_MS / 1000;
    const startedAt = now();
    let writes = 0;
    while (writes < PACE * ms / 1000) {
      for (let i = 0; i < perTurn; i++, writes++) {
        collective.set(`${name}.part${Math.floor(writes / 100)}.key${writes % 100}`, writes);
      }
      const next = startedAt + writes / perTurn * EVERY_MS * 1e6;
      await sleep(Math.max(0, (next - now()) / 1e6));
    }
    collective.set(`${name}.writes`, writes);
  },

  /** When all of it is here. */
  async seen(collective, { name }) {
    let writes;
    while ((writes = collective.get(`${name}.writes`)) === undefined) await sleep(1);
    for (let i = 0; i < writes; i++) {
      const key = `${name}.part${Math.floor(i / 100)}.key${i % 100}`;
      while (collective.get(key) !== i) await sleep(1);
    }
    return now();
  },
};

module.exports = { cases, duties };
