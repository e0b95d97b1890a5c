/* The state as a tree: branches a page at a time, values live. */

import { keep, make, set, write } from './dom.js';
import { count, plural } from './format.js';

export class Tree {
  #element;
  #onChoose;
  /** Open branches: path as JSON to the page last seen of it, or where that is to begin. */
  #open = new Map([['[]', { from: 0 }]]);
  #rows = [];
  #chosen;
  /** The row that the Tab key reaches. */
  #reached;
  #isLoading = false;

  /** @param {(path: string[]) => void} onChoose */
  constructor(element, onChoose) {
    this.#element = element;
    this.#onChoose = onChoose;
    element.addEventListener('click', (event) => this.#click(event));
    element.addEventListener('keydown', (event) => this.#press(event));
  }

  /** Reads what is open anew. */
  async refresh() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      await Promise.all([...this.#open].map(([key, { from }]) => this.#load(key, from)));
    } finally {
      this.#isLoading = false;
    }
    this.#draw();
  }

  /** Opens what is above a path, and chooses it. */
  async show(path) {
    for (let depth = 0; depth < path.length; depth++) this.#open.set(JSON.stringify(path.slice(0, depth)), this.#page(path.slice(0, depth)));
    this.#choose(path);
    await this.refresh();
  }

  #page(path) {
    return this.#open.get(JSON.stringify(path)) ?? { from: 0 };
  }

  async #load(key, from) {
    const response = await fetch(`branch?path=${encodeURIComponent(key)}&from=${from}`);
    if (!response.ok) return;
    const page = await response.json();
    // It may have been closed, or turned, meanwhile.
    if (this.#open.get(key)?.from !== from) return;
    if (page.kind === 'object' || page.kind === 'array') this.#open.set(key, page);
    else if (key !== '[]') this.#open.delete(key);
  }

  #draw() {
    this.#rows = this.#list([], 1);
    const isEmpty = this.#rows.length === 0;
    if (isEmpty) this.#rows.push({ id: 'empty', role: 'none', level: 1, text: 'There is nothing in it yet' });
    if (!this.#rows.some(({ id }) => id === this.#reached)) this.#reached = this.#rows[0].id;
    keep(this.#element, this.#rows, {
      key: ({ id }) => id,
      create: ({ id }) => this.#create(id),
      update: (element, row) => this.#update(element, row),
    });
  }

  /** The rows of a branch and of those open in it. */
  #list(path, level) {
    const page = this.#page(path);
    if (page.members === undefined) return [];
    const turn = (name, from, text) => (
      { id: JSON.stringify([...path, null, name]), turns: path, to: from, level, text, setsize: page.count });
    const rows = [];
    const { from, size, members } = page;
    if (from > 0) rows.push(turn('earlier', Math.max(0, from - size), `↑ ${count(Math.max(1, from - size + 1))} to ${count(from)} of ${count(page.count)}`));
    for (const [index, member] of members.entries()) {
      const at = [...path, member.name];
      const id = JSON.stringify(at);
      const hasMembers = member.kind !== 'scalar';
      const isOpen = hasMembers && this.#open.has(id);
      rows.push({ id, path: at, level, ...member, hasMembers, isOpen, setsize: page.count, position: from + index + 1 });
      if (isOpen) rows.push(...this.#list(at, level + 1));
    }
    const next = from + size;
    if (next < page.count) rows.push(turn('later', next, `↓ ${count(next + 1)} to ${count(Math.min(page.count, next + size))} of ${count(page.count)}`));
    return rows;
  }

