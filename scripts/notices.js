#!/usr/bin/env node
'use strict';

/**
 * Licences of the crates that are in an addon: most ask that their text goes along with the binary.
 *
 *     node scripts/notices.js linux-x64-gnu
 *
 * prints those of a platform's addon; `release.js prepare` puts them into the packages.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const OWN = 'collective-io';
const OUTPUT_BYTES_MAX = 64 << 20;
const RULE = '-'.repeat(78);

/** What cargo calls a platform of `npm/`. */
const TARGETS = {
  'darwin-arm64': 'aarch64-apple-darwin',
  'darwin-x64': 'x86_64-apple-darwin',
  'linux-arm64-gnu': 'aarch64-unknown-linux-gnu',
  'linux-arm64-musl': 'aarch64-unknown-linux-musl',
  'linux-x64-gnu': 'x86_64-unknown-linux-gnu',
  'linux-x64-musl': 'x86_64-unknown-linux-musl',
  'win32-x64-msvc': 'x86_64-pc-windows-msvc',
};

const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense)/i;

/** For crates that have no file with it. */
const MIT = fs.readFileSync(path.join(ROOT, 'LICENSE'), 'utf8').replace(/^Copyright.*\n/m, 'Copyright (c) $AUTHORS\n');

/**
 * @param {string} platform a folder of `npm/`
 * @returns {string} each text once, below the crates that it is for
 */
function notices(platform) {
  if (!Object.hasOwn(TARGETS, platform)) throw new Error(`There is no platform ${platform}`);
  const crates = new Map();
  for (const each of packages()) crates.set(`${each.name} v${each.version}`, each);
  /** By text, who has it. */
  const owners = new Map();
  for (const name of linked(TARGETS[platform])) {
    const crate = crates.get(name);
    for (const text of texts(crate)) owners.set(text, [...owners.get(text) ?? [], crate]);
  }
  const parts = [...owners].map(([text, [...own]]) => {
    const lines = own.map(({ name, version, license, repository }) => `${name} ${version} (${license})${repository ? `, ${repository}` : ''}`);
    return `${RULE}\n${lines.join('\n')}\n${RULE}\n\n${text}\n`;
  });
  return `The addon beside this file has the work of others in it, under these licences; and Rust's standard
library, which is under MIT or Apache-2.0: https://www.rust-lang.org/policies/licenses

${parts.join('\n')}`;
}

/** `name v1.2.3` of the crates that end up in the addon: neither macros nor what only builds or tests. */
function linked(target) {
  const args = ['tree', '--locked', '--features', 'addon', '--edges', 'normal,no-proc-macro', '--target', target, '--prefix', 'none', '--format', '{p}'];
  const names = cargo(args).split('\n').map((line) => line.split(' ').slice(0, 2).join(' '));
  return [...new Set(names)].filter((name) => name !== '' && !name.startsWith(`${OWN} v`)).sort();
}

function packages() {
  return JSON.parse(cargo(['metadata', '--locked', '--format-version', '1', '--features', 'addon'])).packages;
}

function cargo(args) {
  const { status, stdout, stderr, error } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX });
  if (error) throw error;
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Of licences to choose from, MIT alone if it is among them. */
function texts({ name, license, authors, manifest_path: manifest }) {
  const folder = path.dirname(manifest);
  const files = fs.readdirSync(folder).filter((file) => LICENCE_FILE.test(file)).sort();
  const choices = license.split(/ OR |\//);
  const mit = files.find((file) => /mit/i.test(file));
  if (choices.includes('MIT') && mit !== undefined) return [text(path.join(folder, mit))];
  if (files.length > 0) return files.map((file) => text(path.join(folder, file)));
  if (choices.includes('MIT')) return [MIT.replace('$AUTHORS', authors.join(', ') || `the authors of ${name}`).trim()];
  throw new Error(`${name} is under ${license} and has no file with that`);
}

function text(file) {
  return fs.readFileSync(file, 'utf8').replaceAll('\r\n', '\n').trim();
}

if (require.main === module) process.stdout.write(notices(process.argv[2]));

module.exports = { TARGETS, notices };
