'use strict';

/** What a check needs that `npm test` does not, and how to get it. */

const { spawnSync } = require('node:child_process');

/** Probes must not install a toolchain by themselves, nor wait long for a network. */
const ENV = { RUSTUP_AUTO_INSTALL: '0', CARGO_NET_RETRY: '0' };

/** The crates of a lock file, in the cache of cargo or to be had. */
function crates(manifest) {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' });
  const [, host] = /^host: (.*)$/m.exec(stdout ?? '') ?? [];
  const args = ['fetch', '--locked', '--manifest-path', manifest, ...host ? ['--target', host] : []];
  return { probe: ['cargo', ...args], get: 'a network to fetch its crates once' };
}

/** How to get what is missing; nothing if all is there. */
function missing(needs) {
  const lacks = ({ probe: [command, ...args] }) =>
    spawnSync(command, args, { env: { ...process.env, ...ENV }, stdio: 'ignore' }).status !== 0;
  return needs.find(lacks)?.get;
}

module.exports = { crates, missing };
