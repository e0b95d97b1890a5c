'use strict';

/** What reports of all nodes come to: a row for each, and whether all is well. */

/** A peer speaks once a second: who lacks something for longer than a few of these is behind. */
const BEHIND_MS = 3000;

/** How to sort, by the name of a column. */
const SORTS = {
  name: (a, b) => a.name.localeCompare(b.name),
  lag: (a, b) => b.lagMs - a.lagMs || b.lag - a.lag,
  keys: (a, b) => b.keys - a.keys,
  jobs: (a, b) => b.jobs - a.jobs,
};

/** What is said of a cluster, by how it stands. */
const VERDICTS = {
  converged: 'all have the same',
  flowing: 'writes are on their way',
  behind: 'a node lacks writes for seconds',
  different: 'nodes have the same writes and another state: a defect, please report it',
  incomplete: 'a node has not answered',
};

/**
 * @param {Report[]} reports
 * @param {string} [sort]
 * @returns {{nodes: object[], verdict: string, isWell: boolean}}
 */
function overview(reports, sort = 'name') {
  const lags = new Map();
  for (const { stats } of reports) {
    for (const { id, lag, lagMs, state } of stats?.links ?? []) {
      const known = lags.get(id) ?? { lag: 0, lagMs: 0, isBusy: false };
      lags.set(id, {
        lag: Math.max(known.lag, lag),
        lagMs: Math.max(known.lagMs, lagMs),
        isBusy: known.isBusy || state === 'busy',
      });
    }
  }
  const nodes = reports.map((report) => row(report, lags.get(report.id))).sort(SORTS[sort]);
  const verdict = judge(nodes);
  return { nodes, verdict, isWell: verdict === 'converged' || verdict === 'flowing' };
}

function row({ id, name, address, ms, stats, code }, { lag = 0, lagMs = 0, isBusy = false } = {}) {
  const known = { id, name: name ?? '?', address: address ?? '-', lag, lagMs, catchingUp: null };
  if (stats === null) {
    return { ...known, state: isBusy ? 'busy' : code, keys: 0, jobs: 0, runs: 0, peers: 0, ms: null };
  }
  const { documentNodes: keys, jobs, runs, peers, context, hash } = stats;
  const catchingUp = stats.links?.find((link) => link.catchingUp)?.catchingUp ?? null;
  const state = isBusy ? 'busy' : catchingUp === null ? 'up' : 'catching up';
  return { ...known, catchingUp, state, keys, jobs, runs, peers, ms, context, hash };
}

/** The state of a node, with how far it is if it catches up. */
function standing({ state, catchingUp }) {
  if (state !== 'catching up') return state;
  const { bytes, paths, merged } = catchingUp;
  return merged > 0 ? `${state} ${Math.floor((100 * merged) / paths)} %` : `${state} ${(bytes / 1e6).toFixed(1)} MB`;
}

function judge(nodes) {
  if (nodes.some(({ context }) => context === undefined)) return 'incomplete';
  const hashes = new Map();
  for (const { context, hash } of nodes.filter((node) => node.hash !== null)) {
    if ((hashes.get(context) ?? hash) !== hash) return 'different';
    hashes.set(context, hash);
  }
  if (nodes.every(({ context }) => context === nodes[0].context)) return 'converged';
  return nodes.some(({ lagMs }) => lagMs > BEHIND_MS) ? 'behind' : 'flowing';
}

/** How many nodes, and what is said of them. */
function summary({ nodes, verdict }) {
  return `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}, ${VERDICTS[verdict]}`;
}

const COLUMNS = [
  ['NODE', ({ name }) => name],
  ['ADDRESS', ({ address }) => address],
  ['PEERS', ({ peers }) => number(peers)],
  ['KEYS', ({ keys }) => number(keys)],
  ['LAG', ({ lag }) => number(lag)],
  ['LAG MS', ({ lagMs }) => number(lagMs)],
  ['JOBS', ({ jobs, runs }) => `${jobs}/${runs}`],
  ['STATE', standing],
];
/** Names and addresses begin at the left, and give way when there is no room. */
const TEXTS = 2;

/** Lines of a table that is no wider than `width`. */
function table({ nodes }, width = Infinity) {
  const rows = [COLUMNS.map(([title]) => title), ...nodes.map((node) => COLUMNS.map(([, cell]) => cell(node)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  let over = widths.reduce((sum, each) => sum + each + 2, -2) - width;
  for (const column of [1, 0]) {
    const less = Math.max(0, Math.min(over, widths[column] - 8));
    widths[column] -= less;
    over -= less;
  }
  const last = COLUMNS.length - 1;
  return rows.map((cells) => cells.map((cell, column) => {
    const cut = cell.length > widths[column] ? `${cell.slice(0, widths[column] - 1)}~` : cell;
    if (column === last) return cut;
    return column < TEXTS ? cut.padEnd(widths[column]) : cut.padStart(widths[column]);
  }).join('  ').slice(0, width));
}

function number(value) {
  return value.toLocaleString('en-US');
}

module.exports = { SORTS, VERDICTS, number, overview, summary, table };
