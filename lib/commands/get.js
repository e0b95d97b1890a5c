'use strict';

const { CONNECT_USAGE, EXIT, STATE_USAGE, parse, pathOf, withObserver } = require('./common.js');

const USAGE = `npx collective-io get <host:port> [path] [options]

Prints what is at a path, as JSON; the whole state without one. A path is dotted, as users.ada, or a
JSON array of segments, as '["users","a.b"]'. Ends with 1 if there is nothing.

${STATE_USAGE}

  --keys               the names of its members alone
${CONNECT_USAGE}`;

async function run(args) {
  const { values, positionals } = parse(args, { keys: { type: 'boolean' } }, [1, 2]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const path = pathOf(positionals[1]);
  return withObserver(positionals[0], values, { state: true }, async ({ state }) => {
    const value = values.keys ? state.keys(path) : state.get(path);
    if (values.json) console.log(JSON.stringify(value === undefined ? {} : { value }));
    else if (values.keys) value.forEach((key) => console.log(key));
    else if (value !== undefined) console.log(JSON.stringify(value, null, 2));
    return state.has(path) ? EXIT.OK : EXIT.NOT_WELL;
  });
}

module.exports = { USAGE, run };
