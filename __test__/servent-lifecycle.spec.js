'use strict';

/* How processes with servents in them live and end, and what the others see of it. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { Worker: Thread } = require('node:worker_threads');

const { freePorts } = require('./support/ports');
const { ROOT, Companion, run } = require('./support/process');
const { gather, listening, openServent } = require('./support/servents');
const { until } = require('./support/until');

/** Runs a program that has `Servent`. */
function runServent(t, source, options) {
  return run(t, `const { Servent } = Collective;\n${source}`, options);
}

/** A servent here that knows servents in processes of their own, all of each other. */
async function company(t, count, options) {
  const servent = await listening(t, options);
  const companions = Array.from({ length: count }, () => new Companion(t, options));
  for (const companion of companions) {
    await companion.listen();
    await companion.connect(servent.address().port);
  }
  await until('all know all', async () => {
    const peers = await Promise.all(companions.map((companion) => companion.peers()));
    return [...peers, Object.keys(servent.peers)].every(({ length }) => length === count);
  });
  return { servent, companions };
}

test('a servent that neither listens nor connects keeps nothing', async (t) => {
  const { code, stdout } = await runServent(t, `
    const servent = new Servent();
    servent.on('peer', () => {});
    servent.expose('x', () => {});
    servent.createWorker('work', () => {});
    console.log('end');
  `);
  assert.deepEqual([code, stdout], [0, 'end\n']);
});

test('a job without a network ends, and then the process', async (t) => {
  const { code, stdout } = await runServent(t, `
    const worker = new Servent().createWorker('work', (callback) => setTimeout(callback, 50, null, 'done').unref());
    const job = worker.distribute().run();
    job.on('data', (value) => console.log(value)).on('end', ({ reason }) => console.log(reason));
  `);
  assert.deepEqual([code, stdout], [0, 'done\ncomplete\n']);
});

test('its deadline ends it', async (t) => {
  const { code, stdout } = await runServent(t, `
    const worker = new Servent().createWorker('never', () => {});
    worker.distribute().setTTL(100).run().on('end', ({ reason }) => console.log(reason));
  `);
  assert.deepEqual([code, stdout], [0, 'timeout\n']);
});

test('listening keeps the process, and unref lets it go', async (t) => {
  const staying = await runServent(t, 'new Servent().listen(0);', { deadlineMs: 1500 });
  assert.equal(staying.signal, 'SIGKILL');
  const going = await runServent(t, 'new Servent().listen(0).unref();');
  assert.equal(going.code, 0);
  const early = await runServent(t, 'new Servent().unref().listen(0);');
  assert.equal(early.code, 0);
  const again = await runServent(t, 'new Servent().listen(0).unref().ref();', { deadlineMs: 1500 });
  assert.equal(again.signal, 'SIGKILL');
});

test('unref does not leave a job behind', async (t) => {
  const { code, stdout } = await runServent(t, `
    const servent = new Servent().listen(0).unref();
    servent.createWorker('work', (callback) => setTimeout(callback, 50, null, 1).unref())
      .distribute().run().on('end', ({ reason }) => console.log(reason));
  `);
  assert.deepEqual([code, stdout], [0, 'complete\n']);
});

test('connecting keeps the process, also while nobody is there', async (t) => {
  const [port] = await freePorts(1);
  const { signal, stdout } = await runServent(t, `
    new Servent().connect(${port}).on('error', ({ code }) => console.log(code));
  `, { deadlineMs: 1500 });
  assert.deepEqual([signal, stdout], ['SIGKILL', 'ECONNREFUSED\n']);
});

test('after a failed listen nothing keeps it', async (t) => {
  const taken = await listening(t);
  const { code, stdout } = await runServent(t, `
    new Servent().listen(${taken.address().port}).on('error', ({ code }) => console.log(code));
  `);
  assert.deepEqual([code, stdout], [0, 'EADDRINUSE\n']);
  const insecure = await runServent(t, `
    new Servent().listen(0, '0.0.0.0').on('error', ({ code }) => console.log(code));
  `);
  assert.deepEqual([insecure.code, insecure.stdout], [0, 'ERR_INSECURE_BIND\n']);
});

