/* The mesh as a picture: nodes, and lines between those that are connected. */

import { draw, keep, set, write } from './dom.js';
import { bytes, count, ms, plural, rate } from './format.js';
import { brief, level, words } from './lag.js';
import { ROOMY_MAX, layout } from './layout.js';

/** Up to so many nodes have their names beside them, and all links drawn; of more, what is amiss. */
const NAMED_MAX = 32;
/** Links that are behind and have a text. */
const LABELS_MAX = 6;
/** Between two lines of text. */
const LINE = 16;
/** Characters of a name in the picture. */
const NAME_MAX = 18;
const LINES = ['level-0', 'level-1', 'level-2', 'is-busy', 'is-chosen'];

export class Mesh {
  #svg;
  #lines;
  #flow;
  #nodes;
  #labels;
  #note;
  #view;
  #chosen;
  #onChoose;

  /** @param {(id: string | undefined) => void} onChoose a node was chosen */
  constructor(svg, onChoose) {
    this.#svg = svg;
    this.#onChoose = onChoose;
    this.#lines = LINES.map((name) => draw('path', { class: `link ${name}` }));
    this.#flow = draw('path', { class: 'flow' });
    this.#labels = draw('g', { class: 'lags', 'aria-hidden': 'true' });
    this.#note = draw('text', { class: 'note', 'text-anchor': 'middle', 'aria-hidden': 'true' });
    this.#nodes = draw('g', { role: 'presentation' });
    svg.append(...this.#lines, this.#flow, this.#labels, this.#note, this.#nodes);
    svg.addEventListener('keydown', (event) => this.#press(event));
    new ResizeObserver(() => this.#view && this.update(this.#view, this.#chosen)).observe(svg);
  }

  update(view, chosen) {
    this.#view = view;
    this.#chosen = chosen;
    const { width, height } = this.#svg.getBoundingClientRect();
    if (width === 0) return;
    set(this.#svg, { viewBox: `0 0 ${width} ${height}`, class: view.nodes.length > ROOMY_MAX ? 'is-crowded' : null });
    const all = [...view.nodes, ...view.gone.map((node) => ({ ...node, isGone: true }))]
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }) || (a.id < b.id ? -1 : 1));
    const plan = layout(all.length, { width, height });
    const places = new Map(all.map((node, index) => [node.id, plan.places[index]]));
    this.#drawLinks(view, places);
    keep(this.#nodes, all, {
      key: ({ id }) => id,
      create: (node) => this.#create(node),
      update: (group, node) => this.#updateNode(group, node, places.get(node.id), plan, all.length),
    });
    this.#roam(all);
  }

