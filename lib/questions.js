'use strict';

const { ABORTED } = require('./outcomes.js');

/** What items are about, by their first element. */
const ITEM_OUTCOME = 2;
const ITEM_ENDED = 3;

/** What a node itself asks of nodes, and nobody's job or call. */
class Questions {
  #native;
  /** By number: the nodes asked, their outcomes, and what fulfils the promise. */
  #asked = new Map();

  open(native) {
    this.#native = native;
  }

  /**
   * Asks nodes to run a function.
   *
   * @param {number} kind `WORKER` or `FUNCTION`
   * @param {string} name
   * @param {string} args JSON text of an array
   * @param {string} to as in `Tasks#ask`
   * @param {number} timeout ms
   * @returns {Promise<{replica: string, outcome: number, value?: any, ms: number}[]>} one for each
   *   node asked, in the order in which they came; rejected if nobody could be asked
   */
  async ask(kind, name, args, to, timeout) {
    const [number, ...nodes] = JSON.parse(this.#native.ask(kind, name, args, to, Math.ceil(timeout), ''));
    if (nodes.length === 0) return [];
    return new Promise((resolve) => {
      this.#asked.set(number, { nodes: new Set(nodes), outcomes: [], start: performance.now(), resolve });
    });
  }

  /** Whether an item was an answer to one of these. */
  item([type, number, replica, outcome, value]) {
    if (type !== ITEM_OUTCOME && type !== ITEM_ENDED) return false;
    const asked = this.#asked.get(number);
    if (asked === undefined) return false;
    if (type === ITEM_ENDED) {
      this.#asked.delete(number);
      asked.resolve(asked.outcomes);
    } else {
      asked.nodes.delete(replica);
      asked.outcomes.push({ replica, outcome, value, ms: performance.now() - asked.start });
    }
    return true;
  }

  /** Nothing comes any more. */
  close() {
    for (const { nodes, outcomes, start, resolve } of this.#asked.values()) {
      const ms = performance.now() - start;
      resolve([...outcomes, ...[...nodes].map((replica) => ({ replica, outcome: ABORTED, ms }))]);
    }
    this.#asked.clear();
  }
}

module.exports = { Questions };