test('an error without a listener is an uncaught exception', async (t) => {
  const taken = await listening(t);
  const { code, stderr } = await runServent(t, `new Servent().listen(${taken.address().port});`);
  assert.equal(code, 1);
  assert.match(stderr, /EADDRINUSE/);
});

test('a process ends by itself after close, and after destroy', async (t) => {
  for (const method of ['close', 'destroy']) {
    const { code, stdout, stderr } = await runServent(t, `
      const [first, second] = [new Servent(), new Servent()];
      first.listen(0, () => second.connect(first.address().port, async () => {
        await Promise.all([first.${method}(), second.${method}()]);
        console.log('closed');
      }));
    `);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'closed\n', stderr: '' });
  }
});

test('the pattern of the README in plain processes', async (t) => {
  const [port] = await freePorts(1);
  const program = `
    const servent = new Servent();
    servent.on('listening', () => {
      if (servent.address().port !== ${port}) servent.connect(${port});
    });
    servent.on('error', (error) => {
      if (error.code === 'EADDRINUSE') servent.listen(0);
    });
    servent.listen(${port});
    const worker = servent.createWorker('random', (max, callback) => {
      callback(null, Math.floor(Math.random() * max));
    });
    servent.on('peer', () => {
      if (Object.keys(servent.peers).length < 2) return;
      worker.distribute((job) => {
        const numbers = [];
        job.setTTL(5000);
        job.on('data', (data) => numbers.push(data));
        job.on('error', console.error);
        job.on('end', () => console.log(numbers.length));
        job.run(1000);
      });
      // The others may not have asked yet.
      setTimeout(() => servent.close(), 1000);
    });
  `;
  const ended = await Promise.all([1, 2, 3].map(() => runServent(t, program)));
  for (const { code, stdout, stderr } of ended) {
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '3\n', stderr: '' });
  }
});

test('SIGKILL in the middle of a job: the peer is lost at once', async (t) => {
  const { servent, companions: [victim, other] } = await company(t, 2);
  const job = servent.createWorker('never', async () => 'here').distribute();
  const ended = gather(job);
  await until('all work', async () => (await victim.stats()).runs + (await other.stats()).runs === 2);
  const left = once(servent, 'peerLeave');
  const victimId = await victim.id();
  victim.signal('SIGKILL');
  const [peer, code] = await left;
  const lostAfter = performance.now();
  assert.deepEqual([peer.id, code], [victimId, 'ERR_PEER_LOST']);
  await until('it is told', () => job.responses === 2, 1000);
  assert.ok(performance.now() - lostAfter < 500);
  job.end();
  const { errors, summary } = await ended;
  assert.deepEqual(errors.map(({ code: why, node }) => [why, node]), [['ERR_PEER_LOST', victimId]]);
  assert.deepEqual(summary.missing.map(({ node }) => node), [await other.id()]);
});

test('SIGKILL of the caller: what runs for it is told to stop', async (t) => {
  const { companions: [caller, other] } = await company(t, 2);
  await caller.start('never');
  await until('it works there', async () => (await other.stats()).runs === 1);
  await caller.kill();
  await until('it is told', async () => (await other.stopped()).length === 1);
  assert.deepEqual(await other.stopped(), ['ERR_PEER_LOST']);
  assert.equal((await other.stats()).runs, 0);
});

test('a frozen process is lost after lossTimeout, and is the same peer when it goes on', { skip: process.platform === 'win32' }, async (t) => {
  const options = { heartbeatInterval: 100, lossTimeout: 800 };
  const { servent, companions: [frozen] } = await company(t, 1, options);
  const [peer] = Object.values(servent.peers);
  const ended = gather(servent.createWorker('never', async () => 1).distribute());
  await until('it works', async () => (await frozen.stats()).runs === 1);
  const started = performance.now();
  frozen.signal('SIGSTOP');
  const { errors } = await ended;
  const took = performance.now() - started;
  assert.deepEqual(errors.map(({ code }) => code), ['ERR_PEER_LOST']);
  assert.ok(took < 3000, `${took} ms`);
  assert.equal(peer.destroyed, true);

  frozen.signal('SIGCONT');
  await until('it is back', () => servent.peers[peer.id]);
  assert.equal(servent.peers[peer.id], peer);
  assert.deepEqual((await gather(servent.createWorker('pid', async () => 1).distribute())).data.length, 2);
});

