'use strict';

/**
 * How long a write takes to show elsewhere: one node SETs a number, the other answers through a key of
 * its own. A figure is half of a round trip, as seen by the first. Both either look on every turn of
 * their event loop, or are told: ours by `node.state.watch`, the plain mesh by calling back right
 * where it applies a write. In the same processes, beside the same load, a bare TCP connection is timed
 * likewise: whatever replicates cannot be faster.
 */

const net = require('node:net');
const { once } = require('node:events');
const { now, sleep } = require('../meter');

const WARM_UP_SAMPLES = 200;
/** Writes a second beside, from a third node. */
const LOAD = 20_000;
const LOAD_EVERY_MS = 10;

function cases({ quick }) {
  const samples = quick ? 300 : 2000;
  return [
    { title: 'looking on every turn', told: false, loaded: false },
    { title: 'told', told: true, loaded: false },
    { title: `told, beside ${LOAD.toLocaleString('en')} writes a second`, told: true, loaded: true },
  ].map(({ title, told, loaded }) => ({
    title: `${samples.toLocaleString('en')} round trips, ${title}`,
    nodes: loaded ? 3 : 2,
    deadlineMs: 60_000,
    rows: [
      { id: 'p50', title: 'one way, median', unit: 'µs', words: ['fast', 'slow'], plotted: told },
      { id: 'p99', title: 'one way, 99th percentile', unit: 'µs', words: ['fast', 'slow'] },
      { id: 'bareP50', title: 'a byte over bare TCP, median', unit: 'µs', words: ['fast', 'slow'] },
      { id: 'bareP99', title: 'a byte over bare TCP, 99th percentile', unit: 'µs', words: ['fast', 'slow'] },
    ],
    async run({ nodes: [asker, echo, writer], open }) {
      await open();
      await echo.ask('echo', { told });
      await writer?.ask('load');
      await asker.ask('ping', { told, from: 1, count: WARM_UP_SAMPLES });
      const { p50, p99 } = await asker.ask('ping', { told, from: WARM_UP_SAMPLES + 1, count: samples });
      const bare = await asker.ask('bare', { port: await echo.ask('bareEcho'), count: samples });
      return { p50, p99, bareP50: bare.p50, bareP99: bare.p99 };
    },
  }));
}

const duties = {
  /** Returns at once and answers as long as the process lives. */
  echo(collective, { told }) {
    let answered;
    onChange(collective, 'ping', told, () => {
      const asked = collective.get('ping');
      if (asked === answered) return;
      answered = asked;
      collective.set('pong', asked);
    });
  },

  async ping(collective, { told, from, count }) {
    const halves = [];
    let number;
    let startedAt;
    let done;
    const stop = onChange(collective, 'pong', told, () => {
      if (collective.get('pong') === number) done?.();
    });
    for (number = from; number < from + count; number++) {
      const answered = new Promise((resolve) => {
        done = resolve;
      });
      startedAt = now();
      collective.set('ping', number);
      await answered;
      halves.push((now() - startedAt) / 2 / 1000);
      done = undefined;
      // A pause, so that each finds the other side idle.
      await sleep(1);
    }
    stop();
    return percentiles(halves);
  },

  /** Gives the port. */
  async bareEcho() {
    const server = net.createServer({ noDelay: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server.address().port;
  },

  async bare(_, { port, count }) {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const halves = [];
    for (let sample = 0; sample < count; sample++) {
      const startedAt = now();
      socket.write('.');
      await once(socket, 'data');
      halves.push((now() - startedAt) / 2 / 1000);
      await sleep(1);
    }
    socket.destroy();
    return percentiles(halves);
  },

  /** Returns at once and writes as long as the process lives. */
  load(collective) {
    let written = 0;
    setInterval(() => {
      for (let i = 0; i < LOAD * LOAD_EVERY_MS / 1000; i++) {
        collective.set(`load.part${written % 100}.key${Math.floor(written / 100) % 100}`, written++);
      }
    }, LOAD_EVERY_MS);
  },
};

function percentiles(samples) {
  samples.sort((a, b) => a - b);
  const at = (share) => samples[Math.floor(samples.length * share)];
  return { p50: at(0.5), p99: at(0.99) };
}

/** Calls back when the key may have changed, until the function that it gives is called. */
function onChange(collective, key, told, callback) {
  if (told && collective.node !== undefined) return collective.node.state.watch(key, callback);
  if (told) return collective.watch(key, callback);
  let stopped = false;
  setImmediate(function look() {
    callback();
    if (!stopped) setImmediate(look);
  });
  return () => {
    stopped = true;
  };
}

module.exports = { cases, duties };
