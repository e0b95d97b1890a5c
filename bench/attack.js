#!/usr/bin/env node
'use strict';

/**
 * node bench/attack.js [--idle 10000 --rate 1000 --seconds 10 --rounds 3]: what strangers cost two
 * nodes with a secret that call each other. So many connections that say nothing, and so many bad
 * handshakes a second, go at the port of one of them; beside that the same at the port of a process
 * that has nothing to do with them, which tells what the attacker alone costs this machine. The
 * figures are the 99th percentile of a call, as a ratio, and the memory of the node.
 */

const { fork } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const BACKLOG = 512;
/** Connections under way to one port: no more than its backlog takes, or the system drops some. */
const OPENING_MAX = 128;
const STEP_MS = 10;

const roles = {
  /** A node whose worker answers at once. */
  async victim({ secret }) {
    const { join } = require('..');
    const node = await join({ secret });
    node.worker('echo', (value) => value);
    return {
      port: Number(node.address.split(':').at(-1)),
      rss: () => process.memoryUsage().rss,
      stats: () => node.stats(),
    };
  },

  /** Its peer, which calls it, one call after the other. */
  async caller({ secret, port }) {
    const { join } = require('..');
    const node = await join({ secret, seeds: [`127.0.0.1:${port}`] });
    const [peer] = node.peers.values();
    return {
      async measure(seconds) {
        const times = [];
        const end = performance.now() + seconds * 1000;
        while (performance.now() < end) {
          const from = performance.now();
          await node.call('echo', [1], { to: peer.id });
          times.push(performance.now() - from);
          await sleep(1);
        }
        times.sort((a, b) => a - b);
        return { calls: times.length, p99: times[Math.floor(times.length * 0.99)] };
      },
      isThere: () => node.peers.has(peer.id),
    };
  },

  /** A port of somebody else's, which treats strangers as a node does: 64 of them, then the oldest goes. */
  async bystander() {
    const open = new Set();
    const server = net.createServer((socket) => {
      open.add(socket);
      if (open.size > 64) open.values().next().value.destroy();
      socket.on('error', () => {}).on('close', () => open.delete(socket)).on('data', () => socket.destroy());
    });
    server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
    await once(server, 'listening');
    return { port: server.address().port };
  },

  async attacker() {
    const sockets = new Set();
    let goes = false;
    let made = 0;
    const connect = (port, bytes) => {
      const socket = net.connect(port, '127.0.0.1');
      sockets.add(socket);
      made++;
      socket.on('error', () => {}).on('close', () => sockets.delete(socket)).resume();
      if (bytes) socket.end(bytes);
      return socket;
    };
    const junk = [Buffer.alloc(100, 0xff), randomBytes(300), Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat([Buffer.from('CLIS\x01\x01\x01'), randomBytes(60)])];
    return {
      /** Begins: keeps so many open, opening anew what is closed, and so many bad ones a second. */
      attack(port, idle, rate) {
        goes = true;
        (async () => {
          while (goes) {
            // Each is worth 2 s, so half of them a second keep that many open where they are let.
            const opening = [...sockets].filter((socket) => socket.connecting).length;
            const due = Math.ceil((idle / 2) * (STEP_MS / 1000));
            for (let n = 0; n < due && opening + n < OPENING_MAX && sockets.size < idle; n++) connect(port);
            await sleep(STEP_MS);
          }
        })();
        (async () => {
          const from = performance.now();
          let sent = 0;
          while (goes) {
            const due = ((performance.now() - from) / 1000) * rate;
            for (; sent < due; sent++) connect(port, junk[sent % junk.length]);
            await sleep(STEP_MS);
          }
        })();
      },
      made: () => made,
      async stop() {
        goes = false;
        for (const socket of sockets) socket.destroy();
        await sleep(500);
        const count = made;
        made = 0;
        return count;
      },
    };
  },
};

/** A process with one of the roles, whose methods can be called. */
async function start(role, options = {}) {
  const child = fork(__filename, ['--role', role], { env: { ...process.env, ATTACK_OPTIONS: JSON.stringify(options) } });
  const answers = [];
  child.on('message', (message) => answers.shift()(message));
  child.on('exit', (code) => code && console.error(`${role} ended with ${code}`));
  const ask = (method, ...args) => new Promise((resolve) => {
    answers.push(resolve);
    if (method) child.send({ method, args });
  });
  return { ask, end: () => child.kill('SIGKILL'), ...await ask() };
}

async function play(role) {
  const { port, ...methods } = await roles[role](JSON.parse(process.env.ATTACK_OPTIONS));
  process.on('message', async ({ method, args }) => process.send((await methods[method](...args)) ?? null));
  process.send({ port });
}

async function main() {
  const { values } = parseArgs({
    options: {
      role: { type: 'string' },
      idle: { type: 'string', default: '10000' },
      rate: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
    },
  });
  if (values.role) return play(values.role);
  const [idle, rate, seconds, rounds] = ['idle', 'rate', 'seconds', 'rounds'].map((name) => Number(values[name]));

  const secret = randomBytes(32).toString('base64');
  const victim = await start('victim', { secret });
  const caller = await start('caller', { secret, port: victim.port });
  const bystander = await start('bystander');
  const attacker = await start('attacker');
  const ratios = [];
  const memory = [];
  await caller.ask('measure', 2);
  console.log('round   alone p99   attack elsewhere   attack here   ratio   memory   connections made');
  for (let round = 0; round < rounds; round++) {
    const alone = await caller.ask('measure', seconds);
    const found = [];
    const made = [];
    const before = await victim.ask('rss');
    for (const port of [bystander.port, victim.port]) {
      await attacker.ask('attack', port, idle, rate);
      found.push((await caller.ask('measure', seconds)).p99);
      if (port === victim.port) memory.push((await victim.ask('rss')) - before);
      made.push(await attacker.ask('stop'));
    }
    ratios.push(found[1] / found[0]);
    const ms = (value) => `${value.toFixed(2)} ms`;
    console.log([round + 1, ms(alone.p99).padStart(15), ms(found[0]).padStart(18), ms(found[1]).padStart(13),
      ratios.at(-1).toFixed(2).padStart(7), `${(memory.at(-1) / (1 << 20)).toFixed(1)} MiB`.padStart(8),
      `${made[0]}, ${made[1]}`].join('  '));
  }
  const { refused, connections, eventsDropped } = await victim.ask('stats');
  console.log(`refused: ${JSON.stringify(refused)}; ${connections} connections at the end, ${eventsDropped} warnings not told`);
  console.log(`the peer is ${(await caller.ask('isThere')) ? 'still there' : 'GONE'}`);
  const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
  console.log(`p99 beside the attack elsewhere: ${median(ratios).toFixed(2)} times; memory: ${(median(memory) / (1 << 20)).toFixed(1)} MiB more`);
  for (const process of [victim, caller, bystander, attacker]) process.end();
}

main();
