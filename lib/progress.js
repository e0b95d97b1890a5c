'use strict';

/** Long work that shows how far it is: on a terminal a line that changes, else a line now and then. */

const FRAME_MS = 200;
/** What is over sooner is not told of. */
const QUIET_MS = 1000;
/** Without a terminal. */
const LINE_MS = 10_000;
const BAR_WIDTH = 24;

class Progress {
  #stream;
  #title;
  #look;
  #start = performance.now();
  #lineAt = LINE_MS;
  #isShown = false;
  #timer;

  /**
   * @param {import('node:tty').WriteStream} stream
   * @param {string} title what is done
   * @param {() => {done?: number, total?: number, note?: string}} [look] how far it is
   */
  constructor(stream, title, look = () => ({})) {
    this.#stream = stream;
    this.#title = title;
    this.#look = look;
    this.#timer = setInterval(() => this.#tick(), FRAME_MS).unref();
  }

  /** Takes the line away. Repeatable. */
  end() {
    clearInterval(this.#timer);
    if (this.#isShown && this.#stream.isTTY) this.#stream.write('\r\x1b[K');
    this.#isShown = false;
  }

  #tick() {
    const ms = performance.now() - this.#start;
    if (ms < QUIET_MS) return;
    if (this.#stream.isTTY) {
      const line = describe(this.#title, ms, this.#look(), true).slice(0, (this.#stream.columns ?? 80) - 1);
      this.#stream.write(`\r${line}\x1b[K`);
      this.#isShown = true;
    } else if (ms >= this.#lineAt) {
      this.#lineAt += LINE_MS;
      this.#stream.write(`${describe(this.#title, ms, this.#look(), false)}\n`);
    }
  }
}

/** One line. */
function describe(title, ms, { done, total, note }, hasBar) {
  const parts = [title];
  if (total > 0) {
    const share = Math.min(1, done / total);
    const filled = Math.round(share * BAR_WIDTH);
    if (hasBar) parts.push(`[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`);
    parts.push(`${Math.floor(share * 100)} %`);
  }
  if (note !== undefined) parts.push(note);
  parts.push(`${(ms / 1000).toFixed(0)} s`);
  return parts.join(' ');
}

module.exports = { Progress, describe };
