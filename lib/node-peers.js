'use strict';

const { inspect } = require('node:util');

const { kInside } = require('./inside.js');

/** Another node, seen from this one. Who goes and comes back is another object. */
class NodePeer {
  #local;

  /** @hideconstructor */
  constructor(local, { peer: replica, node: id, name, tags, address, advertised }) {
    this.#local = local;
    // `replica` is what native calls name it by, `origin` how programs are told that something
    // comes from it.
    const origin = Object.freeze({ node: id, name, peer: this });
    Object.defineProperty(this, kInside, { value: { replica, origin, isUp: true } });
    this.id = id;
    /** Where it listens, `'host:port'`, as far as it is known; else null. */
    this.address = advertised ?? address;
    /** As it shows itself to people. */
    this.name = name;
    /** What to choose nodes by. */
    this.tags = Object.freeze(tags);
  }

  /** As `explain` names it as the maker of a write. Another one if it had to join again. */
  get replica() {
    return this[kInside].replica;
  }

  /** `'up'`, `'busy'` while its event loop does not turn, `'gone'`. */
  get state() {
    if (!this[kInside].isUp) return 'gone';
    return this.busyFor > 0 ? 'busy' : 'up';
  }

  /** For how many ms its event loop has not turned, 0 while it does: it is alive, but busy. */
  get busyFor() {
    return this[kInside].isUp ? this.#local.busyFor(this[kInside].replica) : 0;
  }

  /** How many ms a message took to it and back, when that was measured last; null before. */
  get rtt() {
    return this.#standing?.[0] ?? null;
  }

  /** How many writes this node has of which the peer has not said that it has them. */
  get lag() {
    return this.#standing?.[1] ?? 0;
  }

  get #standing() {
    return this[kInside].isUp ? this.#local.standing(this[kInside].replica) : undefined;
  }

  toJSON() {
    const { id, replica, name, tags, address, state, rtt, lag, busyFor } = this;
    return { id, replica, name, tags, address, state, rtt, lag, busyFor };
  }

  [inspect.custom](_depth, options) {
    return `NodePeer ${inspect(this.toJSON(), options)}`;
  }
}

/** Peers that are gone and whose names are kept, for what still comes of them. */
const GONE_MAX = 1024;

/** The peers of a node, by id and by replica. */
class NodePeers {
  #local;
  #replicas = new Map();
  /** How programs are told where something comes from, by replica. */
  #origins = new Map();
  /** Replicas that are gone, the longest gone first. */
  #gone = new Set();

  /** Those that are there, by id. */
  live = new Map();

  constructor(local) {
    this.#local = local;
    /** What stands for this node itself. */
    this.own = Object.freeze({ node: local.node, name: local.name, peer: undefined });
  }

  /** The peer that a native call names, if it is there. */
  at(replica) {
    return this.#replicas.get(replica);
  }

  /** `{node, name, peer}` of what a native call names; this node itself has no peer. */
  origin(replica) {
    const origin = this.#origins.get(replica);
    if (origin !== undefined) return origin;
    // This node has a name of that kind too, and another one when it has joined again.
    this.#origins.set(this.#local.id, this.own);
    const known = this.#origins.get(replica);
    const { node, name } = known ?? this.#local.observer(replica) ?? {};
    return known ?? { node, name, peer: undefined };
  }

  /** A peer is there: gives it, unless it already was. */
  join(event) {
    const known = this.live.get(event.node);
    if (known !== undefined) {
      // It has joined again under another name before its former self was lost.
      this.#replicas.set(event.peer, known);
      known[kInside].replica = event.peer;
      this.#name(event.peer, known);
      return undefined;
    }
    const peer = new NodePeer(this.#local, event);
    this.live.set(peer.id, peer);
    this.#replicas.set(event.peer, peer);
    this.#name(event.peer, peer);
    return peer;
  }

  /** A peer is gone: gives it, if it was there. */
  leave(replica) {
    const peer = this.#replicas.get(replica);
    this.#replicas.delete(replica);
    this.#fade(replica);
    if (peer === undefined || peer[kInside].replica !== replica) return undefined;
    peer[kInside].isUp = false;
    this.live.delete(peer.id);
    return peer;
  }

  /** All are gone: gives those that were there. */
  leaveAll() {
    return [...this.live.values()].map((peer) => this.leave(peer[kInside].replica));
  }

  #name(replica, peer) {
    this.#origins.set(replica, peer[kInside].origin);
    this.#gone.delete(replica);
  }

  #fade(replica) {
    this.#gone.add(replica);
    if (this.#gone.size <= GONE_MAX) return;
    const [oldest] = this.#gone;
    this.#gone.delete(oldest);
    this.#origins.delete(oldest);
  }

  /** An event with the id of its peer in place of what native calls name it by. */
  named(event) {
    if (event.peer === undefined) return event;
    return { ...event, peer: this.at(event.peer)?.id };
  }
}

module.exports = { NodePeer, NodePeers };
