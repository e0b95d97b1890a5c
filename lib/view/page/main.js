/* The live view: what the server tells once a second, and what is asked of it meanwhile. */

import { Detail } from './detail.js';
import { set, write } from './dom.js';
import { count, ms, plural, rate } from './format.js';
import { Jobs } from './jobs.js';
import { level } from './lag.js';
import { Mesh } from './mesh.js';
import { News } from './news.js';
import { updateChosen, updateNodes } from './nodes.js';
import { Plot } from './plot.js';
import { Tree } from './tree.js';

const SAMPLES_MAX = 300;
const AGREEMENT = { agreed: 'All agree', different: 'States differ', unknown: 'Nobody answers' };
/** While writes are on their way, by how far behind the last one is. */
const SPREADING = ['In step', 'Some are behind', 'Some are far behind'];

const at = (id) => document.getElementById(id);

let view;
let chosen;
let samples = [];
let isPaused = false;

const detail = new Detail(at('detail'));
const tree = new Tree(at('tree'), (path) => {
  detail.choose(path);
  look(() => detail.refresh(nameOf));
});
const mesh = new Mesh(at('mesh'), choose);
const jobs = new Jobs(at('jobs'), at('jobs-count'));
const news = new News(at('news'), at('said'));
const say = (text) => write(at('said'), text);
const plots = [
  new Plot(at('throughput'), {
    title: 'Throughput',
    say,
    series: [
      { key: 'writes', label: 'writes/s', format: rate },
      { key: 'jobs', label: 'jobs/s', format: rate, isRight: true },
    ],
  }),
  new Plot(at('latency'), {
    title: 'Latency',
    say,
    isLog: true,
    series: [
      { key: 'median', label: 'half of the jobs', format: ms },
      { key: 'slow', label: '95 %', format: ms },
      { key: 'rtt', label: 'round trip', format: ms },
    ],
  }),
  new Plot(at('lag'), {
    title: 'Lag',
    say,
    isLog: true,
    // Peers say once a second what they have: up to that it goes up and down by itself.
    rightMin: 4000,
    series: [
      { key: 'behind', label: 'writes not confirmed', format: count },
      { key: 'behindMs', label: 'behind', format: ms, isRight: true },
    ],
  }),
];

function show() {
  if (view === undefined) return;
  const { nodes, links, agreement, through } = view;
  const step = Math.max(0, ...links.map(level));
  write(at('agreement'), AGREEMENT[agreement] ?? SPREADING[step]);
  set(at('agreement'), { 'data-state': agreement === 'spreading' ? `level-${step}` : agreement });
  const paths = nodes.map((node) => node.paths).filter((number) => number != null);
  const parts = [plural(nodes.length, 'node'), plural(links.length, 'link')];
  if (paths.length > 0) parts.push(plural(Math.max(...paths), 'path'));
  const door = nodes.find(({ id }) => id === through);
  if (door !== undefined) parts.push(`through ${door.name}`);
  write(at('summary'), parts.join(' · '));
  document.title = `${nodes.length} nodes · collective-io`;
  mesh.update(view, chosen);
  updateChosen(at('chosen'), view, chosen);
  updateNodes(at('nodes'), view, chosen);
  for (const plot of plots) plot.update(samples);
  jobs.update(view.jobs, view.at);
  news.update(view.news);
}

function choose(id) {
  chosen = id;
  show();
}

/** Who made a write. */
function nameOf(replica) {
  return view?.nodes.find((node) => node.replica === replica)?.name ?? `${replica.slice(0, 6)}…`;
}

/** Asks the server for something; if it is not there the stream of events says so. */
function look(ask) {
  Promise.resolve(ask()).catch((error) => {
    if (!(error instanceof TypeError)) throw error;
  });
}

function trouble(text) {
  const element = at('trouble');
  if (text) write(element, text);
  element.hidden = !text;
}

function listen() {
  const events = new EventSource('events');
  events.addEventListener('past', ({ data }) => {
    samples = JSON.parse(data).samples;
  });
  events.addEventListener('now', ({ data }) => {
    const news = JSON.parse(data);
    samples = [...samples.slice(1 - SAMPLES_MAX), news.sample];
    trouble();
    if (isPaused) return;
    view = news;
    show();
    if (document.hidden) return;
    look(() => tree.refresh());
    look(() => detail.refresh(nameOf));
  });
  events.addEventListener('failed', ({ data }) => trouble(`The nodes cannot be asked: ${JSON.parse(data).message}`));
  events.addEventListener('end', () => {
    events.close();
    trouble('The view has ended. Start it again to go on; its address will be another one.');
  });
  events.addEventListener('error', () => {
    const isOver = events.readyState === EventSource.CLOSED;
    trouble(isOver ? 'The view refuses this page: too many are open.' : 'The view does not answer; trying again.');
  });
}

at('pause').addEventListener('click', ({ currentTarget }) => {
  isPaused = !isPaused;
  set(currentTarget, { 'aria-pressed': String(isPaused) });
});

at('goto').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = at('goto-path').value.trim();
  look(() => tree.show(parse(text)));
});

/** A path as a person types it: dotted, or as a JSON array. */
function parse(text) {
  if (text === '') return [];
  if (text.startsWith('[')) {
    try {
      const path = JSON.parse(text);
      if (Array.isArray(path)) return path.map(String);
    } catch {
      // Then it is a name that begins so.
    }
  }
  return text.split('.');
}

listen();
