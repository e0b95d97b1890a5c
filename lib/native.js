'use strict';

/**
 * The addon. This is the only file that loads it: the one built here, else the one of the platform
 * package that npm has installed, else an error that says what to run.
 */

const path = require('node:path');
const { codedError } = require('./errors.js');
const { platform } = require('./platform.js');

const ROOT = path.dirname(__dirname);

function load() {
  const reasons = [];
  for (const name of [
    path.join(ROOT, `collective-io.${platform}.node`),
    `collective-io-${platform}`,
  ]) {
    try {
      return require(name);
    } catch (error) {
      // Absent is the common case. A file that is there and cannot be loaded (made for another
      // C library, say) is worth telling.
      if (error.code !== 'MODULE_NOT_FOUND') reasons.push(error);
    }
  }
  throw missing(reasons);
}

function missing(reasons) {
  const lines = [
    `collective-io has no addon that loads on ${platform}. To build it (needs Rust), run:`,
    '',
    `    node ${quote(path.join(ROOT, 'scripts', 'build.js'))}`,
    '',
    'npm may have skipped the install script of this package, which does the same.',
    ...reasons.map((reason) => `Tried and failed: ${reason.message}`),
  ];
  const properties = reasons.length ? { cause: reasons[0] } : undefined;
  return codedError('ERR_ADDON_MISSING', lines.join('\n'), properties);
}

function quote(file) {
  return /^[\w./\\:@+-]+$/.test(file) ? file : `"${file}"`;
}

module.exports = load();
