#!/usr/bin/env node
'use strict';

/**
 * npm run fuzz [-- --seconds 60 --only peer,json | --smoke]: gives every target of `tests/targets/`
 * to libFuzzer, so many seconds each, starting from `fuzz/corpus/`. `--smoke` is a few seconds of
 * each, for CI. Needs a nightly Rust, `cargo install cargo-fuzz` and a C++ compiler; where one is
 * missing it says so in one line and ends well, so that it can stand in a script for every machine;
 * `cargo test` runs the same targets over the same corpora anyway. Exit code 1 if something was found.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { crates, missing } = require('./needs');

const ROOT = path.dirname(__dirname);
const CORPORA = path.join(ROOT, 'fuzz', 'corpus');
const TARGETS = fs.readdirSync(CORPORA).sort();
const SMOKE_SECONDS = '3';
const MEMORY_MB = 2000;
const NEEDS = [
  {
    probe: ['cargo', '+nightly', 'fuzz', '--version'],
    get: '`rustup toolchain install nightly` and `cargo install cargo-fuzz`',
  },
  { probe: [process.env.CXX ?? 'c++', '--version'], get: 'a C++ compiler' },
  crates(path.join(ROOT, 'fuzz', 'Cargo.toml')),
];

function main() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      only: { type: 'string', default: TARGETS.join(',') },
      smoke: { type: 'boolean', default: false },
    },
  });
  const lack = missing(NEEDS);
  if (lack) {
    console.log(`fuzz: skipped, needs ${lack}`);
    return;
  }
  const seconds = values.smoke ? SMOKE_SECONDS : values.seconds;
  const failed = values.only.split(',').filter((target) => !fuzz(target, seconds));
  for (const target of failed) console.log(`fuzz: ${target} found something, see above`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

/** What is found on the way stays in a folder of its own; the corpus of the repository is read. */
function fuzz(target, seconds) {
  const found = fs.mkdtempSync(path.join(os.tmpdir(), `fuzz-${target}-`));
  const limits = [`-max_total_time=${seconds}`, `-rss_limit_mb=${MEMORY_MB}`, '-print_final_stats=1'];
  const args = ['+nightly', 'fuzz', 'run', '-O', target, found, path.join(CORPORA, target), '--', ...limits];
  const { status, stderr } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 30 });
  fs.rmSync(found, { recursive: true, force: true });
  if (status !== 0) console.log(stderr);
  const [, runs] = /number_of_executed_units: (\d+)/.exec(stderr) ?? [];
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} fuzz: ${target}, ${runs ?? 'no'} runs`);
  return status === 0;
}

main();
