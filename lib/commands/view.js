'use strict';

const { once } = require('node:events');

const { openInBrowser } = require('../view/open.js');
const { openView } = require('../view/server.js');
const { CONNECT_USAGE, CommandError, EXIT, STATE_USAGE, parse, withObserver, wrongUsage } = require('./common.js');

/** If another program has it, any that is free will do, unless it was asked for. */
const PORT = 8080;
const PORT_MAX = 65_535;
/** A node that is silent for longer would hold up the plots. */
const TIMEOUT_MS = 2000;

const USAGE = `npx collective-io view <host:port> [options]

Serves a page on this machine's loopback that shows a cluster live: who is linked with whom and how
far behind, throughput, latency and lag over time, the state as a tree, running jobs. The address that
is printed has a token in it, another one each time; whoever has it sees all that the cluster shares.
The page changes nothing. Ctrl-C ends it. When the node goes away it goes on through another one.

${STATE_USAGE}

  --port <port>        of the page; by default ${PORT} or, if that is taken, any that is free
  --open               opens it in the browser
${CONNECT_USAGE.replace('by default 5000', `by default ${TIMEOUT_MS}`)}`;

async function run(args) {
  const { values, positionals } = parse(args, { port: { type: 'string' }, open: { type: 'boolean' } }, [1, 1]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const port = values.port === undefined ? undefined : portOf(values.port);
  const options = { ...values, timeout: values.timeout ?? String(TIMEOUT_MS) };
  return withObserver(positionals[0], options, { state: true }, async (observer, signal) => {
    // Who else there is: through them it goes on should the node go away before a page is opened.
    observer.reports().catch(() => {});
    const view = await serve(observer, port);
    let forget;
    try {
      console.log(values.json ? JSON.stringify({ url: view.url }) : `${view.url}\n\nFor this machine alone. Ctrl-C ends it.`);
      if (values.open) forget = await open(view.url);
      if (!signal.aborted) await once(signal, 'abort');
    } finally {
      forget?.();
      await view.close();
    }
    return EXIT.OK;
  });
}

async function serve(observer, port) {
  try {
    return await openView(observer, { port: port ?? PORT });
  } catch (error) {
    if (port === undefined && error.code === 'EADDRINUSE') return openView(observer);
    throw new CommandError(error.message, EXIT.NOT_WELL, error.code);
  }
}

/** The page is there even if no browser is. */
async function open(url) {
  try {
    return await openInBrowser(url);
  } catch (error) {
    console.error(`No browser could be opened: ${error.message}`);
    return undefined;
  }
}

function portOf(text) {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= PORT_MAX) return port;
  throw wrongUsage(`--port takes a number from 0 to ${PORT_MAX}`);
}

module.exports = { USAGE, run };
