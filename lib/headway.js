'use strict';

/** Tells how far a node is in what may take long: in joining, in being brought up to date, in closing. */

const { channel } = require('node:diagnostics_channel');

const catchUpChannel = channel('collective-io:catch-up');

/** What is over sooner is not told of. */
const QUIET_MS = 1000;

class Headway {
  #local;
  #log;
  #start = performance.now();
  #closingSince;
  /** How far the catch-up was that was told of last, and is not told to be over. */
  #told;

  /**
   * @param {LocalNode} local
   * @param {(entry: object) => void} [log]
   */
  constructor(local, log) {
    this.#local = local;
    this.#log = log;
  }

  /** To be called about once a second. Without a log or a subscriber it does nothing. */
  look() {
    if (this.#log === undefined && !catchUpChannel.hasSubscribers) return;
    const far = this.#local.catchUp();
    const told = this.#told;
    if (told !== undefined && (far?.peer !== told.peer || far.ms < told.ms)) this.#tell('end', told);
    const isCatchingUp = far?.ms >= QUIET_MS;
    if (isCatchingUp) this.#tell('progress', far);
    if (this.#log === undefined) return;
    if (this.#local.isClosing) this.#tellClosing();
    else if (!isCatchingUp && !this.#local.isReady) this.#tellJoining();
  }

  #tell(type, far) {
    this.#told = type === 'end' ? undefined : far;
    const { peer: replica, ms, bytes, paths, merged } = far;
    const about = this.#local.about({ peer: replica });
    if (catchUpChannel.hasSubscribers) {
      const { peer, name } = about;
      catchUpChannel.publish({ node: this.#local.node, type, peer, name, ms, bytes, paths, merged });
    }
    if (this.#log === undefined) return;
    const who = about.name ?? 'a peer that is gone';
    const how = merged > 0 ? `${merged} of ${paths} paths merged` : `${bytes} bytes received`;
    const message = type === 'end' ? `does not catch up with ${who} any more`
      : `has been catching up with ${who} for ${seconds(ms)} s: ${how}`;
    this.#local.log({ level: 'info', message, ...about });
  }

  #tellJoining() {
    const { peers, things, bytesIn } = this.#local.stats();
    const message = `has been joining for ${seconds(performance.now() - this.#start)} s: ${peers} peers, ${things} things, ${bytesIn} bytes received`;
    this.#local.log({ level: 'info', message });
  }

  #tellClosing() {
    const now = performance.now();
    this.#closingSince ??= now;
    const { jobs, runs, links } = this.#local.stats();
    const lacking = links.filter(({ lag }) => lag > 0).length;
    const message = `closes, for ${seconds(now - this.#closingSince)} s so far: ${runs} functions and ${jobs} jobs under way, ${lacking} peers lack writes`;
    this.#local.log({ level: 'info', message });
  }
}

function seconds(ms) {
  return Math.round(ms / 1000);
}

module.exports = { Headway };
