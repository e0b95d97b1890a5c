'use strict';

const { codedError } = require('./errors.js');
const { describe } = require('./keys.js');

/**
 * The JSON text of a value that is to be SET: what `JSON.stringify` gives, or a `TypeError` where
 * it would give nothing, `null` for a number, or throw. `undefined` is not for this function.
 */
function encode(value) {
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw invalid(`${value} is not JSON`);
      return `${value}`;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'function':
    case 'symbol':
    case 'bigint':
      throw invalid(`A ${describe(value)} is not JSON`);
  }
  let json;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw refusal(cause);
  }
  if (json === undefined) throw invalid('The value has a toJSON that gives no JSON');
  return json;
}

/**
 * The JSON text of the arguments of a job, call or event. Each may be what `encode` takes;
 * `undefined` is `null`.
 *
 * @param {unknown[]} args
 */
function encodeArguments(args) {
  for (const value of args) {
    switch (typeof value) {
      case 'number':
        if (Number.isFinite(value)) break;
        throw invalid(`${value} is not JSON`);
      case 'function':
      case 'symbol':
      case 'bigint':
        throw invalid(`A ${describe(value)} is not JSON`);
    }
  }
  try {
    return JSON.stringify(args);
  } catch (cause) {
    throw refusal(cause);
  }
}

/** Why `JSON.stringify` threw: a cycle, a BigInt or somebody's toJSON, unless it ran out of room. */
function refusal(cause) {
  if (cause instanceof RangeError) {
    return /string length/.test(cause.message)
      ? codedError('ERR_VALUE_TOO_LARGE', 'The value is too large to be written as JSON')
      : codedError('ERR_TOO_DEEP', 'The value is too deep to be written as JSON');
  }
  return invalid(`The value is not JSON: ${cause?.message ?? cause}`, { cause });
}

function invalid(message, properties) {
  return codedError('ERR_INVALID_VALUE', message, properties);
}

module.exports = { encode, encodeArguments };