  #drawLinks({ links, nodes }, places) {
    const lines = LINES.map(() => '');
    const isWhole = nodes.length <= NAMED_MAX;
    let flow = '';
    for (const link of links) {
      const [a, b] = [places.get(link.a), places.get(link.b)];
      const line = `M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`;
      const step = link.isBusy ? 3 : level(link);
      if (isWhole || step > 0) lines[step] += line;
      if (link.a === this.#chosen || link.b === this.#chosen) lines[4] += line;
      flow += line;
    }
    for (const [index, path] of this.#lines.entries()) set(path, { d: lines[index] || null });
    const isMoving = nodes.length <= ROOMY_MAX && nodes.some(({ rates }) => rates?.writes > 0);
    set(this.#flow, { d: isMoving ? flow : null });
    const isOfChosen = ({ a, b }) => a === this.#chosen || b === this.#chosen;
    const late = links.filter((link) => level(link) > 0).sort((a, b) => b.behind - a.behind);
    const told = nodes.length > ROOMY_MAX ? [] : this.#chosen === undefined ? late.slice(0, LABELS_MAX) : links.filter(isOfChosen);
    this.#label(told, places);
    const { width, height } = this.#svg.viewBox.baseVal;
    set(this.#note, { x: width / 2, y: height / 2 });
    write(this.#note, isWhole ? '' : `${count(links.length - late.length)} links in step, not drawn`);
  }

  /** What is worth saying of a link, beside it. */
  #label(links, places) {
    keep(this.#labels, links, {
      key: ({ a, b }) => `${a} ${b}`,
      create: () => draw('text', { 'text-anchor': 'middle' }),
      update: (text, link) => {
        const [a, b] = [places.get(link.a), places.get(link.b)];
        // Beside the middle, which many lines share.
        const far = link.b === this.#chosen ? 0.36 : 0.64;
        set(text, { x: a.x + (b.x - a.x) * far, y: a.y + (b.y - a.y) * far + 4, class: `level-${level(link)}` });
        write(text, level(link) > 0 ? brief(link) : ms(link.rtt));
      },
    });
  }

  #create({ id }) {
    const group = draw('g', { class: 'node', role: 'option', tabindex: '-1' },
      draw('title', {}),
      draw('circle', { class: 'halo' }),
      draw('circle', { class: 'body' }),
      draw('text', { class: 'figure', 'text-anchor': 'middle', dy: '0.36em' }),
      draw('text', { class: 'name' }),
      draw('text', { class: 'words' }));
    group.dataset.id = id;
    group.addEventListener('click', () => {
      group.focus();
      this.#onChoose(id === this.#chosen ? undefined : id);
    });
    return group;
  }

  #updateNode(group, node, place, { radius }, total) {
    const [title, halo, body, figure, name, about] = group.children;
    const mine = this.#view.links.filter(({ a, b }) => a === node.id || b === node.id);
    const state = standing(node, mine, this.#view.nodes.length);
    set(group, {
      transform: `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`,
      class: `node ${state.class}`,
      'aria-selected': String(node.id === this.#chosen),
      'aria-label': `${node.name}: ${state.words}${node.isGone ? '' : `, ${plural(mine.length, 'link')}, ${rate(node.rates?.writes)} writes a second`}`,
    });
    write(title, node.name);
    set(halo, { r: radius + 6 });
    set(body, { r: radius });
    write(figure, radius < 20 || node.isGone || node.isSilent ? '' : rate(node.rates?.writes));
    const isNamed = total <= NAMED_MAX || node.id === this.#chosen || state.class !== 'level-0';
    this.#write(name, isNamed ? short(node.name) : '', place, radius, 0);
    this.#write(about, isNamed && total <= ROOMY_MAX ? state.brief : '', place, radius, 1);
  }

  /** A line of text beside a node, or above or below it; in a crowd, on the way outwards. */
  #write(text, content, { side, isTop, out }, radius, row) {
    const anchor = ['end', 'middle', 'start'][side + 1];
    const isCrowded = this.#svg.classList.contains('is-crowded');
    const beside = { x: side * (radius + 14), y: row * LINE - 3 };
    const apart = { x: 0, y: (isTop ? -radius - 28 : radius + 21) + row * LINE };
    const outwards = { x: out.x * (radius + 8), y: out.y * (radius + 14) + 4 };
    set(text, { ...(isCrowded ? outwards : side === 0 ? apart : beside), 'text-anchor': anchor });
    write(text, content);
  }

  /** One node at a time is on the way of the Tab key. */
  #roam(all) {
    const at = all.find(({ id }) => id === this.#chosen) ?? all[0];
    const focused = this.#nodes.querySelector(':focus');
    for (const group of this.#nodes.children) {
      const isReached = focused ? group === focused : group.dataset.id === at?.id;
      set(group, { tabindex: isReached ? '0' : '-1' });
    }
  }

  #press(event) {
    const groups = [...this.#nodes.children];
    const at = groups.indexOf(event.target.closest('.node'));
    if (at < 0) return;
    const to = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: groups.length - 1,
    }[event.key];
    if (to !== undefined) {
      const next = groups[(to + groups.length) % groups.length];
      for (const group of groups) set(group, { tabindex: group === next ? '0' : '-1' });
      next.focus();
      this.#onChoose(next.dataset.id);
    } else if (event.key === 'Enter' || event.key === ' ') {
      const { id } = groups[at].dataset;
      this.#onChoose(id === this.#chosen ? undefined : id);
    } else if (event.key === 'Escape') {
      this.#onChoose(undefined);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** How a node is, as a class and as words: as the others see it. */
export function standing(node, links, total) {
  const plain = (name, text) => ({ class: name, words: text, brief: text });
  if (node.isGone) return plain('is-gone', 'gone');
  if (node.isSilent) return plain('is-silent', 'does not answer');
  if (node.isBusy) return plain('is-busy', 'busy');
  if (node.catchingUp) return { class: 'level-1', words: catchUp(node.catchingUp), brief: 'catching up' };
  if (total === 1) return plain('level-0', 'alone');
  if (links.length === 0) return plain('level-2', 'alone');
  const step = `level-${level(node)}`;
  const missing = total - 1 - links.length;
  if (missing === 0) return { class: step, words: words(node), brief: brief(node) };
  const lost = `${plural(missing, 'link')} missing`;
  return { class: step, words: `${words(node)}, ${lost}`, brief: lost };
}

/** First everything comes, then it is merged. */
function catchUp({ bytes: received, paths, merged }) {
  return `catching up, ${merged > 0 ? `${count(merged)} of ${plural(paths, 'path')} merged` : `${bytes(received)} received`}`;
}

function short(name) {
  return name.length > NAME_MAX ? `${name.slice(0, NAME_MAX - 1)}…` : name;
}
