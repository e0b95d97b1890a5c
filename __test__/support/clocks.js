'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Where libfaketime is; on Debian the package of that name has it. */
const PLACES = [
  process.env.LIBFAKETIME,
  ...['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib']
    .map((folder) => `${folder}/faketime/libfaketimeMT.so.1`),
].filter(Boolean);

/** Processes whose wall clocks can be set, each by itself. */
class Clocks {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-clocks-'));
  #library = PLACES.find((place) => fs.existsSync(place));

  /** Why there are none here; nothing if there are. */
  static missing() {
    if (process.platform !== 'linux') return 'only Linux has libfaketime as it is used here';
    if (PLACES.some((place) => fs.existsSync(place))) return undefined;
    return 'libfaketime is not installed (Debian: apt-get install libfaketime), nor named by LIBFAKETIME';
  }

  /** @param ends has the method `after` of a test context */
  constructor(ends) {
    ends.after(() => fs.rmSync(this.#folder, { recursive: true }));
  }

  /** How `fork` starts a process with such a clock. */
  launcher(index) {
    if (!fs.existsSync(this.#file(index))) this.set(index, 0);
    return {
      env: {
        ...process.env,
        LD_PRELOAD: this.#library,
        FAKETIME_TIMESTAMP_FILE: this.#file(index),
        // It is read again at each look at the clock.
        FAKETIME_NO_CACHE: '1',
        // By either name, as versions differ.
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      },
    };
  }

  /** Sets a clock so many seconds wrong. */
  set(index, seconds) {
    const file = this.#file(index);
    // In one step: it may be read at any time.
    fs.writeFileSync(`${file}.next`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    fs.renameSync(`${file}.next`, file);
  }

  #file(index) {
    return path.join(this.#folder, String(index));
  }
}

module.exports = { Clocks };
