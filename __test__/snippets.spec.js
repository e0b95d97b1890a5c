'use strict';

/* The programs in README.md, docs/api.md and the guides write what stands below them. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { join } = require('..');
const { freePortsInARow } = require('./support/ports');
const { ROOT, runFile, startFile } = require('./support/process');
const { until } = require('./support/until');

/** Programs use ports from here on; others take their place. */
const PORT = 9000;
const PORTS = 10;

/** Not all of whose programs are whole. */
const BOOKS = ['README.md', 'docs/api.md'];
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

/** A program within the package, so that it finds that by name. */
function write(t, source) {
  const folder = fs.mkdtempSync(path.join(ROOT, '__test__', '.snippet-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const program = path.join(folder, 'program.js');
  fs.writeFileSync(program, source);
  return path.relative(ROOT, program);
}

for (const file of [...BOOKS, ...guides]) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  const programs = [...text.matchAll(PROGRAM)];
  if (!BOOKS.includes(file)) {
    test(`${file}: every program says what it writes`, () => {
      assert.equal(programs.length, text.match(/^```js$/gm).length);
    });
  }
  for (const [index, [, source, output]] of programs.entries()) {
    test(`${file}, program ${index + 1}`, async (t) => {
      const port = await freePortsInARow(PORTS);
      const program = write(t, moved(source, port));
      const { code, stdout, stderr } = await runFile(t, program, { deadlineMs: 25_000 });
      assert.equal(stderr, '');
      assert.match(stdout, pattern(moved(output, port)));
      assert.equal(code, 0);
    });
  }
}

const API = fs.readFileSync(path.join(ROOT, 'docs', 'api.md'), 'utf8');

/** The first program of a section of docs/api.md. */
function programOf(heading) {
  const [, source] = new RegExp(`^## ${heading}\\n[^]*?^\`\`\`js\\n([^]*?)^\`\`\`$`, 'm').exec(API);
  return source;
}

test('docs/api.md, in place of collective.js', async (t) => {
  const port = await freePortsInARow(PORTS);
  const child = startFile(t, write(t, moved(programOf('Collective'), port)));
  // How much each has seen by then is a question of time, but never more than was counted.
  await until('each has told', () => child.output.stdout.match(/^[1-4]\n/gm)?.length === 4, 30_000);
  assert.equal(child.output.stderr, '');
});

test('docs/api.md, in place of partition.io', async (t) => {
  const port = await freePortsInARow(1);
  const program = write(t, programOf('Servent').replaceAll('8888', String(port)));
  const children = [1, 2].map(() => startFile(t, program));
  await until('each has two numbers and the end', () => children.every(({ output }) =>
    /^(?:[0-9A-F]{24} \d+\n){2}complete \[\] \[\]\n/.test(output.stdout)), 30_000);
  for (const { output } of children) assert.equal(output.stderr, '');
});

test("docs/api.md, today's API: a module as it stands", async (t) => {
  const port = await freePortsInARow(2);
  const source = programOf("Today's API").replaceAll('7000', String(port)).replaceAll('7001', String(port + 1));
  const program = write(t, source).replace(/\.js$/, '.mjs');
  fs.writeFileSync(path.join(ROOT, program), source);
  const child = startFile(t, program);
  const other = await join({ listen: `127.0.0.1:${port + 1}` });
  t.after(() => other.close());
  await until('both have counted', () => other.peers.size === 1 && other.state.get('visits.today') === 1);
  other.state.increment('visits.today');
  await until('it has told', () => child.output.stdout.endsWith("[ 'visits', 'today' ] 2\n"));
  assert.equal(child.output.stderr, '');
});

for (const file of BOOKS) {
  test(`${file}: the other pieces of programs can be read`, () => {
    const AsyncFunction = (async () => {}).constructor;
    const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
    for (const [, source] of text.matchAll(/^```js\n([^]*?)^```$/gm)) {
      if (!source.startsWith('import ')) assert.doesNotThrow(() => new AsyncFunction(source), source);
    }
  });
}
