'use strict';

const WORDS_INITIAL = 1024;
/** The word of no key: it takes the slot that a call gives beside its result. No slot is 0. */
const TOLD = 0;

/**
 * The words that Rust changes when what a watched key shows has changed; shared by all caches of a
 * node. Rust does so on this thread only, inside a call of ours, so a plain load is enough.
 */
class Slots {
  #words = make(WORDS_INITIAL);
  #resize;
  #users = [];

  get words() {
    return this.#words;
  }

  /** @param {(words: Uint32Array) => void} resize tells Rust about a larger array */
  open(resize) {
    this.#resize = resize;
  }

  /** @param {(words: Uint32Array) => void} use is called with the words, and with those that replace them */
  use(use) {
    this.#users.push(use);
    use(this.#words);
  }

  /** Makes room for a slot. */
  fit(slot) {
    let { length } = this.#words;
    if (slot < length) return;
    while (length <= slot) length *= 2;
    const words = make(length);
    words.set(this.#words);
    this.#resize(words);
    this.#words = words;
    for (const use of this.#users) use(words);
  }
}

/** Shared memory because it can be neither detached nor moved while Rust points at it. */
function make(length) {
  return new Uint32Array(new SharedArrayBuffer(length * Uint32Array.BYTES_PER_ELEMENT));
}

module.exports = { Slots, TOLD };
