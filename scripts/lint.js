#!/usr/bin/env node
'use strict';

/**
 * npm run lint: formatting, clippy, the walls between the storeys (docs/ARCHITECTURE.md), types,
 * that the mutants still fit the sources, and what others' packages bring with them. What needs a
 * tool or a service that is not there is left out, and says so.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const mutants = require('./mutants');

const ROOT = path.dirname(__dirname);

/** The engine is built without these, so it cannot have them by way of another crate. */
const CRATES_BELOW = /\b(tokio|tokio-util|napi|napi-derive|napi-sys|socket2|parking_lot|mio) v/;

/** What the engine must not even name: it would compile where features are on. */
const WORDS_BELOW =
  /\b(tokio|napi|std::net|std::thread|std::time::(Instant|SystemTime)|Instant::now|SystemTime::now|thread_rng|from_os_rng|OsRng|RandomState)\b/;

/** What the parts of the engine must not know of each other. */
const STRANGERS = {
  document: /\b(engine|super)::(membership|replication|jobs|wire)\b/,
  membership: /\b(engine|super)::(document|replication|jobs)\b/,
  jobs: /\b(engine|super)::(document|membership|replication)\b/,
};

const CHECKS = {
  'cargo fmt': () => run('cargo', ['fmt', '--check']),
  'clippy': () => run('cargo', [...CLIPPY, '--all-targets', '--', ...DENY]),
  'clippy, engine alone': () => run('cargo', [...CLIPPY, '--no-default-features', '--', ...DENY]),
  'clippy, addon': () => run('cargo', [...CLIPPY, '--lib', '--features', 'addon', '--', ...DENY]),
  'walls: crates below the engine': crates,
  'walls: words in the engine': words,
  'walls: inside the engine': () => Object.entries(STRANGERS)
    .map(([folder, names]) => imports(`src/engine/${folder}`, names))
    .filter(Boolean)
    .join('\n'),
  'walls: one door to the addon': doors,
  'mutants: each patch finds its place': () => mutants.check().join('\n'),
  'lock file of fuzz/': () => run('cargo', ['tree', '--quiet', '--locked', '--manifest-path', 'fuzz/Cargo.toml']),
  'others\' crates: licences, sources, duplicates': () => deny('bans', 'licenses', 'sources'),
  'others\' crates: advisories': () => deny('advisories'),
  'others\' packages: advisories': audit,
  'types': () => run(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', '__test__/types']),
};
const CLIPPY = ['clippy', '--quiet', '--locked'];
const DENY = ['-D', 'warnings'];

function main() {
  const failed = Object.entries(CHECKS).filter(([name, check]) => {
    const problem = check();
    if (problem instanceof Skipped) {
      console.log(`skip ${name}: ${problem.why}`);
      return false;
    }
    console.log(`${problem ? 'FAIL' : 'ok  '} ${name}`);
    if (problem) console.log(problem);
    return problem;
  });
  process.exitCode = failed.length === 0 ? 0 : 1;
}

/** In place of what is wrong: it could not be found out. */
class Skipped {
  constructor(why) {
    this.why = why;
  }
}

/** What is wrong, as text; nothing if all is well. */
function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  if (error) return error.message;
  return status === 0 ? '' : `${stdout}${stderr}` || `exit code ${status}`;
}

function crates() {
  const args = ['tree', '--locked', '--no-default-features', '--edges', 'normal'];
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) return stderr;
  return stdout.split('\n').filter((line) => CRATES_BELOW.test(line)).join('\n');
}

/** What cargo-deny finds by deny.toml, in the package and in what fuzzes it. */
function deny(...checks) {
  if (spawnSync('cargo', ['deny', '--version'], { cwd: ROOT }).status !== 0) {
    return new Skipped('cargo-deny is not installed; `cargo install --locked cargo-deny`');
  }
  for (const manifest of ['Cargo.toml', 'fuzz/Cargo.toml']) {
    const args = ['deny', '--config', 'deny.toml', '--manifest-path', manifest, '--locked', 'check', ...checks];
    const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8' });
    if (status === 0) continue;
    // Advisories are fetched.
    if (/failed to fetch|unable to fetch/i.test(stderr)) return new Skipped('there is no way to the database');
    return `${stdout}${stderr}`;
  }
  return '';
}

/** What npm knows of the packages that we develop with; of those that run there are none. */
function audit() {
  const args = ['audit', '--json', '--package-lock-only'];
  const { stdout, stderr } = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8', shell: process.platform === 'win32' });
  try {
    const { vulnerabilities, message, error } = JSON.parse(stdout);
    if (vulnerabilities === undefined) {
      return new Skipped(`the registry does not answer: ${message ?? error?.summary ?? 'no reason given'}`);
    }
    return Object.values(vulnerabilities).map(({ name, severity, range }) => `${name} ${range}: ${severity}`).join('\n');
  } catch {
    return new Skipped(`npm audit gives no answer: ${stderr.trim().split('\n').at(-1)}`);
  }
}

/** Lines below a folder that import what it may not know. */
function imports(folder, forbidden) {
  const below = path.join(ROOT, folder);
  return fs.readdirSync(below, { recursive: true })
    .filter((name) => name.endsWith('.rs'))
    .flatMap((name) => matching(path.join(below, name), forbidden))
    .join('\n');
}

/** Files of lib/ other than native.js that load an addon. */
function doors() {
  const lib = path.join(ROOT, 'lib');
  return fs.readdirSync(lib)
    .filter((name) => name.endsWith('.js') && name !== 'native.js')
    .flatMap((name) => matching(path.join(lib, name), /process\.dlopen|require\([^)]*\.node\b/))
    .join('\n');
}

function matching(file, pattern) {
  return fs.readFileSync(file, 'utf8').split('\n')
    .map((line, index) => `${path.relative(ROOT, file)}:${index + 1}: ${line.trim()}`)
    .filter((line) => pattern.test(line));
}

function words() {
  const engine = path.join(ROOT, 'src', 'engine');
  return fs.readdirSync(engine, { recursive: true })
    .filter((name) => name.endsWith('.rs'))
    .flatMap((name) => {
      const lines = fs.readFileSync(path.join(engine, name), 'utf8').split('\n');
      return lines
        .map((line, index) => ({ line, at: `src/engine/${name}:${index + 1}` }))
        // Prose may say what the engine does without.
        .filter(({ line }) => !/^\s*\/\//.test(line) && WORDS_BELOW.test(line))
        .map(({ line, at }) => `${at}: ${line.trim()}`);
    })
    .join('\n');
}

main();
