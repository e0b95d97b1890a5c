'use strict';

/*
 * JSON at the border: what a node takes is what `JSON.parse` reads, and what `JSON.stringify` gives
 * comes back as `JSON.parse` would read it, whole or in pieces, here or elsewhere.
 *
 * Chance cases: JSON_CASES says how many, JSON_SEED which. The differences that are meant are the tests at
 * the end.
 */

const assert = require('node:assert/strict');
const test = require('node:test');

const { OPERATIONS } = require('..');
const { anySeed, chance } = require('./support/chance');
const { open, openAlone, openMesh } = require('./support/collectives');
const { anyJsonBytes, anyValue, pick, survey } = require('./support/json-values');
const { freeAddresses } = require('./support/ports');
const { openServents } = require('./support/servents');
const { Stranger } = require('./support/stranger');
const { until } = require('./support/until');

const CASES = Number(process.env.JSON_CASES ?? 2000);
const SEED = process.env.JSON_SEED ?? anySeed();
/** Cases that two nodes hold at once. */
const BATCH = 250;
/** Peers at once; those before their handshake are few enough to be kept. */
const STRANGERS = 32;
/** Levels of a value under a key of one segment. */
const DEPTH_MAX = 63;
/** Levels of the arguments of a job, their array included. */
const JOB_DEPTH_MAX = 65;

/** Written below others. */
const PIECES = ['1', '"x"', '"\\ud800"', 'null', '{}', '[]', '{"x":{"y":[null]}}', '[[1],{"0":2}]'];

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What `JSON.parse` makes of bytes, if it takes them and we are to take them as well. */
function read(bytes) {
  let [text, value] = [];
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isForUs(text) && !survey(text).twins ? { text, value } : undefined;
}

/** Of what JSON can be, what a node takes under a key of one segment. */
function isForUs(json) {
  const { depth, halfName } = survey(json);
  return json.trim() === json && depth <= DEPTH_MAX && !halfName;
}

/** Says which case it was. */
function at(number, what) {
  return `JSON_SEED=${SEED} case ${number}: ${what}`;
}

function same(actual, expected, where) {
  try {
    assert.deepStrictEqual(actual, expected);
  } catch (error) {
    error.message = `${where}\n${error.message}`;
    throw error;
  }
}

/** SETs a chance value as a program would. Gives what it is as JSON, `undefined` if it is refused. */
function setAny(node, key, random, number) {
  const value = anyValue(random);
  let json;
  try {
    json = JSON.stringify(value);
  } catch {
    json = undefined;
  }
  const isRefused = json === undefined || !isForUs(json);
  try {
    node.set(key, value);
  } catch (error) {
    assert(isRefused, at(number, `${json} is refused: ${error.message}`));
    assert.match(error.code, /^ERR_(INVALID_VALUE|TOO_DEEP)$/);
    return undefined;
  }
  assert(!isRefused, at(number, `${json} is taken`));
  return { text: json, value: JSON.parse(json) };
}

/** A place below a value: the dotted key, its container and the name in it. */
function anyPlace(random, key, value) {
  let place;
  for (let levels = 1 + random(4); levels > 0; levels--) {
    const names = value !== null && typeof value === 'object' ? Object.keys(value) : [];
    const usable = names.filter((name) => !name.includes('.'));
    if (usable.length === 0) break;
    const name = pick(random, usable);
    key = `${key}.${name}`;
    place = { key, container: value, name };
    value = value[name];
  }
  return place;
}

/** Every member is read by its own key, too. */
function readMembers(node, key, value, where) {
  if (value === null || typeof value !== 'object') return;
  for (const [name, inner] of Object.entries(value)) {
    if (name.includes('.')) continue;
    same(node.get(`${key}.${name}`), inner, `${where}, at ${JSON.stringify(name)}`);
  }
}

/** Writes below a value, which takes it apart, and does the same to the value. */
function change(node, { key, container, name }, random) {
  if (random(3) === 0) {
    node.set(key, null, OPERATIONS.DELETE);
    if (Array.isArray(container)) container[name] = null;
    else delete container[name];
  } else {
    const value = JSON.parse(pick(random, PIECES));
    node.set(key, value);
    Object.defineProperty(container, name, { value, enumerable: true, configurable: true, writable: true });
  }
}

