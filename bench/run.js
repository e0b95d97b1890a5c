'use strict';

/**
 * npm run bench: collective-io beside a plain JavaScript mesh and, where a scenario names them,
 * other rivals; process by process, round by round.
 * Progress goes to stderr, the table to stdout, every figure to a JSON file.
 */

const { spawnSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { parseArgs } = require('util');
const { describe } = require('../lib/progress');
const { Cluster } = require('./cluster');
const { summarize, markdown, amount } = require('./report');
const { plot } = require('./plot');
const { missing, profile } = require('./profile');
const { isInstalled, provide } = require('./servers');
const { STATE } = require('./sides');

const SCENARIOS = [
  'reads', 'writes', 'increments', 'latency', 'listening', 'memory', 'join', 'catch-up', 'gather', 'calls',
];
const ROUNDS = 5;
const QUICK_ROUNDS = 2;
const PORT_ATTEMPTS = 3;

/** Rounds of sides, of all scenarios. */
const bar = { done: 0, total: 0 };

const USAGE = `npm run bench -- [options]
  --only a,b         these scenarios alone: ${SCENARIOS.join(', ')}
  --quick            small sizes and few rounds: does it work, not how fast is it
  --sides a,b        of the rivals these alone, beside the plain mesh: redis, lmdb, moleculer, nats
  --rounds N         rounds of each scenario (default ${ROUNDS}, joining 3)
  --json FILE        where every figure goes (default bench/results/<time>.json)
  --svg FILE         where the picture of the ratios goes (default beside the figures)
  --profile          ours alone, and where its processes spend their CPU (needs Linux's perf)
  --against-itself   the plain mesh on both sides: what the ratios are worth on this machine
  --help`;

async function main() {
  const options = readOptions();
  if (!options.againstItself) checkThatItLoads(STATE.ours.implementation);

  const results = { machine: describeMachine(options), options, scenarios: [], missed: [] };
  const absent = new Set();
  if (results.machine.loadAtStart > results.machine.cores / 2) {
    progress('this machine is busy with something else: expect wide ranges');
  }
  const scenarios = options.only.map((name) => {
    const scenario = require(`./scenarios/${name}`);
    return { name, cases: scenario.cases(options), sides: sidesOf(scenario, options, absent) };
  });
  for (const { cases, sides } of scenarios) {
    for (const testCase of cases) bar.total += roundsOf(testCase, options) * sides.length;
  }
  for (const { name, cases, sides } of scenarios) {
    const compared = [];
    for (const testCase of cases) {
      compared.push(await compare(name, testCase, sides, options, results.missed));
    }
    results.scenarios.push({ name, cases: compared });
  }

  results.absent = [...absent];
  results.machine.loadAtEnd = os.loadavg()[0];
  fs.mkdirSync(path.dirname(options.json), { recursive: true });
  fs.writeFileSync(options.json, JSON.stringify(results, null, 2) + '\n');
  fs.writeFileSync(options.svg, plot(results));
  progress(`every figure: ${options.json}\nas a picture: ${options.svg}`);
  console.log(markdown(results));
  process.exitCode = results.missed.length > 0 ? 1 : 0;
}

/**
 * Who takes part in a scenario: ours first, then the plain way, then rivals that are installed, but
 * for those that `--sides` leaves out.
 */
function sidesOf({ sides = STATE }, { againstItself, sides: wanted, profile: alone }, absent) {
  const [ours, plain, ...rivals] = Object.entries(sides).map(([name, side]) => ({ name, ...side }));
  if (alone) return [ours];
  if (againstItself) ours.implementation = plain.implementation;
  const others = wanted === undefined ? rivals : rivals.filter(({ name }) => wanted.includes(name));
  return [ours, plain, ...others.filter((side) => isThere(side, absent))];
}

function isThere({ name, implementation, server }, absent) {
  if (loads(implementation).status !== 0) {
    absent.add(`${name} is left out, since its package is not installed: npm ci --prefix bench`);
  } else if (server !== undefined && !isInstalled(server)) {
    absent.add(`${name} is left out, since ${server} is not installed: see bench/README.md`);
  } else {
    return true;
  }
  return false;
}

function roundsOf(testCase, options) {
  const fewer = options.profile ? 1 : options.quick ? QUICK_ROUNDS : ROUNDS;
  return options.rounds ?? (options.profile ? fewer : testCase.rounds ?? fewer);
}

/** Runs the rounds of one case, the sides taking turns in going first. */
async function compare(scenario, testCase, sides, options, missed) {
  const rounds = roundsOf(testCase, options);
  const figures = Object.fromEntries(sides.map(({ name }) => [name, []]));
  const out = new Set();
  const profiles = [];
  for (let round = 1; round <= rounds; round++) {
    for (const side of round % 2 ? sides : [...sides].reverse()) {
      bar.done += 1;
      if (out.has(side)) continue;
      const label =
        `${scenario}, ${testCase.title}, round ${round} of ${rounds}, ${side.name}`;
      try {
        const measured = await measure(side, scenario, testCase, options);
        if (options.profile) profiles.push(...measured.profile.map((part) => ({ round, ...part })));
        figures[side.name].push(measured);
        const first = testCase.rows[0];
        progress(`${label}: ${amount(measured[first.id] ?? null, first.unit)}`);
      } catch (error) {
        // The other side and the other cases go on; this side would only fail the same way again.
        out.add(side);
        missed.push(`${label}: ${inOneLine(error)}`);
        progress(`${label}: NOT MEASURED: ${error.message}`);
      }
    }
  }
  const rows = testCase.rows.map((row) => summarize(row, figures));
  return {
    title: testCase.title, nodes: testCase.nodes, rounds, sides: Object.keys(figures), rows, profile: profiles,
  };
}

/** A dead node's message quotes its stderr: the line that names the error is the telling one. */
function inOneLine({ message }) {
  const lines = message.split('\n');
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0];
}

