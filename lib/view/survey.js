'use strict';

const { figures, quantile } = require('./figures.js');

/** Looks of which the plots know: five minutes. */
const SAMPLES_MAX = 300;
/** Who came and went. */
const NEWS_MAX = 50;
/** For how long a node that is gone stays in the picture. */
const GONE_MS = 15_000;

/**
 * What the page shows, made of what nodes report: one look after the other, so that counts become
 * rates and those who are missing are noticed.
 *
 * @typedef {object} Sample sums and worst cases of all nodes; null while unknown
 * @property {number} at ms since 1970
 * @property {number | null} writes made in a second
 * @property {number | null} jobs ended in a second
 * @property {number | null} median, slow ms that half, and 95 %, of the jobs took
 * @property {number | null} rtt ms
 * @property {number | null} behind, behindMs how many writes a peer has not confirmed, and for how long
 */
class Survey {
  #samples = [];
  #news = [];
  /** By id: its name, whether it is silent, and the figures that it gave last. */
  #known = new Map();
  #gone = new Map();
  /** The node that was asked, and has asked the others. */
  #through;
  #isFirst = true;

  /** What a page that opens is told of before. */
  past() {
    return { samples: this.#samples };
  }

  /**
   * @param {Report[]} reports of all nodes, as an observer gives them: the one it looks through first
   * @param {number} at when they were asked, in ms since 1970
   */
  take(reports, at) {
    const nodes = reports.map((report) => this.#node(report, at)).sort(byName);
    this.#compare(nodes, at);
    this.#look(reports[0], at);
    const sample = this.#sample(nodes, at);
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    const links = linksOf(nodes);
    const seen = othersOf(nodes);
    return {
      at,
      through: this.#through?.id ?? null,
      nodes: nodes.map(({ peers: _, latency: __, ...node }) => ({ ...node, ...seen.get(node.id) })),
      gone: [...this.#gone.values()].filter(({ isReplaced }) => !isReplaced),
      links,
      jobs: this.#jobs(reports),
      agreement: agreementOf(nodes),
      sample,
      news: this.#news,
    };
  }

  #node({ id, replica, name, tags, address, ms, code, stats }, at) {
    const known = this.#known.get(id);
    const common = { id, replica, name: name ?? address ?? id, tags, address };
    if (stats === null) return { ...common, isSilent: true, code, peers: [], rates: null, latency: null };
    const now = { at, ...figures(stats) };
    this.#known.set(id, { ...known, last: now });
    const { counts: _, ...standing } = now;
    const rates = known?.last === undefined ? null : ratesOf(known.last, now);
    const latency = known?.last === undefined ? null : latencyOf(known.last, now);
    return { ...common, isSilent: false, ms, ...standing, rates, latency };
  }

  /** Notes who has come, gone, fallen silent or spoken again. */
  #compare(nodes, at) {
    const there = new Map(nodes.map((node) => [node.id, node]));
    for (const node of nodes) {
      const before = this.#known.get(node.id);
      if (before?.name === undefined) this.#tell(at, 'came', node);
      else if (node.isSilent && !before.isSilent) this.#tell(at, 'silent', node);
      else if (!node.isSilent && before.isSilent) this.#tell(at, 'speaks', node);
      this.#known.set(node.id, { ...before, id: node.id, replica: node.replica ?? before?.replica, name: node.name, isSilent: node.isSilent });
    }
    for (const [id, { replica, name }] of this.#known) {
      if (there.has(id)) continue;
      this.#known.delete(id);
      this.#tell(at, 'went', { id, name });
      this.#gone.set(id, { id, replica, name, at });
    }
    for (const [id, node] of this.#gone) {
      if (there.has(id) || at - node.at > GONE_MS) this.#gone.delete(id);
      // Another one may have its name, and so its place in the picture.
      else node.isReplaced = nodes.some(({ name }) => name === node.name);
    }
    this.#isFirst &&= nodes.length === 0;
  }

  /** Notes through which node it looks. */
  #look(node, at) {
    if (node === undefined) return;
    if (this.#through !== undefined && this.#through.id !== node.id) this.#tell(at, 'through', node);
    this.#through = node;
  }

  #tell(at, what, { id, name }) {
    if (this.#isFirst) return;
    this.#news.push({ at, what, id, name });
    if (this.#news.length > NEWS_MAX) this.#news.shift();
  }

  /** The jobs that run, each node by its name. */
  #jobs(reports) {
    // Of a node that is lost, the one that asked it knows the replica alone.
    const names = new Map([...this.#gone.values(), ...this.#known.values()].flatMap(({ id, replica, name }) => [[id, name], [replica, name]]));
    const nameOf = (id) => names.get(id) ?? id;
    return reports.flatMap(({ id, jobs }) => jobs.map((job) => ({
      ...job,
      caller: nameOf(id),
      outcomes: job.outcomes.map(({ node, status }) => ({ node, name: nameOf(node), status })),
    }))).sort((a, b) => a.startedMs - b.startedMs);
  }

  #sample(nodes, at) {
    const rates = nodes.map((node) => node.rates).filter(Boolean);
    const peers = nodes.flatMap((node) => node.peers);
    const latencies = nodes.map((node) => node.latency).filter(Boolean);
    return {
      at,
      writes: sum(rates.map((rate) => rate.writes)),
      jobs: sum(rates.map((rate) => rate.jobs)),
      median: quantile(latencies, 0.5),
      slow: quantile(latencies, 0.95),
      rtt: largest(peers.map((peer) => peer.rtt)),
      behind: largest(peers.map((peer) => peer.behind)),
      behindMs: largest(peers.map((peer) => peer.behindMs)),
    };
  }
}

/** Each pair of nodes of which one at least says that it is connected, as the worse of both sees it. */
function linksOf(nodes) {
  const place = new Map(nodes.map((node, index) => [node.id, index]));
  const links = new Map();
  for (const [index, { peers }] of nodes.entries()) {
    for (const peer of peers) {
      const other = place.get(peer.id);
      if (other === undefined) continue;
      const [a, b] = index < other ? [index, other] : [other, index];
      const key = a * nodes.length + b;
      const link = links.get(key) ?? { a: nodes[a].id, b: nodes[b].id, rtt: null, behind: null, behindMs: null, isBusy: false };
      for (const figure of ['rtt', 'behind', 'behindMs']) link[figure] = largest([link[figure], peer[figure]]);
      link.isBusy ||= peer.state === 'busy';
      links.set(key, link);
    }
  }
  return [...links.values()];
}

/** What others say of each node: how far it is behind for the worst of them, and whether it is busy. */
function othersOf(nodes) {
  const seen = new Map(nodes.map(({ id }) => [id, { behind: null, behindMs: null, isBusy: false }]));
  for (const { id, state, behind, behindMs } of nodes.flatMap(({ peers }) => peers)) {
    const node = seen.get(id);
    if (node === undefined) continue;
    node.behind = largest([node.behind, behind]);
    node.behindMs = largest([node.behindMs, behindMs]);
    node.isBusy ||= state === 'busy';
  }
  return seen;
}

/**
 * Whether all nodes have the same writes and, if so, the same state.
 *
 * @returns {'agreed' | 'spreading' | 'different' | 'unknown'}
 */
function agreementOf(nodes) {
  const known = nodes.filter((node) => !node.isSilent);
  if (known.length === 0) return 'unknown';
  if (new Set(known.map(({ context }) => context)).size > 1) return 'spreading';
  const hashes = known.map(({ hash }) => hash).filter((hash) => hash != null);
  return new Set(hashes).size > 1 ? 'different' : 'agreed';
}

function ratesOf(before, { at, counts }) {
  const seconds = Math.max(0.001, (at - before.at) / 1000);
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => (
    [name, Math.max(0, count - before.counts[name]) / seconds])));
}

/** The jobs that have ended since. */
function latencyOf({ latency: before }, { latency }) {
  return { bounds: latency.bounds, counts: latency.counts.map((count, index) => count - before.counts[index]) };
}

function sum(numbers) {
  return numbers.length === 0 ? null : numbers.reduce((total, number) => total + number, 0);
}

function largest(numbers) {
  const known = numbers.filter((number) => number != null);
  return known.length === 0 ? null : Math.max(...known);
}

/** `worker 2` before `worker 10`. */
function byName(a, b) {
  return a.name.localeCompare(b.name, 'en', { numeric: true }) || (a.id < b.id ? -1 : 1);
}

module.exports = { Survey };
