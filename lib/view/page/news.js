/* Who came and went. */

import { keep, make, write } from './dom.js';
import { time } from './format.js';

const WORDS = {
  came: 'has come', went: 'has gone', silent: 'does not answer', speaks: 'answers again', through: 'is now what this view looks through',
};
const SHOWN_MAX = 12;

export class News {
  #list;
  #said;
  /** When the last thing was told that was said aloud. */
  #last;

  constructor(list, said) {
    this.#list = list;
    this.#said = said;
  }

  update(news) {
    const shown = news.length === 0 ? [{ what: 'none' }] : news.slice(-SHOWN_MAX).reverse();
    keep(this.#list, shown, {
      key: ({ at, what, id }) => `${at} ${what} ${id}`,
      create: ({ at, what, name }) => (what === 'none'
        ? make('li', { class: 'soft none' }, 'Nobody since this view was opened.')
        : make('li', { class: `is-${what}` }, make('time', { datetime: new Date(at).toISOString() }, time(at)), make('span', {}, `${name} ${WORDS[what]}`))),
      update: () => {},
    });
    // What happened before the page was opened is not said.
    const fresh = this.#last === undefined ? [] : news.filter(({ at }) => at > this.#last);
    this.#last = news.at(-1)?.at ?? this.#last ?? 0;
    if (fresh.length > 0) write(this.#said, fresh.map(({ name, what }) => `${name} ${WORDS[what]}`).join('. '));
  }
}
