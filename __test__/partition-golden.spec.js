'use strict';

/*
 * What a Servent of partition.io 0.0.2 read and wrote, line by line. The wire is not spoken here;
 * what the lines meant is done between two of ours.
 */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { gather, openServents } = require('./support/servents');

const lines = fs.readFileSync(path.join(__dirname, 'golden', 'partition-wire.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** Messages of the recorded node or of its peer. */
const messages = (from) => lines
  .filter((line) => line.from === from && line.line.startsWith('{'))
  .map((line) => JSON.parse(line.line));
const fromPeer = messages('peer');
const fromNode = messages('node');

const isRequest = ({ type, name }) => type === 'event' && name.startsWith('PIO::');
const event = (from, name) => from.find((message) => message.type === 'event' && message.name === name);
const remark = (text) => lines.find((line) => line.event?.startsWith(text));

/** The recorded node and its peer. */
async function cast(t) {
  const [node, peer] = await openServents(t, 2);
  return { node, peer, nodeAtPeer: peer.peers[node.id], peerAtNode: node.peers[peer.id] };
}

test('all lines are here', () => assert.equal(lines.length, 41));

test('an id is 24 digits', async (t) => {
  const { node } = await cast(t);
  const { id } = fromNode.find(({ type }) => type === 'discovery');
  assert.equal(node.id.length, id.length);
});

test('events of the peer fire on the servent', async (t) => {
  const { node, nodeAtPeer, peerAtNode } = await cast(t);
  const events = fromPeer.filter((message) => message.type === 'event' && !isRequest(message));
  assert.ok(events.length > 0);
  for (const { name, args } of events) {
    const heard = once(node, name);
    nodeAtPeer.emit(name, ...args);
    assert.deepEqual(await heard, [peerAtNode, ...remark(`servent emits '${name}'`).args]);
  }
});

test('events of the node fire at the peer', async (t) => {
  const { node, peer, nodeAtPeer, peerAtNode } = await cast(t);
  const custom = event(fromNode, 'custom');
  const heard = once(peer, 'custom');
  peerAtNode.emit('custom', 1, [2]);
  assert.deepEqual(await heard, [nodeAtPeer, ...custom.args]);

  const note = event(fromNode, 'note');
  const noted = once(peer, 'note');
  assert.equal(node.broadcast('note', 'x'), remark("node calls servent.broadcast('note','x')").value);
  assert.deepEqual(await noted, [nodeAtPeer, ...note.args]);
});

test('jobs of the peer: what the node answers', async (t) => {
  const { node, peer } = await cast(t);
  node.createWorker('random', (max, callback) => callback(null, max / 4));
  node.createWorker('two', (a, b, callback) => callback(null, { a, b }));
  node.createWorker('fail', (a, callback) => callback(new Error('failed')));
  for (const { name, args: [, ...params] } of fromPeer.filter(isRequest)) {
    const worker = name.slice('PIO::REQUEST::'.length);
    if (!name.startsWith('PIO::REQUEST::')) continue;
    const { data, errors } = await gather(peer.createWorker(worker).distribute(), ...params);
    const [, error, value] = event(fromNode, `PIO::RESPONSE::${worker}`)?.args ?? [];
    const own = errors.filter(({ peer: at }) => at !== undefined);
    if (error === null) assert.deepEqual(data, [value]);
    // An error came as {}, and for a worker that is not there nothing came: see the differences.
    else assert.deepEqual(own.map(({ message, code }) => code ?? message), [error ? 'failed' : 'ERR_NO_WORKER']);
  }
});

test('a job of the node', async (t) => {
  const { node, peer } = await cast(t);
  const [own, other] = lines.filter((line) => line.event === "job emits 'data'").map(({ data }) => data);
  const worker = node.createWorker('two', (a, b, callback) => callback(null, { a, b }));
  peer.createWorker('two', (a, b, callback) => callback(null, other));
  const job = worker.distribute();
  const { data } = await gather(job, 1, { q: 2 });
  assert.equal(data.length, 2);
  for (const expected of [own, other]) {
    assert.ok(data.some((value) => JSON.stringify(value) === JSON.stringify(expected)));
  }
  const { peers, responses } = remark("job emits 'end'");
  assert.deepEqual({ peers: job.peers, responses: job.responses }, { peers, responses });
});

test('calls of the peer', async (t) => {
  const { node, nodeAtPeer } = await cast(t);
  node.expose('sum', (a, b) => a + b);
  const calls = fromPeer.filter(({ type }) => type === 'rpc').map(({ data }) => data);
  for (const { id, method, params } of calls) {
    // The peer's own answer; a call of ours always has an id; what is not found there is found here.
    if (id === undefined || method === 'sum') continue;
    if (fromNode.some(({ data }) => data?.id === id && data.method)) continue;
    const answer = fromNode.find(({ type, data }) => type === 'rpc' && data.id === id).data;
    const [error, result] = await new Promise((resolve) => {
      nodeAtPeer.invoke(method, params, (...args) => resolve(args));
    });
    assert.deepEqual(error, answer.error);
    if (answer.result === null) continue;
    const { Array: names, ...functions } = answer.result;
    assert.deepEqual(result, { ...functions, Array: Object.keys(functions) });
    for (const name of names) assert.ok(result.Array.includes(name));
  }
});

test('a call of the node', async (t) => {
  const { peer, peerAtNode } = await cast(t);
  const { data: { method, params } } = fromNode.find(({ type, data }) => type === 'rpc' && data.method);
  peer.expose('remote', {
    fn(n) {
      this.send('value', n + 1);
    },
  });
  const expected = remark('invoke callback');
  const [error, result] = await new Promise((resolve) => {
    peerAtNode.invoke(method, params, (...args) => resolve(args));
  });
  assert.deepEqual({ error, result }, { error: expected.error, result: expected.result });
});

test('a peer that ends is not there any more', async (t) => {
  const { node, nodeAtPeer } = await cast(t);
  const left = once(node, 'peerLeave');
  nodeAtPeer.destroy();
  await left;
  assert.deepEqual(Object.keys(node.peers), remark('peers left').data);
});
