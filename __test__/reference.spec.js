'use strict';

/*
 * The tables of docs/api.md, the types, and what is there at run time name the same members. What a
 * member does is the business of other tests.
 */

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const ts = require('typescript');

const Collective = require('..');
const { ROOT } = require('./support/process');
const { until } = require('./support/until');

const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');
const lines = (list) => [...new Set(list)].sort();

/** The types that have tables, by the heading of the section and that of the table's first column. */
const TABLES = {
  'Exports / export': ['exports'],
  "Today's API / option": ['JoinOptions'],
  "Today's API / member of a node": ['Node', 'Node.Events', 'NodePeer'],
  "Today's API / member of `node.state`": ['State', 'State.WatchOptions', 'State.Change'],
  'Asking nodes: `run` and `call` / member of a node': ['Node'],
  'Asking nodes: `run` and `call` / option': ['RunOptions', 'WorkerOptions'],
  'Asking nodes: `run` and `call` / member of a Gathering': ['Gathering'],
  'Asking nodes: `run` and `call` / member of a JobContext': ['JobContext'],
  'A cluster of workers / option': ['cluster.Options'],
  'Observers / option of `observe`': ['ObserveOptions'],
  'Observers / member of an observer': ['Observer'],
  'Collective / option': ['Options'],
  'Collective / member': ['Collective', 'Connection'],
  'Collective / event': ['Events'],
  'Servent / option': ['Servent.Options'],
  'Servent / member of a Servent': ['Servent'],
  'Servent / event of a Servent': ['Servent.Events'],
  'Servent / member of a Peer': ['Peer', 'PeerEvents'],
  'Jobs / member of a Worker': ['Worker', 'Worker.Call'],
  'Jobs / member of a Job': ['Job', 'Job.Events'],
  'Exposed functions / member of `this`': ['Exposed'],
};

/** What a table may name beside the members of its types, with the reason. */
const BESIDE = {
  // Those of a Collective.
  "Today's API / option": ['secret', 'tls', 'cluster', 'limits', 'readyTimeout', '…'],
  // Those of a Collective.
  'Observers / option of `observe`': ['secret', 'tls', 'cluster', 'limits'],
  // It has a module of its own.
  'Exports / export': ['run', 'collective-io/cluster'],
};

/** Members that no table names: what every object of JavaScript or every emitter has. */
const USUAL = [
  'toString', 'toJSON', 'on', 'once', 'addListener', 'prependListener', 'prependOnceListener',
  '[Symbol.asyncDispose]', '[Symbol.asyncIterator]', 'Collective', 'default',
];

/** Types that index.d.ts and cluster.d.ts alone describe. */
const IN_COMMENTS = [
  'Address', 'Operations', 'Tls', 'Limits', 'Guest', 'Report', 'RunningJob',
  'ObservedOutcome', 'NodeTypes', 'NodeWorker', 'Caller', 'OutcomeBase', 'GoodOutcome', 'BadOutcome', 'OutcomeError',
  'Explanation', 'WriteId', 'ThingBase', 'SetThing', 'IncrementsThing', 'MarkThing', 'Hidden', 'Cut', 'Stats',
  'Traffic', 'Histogram', 'LinkStats', 'CatchUp', 'LogEntry',
  'ListeningAddress', 'CodedError', 'Servent.CallOptions', 'Servent.CallError', 'Job.Summary', 'Job.Failure', 'Origin',
  'NodeError', 'Exposed.Functions', 'cluster.Worker',
];

/** Constants of the originals, of their classes. */
const CONSTANTS = ['REQUEST_NAMESPACE', 'RESPONSE_NAMESPACE'];

/** By name: members of each class and interface, and those that are static. */
const types = new Map();
for (const file of ['index.d.ts', 'cluster.d.ts']) {
  collect(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true), '');
}
types.set('PeerEvents', { members: ['end'], statics: [] });

function collect(node, prefix) {
  ts.forEachChild(node, (child) => {
    if (ts.isModuleDeclaration(child)) {
      const name = child.name.text;
      collect(child.body, name === 'Collective' ? prefix : `${prefix}${name}.`);
    } else if (ts.isClassDeclaration(child) || ts.isInterfaceDeclaration(child)) {
      const name = `${prefix}${child.name.text}`;
      const type = types.get(name) ?? { members: [], statics: [], isClass: ts.isClassDeclaration(child) };
      types.set(name, type);
      for (const member of child.members) {
        if (!member.name || ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) continue;
        const key = member.name.getText().replace(/^'(.*)'$/, '$1');
        const isStatic = ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static;
        (isStatic ? type.statics : type.members).push(key);
      }
    }
  });
}

