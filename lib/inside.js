'use strict';

/* What files of `lib/` know of each other and nobody else does. */

module.exports = {
  /** The key of what an object of the interface holds for the other files. */
  kInside: Symbol('inside'),
  /** The key of the local node that a `Node` stands for. */
  kLocal: Symbol('local'),

  /** What a node can offer, by the numbers of the addon. */
  WORKER: 0,
  FUNCTION: 1,
  EVENT: 2,

  /** The nodes of a job or call that have no outcome yet. */
  kPending: Symbol('pending'),
  /** Its methods that tell what becomes of it on a node, and that it has ended. */
  kOutcome: Symbol('outcome'),
  kEnded: Symbol('ended'),
  /** When it was asked, in ms. */
  kStarted: Symbol('started'),
  /** What those who trace it are told of it. */
  kTraced: Symbol('traced'),
};
