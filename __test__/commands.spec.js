'use strict';

/* The command line, as people run it: the real command against real nodes. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { quantile, Rates } = require('../lib/commands/rates');
const { overview, table } = require('../lib/commands/overview');
const { plot } = require('../lib/commands/plot');
const { frame } = require('../lib/commands/top');
const { openNode, openNodes } = require('./support/nodes');
const { freeAddresses } = require('./support/ports');
const { Fellow, runFile, startFile } = require('./support/process');
const { until } = require('./support/until');

const BIN = 'bin/collective-io.js';
const FOLDER = path.join(__dirname, '..', 'lib', 'commands');
const ANSWER_MS = '20000';

/** Runs a command to its end. Without a secret of this test's environment. */
function cli(t, args, env) {
  return runFile(t, BIN, { args, env: { COLLECTIVE_SECRET: undefined, ...env }, deadlineMs: 60_000 });
}

/** The same of a command that talks to a node, patiently; gives the JSON it printed. */
async function cliJson(t, args, env) {
  const { code, stdout, stderr } = await cli(t, [...args, '--json', '--timeout', ANSWER_MS], env);
  assert.equal(stderr, '');
  return { code, ...JSON.parse(stdout) };
}

test('every command has a help text, and none takes what it does not know', async (t) => {
  const { stdout } = await cli(t, ['--help']);
  const names = [...stdout.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name]) => name);
  assert.equal(names.includes('status') && names.includes('keygen'), true);
  for (const name of names) {
    const help = await cli(t, [name, '--help']);
    assert.deepEqual([help.code, help.stdout.includes(`npx collective-io ${name}`)], [0, true], name);
    assert.equal(help.stdout.split('\n').every((line) => line.length <= 105), true, name);
    const wrong = await cli(t, [name, '--nonsense']);
    assert.deepEqual([wrong.code, wrong.stderr.includes('--nonsense')], [2, true], name);
    assert.equal(fs.existsSync(path.join(FOLDER, `${name}.js`)), true);
  }
});

test('status shows all nodes, and says that all is well', async (t) => {
  const [first, second] = await openNodes(t, 2);
  first.state.set('a.b', 1);
  await first.state.replicated();
  const { code, verdict, isWell, nodes, reports } = await cliJson(t, ['status', first.address]);
  assert.deepEqual([code, verdict, isWell], [0, 'converged', true]);
  assert.deepEqual(nodes.map(({ id }) => id).sort(), [first.id, second.id].sort());
  assert.deepEqual(nodes.map(({ peers, keys, state }) => [peers, keys, state]), [[1, 2, 'up'], [1, 2, 'up']]);
  assert.equal(reports.length, 2);
  const text = await cli(t, ['status', first.address, '--sort', 'keys']);
  assert.equal(text.code, 0);
  assert.match(text.stdout, /^NODE +ADDRESS/);
  assert.equal(text.stdout.includes(second.address), true);
  assert.match(text.stdout, /2 nodes, all have the same\n$/);
});

test('status says of a node that does not answer', async (t) => {
  const node = await openNode(t, { name: 'here' });
  const fellow = new Fellow(t, { name: 'stopped', seeds: [node.address], lossTimeout: 60_000 });
  await until('it is there', () => node.peers.size === 1);
  await fellow.stop();
  const { code, stdout } = await cli(t, ['status', node.address, '--timeout', '1000']);
  assert.equal(code, 1);
  assert.match(stdout, /^stopped .*(ERR_TIMEOUT|busy)$/m);
  assert.match(stdout, /has not answered/);
});

