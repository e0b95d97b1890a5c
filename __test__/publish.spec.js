'use strict';

/* What npm gets: which files, that they are of use to each kind of program, and that they install. */

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { platform } = require('../lib/platform');
const { freePortsInARow } = require('./support/ports');
const { ROOT } = require('./support/process');
const { bareEnvironment } = require('./support/programs');
const { until } = require('./support/until');

/** All but the sources: below `lib` and `src` everything of the language is wanted. */
const FILES = [
  'README.md', 'SECURITY.md', 'CHANGELOG.md', 'LICENSE', 'package.json',
  'index.js', 'index.mjs', 'index.d.ts', 'index.d.mts',
  'cluster.js', 'cluster.mjs', 'cluster.d.ts', 'cluster.d.mts',
  'bin/collective-io.js', 'scripts/build.js',
  'lib/view/page/index.html', 'lib/view/page/style.css', 'lib/view/page/icon.svg',
  'Cargo.toml', 'Cargo.lock', 'build.rs',
  // Cargo refuses a manifest that names a file which is not there.
  'benches/engine.rs', 'benches/memory.rs',
  'tests/exhaustive.rs', 'tests/fuzzing.rs', 'tests/simulation.rs', 'tests/turmoil.rs',
  // What a user reads. How the package is made stays in the repository.
  'docs/api.md', 'docs/errors.md', 'docs/jobs.md', 'docs/operations.md', 'docs/performance.md', 'docs/performance.svg', 'docs/protocol.md',
  'docs/replication.md', 'docs/security.md',
  'docs/guides/ask-all-nodes.md', 'docs/guides/cache.md', 'docs/guides/from-collective.md',
  'docs/guides/from-partition.md', 'docs/guides/kubernetes.md', 'docs/guides/opentelemetry.md',
  'docs/guides/prometheus.md', 'docs/guides/rate-limit.md', 'docs/guides/redis-counters.md',
  'docs/guides/several-hosts.md',
];
const SOURCES = { lib: '.js', src: '.rs' };
const PACKED_BYTES_MAX = 1 << 20;

const POSIX = { skip: process.platform === 'win32' && 'needs links and a shell' };

/** What `npm pack` says of the file that it makes, and where that is. */
let tarball, files, size;

test.before(() => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-tarball-'));
  const [told] = JSON.parse(succeed(spawnSync(
    'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: ROOT, encoding: 'utf8', shell: process.platform === 'win32' },
  )));
  ({ files, size } = told);
  tarball = path.join(folder, told.filename);
});

test.after(() => tarball && fs.rmSync(path.dirname(tarball), { recursive: true }));

test('the tarball has these files and no others', () => {
  const sources = Object.entries(SOURCES).flatMap(([folder, extension]) =>
    fs.readdirSync(path.join(ROOT, folder), { recursive: true })
      .filter((name) => name.endsWith(extension))
      .map((name) => path.posix.join(folder, name.replaceAll(path.sep, '/'))));
  assert.deepEqual(files.map((file) => file.path).sort(), [...FILES, ...sources].sort());
  assert.ok(size < PACKED_BYTES_MAX, `${size} bytes`);
});

