'use strict';

const { CONNECT_USAGE, EXIT, json, parse, withObserver, wrongUsage } = require('./common.js');

const USAGE = `npx collective-io run <host:port> <job> [argument...] [options]

Has every node that the one at <host:port> is connected with, and that one, do its part of a job, and
prints what becomes of it on each. Arguments are JSON. Ends with 1 if no node has such a worker, or one
of those that have has failed.

  --within <ms>        how long it may take; by default 30000
${CONNECT_USAGE}`;

const WITHIN_MS = '30000';

async function run(args) {
  const { values, positionals } = parse(args, { within: { type: 'string', default: WITHIN_MS } }, [2, Infinity]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const [address, name, ...texts] = positionals;
  const timeout = Number(values.within);
  if (!(timeout > 0)) throw wrongUsage('--within takes a positive number');
  const given = texts.map((text) => json(text, `The argument ${text} is no JSON`));
  return withObserver(address, values, { state: false }, async (observer) => {
    const outcomes = await observer.run(name, given, { timeout });
    if (values.json) console.log(JSON.stringify({ outcomes: outcomes.map(plain) }));
    else outcomes.forEach((outcome) => console.log(line(outcome)));
    const done = outcomes.filter(({ status }) => status !== 'no-worker');
    if (done.length === 0) console.error(`No node has a worker '${name}'`);
    return done.length > 0 && done.every(({ status }) => status === 'ok') ? EXIT.OK : EXIT.NOT_WELL;
  });
}

function plain({ error, ...outcome }) {
  if (error === undefined) return outcome;
  return { ...outcome, error: { name: error.name, message: error.message, code: error.code } };
}

function line({ node, name, status, value, error, ms }) {
  const what = status === 'ok' ? JSON.stringify(value) : status === 'error' ? `${error.name}: ${error.message}` : status;
  return `${name ?? node}: ${what} (${ms} ms)`;
}

module.exports = { USAGE, run };
