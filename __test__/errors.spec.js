'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ERRORS, codedError } = require('../lib/errors');
const { OUTCOMES } = require('../lib/outcomes');

const ROOT = path.dirname(__dirname);

/** Codes that JavaScript alone uses. */
const OURS = [
  'ERR_INVALID_KEY', 'ERR_INVALID_ARGUMENT', 'ERR_INVALID_OPERATION', 'ERR_INSECURE_BIND',
  'ERR_INVALID_STATE', 'ERR_RESERVED_EVENT', 'ERR_ANSWERED_TWICE', 'ERR_SEEDS_FAILED',
  'ERR_ADDON_MISSING', 'ERR_INTERNAL',
];

const CODE = 'ERR_[A-Z_]+|ABORT_ERR';

/** Those of the handshakes, which Rust has in `src/net`. */
const NET = [
  'ERR_UNKNOWN_SECRET', 'ERR_MODE_MISMATCH', 'ERR_HANDSHAKE_FAILED', 'ERR_IDENTITY_MISMATCH',
  'ERR_CREDENTIALS_REMOVED', 'ERR_INVALID_SECRET', 'ERR_CERTIFICATE_REFUSED', 'ERR_INVALID_CERTIFICATE',
];

/** `Variant { .. } => "ERR_…"` and the list `CODES`, as the Rust file has them. */
function rustCodes() {
  const source = fs.readFileSync(path.join(ROOT, 'src', 'engine', 'error.rs'), 'utf8');
  const list = /CODES: &\[&str\] = &\[([^\]]*)\]/.exec(source)[1];
  const codes = (text) => [...text.matchAll(new RegExp(`"(${CODE})"`, 'g'))].map(([, code]) => code);
  return { list: codes(list), used: codes(source.replace(list, '')) };
}

test('Rust lists every code that it uses, and those of outcomes, once', () => {
  const { list, used } = rustCodes();
  assert.equal(new Set(list).size, list.length);
  const outcomes = OUTCOMES.flatMap(({ code }) => code ?? []);
  assert.deepEqual([...list].sort(), [...new Set([...used, ...outcomes])].sort());
});

test('JavaScript has the codes of Rust and its own', () => {
  assert.deepEqual(Object.keys(ERRORS).sort(), [...rustCodes().list, ...NET, ...OURS].sort());
});

test('src/net uses no other codes, and all of its own', () => {
  const folder = path.join(ROOT, 'src', 'net');
  const files = fs.readdirSync(folder, { recursive: true }).filter((name) => /^(?!tests).*\.rs$/.test(name));
  const source = files.map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('\n');
  const used = new Set([...source.matchAll(new RegExp(`"(${CODE})"`, 'g'))].map(([, code]) => code));
  for (const code of used) assert.ok(Object.hasOwn(ERRORS, code) || code === 'ERR_A' || code === 'ERR_B', code);
  for (const code of NET) assert.ok(used.has(code), code);
});

test('docs/errors.md has every code', () => {
  const text = fs.readFileSync(path.join(ROOT, 'docs', 'errors.md'), 'utf8');
  const documented = new Set([...text.matchAll(new RegExp(`\`(${CODE})\``, 'g'))].map(([, code]) => code));
  assert.deepEqual([...documented].sort(), Object.keys(ERRORS).sort());
});

test('an error has the class of its code, a message and no frame of ours', () => {
  const error = codedError('ERR_INVALID_KEY', 'why', { extra: 1 });
  assert.ok(error instanceof TypeError);
  assert.equal(error.message, 'why');
  assert.equal(error.extra, 1);
  assert.doesNotMatch(error.stack, /at codedError/);
  assert.ok(!(codedError('ERR_CLOSED') instanceof TypeError));
  assert.notEqual(codedError('ERR_CLOSED').message, '');
  assert.match(codedError('ABORT_ERR').stack, /^AbortError: /);
});
