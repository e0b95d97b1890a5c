'use strict';

const { randomInt } = require('node:crypto');

/** The last six digits are counted, from anywhere. */
const COUNTS = 1 << 24;

/** All but the last six digits, and the second for which it was made. */
let prefix;
let second;
let count = randomInt(COUNTS);

/**
 * A name that nothing else has: 24 upper-case hexadecimal digits, of the seconds, the process and
 * chance, as partition.io made them.
 */
function uid() {
  const now = Math.floor(Date.now() / 1000);
  count = (count + 1) % COUNTS;
  if (now !== second || count === 0) {
    second = now;
    prefix = hex(now % 2 ** 32, 8) + hex(process.pid % 2 ** 16, 4) + hex(randomInt(COUNTS), 6);
  }
  return prefix + hex(count, 6);
}

function hex(number, digits) {
  return number.toString(16).toUpperCase().padStart(digits, '0');
}

module.exports = { uid };
