'use strict';

/**
 * Who has which worker. Every node tells each peer the names of its workers, and tells what
 * changes, so that `call` asks nobody in vain: see "Who is asked" in docs/jobs.md.
 *
 * It travels as an event: `[[[name, has], …], isAll]`.
 */

/** No program sends or receives an event of this name, see keys.js. */
const WORKERS_EVENT = 'collective-io:workers';

/** Nodes call this of their peers to know that what came before was handled. */
const HEARD_FUNCTION = 'collective-io:heard';

/** What a node has under a name. */
const HAS_NONE = 0;
const HAS = 1;
const HAS_IDEMPOTENT = 2;

/** So many names go in one event: it must stay below the limit for values. */
const NAMES_PER_EVENT = 16;
/** Names kept of one peer. Of one that has more it is not known what it has. */
const NAMES_MAX = 4096;

class Announcements {
  #send;
  /** Names of this node's workers. */
  #own = new Map();
  /** What peers that are there have told: names, whether those are all, whether too many. */
  #told = new Map();
  /** By peer, what it is to be told yet. */
  #due = new Map();
  /** There is a name that cannot be told. */
  #isPartial = false;
  #isFlushing = false;

  /**
   * @param {(json: string, peer: string) => boolean | undefined} send whether there was room;
   *   `undefined` if it can never be sent
   */
  constructor(send) {
    this.#send = send;
  }

  /** Whether this node has a worker. */
  get hasAny() {
    return this.#own.size > 0;
  }

  /** This node has something else under a name. */
  set(name, has) {
    if ((this.#own.get(name) ?? HAS_NONE) === has) return;
    if (has === HAS_NONE) this.#own.delete(name);
    else this.#own.set(name, has);
    for (const peer of this.#told.keys()) {
      const due = this.#due.get(peer) ?? new Map();
      this.#due.set(peer, due.set(name, has));
    }
    this.#flushSoon();
  }

  join(peer) {
    this.#told.set(peer, { names: new Map(), isAll: false, isTooMany: false });
    this.#due.set(peer, new Map(this.#own));
    this.#flushSoon();
  }

  leave(peer) {
    this.#told.delete(peer);
    this.#due.delete(peer);
  }

  /** What a peer has under a name; `undefined` as long as that is not known. */
  at(peer, name) {
    const told = this.#told.get(peer);
    const other = told?.isAll && !told.isTooMany ? HAS_NONE : undefined;
    return told?.names.get(name) ?? other;
  }

  /** A peer has told. Nothing about it is certain. */
  hear(peer, [changes, isAll]) {
    const told = this.#told.get(peer);
    if (told === undefined || !Array.isArray(changes)) return;
    for (const [name, has] of changes.filter(Array.isArray)) {
      if (typeof name !== 'string') continue;
      if (has !== HAS && has !== HAS_IDEMPOTENT) told.names.delete(name);
      else if (told.names.size < NAMES_MAX || told.names.has(name)) told.names.set(name, has);
      else told.isTooMany = true;
    }
    told.isAll = isAll === true;
  }

  /** Tells peers what they are to be told. What finds no room is told the next time. */
  flush() {
    this.#isFlushing = false;
    for (const [peer, due] of this.#due) this.#tell(peer, due);
  }

  #tell(peer, due) {
    do {
      const changes = [...due].slice(0, NAMES_PER_EVENT);
      const isAll = changes.length === due.size && !this.#isPartial;
      const sent = this.#send(JSON.stringify([changes, isAll]), peer);
      if (sent === false) return;
      if (sent === undefined) {
        // The limit for values was set so low: the peer has to ask.
        this.#isPartial = true;
        this.#send('[[],false]', peer);
      }
      for (const [name] of changes) due.delete(name);
    } while (due.size > 0);
    this.#due.delete(peer);
  }

  /** Once for all that happens in this turn. */
  #flushSoon() {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    process.nextTick(() => this.flush());
  }
}

module.exports = { WORKERS_EVENT, HEARD_FUNCTION, HAS_NONE, HAS, HAS_IDEMPOTENT, Announcements };
