'use strict';

const { randomInt } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');

/**
 * Below the ports that systems give to whoever does not care: what is free here is not taken by
 * somebody's connection before the test gets to use it.
 */
const PORT_MIN = 12_000;
const PORT_MAX = 32_000;

/** Ports of 127.0.0.1 that the system says are free. */
async function freePorts(count) {
  const servers = [];
  while (servers.length < count) {
    const server = net.createServer().listen(randomInt(PORT_MIN, PORT_MAX), '127.0.0.1');
    if (await once(server, 'listening').then(() => true, () => false)) servers.push(server);
  }
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** Addresses for that many nodes on 127.0.0.1. */
async function freeAddresses(count) {
  return (await freePorts(count)).map((port) => ({ host: '127.0.0.1', port }));
}

/** The first of that many free ports in a row, which is how the examples count. */
async function freePortsInARow(count) {
  for (;;) {
    const [first] = await freePorts(1);
    const servers = Array.from({ length: count }, () => net.createServer());
    const bound = await Promise.all(servers.map((server, offset) => {
      if (first + offset > 65_535) return false;
      server.listen(first + offset, '127.0.0.1');
      return once(server, 'listening').then(() => true, () => false);
    }));
    await Promise.all(servers.map((server) => server.listening && once(server.close(), 'close')));
    if (bound.every(Boolean)) return first;
  }
}

module.exports = { freePorts, freePortsInARow, freeAddresses };
