'use strict';

const net = require('node:net');

const { CONNECT_USAGE, EXIT, observeOptions, parse, wrongUsage } = require('./common.js');

const USAGE = `npx collective-io doctor [host:port] [options]

Looks whether a node can run here, and with an address whether it gets to the cluster there: does the
addon load, can it listen, is there a secret that can be used, is somebody at the address, do the two
let each other in, how far are the clocks apart. Says what to change. Ends with 1 if something is wrong.

  --listen <host:port> where a node is to listen; by default 127.0.0.1 and any port
${CONNECT_USAGE}`;

/** From here on writes at the same time are ordered by whose clock is wrong. */
const CLOCK_APART_MS = 500;
const REACH_MS = 3000;

async function run(args) {
  const { values, positionals } = parse(args, { listen: { type: 'string', default: '127.0.0.1:0' } }, [0, 1]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const options = observeOptions(values);
  const findings = [];
  const look = async (what, check) => {
    let finding;
    try {
      finding = { what, isWell: true, ...await check() };
    } catch (error) {
      finding = { what, isWell: false, found: error.message, code: error.code, advice: ADVICE[error.code] };
    }
    findings.push(finding);
    if (!values.json) print(finding);
    return finding.isWell;
  };

  if (await look('the addon loads', loads)) {
    await look('a secret', () => secret(options));
    await look('listening', () => listens(values.listen));
    const [address] = positionals;
    if (address !== undefined && await look('somebody is there', () => reaches(address))) {
      await look('the cluster', () => joins(address, options, look));
    }
  }
  if (values.json) console.log(JSON.stringify({ findings }));
  return findings.every(({ isWell }) => isWell) ? EXIT.OK : EXIT.NOT_WELL;
}

const ADVICE = {
  ERR_ADDON_MISSING: 'run the command that the message names',
  EADDRINUSE: 'another program has the port: choose another one, or end that program',
  EADDRNOTAVAIL: 'the address is not one of this machine: choose one that is, or 0.0.0.0',
  EACCES: 'choose a port above 1023',
  ENOTFOUND: 'the name is not known here: correct it',
  ECONNREFUSED: 'nobody listens there: start a node that does, or correct the address. A node listens on 127.0.0.1 unless it is told otherwise',
  ETIMEDOUT: 'what is sent there is lost: look at the firewalls between',
  ERR_INVALID_SECRET: '`npx collective-io keygen` makes one',
  ERR_MODE_MISMATCH: 'set COLLECTIVE_SECRET to that of the cluster, or unset it if the cluster has none',
  ERR_HANDSHAKE_FAILED: 'the secret or the name of the cluster is another one there: compare COLLECTIVE_SECRET and --cluster',
  ERR_UNKNOWN_SECRET: 'set COLLECTIVE_SECRET to that of the cluster',
  ERR_CERTIFICATE_REFUSED: 'a certificate that the authority of the cluster has issued and that is valid now',
  ERR_PEER_LOST: 'it may want a secret: set COLLECTIVE_SECRET; or it is no node',
  ERR_INCOMPATIBLE_PEER: 'give the same --cluster and --limits as the nodes there have, and the same version of this package',
  ERR_TIMEOUT: 'somebody listens and does not answer: is it a node? Is its machine short of memory?',
};

function loads() {
  require('../native.js');
  return { found: `${process.platform}-${process.arch}, Node.js ${process.versions.node}` };
}

function secret(options) {
  if (options.tls !== undefined) return { found: 'a certificate' };
  const { credentialsOf } = require('../credentials.js');
  const credentials = credentialsOf({});
  if (credentials !== undefined) return { found: 'COLLECTIVE_SECRET can be used' };
  return { found: 'none: a node listens on this machine alone, and speaks in the clear' };
}

function listens(text) {
  const { host, port } = split(text);
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const { address, port: bound } = server.address();
      server.close(() => resolve({ found: `${address}:${bound} is free` }));
    });
  });
}

function reaches(text) {
  const { host, port } = split(text);
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, timeout: REACH_MS });
    const done = (settle, value) => {
      socket.destroy();
      settle(value);
    };
    socket.once('connect', () => done(resolve, { found: `${text} answers within ${Math.ceil(performance.now() - start)} ms` }));
    socket.once('timeout', () => done(reject, Object.assign(new Error(`${text} does not answer`), { code: 'ETIMEDOUT' })));
    socket.once('error', (error) => done(reject, error));
  });
}

async function joins(address, options, look) {
  const { observe } = require('../observer.js');
  const observer = await observe(address, { ...options, state: false });
  try {
    const reports = await observer.reports();
    const silent = reports.filter(({ stats }) => stats === null);
    await look('clocks', () => clocks(reports));
    if (silent.length === 0) return { found: `lets this machine in: ${reports.length} nodes, all of which answer` };
    const names = silent.map(({ name, code }) => `${name} (${code})`).join(', ');
    return { isWell: false, found: `no answer from ${names}`, advice: 'are they busy, or frozen?' };
  } finally {
    await observer.close();
  }
}

/** The clock of the node that was asked, beside this machine's; and what the nodes know of each other's. */
function clocks(reports) {
  const apart = reports.flatMap(({ name, stats, clockAheadMs }) => [
    { from: 'this machine', to: name, ms: clockAheadMs },
    ...(stats?.links ?? []).map((link) => ({ from: name, to: link.name, ms: link.clockAheadMs })),
  ]).filter(({ ms }) => Number.isFinite(ms));
  const worst = apart.reduce((most, each) => (Math.abs(each.ms) > Math.abs(most.ms) ? each : most), { ms: 0 });
  const found = apart.length === 0 ? 'not known' : `at most ${Math.abs(worst.ms)} ms apart`;
  if (Math.abs(worst.ms) < CLOCK_APART_MS) return { found };
  const [behind, ahead] = worst.ms > 0 ? [worst.from, worst.to] : [worst.to, worst.from];
  return { isWell: false, found, advice: `the clock of ${ahead} is ahead of that of ${behind}: have both set by NTP` };
}

function split(text) {
  const { splitAddress } = require('../options.js');
  const { host, port } = splitAddress(text);
  if (host === '' || !(port >= 0 && port <= 65_535)) throw wrongUsage(`${text} is no host:port`);
  return { host, port };
}

function print({ what, isWell, found, code, advice }) {
  console.log(`${isWell ? 'ok  ' : 'BAD '} ${what}: ${found}${code === undefined ? '' : ` (${code})`}`);
  if (!isWell && advice !== undefined) console.log(`     ${advice}`);
}

module.exports = { USAGE, run };