/** One round of one side on a fresh cluster, again if somebody else took one of its ports. */
async function measure({ implementation, server }, scenario, testCase, options) {
  for (let attempt = 1; ; attempt++) {
    const { env, stop } = await provide(server);
    const cluster = await Cluster.fork(implementation, scenario, testCase.nodes, env);
    const stopProfile = options.profile ? profile(cluster.pids) : undefined;
    try {
      const measured = await withDeadline(testCase.deadlineMs, testCase.run({
        nodes: cluster.nodes,
        all: cluster.all,
        open: (nodes) => cluster.open(nodes),
      }));
      return { ...measured, profile: await stopProfile?.() };
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !error.message.includes('EADDRINUSE')) throw error;
    } finally {
      await cluster.kill();
      stop();
    }
  }
}

function withDeadline(ms, work) {
  let timer;
  const deadline = new Promise((_, reject) => {
    const late = () => reject(new Error(`missed its deadline of ${Math.round(ms / 1000)} s`));
    timer = setTimeout(late, ms);
  });
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        only: { type: 'string', default: SCENARIOS.join(',') },
        quick: { type: 'boolean', default: false },
        sides: { type: 'string' },
        rounds: { type: 'string' },
        svg: { type: 'string' },
        json: { type: 'string' },
        profile: { type: 'boolean', default: false },
        'against-itself': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    stop(`${error.message}\n${USAGE}`);
  }
  if (values.profile && missing() !== undefined) stop(missing());
  if (values.help) {
    console.log(USAGE);
    process.exit();
  }
  const only = values.only.split(',');
  const unknown = only.filter((name) => !SCENARIOS.includes(name));
  if (unknown.length > 0) stop(`no scenario is called ${unknown.join(', ')}\n${USAGE}`);
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    stop(`--rounds takes a positive integer, not ${values.rounds}\n${USAGE}`);
  }
  const fileName = `${new Date().toISOString().replaceAll(':', '-')}.json`;
  const json = path.resolve(values.json ?? path.join(__dirname, 'results', fileName));
  return {
    only,
    sides: values.sides?.split(','),
    rounds,
    quick: values.quick,
    profile: values.profile,
    againstItself: values['against-itself'],
    json,
    svg: path.resolve(values.svg ?? json.replace(/(\.json)?$/, '.svg')),
  };
}

/** In a process of its own, so that this one stays free of it. */
function loads(implementation) {
  const script = `require(${JSON.stringify(implementation)})`;
  return spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
}

function checkThatItLoads(implementation) {
  const { status, stderr } = loads(implementation);
  if (status !== 0) {
    stop(`${implementation} does not load. 'npm run build' makes it, '--against-itself' does `
      + `without.\n${stderr}`);
  }
}

function describeMachine({ againstItself }) {
  return {
    cores: os.availableParallelism(),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.type()} ${os.arch()}`,
    node: process.version.slice(1),
    loadAtStart: os.loadavg()[0],
    date: new Date().toISOString().slice(0, 10),
    ours: againstItself ? 'the plain mesh itself' : 'collective-io',
    plain: 'bench/plain-mesh.js',
  };
}

/** A line; on a terminal there is always one below it that says how far it is. Between lines nothing is drawn. */
function progress(line) {
  const { isTTY, columns = 80 } = process.stderr;
  const isUnderWay = bar.done > 0 && bar.done < bar.total;
  const far = isUnderWay && isTTY ? describe('all', performance.now(), bar, true).slice(0, columns - 1) : '';
  process.stderr.write(isTTY ? `\r\x1b[K${line}\n${far}` : `${line}\n`);
}

function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

// 'exit' handlers kill the nodes; without these a signal would skip them.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => process.exit(1));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
