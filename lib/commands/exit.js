'use strict';

/** What a command ends with. The same table is in docs/operations.md. */
const EXIT = {
  /** Done, and all is well. */
  OK: 0,
  /** Done, and something is not as it should be: the output says what. */
  NOT_WELL: 1,
  /** The command line cannot be understood, or a secret or certificate cannot be used. */
  USAGE: 2,
  /** No connection, or it was lost. */
  NO_CONNECTION: 3,
};

/** Codes of what is wrong with what was given, and not with the cluster. */
const OF_USAGE = /^ERR_(PARSE_ARGS|INVALID_(ARGUMENT|SECRET|CERTIFICATE|KEY|NAME|VALUE))/;

/** What a command stops with: a message for people, and the code it ends with. */
class CommandError extends Error {
  constructor(message, exitCode, code) {
    super(message);
    this.exitCode = exitCode;
    this.code = code;
  }
}

/** What to end with for an error; undefined if it is none to be told to users. */
function exitCodeOf(error) {
  if (error instanceof CommandError) return error.exitCode;
  if (OF_USAGE.test(error.code)) return EXIT.USAGE;
  return typeof error.code === 'string' ? EXIT.NO_CONNECTION : undefined;
}

module.exports = { CommandError, EXIT, exitCodeOf };
