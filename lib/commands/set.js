'use strict';

const { CONNECT_USAGE, CommandError, EXIT, STATE_USAGE, json, parse, pathOf, withObserver, wrongUsage } = require('./common.js');

const USAGE = `npx collective-io set <host:port> <path> <value> [options]
npx collective-io set <host:port> <path> --increment [by]
npx collective-io set <host:port> <path> --delete

Writes, and waits until the node has it. A value is JSON; for a text use --text, or quotes in quotes.
Deleting what is not there ends with 1.

${STATE_USAGE}

  --text               the value is a text as it stands
  --increment          adds to the number there, 1 if not told otherwise
  --delete             takes away what is there and below
${CONNECT_USAGE}`;

async function run(args) {
  const own = { text: { type: 'boolean' }, increment: { type: 'boolean' }, delete: { type: 'boolean' } };
  const { values, positionals } = parse(args, own, [2, 3]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const [address, at, text] = positionals;
  const path = pathOf(at);
  const write = writing(values, text);
  return withObserver(address, values, { state: true }, async ({ state }) => {
    const result = write(state, path);
    const peers = await state.replicated({ peers: 'all' });
    if (peers === 0) throw new CommandError('Nobody has it: the connection was lost', EXIT.NO_CONNECTION, 'ERR_PEER_LOST');
    if (values.json) console.log(JSON.stringify({ result }));
    else if (values.increment) console.log(String(result));
    return result === false ? EXIT.NOT_WELL : EXIT.OK;
  });
}

/** What is to be done with the state. */
function writing(values, text) {
  if (values.delete) {
    if (text !== undefined || values.increment) throw wrongUsage('--delete takes a path alone');
    return (state, path) => state.delete(path);
  }
  if (values.increment) {
    const by = text === undefined ? 1 : Number(text);
    if (text === '' || !Number.isFinite(by)) throw wrongUsage('--increment adds a number');
    return (state, path) => state.increment(path, by);
  }
  if (text === undefined) throw wrongUsage('Which value?');
  const value = values.text ? text : json(text, 'The value is no JSON (for a text use --text)');
  return (state, path) => {
    state.set(path, value);
    return true;
  };
}

module.exports = { USAGE, run };