test('get, set and explain', async (t) => {
  const [node, other] = await openNodes(t, 2);
  const at = node.address;
  assert.equal((await cliJson(t, ['set', at, 'users.ada', '{"n":1}'])).code, 0);
  assert.deepEqual(node.state.get(), { users: { ada: { n: 1 } } });
  assert.deepEqual((await cliJson(t, ['get', at, 'users'])).value, { ada: { n: 1 } });
  assert.deepEqual((await cliJson(t, ['get', at])).value, { users: { ada: { n: 1 } } });
  assert.deepEqual((await cliJson(t, ['get', at, 'users', '--keys'])).value, ['ada']);
  assert.equal((await cli(t, ['get', at, 'users.ada.n'])).stdout, '1\n');
  assert.equal((await cliJson(t, ['set', at, 'users.ada.n', '--increment', '4'])).result, 5);
  assert.equal((await cli(t, ['set', at, 'users.ada.n', '--increment'])).stdout, '6\n');
  await cli(t, ['set', at, '["a.b","c"]', 'some text', '--text']);
  await until('the other has it', () => other.state.get(['a.b', 'c']) === 'some text');
  const explained = await cliJson(t, ['explain', at, 'users.ada.n']);
  assert.deepEqual([explained.code, explained.shown, explained.json], [0, 'number', '6']);
  assert.match((await cli(t, ['explain', at, 'users.ada.n'])).stdout, /^users\.ada\.n shows number 6\n {2}\*/);
  node.state.set('own', 1);
  await node.state.replicated();
  const { names } = await cliJson(t, ['explain', other.address, 'own']);
  assert.deepEqual(Object.values(names).sort(), [node.name, other.name].sort());
  assert.equal((await cli(t, ['explain', other.address, 'own'])).stdout.includes(`SET 1, by ${node.name} at `), true);
  assert.equal((await cliJson(t, ['set', at, 'users', '--delete'])).result, true);
  assert.equal(node.state.get('users'), undefined);
  assert.equal((await cli(t, ['set', at, 'users', '--delete'])).code, 1);
  assert.deepEqual(await cliJson(t, ['get', at, 'users']), { code: 1 });
});

test('watch and top go on through another node when theirs goes away', async (t) => {
  const [first, second] = await openNodes(t, 2);
  const at = first.address;
  second.state.set('k', 1);
  const watch = startFile(t, BIN, { args: ['watch', at, 'k', '--initial', '--count', '2'] });
  await until('it looks on', () => watch.output.stdout === 'k = 1\n', 30_000);
  // It asks who else there is before this one is even there.
  const top = startFile(t, BIN, { args: ['top', at, '--json', '--interval', '200'] });
  const looks = () => top.output.stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line).nodes.map(({ id, state }) => `${id} ${state}`));
  await until('both look on', () => looks().some((nodes) => nodes.length === 2), 30_000);
  await first.close();
  second.state.set('k', 2);
  assert.deepEqual(await once(watch, 'close'), [0, null]);
  assert.equal(watch.output.stdout, 'k = 1\nk = 2\n');
  await until('top has found the other', () => looks().at(-1).join() === `${second.id} up`, 30_000);
  await second.close();
  assert.deepEqual(await once(top, 'close'), [3, null], 'there was one node alone');
});

test('watch prints what changes', async (t) => {
  const node = await openNode(t);
  node.state.set('a.b', 1);
  const child = startFile(t, BIN, { args: ['watch', node.address, 'a', '--initial', '--count', '3'] });
  await until('it began', () => child.output.stdout !== '', 30_000);
  node.state.set('a.c', { d: 'x' });
  await until('it is printed', () => child.output.stdout.includes('a.c'));
  node.state.delete('a.b');
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.equal(child.output.stdout, 'a = {"b":1}\na.c = {"d":"x"}\na.b = (nothing)\n');
  const lost = startFile(t, BIN, { args: ['watch', node.address, '--initial', '--json'] });
  await until('it began', () => lost.output.stdout !== '', 30_000);
  assert.deepEqual(JSON.parse(lost.output.stdout), { path: [], value: { a: { c: { d: 'x' } } }, skipped: false });
  await node.close();
  assert.deepEqual(await once(lost, 'close'), [3, null]);
});

