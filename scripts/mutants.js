#!/usr/bin/env node
'use strict';

/**
 * npm run mutants [-- --list | --check] [--only name,… | --of engine,…] [--seeds 100000] [--from 0]
 * [--jobs 1]: do the tests bite? Each mutant of `scripts/mutants/` is one defect in the sources: it is
 * built in a tree of its own, and the simulator plays seeds on it until one fails. Tells for each how
 * many seeds that took and what failed. Exit code 1 if one is not caught.
 *
 * A mutant is `{ name, file, find, replace, breaks }`, or has `edits` instead of one edit. `find` is
 * in the file exactly once. `faults` names the kinds of faults whose seeds are played instead of those
 * that draw their own. `test` names the test of cargo that catches what no simulated cluster can show,
 * and `because` says why.
 */

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const ROOT = path.dirname(__dirname);
const GROUPS = ['engine', 'jobs', 'membership'];
const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'tests', 'benches'];
const BUILD = ['--locked', '--quiet', '--profile', 'mutants', '--no-default-features', '--features', 'sim,mimalloc'];
const BATCH_MIN = 20;
const BATCH_MAX = 1000;
/** A defect may let a run go on for ever, or eat all memory. */
const BATCH_MS = 120_000;
const SEED_MS = 2000;
const MEMORY_KB = 8 << 20;

async function main() {
  const { values } = parseArgs({
    options: {
      list: { type: 'boolean' },
      check: { type: 'boolean' },
      only: { type: 'string' },
      of: { type: 'string', default: GROUPS.join(',') },
      seeds: { type: 'string', default: '100000' },
      from: { type: 'string', default: '0' },
      jobs: { type: 'string', default: String(os.availableParallelism()) },
    },
  });
  const chosen = choose(values);
  if (values.list) {
    for (const { name, breaks, test } of chosen) {
      console.log(`${name.padEnd(NAME_WIDTH)}${test ? `${breaks} (${test})` : breaks}`);
    }
    return;
  }
  const problems = check();
  if (values.check || problems.length > 0) {
    for (const problem of problems) console.error(problem);
    process.exitCode = problems.length === 0 ? 0 : 1;
    return;
  }

  const tree = new Tree(Number(values.jobs));
  const problem = tree.build();
  if (problem) throw new Error(problem);
  tree.keepSound();
  const results = [];
  for (const mutant of chosen) {
    const result = { mutant, ...await tree.hunt(mutant, Number(values.from), Number(values.seeds)) };
    results.push(result);
    console.log(line(result));
  }
  console.log(table(results));
  process.exitCode = results.every(({ caught }) => caught) ? 0 : 1;
}

const NAME_WIDTH = 40;

function mutants(groups = GROUPS) {
  return groups.flatMap((group) => require(`./mutants/${group}`));
}

function choose({ only, of }) {
  const all = mutants(of.split(','));
  if (!only) return all;
  return only.split(',').map((name) => {
    const mutant = all.find((one) => one.name === name);
    if (!mutant) throw new Error(`no mutant is called ${name}`);
    return mutant;
  });
}

/** What is wrong with the list: patches that the sources have left behind, names used twice. */
function check() {
  const all = mutants();
  const problems = all
    .filter(({ name }, index) => all.findIndex((other) => other.name === name) !== index)
    .map(({ name }) => `${name}: two have this name`);
  for (const mutant of all) {
    try {
      patched(mutant, (file) => fs.readFileSync(path.join(ROOT, file), 'utf8'));
    } catch (error) {
      problems.push(`${mutant.name}: ${error.message}`);
    }
  }
  return problems;
}

/** The changed files of a mutant, by name. */
function patched({ edits, ...edit }, read) {
  const files = new Map();
  for (const { file, find, replace } of edits ?? [edit]) {
    const text = files.get(file) ?? read(file);
    const count = text.split(find).length - 1;
    if (count !== 1) throw new Error(`${file} has ${count} times what is to be replaced:\n${find}`);
    files.set(file, text.replace(find, () => replace));
  }
  return files;
}

/** A copy of the sources, where they can be spoilt. Builds in it are incremental. */
class Tree {
  #jobs;
  #target = path.resolve(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'mutants');
  #sources = path.join(this.#target, 'sources');
  #simulator = path.join(this.#target, 'mutants', `simulate${process.platform === 'win32' ? '.exe' : ''}`);
  #sound = `${this.#simulator}-sound`;
  /** Seeds that fail without a defect. */
  #faulty = new Set();

