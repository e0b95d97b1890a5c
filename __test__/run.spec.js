'use strict';

/* node.worker, node.run and what a function knows of its job; node.call is in call.spec.js. */

const assert = require('node:assert/strict');
const { setImmediate: turn } = require('node:timers/promises');
const test = require('node:test');
const { inspect } = require('node:util');

const { Servent } = require('..');
const { meet, openNode, openNodes } = require('./support/nodes');
const { Workshop, run } = require('./support/process');
const { gather } = require('./support/servents');
const { until } = require('./support/until');

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Each status with the code of its error and whether the function ran, by the id of the node. */
async function told(gathering) {
  const entries = [...(await gathering.results())].map(([node, { status, error }]) =>
    [node, [status, error?.code, error?.executed]]);
  return Object.fromEntries(entries);
}

/** A worker that is told to stop, and why. */
function never(node, options) {
  const runs = [];
  node.worker('never', function () {
    runs.push(this);
    return new Promise(() => {});
  }, options);
  return runs;
}

test('every node is asked, this one too, and each outcome comes once', async (t) => {
  const nodes = await openNodes(t, 3);
  nodes.forEach((node, index) => node.worker('sum', (a, b) => ({ index, sum: a + b })));
  const gathering = nodes[0].run('sum', [1, 2]);
  assert.deepEqual([...gathering.nodes].sort(), nodes.map(({ id }) => id).sort());
  const outcomes = [];
  for await (const outcome of gathering) outcomes.push(outcome);
  assert.equal(outcomes.length, 3);
  for (const [index, { id }] of nodes.entries()) {
    const { name, status, value, error, ms } = outcomes.find(({ node }) => node === id);
    assert.deepEqual([name, status, value, error], [nodes[index].name, 'ok', { index, sum: 3 }, undefined]);
    assert.ok(ms >= 0);
  }
  assert.match(inspect(gathering), /^Gathering \{/);
});

test('it starts at once, and can be asked for everything at any time, more than once', async (t) => {
  const [node] = await openNodes(t, 2);
  let runs = 0;
  node.worker('count', () => ++runs);
  const gathering = node.run('count', [], { to: node.id });
  await until('it has run', () => runs === 1);
  const [first, values, results] = await Promise.all([gathering.first(), gathering.values(), gathering.results()]);
  assert.deepEqual([first, values, results.get(node.id).value], [1, [1], 1]);
  for (let times = 0; times < 2; times++) {
    for await (const { value } of gathering) assert.equal(value, 1);
  }
  assert.equal(runs, 1);
});

test('outcomes come as they come', async (t) => {
  const [a, b] = await openNodes(t, 2);
  let answer;
  a.worker('work', () => new Promise((resolve) => (answer = resolve)));
  b.worker('work', () => 'fast');
  const seen = [];
  for await (const { node, value } of a.run('work')) {
    seen.push(value);
    if (node === b.id) answer('slow');
  }
  assert.deepEqual(seen, ['fast', 'slow']);
});

test('what a function throws, rejects with or cannot give is the error of its node', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const failure = () => Object.assign(new RangeError('too far', { cause: new Error('why') }), { code: 'E_FAR' });
  const functions = {
    throws() { throw failure(); },
    rejects: async () => { throw failure(); },
    text: () => { throw 'text'; },
    cycle() { const value = {}; value.self = value; return value; },
    bigint: async () => 5n,
    thenable: () => ({ get then() { throw failure(); } }),
  };
  for (const [name, func] of Object.entries(functions)) b.worker(name, func);
  const outcome = async (name) => (await a.run(name, [], { to: b.id }).results()).get(b.id);
  for (const name of ['throws', 'rejects', 'thenable']) {
    const { status, error } = await outcome(name);
    assert.equal(status, 'error');
    assert.deepEqual(
      [error.name, error.message, error.code, error.executed, error.node, error.peer, error.cause.message],
      ['RangeError', 'too far', 'E_FAR', 'yes', b.id, a.peers.get(b.id), 'why'],
    );
  }
  assert.equal((await outcome('text')).error.message, 'text');
  for (const name of ['cycle', 'bigint']) assert.equal((await outcome(name)).error.code, 'ERR_INVALID_VALUE');
});

