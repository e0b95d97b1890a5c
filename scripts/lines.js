#!/usr/bin/env node
'use strict';

/**
 * npm run lines [-- line… [spec…]]: the specs, one after the other, on other lines of Node.js and on
 * Bun. Lines are major versions, and `bun`; npm's packages `node` and `bun` bring the programs, which
 * are kept in `target/lines`. It tells what passed on each, and how what failed begins.
 *
 *     npm run lines
 *     npm run lines -- 24 bun watch state
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const FOLDER = path.join(ROOT, 'target', 'lines');
const LINES = ['22', '24', '26', 'bun'];
const SPEC_MS_MAX = 300_000;
/** Of what failed. */
const TOLD_LINES = 60;
const CONTEXT_LINES = 10;

function main(args) {
  const isLine = (arg) => arg === 'bun' || /^\d+$/.test(arg);
  const lines = args.filter(isLine);
  const names = args.filter((arg) => !isLine(arg)).map((name) => `${path.basename(name).replace(/\.spec\.js$/, '')}.spec.js`);
  let failed = 0;
  for (const line of lines.length > 0 ? lines : LINES) {
    const runtime = line === 'bun' ? bun() : node(line);
    console.log(`\n${runtime.name}`);
    const files = specs(names);
    const bad = files.filter((file) => !play(runtime, file)).map((file) => path.basename(file, '.spec.js'));
    console.log(`${runtime.name}: ${files.length - bad.length} of ${files.length} files passed${bad.length ? `, not ${bad.join(', ')}` : ''}`);
    failed += bad.length;
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

function node(line) {
  const program = install(`node@${line}`, process.platform === 'win32' ? 'node/bin/node.exe' : 'node/bin/node');
  return {
    name: `Node.js ${version(program)}`,
    program,
    args: ['--test', '--test-reporter', 'tap'],
    passed: /^# pass (\d+)$/m,
    failed: /^ *not ok/,
  };
}

function bun() {
  const program = install('bun', 'bun/bin/bun.exe');
  return {
    name: `Bun ${version(program)}`,
    program,
    args: ['test', '--timeout', String(SPEC_MS_MAX)],
    passed: /^ *(\d+) pass$/m,
    failed: /^(error|\(fail\))/,
  };
}

function specs(names) {
  return fs.readdirSync(path.join(ROOT, '__test__'))
    .filter((name) => name.endsWith('.spec.js') && (names.length === 0 || names.includes(name)))
    .map((name) => `./__test__/${name}`);
}

/** The program that a package brings, installed once. */
function install(name, program) {
  const folder = path.join(FOLDER, name);
  const file = path.join(folder, 'node_modules', ...program.split('/'));
  if (fs.existsSync(file)) return file;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), '{"private":true}\n');
  const { status, error } = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', name], {
    cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32',
  });
  if (error || status !== 0 || !fs.existsSync(file)) throw new Error(`npm has not installed ${name}`);
  return file;
}

function version(program) {
  return spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim().replace(/^v/, '');
}

/** Runs a spec to its end; whether all was well. */
function play({ program, args, passed, failed }, file) {
  const began = Date.now();
  const { status, stdout, stderr, error } = spawnSync(program, [...args, file], {
    cwd: ROOT, encoding: 'utf8', timeout: SPEC_MS_MAX, killSignal: 'SIGKILL', maxBuffer: 64 << 20,
  });
  const text = `${stdout}${stderr}${error?.message ?? ''}`;
  const seconds = Math.round((Date.now() - began) / 1000);
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${file} (${passed.exec(text)?.[1] ?? 0} tests passed, ${seconds} s)`);
  if (status !== 0) {
    const lines = text.split('\n');
    const first = Math.max(0, lines.findIndex((line) => failed.test(line)) - CONTEXT_LINES);
    console.log(lines.slice(first, first + TOLD_LINES).map((line) => `     ${line}`).join('\n'));
  }
  return status === 0;
}

main(process.argv.slice(2));