/** Classes of the namespace that are values too. */
const CLASSES = [...types].filter(([name, { isClass }]) => isClass && !name.includes('.') && name !== 'Collective').map(([name]) => name);
/** `State` comes from nodes alone. */
const EXPORTED = CLASSES.filter((name) => name !== 'State');

types.set('exports', { members: [...EXPORTED, 'Collective', 'join', 'observe', 'version'], statics: [] });
const limits = types.get('Limits').members.map((name) => `limits.${name}`);
const options = types.get('Options');
types.set('Options', { ...options, members: options.members.flatMap((name) => (name === 'limits' ? limits : name)) });

/** The tables of docs/api.md: names in their first columns, by heading and title; equal ones are one. */
function tables() {
  const found = new Map();
  let heading;
  let title;
  let isInCode = false;
  for (const line of read('docs/api.md').split('\n')) {
    if (line.startsWith('```')) isInCode = !isInCode;
    if (isInCode) continue;
    if (/^#+ /.test(line)) heading = line.replace(/^#+ /, '');
    if (!line.startsWith('|')) {
      title = undefined;
      continue;
    }
    const [, first] = line.split(/(?<!\\)\|/);
    if (title === undefined) title = `${heading} / ${first.trim()}`;
    else if (!/^[\s-]*$/.test(first)) found.set(title, [...found.get(title) ?? [], ...namesIn(first)]);
  }
  return found;
}

/** `a(b, c)`, `'event'` (peer), `limits.x`: the names alone. */
function namesIn(cell) {
  return [...cell.matchAll(/`([^`]+)`|(…)/g)]
    .map(([, code, dots]) => dots ?? code)
    .filter((code) => !code.startsWith('for await'))
    .map((code) => code.replace(/\(.*$/, '').replaceAll("'", ''));
}

const found = tables();

for (const [title, names] of Object.entries(TABLES)) {
  test(`docs/api.md, ${title}: every name is typed`, () => {
    assert.ok(found.has(title), `There is no such table: ${[...found.keys()].join('\n')}`);
    const typed = names.flatMap((name) => [...types.get(name).members, ...types.get(name).statics]);
    const known = [...typed, ...BESIDE[title] ?? []];
    assert.deepEqual(found.get(title).filter((name) => !known.includes(name)), []);
  });
}

test('docs/api.md: every member that is typed is in a table', () => {
  /** By type, what the tables name that are for it. */
  const named = new Map();
  for (const [title, [main, ...more]] of Object.entries(TABLES)) {
    for (const name of [main, ...more.filter((each) => each.endsWith('Events'))]) {
      named.set(name, [...(named.get(name) ?? []), ...(found.get(title) ?? [])]);
    }
  }
  named.set('WorkerOptions', named.get('RunOptions'));
  const missing = [...named.entries()].flatMap(([type, names]) => {
    const { members, statics } = types.get(type);
    const exported = type === 'Collective' ? types.get('exports').members : [];
    return [...members, ...statics]
      .filter((name) => ![...names, ...exported, ...USUAL, ...CONSTANTS].includes(name))
      .map((name) => `${type}.${name}`);
  });
  assert.deepEqual(lines(missing), []);
});

test('every type has a table or is one of those that are described where they are typed', () => {
  const described = Object.values(TABLES).flat();
  const others = [...types.keys()].filter((name) => !described.includes(name));
  assert.deepEqual(lines(others), lines(IN_COMMENTS));
});

test('every member that is typed is described where it is', () => {
  const bare = [];
  for (const file of ['index.d.ts', 'cluster.d.ts']) {
    const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
    const visit = (node) => {
      if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) bare.push(...undescribed(node));
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  assert.deepEqual(bare, []);
});

/** Members without a comment; of several of a name one has it. */
function undescribed({ name, members }) {
  const described = new Set(USUAL);
  for (const member of members) {
    if (member.jsDoc !== undefined) described.add(member.name?.getText());
  }
  return members.filter((member) => member.name && !described.has(member.name.getText())).map((member) => `${name.text}.${member.name.getText()}`);
}

test('README: the figures are those of docs/performance.md', () => {
  const [, section] = /^## How fast\n([^]*?)^## /m.exec(read('README.md'));
  const rows = section.split('\n').filter((line) => /\d.*\|$/.test(line));
  assert.ok(rows.length > 0);
  const measured = read('docs/performance.md');
  for (const row of rows) {
    const [ours, plain] = row.split('|').slice(2, 4).map((cell) => cell.trim());
    assert.ok(measured.includes(`| ${ours} | ${plain} |`), `${ours} and ${plain} are in no line of it`);
  }
});

test('what is exported is what is typed, from CommonJS and ESM', async () => {
  const { statics } = types.get('Collective');
  assert.deepEqual(lines(Object.getOwnPropertyNames(Collective).filter((name) => !['length', 'name', 'prototype', ...Object.getOwnPropertyNames(EventEmitter)].includes(name))),
    lines([...statics, ...EXPORTED]));
  const module = await import('collective-io');
  assert.deepEqual(lines(Object.keys(module)), lines(['default', ...types.get('exports').members]));
  const typed = read('index.d.mts').matchAll(/^export (?:declare const|import|\{) ?(\w+)/gm);
  assert.deepEqual(lines([...typed].map(([, name]) => name)), lines(types.get('exports').members));
  for (const face of [require('collective-io/cluster'), await import('collective-io/cluster')]) {
    assert.deepEqual(lines(Object.keys(face).filter((name) => !['default', 'module.exports'].includes(name))), ['run']);
  }
});

test('objects have the members that are typed, and no other public methods', async (t) => {
  const node = await Collective.join();
  const other = await Collective.join({ seeds: [node.address] });
  const collective = new Collective(null, null, null, { node });
  const servent = new Collective.Servent({ node });
  t.after(() => Promise.all([node.close(), other.close()]));
  await until('they know each other', () => node.peers.size === 1 && Object.keys(servent.peers).length === 1);

  let context;
  const handle = node.worker('look', function () {
    context = this;
  });
  const gathering = handle.run([], { to: node.id });
  await gathering.results();
  const worker = servent.createWorker('nothing', () => {});
  const [peer] = Object.values(servent.peers);

  const objects = {
    Collective: collective, Servent: servent, Node: node, State: node.state, Peer: peer, Worker: worker,
    Job: worker.distribute(() => {}), Gathering: gathering, JobContext: context, NodeWorker: handle,
    NodePeer: node.peers.get(other.id), Connection: Object.values(collective.connections)[0],
    Caller: context.caller,
  };
  for (const [type, object] of Object.entries(objects)) {
    if (object === undefined && type === 'Connection') continue; // there are none on a node of somebody else
    const { members } = types.get(type);
    const required = members.filter((name) => !name.startsWith('[') && !OPTIONAL.includes(`${type}.${name}`));
    assert.deepEqual(required.filter((name) => !(name in object)), [], type);
    const known = [...members, ...USUAL, ...ALSO[type] ?? []];
    assert.deepEqual(publicMethods(object).filter((name) => !known.includes(name)), [], type);
  }
  await Promise.all([collective.close(), servent.close()]);
});

/** Not there for every object of the type. */
const OPTIONAL = ['Caller.peer', 'JobContext.traceparent', 'JobContext.tracestate'];

/** What prototypes have beside that: of use within lib/, of a worker's calls, or kept as the originals had it. */
const ALSO = { Worker: [...types.get('Worker.Call').members, ...CONSTANTS, 'inspect', 'work'], Job: ['inspect'], NodeWorker: ['work'] };

/** Names on the prototypes of ours. */
function publicMethods(object) {
  const names = [];
  for (let at = Object.getPrototypeOf(object); at && at !== Object.prototype && at !== EventEmitter.prototype; at = Object.getPrototypeOf(at)) {
    names.push(...Object.getOwnPropertyNames(at));
  }
  const inherited = ['constructor', ...Object.getOwnPropertyNames(EventEmitter.prototype)];
  return lines(names.filter((name) => !inherited.includes(name) && !name.startsWith('_')));
}
