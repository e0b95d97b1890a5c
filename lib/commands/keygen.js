'use strict';

const { randomBytes } = require('node:crypto');
const { parseArgs } = require('node:util');

const SECRET_BYTES = 32;

const USAGE = `npx collective-io keygen [options]

Prints a new secret. Give it to all nodes of a cluster, as COLLECTIVE_SECRET or as the option
\`secret\`, and to nobody else.

  --hex      in hexadecimal instead of base64
  --json     for programs
  --help`;

/** Prints a secret, and nothing else, so that it can go into a file or a variable. */
function run(args) {
  const { values: { help, hex, json } } = parseArgs({
    args,
    options: { hex: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  const secret = randomBytes(SECRET_BYTES).toString(hex ? 'hex' : 'base64');
  if (help) console.log(USAGE);
  else console.log(json ? JSON.stringify({ secret }) : secret);
  return 0;
}

module.exports = { USAGE, run };