test('a function gives anything that JSON holds, and nothing is null', async (t) => {
  const node = await openNode(t);
  node.worker('echo', (value) => value);
  for (const value of [null, 0, '', false, [1, [2]], { a: { b: 'ü' } }, undefined]) {
    assert.deepEqual(await node.run('echo', [value]).values(), [value ?? null]);
  }
  node.worker('nothing', async () => {});
  assert.deepEqual(await node.run('nothing').values(), [null]);
});

test('values and first are rejected with all that went wrong', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  a.worker('work', () => { throw new Error('no'); });
  b.worker('work', () => 'b');
  const gathering = a.run('work');
  assert.equal(await gathering.first(), 'b');
  await assert.rejects(gathering.values(), (error) => {
    assert.ok(error instanceof AggregateError);
    assert.equal(error.message, '2 of 3 nodes gave no value');
    assert.deepEqual(error.errors.map(({ node }) => node).sort(), [a.id, c.id].sort());
    return true;
  });
  await assert.rejects(a.run('work', [], { to: [a.id, c.id] }).first(), (error) => {
    assert.ok(error instanceof AggregateError);
    assert.deepEqual(error.errors.map(({ code }) => code ?? 'own').sort(), ['ERR_NO_WORKER', 'own']);
    return true;
  });
});

test('leaving the loop ends the job, and functions that run are told', async (t) => {
  const [a, b] = await openNodes(t, 2);
  a.worker('never', () => 'now');
  const runs = never(b);
  const gathering = a.run('never');
  for await (const { value } of gathering) {
    assert.equal(value, 'now');
    await until('it runs', () => runs.length === 1);
    break;
  }
  assert.deepEqual((await told(gathering))[b.id], ['aborted', 'ABORT_ERR', 'unknown']);
  await until('it was told', () => runs[0].signal.aborted);
  assert.equal(runs[0].signal.reason.code, 'ABORT_ERR');
});

test('a signal, cancel and the timeout end a job', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const runs = never(b);
  const controller = new AbortController();
  const aborted = a.run('never', [], { to: 'others', signal: controller.signal });
  const cancelled = a.run('never', [], { to: 'others' });
  await until('both run', () => runs.length === 2);
  controller.abort({ why: 'enough' });
  cancelled.cancel(new Error('I know it'));
  cancelled.cancel('too late');
  for (const gathering of [aborted, cancelled]) {
    assert.deepEqual(await told(gathering), { [b.id]: ['aborted', 'ABORT_ERR', 'unknown'] });
  }
  const causes = [aborted, cancelled].map(async (gathering) => (await gathering.results()).get(b.id).error.cause);
  assert.deepEqual(await Promise.all(causes), [{ why: 'enough' }, new Error('I know it')]);
  await until('both were told', () => runs.every(({ signal }) => signal.aborted));
  assert.deepEqual(runs[0].signal.reason, { why: 'enough' });
  assert.equal(runs[1].signal.reason.message, 'I know it');

  const late = a.run('never', [], { to: 'others', timeout: 50 });
  assert.deepEqual(await told(late), { [b.id]: ['timeout', 'ERR_TIMEOUT', 'unknown'] });
  await until('it was told', () => runs[2].signal.aborted);
  assert.equal(runs[2].signal.reason.code, 'ERR_TIMEOUT');
});

test('a job that was aborted before it began asks nobody', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const runs = never(b);
  const signal = AbortSignal.abort('never mind');
  const gathering = a.run('never', [], { signal });
  const nothing = ['aborted', 'ABORT_ERR', 'no'];
  assert.deepEqual(await told(gathering), { [a.id]: nothing, [b.id]: nothing });
  assert.equal((await gathering.results()).get(b.id).error.cause, 'never mind');
  // What was sent before this would have come before it.
  b.worker('last', () => runs.length);
  assert.deepEqual(await a.run('last', [], { to: b.id }).values(), [0]);
});

