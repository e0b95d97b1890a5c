'use strict';

/* The guides for several hosts and for Kubernetes: their programs run, their manifests fit together. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const yaml = require('yaml');

const { freePorts, freePortsInARow } = require('./support/ports');
const { NameServer } = require('./support/dns');
const { ROOT, runFile, startFile } = require('./support/process');
const { until } = require('./support/until');

const HOSTS = 'docs/guides/several-hosts.md';
const KUBERNETES = 'docs/guides/kubernetes.md';
const OPERATIONS = 'docs/operations.md';

const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** What stands in the blocks of a language. */
function blocks(file, language) {
  return [...read(file).matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text]) => text);
}

/** The only program of a guide, as a file within the package, so that it finds that by name. */
function program(t, file) {
  const [source, ...others] = blocks(file, 'js');
  assert.deepEqual(others, []);
  const folder = fs.mkdtempSync(path.join(ROOT, '__test__', '.snippet-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.writeFileSync(path.join(folder, 'app.js'), source);
  return path.relative(ROOT, path.join(folder, 'app.js'));
}

function keygen() {
  const { stdout } = spawnSync(process.execPath, ['bin/collective-io.js', 'keygen'], { cwd: ROOT, encoding: 'utf8' });
  return stdout.trim();
}

/** Matches a line of a guide in which `…` stands for anything. */
function lineOf(text, changed = (line) => line) {
  const escaped = changed(text.trim()).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace('…', '.+')}$`, 'm');
}

/** Ends it as a service manager would; what it wrote to standard error. */
async function stop(child) {
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.equal(code, 0, child.output.stderr);
  return child.output.stderr;
}

test(`${HOSTS}: two machines of two workers each`, async (t) => {
  const file = program(t, HOSTS);
  const ports = [await freePortsInARow(2), await freePortsInARow(2)];
  const env = { COLLECTIVE_SECRET: keygen(), HOST: '127.0.0.1', SEEDS: `127.0.0.1:${ports[0]}` };
  const [first, second] = ports.map((port) => startFile(t, file, { env: { ...env, PORT: String(port) } }));
  for (const { output } of [first, second]) {
    await until('each sees three others', () => [0, 1].every((id) =>
      output.stdout.includes(`127.0.0.1-${id} sees 3 others\n`)), 30_000);
  }
  assert.equal(await stop(second), '');
  const left = /^127\.0\.0\.1-[01] has lost 127\.0\.0\.1-[01]: ERR_PEER_LEFT$/gm;
  await until('each has lost two', () => first.output.stdout.match(left)?.length === 4);

  // A stranger: the first machine says why it is refused.
  const [, refused] = blocks(HOSTS, 'text');
  const stranger = startFile(t, file, { env: { ...env, COLLECTIVE_SECRET: keygen(), PORT: String(ports[1]) } });
  const line = lineOf(refused, (text) => text.replace('db-1.internal', '127.0.0.1'));
  await until('it is told', () => line.test(first.output.stderr), 30_000);
  await stop(stranger);
  assert.doesNotMatch(first.output.stdout, /sees 3 others[^]*sees 3 others[^]*sees 3 others/);
  await stop(first);
});

test(`${HOSTS}: no secret, no start`, async (t) => {
  const env = { HOST: '0.0.0.0', SEEDS: '127.0.0.1:9000', COLLECTIVE_SECRET: undefined };
  const { code, stderr } = await runFile(t, program(t, HOSTS), { env });
  assert.equal(code, 1);
  assert.match(stderr, lineOf(blocks(HOSTS, 'text')[0]));
});

test(`${KUBERNETES}: pods that find each other by DNS, a rollout`, async (t) => {
  const file = program(t, KUBERNETES);
  const names = await NameServer.start(t);
  const env = {
    ...environment(t), COLLECTIVE_SECRET: keygen(), POD_IP: '127.0.0.1', DNS_SERVER: names.address,
    NODE_OPTIONS: `--require ${JSON.stringify(path.join(ROOT, '__test__', 'fixtures', 'dns.js'))}`,
  };
  const service = env.NODES.toLowerCase();
  const pods = [];
  const start = async () => {
    const [port, httpPort] = await freePorts(2);
    const child = startFile(t, file, { env: { ...env, PORT: String(port), HTTP_PORT: String(httpPort) } });
    const pod = { child, port, get: (url) => get(httpPort, url) };
    pods.push(pod);
    return pod;
  };
  const publish = () => names.services.set(service, pods.map(({ port }) => ({ name: 'localhost', port })));
  const visit = async ({ get: ask }) => /^visit (\d+), (\d) other pods\n$/.exec(await ask('/'))?.slice(1).map(Number);
  const meet = (count) => until(`${count} know each other`, async () => {
    const seen = await Promise.all(pods.map(visit));
    return seen.every((each) => each?.[1] === count - 1);
  }, 30_000);

  const first = await start();
  await until('it is ready', async () => await first.get('/ready') === 'ready\n', 30_000);
  await until('it says so', () => /^ERR_SEEDS_FAILED: .*ENOTFOUND/.test(first.child.output.stderr));
  await Promise.all([start(), start()]);
  publish();
  await meet(3);

  const [visits] = await visit(first);
  const last = await start();
  publish();
  await until('it is ready', async () => await last.get('/ready') === 'ready\n', 30_000);
  const [more] = await visit(last);
  assert.ok(more > visits, `${more} after ${visits}`);
  pods.shift();
  publish();
  await stop(first.child);
  await meet(3);
  for (const { child } of pods) await stop(child);
});

async function get(port, url) {
  const options = { headers: { connection: 'close' } };
  return fetch(`http://127.0.0.1:${port}${url}`, options).then((response) => response.text(), () => undefined);
}

/** What the Deployment sets as text. */
function environment(t) {
  const { env } = container(resources(t, KUBERNETES));
  const set = Object.fromEntries(env.filter(({ value }) => value !== undefined).map(({ name, value }) => [name, value]));
  for (const name of Object.keys(set)) set[name] = set[name].replace('$(NAMESPACE)', 'default');
  return set;
}

function resources(t, file) {
  return blocks(file, 'yaml').flatMap((text) => yaml.parseAllDocuments(text)).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], []);
    return document.toJS();
  });
}

