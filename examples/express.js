'use strict';

/*
 * An Express app on several workers: sessions and a rate limit that all of them share, with no store
 * beside them. The app is on HTTP_PORT, the nodes on ports from PORT on. It runs until it is stopped.
 *
 * Needs: npm install collective-io express express-session
 */

const { randomBytes } = require('node:crypto');
const { run } = require('collective-io/cluster');
const express = require('express');
const session = require('express-session');

const port = Number(process.env.PORT ?? 9170);
const httpPort = Number(process.env.HTTP_PORT ?? 8080);
const limit = Number(process.env.LIMIT ?? 100);
const windowMs = Number(process.env.WINDOW_MS ?? 60_000);
const SESSION_MS = 3_600_000;
const FORGET_MS = 60_000;

// Made in the primary process; workers have its environment. Sessions end with the cluster anyway.
process.env.SESSION_SECRET ??= randomBytes(32).toString('hex');

/** Sessions in the state that all nodes share. */
class SharedStore extends session.Store {
  #state;

  constructor(state) {
    super();
    this.#state = state;
  }

  get(id, callback) {
    // A copy: what the state gives is frozen.
    callback(null, structuredClone(this.#state.get(['sessions', id])));
  }

  set(id, value, callback) {
    // Without what JSON does not know, such as the date in the cookie.
    this.#state.set(['sessions', id], JSON.parse(JSON.stringify(value)));
    this.#everywhere(callback);
  }

  /** It was read and not changed, and lives longer for it, unless it is gone. */
  touch(id, { cookie }, callback) {
    const path = ['sessions', id];
    if (this.#state.has(path)) this.#state.set([...path, 'cookie'], JSON.parse(JSON.stringify(cookie)));
    callback();
  }

  destroy(id, callback) {
    this.#state.delete(['sessions', id]);
    this.#everywhere(callback);
  }

  /** The response waits for this: whichever worker gets the next request knows the session. */
  #everywhere(callback) {
    // Rather answer than fail when a worker does not keep up: it will know in a moment.
    this.#state.replicated({ peers: 'all', timeout: 1000 }).then(() => callback(), () => callback());
  }
}

/** Refuses who has asked too often in this window, whichever workers he has asked. */
function rateLimit(state) {
  return (request, response, next) => {
    const count = state.increment(['rate', currentWindow(), request.ip]);
    if (count <= limit) next();
    else response.status(429).json({ error: 'Too many requests' });
  };
}

function currentWindow() {
  return String(Math.floor(Date.now() / windowMs));
}

/** What is over goes. One worker is enough for that. */
function forget(state) {
  for (const window of state.keys('rate')) {
    if (window !== currentWindow()) state.delete(['rate', window]);
  }
  for (const [id, { cookie }] of state.entries('sessions')) {
    if (Date.parse(cookie.expires) < Date.now()) state.delete(['sessions', id]);
  }
}

run({ workers: 3, port }, (node, { id }) => {
  const app = express();
  app.set('trust proxy', 'loopback'); // clients' addresses are what a proxy on this machine says
  app.use((request, response, next) => {
    response.set('x-worker', String(process.pid));
    next();
  });
  app.get('/health', (request, response) => response.json({ peers: node.peers.size }));
  app.use(rateLimit(node.state));
  app.use(session({
    store: new SharedStore(node.state),
    secret: process.env.SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: SESSION_MS, sameSite: 'lax' },
  }));

  app.post('/login/:user', (request, response, next) => {
    // Another id than before, so that nobody brings a session of his own making.
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.user = request.params.user;
      request.session.visits = 0;
      return response.json({ user: request.session.user });
    });
  });
  app.get('/who', (request, response) => response.json({ user: request.session.user ?? null }));
  app.get('/me', (request, response) => {
    const { session: { user } } = request;
    if (!user) return response.status(401).json({ error: 'Log in first' });
    request.session.visits += 1;
    return response.json({ user, visits: request.session.visits });
  });
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json({})));
  });

  app.listen(httpPort);
  if (id === 0) {
    const timer = setInterval(forget, FORGET_MS, node.state);
    node.once('close', () => clearInterval(timer));
  }
});