test('a command ends when nobody reads what it prints', async (t) => {
  const node = await openNode(t);
  const command = `"${process.execPath}" ${BIN} top ${node.address} --json --interval 50 | head -n 1`;
  const child = spawn('sh', ['-c', command], { cwd: path.dirname(__dirname), stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(output.stdout.split('\n').length, 2);
  assert.equal(output.stderr, '');
});

test('run has a job done by every node', async (t) => {
  const [first, second] = await openNodes(t, 2);
  second.worker('add', (x, y) => x + y);
  second.worker('fail', () => {
    throw new RangeError('no');
  });
  const { code, outcomes } = await cliJson(t, ['run', first.address, 'add', '1', '2']);
  assert.equal(code, 0);
  const good = outcomes.find(({ node }) => node === second.id);
  assert.deepEqual([good.status, good.value], ['ok', 3]);
  assert.deepEqual(outcomes.find(({ node }) => node === first.id).status, 'no-worker');
  const failed = await cli(t, ['run', first.address, 'fail']);
  assert.equal(failed.code, 1);
  assert.equal(failed.stdout.includes(`${second.name}: RangeError: no`), true);
  const nobody = await cli(t, ['run', first.address, 'nothing']);
  assert.deepEqual([nobody.code, nobody.stderr], [1, "No node has a worker 'nothing'\n"]);
});

test('top prints a line for each look where there is no terminal', async (t) => {
  const node = await openNode(t);
  const { code, stdout } = await cli(t, ['top', node.address, '--count', '2', '--interval', '100', '--json']);
  assert.equal(code, 0);
  const looks = stdout.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(looks.map(({ verdict, writesPerSecond }) => [verdict, writesPerSecond]), [['converged', null], ['converged', 0]]);
  const text = await cli(t, ['top', node.address, '--count', '1']);
  assert.match(text.stdout, /^\S+Z 1 node, all have the same, - writes\/s/);
});

test('top draws on a terminal, and q leaves', { skip: !fs.existsSync('/usr/bin/script') && 'no script(1) here' }, async (t) => {
  const node = await openNode(t, { name: 'drawn' });
  const command = `stty cols 80 rows 24; exec ${process.execPath} ${BIN} top ${node.address} --interval 100`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: path.dirname(__dirname), env: { ...process.env, LC_ALL: 'C.UTF-8' }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (screen += text));
  await until('it draws', () => screen.includes('drawn') && screen.includes('q leaves'), 30_000);
  child.stdin.write('l');
  await until('it sorts', () => screen.includes('sorted by lag'));
  child.stdin.write('q');
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.equal(screen.endsWith('\x1b[?25h\x1b[?1049l'), true, 'the terminal is as it was');
});

test('doctor finds nothing where all is well, and says what to change where it is not', async (t) => {
  const node = await openNode(t);
  const well = await cliJson(t, ['doctor', node.address]);
  assert.equal(well.findings.every(({ isWell }) => isWell), true, JSON.stringify(well));
  assert.equal(well.code, 0);
  assert.deepEqual(well.findings.map(({ what }) => what),
    ['the addon loads', 'a secret', 'listening', 'somebody is there', 'clocks', 'the cluster']);
  const [{ host, port }] = await freeAddresses(1);
  const nobody = await cli(t, ['doctor', `${host}:${port}`]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stdout, /BAD {2}somebody is there: .*\(ECONNREFUSED\)\n {5}nobody listens there/);
  const taken = await cliJson(t, ['doctor', '--listen', node.address]);
  assert.deepEqual(taken.findings.map(({ code }) => code), [undefined, undefined, 'EADDRINUSE']);
  const bad = await cliJson(t, ['doctor'], { COLLECTIVE_SECRET: 'too-short' });
  assert.equal(bad.findings.some(({ code, advice }) => code === 'ERR_INVALID_SECRET' && advice.includes('keygen')), true);
});

test('the secret comes from the environment and is never printed', async (t) => {
  const secret = randomBytes(32).toString('base64');
  const node = await openNode(t, { secret });
  const env = { COLLECTIVE_SECRET: secret };
  for (const args of [['status', node.address], ['get', node.address], ['doctor', node.address], ['top', node.address, '--count', '1']]) {
    const { stdout, stderr } = await cli(t, args, env);
    assert.equal(`${stdout}${stderr}`.includes(secret), false, args[0]);
  }
  assert.equal((await cliJson(t, ['status', node.address], env)).code, 0);
  const without = await cli(t, ['status', node.address]);
  assert.deepEqual([without.code, without.stdout], [3, '']);
  assert.match(without.stderr, /may want a secret/);
  const wrong = await cli(t, ['status', node.address], { COLLECTIVE_SECRET: randomBytes(32).toString('hex') });
  assert.equal(wrong.code, 3);
  assert.match(wrong.stderr, /ERR_HANDSHAKE_FAILED/);
  const bad = await cli(t, ['status', node.address], { COLLECTIVE_SECRET: 'x' });
  assert.equal(bad.code, 2);
});

test('what is wrong is told, and what to end with is documented', async (t) => {
  const node = await openNode(t);
  const [{ host, port }] = await freeAddresses(1);
  const at = node.address;
  const wrong = [
    ['status'], ['status', 'nowhere'], ['status', at, 'more'], ['status', at, '--sort', 'colour'],
    ['status', at, '--timeout', 'soon'], ['status', at, '--limits', '1,2'], ['get', at, '[1]'], ['get', at, '[x'],
    ['get', at, 'a..b'], ['set', at], ['set', at, 'a'], ['set', at, 'a', 'no json'], ['set', at, 'a', '--increment', 'x'],
    ['set', at, 'a', '1', '--delete'], ['run', at], ['run', at, 'w', 'no json'], ['run', at, 'w', '--within', '0'],
    ['run', at, 'collective-io:report'], ['top', at, '--count', '0'], ['watch', at, 'a', '--count', '-1'],
  ];
  for (const args of wrong) {
    const { code, stderr, stdout } = await cli(t, args);
    assert.deepEqual([code, stdout, stderr.includes('Usage') || stderr.includes('npx collective-io')], [2, '', true], args.join(' '));
  }
  assert.equal((await cli(t, ['set', at, 'a.b.c', '1'])).code, 0);
  const refused = await cli(t, ['status', `${host}:${port}`]);
  assert.deepEqual([refused.code, refused.stderr.includes('ECONNREFUSED')], [3, true]);
  const json = await cli(t, ['status', `${host}:${port}`, '--json']);
  assert.deepEqual([json.code, JSON.parse(json.stdout).error.code, json.stderr], [3, 'ECONNREFUSED', '']);
  assert.equal((await cli(t, ['status', at, '--cluster', 'another'])).code, 3);
  assert.equal((await cli(t, ['status', at, '--limits', '5,5,500'])).code, 0, 'who wants no state needs no limits');
  assert.equal((await cli(t, ['get', at, '--limits', '5,5,500'])).code, 3);
});

// ---- what is drawn

function report(name, { writes = 0, jobs = 0, counts = [0, 0, 0], lagMs = 0, context = 'c', hash = 'h', links = [] } = {}) {
  const stats = {
    links, context, hash, writesLocal: writes, jobsAsked: jobs, documentNodes: 1234, jobs: 1, runs: 2, peers: 3,
    jobMs: { bounds: [1, 10], counts, sum: 0 },
  };
  return { id: name, name, address: `${name}:1`, ms: 1, stats, lagMs };
}

test('a cluster is judged by what its nodes have', () => {
  const links = [{ id: 'b', lag: 5, lagMs: 9000, state: 'up' }];
  const verdict = (...reports) => overview(reports).verdict;
  assert.equal(verdict(report('a'), report('b')), 'converged');
  assert.equal(verdict(report('a'), report('b', { context: 'd' })), 'flowing');
  assert.equal(verdict(report('a', { links }), report('b', { context: 'd' })), 'behind');
  assert.equal(verdict(report('a'), report('b', { hash: 'i' })), 'different');
  assert.equal(verdict(report('a'), report('b', { hash: null })), 'converged');
  assert.equal(verdict(report('a'), { id: 'b', name: 'b', stats: null, code: 'ERR_TIMEOUT' }), 'incomplete');
  const { nodes } = overview([report('a', { links }), report('b')], 'lag');
  assert.deepEqual(nodes.map(({ name, lag, lagMs }) => [name, lag, lagMs]), [['b', 5, 9000], ['a', 0, 0]]);
});

test('a node that catches up says so, and how far it is', () => {
  const state = (catchingUp) => {
    const seen = overview([report('a', { links: [{ id: 'b', lag: 0, lagMs: 0, state: 'up', catchingUp }] })]);
    assert.deepEqual(seen.nodes[0].catchingUp, catchingUp);
    return table(seen)[1].split(/ {2,}/).at(-1);
  };
  assert.equal(state(null), 'up');
  assert.equal(state({ ms: 10, bytes: 1_250_000, paths: 500, merged: 0 }), 'catching up 1.3 MB');
  assert.equal(state({ ms: 10, bytes: 9_000_000, paths: 1000, merged: 259 }), 'catching up 25 %');
});

test('a table fits, and nothing of it is lost where there is room', () => {
  const seen = overview([report('a'.repeat(50)), report('b')]);
  assert.equal(table(seen)[1].includes('a'.repeat(50)), true);
  for (const line of table(seen, 80)) assert.equal(line.length <= 80, true, line);
});

test('rates are of what was counted between two looks', () => {
  const rates = new Rates();
  rates.look([report('a', { writes: 100, counts: [5, 0, 0] })], 0);
  assert.deepEqual(rates.writes, []);
  rates.look([report('a', { writes: 110, jobs: 4, counts: [6, 18, 1] }), report('b', { writes: 7 })], 2000);
  assert.deepEqual([rates.writes, rates.jobs, rates.p50, rates.p95], [[5], [2], [10], [10]]);
  rates.look([report('a', { writes: 3 })], 3000);
  assert.deepEqual([rates.writes.at(-1), rates.p50.at(-1)], [0, NaN], 'it was started again');
  assert.equal(quantile([0, 0, 4], [1, 10], 0.5), 10);
});

test('a plot has bars as high as its values, in blocks or without', () => {
  const size = { width: 4, height: 2 };
  assert.deepEqual(plot([0, 8, 16], size), ['   █', '  ██']);
  assert.deepEqual(plot([0, 4, 16], size), ['   █', '  ▄█']);
  assert.deepEqual(plot([0, 8, 16], { ...size, isUnicode: false }), ['   #', '  ##']);
  assert.deepEqual(plot([NaN, 0], size), ['    ', '    ']);
  assert.deepEqual(plot([9, 9, 9, 9, 9, 1000], size)[0], '   █');
});

test('a frame has the size of the terminal', () => {
  const rates = new Rates();
  const reports = Array.from({ length: 40 }, (_, at) => report(`node-${at}`));
  rates.look(reports, 0);
  rates.look(reports, 1000);
  for (const [columns, rows] of [[80, 24], [120, 60]]) {
    const lines = frame({ address: 'here:1', reports, rates, sort: 'name', columns, rows, isUnicode: true });
    assert.equal(lines.length, rows);
    for (const line of lines) assert.equal(line.length <= columns, true, line);
  }
  const lines = frame({ address: 'here:1', reports, rates, sort: 'name', columns: 80, rows: 24, isUnicode: false });
  assert.match(lines.at(-2), /^\d+ more$/);
  assert.equal(/[▁-█]/.test(lines.join('')), false);
});
