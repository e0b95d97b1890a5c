'use strict';

const { SHAPE_ABSENT, SHAPE_ARRAY, SHAPE_OBJECT, SHAPE_SCALAR } = require('../data-view.js');
const { kLocal } = require('../inside.js');
const { nameOf, toKey } = require('../paths.js');

/** Members of one page of a branch. */
const PAGE_MEMBERS = 50;
/** Characters of a value beside its name, and of the one that is looked at. */
const PREVIEW_CHARACTERS = 120;
const TEXT_CHARACTERS = 20_000;

/** Names of a branch, and how many it has, are kept for so many times as long as it took to get them. */
const KEPT_RATIO = 20;
/** Branches of which something is kept. */
const KEPT_MAX = 256;

/**
 * The state as a tree to leaf through. Only the members that are on the page are read, and of those
 * that have members themselves only how many.
 */
class Branches {
  #state;
  #local;
  #kept = new Map();

  /** @param {import('../state.js').State} state */
  constructor(state) {
    this.#state = state;
    this.#local = state[kLocal];
  }

  /**
   * One page of what is below a path.
   *
   * @param {string[]} path
   * @param {number} from which member is the first of the page
   */
  page(path, from) {
    const { kind, count } = this.#look(path);
    const start = Math.max(0, Math.min(from, Math.floor((count - 1) / PAGE_MEMBERS) * PAGE_MEMBERS));
    const names = kind === 'array' ? indexes(start, count) : this.#names(path).slice(start, start + PAGE_MEMBERS);
    const members = names
      .map((name) => ({ name, ...this.#look([...path, name]) }))
      .filter((member) => member.kind !== 'nothing');
    return { path, kind, count, from: start, size: PAGE_MEMBERS, members };
  }

  /** What is at a path, as text, and why. */
  explain(path) {
    const { kind, count } = this.#look(path);
    return { path, kind, count, text: this.#text(path), why: this.#state.explain(path) };
  }

  #look(path, characters = PREVIEW_CHARACTERS) {
    const key = toKey(path);
    const shape = this.#local.shape(key);
    if (shape === SHAPE_ABSENT) return { kind: 'nothing', count: 0 };
    if (shape === SHAPE_OBJECT) return { kind: 'object', count: this.#keep('count', key, () => this.#local.count(key)) };
    if (shape >= SHAPE_ARRAY) return { kind: 'array', count: shape - SHAPE_ARRAY };
    return { kind: 'scalar', count: 0, text: shortened(JSON.stringify(this.#state.get(path)), characters) };
  }

  /** What is there as JSON, with `…` for what would be too much to read. */
  #text(path) {
    const lines = [];
    let room = TEXT_CHARACTERS;
    const put = (line) => {
      lines.push(line.length > room ? `${line.slice(0, room)}…` : line);
      room -= line.length;
    };
    const write = (at, indent, label, end) => {
      const { kind, count } = this.#look(at);
      if (kind === 'nothing' || kind === 'scalar') {
        put(`${indent}${label}${kind === 'scalar' ? JSON.stringify(this.#state.get(at)) : ''}${end}`);
        return;
      }
      const [open, close] = kind === 'array' ? '[]' : '{}';
      if (count === 0 || count > PAGE_MEMBERS || room < 0) {
        put(`${indent}${label}${open}${count === 0 ? '' : ` … ${count} members `}${close}${end}`);
        return;
      }
      put(`${indent}${label}${open}`);
      const names = kind === 'array' ? indexes(0, count) : this.#names(at);
      for (const [index, name] of names.entries()) {
        if (room < 0) break;
        const title = kind === 'array' ? '' : `${JSON.stringify(name)}: `;
        write([...at, name], `${indent}  `, title, index === names.length - 1 ? '' : ',');
      }
      put(room < 0 ? `${indent}…` : `${indent}${close}${end}`);
    };
    write(path, '', '', '');
    return lines.join('\n');
  }

  /** In order. */
  #names(path) {
    const key = toKey(path);
    return this.#keep('names', key, () => this.#local.names(key).sort());
  }

  /** What takes long for very many members is not done for every look. */
  #keep(what, key, make) {
    const id = `${what} ${nameOf(key)}`;
    const start = performance.now();
    const kept = this.#kept.get(id);
    if (kept !== undefined && start < kept.until) return kept.value;
    const value = make();
    const end = performance.now();
    this.#kept.delete(id);
    this.#kept.set(id, { value, until: end + (end - start) * KEPT_RATIO });
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value);
    return value;
  }
}

function indexes(start, count) {
  const length = Math.max(0, Math.min(PAGE_MEMBERS, count - start));
  return Array.from({ length }, (_, at) => String(start + at));
}

function shortened(json, characters) {
  return json.length > characters ? `${json.slice(0, characters)}…` : json;
}

module.exports = { PAGE_MEMBERS, Branches };
