'use strict';

/**
 * What programs can hear of nodes through `node:diagnostics_channel`. Without subscribers nothing is
 * made or published. The channels are described in docs/operations.md.
 */

const { channel, tracingChannel } = require('node:diagnostics_channel');

const { FUNCTION } = require('./inside.js');
const { joinTrace, jobId, splitTrace } = require('./job-context.js');
const { OK, OUTCOMES, rebuildError } = require('./outcomes.js');

/** What happens to a node: it listens, is ready, is closed. */
const nodeChannel = channel('collective-io:node');
/** Peers come, go, are busy. */
const peerChannel = channel('collective-io:peer');
const warningChannel = channel('collective-io:warning');
/** Jobs and calls of this node. */
const jobs = tracingChannel('collective-io:job');
/** What becomes of them on each node. */
const outcomeChannel = channel('collective-io:outcome');
/** Functions that run here. */
const runs = tracingChannel('collective-io:run');

const PARTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];

function isHeard(tracing) {
  return PARTS.some((part) => tracing[part].hasSubscribers);
}

/**
 * A job or call is asked by `ask`, which is given the trace that goes along and gives the number of
 * the job and the nodes. Who hears of its start may set `traceparent` and `tracestate`.
 *
 * @returns {object | undefined} what is told of it further, if somebody hears
 */
function traceJob(local, kind, name, trace, ask) {
  if (!isHeard(jobs) && !outcomeChannel.hasSubscribers) {
    ask(trace);
    return undefined;
  }
  const [traceparent, tracestate] = splitTrace(trace ?? '');
  const context = {
    node: local.node, kind: kind === FUNCTION ? 'call' : 'job', name, traceparent, tracestate,
  };
  jobs.start.runStores(context, () => {
    try {
      const { traceparent: parent, tracestate: state } = context;
      const [number, count] = ask(parent === undefined ? '' : joinTrace(parent, state));
      Object.assign(context, { id: jobId(local.node, number), asked: count, outcomes: {} });
    } catch (error) {
      context.error = error;
      jobs.error.publish(context);
      throw error;
    } finally {
      jobs.end.publish(context);
    }
  });
  return context;
}

function tellOutcome(context, origin, outcome, value) {
  const { status } = OUTCOMES[outcome];
  context.outcomes[status] = (context.outcomes[status] ?? 0) + 1;
  if (!outcomeChannel.hasSubscribers) return;
  const error = value !== undefined && outcome !== OK ? rebuildError(value) : undefined;
  outcomeChannel.publish({ job: context, node: origin.node, name: origin.name, status, error });
}

function tellEnded(context, end, ms) {
  Object.assign(context, { end, ms });
  jobs.asyncStart.publish(context);
  jobs.asyncEnd.publish(context);
}

/** A function is called by `work` for a run. */
function traceRun(local, kind, run, work) {
  if (!isHeard(runs)) {
    work();
    return;
  }
  const [traceparent, tracestate] = splitTrace(run.trace);
  const context = {
    node: local.node,
    kind: kind === FUNCTION ? 'call' : 'job',
    name: run.name,
    id: jobId(run.caller.node, run.job),
    caller: run.caller.node,
    traceparent,
    tracestate,
  };
  const start = performance.now();
  run.ended = (status, description) => {
    run.ended = undefined;
    Object.assign(context, { status, ms: performance.now() - start });
    if (description !== undefined) {
      context.error = rebuildError(JSON.parse(description));
      runs.error.publish(context);
    }
    runs.asyncStart.publish(context);
    runs.asyncEnd.publish(context);
  };
  runs.start.runStores(context, () => {
    try {
      work();
    } finally {
      runs.end.publish(context);
    }
  });
}

/** Something has happened to a node or a peer. */
function tellEvent(local, event) {
  const { type, peer: _, ...rest } = event;
  switch (type) {
    case 'listening':
    case 'ready':
    case 'closed':
      if (nodeChannel.hasSubscribers) nodeChannel.publish({ node: local.node, name: local.name, type, address: rest.address });
      break;
    case 'warning':
      if (warningChannel.hasSubscribers) warningChannel.publish({ node: local.node, ...rest });
      break;
    case 'connect':
    case 'disconnect':
    case 'busy':
      if (peerChannel.hasSubscribers) peerChannel.publish({ node: local.node, type, ...local.about(event) });
  }
}

/** An event as a line of a log; undefined for what is nobody's business. */
function entryOf(local, event) {
  const { type, code } = event;
  const about = () => local.about(event);
  switch (type) {
    case 'listening':
      return { level: 'info', message: `listens on ${event.address.address}:${event.address.port}` };
    case 'ready':
      return { level: 'info', message: 'is ready' };
    case 'closed':
      return { level: 'info', message: 'is closed' };
    case 'error':
      return { level: 'error', message: event.message, code };
    case 'warning':
      return { level: 'warn', message: event.message, code };
    case 'connect':
      return { level: 'info', message: `is connected with ${event.name}`, ...about() };
    case 'disconnect':
      return { level: code === 'ERR_PEER_LEFT' ? 'info' : 'warn', message: `has lost ${about().name}: ${code}`, code, ...about() };
    case 'busy':
      return { level: 'warn', message: `finds ${about().name} busy: its event loop does not turn`, ...about() };
  }
}

module.exports = { entryOf, tellEnded, tellEvent, tellOutcome, traceJob, traceRun };
