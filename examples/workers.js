'use strict';

/*
 * A web server on several workers that ask one another how much each has served. Ports of the nodes
 * begin at PORT; the server is on HTTP_PORT. It runs until it is stopped.
 */

const http = require('node:http');
const { run } = require('collective-io/cluster');

const port = Number(process.env.PORT ?? 9150);
const httpPort = Number(process.env.HTTP_PORT ?? 8080);

run({ workers: 3, port }, async (node, { id }) => {
  let served = 0;
  node.worker('served', () => served);

  http.createServer(async (request, response) => {
    served += 1;
    const counts = [];
    // A worker that dies meanwhile is none of them, and no error.
    for await (const { status, value } of node.run('served', [], { timeout: 1000 })) {
      if (status === 'ok') counts.push(value);
    }
    const sum = counts.reduce((total, count) => total + count);
    response.end(`Worker ${id}: ${sum} requests served by ${counts.length} workers\n`);
  }).listen(httpPort);
});
