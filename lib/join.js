'use strict';

const { codedError } = require('./errors.js');
const { LocalNode, eventError } = require('./local-node.js');
const { Node } = require('./node.js');
const { insecureBind, joinOptions } = require('./options.js');

/**
 * Opens a node and joins the cluster. Gives the node when it has the state of a peer that it has
 * reached, or when none could be reached.
 *
 * @param {import('..').JoinOptions} [options]
 * @returns {Promise<Node>}
 */
async function join(options) {
  const { signal, native, refused } = joinOptions(options);
  if (signal?.aborted) throw codedError('ABORT_ERR', undefined, { cause: signal.reason });
  if (refused) throw insecureBind(native.host, native.port);
  const local = new LocalNode(native);
  const isReady = ready(local);
  const node = Node.of(local);
  local.stay(node, true);
  const stop = () => local.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await isReady;
  } catch (error) {
    await local.destroy();
    if (signal?.aborted) throw codedError('ABORT_ERR', undefined, { cause: signal.reason });
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  return node;
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
