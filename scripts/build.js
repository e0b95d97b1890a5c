#!/usr/bin/env node
'use strict';

/**
 * Builds the addon with cargo and copies it beside index.js.
 *
 *     node scripts/build.js [--debug] [--install]
 *
 * --debug    without optimisation, with checks
 * --install  does nothing if an addon loads already
 *
 * Cargo decides what is stale, so that running this again costs little.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { platform } = require('../lib/platform.js');

const ROOT = path.dirname(__dirname);
const ADDON = path.join(ROOT, `collective-io.${platform}.node`);
const OPTIONS = ['--debug', '--install'];
/** Cargo's messages on standard output name what it made: about 1 KiB for each crate. */
const MESSAGES_BYTES_MAX = 64 << 20;

/** What stops the build, told without a stack. */
class BuildError extends Error {}

function main(options) {
  const unknown = options.find((option) => !OPTIONS.includes(option));
  if (unknown) throw new BuildError(`Unknown option ${unknown}. There are: ${OPTIONS.join(', ')}`);
  if (options.includes('--install') && addonLoads()) return;

  const cargo = findCargo();
  // Node.js would die of Ctrl-C at once and leave the temporary directory; cargo gets it as well
  // and ends, and so does the build.
  process.on('SIGINT', () => {});
  const target = temporaryTarget();
  try {
    install(build(cargo, options.includes('--debug'), target));
  } finally {
    if (target) fs.rmSync(target, { recursive: true, force: true });
  }
}

function addonLoads() {
  try {
    require('../lib/native.js');
    return true;
  } catch (error) {
    if (error.code !== 'ERR_ADDON_MISSING') throw error;
    return false;
  }
}

/** A cargo that is new enough: the one on the path, or where rustup puts it before a new login. */
function findCargo() {
  const home = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo');
  for (const cargo of ['cargo', path.join(home, 'bin', 'cargo')]) {
    const { status, stdout, stderr, error } =
      spawnSync(cargo, ['--version'], { cwd: ROOT, encoding: 'utf8' });
    if (error?.code === 'ENOENT') continue;
    if (error || status !== 0) {
      throw new BuildError(`cargo does not run: ${error?.message ?? stderr.trim()}`);
    }
    const found = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? '0.0';
    const needed = rustVersion();
    if (isOlder(found, needed)) {
      throw new BuildError(
        `Rust ${needed} or newer is needed; there is ${found}. To update it, run:\n\n` +
        `    rustup update stable\n\nthen ${again()}`);
    }
    return cargo;
  }
  throw new BuildError(
    'Rust is needed to build the addon, and no cargo was found. To install it, run:\n\n' +
    (process.platform === 'win32'
      ? '    winget install Rustlang.Rustup\n'
      : '    curl --proto "=https" --tlsv1.2 -sSf https://sh.rustup.rs | sh\n') +
    `\nor see https://rustup.rs; then ${again()}`);
}

function rustVersion() {
  const manifest = fs.readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8');
  return /^rust-version\s*=\s*"([\d.]+)"/m.exec(manifest)[1];
}

function isOlder(found, needed) {
  const [a, b] = [found, needed].map((version) => version.split('.').map(Number));
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

/**
 * Where a consumer's build goes, so that 100 MB of intermediate files don't stay in his
 * node_modules. In a checkout of our own cargo's usual place, which makes the next build quick.
 */
function temporaryTarget() {
  if (!ROOT.split(path.sep).includes('node_modules')) return undefined;
  return fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-build-'));
}

/** Runs cargo and returns the file that it says it made: the only one who knows all settings. */
function build(cargo, debug, target) {
  const { status, stdout, error } = spawnSync(cargo, [
    'build', ...(debug ? [] : ['--release']), '--locked', '--features', 'addon', '--lib',
    '--message-format', 'json-render-diagnostics',
  ], {
    cwd: ROOT,
    env: target ? { ...process.env, CARGO_TARGET_DIR: target } : process.env,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: MESSAGES_BYTES_MAX,
  });
  if (error || status !== 0) {
    throw new BuildError(
      `cargo could not build the addon (${error?.message ?? 'its messages are above'}).\n` +
      'If a linker is missing, install a C compiler (Debian: apt-get install build-essential), ' +
      `then ${again()}`);
  }
  const files = stdout.split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ reason }) => reason === 'compiler-artifact')
    .filter(({ target }) => target.name === 'collective_io')
    .flatMap(({ filenames }) => filenames);
  const library = files.find((file) => /\.(so|dylib|dll)$/.test(file));
  if (!library) throw new BuildError('cargo succeeded but has made no library');
  return library;
}

/**
 * Puts the library in its place in one step, and only if it differs: a running process has the old
 * file mapped and would crash if its bytes changed.
 */
function install(library) {
  const bytes = fs.readFileSync(library);
  if (fs.existsSync(ADDON) && fs.readFileSync(ADDON).equals(bytes)) return;
  const temporary = ADDON.replace(/node$/, `${process.pid}.tmp.node`);
  fs.writeFileSync(temporary, bytes, { mode: 0o755 });
  try {
    replace(temporary);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
  console.log(`collective-io: built ${path.basename(ADDON)}`);
}

function replace(temporary) {
  try {
    fs.renameSync(temporary, ADDON);
  } catch (error) {
    if (process.platform !== 'win32' || !fs.existsSync(ADDON)) throw error;
    // Windows refuses to replace a library in use, but lets it be renamed. What was put aside goes
    // when nobody has it open any more.
    const aside = ADDON.replace(/node$/, `${process.pid}.old.node`);
    fs.renameSync(ADDON, aside);
    fs.renameSync(temporary, ADDON);
    removeAsides();
  }
}

function removeAsides() {
  for (const name of fs.readdirSync(ROOT)) {
    if (!name.endsWith('.old.node')) continue;
    try {
      fs.rmSync(path.join(ROOT, name), { force: true });
    } catch {
      // Still in use: the next build tries again.
    }
  }
}

function again() {
  return `run again:\n\n    node ${path.relative(process.cwd(), __filename)}\n`;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(`collective-io: ${error instanceof BuildError ? error.message : error.stack}`);
  process.exitCode = 1;
}