test('who is asked', async (t) => {
  const nodes = await openNodes(t, 3);
  const [a, b, c] = nodes;
  for (const node of nodes) node.worker('id', () => node.id);
  const asked = async (to) => (await a.run('id', [], { to }).values()).sort();
  assert.deepEqual(await asked(undefined), nodes.map(({ id }) => id).sort());
  assert.deepEqual(await asked('others'), [b.id, c.id].sort());
  assert.deepEqual(await asked(c.id), [c.id]);
  assert.deepEqual(await asked([a.id, b.id, a.id]), [a.id, b.id].sort());
  assert.deepEqual(await asked(({ id }) => id === b.id), [b.id]);
  assert.deepEqual(await asked([]), []);
  const tagged = await openNode(t, { seeds: [a.address], tags: { role: 'web', zone: 'a' }, name: 'tagged' });
  tagged.worker('id', () => tagged.id);
  await until('it is there', () => a.peers.has(tagged.id));
  assert.deepEqual(await asked({ tags: { role: 'web' } }), [tagged.id]);
  assert.deepEqual(await asked({ tags: { role: 'web', zone: 'b' } }), []);
  assert.deepEqual(await asked({ tags: { toString: 'web' } }), []);
  assert.equal((await asked({ tags: {} })).length, 4);
  assert.deepEqual(await tagged.run('id', [], { to: { tags: { zone: 'a' } } }).values(), [tagged.id]);
  await assert.rejects(a.run('id', [], { to: [] }).first(), { name: 'AggregateError', errors: [] });
  const nobody = '0'.repeat(24);
  const outcomes = await told(a.run('id', [], { to: [nobody, b.id] }));
  assert.deepEqual(outcomes, { [nobody]: ['lost', 'ERR_PEER_LOST', 'no'], [b.id]: ['ok', undefined, undefined] });
});

test('a node without the worker says so, and one that has left nothing', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  const worker = c.worker('work', () => 1);
  assert.equal(worker.remove(), true);
  assert.equal(worker.remove(), false);
  await b.close();
  await until('it is gone', () => !a.peers.has(b.id));
  const none = ['no-worker', 'ERR_NO_WORKER', 'no'];
  assert.deepEqual(await told(a.run('work')), { [a.id]: none, [c.id]: none });
});

test('a node that is killed is lost at once, and what it asked for stops', async (t) => {
  const [a] = await openNodes(t, 1);
  const runs = never(a);
  const other = new Workshop(t, { seeds: [a.address] });
  const { id } = await other.node();
  await until('it is there', () => a.peers.has(id));
  const gathering = a.run('never', [], { to: 'others' });
  await until('it runs', async () => (await other.runs()) === 1);
  await other.start('never');
  await until('its own runs here', () => runs.length === 1);
  await other.kill();
  assert.deepEqual(await told(gathering), { [id]: ['lost', 'ERR_PEER_LOST', 'unknown'] });
  await until('it was told', () => runs[0].signal.aborted);
  assert.equal(runs[0].signal.reason.code, 'ERR_PEER_LOST');
});

