'use strict';

/** Where the processes of a case spend their CPU, by Linux's perf. */

const { spawn, spawnSync } = require('child_process');
const { once } = require('events');
const fs = require('fs');
const os = require('os');
const path = require('path');

const SAMPLES_PER_SECOND = 499;
const ROWS_MAX = 10;
/** Shares below are noise. */
const SHARE_MIN = 0.01;

/** What perf calls them, and what they are. */
const PLACES = [
  [/^\[JIT\]/, 'JavaScript'],
  [/^node$/, 'V8, libuv, Node.js'],
  [/kernel|^\[k/, 'kernel'],
  [/collective-io.*\.node$/, 'collective-io'],
  [/^(libc|ld-linux|libstdc|libm|\[vdso\])/, 'libc'],
];
const THREADS = [
  // Of a thread that began later perf knows the number alone; the others are there from the start.
  [/^(collective-net|:\d+$)/, 'network thread'],
  [/^(node|MainThread)/, 'main thread and V8\'s'],
];

/** Why there can be no profile; nothing if there can. */
function missing() {
  if (spawnSync('perf', ['--version'], { stdio: 'ignore' }).error === undefined) return undefined;
  return '--profile needs perf (Debian: apt install linux-perf)';
}

/**
 * Begins to look at these processes.
 *
 * @param {number[]} pids
 * @returns {() => Promise<{place: string, share: number}[]>} ends it and gives the shares, the largest
 *   first
 */
function profile(pids) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-profile-'));
  const file = path.join(directory, 'perf.data');
  const args = ['record', '--quiet', '-F', String(SAMPLES_PER_SECOND), '-o', file, '-p', pids.join()];
  const recorder = spawn('perf', args, { stdio: 'ignore' });
  return async () => {
    const ended = once(recorder, 'close');
    recorder.kill('SIGINT');
    await ended;
    try {
      return sharesOf(file);
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
    }
  };
}

function sharesOf(file) {
  const args = ['report', '-i', file, '--stdio', '--sort', 'comm,dso', '--field-separator', ';'];
  const { stdout } = spawnSync('perf', args, { encoding: 'utf8' });
  const shares = new Map();
  for (const line of stdout.split('\n')) {
    const [percent, thread, object] = line.split(';').map((field) => field.trim());
    if (object === undefined || !/^\d/.test(percent)) continue;
    const place = `${named(THREADS, thread)}: ${named(PLACES, object)}`;
    shares.set(place, (shares.get(place) ?? 0) + parseFloat(percent) / 100);
  }
  return [...shares]
    .map(([place, share]) => ({ place, share }))
    .filter(({ share }) => share >= SHARE_MIN)
    .sort((a, b) => b.share - a.share)
    .slice(0, ROWS_MAX);
}

function named(names, text) {
  return names.find(([pattern]) => pattern.test(text))?.[1] ?? text;
}

module.exports = { missing, profile };
