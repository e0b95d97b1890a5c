'use strict';

/** Freezes what `JSON.parse` gave, at every level. */
function freeze(value) {
  if (typeof value !== 'object' || value === null) return value;
  for (const name of Object.keys(value)) freeze(value[name]);
  return Object.freeze(value);
}

/** As `JSON.parse`, deeply frozen. */
function parseFrozen(json) {
  return freeze(JSON.parse(json));
}

module.exports = { freeze, parseFrozen };
