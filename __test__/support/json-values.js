'use strict';

/**
 * Chance values for `JSON.stringify`, and chance texts for `JSON.parse`, that look for the places
 * where two readers of JSON differ: what has no JSON form, numbers at the ends of their range,
 * halves of surrogate pairs, names that mean something to JavaScript or to a path, depth.
 */

const NUMBERS = [
  0, -0, 1, -1, 0.1, 1 / 3, 1e21, 1e-7, 123456789012345680000, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 2 ** 64, 4.35,
  Number.MAX_VALUE, Number.MIN_VALUE, Number.EPSILON, 2.2250738585072014e-308, 5e-324, 1e308, 1.7976931348623157e308,
];
const NOTHINGS = [undefined, NaN, Infinity, -Infinity, () => {}, Symbol('s')];
const TEXTS = [
  '', 'a', 'text', '"', '\\', '/', '\b\f\n\r\t', '\0', '\u001f', '\u007f', '\u2028\u2029', '\ufeff', '\ufffd', '\uffff',
  'é', 'e\u0301', '☃', '😀', '\ud83d', '\ude00', '\ude00\ud83d', 'a\ud800', '\\ud800', '\\u0041', '{"a":1}', '[', '1', 'null',
];
const NAMES = [
  '', 'a', 'b', 'a.b', '.', '0', '1', '01', '-1', '65536', 'length', '__proto__', 'constructor', 'toJSON', 'toString',
  'hasOwnProperty', '\0', '\x01', ' ', 'é', '😀', '\ufffd', '"', '\u2028', '\ud800', '\udfff', 'x'.repeat(300),
  ...(readsBackslashes() ? ['\\'] : []),
];
/** Deeper than a value may be under a key of one segment. */
const DEPTH_MAX = 70;

/**
 * Whether `JSON.parse` reads names that end in a backslash. From Node.js 24 on, once it has read an
 * object with such a name, it gives that name to the member of another object which has an escape
 * in that place.
 */
function readsBackslashes() {
  for (let times = 0; times < 3; times++) JSON.parse('{"shape":1,"\\\\":1}');
  return Object.hasOwn(JSON.parse('{"shape":1,"\\n":1}'), '\n');
}

/** Anything that a program may try to SET. */
function anyValue(random, depth = 0) {
  const kind = random(depth < 5 ? 20 : 12);
  if (kind < 3) return number(random);
  if (kind < 6) return text(random);
  if (kind === 6) return random(2) === 0;
  if (kind === 7) return null;
  if (kind === 8) return depth > 0 ? pick(random, NOTHINGS) : 'nothing';
  if (kind === 9) return pick(random, [{}, [], Object.create(null)]);
  if (kind === 10) return pick(random, [new Number(3), new String('s'), new Boolean(false), new Date(random(1e9)), new Map(), /x/]);
  if (kind === 11) return withToJSON(random, depth);
  if (kind < 16) return object(random, depth);
  if (kind < 19) return array(random, depth);
  return random(20) === 0 ? deep(random) : object(random, depth);
}

/** Gives the same every time: it is asked more than once. */
function withToJSON(random, depth) {
  const given = pick(random, [5, 'key', ['key'], undefined]);
  return { toJSON: (key) => (depth === 0 || given === 'key' ? key : given) };
}

function number(random) {
  const kind = random(4);
  if (kind === 0) return pick(random, NUMBERS) * pick(random, [1, -1]);
  if (kind === 1) return random(1000) - 500;
  if (kind === 2) return bits(random);
  return (random(2 ** 32) - 2 ** 31) / 10 ** random(12);
}

/** Any finite double. */
function bits(random) {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, random(2 ** 32));
  view.setUint32(4, random(2 ** 32));
  const value = view.getFloat64(0);
  return Number.isFinite(value) ? value : 0;
}

function text(random) {
  return Array.from({ length: random(4) }, () => piece(random)).join('');
}

function piece(random) {
  return random(3) === 0 ? String.fromCharCode(random(0x10000)) : pick(random, TEXTS);
}

