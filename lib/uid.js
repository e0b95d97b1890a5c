'use strict';

const { randomUUID } = require('node:crypto');

/**
 * A name that nothing else has: 24 upper-case hexadecimal digits, of the seconds, the process and
 * chance, as partition.io made them.
 */
function uid() {
  const seconds = Math.floor(Date.now() / 1000).toString(16).padStart(8, '0').slice(-8);
  const pid = (process.pid & 0xffff).toString(16).padStart(4, '0');
  // The last group of a UUID is 48 random bits, drawn ahead for many at a time.
  return `${seconds}${pid}${randomUUID().slice(-12)}`.toUpperCase();
}

module.exports = { uid };