test('bad arguments are thrown, and nothing is sent', async (t) => {
  const [node] = await openNodes(t, 2);
  const bad = { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' };
  for (const options of [
    5, { to: 5 }, { to: [5] }, { to: {} }, { to: { tags: { a: 1 } } }, { to: { tags: {}, ids: [] } }, { timeout: -1 }, { timeout: '1' }, { signal: {} }, { ttl: 5 },
    { traceparent: 5 }, { tracestate: 5 }, { concurrency: 1 },
  ]) {
    assert.throws(() => node.run('x', [], options), bad, inspect(options));
    await assert.rejects(node.call('x', [], options), bad, inspect(options));
  }
  for (const args of ['text', { length: 0 }, null]) assert.throws(() => node.run('x', args), bad);
  for (const name of [undefined, '', 5, 'x'.repeat(256)]) {
    assert.throws(() => node.run(name), { code: 'ERR_INVALID_NAME' });
    assert.throws(() => node.worker(name, () => {}), { code: 'ERR_INVALID_NAME' });
    await assert.rejects(node.call(name), { code: 'ERR_INVALID_NAME' });
  }
  assert.throws(() => node.run('x', [() => {}]), { code: 'ERR_INVALID_VALUE' });
  assert.throws(() => node.run('x', [], { to: () => { throw new Error('mine'); } }), /^Error: mine$/);
  for (const func of [undefined, null, 'x', {}]) assert.throws(() => node.worker('x', func), bad);
  for (const options of [
    5, { concurrency: 0 }, { concurrency: 1.5 }, { queue: 1 }, { concurrency: 1, queue: -1 }, { idempotent: 1 },
    { timeout: 5 },
  ]) assert.throws(() => node.worker('x', () => {}, options), bad, inspect(options));
  assert.equal(node.stats().jobs, 0);
});

test('`this` and context() tell of the job, in what the function awaits too', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const contexts = {};
  for (const node of [a, b]) {
    node.worker('context', async function () {
      await turn();
      contexts[node.id] = [this, await (async () => node.context())()];
      return new Promise((resolve) => setTimeout(() => resolve(node.context().job.id), 1));
    });
  }
  assert.equal(a.context(), undefined);
  const before = Date.now();
  const gathering = a.run('context', [], { timeout: 5000 });
  const ids = await gathering.values();
  const after = Date.now();
  assert.deepEqual(ids, [gathering.id, gathering.id]);
  assert.match(gathering.id, new RegExp(`^${a.id}-\\d+$`));
  for (const node of [a, b]) {
    const [self, found] = contexts[node.id];
    assert.equal(self, found);
    assert.deepEqual([self.job, self.caller.node, self.caller.name], [{ id: gathering.id, name: 'context' }, a.id, a.name]);
    assert.equal(self.caller.peer, node === a ? undefined : b.peers.get(a.id));
    assert.ok(self.signal instanceof AbortSignal && !self.signal.aborted);
    assert.ok(self.deadline > before && self.deadline <= after + 5000);
    assert.deepEqual([self.traceparent, self.tracestate], [undefined, undefined]);
    assert.match(inspect(self), /^JobContext \{/);
  }
  assert.equal(a.context(), undefined);
});

test('jobs that a function starts have no more time than it has', async (t) => {
  const [a, b, c] = await openNodes(t, 3);
  c.worker('inner', function () { return this.deadline; });
  b.worker('outer', async function () {
    const [run] = await b.run('inner', [], { to: c.id }).values();
    const call = await b.call('inner', [], { timeout: 60_000 });
    const less = await b.call('inner', [], { timeout: 1000 });
    return { own: this.deadline, run, call, less };
  });
  const [deadlines] = await a.run('outer', [], { to: b.id, timeout: 8000 }).values();
  // On its way a deadline gains what the way takes, which is not 22 seconds.
  for (const name of ['run', 'call']) assert.ok(deadlines[name] < deadlines.own + 10_000, name);
  assert.ok(deadlines.less < deadlines.own);

  // What is over for it is over for them.
  let begun = 0;
  b.worker('late', async function () {
    begun += 1;
    await until('the time is over', () => this.signal.aborted);
    const outcomes = (await b.run('inner', [], { to: c.id }).results()).get(c.id);
    late.push(outcomes.status, await b.call('inner').catch(({ code, executed }) => [code, executed]));
  });
  const late = [];
  for (let timeout = 50; begun === 0; timeout *= 2) await a.run('late', [], { to: b.id, timeout }).results();
  await until('it has tried', () => late.length === 2);
  assert.deepEqual(late, ['timeout', ['ERR_TIMEOUT', 'no']]);
});

test('a trace goes along, to nested jobs too; what is malformed is left out', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const trace = (node) => {
    const { traceparent, tracestate } = node.context();
    return [traceparent, tracestate];
  };
  for (const node of [a, b]) node.worker('trace', () => trace(node));
  b.worker('nested', () => Promise.all([
    b.call('trace', [], { to: a.id }),
    b.call('trace', [], { to: a.id, traceparent: TRACEPARENT.replace('-01', '-00') }),
  ]));
  const seen = async (options) => (await a.run('trace', [], options).values())[1];
  assert.deepEqual(await seen({ traceparent: TRACEPARENT }), [TRACEPARENT, null]);
  const both = { traceparent: TRACEPARENT, tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7' };
  assert.deepEqual(await seen(both), [TRACEPARENT, both.tracestate]);
  assert.deepEqual(await seen({ ...both, traceparent: 'nonsense' }), [null, null]);
  assert.deepEqual(await seen({ ...both, traceparent: TRACEPARENT.toUpperCase() }), [null, null]);
  assert.deepEqual(await seen({ ...both, tracestate: 'x\n' }), [TRACEPARENT, null]);
  assert.deepEqual(await seen({ ...both, tracestate: 'x'.repeat(513) }), [TRACEPARENT, null]);
  assert.deepEqual(await seen({ ...both, tracestate: 'x'.repeat(512) }), [TRACEPARENT, 'x'.repeat(512)]);
  assert.deepEqual(await a.call('nested', [], { to: b.id, ...both }), [
    [TRACEPARENT, both.tracestate], [TRACEPARENT.replace('-01', '-00'), null],
  ]);
});

test('concurrency and queue bound what runs and waits; beyond it is busy', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const running = [];
  b.worker('work', (number) => new Promise((resolve) => running.push({ number, resolve })), { concurrency: 2, queue: 1 });
  const to = b.id;
  const gatherings = [0, 1, 2, 3].map((number) => a.run('work', [number], { to }));
  assert.deepEqual(await told(gatherings[3]), { [to]: ['busy', 'ERR_BUSY', 'no'] });
  assert.deepEqual(running.map(({ number }) => number), [0, 1]);
  running[1].resolve('one');
  assert.deepEqual(await gatherings[1].values(), ['one']);
  await until('the next runs', () => running.length === 3);
  assert.equal(running[2].number, 2);
  running[2].resolve('two');
  running[0].resolve('zero');
  assert.deepEqual([await gatherings[0].values(), await gatherings[2].values()], [['zero'], ['two']]);
  assert.equal(await a.call('work', [4], { timeout: 50 }).catch(({ code }) => code), 'ERR_TIMEOUT');
});

