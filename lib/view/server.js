'use strict';

const { randomBytes, timingSafeEqual } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { codedError } = require('../errors.js');
const { Branches } = require('./branches.js');
const { Survey } = require('./survey.js');

const HOST = '127.0.0.1';
const TOKEN_BYTES = 24;

/** How often nodes are asked how they are, while a page is open. */
const LOOK_MS = 1000;
const PAUSE_MS_MIN = 200;
/** Pages that are told of it. */
const STREAMS_MAX = 16;
/** Bytes that wait for a page that does not read, after which it misses a look. */
const STREAM_BYTES_MAX = 4 * 1024 * 1024;
/** A key of 4 KiB whose every byte is escaped, and what a browser adds. */
const HEADER_BYTES_MAX = 64 * 1024;

const PAGE = path.join(__dirname, 'page');
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** By what went wrong with what was asked. */
const STATUS = { ERR_INVALID_KEY: 400, ERR_CLOSED: 503 };

const HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    // Text that comes from the state can become nothing but text.
    "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/**
 * Serves the live view: a page for a browser of this machine, and what it shows. Loopback only, and
 * only for whoever has the token of this run, with which every path begins. It reads and writes
 * nothing.
 */
class ViewServer {
  #observer;
  #survey = new Survey();
  #branches;
  #token = randomBytes(TOKEN_BYTES).toString('base64url');
  #server = http.createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => this.#serve(request, response));
  #hosts;
  #files = pageFiles();
  #streams = new Set();
  #timer;
  #isLooking = false;
  #closing;

  /** @param {Observer} observer which stays that of the caller */
  constructor(observer) {
    this.#observer = observer;
    this.#branches = new Branches(observer.state);
  }

  /** Listens on a port of loopback; 0 is any that is free. Rejected with the system's error. */
  async listen(port) {
    this.#server.listen(port, HOST);
    await once(this.#server, 'listening');
    const bound = this.#server.address().port;
    this.#hosts = new Set([HOST, 'localhost'].flatMap((host) => (bound === 80 ? [host, `${host}:80`] : [`${host}:${bound}`])));
  }

  /** Where a browser finds it. Whoever knows it sees all that the cluster shares. */
  get url() {
    return `http://${HOST}:${this.#server.address().port}/${this.#token}/`;
  }

  /** Tells the pages that it ends. Repeatable. */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    clearTimeout(this.#timer);
    for (const stream of this.#streams) stream.end(message('end', {}));
    const closed = once(this.#server.close(), 'close');
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request, response) {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    // A name that somebody has made lead to this machine is in the header too.
    if (!this.#hosts.has(request.headers.host)) return refuse(response, 403, 'This is not its address');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return refuse(response, 405, 'It can be looked at, and nothing else');
    }
    const [, token = '', ...rest] = request.url.split('?', 1)[0].split('/');
    if (!this.#isToken(token)) {
      return refuse(response, 403, 'The address has a token in it, other ones in each run: take the one that was printed');
    }
    if (rest.length !== 1) return refuse(response, 404, 'There is no such thing');
    const file = this.#files.get(rest[0]);
    if (file !== undefined) return give(response, file.type, file.content);
    const asked = new URLSearchParams(request.url.slice(request.url.indexOf('?') + 1));
    switch (rest[0]) {
      case 'events':
        return this.#stream(request, response);
      case 'branch':
        return this.#answer(response, asked, (path) => this.#branches.page(path, Number(asked.get('from')) || 0));
      case 'explain':
        return this.#answer(response, asked, (path) => this.#branches.explain(path));
    }
    return refuse(response, 404, 'There is no such thing');
  }

  #isToken(given) {
    const [a, b] = [Buffer.from(given), Buffer.from(this.#token)];
    return a.length === b.length && timingSafeEqual(a, b);
  }

  #answer(response, asked, look) {
    const path = parsePath(asked.get('path'));
    if (path === undefined) return refuse(response, 400, '`path` must be a JSON array of strings');
    try {
      give(response, 'application/json', JSON.stringify(look(path)));
    } catch (error) {
      refuse(response, STATUS[error.code] ?? 500, error.message);
    }
  }

  /** Server-Sent Events: what was, once, then each look. */
  #stream(request, response) {
    if (this.#streams.size >= STREAMS_MAX) return refuse(response, 503, 'Too many pages are open');
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    if (request.method === 'HEAD') return response.end();
    response.write(`retry: 1000\n${message('past', this.#survey.past())}`);
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
    this.#look();
  }

  /** Whether nodes are asked, or will be in a while. */
  get isAsking() {
    return this.#isLooking || this.#timer !== undefined;
  }

  /** Asks all nodes, tells all pages, and does so again in a while, as long as there is a page. */
  async #look() {
    if (this.#isLooking) return;
    this.#isLooking = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const start = performance.now();
    // Who does not answer holds up the others' answers, not what they counted.
    const at = Date.now();
    let told;
    try {
      told = message('now', this.#survey.take(await this.#reports(), at));
    } catch (error) {
      told = message('failed', { message: error.message, code: error.code });
    }
    this.#isLooking = false;
    for (const stream of this.#streams) {
      if (stream.writableLength < STREAM_BYTES_MAX) stream.write(told);
    }
    if (this.#streams.size === 0 || this.#closing !== undefined) return;
    this.#timer = setTimeout(() => this.#look(), Math.max(PAUSE_MS_MIN, LOOK_MS - (performance.now() - start)));
  }

  /** Rejected if there is nobody to ask: then nothing is known, and nobody has gone. */
  async #reports() {
    const reports = await this.#observer.reports();
    if (this.#observer.isConnected) return reports;
    throw codedError('ERR_PEER_LOST', 'the node that this view looks through is not connected; it looks for another one');
  }
}

/** Opens a view on what an observer sees. */
async function openView(observer, { port = 0 } = {}) {
  const server = new ViewServer(observer);
  await server.listen(port);
  return server;
}

/** By name; the page itself has none. Nothing but these is ever read. */
function pageFiles() {
  const files = new Map();
  for (const name of fs.readdirSync(PAGE)) {
    const file = { type: TYPES[path.extname(name)], content: fs.readFileSync(path.join(PAGE, name)) };
    files.set(name === 'index.html' ? '' : name, file);
  }
  return files;
}

function parsePath(json) {
  try {
    const path = JSON.parse(json);
    return Array.isArray(path) && path.every((segment) => typeof segment === 'string') ? path : undefined;
  } catch {
    return undefined;
  }
}

function message(event, data) {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function give(response, type, content) {
  response.setHeader('Content-Type', type);
  response.setHeader('Content-Length', Buffer.byteLength(content));
  response.end(content);
}

function refuse(response, status, text) {
  response.statusCode = status;
  give(response, 'text/plain; charset=utf-8', `${text}\n`);
}

module.exports = { openView };
