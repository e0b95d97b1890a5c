'use strict';

/* What becomes of a node is told by an addon that is a fake here. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { ROOT, run } = require('./support/process');

/** A program in which `told` is what the next drain gives, and `ring` has it drained. */
const prelude = `
  const told = [];
  let ring;
  const nothing = () => undefined;
  const native = new Proxy({ drain: () => JSON.stringify(told.splice(0)) }, { get: (own, name) => own[name] ?? nothing });
  const handle = new Proxy({ functions: () => native, stats: () => '{"links":[]}' }, { get: (own, name) => own[name] ?? nothing });
  const open = (options, slots, doorbell) => ((ring = doorbell), handle);
  const file = ${JSON.stringify(path.join(ROOT, 'lib', 'native.js'))};
  for (const name of Object.keys(require.cache)) delete require.cache[name];
  require.cache[file] = { id: file, filename: file, loaded: true, exports: { open } };
  const { LocalNode } = require(${JSON.stringify(path.join(ROOT, 'lib', 'local-node.js'))});
  const { Node } = require(${JSON.stringify(path.join(ROOT, 'lib', 'node.js'))});
  const local = new LocalNode({});
`;

test('a node that ends by itself says so', async (t) => {
  const { code, stdout, stderr } = await run(t, `${prelude}
    const node = Node.of(local);
    node.on('error', ({ code }) => console.log('error', code)).on('close', () => console.log('close'));
    told.push({ type: 'closed' });
    ring();
    node.close().then(() => console.log('closed'));
  `);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, 'error ERR_INTERNAL\nclose\nclosed\n');
});

test('one that was closed does not', async (t) => {
  const { stdout } = await run(t, `${prelude}
    Node.of(local).on('error', () => console.log('error')).on('close', () => console.log('close'));
    local.close();
    told.push({ type: 'closed' });
    ring();
  `);
  assert.equal(stdout, 'close\n');
});

test('a face that throws does not keep others from being told', async (t) => {
  const { code, stdout } = await run(t, `${prelude}
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    local.attach({ event() { throw new Error('first'); } });
    local.attach({ event: ({ type }) => console.log('second', type) });
    const third = { event: () => console.log('third') };
    local.attach(third);
    local.detach(third);
    told.push({ type: 'ready' });
    ring();
    told.push({ type: 'closed' });
    ring();
  `);
  assert.equal(code, 0);
  assert.equal(stdout, 'second ready\nsecond closed\nuncaught first\nuncaught first\n');
});

test('an error of the network is for the face that has asked', async (t) => {
  const { stdout } = await run(t, `${prelude}
    const faces = ['a', 'b'].map((name) => ({ event: ({ type, code }) => console.log(name, type, code) }));
    faces.forEach((face) => local.attach(face));
    local.connect('host:1', faces[1]);
    local.connect('[::1]:2', faces[0]);
    local.connect('[::1]:2', faces[1]);
    local.connect('host:3');
    const failed = (address, port) => told.push({ type: 'connectFailed', code: 'E' + port, address, port });
    failed('host', 1);
    failed('::1', 2);
    failed('host', 3);
    told.push({ type: 'error', code: 'EADDRINUSE' });
    ring();
    local.listen('host', 1, faces[1]);
    told.push({ type: 'error', code: 'EACCES' });
    ring();
    process.exit();
  `);
  assert.deepEqual(stdout.trim().split('\n'), [
    'b connectFailed E1', 'a connectFailed E2', 'b connectFailed E2', 'a error EADDRINUSE', 'b error EACCES',
  ]);
});
