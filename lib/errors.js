'use strict';

/** As Node.js's own, which it does not give away. */
class AbortError extends Error {}
Object.defineProperty(AbortError.prototype, 'name', { value: 'AbortError', writable: true, configurable: true });

/**
 * Every code of our own: what an error with it is, and what it means. The same table is in
 * `docs/errors.md` and, for the first five groups, in `src/engine/error.rs`.
 */
const ERRORS = Object.freeze({
  // A write was refused. Nothing has changed and nothing was sent.
  ERR_KEY_TOO_LONG: [Error, 'The key has more bytes than the limit allows.'],
  ERR_TOO_DEEP: [Error, 'Key and value together have more levels than the limit allows.'],
  ERR_VALUE_TOO_LARGE: [Error, 'The value has more bytes of JSON than the limit allows.'],
  ERR_INVALID_VALUE: [TypeError, 'The value has no JSON form.'],
  ERR_NOT_A_NUMBER: [TypeError, 'Increment of something that is not a number, or by such.'],
  ERR_NOT_AN_INDEX: [TypeError, 'The key names a child of an array that is not an index.'],
  ERR_STATE_FULL: [Error, 'The state takes as much memory as this node may use for it.'],
  ERR_CLOSED: [Error, 'The node is closed.'],

  // A job, call or event was refused. Nothing was sent.
  ERR_INVALID_NAME: [TypeError, 'A name is a text of 1 to 255 bytes.'],
  ERR_BUSY: [Error, 'Too much is under way already.'],

  // What became of a job or call on a node.
  ERR_NO_WORKER: [Error, 'The node has no worker of this name.'],
  ERR_TIMEOUT: [Error, 'There was no answer in time.'],
  ABORT_ERR: [AbortError, 'The job or call was aborted.'],

  // Why a connection to a peer has ended.
  ERR_PEER_LEFT: [Error, 'The peer said goodbye.'],
  ERR_PEER_LOST: [Error, 'The connection broke, or the peer was silent for too long.'],
  ERR_DUPLICATE_CONNECTION: [Error, 'Another connection to the same peer is kept.'],
  ERR_CONNECTED_TO_SELF: [Error, 'The address is this node\'s own.'],
  ERR_HANDSHAKE_TIMEOUT: [Error, 'The peer did not finish the handshake in time.'],
  ERR_BAD_MESSAGE: [Error, 'The peer sent what is not a message of our protocol.'],
  ERR_MESSAGE_TOO_LARGE: [Error, 'The peer sent a message over the limit.'],
  ERR_INCOMPATIBLE_PEER: [Error, 'The peer has another protocol version, cluster or limits.'],
  ERR_PEER_KEPT_OUT: [Error, 'The peer has broken a rule of the protocol not long ago.'],
  ERR_PEER_DISMISSED: [Error, 'One of the two wants no connection with the other.'],
  ERR_REJOIN: [Error, 'This node was forgotten by the peer and joins again as a new replica.'],
  ERR_CORRUPT_RECORD: [Error, 'What arrived was changed on the way, or is not from the peer.'],

  // Why a connection was refused before it was one: secrets, and who is who.
  ERR_UNKNOWN_SECRET: [Error, 'The other side has none of the secrets of this node.'],
  ERR_MODE_MISMATCH: [Error, 'One side speaks in the clear, with a secret or TLS, and the other does not.'],
  ERR_HANDSHAKE_FAILED: [Error, 'The handshake was not genuine, or the other side has ended it.'],
  ERR_IDENTITY_MISMATCH: [Error, 'A connection calls itself what another node is called.'],
  ERR_CREDENTIALS_REMOVED: [Error, 'The connection was made with what is not accepted any more.'],
  ERR_INVALID_SECRET: [TypeError, 'A secret is not 32 random bytes in base64 or hexadecimal.'],
  ERR_CERTIFICATE_REFUSED: [Error, 'The other side\'s certificate is not one that this node takes.'],
  ERR_INVALID_CERTIFICATE: [TypeError, 'What `tls` was given cannot be used.'],

  // What the software has handled itself and reports as a warning.
  ERR_CLOCK_SKEW: [Error, 'A peer\'s clock is too far ahead; ours was not moved.'],
  ERR_STATE_MISMATCH: [Error, 'Two nodes with the same writes differ: a defect, please report it.'],
  ERR_REJOINED: [Error, 'This node was away for too long and has joined as a new replica.'],
  ERR_SEEDS_FAILED: [Error, 'The function that gives the seeds has failed; it is called again.'],
  ERR_ANSWERED_TWICE: [Error, 'A function has answered more than once; the first answer counts.'],

  // Wrong use of the interface.
  ERR_INVALID_KEY: [TypeError, 'The key is not a string that can name a place in the document.'],
  ERR_INVALID_ARGUMENT: [TypeError, 'An argument or option is not what it must be.'],
  ERR_INVALID_OPERATION: [TypeError, 'There is no operation of this name.'],
  ERR_INVALID_STATE: [Error, 'This was done before and can be done once.'],
  ERR_RESERVED_EVENT: [TypeError, 'Events of this name are of the node itself and are not sent.'],
  ERR_INSECURE_BIND: [Error, 'Listening beyond this machine without a secret or TLS.'],

  // The installation, and ourselves.
  ERR_ADDON_MISSING: [Error, 'No addon loads on this platform; the message says how to build it.'],
  ERR_INTERNAL: [Error, 'A defect in this package: please report it.'],
});

/**
 * An error of the class that belongs to `code`, with `code` and `properties` on it.
 *
 * @param {keyof typeof ERRORS} code
 * @param {string} [message] the meaning of the code if left out
 * @param {object} [properties]
 */
function codedError(code, message, properties) {
  const [Class, meaning] = ERRORS[code] ?? [Error, code];
  const error = new Class(message ?? meaning);
  if (Error.captureStackTrace) Error.captureStackTrace(error, codedError);
  return Object.assign(error, { code }, properties);
}

module.exports = { ERRORS, codedError };
