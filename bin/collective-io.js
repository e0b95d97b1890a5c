#!/usr/bin/env node
'use strict';

/** npx collective-io <command>: each command is a file in lib/commands. */

const { EXIT, exitCodeOf } = require('../lib/commands/exit.js');
const { version } = require('../package.json');

/** Name to what it is for. The file of this name has `run(args)`, which gives the exit code. */
const COMMANDS = {
  keygen: 'makes a secret for a cluster',
  status: 'shows the nodes of a cluster, and whether all is well',
  top: 'the same, live',
  view: 'the same and more, live, in a browser',
  get: 'prints what is at a path of the state',
  set: 'writes there',
  watch: 'prints what changes there',
  explain: 'says why it is what it is',
  run: 'runs a job on every node',
  doctor: 'looks for what keeps a node from running or joining',
};

const USAGE = `npx collective-io <command> [options]

${Object.entries(COMMANDS).map(([name, purpose]) => `  ${name.padEnd(10)} ${purpose}`).join('\n')}

  --help     this text, or that of a command
  --version

Ends with 0 if all is well, 1 if not, 2 if the command line is wrong, 3 without a connection.`;

async function main([name, ...args]) {
  if (name === '--help' || name === undefined) {
    console.log(USAGE);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    console.log(version);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    console.error(`There is no command ${name}\n\n${USAGE}`);
    return 2;
  }
  const command = require(`../lib/commands/${name}.js`);
  try {
    return await command.run(args);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode === undefined) throw error;
    const { code, message } = error;
    if (args.includes('--json')) console.log(JSON.stringify({ error: { code, message } }));
    else console.error(`${message} (${code})`);
    if (exitCode === EXIT.USAGE) console.error(`\n${command.USAGE}`);
    return exitCode;
  }
}

// Who reads the output, such as `head`, may have seen enough.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.OK);
});

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
