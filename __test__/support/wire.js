'use strict';

const { once } = require('node:events');
const net = require('node:net');
const { Transform } = require('node:stream');

/**
 * A TCP link that can fail: it listens where a node dials and passes bytes on to where another
 * listens.
 */
class Link {
  #server;
  #target;
  #pairs = new Set();
  #isCut = false;
  #isStalled = false;
  #stallAfter;
  #lagMs = 0;

  /**
   * @param target the port that connections are passed on to
   * @param {object} [options]
   * @param {number} [options.stallAfter] stalls when so many bytes have come back from there
   */
  static async open(t, target, { stallAfter = Infinity } = {}) {
    const link = new Link(target);
    link.#stallAfter = stallAfter;
    await link.#listen();
    t.after(() => link.#close());
    return link;
  }

  constructor(target) {
    this.#target = target;
    this.#server = net.createServer((near) => this.#accept(near));
  }

  get port() {
    return this.#server.address().port;
  }

  /** Ends what is connected and every new connection. */
  cut() {
    this.#isCut = true;
    for (const { near, far } of this.#pairs) {
      // Not resetAndDestroy(): with writes under way it keeps Node.js 20 from ever ending.
      near.destroy();
      far.destroy();
    }
  }

  /** Keeps connections open and passes nothing on: what a dead router does. */
  stall() {
    this.#isStalled = true;
    for (const pair of this.#pairs) pause(pair);
  }

  /** Lets everything through again; what was stalled goes on where it stood. */
  heal() {
    this.#isCut = false;
    this.#isStalled = false;
    this.#lagMs = 0;
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** Passes everything on, so many milliseconds later. */
  lag(ms) {
    this.#lagMs = ms;
  }

  async #listen() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  #accept(near) {
    if (this.#isCut) {
      near.on('error', () => {});
      near.destroy();
      return;
    }
    const far = net.connect(this.#target, '127.0.0.1');
    const pair = { near, far, there: this.#delay(), back: this.#delay() };
    this.#pairs.add(pair);
    for (const [socket, other] of [[near, far], [far, near]]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
    }
    pair.there.pipe(far);
    pair.back.pipe(near);
    if (this.#isStalled) return pause(pair);
    this.#flow(pair);
    far.on('data', () => {
      if (far.bytesRead > this.#stallAfter && !this.#isStalled) this.stall();
    });
  }

  #flow({ near, far, there, back }) {
    // What flows already would be passed on twice.
    near.unpipe(there).pipe(there);
    far.unpipe(back).pipe(back);
  }

  #delay() {
    return new Transform({
      transform: (chunk, _, done) => {
        if (this.#lagMs > 0) setTimeout(done, this.#lagMs, null, chunk);
        else done(null, chunk);
      },
    });
  }

  async #close() {
    this.cut();
    await once(this.#server.close(), 'close');
  }
}

function pause({ near, far, there, back }) {
  near.unpipe(there).pause();
  far.unpipe(back).pause();
}

/**
 * Addresses for nodes of which every pair is joined through a Link.
 *
 * @param {number[]} ports where the nodes listen
 * @returns `alls[i]` is what node i is given as `all`; `links` are all links, `between(i, j)` those
 *   of one pair
 */
async function linkedMesh(t, ports) {
  const links = [];
  const alls = ports.map((port) => [{ host: '127.0.0.1', port }]);
  for (const from of ports.keys()) {
    for (const to of ports.keys()) {
      if (from === to) continue;
      const link = await Link.open(t, ports[to]);
      links.push({ from, to, link });
      alls[from].push({ host: '127.0.0.1', port: link.port });
    }
  }
  return {
    alls,
    links: links.map(({ link }) => link),
    between: (i, j) => links
      .filter(({ from, to }) => (from === i && to === j) || (from === j && to === i))
      .map(({ link }) => link),
  };
}

module.exports = { Link, linkedMesh };
