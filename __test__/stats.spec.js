'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const ts = require('typescript');

const { OUTCOMES } = require('../lib/outcomes');
const { openNode, openNodes } = require('./support/nodes');
const { until } = require('./support/until');

const ROOT = path.dirname(__dirname);
/** Whose members are whatever there was. */
const OPEN = new Set(['refused']);

/** The names of all fields: those of members after a dot, those of elements after `[].`. */
function fieldsOf(value, name = '') {
  if (Array.isArray(value)) return typeof value[0] === 'object' ? fieldsOf(value[0], `${name}[]`) : [name];
  if (typeof value !== 'object' || value === null || OPEN.has(name)) return [name];
  return Object.entries(value).flatMap(([key, member]) => fieldsOf(member, name === '' ? key : `${name}.${key}`));
}

/** The same of an interface of `index.d.ts`. */
function typedFields() {
  const file = path.join(ROOT, 'index.d.ts');
  const source = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const interfaces = new Map();
  const visit = (node) => {
    if (ts.isInterfaceDeclaration(node)) interfaces.set(node.name.text, node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  const list = (name, prefix) => interfaces.get(name).members.flatMap((member) => {
    const type = member.type.getText();
    const field = prefix + member.name.getText();
    if (type.startsWith('Record<Outcome')) return OUTCOMES.map(({ status }) => `${field}.${status}`);
    if (interfaces.has(type)) return list(type, `${field}.`);
    if (interfaces.has(type.replace('[]', ''))) return list(type.replace('[]', ''), `${field}[].`);
    return [field];
  });
  return list('Stats', '');
}

/** The same of the table in docs/operations.md. */
function documentedFields() {
  const text = fs.readFileSync(path.join(ROOT, 'docs', 'operations.md'), 'utf8');
  const [table] = text.split('| field | is | look into it when |\n')[1].split('\n\n');
  return table.split('\n').slice(1).flatMap((row) => row.split(' | ')[0].match(/(?<=`)[^`, |]+(?=`)/g));
}

test('types, documentation and the object have the same fields', async (t) => {
  const [node] = await openNodes(t, 2);
  const real = fieldsOf(node.stats()).sort();
  assert.deepEqual(typedFields().sort(), real);
  assert.deepEqual(documentedFields().sort(), real);
});

test('what happens is counted', async (t) => {
  const [a, b] = await openNodes(t, 2);
  a.state.set('k', { n: 1 });
  assert.equal(await a.state.replicated(), 1);
  b.state.get('k');
  b.state.get('k');
  b.worker('w', (x) => x);
  const outcomes = await a.run('w', [1]).results();
  assert.equal(outcomes.get(b.id).value, 1);
  await a.call('w', [2]);
  const [mine, theirs] = [a.stats(), b.stats()];
  assert.deepEqual([mine.writesLocal, theirs.writesRemote, mine.peers], [1, 1, 1]);
  assert.deepEqual([theirs.cacheHits, theirs.cacheMisses, theirs.cachedKeys], [1, 1, 1]);
  assert.deepEqual([mine.jobsAsked, mine.jobs, theirs.jobsAsked], [2, 0, 0]);
  assert.deepEqual(mine.outcomes, {
    'ok': 2, 'error': 0, 'no-worker': 1, 'lost': 0, 'timeout': 0, 'aborted': 0, 'busy': 0,
  });
  assert.equal(mine.jobMs.counts.reduce((sum, count) => sum + count), 2);
  assert.equal(mine.jobMs.counts.length, mine.jobMs.bounds.length + 1);
  assert.equal(mine.jobMs.sum > 0, true);
  for (const kind of ['writes', 'digests', 'jobs']) assert.equal(mine.trafficOut[kind] > 0, true, kind);
  assert.equal(theirs.trafficIn.writes, mine.trafficOut.writes);
  const [link] = mine.links;
  assert.deepEqual([link.id, link.name, link.state, link.busyFor], [b.id, b.name, 'up', 0]);
  assert.equal(link.bytesOut > 0 && link.bytesIn > 0, true);
});

test('nodes that have the same tell so, and how far their clocks are apart', async (t) => {
  const [a, b] = await openNodes(t, 2);
  a.state.set('k', 1);
  const [link] = await until('both have said so', () => {
    const { links } = a.stats();
    return links[0].sameHash === true && links[0].rttMs !== null && links;
  });
  assert.deepEqual([link.lag, link.lagMs, link.sameContext], [0, 0, true]);
  assert.equal(a.stats().context, b.stats().context);
  assert.equal(a.stats().hash, b.stats().hash);
  assert.notEqual(a.stats().hash, null);
  // One machine has one clock; what is left is how long it takes to be told.
  assert.equal(Math.abs(link.clockAheadMs) < 5000, true);
});

test('a closed node has no counts', async (t) => {
  const node = await openNode(t);
  await node.close();
  assert.throws(() => node.stats(), { code: 'ERR_CLOSED' });
});
