'use strict';

/* The programs in README.md and the guides write what stands below them. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { freePortsInARow } = require('./support/ports');
const { ROOT, runFile } = require('./support/process');

/** Programs use ports from here on; others take their place. */
const PORT = 9000;
const PORTS = 10;

const GUIDES = 'docs/guides';
/** Whose programs need more than one process, or DNS: deployment.spec.js runs them. */
const ELSEWHERE = ['kubernetes.md', 'several-hosts.md'];
const guides = fs.readdirSync(path.join(ROOT, GUIDES))
  .filter((name) => !ELSEWHERE.includes(name))
  .map((name) => `${GUIDES}/${name}`);

/** A program, and below it, perhaps after a sentence, what it writes; `…` stands for anything. */
const PROGRAM = /^```js\n((?:(?!```).*\n)*)```\n+(?:[^`#|\n].*\n+)*```text\n((?:(?!```).*\n)*)```$/gm;

function moved(text, port) {
  return text.replace(/\b90\d\d\b/g, (digits) => String(Number(digits) - PORT + port));
}

function pattern(text) {
  const parts = text.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`);
}

for (const file of ['README.md', ...guides]) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  const programs = [...text.matchAll(PROGRAM)];
  if (file !== 'README.md') {
    test(`${file}: every program says what it writes`, () => {
      assert.equal(programs.length, text.match(/^```js$/gm).length);
    });
  }
  for (const [index, [, source, output]] of programs.entries()) {
    test(`${file}, program ${index + 1}`, async (t) => {
      const port = await freePortsInARow(PORTS);
      // Within the package, so that it finds itself by name.
      const folder = fs.mkdtempSync(path.join(ROOT, '__test__', '.snippet-'));
      t.after(() => fs.rmSync(folder, { recursive: true }));
      const program = path.join(folder, 'program.js');
      fs.writeFileSync(program, moved(source, port));
      const { code, stdout, stderr } = await runFile(t, path.relative(ROOT, program), { deadlineMs: 25_000 });
      assert.equal(stderr, '');
      assert.match(stdout, pattern(moved(output, port)));
      assert.equal(code, 0);
    });
  }
}
