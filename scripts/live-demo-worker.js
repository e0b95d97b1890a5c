'use strict';

/* One worker of the live demo: a small shop, whose visitors come in waves. */

const { randomInt } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');

const { join } = require('..');

const index = Number(process.env.DEMO_INDEX);
const ports = process.env.DEMO_PORTS.split(',');

const PAGES = ['home', 'search', 'basket', 'checkout'];
const FRUIT = ['apple', 'cherry', 'fig', 'lemon', 'mango', 'olive', 'pear', 'plum', 'quince'];
const BANNERS = ['Figs are in', 'Pears, ripe today', 'Two <b>mangos</b> for one'];

/** How often visitors come, and how the waves of them go. */
const TURN_MS = 50;
const WAVE_S = 24;
const VISITS_MIN = 1;
const VISITS_MAX = 7;
const BASKETS = 400;
/** A crowd: all at once, for a moment. */
const CROWD_S = 31;
const CROWD_VISITS = 20;

/** Aborted when this worker is to leave. */
const leaving = new AbortController();

const any = (list) => list[randomInt(list.length)];

async function main() {
  const joined = join({
    name: `worker ${index + 1}`,
    tags: { shop: index % 2 === 0 ? 'north' : 'south' },
    listen: `127.0.0.1:${ports[index]}`,
    seeds: ports.map((port) => `127.0.0.1:${port}`),
  });
  // Ctrl-C goes to all of them; it is the primary process that says when to leave.
  process.on('SIGINT', () => {});
  process.on('disconnect', async () => {
    leaving.abort();
    await (await joined).close();
    process.exit();
  });
  const node = await joined;
  if (leaving.signal.aborted) return;

  node.worker('price', async (fruit) => {
    await sleep(randomInt(1, 12));
    return fruit.length * 10;
  });
  node.worker('count the till', async () => {
    await sleep(randomInt(20, 200));
    return node.state.get('till') ?? 0;
  });
  node.worker('draw thumbnails', async () => {
    await sleep(randomInt(600, 7000));
    if (randomInt(12) === 0) throw new Error('The picture is missing');
    return FRUIT.length;
  });

  if (index === 0) open(node.state);
  process.send('ready');
  serve(node);
  price(node);
  askNowAndThen(node);
}

function open(state) {
  state.batch(() => {
    state.set('shop', { name: 'Orchard', open: true, hours: [8, 20] });
    for (const fruit of FRUIT) state.set(['stock', fruit], 1000);
  });
}

/** Visitors, who look around, fill baskets and pay. */
function serve({ state }) {
  const timer = setInterval(() => {
    const now = Date.now() / 1000;
    const wave = (1 + Math.sin((now / WAVE_S) * 2 * Math.PI - index / 2)) / 2;
    const isCrowded = now % CROWD_S < 1.5;
    const visits = isCrowded ? CROWD_VISITS : Math.round(VISITS_MIN + wave * (VISITS_MAX - VISITS_MIN));
    for (let count = 0; count < visits; count++) visit(state);
    if (randomInt(60) === 0) state.set('shop.banner', any(BANNERS));
  }, TURN_MS);
  leaving.signal.addEventListener('abort', () => clearInterval(timer));
}

function visit(state) {
  state.increment('visits.today');
  state.increment(['visits', 'pages', any(PAGES)]);
  const basket = ['baskets', `b${randomInt(BASKETS)}`];
  const fruit = any(FRUIT);
  if (randomInt(12) > 0) {
    state.increment([...basket, fruit]);
    return;
  }
  const bought = state.get(basket) ?? {};
  state.batch(() => {
    for (const [name, pieces] of Object.entries(bought)) state.increment(['stock', name], -pieces);
    state.increment('till', Object.keys(bought).length * 10);
    state.delete(basket);
    if (state.get(['stock', fruit]) < 100) state.set(['stock', fruit], 1000);
  });
}

/** Small questions to one node, all the time. */
async function price(node) {
  while (!leaving.signal.aborted) {
    // Whoever was asked may be killed.
    await node.call('price', [any(FRUIT)], { timeout: 5000 }).catch(() => {});
    await sleep(randomInt(20, 120));
  }
}

/** Long ones to all. */
async function askNowAndThen(node) {
  for (;;) {
    await sleep(randomInt(3000, 12_000));
    if (leaving.signal.aborted) return;
    await node.run(randomInt(3) === 0 ? 'count the till' : 'draw thumbnails', [], { timeout: 8000 }).results();
  }
}

main();
