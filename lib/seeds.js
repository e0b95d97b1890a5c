'use strict';

const { codedError } = require('./errors.js');
const { seedAddresses } = require('./options.js');

const CODE = 'ERR_SEEDS_FAILED';
/** Pauses between two calls of the function: doubling, half of it by chance. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5000;
/** How often it is looked whether it is to be called. */
const LOOK_MS = 1000;

/**
 * Seeds that a function gives. It is called again while the node has no peer, or while one of the
 * addresses leads nowhere: whoever is meant by it may be somewhere else by then.
 */
class Seeds {
  #give;
  #local;
  #given = new Set();
  #failures = 0;
  #failed;
  /** What was wrong was told, and is still wrong. */
  #isTold = false;

  /** @param {() => string[] | Promise<string[]>} give */
  constructor(give) {
    this.#give = give;
  }

  /** What it gives at first; nothing if it fails, takes longer than so many ms, or is aborted. */
  async first(ms, signal) {
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, ms, []);
      signal?.addEventListener('abort', () => resolve([]), { once: true });
    });
    try {
      this.#given = new Set(await Promise.race([this.#ask(), late]));
    } catch (error) {
      // What it gave was nothing that could be dialled: a mistake, not a failure.
      if (error.code === 'ERR_INVALID_ARGUMENT') throw error;
      this.#failed = error;
    } finally {
      clearTimeout(timer);
    }
    return [...this.#given];
  }

  /** Goes on asking for this node, until it is closed. */
  follow(local) {
    this.#local = local;
    // Listeners can be there by then.
    if (this.#failed !== undefined) setImmediate(() => this.#warn(this.#failed));
    this.#wait();
  }

  async #ask() {
    let given;
    try {
      given = await this.#give();
    } catch (cause) {
      throw codedError(CODE, `The function \`seeds\` has failed: ${cause?.message ?? cause}`, { cause });
    }
    return seedAddresses(given, 'seeds()');
  }

  #wait() {
    const most = Math.min(PAUSE_MIN_MS * 2 ** this.#failures, PAUSE_MAX_MS);
    const pause = this.#isComplete() ? LOOK_MS : most * (0.5 + Math.random() / 2);
    setTimeout(() => this.#look(), pause).unref();
  }

  async #look() {
    if (this.#local.isClosing) return;
    if (this.#isComplete()) {
      this.#failures = 0;
    } else {
      this.#failures += 1;
      await this.#again();
    }
    this.#wait();
  }

  async #again() {
    let given;
    try {
      given = new Set(await this.#ask());
    } catch (error) {
      this.#warn(error);
      return;
    }
    this.#isTold = false;
    if (this.#local.isClosing) return;
    for (const address of this.#given) {
      if (!given.has(address)) this.#local.forget(address);
    }
    for (const address of given) {
      if (!this.#given.has(address)) this.#local.connect(address);
    }
    this.#given = given;
  }

  #isComplete() {
    return this.#local.isClosing || (this.#local.roster.length > 0 && this.#local.unreached.length === 0);
  }

  #warn(error) {
    if (this.#isTold) return;
    this.#isTold = true;
    const { message } = error;
    this.#local.warn(error.code === CODE ? error : codedError(CODE, message, { cause: error }));
  }
}

module.exports = { Seeds };