test('what JSON.stringify gives, whole and in pieces, here and elsewhere', async (t) => {
  const random = chance(SEED);
  const [a, b] = await openMesh(t, 2);
  // Read before, so that what they show is of the same turn as all else that was read before.
  assert.deepEqual([b.get('whole'), a.get('pieces')], [undefined, undefined]);
  let number = 0;
  while (number < CASES) {
    const held = new Map();
    for (let key = 0; key < BATCH; key++, number++) {
      const json = setAny(a, `k${key}`, random, number);
      if (json === undefined) {
        a.set(`k${key}`, null, OPERATIONS.DELETE);
        continue;
      }
      const where = at(number, json.text);
      same(a.get(`k${key}`), json.value, where);
      readMembers(a, `k${key}`, json.value, where);
      held.set(`k${key}`, { ...json, where });
    }
    a.set('whole', number);
    await until('they arrive', () => b.get('whole') === number);
    for (const [key, { value, where }] of held) same(b.get(key), value, `${where}, elsewhere`);

    for (const [key, { value, where }] of held) {
      const place = anyPlace(random, key, value);
      if (place === undefined) continue;
      change(b, place, random);
      same(b.get(key), value, `${where}, after a write at ${JSON.stringify(place.key)}`);
      readMembers(b, key, value, where);
    }
    b.set('pieces', number);
    await until('they arrive', () => a.get('pieces') === number);
    for (const [key, { value, where }] of held) same(a.get(key), value, `${where}, in pieces, elsewhere`);
    if (number < CASES) continue;

    const [late] = await freeAddresses(1);
    const c = await open(t, late, [late, a.local]);
    await until('it is there', () => c.get('pieces') === number);
    for (const [key, { value, where }] of held) same(c.get(key), value, `${where}, for a late node`);
  }
});

test('texts of a peer: those that JSON.parse takes, and as it reads them', async (t) => {
  const random = chance(BigInt(SEED) + 1n);
  const node = await openAlone(t);
  const { port } = node.local;

  /** One peer says all of these. */
  async function expectTaken(texts) {
    const stranger = await Stranger.meet(port);
    for (const { key, bytes } of texts) stranger.set(key, bytes);
    stranger.set('last', 'true');
    await until('all are taken', () => node.get('last') !== undefined || stranger.isClosed);
    const refused = texts.find(({ key }) => node.get(key) === undefined);
    assert.equal(refused, undefined, `${refused?.where} is refused`);
    stranger.leave();
    node.set('last', null, OPERATIONS.DELETE);
    for (const { key, value, where } of texts) {
      same(node.get(key), value, where);
      readMembers(node, key, value, where);
      const place = anyPlace(random, key, value);
      if (place === undefined) continue;
      change(node, place, random);
      same(node.get(key), value, `${where}, after a write at ${JSON.stringify(place.key)}`);
    }
  }

  async function expectRefused({ key, bytes, where }, index) {
    // Always the same few: a node remembers for a while whom it has met.
    const stranger = await Stranger.meet(port, BigInt(index + 1));
    stranger.set(key, bytes);
    await until(`it is refused: ${where}`, () => stranger.isClosed || node.get(key) !== undefined);
    assert.equal(node.get(key), undefined, `${where} is taken`);
  }

  const [taken, refused] = [[], []];
  for (let number = 0; number < CASES; number++) {
    const bytes = anyJsonBytes(random);
    const where = at(number, JSON.stringify(bytes.toString('latin1')));
    const json = read(bytes);
    (json ? taken : refused).push({ key: `k${number}`, bytes, where, value: json?.value });
  }
  while (taken.length > 0) await expectTaken(taken.splice(0, BATCH));
  while (refused.length > 0) await Promise.all(refused.splice(0, STRANGERS).map(expectRefused));
});

test('what goes to a function of a peer and back', async (t) => {
  const random = chance(BigInt(SEED) + 2n);
  const [caller, callee] = await openServents(t, 2);
  callee.expose('echo', function (value) {
    this.send(value);
  });
  const peer = caller.peers[callee.id];

  async function call(number) {
    const value = anyValue(random);
    let json;
    try {
      // As it travels: a toJSON is told where its value stands.
      json = JSON.stringify([callee.id, value]);
    } catch {
      json = undefined;
    }
    // Alone, as a value of its own, it is refused rather than turned into null.
    const isNothing = typeof value === 'number' ? !Number.isFinite(value)
      : ['function', 'symbol', 'bigint'].includes(typeof value);
    const isRefused = json === undefined || isNothing || survey(json).depth > JOB_DEPTH_MAX;
    let echoed;
    try {
      echoed = await peer.invoke('echo', [value]);
    } catch (error) {
      assert(isRefused, at(number, `${json} is refused: ${error.message}`));
      return;
    }
    assert(!isRefused, at(number, `${json} is taken`));
    same(echoed, JSON.parse(json)[1], at(number, json));
  }

  for (let number = 0; number < CASES;) {
    const calls = Array.from({ length: Math.min(BATCH, CASES - number) }, () => call(number++));
    await Promise.all(calls);
  }
});

