'use strict';

const { CONNECT_USAGE, EXIT, Loss, STATE_USAGE, count, lost, parse, pathOf, withObserver } = require('./common.js');

const USAGE = `npx collective-io watch <host:port> [path] [options]

Prints what changes at a path and below it, a line each, until Ctrl-C: the path and what is there now.
When the node goes away it goes on through another one, and misses no last value.

${STATE_USAGE}

  --initial            begins with what is there
  --count <n>          ends after so many
${CONNECT_USAGE}`;

/** How often it looks whether the connection is still there. */
const LOOK_MS = 500;

async function run(args) {
  const own = { initial: { type: 'boolean' }, count: { type: 'string' } };
  const { values, positionals } = parse(args, own, [1, 2]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const path = pathOf(positionals[1]);
  let left = count(values, 'count', Infinity);
  return withObserver(positionals[0], values, { state: true }, async (observer, signal) => {
    const end = new AbortController();
    signal.addEventListener('abort', () => end.abort());
    const loss = new Loss(observer);
    const timer = setInterval(() => loss.isTotal && end.abort(), LOOK_MS);
    try {
      const changes = observer.state.watch(path, { signal: end.signal, initial: values.initial });
      // Where else there are nodes. Who is silent holds nothing up.
      observer.reports().then((reports) => loss.note(reports), () => {});
      for await (const change of changes) {
        console.log(line(change, values.json));
        if (--left === 0) return EXIT.OK;
      }
    } catch (error) {
      if (error.code !== 'ABORT_ERR') throw error;
    } finally {
      clearInterval(timer);
    }
    if (!signal.aborted) throw lost();
    return EXIT.OK;
  });
}

function line({ path, value, skipped }, isJson) {
  if (isJson) return JSON.stringify({ path, value, skipped });
  const text = value === undefined ? '(nothing)' : JSON.stringify(value);
  return `${skipped ? 'much has changed: ' : ''}${name(path)} = ${text}`;
}

function name(path) {
  if (path.length === 0) return '(all)';
  return path.every((segment) => segment !== '' && !segment.includes('.')) ? path.join('.') : JSON.stringify(path);
}

module.exports = { USAGE, run };
