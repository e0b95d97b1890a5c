'use strict';

/** What rivals need beside their library: a server of this machine, or a directory of their own. */

const { spawn, spawnSync } = require('child_process');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');

const { freePorts } = require('./ports');
const { sleep } = require('./meter');

const READY_MS = 10_000;

/** Servers by their command, with the arguments that have them listen on a port and keep nothing. */
const COMMANDS = {
  'redis-server': (port, directory) =>
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory],
  'nats-server': (port) => ['--addr', '127.0.0.1', '--port', String(port)],
};

const alive = new Set();

/** Whether a server is installed. */
function isInstalled(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/**
 * A fresh directory, and a fresh server if a command is given.
 *
 * @returns {Promise<{env: object, stop: () => void}>} `env` is for the nodes
 */
async function provide(command) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-bench-'));
  const remove = () => fs.rmSync(directory, { recursive: true, force: true });
  if (command === undefined) return { env: { BENCH_DIRECTORY: directory }, stop: remove };

  const [port] = await freePorts(1);
  const server = spawn(command, COMMANDS[command](port, directory), { stdio: 'ignore' });
  alive.add(server);
  server.on('error', () => {}); // that it does not listen says enough
  const stop = () => {
    alive.delete(server);
    server.kill('SIGKILL');
    remove();
  };
  try {
    await listening(port, command);
  } catch (error) {
    stop();
    throw error;
  }
  return { env: { BENCH_DIRECTORY: directory, BENCH_PORT: String(port) }, stop };
}

async function listening(port, command) {
  for (const end = Date.now() + READY_MS; Date.now() < end; await sleep(20)) {
    if (await connects(port)) return;
  }
  throw new Error(`${command} does not listen on port ${port}`);
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

process.on('exit', () => {
  for (const server of alive) server.kill('SIGKILL');
});

module.exports = { isInstalled, provide };
