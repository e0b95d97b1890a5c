'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { quantile } = require('../lib/view/figures');
const { Survey } = require('../lib/view/survey');

const START = 1_700_000_000_000;

/** A report of a node that is linked with these peers. */
function report(name, { links = {}, stats = {}, jobs = [], ...others } = {}) {
  return {
    id: `id of ${name}`,
    replica: `replica of ${name}`,
    name,
    tags: {},
    address: null,
    ms: 1,
    stats: {
      context: 'c',
      hash: 'h',
      documentNodes: 5,
      writesLocal: 0,
      writesRemote: 0,
      bytesIn: 0,
      bytesOut: 0,
      jobMs: { bounds: [1, 10], counts: [0, 0, 0] },
      links: Object.entries(links).map(([peer, link]) => ({ id: `id of ${peer}`, state: 'up', rttMs: 1, lag: 0, lagMs: 0, ...link })),
      ...stats,
    },
    jobs,
    ...others,
  };
}

/** One that does not answer. */
const silent = (name) => ({ ...report(name), ms: null, stats: null, code: 'ERR_TIMEOUT' });

const told = ({ news }) => news.map(({ what, name }) => `${name} ${what}`);

test('counts become rates, between two looks of a node', () => {
  const survey = new Survey();
  const first = survey.take([report('a', { stats: { writesLocal: 100 } })], START);
  assert.equal(first.nodes[0].rates, null);
  assert.deepEqual([first.sample.writes, first.sample.jobs], [null, null]);

  const second = survey.take([report('a', { stats: { writesLocal: 150, bytesOut: 1024 } }), report('b', { stats: { writesLocal: 7 } })], START + 2000);
  assert.deepEqual([second.nodes[0].rates.writes, second.nodes[0].rates.bytesOut], [25, 512]);
  assert.equal(second.nodes[1].rates, null);
  assert.equal(second.sample.writes, 25);

  const third = survey.take([report('a', { stats: { writesLocal: 160 } }), report('b', { stats: { writesLocal: 10 } })], START + 3000);
  assert.equal(third.sample.writes, 13);
  assert.deepEqual(survey.past().samples.map(({ writes }) => writes), [null, 25, 13]);
});

test('the latency is that of the jobs that have ended since the last look', () => {
  const survey = new Survey();
  const jobMs = (...counts) => ({ stats: { jobMs: { bounds: [1, 10], counts } } });
  survey.take([report('a', jobMs(1000, 0, 0))], START);
  const { sample } = survey.take([report('a', jobMs(1000, 10, 0))], START + 1000);
  assert.deepEqual([sample.jobs, sample.median], [10, 5.5]);
  assert.equal(survey.take([report('a', jobMs(1000, 10, 0))], START + 2000).sample.median, null);
});

test('a quantile lies evenly between the bounds', () => {
  const bounds = [10, 20, 40];
  assert.equal(quantile([], 0.5), null);
  assert.equal(quantile([{ bounds, counts: [0, 0, 0, 0] }], 0.5), null);
  assert.equal(quantile([{ bounds, counts: [4, 0, 0, 0] }], 0.5), 5);
  assert.equal(quantile([{ bounds, counts: [0, 0, 4, 0] }], 0.25), 25);
  assert.equal(quantile([{ bounds, counts: [2, 0, 0, 0] }, { bounds, counts: [0, 2, 0, 0] }], 0.75), 15);
  assert.equal(quantile([{ bounds, counts: [0, 0, 0, 3] }], 0.95), 40);
  assert.equal(quantile([{ bounds, counts: [1, 0, 0, 1] }], 1), 40);
});

test('a link is told once, as the worse of both sees it', () => {
  const { nodes, links, sample } = new Survey().take([
    report('a', { links: { b: { lag: 3, rttMs: 2 }, c: {}, x: { lag: 1000 } } }),
    report('b', { links: { a: { lag: 0, rttMs: 5, lagMs: 700 }, c: { state: 'busy' } } }),
    report('c', { links: { a: { rttMs: null } } }),
  ], START);
  assert.deepEqual(links, [
    { a: 'id of a', b: 'id of b', rtt: 5, behind: 3, behindMs: 700, isBusy: false },
    { a: 'id of a', b: 'id of c', rtt: 1, behind: 0, behindMs: 0, isBusy: false },
    { a: 'id of b', b: 'id of c', rtt: 1, behind: 0, behindMs: 0, isBusy: true },
  ]);
  assert.equal(sample.rtt, 5);
  // Who lacks what is told by the others.
  assert.deepEqual(nodes.map(({ name, behind, behindMs, isBusy }) => [name, behind, behindMs, isBusy]), [
    ['a', 0, 700, false], ['b', 3, 0, false], ['c', 0, 0, true],
  ]);
});