const workload = (all) => all.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
const container = (all) => workload(all).spec.template.spec.containers[0];

for (const file of [KUBERNETES, OPERATIONS]) {
  test(`${file}: the manifests fit together and the program`, (t) => {
    const all = resources(t, file);
    for (const { apiVersion, kind, metadata, spec } of all) assert.ok(apiVersion && kind && metadata.name && spec);
    const { spec: { selector, template } } = workload(all);
    const { labels } = template.metadata;
    assert.deepEqual(selector.matchLabels, labels);
    const { metadata, spec } = all.find(({ kind }) => kind === 'Service');
    assert.deepEqual([spec.clusterIP, spec.publishNotReadyAddresses], ['None', true]);
    assert.deepEqual(spec.selector, labels);
    const { env, ports } = container(all);
    assert.ok(ports.some(({ containerPort }) => containerPort === spec.ports[0].port));

    // The secret that the command makes is the one that is used.
    const { valueFrom: { secretKeyRef } } = env.find(({ name }) => name === 'COLLECTIVE_SECRET');
    const [, secret, key] = /kubectl create secret generic (\S+) --from-literal=(\w+)="\$\(npx collective-io keygen\)"/.exec(read(file));
    assert.deepEqual(secretKeyRef, { name: secret, key });
    if (workload(all).kind === 'StatefulSet') assert.equal(workload(all).spec.serviceName, metadata.name);
  });
}

test(`${KUBERNETES}: what the program needs is in the manifests`, (t) => {
  const all = resources(t, KUBERNETES);
  const { env, ports, readinessProbe } = container(all);
  const [, read] = /const \{ (.*) \} = process\.env/.exec(blocks(KUBERNETES, 'js')[0]);
  const needed = read.split(', ').filter((name) => !name.includes('='));
  assert.deepEqual(needed.filter((name) => !env.some((each) => each.name === name)), []);
  const defaults = Object.fromEntries(read.split(', ').map((name) => name.split(' = ')));
  const containerPorts = Object.fromEntries(ports.map(({ name, containerPort }) => [name, containerPort]));
  assert.deepEqual(containerPorts, { http: Number(defaults.HTTP_PORT), nodes: Number(defaults.PORT) });
  assert.equal(readinessProbe.httpGet.port, 'http');

  const service = all.find(({ kind }) => kind === 'Service');
  const [port] = service.spec.ports;
  const { value } = env.find(({ name }) => name === 'NODES');
  assert.equal(value, `_${port.name}._tcp.${service.metadata.name}.$(NAMESPACE).svc.cluster.local`);
  for (const { spec } of all.filter(({ kind }) => ['NetworkPolicy', 'PodDisruptionBudget'].includes(kind))) {
    assert.deepEqual((spec.podSelector ?? spec.selector).matchLabels, { app: 'app' });
  }
});
