'use strict';

const { codedError } = require('./errors.js');

/** As in `src/engine/jobs/mod.rs`. */
const NAME_BYTES_MAX = 255;

/** How names begin that nodes use among themselves. */
const OWN_PREFIX = 'collective-io:';

/** Throws unless `key` can name something. Its length is the engine's to judge. */
function checkKey(key) {
  if (typeof key !== 'string') {
    throw codedError('ERR_INVALID_KEY', `The key must be a string, not ${describe(key)}`);
  }
  if (!key.isWellFormed()) {
    throw codedError('ERR_INVALID_KEY', 'The key has half of a surrogate pair');
  }
}

/** Throws unless `name` can name a worker, an exposed function or an event. */
function checkName(name) {
  if (typeof name !== 'string') {
    throw codedError('ERR_INVALID_NAME', `A name must be a string, not ${describe(name)}`);
  }
  if (!isName(name)) {
    throw codedError('ERR_INVALID_NAME', `A name has 1 to ${NAME_BYTES_MAX} bytes of UTF-8`);
  }
  if (name.startsWith(OWN_PREFIX)) {
    throw codedError('ERR_INVALID_NAME', `Names that begin with '${OWN_PREFIX}' are the node's own`);
  }
}

function isName(name) {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed()) return false;
  // A unit of UTF-16 is at most three bytes of UTF-8, so that most names need not be counted.
  return name.length * 3 <= NAME_BYTES_MAX || Buffer.byteLength(name) <= NAME_BYTES_MAX;
}

function describe(value) {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

function closedError() {
  return codedError('ERR_CLOSED', 'The node is closed');
}

module.exports = { OWN_PREFIX, checkKey, checkName, closedError, describe, isName };
