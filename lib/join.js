'use strict';

const { codedError } = require('./errors.js');
const { LocalNode, eventError } = require('./local-node.js');
const { Node } = require('./node.js');
const { joinOptions } = require('./options.js');
const { Seeds } = require('./seeds.js');

/** As in `src/engine/config.rs`. */
const READY_TIMEOUT_MS = 5000;

/**
 * Opens a node and joins the cluster. Gives the node when it has the state of a peer that it has
 * reached, or when none could be reached.
 *
 * @param {import('..').JoinOptions} [options]
 * @returns {Promise<Node>}
 */
async function join(options) {
  const { seeds: give, signal, native, credentials, problem } = joinOptions(options);
  if (signal?.aborted) throw aborted(signal);
  if (problem) throw problem;
  const seeds = give && new Seeds(give);
  if (seeds) await settle(native, seeds, signal);
  if (signal?.aborted) throw aborted(signal);
  const local = new LocalNode(native, { handsOver: true, credentials });
  const isReady = ready(local);
  const node = Node.of(local);
  local.stay(node, true);
  const stop = () => local.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await isReady;
  } catch (error) {
    await local.destroy();
    if (signal?.aborted) throw aborted(signal);
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  seeds?.follow(local);
  return node;
}

/** Has a function give the seeds to begin with, which counts as a part of getting ready. */
async function settle(native, seeds, signal) {
  const { readyTimeout = READY_TIMEOUT_MS } = native;
  const start = performance.now();
  native.connect = await seeds.first(readyTimeout, signal);
  native.readyTimeout = Math.max(1, Math.round(readyTimeout - (performance.now() - start)));
}

function aborted(signal) {
  return codedError('ABORT_ERR', undefined, { cause: signal.reason });
}

/** The node is ready; rejected when it cannot listen, or ends. */
function ready(local) {
  return new Promise((resolve, reject) => {
    const face = {
      event(event) {
        if (event.type === 'ready') done(resolve);
        else if (event.type === 'error') done(reject, eventError(event));
        else if (event.type === 'closed') done(reject, codedError('ERR_CLOSED'));
      },
    };
    const done = (settle, value) => {
      local.detach(face);
      settle(value);
    };
    local.attach(face);
  });
}

module.exports = { join };
