'use strict';

const { CONNECT_USAGE, EXIT, Loss, count, lost, parse, withObserver } = require('./common.js');
const { SORTS, number, overview, summary, table } = require('./overview.js');
const { plot } = require('./plot.js');
const { Rates } = require('./rates.js');
const { checkSort } = require('./status.js');

const KEYS = { n: 'name', l: 'lag', k: 'keys', j: 'jobs' };

const USAGE = `npx collective-io top <host:port> [options]

What status shows, live, with writes and the time that jobs take as plots. On a terminal q leaves and
n, l, k, j sort by name, lag, keys, jobs; else it prints a line for each look.

  --sort <column>      ${Object.keys(SORTS).join(', ')}; by default name
  --interval <ms>      between two looks; by default 1000
  --count <n>          ends after so many looks
${CONNECT_USAGE}`;

const PLOT_LINES = 5;
const GAP = 3;
/** Of a terminal that does not say. */
const COLUMNS = 80;
const ROWS = 24;

async function run(args) {
  const own = { sort: { type: 'string' }, interval: { type: 'string' }, count: { type: 'string' } };
  const { values, positionals } = parse(args, own, [1, 1]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  checkSort(values.sort);
  const interval = count(values, 'interval', 1000);
  const looks = count(values, 'count', Infinity);
  const [address] = positionals;
  return withObserver(address, values, { state: false }, async (observer, signal) => {
    const screen = process.stdout.isTTY && !values.json ? new Screen(address, values.sort) : undefined;
    const rates = new Rates();
    const loss = new Loss(observer);
    try {
      for (let look = 0; look < looks && !signal.aborted && !screen?.isLeft; look++) {
        if (look > 0) await pause(interval, signal, screen);
        if (signal.aborted || screen?.isLeft) break;
        const reports = await observer.reports();
        rates.look(reports, performance.now());
        if (screen !== undefined) screen.show(reports, rates);
        else console.log(values.json ? JSON.stringify(plain(reports, rates)) : line(reports, rates));
        loss.note(reports);
        if (screen === undefined && loss.isTotal) throw lost();
      }
    } finally {
      screen?.close();
    }
    return EXIT.OK;
  });
}

function plain(reports, rates) {
  const { nodes, verdict } = overview(reports);
  const [writesPerSecond, jobsPerSecond, p50Ms, p95Ms] = [rates.writes, rates.jobs, rates.p50, rates.p95]
    .map((values) => (Number.isFinite(values.at(-1)) ? values.at(-1) : null));
  return { time: new Date().toISOString(), verdict, writesPerSecond, jobsPerSecond, p50Ms, p95Ms, nodes };
}

function line(reports, rates) {
  const { writesPerSecond, jobsPerSecond, p95Ms, time } = plain(reports, rates);
  return `${time} ${summary(overview(reports))}, ${rate(writesPerSecond)} writes/s, ${rate(jobsPerSecond)} jobs/s, `
    + `95 % of jobs within ${rate(p95Ms)} ms`;
}

function rate(value) {
  return Number.isFinite(value) ? number(Math.round(value * 10) / 10) : '-';
}

/** Waits, but not if somebody leaves or wants another order. */
function pause(ms, signal, screen) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const wake = () => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', wake, { once: true });
    if (screen !== undefined) screen.onLeave = wake;
  });
}

/** The lines of a screen of this size. */
function frame({ address, reports, rates, sort, columns, rows, isUnicode, paint = (text) => text }) {
  const seen = overview(reports, sort);
  const width = Math.floor((columns - GAP) / 2);
  const size = { width, height: PLOT_LINES, isUnicode };
  const titles = [
    `writes/s ${rate(rates.writes.at(-1))}, jobs/s ${rate(rates.jobs.at(-1))}`,
    `jobs, ms: half ${rate(rates.p50.at(-1))}, 95 % ${rate(rates.p95.at(-1))}`,
  ];
  const [left, right] = [plot(rates.writes, size), plot(rates.p95, size)];
  const gap = ' '.repeat(GAP);
  const head = [
    `${address}: ${paint(summary(seen), seen.isWell ? 'good' : 'bad')}`,
    '',
    titles.map((title) => title.slice(0, width).padEnd(width)).join(gap),
    ...left.map((each, at) => `${each}${gap}${right[at]}`),
    '',
  ];
  const foot = [`q leaves; sorted by ${sort}: n name, l lag, k keys, j jobs`.slice(0, columns)];
  const body = table(seen, columns);
  const room = rows - head.length - foot.length;
  const fits = body.length <= room ? body : [...body.slice(0, room - 1), `${body.length - room + 1} more`];
  return [...head, ...fits, ...Array(Math.max(0, room - fits.length)).fill(''), ...foot];
}

/** The terminal, as long as it is ours. */
class Screen {
  isLeft = false;
  onLeave = () => {};
  #address;
  #sort;
  #last;
  #onKey = (bytes) => this.#key(String(bytes));
  #onSize = () => this.#draw();

  constructor(address, sort = 'name') {
    this.#address = address;
    this.#sort = sort;
    process.stdout.write('\x1b[?1049h\x1b[?25l');
    process.stdout.on('resize', this.#onSize);
    if (process.stdin.isTTY) {
      process.stdin.setRawMode(true);
      process.stdin.on('data', this.#onKey);
    }
  }

  show(reports, rates) {
    this.#last = { reports, rates };
    this.#draw();
  }

  close() {
    process.stdout.off('resize', this.#onSize);
    if (process.stdin.isTTY) {
      process.stdin.off('data', this.#onKey);
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
    process.stdout.write('\x1b[?25h\x1b[?1049l');
  }

  #key(key) {
    if (key === 'q' || key === '\x03') {
      this.isLeft = true;
      this.onLeave();
    } else if (Object.hasOwn(KEYS, key)) {
      this.#sort = KEYS[key];
      this.#draw();
    }
  }

  #draw() {
    if (this.#last === undefined) return;
    const { columns = COLUMNS, rows = ROWS } = process.stdout;
    const lines = frame({ ...this.#last, address: this.#address, sort: this.#sort, columns, rows, isUnicode: isUnicode(), paint });
    process.stdout.write(`\x1b[H${lines.map((each) => `${each}\x1b[K`).join('\r\n')}`);
  }
}

function isUnicode() {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return process.platform === 'win32' || /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}

function paint(text, how) {
  if (!process.stdout.hasColors?.()) return text;
  return `\x1b[${how === 'good' ? 32 : 31}m${text}\x1b[39m`;
}

module.exports = { USAGE, frame, run };
