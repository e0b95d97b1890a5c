'use strict';

/** What a stretch of work costs the process that does it. */

const fs = require('fs');
const { performance } = require('perf_hooks');

/** Nanoseconds on a clock that all processes of the machine share. */
function now() {
  return Number(process.hrtime.bigint());
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Starts measuring; the returned function gives the µs since: of CPU for the main thread (null
 * where the system doesn't tell) and for the whole process, and of the event loop being busy.
 * Both ends sleep first: the kernel brings a thread's account up to date when it leaves the CPU.
 */
async function meter() {
  await sleep(1);
  const before = [mainThreadCpu(), processCpu(), performance.eventLoopUtilization()];
  return async () => {
    await sleep(1);
    const thread = mainThreadCpu();
    return {
      thread: thread === null ? null : thread - before[0],
      process: processCpu() - before[1],
      loop: performance.eventLoopUtilization(before[2]).active * 1000,
    };
  };
}

function processCpu() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function mainThreadCpu() {
  if (process.threadCpuUsage) {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  }
  const ofMainThread = `/proc/self/task/${process.pid}`;
  try {
    return Number(fs.readFileSync(`${ofMainThread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  } catch {
    // A kernel without schedstat, or no Linux.
  }
  try {
    // After the name in brackets, which may hold blanks; ticks are 10 ms on every Linux.
    const fields = fs.readFileSync(`${ofMainThread}/stat`, 'utf8').split(') ').pop().split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    return null;
  }
}

/** Resident memory in bytes once the garbage is gone; needs --expose-gc. */
async function rss() {
  for (let i = 0; i < 3; i++) {
    global.gc();
    await sleep(50);
  }
  return process.memoryUsage.rss();
}

function peakRss() {
  return process.resourceUsage().maxRSS * 1024;
}

module.exports = { now, sleep, meter, rss, peakRss };
