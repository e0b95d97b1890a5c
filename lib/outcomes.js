'use strict';

/** What becomes of a function on a node, and how errors travel between nodes. */

const { inspect, types } = require('node:util');

const { codedError } = require('./errors.js');
const { encode } = require('./json.js');

/** By their numbers in an outcome of the addon. `executed`: whether the function has run. */
const OUTCOMES = [
  { status: 'ok' },
  { status: 'error', executed: 'yes' },
  { status: 'no-worker', executed: 'no', code: 'ERR_NO_WORKER', message: 'has nothing of this name' },
  { status: 'lost', executed: 'unknown', code: 'ERR_PEER_LOST', message: 'was lost before it answered' },
  { status: 'timeout', executed: 'unknown', code: 'ERR_TIMEOUT', message: 'did not answer in time' },
  { status: 'aborted', executed: 'unknown', code: 'ABORT_ERR', message: 'was no longer waited for' },
  { status: 'busy', executed: 'no', code: 'ERR_BUSY', message: 'has too much under way' },
];
const OK = 0;
const ERROR = 1;
const NO_WORKER = 2;
const LOST = 3;
const TIMEOUT = 4;
const ABORTED = 5;
const BUSY = 6;

/** How a job ends, by the numbers of the addon. */
const ENDS = ['complete', 'timeout', 'aborted'];
const END_ABORTED = 2;

/** Why a function is to stop, by the numbers of the addon; the last is our own. */
const STOP_TIMEOUT = 0;
const STOP_CANCELLED = 1;
const STOP_CALLER_LOST = 2;
const STOP_CLOSED = 3;

/** Of an error no more than this travels: it must fit where a value fits. */
const NAME_MAX = 256;
const MESSAGE_MAX = 16_384;
const STACK_MAX = 16_384;
const CAUSES_MAX = 4;
/** A reason to abort that is longer travels as its description. */
const REASON_MAX = 4096;

/** JSON text that describes whatever was thrown or called back. */
function describeError(thrown) {
  return JSON.stringify(describe(thrown, 0));
}

function describe(thrown, depth) {
  try {
    const object = typeof thrown === 'object' && thrown !== null ? thrown : {};
    const { name, message, code, stack, cause } = object;
    const isError = typeof message === 'string';
    return {
      name: text(isError ? name : undefined, NAME_MAX) ?? 'Error',
      message: text(isError ? message : shown(thrown), MESSAGE_MAX),
      code: Number.isFinite(code) ? code : text(code, NAME_MAX),
      stack: isError ? text(stack, STACK_MAX) : undefined,
      cause: cause !== undefined && depth < CAUSES_MAX ? describe(cause, depth + 1) : undefined,
    };
  } catch {
    // A getter or a Proxy that throws: that it failed is all there is to tell.
    return { name: 'Error', message: 'An error that cannot be read' };
  }
}

function text(value, max) {
  return typeof value === 'string' ? value.slice(0, max) : undefined;
}

function shown(value) {
  return typeof value === 'string' ? value : inspect(value);
}

/** The `Error` of a description, which came from a peer: nothing about it is certain. */
function rebuildError(description, depth = 0) {
  const { name, message, code, stack, cause } = Object(description);
  const error = new Error(typeof message === 'string' ? message : 'An error without a message');
  const title = typeof name === 'string' ? name : 'Error';
  const hidden = {
    name: title,
    stack: typeof stack === 'string' ? stack : `${title}: ${error.message}`,
  };
  if (cause !== undefined && depth < CAUSES_MAX) hidden.cause = rebuildError(cause, depth + 1);
  for (const [key, value] of Object.entries(hidden)) {
    Object.defineProperty(error, key, { value, writable: true, configurable: true });
  }
  if (typeof code === 'string' || typeof code === 'number') error.code = code;
  return error;
}

/**
 * The error of an outcome that is not `ok`.
 *
 * @param {number} outcome index of `OUTCOMES`
 * @param {object} [description] of the function's own error
 * @param {{node: string, peer?: Peer}} origin the node
 * @param {unknown} [reason] why the caller gave up
 */
function outcomeError(outcome, description, origin, reason) {
  const { code, message, executed } = OUTCOMES[outcome];
  const error = outcome === ERROR
    ? rebuildError(description)
    : codedError(code, `Node ${origin.node} ${message}`);
  if (reason !== undefined) Object.defineProperty(error, 'cause', { value: reason, writable: true, configurable: true });
  return Object.assign(error, { node: origin.node, peer: origin.peer, executed });
}

/** The error of an outcome that was made before anything was sent: the function has not run. */
function notRunError(outcome, origin, reason) {
  const error = outcomeError(outcome, undefined, origin, reason);
  if (outcome === LOST) error.message = `Node ${origin.node} is not connected`;
  return Object.assign(error, { executed: 'no' });
}

/** JSON text of the reason why a caller gives up. */
function encodeReason(reason) {
  if (reason === undefined) return 'null';
  if (!(reason instanceof Error || types.isNativeError(reason))) {
    try {
      const json = encode(reason);
      if (json.length <= REASON_MAX) return `{"value":${json}}`;
    } catch {
      // What JSON cannot hold travels as an error does.
    }
  }
  return `{"error":${describeError(reason)}}`;
}

/** What `signal.reason` is where a function was told to stop. */
function stopReason(why, reason) {
  switch (why) {
    case STOP_TIMEOUT:
      return codedError('ERR_TIMEOUT', 'The time for this is over');
    case STOP_CALLER_LOST:
      return codedError('ERR_PEER_LOST', 'The node that asked for this is gone');
    case STOP_CLOSED:
      return codedError('ERR_CLOSED');
  }
  const { value, error } = Object(reason);
  if (value !== undefined) return value;
  return error === undefined ? codedError('ABORT_ERR') : rebuildError(error);
}

module.exports = {
  OUTCOMES, OK, ERROR, NO_WORKER, LOST, TIMEOUT, ABORTED, BUSY, ENDS, END_ABORTED,
  STOP_TIMEOUT, STOP_CANCELLED, STOP_CALLER_LOST, STOP_CLOSED,
  describeError, rebuildError, outcomeError, notRunError, encodeReason, stopReason,
};
