'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { ReadCache, ENTRIES_MAX } = require('../lib/cache');
const { Slots, TOLD } = require('../lib/slots');

/** A document with one level, and counts of what it is asked. */
class FakeNative {
  values = new Map();
  reads = 0;
  watched = new Map();
  #free = [];

  constructor(cache, slots) {
    this.slots = slots.words;
    slots.open((words) => (this.slots = words));
    cache.open(this);
  }

  get = (key) => {
    this.reads++;
    return this.values.get(key);
  };

  load = (key, insteadOf) => {
    if (insteadOf !== 0) this.unwatch(insteadOf);
    const slot = this.#free.pop() ?? this.watched.size + 1;
    this.watched.set(slot, key);
    this.slots[TOLD] = slot;
    return this.get(key);
  };

  unwatch = (slot) => {
    assert.ok(this.watched.delete(slot), 'it was watched');
    this.#free.push(slot);
  };

  write(key, value) {
    this.values.set(key, JSON.stringify(value));
    for (const [slot, watched] of this.watched) {
      if (watched === key) this.slots[slot]++;
    }
  }
}

function setup(kind) {
  const slots = new Slots();
  const cache = new ReadCache(slots, kind);
  return { cache, slots, native: new FakeNative(cache, slots) };
}

test('a value is read once until it changes', () => {
  const { cache, native } = setup();
  native.write('a', { n: 1 });
  const first = cache.get('a');
  assert.deepEqual(first, { n: 1 });
  assert.equal(cache.get('a'), first);
  assert.equal(native.reads, 1);

  native.write('b', 1);
  assert.equal(cache.get('a'), first);
  native.write('a', 2);
  assert.equal(cache.get('a'), 2);
  assert.equal(native.reads, 2);
});

test('that there is nothing is remembered too', () => {
  const { cache, native } = setup();
  assert.equal(cache.get('a'), undefined);
  assert.equal(cache.get('a'), undefined);
  assert.equal(native.reads, 1);
  native.write('a', null);
  assert.equal(cache.get('a'), null);
});

test('peeking uses what is there and leaves nothing', () => {
  const { cache, native } = setup();
  native.write('a', 1);
  assert.equal(cache.peek('a'), 1);
  assert.equal(cache.size, 0);
  cache.get('a');
  cache.peek('a');
  assert.equal(native.reads, 2);
});

test('a read that fails is not taken for a value', () => {
  let broken = true;
  const decode = (json) => {
    if (broken) throw new Error('no');
    return JSON.parse(json);
  };
  const { cache, native } = setup({ decode });
  native.write('a', 'text');
  assert.throws(() => cache.get('a'), /no/);
  assert.throws(() => cache.get('a'), /no/);
  broken = false;
  assert.equal(cache.get('a'), 'text');
  assert.equal(cache.size, 1);
});

test('numbers are taken as they come', () => {
  const { cache, native } = setup({ decode: () => assert.fail('it is no text') });
  native.values.set('a', -0.5);
  assert.equal(cache.get('a'), -0.5);
  assert.equal(cache.peek('b'), undefined);
});

test('the number of entries and slots is bounded', () => {
  const { cache, native } = setup();
  const names = (name, count) => Array.from({ length: count }, (_, index) => `${name}${index}`);
  const read = (keys) => {
    const { reads } = native;
    for (const key of keys) {
      native.values.set(key, JSON.stringify(key));
      assert.equal(cache.get(key), key);
      assert.ok(cache.size <= ENTRIES_MAX);
    }
    assert.equal(native.watched.size, cache.size);
    return native.reads - reads;
  };
  const hot = names('hot', 100);
  assert.equal(read(hot), 100);
  for (let round = 0; round < 8; round++) {
    const half = names(`key${round}.`, ENTRIES_MAX / 2 - 100);
    assert.equal(read(half), half.length);
    assert.equal(read(half.slice(-1000)), 0, 'the youngest are still there');
    assert.equal(read(hot), 0, 'so is what is read again and again');
  }
  assert.ok(native.slots.length <= 2 * ENTRIES_MAX);
  assert.equal(read(['key0.0']), 1, 'the oldest is not');

  // All of the last age, and nothing new: what neither has goes all the same.
  const kept = [...names('key6.', ENTRIES_MAX / 2 - 100), ...names('key7.', ENTRIES_MAX / 2 - 100)];
  for (let round = 0; round < 3; round++) read(kept);
  assert.equal(read(kept.slice(-1000)), 0);
  read(names('other', 2 * ENTRIES_MAX));
  assert.ok(cache.size <= ENTRIES_MAX);
});

test('slots keep their words when the array grows', () => {
  const { cache, native } = setup();
  native.write('early', 1);
  cache.get('early');
  native.write('early', 2);
  cache.get('early');
  for (let i = 0; i < 5000; i++) cache.get(`key${i}`);
  const reads = native.reads;
  assert.equal(cache.get('early'), 2);
  assert.equal(native.reads, reads);
  native.write('early', 3);
  assert.equal(cache.get('early'), 3);
});

test('two caches share the words, and decode each in its way', () => {
  const { cache, slots, native } = setup();
  const other = new ReadCache(slots, { decode: (json) => json });
  other.open(native);
  native.write('a', [1]);
  for (let i = 0; i < 1500; i++) cache.get(`key${i}`);
  assert.deepEqual([cache.get('a'), other.get('a')], [[1], '[1]']);
  native.write('a', [2]);
  assert.deepEqual([cache.get('a'), other.get('a')], [[2], '[2]']);
});

test('a path that no key names is read by its segments', () => {
  const { cache, native } = setup({ check: () => assert.fail('it is no key') });
  const path = ['a.b'];
  native.write(path, 1);
  assert.equal(cache.get('name', path), 1);
  assert.equal(cache.get('name', path), 1);
  assert.equal(native.reads, 1);
  assert.deepEqual([...native.watched.values()], [path]);
});

test('closed', () => {
  const { cache } = setup();
  cache.get('a');
  cache.close();
  assert.throws(() => cache.get('a'), { code: 'ERR_CLOSED' });
  assert.throws(() => cache.peek('a'), { code: 'ERR_CLOSED' });
});