test('what waits and is not waited for is not begun, nor what waits for a worker that is removed', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const begun = [];
  let finish;
  const worker = b.worker('work', (number) => {
    begun.push(number);
    return new Promise((resolve) => (finish = resolve));
  }, { concurrency: 1 });
  const to = b.id;
  const first = a.run('work', [0], { to });
  const [late, cancelled, waits, removed] = [
    a.run('work', [1], { to, timeout: 30 }), a.run('work', [2], { to }), a.run('work', [3], { to }), a.run('work', [4], { to }),
  ];
  await until('the first runs', () => begun.length === 1);
  cancelled.cancel();
  assert.deepEqual((await told(late))[to], ['timeout', 'ERR_TIMEOUT', 'unknown']);
  await cancelled.results();
  await until('they are forgotten', () => {
    const { runs, itemsWaiting } = b.stats();
    return runs === 3 && itemsWaiting === 0;
  });
  finish('zero');
  assert.deepEqual(await first.values(), ['zero']);
  await until('the next runs', () => begun.length === 2);
  worker.remove();
  assert.deepEqual((await told(removed))[to], ['no-worker', 'ERR_NO_WORKER', 'no']);
  finish('three');
  assert.deepEqual(await waits.values(), ['three']);
  assert.deepEqual(begun, [0, 3]);
});

