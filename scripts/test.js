#!/usr/bin/env node
'use strict';

/**
 * npm test: cargo's tests, then those of Node.js. Both run even if the first fails, and what each
 * runner says at its end is repeated last, so that nobody has to scroll.
 *
 *     npm test [-- file…]      only these files of __test__, without cargo
 */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const TESTS = path.join(ROOT, '__test__');

async function main(files) {
  const runs = [];
  if (files.length === 0) {
    runs.push(await run('cargo', ['test', '--locked', '--no-fail-fast'], /^test result:|^error(\[|:)/));
    files = fs.readdirSync(TESTS).filter((name) => name.endsWith('.spec.js'));
    files = files.sort().map((name) => path.join(TESTS, name));
  }
  const reporter = ['--test-reporter', 'spec', '--test-reporter-destination', 'stdout'];
  runs.push(await run(process.execPath, ['--test', ...reporter, ...files], /^ℹ (tests|pass|fail|skipped|duration_ms) /));

  for (const { name, code, closing } of runs) {
    console.log(`\n${name}: ${code === 0 ? 'passed' : `FAILED (${code})`}`);
    for (const line of closing) console.log(`  ${line}`);
  }
  process.exitCode = runs.every(({ code }) => code === 0) ? 0 : 1;
}

/** Shows what a command writes and keeps the lines that match. */
function run(command, args, closingLine) {
  const name = `${path.basename(command, '.exe')} ${args[0]}`;
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    const closing = [];
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text);
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      closing.push(...lines.filter((line) => closingLine.test(line)));
    });
    child.on('error', (error) => resolve({ name, code: error.message, closing }));
    child.on('close', (code, signal) => resolve({ name, code: code ?? signal, closing }));
  });
}

main(process.argv.slice(2));
