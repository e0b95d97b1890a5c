'use strict';

const { kInside } = require('./inside.js');
const { splitAddress } = require('./options.js');
const { Peer } = require('./peer.js');

/**
 * Peers that are gone and kept, so that one that returns is the same object, with its listeners and
 * what was exposed to it. Beyond this many the longest gone is forgotten.
 */
const GONE_MAX = 1024;

/** Who is there, and who was. */
class Peers {
  #servent;
  #node;
  /** Every peer kept, by id. */
  #known = new Map();
  /** Those that are not there, the longest gone first. */
  #gone = new Set();
  /** `{node, peer}` by what native calls name a node by, for this node too. */
  #origins = new Map();
  #own;

  /** Those that are there, by id. */
  live = {};

  /**
   * @param {Servent} servent
   * @param {LocalNode} node
   */
  constructor(servent, node) {
    this.#servent = servent;
    this.#node = node;
    this.#own = Object.freeze({ node: servent.id, peer: undefined });
    this.#origins.set(node.id, this.#own);
  }

  /** Where something comes from, as listeners are told. */
  origin(replica) {
    const origin = this.#origins.get(replica);
    if (origin !== undefined) return origin;
    // This node has joined again under another name.
    this.#origins.set(this.#node.id, this.#own);
    return this.#origins.get(replica) ?? { node: this.#node.observer(replica)?.node, peer: undefined };
  }

  /** The peer that an address leads to, as it was dialled or as the peer says. */
  at(address) {
    return Object.values(this.live).find((peer) => this.isAt(peer, address));
  }

  isAt(peer, address) {
    return peer[kInside].addresses.includes(address);
  }

  /** A peer is there: gives it, unless it already was. */
  join({ peer: replica, node: id, address, advertised }) {
    const peer = this.#known.get(id) ?? new Peer(this.#servent, id);
    const inside = peer[kInside];
    const isNews = !inside.isUp;
    inside.isUp = true;
    inside.replica = replica;
    inside.replicas.add(replica);
    peer.destroyed = false;
    inside.addresses = [advertised, address];
    const where = advertised ?? address;
    if (where !== null) Object.assign(peer, splitAddress(where));

    this.#known.set(id, peer);
    this.#gone.delete(peer);
    this.#origins.set(replica, inside.origin);
    this.live[id] = peer;
    return isNews ? peer : undefined;
  }

  /** A peer is gone: gives it, if it was there. */
  leave(replica) {
    const peer = this.#origins.get(replica)?.peer;
    const inside = peer?.[kInside];
    if (!inside?.isUp || inside.replica !== replica) return undefined;
    inside.isUp = false;
    peer.destroyed = true;
    delete this.live[peer.id];
    this.#gone.add(peer);
    if (this.#gone.size > GONE_MAX) this.#forget(this.#gone.values().next().value);
    return peer;
  }

  /** All peers are gone: gives those that were there. */
  leaveAll() {
    const up = [...this.#known.values()].filter((peer) => peer[kInside].isUp);
    return up.map((peer) => this.leave(peer[kInside].replica));
  }

  /** Ends the connection to a peer. Whether there was one. */
  dismiss(peer) {
    if (peer.destroyed) return false;
    peer.destroyed = true;
    delete this.live[peer.id];
    this.#node.dismiss(peer[kInside].replica);
    return true;
  }

  #forget(peer) {
    const { replicas, functions } = peer[kInside];
    this.#gone.delete(peer);
    this.#known.delete(peer.id);
    for (const replica of replicas) this.#origins.delete(replica);
    this.#servent[kInside].functions.forget(functions);
  }
}

module.exports = { Peers };
