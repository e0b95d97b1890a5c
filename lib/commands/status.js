'use strict';

const { CONNECT_USAGE, EXIT, parse, withObserver, wrongUsage } = require('./common.js');
const { SORTS, overview, summary, table } = require('./overview.js');

const USAGE = `npx collective-io status <host:port> [options]

One line for each node of a cluster: with how many it is connected, its keys, how many writes it lacks
and for how long, jobs that it waits for and functions that run there. Ends with 1 if a node does not
answer or is behind.

  --sort <column>      ${Object.keys(SORTS).join(', ')}; by default name
${CONNECT_USAGE}`;

async function run(args) {
  const { values, positionals } = parse(args, { sort: { type: 'string' } }, [1, 1]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  checkSort(values.sort);
  return withObserver(positionals[0], values, { state: false }, async (observer) => {
    const reports = await observer.reports();
    const seen = overview(reports, values.sort);
    if (values.json) {
      console.log(JSON.stringify({ verdict: seen.verdict, isWell: seen.isWell, nodes: seen.nodes, reports }));
    } else {
      console.log([...table(seen), '', summary(seen)].join('\n'));
    }
    return seen.isWell ? EXIT.OK : EXIT.NOT_WELL;
  });
}

function checkSort(sort) {
  if (sort !== undefined && !Object.hasOwn(SORTS, sort)) {
    throw wrongUsage(`--sort takes one of ${Object.keys(SORTS).join(', ')}`);
  }
}

module.exports = { USAGE, checkSort, run };
