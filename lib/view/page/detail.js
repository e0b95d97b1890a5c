/* What stands at the path that was chosen, and why. */

import { keep, make, set, write } from './dom.js';
import { count, dotted, plural, time } from './format.js';

const KINDS = { nothing: 'nothing', scalar: 'a value', object: 'an object', array: 'an array' };
const HIDDEN_BY = {
  laterSet: 'by a later SET of the same key',
  laterValue: 'by a later value at the same key',
  laterCounter: 'by increments that are later',
  laterContainer: 'by something later in an object or array here',
  scalarAbove: 'by a value above',
  arrayAbove: 'by an array above, of which this is no element',
  lost: 'by nothing: this is a defect, please report it',
};

export class Detail {
  #element;
  #title = make('h3', { class: 'path' });
  #about = make('p', { class: 'soft' });
  #text = make('pre', { tabindex: '0', 'aria-label': 'Value' });
  #why = make('ol', { class: 'why' });
  #rest = make('p', { class: 'soft' });
  #reasons;
  #path;

  constructor(element) {
    this.#element = element;
    this.#reasons = make('div', {}, make('h4', {}, 'Why'), this.#why, this.#rest);
    element.append(make('p', { class: 'soft hint' }, 'Choose something on the left to see its value, who wrote it and why it is what it is.'));
  }

  get path() {
    return this.#path;
  }

  choose(path) {
    this.#path = path;
  }

  /** @param {(replica: string) => string} nameOf who that is, for people */
  async refresh(nameOf) {
    const path = this.#path;
    if (path === undefined) return;
    const response = await fetch(`explain?path=${encodeURIComponent(JSON.stringify(path))}`);
    // Something else may have been chosen meanwhile.
    if (path !== this.#path) return;
    if (!this.#title.isConnected) this.#element.replaceChildren(this.#title, this.#about, this.#text, this.#reasons);
    write(this.#title, dotted(path));
    if (!response.ok) {
      write(this.#about, await response.text());
      set(this.#text, { hidden: true });
      set(this.#reasons, { hidden: true });
      return;
    }
    const { kind, count: members, text, why } = await response.json();
    const size = kind === 'object' || kind === 'array' ? ` of ${plural(members, kind === 'array' ? 'element' : 'member')}` : '';
    write(this.#about, `Here is ${KINDS[kind]}${size}.`);
    set(this.#text, { hidden: kind === 'nothing' });
    write(this.#text, text);
    this.#explain(path, why, nameOf);
  }

  #explain(path, { things, cuts, leftOut, replica }, nameOf) {
    set(this.#reasons, { hidden: things.length + cuts.length === 0 });
    const who = (id) => (id === replica ? 'this view' : nameOf(id));
    const here = dotted(path);
    const rows = [
      ...things.map((thing, index) => ({
        id: `thing ${index}`,
        isHidden: !thing.shown,
        what: what(thing, who),
        about: `by ${who(thing.replica)} at ${time(thing.ms)}${thing.key === here ? '' : `, at ${thing.key}`}`,
      })),
      ...cuts.map((cut, index) => ({
        id: `cut ${index}`,
        isHidden: true,
        what: `INCREMENT, ${cut.amount} in all; removed by ${who(cut.byReplica)}`,
        about: `by ${who(cut.replica)}`,
      })),
    ];
    keep(this.#why, rows, {
      key: ({ id }) => id,
      create: () => make('li', {}, make('b'), make('span', { class: 'soft' })),
      update: (item, { isHidden, what, about }) => {
        set(item, { class: isHidden ? 'is-hidden' : null });
        write(item.children[0], what);
        write(item.children[1], about);
      },
    });
    write(this.#rest, leftOut > 0 ? `${count(leftOut)} more are not listed.` : '');
  }
}

/** What a write has left, in words. */
function what(thing, who) {
  const { kind, shape, json, amount, shown, hidden, settled } = thing;
  const left = {
    set: () => `SET ${shape === 'scalar' ? json : shape === 'array' ? 'an array' : 'an object'}`,
    increments: () => `INCREMENT, ${amount} in all${settled ? ', of a dead node' : ''}`,
    mark: () => `${shape === 'array' ? 'an array' : 'an object'}, as something was written below`,
  }[kind]?.() ?? kind;
  if (shown) return left;
  const reason = HIDDEN_BY[hidden?.why] ?? '';
  return `${left}; hidden ${reason}${hidden?.replica ? `, of ${who(hidden.replica)}` : ''}`;
}

