'use strict';

const fs = require('node:fs');
const path = require('node:path');

/** Where the system finds a program, by name. */
function find(name) {
  return process.env.PATH.split(path.delimiter)
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file));
}

/**
 * An environment in which these programs are found and no others: no cargo among them, also not in
 * the user's home, which is this folder.
 */
function bareEnvironment(folder, names) {
  const bin = path.join(folder, 'bin');
  fs.mkdirSync(bin, { recursive: true });
  for (const name of names) fs.symlinkSync(name === 'node' ? process.execPath : find(name), path.join(bin, name));
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|CARGO|RUST|COLLECTIVE_)/i.test(name));
  return { ...Object.fromEntries(inherited), PATH: bin, HOME: folder, CARGO_HOME: path.join(folder, '.cargo') };
}

module.exports = { bareEnvironment };
