'use strict';

const { CONNECT_USAGE, EXIT, STATE_USAGE, parse, pathOf, withObserver } = require('./common.js');

const USAGE = `npx collective-io explain <host:port> [path] [options]

Says what a path shows and why: every write that stands there or above it, by whom and when, and what
hides it. Writers that are there are told by name.

${STATE_USAGE}

${CONNECT_USAGE}`;

const WHY = {
  laterSet: 'a later SET at the same path hides it',
  laterValue: 'a later value hides it',
  laterCounter: 'a later counter hides it',
  laterContainer: 'something below is later and hides it',
  scalarAbove: 'a later value above hides it',
  arrayAbove: 'above is an array, which has nothing of this name',
  lost: 'it lost against another SET',
};

async function run(args) {
  const { values, positionals } = parse(args, {}, [1, 2]);
  if (values.help) {
    console.log(USAGE);
    return EXIT.OK;
  }
  const path = pathOf(positionals[1]);
  return withObserver(positionals[0], values, { state: true }, async (observer) => {
    const explanation = observer.state.explain(path);
    const reports = await observer.reports();
    const names = Object.fromEntries(reports.filter(({ replica }) => replica !== undefined).map(({ replica, name }) => [replica, name]));
    console.log(values.json ? JSON.stringify({ ...explanation, names }) : lines(explanation, names).join('\n'));
    return EXIT.OK;
  });
}

function lines({ key, shown, json, things, cuts, leftOut }, names) {
  const what = json === undefined ? shown : `${shown} ${json}`;
  return [
    `${key ?? '(all)'} shows ${what}`,
    ...things.map((each) => thing(each, names)),
    ...cuts.map(({ key: at }) => `  increments of ${at} were removed, which not all may know`),
    ...(leftOut > 0 ? [`  ${leftOut} more`] : []),
  ];
}

function thing({ kind, key, shown, json, amount, shape, replica, ms, hidden }, names) {
  const what = { set: `SET ${json}`, increments: `increments by ${amount}`, mark: `an ${shape} is or was here` }[kind];
  const when = Number.isFinite(ms) ? new Date(ms).toISOString() : '?';
  const end = shown || hidden === undefined ? '' : `; ${WHY[hidden.why] ?? hidden.why}`;
  return `  ${shown ? '*' : ' '} ${key ?? '(all)'}: ${what}, by ${names[replica] ?? replica} at ${when}${end}`;
}

module.exports = { USAGE, run };
