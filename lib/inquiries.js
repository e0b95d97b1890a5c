'use strict';

/**
 * What observers ask of a node, and every node answers by itself: reports, and jobs run for who is
 * connected with one node alone. See "Observers" in docs/protocol.md.
 */

const { codedError } = require('./errors.js');
const { FUNCTION, WORKER } = require('./inside.js');
const { encodeArguments } = require('./json.js');
const { OWN_PREFIX, checkName } = require('./keys.js');
const { OK, OUTCOMES, describeError } = require('./outcomes.js');

/** `[route]`: the report of the node to which a list of ids leads, from peer to peer. */
const REPORT_FUNCTION = `${OWN_PREFIX}report`;
/** `[name, args]`: what becomes of a job on every node. */
const RUN_FUNCTION = `${OWN_PREFIX}run`;

/** From node to node: more than any mesh needs. */
const ROUTE_MAX = 16;

class Inquiries {
  #local;
  #questions;

  /**
   * @param {LocalNode} local
   * @param {Questions} questions
   */
  constructor(local, questions) {
    this.#local = local;
    this.#questions = questions;
  }

  static names = [REPORT_FUNCTION, RUN_FUNCTION];

  /** Answers. What was asked came from a peer: nothing about it is certain. */
  async answer(run, name, args, remaining) {
    let json;
    let isOk = true;
    try {
      const answer = name === REPORT_FUNCTION ? this.#report(args, remaining) : this.#run(args, remaining);
      json = JSON.stringify(await answer);
    } catch (error) {
      isOk = false;
      json = describeError(error);
    }
    this.#local.answer(run, isOk, json);
  }

  async #report([route = []], remaining) {
    const isRoute = Array.isArray(route) && route.length <= ROUTE_MAX;
    if (!isRoute) throw codedError('ERR_INVALID_ARGUMENT', `A route is a list of at most ${ROUTE_MAX} nodes`);
    if (route.length === 0) return this.#local.report();
    const [next, ...rest] = route;
    const peer = this.#local.roster.find(({ node }) => node === next);
    if (peer === undefined) throw codedError('ERR_PEER_LOST', `Node ${next} is not connected`);
    const args = JSON.stringify([rest]);
    const [answer] = await this.#questions.ask(FUNCTION, REPORT_FUNCTION, args, peer.peer, remaining);
    const { outcome, value } = answer ?? {};
    if (outcome === OK) return value;
    const { code = 'ERR_PEER_LOST' } = value ?? OUTCOMES[outcome] ?? {};
    throw codedError(String(code), `Node ${next} gave no report`);
  }

  async #run([name, given], remaining) {
    checkName(name);
    const args = encodeArguments(Array.isArray(given) ? given : []);
    const outcomes = await this.#questions.ask(WORKER, name, args, '*', remaining);
    const names = new Map(this.#local.roster.map(({ peer, ...event }) => [peer, event]));
    names.set(this.#local.id, { node: this.#local.node, name: this.#local.name });
    return outcomes.map(({ replica, outcome, value, ms }) => {
      const { status, code } = OUTCOMES[outcome];
      const { node, name: label } = names.get(replica) ?? { node: replica };
      const result = outcome === OK ? { value } : { error: value ?? { code } };
      return { node, name: label, status, ms: Math.round(ms), ...result };
    });
  }
}

module.exports = { REPORT_FUNCTION, RUN_FUNCTION, Inquiries };
