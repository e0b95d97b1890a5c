'use strict';

/**
 * What the faces of a node offer to peers, by kind and name. Several may offer the same: peers know
 * a name while there is one.
 */
class Offers {
  /** By kind: names to those who offer them, the latest last. */
  #kinds = [new Map(), new Map(), new Map()];

  /** Whether nobody offered it before. */
  add(kind, name, owner) {
    const owners = this.#kinds[kind].get(name);
    if (owners !== undefined) {
      // Again is later.
      owners.delete(owner);
      owners.add(owner);
      return false;
    }
    this.#kinds[kind].set(name, new Set([owner]));
    return true;
  }

  /** Whether it was offered and nobody does any more. */
  remove(kind, name, owner) {
    const owners = this.#kinds[kind].get(name);
    if (!owners?.delete(owner) || owners.size > 0) return false;
    return this.#kinds[kind].delete(name);
  }

  /** Who offers it since last. */
  latest(kind, name) {
    return this.all(kind, name).at(-1);
  }

  all(kind, name) {
    return [...this.#kinds[kind].get(name) ?? []];
  }
}

module.exports = { Offers };
