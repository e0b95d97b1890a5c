#!/usr/bin/env node
'use strict';

/**
 * What the release workflow does with the packages.
 *
 *     node scripts/release.js check v1.2.3           do all files have this version?
 *     node scripts/release.js prepare owner/name     puts into the packages what they have only when published
 *     node scripts/release.js publish                to npm, with provenance; leaves out what is there
 *
 * `prepare` expects the addon of each platform in its folder of `npm/`.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { notices } = require('./notices.js');

const ROOT = path.dirname(__dirname);
const SHELL = process.platform === 'win32';

/** What is wrong with the release, told without a stack. */
class ReleaseError extends Error {}

const STEPS = { check, prepare, publish };

function main([step, ...args]) {
  if (!Object.hasOwn(STEPS, step ?? '')) {
    throw new ReleaseError(`Which step? There are: ${Object.keys(STEPS).join(', ')}`);
  }
  STEPS[step](...args);
}

function check(tag) {
  const version = /^v(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(tag ?? '')?.[1];
  if (version === undefined) throw new ReleaseError(`A tag is v1.2.3, not ${tag}`);
  const lock = json('package-lock.json');
  const found = {
    'package.json': json('package.json').version,
    'package-lock.json': lock.version,
    'package-lock.json, packages': lock.packages[''].version,
    'Cargo.toml': /^version = "(.*)"/m.exec(text('Cargo.toml'))?.[1],
    'Cargo.lock': /^name = "collective-io"\nversion = "(.*)"/m.exec(text('Cargo.lock'))?.[1],
    ...Object.fromEntries(platforms().map((name) => [`npm/${name}`, json(`npm/${name}/package.json`).version])),
  };
  const wrong = Object.entries(found).filter(([, each]) => each !== version);
  if (wrong.length > 0) {
    throw new ReleaseError(`It is to be ${version}, but ${wrong.map(([file, each]) => `${file} has ${each}`).join(', ')}`);
  }
  if (!text('CHANGELOG.md').split('\n').includes(`## ${version}`)) {
    throw new ReleaseError(`CHANGELOG.md has nothing about ${version}`);
  }
}

function prepare(name) {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name ?? '')) throw new ReleaseError(`A repository is owner/name, not ${name}`);
  const manifest = json('package.json');
  const missing = platforms().filter((each) => !fs.existsSync(path.join(ROOT, 'npm', each, json(`npm/${each}/package.json`).main)));
  if (missing.length > 0) throw new ReleaseError(`No addon for ${missing.join(', ')}`);
  // npm compares it with where the provenance comes from.
  const repository = { type: 'git', url: `git+https://github.com/${name}.git` };
  const optionalDependencies = {};
  for (const each of platforms()) {
    const file = `npm/${each}/package.json`;
    const own = json(file);
    optionalDependencies[own.name] = own.version;
    write(file, { ...own, repository: { ...repository, directory: `npm/${each}` } });
    fs.copyFileSync(path.join(ROOT, 'LICENSE'), path.join(ROOT, 'npm', each, 'LICENSE'));
    fs.writeFileSync(path.join(ROOT, 'npm', each, 'THIRD-PARTY-LICENSES.txt'), notices(each));
  }
  write('package.json', { ...manifest, repository, optionalDependencies });
}

/** The packages of the platforms first: `collective-io` is of no use before they are there. */
function publish() {
  for (const folder of [...platforms().map((name) => `npm/${name}`), '.']) {
    const { name, version } = json(`${folder}/package.json`);
    if (isPublished(name, version)) {
      console.log(`${name}@${version} is there`);
      continue;
    }
    const tag = version.includes('-') ? 'next' : 'latest';
    const args = ['publish', `./${folder}`, '--ignore-scripts', '--provenance', '--access', 'public', '--tag', tag];
    const { status, error } = spawnSync('npm', args, { cwd: ROOT, stdio: 'inherit', shell: SHELL });
    if (error || status !== 0) throw new ReleaseError(`${name}@${version} was not published${error ? `: ${error.message}` : ''}`);
  }
}

function isPublished(name, version) {
  const { status, stdout, stderr } = spawnSync('npm', ['view', `${name}@${version}`, 'version', '--json'], {
    cwd: ROOT, encoding: 'utf8', shell: SHELL,
  });
  if (status === 0) return stdout.trim() !== '';
  if (/E404/.test(stdout + stderr)) return false;
  throw new ReleaseError(`npm does not say whether ${name}@${version} is there: ${stderr.trim()}`);
}

function platforms() {
  return fs.readdirSync(path.join(ROOT, 'npm')).sort();
}

function text(file) {
  return fs.readFileSync(path.join(ROOT, file), 'utf8');
}

function json(file) {
  return JSON.parse(text(file));
}

function write(file, manifest) {
  fs.writeFileSync(path.join(ROOT, file), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof ReleaseError ? error.message : error.stack);
  process.exitCode = 1;
}