test('a busy process is not lost, and is seen to be busy', async (t) => {
  const { servent, companions: [busy, other] } = await company(t, 2, { heartbeatInterval: 100, lossTimeout: 1000 });
  const busyId = await busy.id();
  servent.on('peerLeave', (peer, code) => assert.fail(`${code} of ${peer}`));
  const ended = gather(servent.createWorker('block', async () => 1).distribute(), 5000);
  await until('it is busy', () => servent.peers[busyId].busyFor > 2500, 8000);
  const { data } = await ended;
  assert.equal(data.length, 3);
  await until('it is busy no more', () => servent.peers[busyId].busyFor === 0);
  assert.deepEqual(Object.keys(servent.peers).length, 2);
  assert.equal(await other.busyFor(servent.id), 0);
});

test('a worker_threads thread with a servent', async (t) => {
  const servent = await listening(t);
  const thread = new Thread(`
    const { parentPort, workerData } = require('node:worker_threads');
    const { Servent } = require(${JSON.stringify(ROOT)});
    const servent = new Servent();
    servent.createWorker('where', async () => 'thread');
    servent.createWorker('never', () => {});
    servent.connect(workerData, () => parentPort.postMessage('connected'));
    parentPort.once('message', () => servent.close());
  `, { eval: true, workerData: servent.address().port });
  t.after(() => thread.terminate());
  await once(thread, 'message');
  await until('it is known', () => Object.keys(servent.peers).length === 1);
  const where = servent.createWorker('where', async () => 'main');
  assert.deepEqual((await gather(where.distribute())).data.sort(), ['main', 'thread']);
  thread.postMessage('close');
  await once(thread, 'exit');
  await until('it is gone', () => Object.keys(servent.peers).length === 0);
  assert.deepEqual((await gather(where.distribute())).data, ['main']);
});

test('a thread that is terminated in the middle of a job', async (t) => {
  const servent = await listening(t);
  const thread = new Thread(`
    const { workerData } = require('node:worker_threads');
    const { Servent } = require(${JSON.stringify(ROOT)});
    const servent = new Servent();
    servent.createWorker('never', () => {});
    servent.connect(workerData);
  `, { eval: true, workerData: servent.address().port });
  t.after(() => thread.terminate());
  await once(servent, 'peer');
  let answer;
  const worker = servent.createWorker('never', (callback) => (answer = callback));
  // The thread makes its worker before it connects.
  const ended = gather(worker.distribute());
  await until('it works here', () => answer);
  await thread.terminate();
  answer(null, 'main');
  const { data, errors } = await ended;
  assert.deepEqual(data, ['main']);
  assert.deepEqual(errors.map(({ code }) => code), ['ERR_PEER_LOST']);
});

test('process.exit and uncaught exceptions with jobs under way', async (t) => {
  const exits = await runServent(t, `
    const servent = new Servent().listen(0);
    servent.createWorker('never', () => process.exit(7)).distribute().run();
  `);
  assert.equal(exits.code, 7);
  const throws = await runServent(t, `
    const servent = new Servent().listen(0);
    servent.createWorker('work', async () => 1).distribute().run().on('data', () => { throw new Error('mine'); });
  `);
  assert.equal(throws.code, 1);
  assert.match(throws.stderr, /Error: mine/);
});

test('little is left of 50 servents', async (t) => {
  const before = process.listenerCount('exit');
  for (let i = 0; i < 50; i++) {
    const servent = openServent(t);
    servent.listen(0);
    await once(servent, 'listening');
    assert.equal(process.listenerCount('exit'), before + 1);
    await servent.close();
  }
  assert.equal(process.listenerCount('exit'), before);
});
