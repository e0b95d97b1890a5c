'use strict';

/** What commands that look into a cluster have in common. */

const { parseArgs } = require('node:util');

const { codedError } = require('../errors.js');
const { open } = require('../observer.js');
const { Progress } = require('../progress.js');
const { CommandError, EXIT } = require('./exit.js');

/** How long a command that goes on looks for another node when its own is gone. */
const SEEK_MS_MAX = 15_000;

const CONNECT_OPTIONS = {
  'cluster': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-ca': { type: 'string' },
  'limits': { type: 'string' },
  'timeout': { type: 'string' },
  'json': { type: 'boolean' },
  'help': { type: 'boolean' },
};

const CONNECT_USAGE = `  --cluster <name>     the name of the cluster, if it has one
  --tls-key, --tls-cert, --tls-ca <file>
                       a certificate instead of a secret
  --limits <k,d,v>     key bytes, depth and value bytes, if the cluster has others than by default
  --timeout <ms>       of the connection and of each answer; by default 5000
  --json               for programs
  --help

COLLECTIVE_SECRET holds the secret of the cluster, if it has one.`;

const STATE_USAGE = `All of the state is brought here first and is kept until the command ends, as on a node that joins: about
half a KiB of memory for a small key, and about a second for a million of them.`;

/** The arguments are not those that the command takes. */
function wrongUsage(message) {
  return new CommandError(message, EXIT.USAGE, 'ERR_INVALID_ARGUMENT');
}

/**
 * The options and positional arguments of a command.
 *
 * @param {string[]} args
 * @param {object} options as `parseArgs` takes them, beside those of every command
 * @param {[least: number, most: number]} count of positional arguments
 */
function parse(args, options, [least, most]) {
  const parsed = parseArgs({ args, options: { ...CONNECT_OPTIONS, ...options }, allowPositionals: true });
  const { values, positionals } = parsed;
  if (values.help) return parsed;
  if (positionals.length < least) throw wrongUsage(least === 1 ? 'Which node? Give its host:port' : 'Something is missing');
  if (positionals.length > most) throw wrongUsage(`There is no use for ${JSON.stringify(positionals[most])}`);
  return parsed;
}

/** A number of an option, or what it is by default. */
function count(values, name, byDefault) {
  if (values[name] === undefined) return byDefault;
  const number = Number(values[name]);
  if (!Number.isSafeInteger(number) || number < 1) throw wrongUsage(`--${name} takes a positive integer`);
  return number;
}

/** The options of `observe` of a command line. */
function observeOptions(values) {
  const tls = { key: values['tls-key'], cert: values['tls-cert'], ca: values['tls-ca'] };
  const hasTls = Object.values(tls).some((part) => part !== undefined);
  return {
    name: `collective-io-${process.pid}`,
    cluster: values.cluster,
    timeout: count(values, 'timeout', undefined),
    limits: limits(values.limits),
    tls: hasTls ? tls : undefined,
  };
}

function limits(text) {
  if (text === undefined) return undefined;
  const numbers = text.split(',').map(Number);
  if (numbers.length !== 3 || !numbers.every((number) => Number.isSafeInteger(number) && number > 0)) {
    throw wrongUsage('--limits takes three numbers: key bytes, depth, value bytes');
  }
  const [keyBytes, depth, valueBytes] = numbers;
  return { keyBytes, depth, valueBytes };
}

/**
 * Connects, does something with the observer, and closes it. Ctrl-C ends what waits for `signal`.
 *
 * @param {string} address
 * @param {object} values of the command line
 * @param {{state: boolean}} options whether the state is wanted
 * @param {(observer: Observer, signal: AbortSignal) => Promise<number>} use
 */
async function withObserver(address, values, { state }, use) {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, onSignal);
  let progress;
  try {
    const options = { ...observeOptions(values), state, signal: stop.signal };
    const observer = await open(address, options, (local) => {
      if (state) progress = new Progress(process.stderr, 'fetching the state', () => fetched(local));
    });
    progress?.end();
    try {
      return await use(observer, stop.signal);
    } finally {
      await observer.close();
    }
  } finally {
    progress?.end();
    for (const name of ['SIGINT', 'SIGTERM']) process.off(name, onSignal);
  }
}

/** How much of the state is here. How much there is nobody says before all has come; then it is merged. */
function fetched(local) {
  const { bytes, paths, merged } = local.catchUp() ?? {};
  if (bytes === undefined) return {};
  const note = `${paths.toLocaleString('en-US')} paths, ${(bytes / 1e6).toFixed(1)} MB,`;
  return { done: merged, total: merged > 0 ? paths : 0, note };
}

/**
 * Whether a command that goes on has lost the cluster: at once where there was one node alone, else
 * when no other was found for a while.
 */
class Loss {
  #observer;
  #nodes = 1;
  #since;

  constructor(observer) {
    this.#observer = observer;
  }

  /** How many nodes there were at the last look. */
  note({ length }) {
    if (this.#observer.isConnected) this.#nodes = length;
  }

  get isTotal() {
    if (this.#observer.isConnected) {
      this.#since = undefined;
      return false;
    }
    this.#since ??= performance.now();
    return this.#nodes === 1 || performance.now() - this.#since > SEEK_MS_MAX;
  }
}

/** A path as it is written on a command line: dotted, or a JSON array of segments. */
function pathOf(text) {
  if (text === undefined) return [];
  if (!text.startsWith('[')) return text;
  const path = json(text, 'A path that begins with [ is a JSON array of texts');
  if (!path.every((segment) => typeof segment === 'string')) throw wrongUsage('The segments of a path are texts');
  return path;
}

function json(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrongUsage(`${what}: ${error.message}`);
  }
}

function lost() {
  return codedError('ERR_PEER_LOST', 'The connection was lost');
}

module.exports = {
  CONNECT_USAGE, CommandError, EXIT, Loss, STATE_USAGE, count, json, lost, observeOptions, parse, pathOf,
  withObserver, wrongUsage,
};