  constructor(jobs) {
    this.#jobs = jobs;
    fs.mkdirSync(this.#sources, { recursive: true });
    this.#restore();
  }

  build() {
    const { status, stderr } = this.#cargo(['build', ...BUILD, '--bin', 'simulate']);
    return status === 0 ? '' : stderr;
  }

  /** The simulator without a defect, to see that a seed fails because of one. */
  keepSound() {
    fs.copyFileSync(this.#simulator, this.#sound);
  }

  async hunt(mutant, from, seeds) {
    const files = patched(mutant, (file) => fs.readFileSync(path.join(this.#sources, file), 'utf8'));
    for (const [file, text] of files) fs.writeFileSync(path.join(this.#sources, file), text);
    try {
      if (mutant.test) return this.#test(mutant.test);
      const problem = this.build();
      if (problem) return { caught: false, message: `does not build: ${/^error.*/m.exec(problem) ?? problem}` };
      return await this.#simulate(from, seeds, mutant.faults);
    } finally {
      this.#restore();
    }
  }

  #test(name) {
    const { status, stdout, stderr } = this.#cargo(['test', ...BUILD, ...name.split(' ')]);
    if (/^error/m.test(stderr) && !/^error: test failed/m.test(stderr)) throw new Error(stderr);
    const [, message] = /panicked at [^\n]*\n([^\n]*)/.exec(`${stdout}${stderr}`) ?? [];
    return { caught: status !== 0, message: message ?? '' };
  }

  /** Plays seeds in batches, each shared out among processes, until one fails. */
  async #simulate(from, seeds, faults) {
    let batch = BATCH_MIN;
    for (let next = from; next < from + seeds; batch = Math.min(batch * 2, BATCH_MAX)) {
      const end = Math.min(next + batch, from + seeds);
      const share = Math.ceil((end - next) / this.#jobs);
      const plays = [];
      for (let at = next; at < end; at += share) plays.push(play(this.#simulator, at, Math.min(share, end - at), faults));
      const failed = (await Promise.all(plays)).find(Boolean);
      if (failed && !await this.#failsAnyway(failed.seed, faults)) {
        return { caught: true, seeds: failed.seed - from + 1, message: failed.message };
      }
      next = failed ? failed.seed + 1 : end;
    }
    return { caught: false, seeds, message: '' };
  }

  async #failsAnyway(seed, faults) {
    const run = [seed, faults].join(' ').trim();
    if (!this.#faulty.has(run)) {
      const sound = await play(this.#sound, seed, 1, faults);
      if (!sound) return false;
      this.#faulty.add(run);
      console.log(`seed ${run} fails without a defect and counts for nothing: ${sound.message.slice(0, 160)}`);
    }
    return true;
  }

  #restore() {
    for (const name of SOURCES) this.#bring(name);
  }

  /** Copies what differs, so that cargo does not build what has not changed. */
  #bring(name) {
    const [from, to] = [path.join(ROOT, name), path.join(this.#sources, name)];
    if (fs.statSync(from).isDirectory()) {
      fs.mkdirSync(to, { recursive: true });
      const names = fs.readdirSync(from);
      for (const gone of fs.readdirSync(to).filter((one) => !names.includes(one))) {
        fs.rmSync(path.join(to, gone), { recursive: true });
      }
      for (const inner of names) this.#bring(path.join(name, inner));
      return;
    }
    const text = fs.readFileSync(from);
    if (!fs.existsSync(to) || !fs.readFileSync(to).equals(text)) fs.writeFileSync(to, text);
  }

  #cargo(args) {
    return spawnSync('cargo', [...args, '-j', String(this.#jobs)], {
      cwd: this.#sources,
      env: { ...process.env, CARGO_TARGET_DIR: this.#target, CARGO_INCREMENTAL: '1' },
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
  }
}

/** Plays seeds, of these kinds of faults if any are named, until one fails. Gives its number and what was wrong, or nothing. */
function play(simulator, from, seeds, faults) {
  const args = [simulator, '--seeds', seeds, '--from', from, ...faults ? ['--faults', faults] : []];
  const child = process.platform === 'win32'
    ? spawn(args[0], args.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] })
    : spawn('sh', ['-c', `ulimit -v ${MEMORY_KB}; exec "$@"`, 'sh', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve, reject) => {
    let failed;
    const give = (found) => {
      failed ??= found;
      child.kill('SIGKILL');
    };
    const patience = BATCH_MS + seeds * SEED_MS;
    const timer = setTimeout(() => give({ seed: from + seeds - 1, message: 'a run does not end' }), patience);
    let text = '';
    let ended = false;
    child.stdout.setEncoding('utf8').on('data', (piece) => {
      text += piece;
      const [, seed, message] = /^seed (\d+): (.*)\n/m.exec(text) ?? [];
      if (seed) give({ seed: Number(seed), message });
      ended ||= /^\d+ seeds, /m.test(text);
    });
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      // Out of memory or of stack: the process is gone without a word.
      if (!ended) failed ??= { seed: from + seeds - 1, message: 'the simulator dies' };
      resolve(failed);
    });
  });
}

function line({ mutant, caught, seeds, message }) {
  const count = caught ? String(seeds ?? mutant.test) : 'NOT CAUGHT';
  return `${mutant.name.padEnd(NAME_WIDTH)}${mutant.breaks.padEnd(16)}${count.padStart(10)}  ${message.slice(0, 160)}`;
}

/** In the form of docs/testing.md. */
function table(results) {
  const rows = results.map(({ mutant, caught, seeds }) => {
    const count = caught ? seeds?.toLocaleString('en') ?? `\`${mutant.test}\`` : '**not caught**';
    const of = caught && mutant.faults ? ` (\`--faults ${mutant.faults}\`)` : '';
    return `| \`${mutant.name}\` | ${mutant.breaks} | ${count}${of} |`;
  });
  const played = results.filter(({ caught, mutant }) => caught && !mutant.test).map(({ seeds }) => seeds);
  played.sort((a, b) => a - b);
  const missed = results.filter(({ caught }) => !caught).length;
  const median = played[Math.floor((played.length - 1) / 2)];
  return ['', '| mutant | breaks | seeds |', '| --- | --- | --: |', ...rows, '',
    `${results.length} mutants, ${missed} not caught; seeds until caught: median ${median}, worst ${played.at(-1)}`,
  ].join('\n');
}

module.exports = { check };

if (require.main === module) main();
