'use strict';

/**
 * Calls what runs code of the program. What that throws is an uncaught exception, but whatever
 * comes after this call is done all the same.
 */
function attempt(method, self, ...args) {
  try {
    method?.apply(self, args);
  } catch (error) {
    process.nextTick(rethrow, error);
  }
}

function rethrow(error) {
  throw error;
}

module.exports = { attempt, rethrow };
