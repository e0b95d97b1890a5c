'use strict';

const { codedError } = require('./errors.js');
const { OWN_PREFIX, checkName, isName } = require('./keys.js');

/** Events of a servent itself. No node sends events of these names, and none receives them. */
const RESERVED_EVENTS = Object.freeze([
  'error', 'warning', 'listening', 'close', 'connection', 'drop', 'peer', 'peerLeave',
  'newListener', 'removeListener',
]);

const reserved = new Set(RESERVED_EVENTS);

function isReserved(name) {
  return reserved.has(name) || (typeof name === 'string' && name.startsWith(OWN_PREFIX));
}

/** Throws unless an event of this name can be sent. */
function checkEvent(name) {
  if (isReserved(name)) {
    throw codedError('ERR_RESERVED_EVENT', `'${name}' is an event of the node itself`);
  }
  checkName(name);
}

/** Whether peers can send events of this name. */
function isEvent(name) {
  return isName(name) && !isReserved(name);
}

module.exports = { RESERVED_EVENTS, checkEvent, isEvent };