// ---- the differences that are meant; see "JSON" in docs/protocol.md

/** Texts that JSON.parse takes and a node does not. */
const REFUSED_OF_PEERS = {
  'white space before': ' 1',
  'white space after': '{}\n',
  'a name with half of a surrogate pair': '[{"\\ud800":1}]',
  'a name twice': '{"a":1,"b":2,"a":1}',
  'a name twice in two writings': '{"a":1,"\\u0061":1}',
  'one level more than the limit': '['.repeat(64) + ']'.repeat(64),
  'one byte more than the limit': `"${'x'.repeat((1 << 20) - 1)}"`,
};

/** [text, what is read]: not what a program can SET, and yet taken. */
const TAKEN_OF_PEERS = {
  'minus nothing': ['-0', -0],
  'a number beyond the largest double': ['1e999', Infinity],
  'a number below the smallest double': ['-1e-999', -0],
  'more digits than a double has': ['12345678901234567890.123', 12345678901234567000],
  'white space inside': ['{ "a" :\n[ 1 , 2 ] }', { a: [1, 2] }],
  'escapes where none are needed': ['"\\u0061\\/"', 'a/'],
  'half of a surrogate pair in a value': ['["\\uD83D"]', ['\ud83d']],
  'a name that means something to JavaScript': ['{"__proto__":{"x":1}}', JSON.parse('{"__proto__":{"x":1}}')],
  'the deepest': ['['.repeat(63) + ']'.repeat(63), JSON.parse('['.repeat(63) + ']'.repeat(63))],
  'the largest': [`"${'x'.repeat((1 << 20) - 2)}"`, 'x'.repeat((1 << 20) - 2)],
};

for (const [name, text] of Object.entries(REFUSED_OF_PEERS)) {
  test(`of a peer is refused: ${name}`, async (t) => {
    JSON.parse(text);
    const node = await openAlone(t);
    const stranger = await Stranger.meet(node.local.port);
    stranger.set('k', text);
    await until('it is refused', () => stranger.isClosed);
    assert.equal(node.get('k'), undefined);
    assert.equal(node.stats().badMessages, 1);
  });
}

test('of a peer is taken and read as JSON.parse does what no program can SET', async (t) => {
  const node = await openAlone(t);
  const stranger = await Stranger.meet(node.local.port);
  t.after(() => stranger.leave());
  for (const [name, [text]] of Object.entries(TAKEN_OF_PEERS)) stranger.set(name, text);
  const last = Object.keys(TAKEN_OF_PEERS).at(-1);
  await until('all are taken', () => stranger.isClosed || node.get(last) !== undefined);
  assert(!stranger.isClosed, 'one of them is refused');
  for (const [name, [text, value]] of Object.entries(TAKEN_OF_PEERS)) {
    assert.deepStrictEqual(JSON.parse(text), value);
    same(node.get(name), value, name);
  }
  const infinite = 'a number beyond the largest double';
  assert.throws(() => node.set(infinite, 1, OPERATIONS.INCREMENT), { code: 'ERR_NOT_A_NUMBER' });
});

test('of a program is refused what JSON.stringify would leave out or turn into null', async (t) => {
  const node = await openAlone(t);
  for (const value of [NaN, Infinity, () => {}, Symbol('s'), { toJSON: () => undefined }]) {
    assert.throws(() => node.set('k', value), { code: 'ERR_INVALID_VALUE' });
  }
  // As a member it is what JSON.stringify makes of it.
  node.set('k', [NaN, -0, () => {}, { gone: undefined }]);
  assert.deepStrictEqual(node.get('k'), [null, 0, null, {}]);
  node.set('k', undefined);
  assert.equal(node.get('k'), undefined);
});

test('the order of names may change when a value is taken apart', async (t) => {
  const node = await openAlone(t);
  node.set('k', { b: 1, a: 2 });
  assert.equal(JSON.stringify(node.get('k')), '{"b":1,"a":2}');
  node.set('k.c', 3);
  assert.deepStrictEqual(node.get('k'), { a: 2, b: 1, c: 3 });
});
