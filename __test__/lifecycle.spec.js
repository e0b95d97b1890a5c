'use strict';

/* How processes with nodes in them live and end. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { Worker } = require('node:worker_threads');

const Collective = require('..');
const { open, openAlone, openMesh } = require('./support/collectives');
const { freeAddresses } = require('./support/ports');
const { ROOT, Member, run } = require('./support/process');
const { until } = require('./support/until');

const quote = JSON.stringify;

test('a process ends by itself after close', async (t) => {
  const all = await freeAddresses(2);
  const { code, stdout, stderr } = await run(t, `
    const all = ${quote(all)};
    const nodes = all.map((local) => new Collective(local, all));
    Promise.all(nodes.map((node) => new Promise((ready) => node.on('ready', ready)))).then(async () => {
      nodes[0].set('a', 1);
      await Promise.all(nodes.map((node) => node.close()));
      console.log('closed');
    });
  `);
  assert.equal(stderr, '');
  assert.equal(stdout, 'closed\n');
  assert.equal(code, 0);
});

test('a process with a node stays, and goes after unref', async (t) => {
  const [local] = await freeAddresses(1);
  const staying = await run(t, `new Collective(${quote(local)}, []);`, { deadlineMs: 1500 });
  assert.equal(staying.signal, 'SIGKILL');
  const going = await run(t, `new Collective(${quote(local)}, []).unref();`);
  assert.equal(going.code, 0);
  const again = await run(t, `new Collective(${quote(local)}, []).unref().ref();`, { deadlineMs: 1500 });
  assert.equal(again.signal, 'SIGKILL');
});

test('close right after opening', async (t) => {
  const [local, other] = await freeAddresses(2);
  const { code, stderr } = await run(t, `
    new Collective(${quote(local)}, [${quote(other)}], () => console.error('not ready any more')).close();
  `);
  assert.equal(stderr, '');
  assert.equal(code, 0);
});

test('close can be repeated, frees the port and tells the peers', async (t) => {
  const all = await freeAddresses(2);
  const [first, second] = await Promise.all(all.map((local) => open(t, local, all)));
  await until('connected', () => first.active === 1 && second.active === 1);
  const gone = once(second, 'disconnect');
  const closing = once(first, 'close');
  await Promise.all([first.close(), first.close()]);
  await closing;
  assert.equal(first.active, 0);
  assert.deepEqual(first.connections, {});
  assert.deepEqual(await gone, [`${all[0].host}:${all[0].port}`, 'ERR_PEER_LEFT']);

  const reborn = await open(t, all[0], all);
  await until('connected again', () => reborn.active === 1 && second.active === 1);
});

test('process.exit in the middle of writes loses none of them', async (t) => {
  const all = await freeAddresses(2);
  const peer = await open(t, all[0], all);
  const { code } = await run(t, `
    const all = ${quote(all)};
    new Collective(all[1], all, (node) => {
      for (let i = 0; i < 1000; i++) node.set('k' + i, i);
      process.exit(7);
    });
  `);
  assert.equal(code, 7);
  await until('all are here', () => peer.get('k999') === 999 && Object.keys(peer.data).length === 1000);
});

test('an uncaught exception in the middle of writes ends the process as usual', async (t) => {
  const [local] = await freeAddresses(1);
  const { code, stderr } = await run(t, `
    new Collective(${quote(local)}, [], (node) => {
      for (let i = 0; i < 1000; i++) node.set('k' + i, i);
      throw new Error('mine');
    });
  `);
  assert.equal(code, 1);
  assert.match(stderr, /Error: mine/);
});

test('a listener that throws does not stop the events of others', async (t) => {
  const all = await freeAddresses(3);
  const { code, stdout } = await run(t, `
    const all = ${quote(all)};
    const thrown = [];
    process.on('uncaughtException', (error) => thrown.push(error.message));
    const node = new Collective(all[0], all, () => { throw new Error('callback'); });
    node.on('listening', () => { throw new Error('listening'); });
    node.on('connect', () => { throw new Error('connect'); });
    node.on('disconnect', () => { throw new Error('disconnect'); });
    const others = [1, 2].map((index) => new Collective(all[index], all));
    const wait = (look) => new Promise((done) => {
      const timer = setInterval(() => look() && done(clearInterval(timer)), 5);
    });
    (async () => {
      await wait(() => node.active === 2);
      node.set('a', 1);
      await wait(() => others.every((other) => other.get('a') === 1));
      await Promise.all(others.map((other) => other.close()));
      await wait(() => node.active === 0);
      await node.close();
      console.log(thrown.sort().join());
    })();
  `);
  assert.equal(stdout, 'callback,connect,connect,disconnect,disconnect,listening\n');
  assert.equal(code, 0);
});

test('an error without a listener is an uncaught exception', async (t) => {
  const taken = await openAlone(t);
  const { code, stderr } = await run(t, `new Collective(${quote(taken.local)}, []);`);
  assert.equal(code, 1);
  assert.match(stderr, /EADDRINUSE/);
});

test('after a failed listen nothing keeps the process', async (t) => {
  const taken = await openAlone(t);
  const { code, stdout } = await run(t, `
    new Collective(${quote(taken.local)}, []).on('error', (error) => console.log(error.code));
  `);
  assert.equal(stdout, 'EADDRINUSE\n');
  assert.equal(code, 0);
});

test('several nodes in one process', async (t) => {
  const nodes = await openMesh(t, 5);
  for (const [index, node] of nodes.entries()) node.set(`from.n${index}`, index);
  await until('all agree', () => nodes.every((node) => Object.keys(node.get('from') ?? {}).length === 5));
  const [{ data }] = nodes;
  for (const node of nodes) assert.deepEqual(node.data, JSON.parse(JSON.stringify(data)));
});

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const Collective = require(${quote(ROOT)});
  const { local, all } = workerData;
  const node = new Collective(local, all, () => {
    node.set('from', 'worker');
    parentPort.postMessage('ready');
    const writes = setInterval(() => node.set('tick', 1, node.OPERATIONS.INCREMENT), 1);
    parentPort.once('message', () => {
      clearInterval(writes);
      node.close();
    });
  });
`;

test('nodes in worker_threads', async (t) => {
  const all = await freeAddresses(3);
  const main = await open(t, all[0], all);
  const workers = [1, 2].map(
    (index) => new Worker(WORKER, { eval: true, workerData: { local: all[index], all } }),
  );
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  await until('it arrives', () => main.get('from') === 'worker' && main.active === 2);

  // One goes as it should, one is shot in the middle of writes.
  workers[0].postMessage('close');
  await once(workers[0], 'exit');
  await workers[1].terminate();
  await until('both are gone', () => main.active === 0);
  main.set('still', 'alive');
  assert.equal(main.get('still'), 'alive');
});

test('a worker that was killed comes back on its port and has the data', async (t) => {
  const all = await freeAddresses(3);
  const members = all.map((local) => new Member(t, local, all));
  await Promise.all(members.map((member) => member.ready()));
  await members[1].set('mine', { a: [1] });
  await members[1].increment('count', 3, 10);
  await until('it arrives', async () => (await members[0].get('count')) === 30);

  await members[1].kill();
  await members[0].increment('count', 1, 5);
  const reborn = new Member(t, all[1], all);
  await reborn.ready();
  assert.deepEqual(await reborn.data(), { mine: { a: [1] }, count: 35 });
});

test('not many things are left of 50 nodes', async (t) => {
  const before = process.listenerCount('exit');
  for (let i = 0; i < 50; i++) {
    const node = new Collective({ host: '127.0.0.1', port: 0 }, []);
    await once(node, 'listening');
    assert.equal(process.listenerCount('exit'), before + 1);
    await node.close();
  }
  assert.equal(process.listenerCount('exit'), before);
});
