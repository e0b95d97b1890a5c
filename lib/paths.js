'use strict';

const { inspect } = require('node:util');

const { codedError } = require('./errors.js');
const { describe } = require('./keys.js');

/** Begins the names of paths that no dotted key can name: half a surrogate pair is in no key. */
const ESCAPE = '\ud800';

/**
 * Paths of today's interface: a dotted string, or an array of segments, which may be any strings.
 * An empty array, or nothing, is the whole state.
 *
 * The addon takes a dotted key where that will do, `null` for the whole state, else the array.
 *
 * @returns {string | string[] | null}
 */
function toKey(path) {
  if (typeof path === 'string') {
    checkDotted(path);
    return path;
  }
  if (path === undefined) return null;
  if (!Array.isArray(path)) {
    throw invalid(`A path is a dotted string or an array of segments, not ${describe(path)}`);
  }
  if (path.length === 0) return null;
  // One pass: every read by segments comes through here.
  let key = '';
  let isPlain = true;
  for (let at = 0; at < path.length; at++) {
    const segment = path[at];
    if (typeof segment !== 'string' || !segment.isWellFormed()) {
      throw invalid(`Segments of a path are strings of whole characters: ${inspect(path)}`);
    }
    isPlain &&= segment !== '' && !segment.includes('.');
    key = at === 0 ? segment : `${key}.${segment}`;
  }
  return isPlain ? key : [...path];
}

/** The same for what is to be written: some place in the state. */
function toPlace(path) {
  const key = toKey(path);
  if (key === null) throw invalid('The state as a whole cannot be written: name a path');
  return key;
}

/** Throws unless it is a path without empty segments, which are hardly ever meant. */
function checkDotted(path) {
  if (!path.isWellFormed()) throw invalid('The path has half of a surrogate pair');
  if (path === '' || path.startsWith('.') || path.endsWith('.') || path.includes('..')) {
    throw invalid(`The path ${inspect(path)} has an empty segment: if that is meant, pass an array of segments`);
  }
}

/** The segments of what `toKey` gives. */
function segmentsOf(key) {
  if (key === null) return [];
  return typeof key === 'string' ? key.split('.') : [...key];
}

/** What names it in a Map. */
function nameOf(key) {
  return Array.isArray(key) ? ESCAPE + JSON.stringify(key) : key;
}

function invalid(message) {
  return codedError('ERR_INVALID_KEY', message);
}

module.exports = { checkDotted, nameOf, segmentsOf, toKey, toPlace };
