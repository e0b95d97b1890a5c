#!/usr/bin/env node
'use strict';

/** npx collective-io <command>: each command is a file in lib/commands. */

const { version } = require('../package.json');

/** Name to what it is for. The file of this name has `run(args)`, which gives the exit code. */
const COMMANDS = {
  keygen: 'makes a secret for a cluster',
};

const USAGE = `npx collective-io <command> [options]

${Object.entries(COMMANDS).map(([name, purpose]) => `  ${name.padEnd(10)} ${purpose}`).join('\n')}

  --help     this text, or that of a command
  --version`;

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
    if (!String(error.code).startsWith('ERR_PARSE_ARGS')) throw error;
    console.error(`${error.message}\n\n${command.USAGE}`);
    return 2;
  }
}

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
