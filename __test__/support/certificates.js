'use strict';

/* Certificates for tests, made when they are needed: X.509 in as much DER as that takes. */

const { generateKeyPairSync, randomBytes, sign } = require('node:crypto');

const DAY_MS = 24 * 3600 * 1000;

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const UTF8_STRING = 0x0c;
const GENERALIZED_TIME = 0x18;
const BOOLEAN_TRUE = Buffer.from([0x01, 0x01, 0xff]);

const ED25519 = der(SEQUENCE, oid(1, 3, 101, 112));
const COMMON_NAME = oid(2, 5, 4, 3);
const ALTERNATIVE_NAMES = oid(2, 5, 29, 17);
const BASIC_CONSTRAINTS = oid(2, 5, 29, 19);

/** An authority that issues certificates, and its own as PEM. */
class Authority {
  #keys = generateKeyPairSync('ed25519');

  constructor(name = 'tests') {
    this.name = name;
    const isAuthority = extension(BASIC_CONSTRAINTS, der(SEQUENCE, BOOLEAN_TRUE), true);
    this.pem = this.#certify(name, this.#keys.publicKey, isAuthority);
  }

  /**
   * A key and a certificate as PEM, for DNS names.
   *
   * @param {string[]} names
   * @param {number} [days] how long it is valid; less than 0: it no longer is
   */
  issue(names, days = 2) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const alternatives = names.map((name) => der(0x82, Buffer.from(name)));
    const extensions = names.length > 0 ? extension(ALTERNATIVE_NAMES, der(SEQUENCE, ...alternatives)) : undefined;
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: this.#certify(names[0] ?? 'nobody', publicKey, extensions, days),
      ca: this.pem,
    };
  }

  #certify(name, publicKey, extensions, days = 2) {
    const parts = [
      der(0xa0, der(INTEGER, Buffer.from([2]))),
      der(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ED25519,
      named(this.name),
      der(SEQUENCE, time(Date.now() - 10 * DAY_MS), time(Date.now() + days * DAY_MS)),
      named(name),
      publicKey.export({ type: 'spki', format: 'der' }),
    ];
    if (extensions) parts.push(der(0xa3, der(SEQUENCE, extensions)));
    const toSign = der(SEQUENCE, ...parts);
    const signature = sign(null, toSign, this.#keys.privateKey);
    const certificate = der(SEQUENCE, toSign, ED25519, der(BIT_STRING, Buffer.from([0]), signature));
    const lines = certificate.toString('base64').match(/.{1,64}/g).join('\n');
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }
}

function named(name) {
  return der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, Buffer.from(name)))));
}

function time(ms) {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return der(GENERALIZED_TIME, Buffer.from(text));
}

function extension(id, value, isCritical = false) {
  const parts = isCritical ? [id, BOOLEAN_TRUE] : [id];
  return der(SEQUENCE, ...parts, der(OCTET_STRING, value));
}

function oid(first, second, ...rest) {
  const bytes = rest.flatMap((number) => {
    const digits = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

function der(tag, ...contents) {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

module.exports = { Authority };
