'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const test = require('node:test');

const { openView } = require('../lib/view/server');
const { openNode } = require('./support/nodes');
const { until } = require('./support/until');

/** A view on the state of a node, and on what `reports` gives. */
async function openServer(t, reports = async () => []) {
  const node = await openNode(t);
  let asked = 0;
  const observer = {
    state: node.state,
    isConnected: true,
    reports: () => {
      asked += 1;
      return reports();
    },
  };
  const view = await openView(observer);
  t.after(() => view.close());
  const { port, pathname } = new URL(view.url);
  return { node, view, observer, port: Number(port), base: pathname, asked: () => asked };
}

/** What the server says to a request, whatever its headers. */
async function say({ port }, path, { method = 'GET', headers = {} } = {}) {
  const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
  const [response] = await once(request, 'response');
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return { status: response.statusCode, headers: response.headers, body };
}

/** The events that a page is told, as `[name, data]`. */
async function listen(t, { port, base }) {
  const request = http.get({ host: '127.0.0.1', port, path: `${base}events`, agent: false });
  t.after(() => request.destroy());
  const [response] = await once(request, 'response');
  const events = [];
  let rest = '';
  response.setEncoding('utf8').on('data', (text) => {
    const parts = (rest + text).split('\n\n');
    rest = parts.pop();
    for (const part of parts) events.push([/^event: (.*)$/m.exec(part)[1], JSON.parse(/^data: (.*)$/m.exec(part)[1])]);
  });
  return { response, events, stop: () => request.destroy() };
}

test('only who has the token gets anything', async (t) => {
  const server = await openServer(t);
  const names = ['', 'main.js', 'style.css', 'events', 'branch?path=[]', 'explain?path=[]'];
  const { base } = server;
  assert.match(base, /^\/[A-Za-z0-9_-]{32}\/$/);
  const wrong = [`/${'A'.repeat(32)}/`, '/', '//', `${base.slice(0, -2)}/`, `/x${base}`, base.toLowerCase().replace(/[a-z]/, 'Z')];
  for (const name of names) {
    for (const start of wrong) {
      const { status, body } = await say(server, start + name);
      assert.equal(status, 403, start + name);
      assert.match(body, /token/);
      assert.ok(!body.includes(base.slice(1, -1)));
    }
  }
  assert.equal((await say(server, base.slice(0, -1))).status, 404);
  assert.equal((await say(server, base)).status, 200);
  assert.equal(server.asked(), 0);
});

test('what is no path is refused', async (t) => {
  const { port } = await openServer(t);
  for (const path of ['*', 'http://evil.example/', '/%', '//evil.example/', '?', '/\\']) {
    const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    assert.match(answer, /^HTTP\/1\.1 40[03] /, path);
  }
});

test('each run has another token', async (t) => {
  const [one, other] = [await openServer(t), await openServer(t)];
  assert.notEqual(one.base, other.base);
  assert.equal((await say(one, other.base)).status, 403);
});

test('a name that somebody has made lead to this machine is refused', async (t) => {
  const server = await openServer(t);
  const { port, base } = server;
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1', 'localhost', `127.0.0.1:${port + 1}`, `127.0.0.1.evil.example:${port}`]) {
    assert.equal((await say(server, base, { headers: { Host: host } })).status, 403, host);
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
    assert.equal((await say(server, base, { headers: { Host: host } })).status, 200, host);
  }
  // Without any, which HTTP/1.0 allows.
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  socket.write(`GET ${base} HTTP/1.0\r\n\r\n`);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  assert.match(answer, /^HTTP\/1\.1 403 /);
});

test('it listens on loopback alone', async (t) => {
  const { view } = await openServer(t);
  assert.equal(new URL(view.url).hostname, '127.0.0.1');
  const others = Object.values(require('node:os').networkInterfaces()).flat()
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address } of others) {
    const socket = net.connect(Number(new URL(view.url).port), address);
    const [error] = await Promise.race([once(socket, 'error'), once(socket, 'connect').then(() => [null])]).catch((error) => [error]);
    socket.destroy();
    assert.ok(error, address);
  }
});

