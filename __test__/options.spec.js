'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const test = require('node:test');

const {
  callOptions, checkTTL, collectiveOptions, connectArguments, isLoopback, listenArguments, serventOptions,
  splitAddress,
} = require('../lib/options');

const local = { host: '127.0.0.1', port: 9000 };
const other = { host: 'localhost', port: '9001' };

test('the others are all without local', () => {
  const { remote, native } = collectiveOptions(local, [local, other, { port: 9000 }]);
  assert.deepEqual(remote, [other]);
  assert.equal(remote[0], other);
  assert.deepEqual(native, {
    host: '127.0.0.1', port: 9000, listen: true, advertised: '127.0.0.1:9000',
    connect: ['localhost:9001'], insecure: false,
  });
});

test('localhost and 127.0.0.1 are different hosts', () => {
  const { remote } = collectiveOptions(local, [local, { host: 'localhost', port: 9000 }]);
  assert.equal(remote.length, 1);
});

test('IPv6 addresses are dialled with brackets and named as given', () => {
  const { others, native } = collectiveOptions(local, [{ host: '::1', port: 9001 }]);
  assert.equal(others[0].name, '::1:9001');
  assert.deepEqual(native.connect, ['[::1]:9001']);
});

test('addresses twice in the list are dialled once', () => {
  assert.deepEqual(collectiveOptions(local, [other, other]).native.connect, ['localhost:9001']);
});

test('any free port is for local alone', () => {
  assert.equal(collectiveOptions({ port: 0 }, [{ port: 0 }]).native.advertised, null);
  assert.throws(() => collectiveOptions(local, [{ port: 0 }]), { code: 'ERR_INVALID_ARGUMENT' });
});

test('options of the engine are handed on', () => {
  const options = {
    cluster: 'mine', limits: { keyBytes: 100, depth: 5, valueBytes: 1000 }, readyTimeout: 1,
    forgetAfter: 2 ** 40, heartbeatInterval: 100, lossTimeout: 500, maxBytes: 1000,
  };
  const { native } = collectiveOptions(local, [], null, options);
  assert.deepEqual({ ...native, ...options }, native);
});

test('only this machine is loopback', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', 'LOCALHOST', '::1', '::ffff:127.0.0.1']) {
    assert.ok(isLoopback(host), host);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.example.com', 'localhost.example.com']) {
    assert.ok(!isLoopback(host), host);
  }
});

test('another host needs to be allowed', (t) => {
  const open = { host: '0.0.0.0', port: 9000 };
  const { problem, native } = collectiveOptions(open, [local, other]);
  assert.equal(problem.code, 'ERR_INSECURE_BIND');
  for (const fix of ['npx collective-io keygen', '`secret`', 'COLLECTIVE_SECRET', '127.0.0.1', 'insecure: true']) {
    assert.ok(problem.message.includes(fix), fix);
  }
  assert.equal(native.listen, false);
  assert.deepEqual(native.connect, []);
  assert.equal(collectiveOptions(open, [], null, { insecure: true }).problem, undefined);
  const secret = randomBytes(32);
  const secured = collectiveOptions(open, [], null, { secret });
  assert.equal(secured.problem, undefined);
  assert.ok(secured.credentials && !('secret' in secured.native));
  t.after(() => delete process.env.COLLECTIVE_INSECURE);
  process.env.COLLECTIVE_INSECURE = '1';
  assert.equal(collectiveOptions(open, []).problem, undefined);
  assert.ok(collectiveOptions(open, [], null, { insecure: false }).problem);
});

const bad = {
  'no local': [undefined, []],
  'local null': [null, []],
  'local text': ['127.0.0.1:9000', []],
  'no port': [{ host: 'a' }, []],
  'port too large': [{ port: 65536 }, []],
  'port negative': [{ port: -1 }, []],
  'port fractional': [{ port: 80.5 }, []],
  'port NaN': [{ port: NaN }, []],
  'port text': [{ port: 'http' }, []],
  'port as text too large': [{ port: '99999' }, []],
  'host a number': [{ host: 1, port: 9000 }, []],
  'host null': [{ host: null, port: 9000 }, []],
  'host empty': [{ host: '', port: 9000 }, []],
  'host with a space': [{ host: 'a b', port: 9000 }, []],
  'host with a line end': [{ host: 'a\n', port: 9000 }, []],
  'host with a path': [{ host: 'a/b', port: 9000 }, []],
  'host in brackets': [{ host: '[::1]', port: 9000 }, []],
  'host too long': [{ host: 'a'.repeat(254), port: 9000 }, []],
  'no list': [local],
  'a list that is none': [local, { length: 0 }],
  'a hole in the list': [local, [, other]],
  'a bad member of the list': [local, [other, { host: 'a' }]],
  'a callback that is none': [local, [], 'callback'],
  'options that are none': [local, [], null, 'insecure'],
  'an unknown option': [local, [], null, { secure: true }],
  'an option of the wrong kind': [local, [], null, { insecure: 'yes' }],
  'a timeout of 0': [local, [], null, { readyTimeout: 0 }],
  'a timeout of infinity': [local, [], null, { readyTimeout: Infinity }],
  'an empty cluster name': [local, [], null, { cluster: '' }],
  'limits that are none': [local, [], null, { limits: 5 }],
  'a limit of -1': [local, [], null, { limits: { depth: -1 } }],
  'a depth beyond the parser': [local, [], null, { limits: { depth: 121 } }],
  'an unknown limit': [local, [], null, { limits: { keys: 1 } }],
  'a name of Object.prototype': [local, [], null, { constructor: 1 }],
};
for (const [name, args] of Object.entries(bad)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => collectiveOptions(...args), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  });
}

