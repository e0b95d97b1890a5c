'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const test = require('node:test');

const { startFile } = require('./support/process');
const { until } = require('./support/until');

const DEADLINE_MS = 60_000;

test('the live demo shows five workers that write, and ends when it is told to', async (t) => {
  const demo = startFile(t, 'scripts/demo.js', { args: ['--view'] });
  const url = await until('it tells its address', () => /http:\S+/.exec(demo.output.stdout)?.[0], DEADLINE_MS);
  const request = http.get(`${url}events`, { agent: false });
  t.after(() => request.destroy());
  request.on('error', () => {});
  const [response] = await once(request, 'response');
  response.on('error', () => {});
  let events = '';
  response.setEncoding('utf8').on('data', (text) => (events += text));
  const looks = () => [...events.matchAll(/^event: now\ndata: (.*)\n\n/gm)].map(([, json]) => JSON.parse(json));
  await until('five workers, each linked with each, write and ask', () => looks().some(({ nodes, links, sample }) => (
    nodes.length === 5 && links.length === 10 && sample.writes > 0 && sample.jobs > 0)), DEADLINE_MS);

  const exited = once(demo, 'exit');
  demo.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);
  assert.equal(demo.output.stderr, '');
});