test('it can be looked at and nothing else', async (t) => {
  const server = await openServer(t);
  const names = ['', 'branch?path=[]', 'explain?path=[]', 'events'];
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
    for (const name of names) {
      const { status, headers } = await say(server, server.base + name, { method });
      assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], `${method} ${name}`);
    }
  }
  for (const name of ['', 'main.js', 'events']) {
    const { status, body } = await say(server, server.base + name, { method: 'HEAD' });
    assert.deepEqual([status, body], [200, ''], name);
  }
});

test('nothing but the page can be read of the disk', async (t) => {
  const server = await openServer(t);
  for (const name of ['../server.js', '..%2fserver.js', '%2e%2e/server.js', 'page/main.js', './main.js', 'index.html', 'main.js/', '/etc/passwd', 'constructor', '__proto__', 'main.js%00']) {
    assert.equal((await say(server, server.base + name)).status, 404, name);
  }
  const files = fs.readdirSync(path.join(__dirname, '..', 'lib', 'view', 'page'));
  assert.ok(files.length > 5);
  const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };
  for (const name of files.filter((name) => name !== 'index.html')) {
    const { status, headers, body } = await say(server, server.base + name);
    assert.deepEqual([status, headers['content-type']], [200, types[name.split('.').at(-1)]], name);
    assert.equal(body, fs.readFileSync(path.join(__dirname, '..', 'lib', 'view', 'page', name), 'utf8'));
  }
});