  #create(id) {
    const row = make('div', { role: 'treeitem', class: 'row' },
      make('span', { class: 'twist', 'aria-hidden': 'true' }),
      make('span', { class: 'key' }),
      make('span', { class: 'value' }));
    row.dataset.id = id;
    return row;
  }

  #update(element, row) {
    const [twist, name, value] = element.children;
    const isTurn = row.turns !== undefined;
    set(element, {
      role: row.role ?? 'treeitem',
      class: `row${isTurn ? ' turn' : ''} ${row.kind ?? ''}`,
      'aria-level': row.level,
      'aria-setsize': row.setsize ?? null,
      'aria-posinset': row.position ?? null,
      'aria-expanded': row.hasMembers ? String(row.isOpen) : null,
      'aria-selected': row.path ? String(row.id === this.#chosen) : null,
      tabindex: row.role === 'none' ? null : row.id === this.#reached ? '0' : '-1',
    });
    element.style.setProperty('--level', row.level);
    write(twist, row.hasMembers ? '›' : '');
    write(name, row.path ? row.name || '""' : '');
    const text = row.hasMembers ? (row.kind === 'array' ? `[ ${count(row.count)} ]` : `{ ${count(row.count)} }`) : row.text;
    const isFirst = value.textContent === '';
    if (write(value, text ?? '') && !isFirst && row.path) flash(value);
    set(value, { title: row.hasMembers ? plural(row.count, row.kind === 'array' ? 'element' : 'member') : null });
  }

  #choose(path) {
    this.#chosen = JSON.stringify(path);
    this.#reached = this.#chosen;
    this.#onChoose(path);
  }

  #click(event) {
    const row = this.#rowOf(event.target);
    if (row === undefined) return;
    if (row.turns) this.#turn(row);
    else if (event.target.closest('.twist') || row.id === this.#chosen) this.#toggle(row, !row.isOpen);
    else this.#activate(row);
    this.#reach(row.id);
  }

  /** Chooses a row, and opens it if there is something in it. */
  #activate(row) {
    this.#choose(row.path);
    if (row.hasMembers && !row.isOpen) this.#toggle(row, true);
    else this.#draw();
  }

  #toggle(row, isOpen) {
    if (!row.hasMembers) return;
    this.#choose(row.path);
    if (isOpen) this.#open.set(row.id, { from: 0 });
    else for (const key of [...this.#open.keys()]) if (isAtOrBelow(key, row.id)) this.#open.delete(key);
    this.#draw();
    if (isOpen) this.#loadNow(row.id, 0);
  }

  #turn({ turns, to }) {
    const key = JSON.stringify(turns);
    this.#open.set(key, { ...this.#page(turns), from: to });
    this.#loadNow(key, to);
  }

  async #loadNow(key, from) {
    await this.#load(key, from);
    const held = this.#element.contains(document.activeElement);
    this.#draw();
    if (held) this.#reach(this.#reached);
  }

  #press(event) {
    const row = this.#rowOf(event.target);
    if (row === undefined) return;
    const at = this.#rows.indexOf(row);
    const go = (to) => this.#rows[to] && this.#reach(this.#rows[to].id);
    switch (event.key) {
      case 'ArrowDown': go(at + 1); break;
      case 'ArrowUp': go(at - 1); break;
      case 'Home': go(0); break;
      case 'End': go(this.#rows.length - 1); break;
      case 'ArrowRight':
        if (row.isOpen) go(at + 1);
        else this.#toggle(row, true);
        break;
      case 'ArrowLeft':
        if (row.isOpen) this.#toggle(row, false);
        else go(this.#rows.findLastIndex(({ level }, index) => index < at && level < row.level));
        break;
      case 'Enter': case ' ':
        if (row.turns) this.#turn(row);
        else this.#activate(row);
        break;
      default: return;
    }
    event.preventDefault();
  }

  /** Gives a row the focus. */
  #reach(id) {
    this.#reached = id;
    for (const element of this.#element.children) {
      const isReached = element.dataset.id === id;
      if (element.hasAttribute('tabindex')) set(element, { tabindex: isReached ? '0' : '-1' });
      if (isReached) element.focus({ preventScroll: false });
    }
  }

  #rowOf(target) {
    const id = target.closest('.row')?.dataset.id;
    return this.#rows.find((row) => row.id === id && row.role !== 'none');
  }
}

/** Whether a path as JSON is another or begins with it. */
function isAtOrBelow(key, top) {
  return key === top || key.startsWith(`${top.slice(0, -1)},`);
}

function flash(element) {
  element.classList.remove('changed');
  // Begins the animation anew.
  void element.offsetWidth;
  element.classList.add('changed');
}

