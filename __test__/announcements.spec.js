'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { Announcements, HAS, HAS_IDEMPOTENT, HAS_NONE } = require('../lib/announcements');
const { openNode, openNodes } = require('./support/nodes');
const { until } = require('./support/until');

/** One whose messages go to others by name; `room` says how many find room. */
class Bench {
  room = Infinity;
  limit = Infinity;
  sent = 0;
  others = new Map();

  constructor() {
    this.own = new Announcements((json, peer) => {
      if (json.length > this.limit) return undefined;
      if (this.room === 0) return false;
      this.room -= 1;
      this.sent += 1;
      this.others.get(peer)?.hear('bench', JSON.parse(json));
      return true;
    });
  }

  /** A peer that hears what is sent. */
  add(peer) {
    const other = new Announcements(() => true);
    other.join('bench');
    this.others.set(peer, other);
    this.own.join(peer);
    return { has: (name) => other.at('bench', name) };
  }
}

test('a peer knows nothing, then everything', () => {
  const bench = new Bench();
  bench.own.set('a', HAS);
  bench.own.set('b', HAS_IDEMPOTENT);
  const peer = bench.add('peer');
  assert.equal(peer.has('a'), undefined);
  bench.own.flush();
  assert.deepEqual(['a', 'b', 'c', '__proto__'].map(peer.has), [HAS, HAS_IDEMPOTENT, HAS_NONE, HAS_NONE]);
  bench.own.set('a', HAS_NONE);
  bench.own.set('c', HAS);
  bench.own.set('c', HAS);
  bench.own.flush();
  assert.deepEqual(['a', 'b', 'c'].map(peer.has), [HAS_NONE, HAS_IDEMPOTENT, HAS]);
});

test('many names go in parts, and all are known with the last', () => {
  const bench = new Bench();
  for (let number = 0; number < 100; number++) bench.own.set(`worker ${number}`, HAS);
  const peer = bench.add('peer');
  bench.room = 3;
  bench.own.flush();
  assert.deepEqual([peer.has('worker 0'), peer.has('worker 99'), peer.has('other')], [HAS, undefined, undefined]);
  bench.room = Infinity;
  bench.own.flush();
  assert.deepEqual([peer.has('worker 99'), peer.has('other')], [HAS, HAS_NONE]);
  const { sent } = bench;
  bench.own.flush();
  assert.equal(bench.sent, sent);
});

test('a node with a name too large to tell is known to have more than it has told', () => {
  const bench = new Bench();
  bench.limit = 30;
  const peer = bench.add('peer');
  bench.own.flush();
  assert.equal(peer.has('large'.repeat(9)), HAS_NONE);
  bench.own.set('large'.repeat(9), HAS);
  bench.own.flush();
  bench.own.set('small', HAS);
  bench.own.flush();
  assert.deepEqual([peer.has('large'.repeat(9)), peer.has('small')], [undefined, HAS]);
});

test('whatever a peer says is bounded and never thrown at us', () => {
  const own = new Announcements(() => true);
  own.hear('stranger', [[['a', HAS]], true]);
  assert.equal(own.at('stranger', 'a'), undefined);
  own.join('peer');
  for (const said of [[], [5, true], [[5, null, [], [5, 1], ['a', 'x'], [['a'], HAS], {}], 'yes']]) own.hear('peer', said);
  assert.equal(own.at('peer', 'a'), undefined);
  for (let from = 0; from < 5000; from += 10) {
    own.hear('peer', [Array.from({ length: 10 }, (_, index) => [`${from + index}`, HAS]), true]);
  }
  assert.deepEqual([own.at('peer', '0'), own.at('peer', '4999'), own.at('peer', 'a')], [HAS, undefined, undefined]);
  own.leave('peer');
  assert.equal(own.at('peer', '0'), undefined);
});

test('with a low limit for values workers are found all the same', async (t) => {
  const limits = { valueBytes: 64 };
  const [a, b] = await openNodes(t, 2, { limits });
  b.worker('x'.repeat(100), () => 1);
  b.worker('short', () => 2);
  assert.deepEqual([await a.call('x'.repeat(100)), await a.call('short')], [1, 2]);
  await assert.rejects(a.call('none'), { code: 'ERR_NO_WORKER' });
});

test('what is withdrawn is soon known to be, to those that join later too', async (t) => {
  const [a, b] = await openNodes(t, 2);
  const worker = a.worker('work', () => 1);
  await until('it is known', async () => (await b.call('work').catch(() => 0)) === 1);
  worker.remove();
  await until('it is known', async () => (await b.call('work').catch(({ code }) => code)) === 'ERR_NO_WORKER');
  const late = await openNode(t, { seeds: [a.address] });
  await assert.rejects(late.call('work'), { code: 'ERR_NO_WORKER' });
});
