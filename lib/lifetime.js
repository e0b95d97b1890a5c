'use strict';

const cluster = require('node:cluster');

/** How long the end of the process may wait for the sockets to take what is queued. */
const FLUSH_MS = 50;

/** Every open node of this thread. The process's events are listened to while there is one. */
const open = new Set();

function add(node) {
  if (open.size === 0) listen('on');
  open.add(node);
}

function remove(node) {
  if (open.delete(node) && open.size === 0) listen('off');
}

function listen(on) {
  process[on]('exit', flush);
  cluster.worker?.[on]('disconnect', leaveCluster);
}

/** `process.exit()` and uncaught exceptions run no cleanup of an addon; this hook they do run. */
function flush() {
  const until = Date.now() + FLUSH_MS;
  for (const node of open) node.flushSync(Math.max(1, until - Date.now()));
}

/** A worker that was asked to leave has to end by itself, as one with a server would. */
function leaveCluster() {
  if (!cluster.worker.exitedAfterDisconnect) return;
  for (const node of open) node.close();
}

module.exports = { add, remove };
