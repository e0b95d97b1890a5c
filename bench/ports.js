'use strict';

const net = require('net');

const HOST = '127.0.0.1';

/** Ports that are all free now. Another process may still take one: the caller tries again. */
async function freePorts(count) {
  const listen = () => new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, HOST, () => resolve(server));
  });
  const servers = await Promise.all(Array.from({ length: count }, listen));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

module.exports = { HOST, freePorts };