test('the page may load nothing from elsewhere, run no text and be in no frame', async (t) => {
  const server = await openServer(t);
  for (const [name, status] of [['', 200], ['branch?path=[]', 200], ['nothing', 404]]) {
    const { headers, ...answer } = await say(server, server.base + name);
    assert.equal(answer.status, status);
    const policy = Object.fromEntries(headers['content-security-policy'].split('; ').map((part) => part.split(/ (.*)/)));
    assert.equal(policy['default-src'], "'none'");
    assert.equal(policy['frame-ancestors'], "'none'");
    for (const kind of ['script-src', 'style-src', 'connect-src', 'img-src']) assert.equal(policy[kind], "'self'");
    assert.equal(policy['require-trusted-types-for'], "'script'");
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
});

test('a branch comes a page at a time, and explains itself', async (t) => {
  const server = await openServer(t);
  server.node.state.set('few', { a: 1, 'b.c': [true, null], text: '<b>' });
  server.node.state.batch(() => {
    for (let at = 0; at < 120; at++) server.node.state.set(['many', `n${String(at).padStart(3, '0')}`], at);
  });
  const ask = async (what, path, from = '') => {
    const { status, body } = await say(server, `${server.base}${what}?path=${encodeURIComponent(JSON.stringify(path))}${from}`);
    return status === 200 ? JSON.parse(body) : { status, body };
  };
  const top = await ask('branch', []);
  assert.deepEqual(top.members, [{ name: 'few', kind: 'object', count: 3 }, { name: 'many', kind: 'object', count: 120 }]);
  const few = await ask('branch', ['few']);
  assert.deepEqual(few.members, [
    { name: 'a', kind: 'scalar', count: 0, text: '1' },
    { name: 'b.c', kind: 'array', count: 2 },
    { name: 'text', kind: 'scalar', count: 0, text: '"<b>"' },
  ]);
  assert.deepEqual((await ask('branch', ['few', 'b.c'])).members.map(({ name, text }) => [name, text]), [['0', 'true'], ['1', 'null']]);
  const names = async (from) => (await ask('branch', ['many'], `&from=${from}`)).members.map(({ name }) => name);
  assert.deepEqual((await names(50)).slice(0, 2), ['n050', 'n051']);
  assert.equal((await names(100)).length, 20);
  // Beyond the end there is the last page.
  assert.deepEqual(await names(10_000), await names(100));
  assert.equal((await ask('branch', ['nothing', 'here'])).kind, 'nothing');

  const { text, why } = await ask('explain', ['few']);
  assert.deepEqual(JSON.parse(text), { a: 1, 'b.c': [true, null], text: '<b>' });
  assert.equal(why.things[0].kind, 'set');
  assert.match((await ask('explain', ['many'])).text, /120 members/);
  for (const [query, status] of [['', 400], ['?path=x', 400], ['?path={}', 400], ['?path=[1]', 400], ['?path=["\\ud800"]', 400], [`?path=["${'k'.repeat(5000)}"]`, 200]]) {
    for (const what of ['branch', 'explain']) assert.equal((await say(server, server.base + what + query)).status, status, what + query);
  }
});

test('nodes are asked while a page is open, and not otherwise', async (t) => {
  const report = { id: 'A', name: 'one', tags: {}, address: null, ms: 1, stats: null, code: 'ERR_TIMEOUT', jobs: [] };
  const server = await openServer(t, async () => [report]);
  assert.equal(server.asked(), 0);
  const page = await listen(t, server);
  assert.equal(page.response.headers['content-type'], 'text/event-stream');
  await until('two looks are told', () => page.events.filter(([name]) => name === 'now').length >= 2);
  const [[first, past], [second, now]] = page.events;
  assert.deepEqual([first, past.samples, second], ['past', [], 'now']);
  assert.deepEqual(now.nodes.map(({ name, isSilent, code }) => [name, isSilent, code]), [['one', true, 'ERR_TIMEOUT']]);

  const another = await listen(t, server);
  await until('it is told of what was', () => another.events.some(([name, data]) => name === 'past' && data.samples.length >= 2));
  page.stop();
  another.stop();
  // The last look may be on its way.
  await until('nobody will be asked', () => !server.view.isAsking);
  const asked = server.asked();
  await listen(t, server);
  await until('there is somebody to ask for', () => server.asked() > asked);
});

test('nodes that cannot be asked are no end', async (t) => {
  let isBroken = true;
  const server = await openServer(t, async () => {
    if (isBroken) throw Object.assign(new Error('Nobody is there'), { code: 'ERR_PEER_LOST' });
    return [];
  });
  const { events } = await listen(t, server);
  await until('it is told', () => events.some(([name, data]) => name === 'failed' && data.code === 'ERR_PEER_LOST'));
  isBroken = false;
  await until('it goes on', () => events.some(([name]) => name === 'now'));
});

test('nobody has gone who cannot be asked', async (t) => {
  const report = { id: 'A', name: 'one', tags: {}, address: null, ms: 1, stats: null, code: 'ERR_PEER_LOST', jobs: [] };
  const server = await openServer(t, async () => [report]);
  server.observer.isConnected = false;
  const { events } = await listen(t, server);
  await until('it is told', () => events.some(([name, data]) => name === 'failed' && data.code === 'ERR_PEER_LOST'));
  assert.ok(!events.some(([name]) => name === 'now'));
  server.observer.isConnected = true;
  await until('it goes on', () => events.some(([name]) => name === 'now'));
});

test('so many pages and no more', async (t) => {
  const server = await openServer(t);
  const pages = [];
  for (let count = 0; count < 16; count++) pages.push(await listen(t, server));
  assert.equal((await say(server, `${server.base}events`)).status, 503);
  pages[0].stop();
  await until('one has made room', async () => (await say(server, `${server.base}events`, { method: 'HEAD' })).status === 200);
});

test('a port that is taken is an error', async (t) => {
  const { port, node } = await openServer(t);
  await assert.rejects(openView({ state: node.state, reports: async () => [] }, { port }), { code: 'EADDRINUSE' });
});

test('its end ends the pages, and can be asked for twice', async (t) => {
  const server = await openServer(t);
  const { events, response } = await listen(t, server);
  response.on('error', () => {});
  const closed = once(response, 'close');
  await until('it is open', () => events.length > 0);
  await Promise.all([server.view.close(), server.view.close()]);
  await closed;
  await assert.rejects(say(server, server.base), { code: 'ECONNREFUSED' });
});
