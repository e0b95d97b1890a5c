'use strict';

const fs = require('node:fs');

const { codedError } = require('./errors.js');
const native = require('./native.js');

const SECRET_BYTES = 32;
const HEX = /^[0-9a-f]{64}$/i;
/** Also in the alphabet for addresses, with or without padding. */
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

/** What a text is that is no path. */
const PEM = '-----BEGIN ';
const TLS_PARTS = ['key', 'cert', 'ca'];

/**
 * What a node proves with that it belongs, of `secret` or `tls`; without either of
 * `COLLECTIVE_SECRET`, which may hold several with commas between. A `secret` of `null` is none,
 * whatever the environment says.
 *
 * @param {{secret?: unknown, tls?: unknown}} options
 * @returns {object | undefined} for the addon
 * @throws what is wrong with them, without a word of theirs
 */
function credentialsOf({ secret, tls }) {
  if (tls != null) {
    if (secret != null) throw codedError('ERR_INVALID_ARGUMENT', 'A node has `secret` or `tls`, not both');
    return certificates(tls);
  }
  const given = secret === undefined ? process.env.COLLECTIVE_SECRET?.split(',') : secret;
  return given == null ? undefined : secrets(Array.isArray(given) ? given : [given]);
}

function secrets(given) {
  return wiped(given.map(decode), (bytes) => native.secrets(bytes));
}

/** A copy of the bytes that a secret is. */
function decode(secret) {
  if (secret instanceof Uint8Array) return Uint8Array.from(secret);
  const text = typeof secret === 'string' ? secret.trim() : '';
  if (HEX.test(text)) return Buffer.from(text, 'hex');
  if (BASE64.test(text)) return Buffer.from(text, 'base64');
  const found = typeof secret === 'string' ? `a text of ${text.length} characters` : typeof secret;
  throw codedError('ERR_INVALID_SECRET',
    `A secret is ${SECRET_BYTES} random bytes, in base64 (44 characters) or in hexadecimal (64), as`
    + ` \`npx collective-io keygen\` makes them; this is ${found}`);
}

function certificates(tls) {
  const { names = [] } = tls;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw badTls('`tls.names` must be an array of names');
  }
  const parts = TLS_PARTS.map((part) => pem(tls[part], `tls.${part}`));
  return wiped(parts, ([key, cert, ca]) => native.tls(key, cert, ca, names));
}

/** A copy of the PEM that is given as text, bytes, the path of a file, or several of them. */
function pem(given, what) {
  if (Array.isArray(given) && given.length > 0) {
    const parts = given.map((each) => pem(each, what));
    return wiped(parts, () => Buffer.concat(parts.flatMap((part) => [part, Buffer.from('\n')])));
  }
  if (given instanceof Uint8Array) return Buffer.from(given);
  if (typeof given !== 'string' || given === '') {
    throw badTls(`\`${what}\` must be PEM, as text or bytes, or the path of a file`);
  }
  if (given.includes(PEM)) return Buffer.from(given);
  try {
    return fs.readFileSync(given);
  } catch (cause) {
    throw badTls(`\`${what}\` cannot be read: ${cause.message}`, { cause });
  }
}

function badTls(message, properties) {
  return codedError('ERR_INVALID_CERTIFICATE', message, properties);
}

/** What `use` makes of these copies, which are wiped then. */
function wiped(copies, use) {
  try {
    return use(copies);
  } finally {
    for (const copy of copies) copy.fill(0);
  }
}

module.exports = { credentialsOf };