function name(random) {
  const kind = random(10);
  if (kind === 0) return text(random);
  if (kind === 1) return String(random(1000));
  // Half a character makes the whole value be refused, so not too often.
  const drawn = pick(random, NAMES);
  return drawn.isWellFormed() || random(8) === 0 ? drawn : 'n';
}

function object(random, depth) {
  const made = random(4) === 0 ? Object.create(null) : {};
  for (let count = random(7); count > 0; count--) {
    const value = anyValue(random, depth + 1);
    Object.defineProperty(made, name(random), { value, enumerable: true, configurable: true, writable: true });
  }
  return made;
}

function array(random, depth) {
  const made = Array.from({ length: random(7) }, () => anyValue(random, depth + 1));
  if (random(6) === 0) made.length += random(4);
  if (random(6) === 0) delete made[0];
  return made;
}

function deep(random) {
  let made = number(random);
  for (let levels = 50 + random(DEPTH_MAX - 50); levels > 0; levels--) {
    made = random(2) === 0 ? [made] : { d: made };
  }
  return made;
}

/** Bytes that are JSON, nearly JSON, or were. */
function anyJsonBytes(random) {
  const json = JSON.stringify(anyValue(random)) ?? 'null';
  let bytes = Buffer.from(random(3) === 0 ? loosened(random, json) : json);
  for (let count = pick(random, [0, 1, 1, 1, 2, 5]); count > 0; count--) bytes = mutated(random, bytes);
  return bytes;
}

/** The same value in another writing: white space, escapes, numbers, names twice. */
function loosened(random, json) {
  return json
    .replace(/[,:[\]{}]/g, (mark) => (random(3) === 0 ? mark + pick(random, [' ', '\n', '\t', '\r', '  ']) : mark))
    .replace(/[a-z]/g, (letter) => (random(8) === 0 && !/[ntrbfu]/.test(letter) ? `\\u00${letter.charCodeAt().toString(16)}` : letter))
    .replace(/\d+/g, (digits) => (random(6) === 0 ? pick(random, [`${digits}e0`, `${digits}.0`, `${digits}E+1`, `0${digits}`, `-${digits}`]) : digits))
    .replace(/"[^"\\]{0,3}":/g, (name) => (random(6) === 0 ? `${name}0,${name}` : name));
}

const INSERTED = [
  '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', '.', 'e', '1e999', '-0', '\\u', '\\ud800', '\\udc00', '\\u0000', '\ufeff',
  ' ', '\n', '\0', '\x1f', '\x7f', '\f', '\xa0', 'null', 'true', 'NaN', 'Infinity', "'", '//', '"a":1,', '"a":{},', '[[', '\u2028',
];

function mutated(random, bytes) {
  const at = random(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random(4));
  switch (random(6)) {
    case 0: return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(random, INSERTED)), bytes.subarray(at)]);
    case 1: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 2: return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 3: return Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256)]), bytes.subarray(end)]);
    case 4: return bytes.subarray(0, at);
    default: {
      const changed = Buffer.from(bytes);
      if (at < changed.length) changed[at] ^= 1 << random(8);
      return changed;
    }
  }
}

function pick(random, of) {
  return of[random(of.length)];
}

/**
 * What a valid JSON text has that its value does not show: how deep it is nested (0 for a scalar),
 * whether a name has half of a surrogate pair, and whether an object has a name twice.
 */
function survey(json) {
  const found = { depth: 0, halfName: false, twins: false };
  const inside = [];
  for (const [token, string, colon] of json.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[[{}\]]/g)) {
    if (token === '{' || token === '[') found.depth = Math.max(found.depth, inside.push(new Set()));
    else if (token === '}' || token === ']') inside.pop();
    else if (colon !== undefined) {
      const [name, names] = [JSON.parse(string), inside.at(-1)];
      found.halfName ||= !name.isWellFormed();
      found.twins ||= names.has(name);
      names.add(name);
    }
  }
  return found;
}

module.exports = { anyValue, anyJsonBytes, pick, survey };
