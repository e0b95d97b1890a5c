'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const Collective = require('..');
const { platform } = require('../lib/platform');

const ROOT = path.dirname(__dirname);
const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');
const manifest = JSON.parse(read('package.json'));
const cargo = read('Cargo.toml');

test('CommonJS and ESM give the same', async () => {
  const module = await import('collective-io');
  assert.equal(module.default, Collective);
  assert.equal(module.Collective, Collective);
  assert.equal(module.version, manifest.version);
  for (const name of ['join', 'Node', 'Servent', 'Peer', 'Worker', 'Job']) {
    assert.equal(typeof Collective[name], 'function');
    assert.equal(module[name], Collective[name]);
  }
  assert.equal(require('collective-io'), Collective);
  assert.equal((await import('collective-io/cluster')).run, require('collective-io/cluster').run);
  assert.equal(Collective.Collective, Collective);
  assert.equal(Collective.default, Collective);
  assert.equal(Collective.version, manifest.version);
  assert.equal(require('collective-io/package.json').name, 'collective-io');
});

test('npm and Cargo agree', () => {
  assert.equal(/^name = "(.*)"/m.exec(cargo)[1], manifest.name);
  assert.equal(/^version = "(.*)"/m.exec(cargo)[1], manifest.version);
  assert.equal(/^license = "(.*)"/m.exec(cargo)[1], manifest.license);
});

test('nothing is installed with it, and nothing unpublished is in the lock file', () => {
  assert.equal(manifest.dependencies, undefined);
  assert.equal(manifest.optionalDependencies, undefined);
  const { packages } = JSON.parse(read('package-lock.json'));
  for (const [name, entry] of Object.entries(packages)) {
    assert.ok(name === '' || entry.dev, name);
    assert.equal(entry.resolved, undefined, name);
    assert.doesNotMatch(name, /collective-io/);
  }
});

test('there is a package for each platform', () => {
  const names = fs.readdirSync(path.join(ROOT, 'npm')).sort();
  assert.deepEqual(names, [
    'darwin-arm64', 'darwin-x64', 'linux-arm64-gnu', 'linux-arm64-musl', 'linux-x64-gnu',
    'linux-x64-musl', 'win32-x64-msvc',
  ]);
  for (const name of names) {
    const { name: full, version, main, files, os, cpu, libc, engines } = JSON.parse(read(`npm/${name}/package.json`));
    assert.equal(full, `collective-io-${name}`);
    assert.equal(version, manifest.version);
    assert.deepEqual(engines, manifest.engines);
    assert.equal(main, `collective-io.${name}.node`);
    assert.deepEqual(files, [main, 'THIRD-PARTY-LICENSES.txt']);
    const [system, arch, abi] = name.split('-');
    assert.deepEqual([os, cpu], [[system], [arch]]);
    assert.deepEqual(libc, { gnu: ['glibc'], musl: ['musl'] }[abi]);
    assert.match(read(`npm/${name}/README.md`), /collective-io/);
  }
  if (process.platform === 'linux' && process.arch === 'x64') assert.ok(names.includes(platform));
});