test('links in what is shipped lead to what is shipped, or to the repository on purpose', () => {
  const elsewhere = ['docs/ARCHITECTURE.md', 'docs/testing.md', 'CONTRIBUTING.md', 'examples', 'bench', 'fuzz'];
  for (const file of FILES.filter((name) => name.endsWith('.md'))) {
    // Programs have brackets of their own.
    const text = fs.readFileSync(path.join(ROOT, file), 'utf8').replace(/```.*?```|`[^`]*`/gs, '');
    for (const [, target] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target)) continue;
      const full = path.posix.join(path.posix.dirname(file), target);
      assert.ok(fs.existsSync(path.join(ROOT, full)), `${file} links to ${target}, which does not exist`);
      const isShipped = FILES.includes(full) || elsewhere.some((each) => full === each || full.startsWith(`${each}/`));
      assert.ok(isShipped, `${file} links to ${target}, which is not shipped`);
    }
  }
});

test('cargo accepts what is in the tarball', (t) => {
  const folder = temporary(t);
  succeed(spawnSync('tar', ['-xzf', tarball], { cwd: folder, encoding: 'utf8' }));
  const metadata = spawnSync('cargo', ['metadata', '--no-deps', '--offline', '--locked', '--format-version', '1'], {
    cwd: path.join(folder, 'package'), encoding: 'utf8',
  });
  const [{ name, targets }] = JSON.parse(succeed(metadata)).packages;
  assert.equal(name, 'collective-io');
  for (const { src_path: file } of targets) assert.ok(fs.existsSync(file), file);
});

test('publint has nothing to say', async () => {
  const { publint } = await import('publint');
  const { buffer } = new Uint8Array(fs.readFileSync(tarball));
  const { messages } = await publint({ strict: true, level: 'suggestion', pack: { tarball: buffer } });
  assert.deepEqual(messages, []);
});

test('types are found, and fit what is loaded, in each way of resolving modules', async () => {
  const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core');
  const data = new Uint8Array(fs.readFileSync(tarball));
  const { types, problems, entrypoints } = await checkPackage(createPackageFromTarballData(data));
  assert.deepEqual([types, problems], [{ kind: 'included' }, []]);
  assert.deepEqual(Object.keys(entrypoints), ['.', './cluster', './package.json']);
});

test("under the originals' names, with a prebuilt addon and without cargo", POSIX, async (t) => {
  const folder = temporary(t);
  const consumer = new Consumer(folder);
  const { status, output } = consumer.npm(
    'install', `collective@file:${tarball}`, `partition.io@file:${tarball}`, `file:${prebuilt(folder)}`);
  assert.equal(status, 0, output);
  const installed = fs.readdirSync(path.join(consumer.folder, 'node_modules')).filter((name) => !name.startsWith('.'));
  assert.deepEqual(installed.sort(), ['collective', `collective-io-${platform}`, 'partition.io']);

  // The examples of their READMEs, as they stand in examples/, in both module systems.
  const all = /^127\.0\.0\.1:\d+: 'over\.nine\.thousand' after DELETE is undefined$/gm;
  const three = /^\[ \d+, \d+ \]$/m;
  for (const [module, change] of Object.entries({ cjs: (text) => text, mjs: asModule })) {
    await t.test(`collective, ${module}`, async (t) => {
      const env = { PORT: String(await freePortsInARow(2)), WORKERS: '2' };
      const file = consumer.write(`cluster.${module}`, change(example('cluster.js', 'collective')));
      const output = consumer.start(t, file, env);
      await until('both have told all', () => output.stdout.match(all)?.length === 2, 30_000);
      assert.equal(output.stderr, '');
    });
    await t.test(`partition.io, ${module}`, async (t) => {
      const env = { PORT: String(await freePortsInARow(1)) };
      const file = consumer.write(`random.${module}`, change(example('random.js', 'partition.io')));
      const outputs = [1, 2].map(() => consumer.start(t, file, env));
      await until('each has two numbers', () => outputs.every(({ stdout }) => three.test(stdout)), 30_000);
      for (const { stderr } of outputs) assert.equal(stderr, '');
    });
  }

  const command = spawnSync(path.join(consumer.folder, 'node_modules', '.bin', 'collective-io'), ['--version'], {
    env: consumer.env, encoding: 'utf8',
  });
  assert.equal(succeed(command), `${require('../package.json').version}\n`);
});

test('without a prebuilt addon and without cargo it says what to run', POSIX, (t) => {
  const folder = temporary(t);
  const consumer = new Consumer(folder);
  const failed = consumer.npm('install', `collective@file:${tarball}`);
  assert.notEqual(failed.status, 0);
  assert.match(failed.output, /collective-io: Rust is needed to build the addon, and no cargo was found/);
  assert.match(failed.output, / curl .*https:\/\/sh\.rustup\.rs \| sh/);

  const skipped = consumer.npm('install', '--ignore-scripts', `collective@file:${tarball}`);
  assert.equal(skipped.status, 0, skipped.output);
  const script = path.join(consumer.folder, 'node_modules', 'collective', 'scripts', 'build.js');
  for (const file of [
    consumer.write('a.cjs', "require('collective');\n"),
    consumer.write('a.mjs', "import 'collective';\n"),
  ]) {
    const { status, stderr } = consumer.run(file);
    assert.equal(status, 1);
    assert.match(stderr, /ERR_ADDON_MISSING/);
    assert.ok(stderr.includes(`\n    node ${script}\n`), stderr);
  }
  // That command is right: it gets as far as looking for cargo.
  const { status, stderr } = consumer.run(script);
  assert.deepEqual([status, /Rust is needed .*; then run again:\n\n    node /s.test(stderr)], [1, true], stderr);
});

/** A program's folder, in a home in which there is no cargo. */
class Consumer {
  constructor(home) {
    this.folder = path.join(home, 'app');
    fs.mkdirSync(this.folder);
    this.env = { ...bareEnvironment(home, ['node', 'npm', 'sh']), npm_config_offline: 'true', npm_config_update_notifier: 'false' };
    this.write('package.json', JSON.stringify({ name: 'app', version: '1.0.0', private: true }));
  }

  write(name, text) {
    fs.writeFileSync(path.join(this.folder, name), text);
    return path.join(this.folder, name);
  }

  npm(...args) {
    const options = ['--no-audit', '--no-fund', '--foreground-scripts'];
    const { status, stdout, stderr } = spawnSync('npm', [...args, ...options], {
      cwd: this.folder, env: this.env, encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  run(file) {
    return spawnSync(process.execPath, [file], { cwd: this.folder, env: this.env, encoding: 'utf8' });
  }

  /** Starts a program, which ends with the test. */
  start(t, file, env) {
    const child = spawn(process.execPath, [file], {
      cwd: this.folder, env: { ...this.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true,
    });
    const output = { stdout: '', stderr: '' };
    for (const name of Object.keys(output)) {
      child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
    }
    t.after(() => process.kill(-child.pid, 'SIGKILL'));
    return output;
  }
}

/** A folder that goes with the test. */
function temporary(t) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-pack-')));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The package of this platform, with the addon that is here. */
function prebuilt(folder) {
  const made = path.join(folder, 'prebuilt');
  fs.cpSync(path.join(ROOT, 'npm', platform), made, { recursive: true });
  const addon = `collective-io.${platform}.node`;
  fs.copyFileSync(path.join(ROOT, addon), path.join(made, addon));
  return made;
}

function example(file, name) {
  const text = fs.readFileSync(path.join(ROOT, 'examples', file), 'utf8');
  return text.replace("require('collective-io')", `require('${name}')`);
}

function asModule(text) {
  const changed = text.replace(/^const (.+) = require\('(.+)'\);$/gm, "import $1 from '$2';");
  assert.doesNotMatch(changed, /require\('/);
  return changed;
}

function succeed({ status, stdout, stderr, error }) {
  assert.equal(status, 0, `${error?.message ?? ''}${stderr}`);
  return stdout;
}