test('how far a node is in catching up is told', () => {
  const catchingUp = { ms: 1500, bytes: 70_000, paths: 12, merged: 0 };
  const { nodes } = new Survey().take([report('a', { links: { b: {}, c: { catchingUp } } }), report('b')], START);
  assert.deepEqual(nodes.map((node) => node.catchingUp), [catchingUp, null]);
});

test('whether they agree is told of those that answer', () => {
  const agreement = (...reports) => new Survey().take(reports, START).agreement;
  const at = (context, hash) => report('a', { stats: { context, hash } });
  const other = (context, hash) => report('b', { stats: { context, hash } });
  assert.equal(agreement(), 'unknown');
  assert.equal(agreement(silent('a')), 'unknown');
  assert.equal(agreement(at('c', 'h'), other('c', 'h'), silent('x')), 'agreed');
  assert.equal(agreement(at('c', 'h'), other('d', 'h')), 'spreading');
  assert.equal(agreement(at('c', 'h'), other('c', 'g')), 'different');
  assert.equal(agreement(at('c', 'h'), other('c', null)), 'agreed');
});

test('who comes, goes, falls silent and speaks again is told', () => {
  const survey = new Survey();
  const all = ['a', 'b', 'c'].map((name) => report(name));
  assert.deepEqual(told(survey.take(all, START)), []);
  const gone = survey.take(all.slice(0, 2), START + 1000);
  assert.deepEqual(told(gone), ['c went']);
  assert.deepEqual(gone.gone.map(({ name }) => name), ['c']);
  assert.deepEqual(told(survey.take([all[0], silent('b')], START + 2000)), ['c went', 'b silent']);
  assert.deepEqual(told(survey.take(all.slice(0, 2), START + 3000)), ['c went', 'b silent', 'b speaks']);
  const back = survey.take([...all.slice(0, 2), { ...all[2], id: 'another' }], START + 4000);
  assert.deepEqual(told(back).slice(3), ['c came']);
  assert.deepEqual(back.gone, []);
});

test('through which node the view looks is told, and that it is another one', () => {
  const survey = new Survey();
  const all = ['a', 'b', 'c'].map((name) => report(name));
  assert.equal(survey.take(all, START).through, 'id of a');
  const later = survey.take([all[1], all[2]], START + 1000);
  assert.equal(later.through, 'id of b');
  assert.deepEqual(told(later), ['a went', 'b through']);
  assert.deepEqual(told(survey.take([all[1], all[2]], START + 2000)), ['a went', 'b through']);
  assert.equal(new Survey().take([], START).through, null);
});

test('a place stays empty for a while', () => {
  const survey = new Survey();
  survey.take([report('a'), report('b')], START);
  const empty = (at) => survey.take([report('a')], at).gone.length;
  assert.deepEqual([empty(START + 1000), empty(START + 10_000), empty(START + 17_000)], [1, 1, 0]);
});

test('what is kept has bounds', () => {
  const survey = new Survey();
  for (let look = 0; look < 400; look++) survey.take([report('a'), ...(look % 2 === 0 ? [report('b')] : [])], START + look * 1000);
  assert.equal(survey.past().samples.length, 300);
  assert.equal(survey.take([report('a')], START + 400_000).news.length, 50);
});

test('jobs have the names of nodes, of those too that have gone', () => {
  const survey = new Survey();
  const outcomes = ['a', 'b', 'x'].map((name) => ({ node: `id of ${name}`, status: 'running' }));
  const job = { id: '1', name: 'sum', startedMs: START, deadlineMs: START + 1000, outcomes };
  survey.take([report('a'), report('b')], START);
  const { jobs } = survey.take([report('a', { jobs: [{ ...job, startedMs: START + 5, id: '2' }, job] })], START + 1000);
  assert.deepEqual(jobs.map(({ id, caller }) => [id, caller]), [['1', 'a'], ['2', 'a']]);
  assert.deepEqual(jobs[0].outcomes.map(({ name }) => name), ['a', 'b', 'id of x']);
  const lost = [{ node: 'replica of b', status: 'lost' }];
  const later = survey.take([report('a', { jobs: [{ ...job, outcomes: lost }] })], START + 2000);
  assert.equal(later.jobs[0].outcomes[0].name, 'b');
});

test('nodes are in the order in which people count', () => {
  const { nodes } = new Survey().take(['w 10', 'w 9', 'w 1'].map((name) => report(name)), START);
  assert.deepEqual(nodes.map(({ name }) => name), ['w 1', 'w 9', 'w 10']);
});