test('functions that answer at once take a long queue without a deep stack', async (t) => {
  const node = await openNode(t);
  let finish;
  node.worker('work', (number) => (number === 0 ? new Promise((resolve) => (finish = resolve)) : number), { concurrency: 1 });
  const gatherings = Array.from({ length: 6000 }, (_, number) => node.run('work', [number]));
  await until('all wait', () => {
    const { runs, itemsWaiting } = node.stats();
    return runs === 6000 && itemsWaiting === 0;
  });
  finish(0);
  const values = await Promise.all(gatherings.map((gathering) => gathering.first()));
  assert.deepEqual(values, values.map((_, number) => number));
});

test('another worker of a name takes its place, and the first stays away', async (t) => {
  const node = await openNode(t);
  const first = node.worker('work', () => 'first');
  const second = node.worker('work', () => 'second');
  assert.deepEqual(await first.run().values(), ['second']);
  assert.equal(first.remove(), false);
  assert.equal(await second.call(), 'second');
  assert.match(inspect(second), /^NodeWorker \{/);
  assert.equal(second.remove(), true);
  await assert.rejects(second.call(), { code: 'ERR_NO_WORKER' });
});

test('jobs of a servent and of a node reach the workers of both', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const servent = new Servent({ node: b });
  servent.createWorker('classic', (number, callback) => callback(null, number + 1));
  a.worker('today', async (number) => number + 2);
  assert.deepEqual(await a.run('classic', [1], { to: 'others' }).values(), [2]);
  assert.equal(await a.call('classic', [2]), 3);
  const { data, summary } = await gather(servent.createWorker('today').distribute(), 1);
  assert.deepEqual([data, summary.failed.map(({ status }) => status)], [[3], ['no-worker']]);
  assert.equal(servent.broadcast('hello'), 1);
  assert.throws(() => servent.broadcast('collective-io:workers'), { code: 'ERR_RESERVED_EVENT' });
});

test('close finishes what runs and waits here, and refuses the rest', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const finish = [];
  b.worker('work', () => new Promise((resolve) => finish.push(resolve)), { concurrency: 1 });
  const jobs = [a.run('work', [], { to: b.id }), a.run('work', [], { to: b.id })];
  await until('one runs, one waits', () => finish.length === 1 && b.stats().runs === 2);
  const closed = b.close();
  assert.throws(() => b.worker('other', () => {}), { code: 'ERR_CLOSED' });
  assert.throws(() => b.run('work'), { code: 'ERR_CLOSED' });
  await assert.rejects(b.call('work'), { code: 'ERR_CLOSED' });
  finish[0](0);
  await until('the other runs', () => finish.length === 2);
  finish[1](1);
  assert.deepEqual(await Promise.all(jobs.map((job) => job.first())), [0, 1]);
  await closed;
});

test('destroy ends own jobs and what runs here', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const runs = never(b, { concurrency: 1 });
  const own = b.run('never', [], { to: b.id });
  const theirs = [a.run('never', [], { to: b.id }), a.run('never', [], { to: b.id })];
  await until('one runs', () => runs.length === 1 && b.stats().runs === 3);
  await b.destroy();
  assert.deepEqual(await told(own), { [b.id]: ['aborted', 'ABORT_ERR', 'unknown'] });
  assert.equal(runs[0].signal.reason.code, 'ERR_CLOSED');
  assert.equal(runs.length, 1);
  for (const gathering of theirs) assert.equal((await told(gathering))[b.id][0], 'lost');
});

test('a peer that joins later knows of workers, and is asked', async (t) => {
  const a = await openNode(t);
  a.worker('work', () => 'a');
  const b = await openNode(t, { seeds: [a.address] });
  await meet([a, b]);
  assert.equal(await b.call('work'), 'a');
});

test('a job keeps the process of a node that was let go', async (t) => {
  const { code, stdout, stderr } = await run(t, `
    Collective.join().then(async (node) => {
      node.unref();
      node.worker('work', () => new Promise((resolve) => setTimeout(resolve, 20, 'done').unref()));
      console.log(await node.call('work'));
    });
  `);
  assert.deepEqual([code, stdout, stderr], [0, 'done\n', '']);
});