test('a servent neither listens nor dials at first, and learns addresses', (t) => {
  const always = { listen: false, learn: true };
  assert.deepEqual(serventOptions().native, { insecure: false, advertised: null, ...always });
  const options = { cluster: 'mine', limits: { depth: 5 }, heartbeatInterval: 100, lossTimeout: 500, insecure: true };
  const { native } = serventOptions({ ...options, advertise: { host: '::1', port: '80' } });
  assert.deepEqual(native, { ...options, advertised: '[::1]:80', ...always });
  assert.equal(serventOptions({ advertise: 'a.example:80' }).native.advertised, 'a.example:80');
  assert.equal(serventOptions({ advertise: '[::1]:80' }).native.advertised, '[::1]:80');
  t.after(() => delete process.env.COLLECTIVE_INSECURE);
  process.env.COLLECTIVE_INSECURE = '1';
  assert.equal(serventOptions().native.insecure, true);
  assert.equal(serventOptions({ insecure: false }).native.insecure, false);
});

test('the arguments of listen', () => {
  const callback = () => {};
  const forms = [
    [[], '127.0.0.1', 0], [[80], '127.0.0.1', 80], [['80'], '127.0.0.1', 80], [[null], '127.0.0.1', 0],
    [[80, 'localhost'], 'localhost', 80], [[80, 511], '127.0.0.1', 80], [[80, '::1', 511], '::1', 80],
    [[80, undefined, 511], '127.0.0.1', 80], [[80, null], '127.0.0.1', 80],
    [[{ port: 80 }], '127.0.0.1', 80], [[{ port: '80', host: 'a', backlog: 5, exclusive: true }], 'a', 80],
    [[{ port: 80, host: null }], '127.0.0.1', 80],
  ];
  for (const [args, host, port] of forms) {
    const { host: gotHost, port: gotPort, callback: none } = listenArguments([...args]);
    assert.deepEqual([gotHost, gotPort, none], [host, port, undefined]);
    assert.equal(listenArguments([...args, callback]).callback, callback);
  }
});

test('the arguments of connect', () => {
  const callback = () => {};
  const forms = [
    [[80], '127.0.0.1:80'], [['80'], '127.0.0.1:80'], [[80, 'a'], 'a:80'], [[80, '::1'], '[::1]:80'], [[80, null], '127.0.0.1:80'],
    [['a:80'], 'a:80'], [['[::1]:80'], '[::1]:80'], [[{ port: 80 }], '127.0.0.1:80'], [[{ port: 80, host: 'a' }], 'a:80'],
  ];
  for (const [args, address] of forms) {
    assert.deepEqual(connectArguments([...args]), { address, callback: undefined });
    assert.deepEqual(connectArguments([...args, callback]), { address, callback });
  }
});

test('an address in parts', () => {
  assert.deepEqual(splitAddress('a:80'), { host: 'a', port: 80 });
  assert.deepEqual(splitAddress('[::1]:80'), { host: '::1', port: 80 });
  for (const text of ['', 'a', 'a:', ':', 'a:b']) assert.ok(Number.isNaN(splitAddress(text).port), text);
});

test('options of calls, and TTLs', () => {
  const { signal } = new AbortController();
  assert.deepEqual(callOptions({ timeout: 0.5, signal }), { timeout: 0.5, signal });
  assert.deepEqual(callOptions(null), {});
  for (const options of [5, 'a', { timeout: -1 }, { timeout: NaN }, { timeout: '1' }, { signal: {} }, { ttl: 5 }]) {
    assert.throws(() => callOptions(options), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
  for (const ttl of [0, 0.5, 2 ** 31 - 1]) checkTTL(ttl);
  for (const ttl of [-1, 2 ** 31, NaN, Infinity, '5', undefined, null]) {
    assert.throws(() => checkTTL(ttl), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
  }
});
