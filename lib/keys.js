'use strict';

const { codedError } = require('./errors.js');

/** Throws unless `key` can name something. Its length is the engine's to judge. */
function checkKey(key) {
  if (typeof key !== 'string') {
    throw codedError('ERR_INVALID_KEY', `The key must be a string, not ${describe(key)}`);
  }
  if (!key.isWellFormed()) {
    throw codedError('ERR_INVALID_KEY', 'The key has half of a surrogate pair');
  }
}

function describe(value) {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

function closedError() {
  return codedError('ERR_CLOSED', 'The node is closed');
}

module.exports = { checkKey, closedError, describe };
