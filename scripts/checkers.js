#!/usr/bin/env node
'use strict';

/**
 * npm run turmoil | loom | miri [-- arguments for the tests]: tests of cargo that `npm test` leaves
 * out, because each needs a build of its own.
 *
 * - turmoil: the net code on a simulated network. TURMOIL_SEED, TURMOIL_SEEDS: which seeds.
 * - loom: every order in which threads can meet over what they share.
 * - miri: the unsafe code of the binding, in an interpreter that knows what is undefined. Needs a
 *   nightly Rust with the component miri.
 *
 * Where what one needs is missing, its crates or its tools, it says so in one line and ends well.
 */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { crates, missing } = require('./needs');

const ROOT = path.dirname(__dirname);
/** Builds that differ in more than features would throw out each other's. */
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
const CRATES = crates(path.join(ROOT, 'Cargo.toml'));

const CHECKERS = {
  turmoil: {
    needs: [CRATES],
    args: ['test', '--locked', '--features', 'turmoil', '--test', 'turmoil'],
    // Without it the runtime's own dice have no seed.
    env: { RUSTFLAGS: '--cfg tokio_unstable', CARGO_TARGET_DIR: path.join(TARGET, 'turmoil') },
  },
  loom: {
    needs: [CRATES],
    args: ['test', '--locked', '--features', 'loom', '--lib', 'net::models'],
  },
  miri: {
    needs: [CRATES, {
      probe: ['cargo', '+nightly', 'miri', 'setup'],
      get: '`rustup toolchain install nightly --component miri,rust-src`',
    }],
    args: ['+nightly', 'miri', 'test', '--locked', '--no-default-features', '--lib', 'memory::'],
    env: { CARGO_TARGET_DIR: path.join(TARGET, 'miri') },
  },
};

function main([name, ...more]) {
  const checker = CHECKERS[name];
  if (checker === undefined) {
    throw new Error(`Which? There are: ${Object.keys(CHECKERS).join(', ')}`);
  }
  const { needs, args, env } = checker;
  const lack = missing(needs);
  if (lack) {
    console.log(`${name}: skipped, needs ${lack}`);
    return;
  }
  const options = { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } };
  const { status, error } = spawnSync('cargo', [...args, '--', ...more], options);
  if (error) throw error;
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name}`);
  process.exitCode = status ?? 1;
}

main(process.argv.slice(2));
