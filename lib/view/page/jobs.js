/* Jobs that run, with what has become of each on every node. */

import { keep, make, set, write } from './dom.js';
import { ms, plural } from './format.js';

const SIGNS = { ok: '✓', running: '…', error: '✕', 'no-worker': '∅', busy: '!', lost: '⌁', timeout: '⏱', aborted: '⊘' };
const SHOWN_MAX = 24;
/** What has just begun is mostly over before anybody has read its name. */
const AGE_MS_MIN = 250;

export class Jobs {
  #list;
  #about;

  constructor(list, about) {
    this.#list = list;
    this.#about = about;
  }

  update(jobs, at) {
    write(this.#about, jobs.length === 0 ? 'none' : plural(jobs.length, 'job'));
    const shown = jobs.filter(({ startedMs }) => at - startedMs >= AGE_MS_MIN).slice(0, SHOWN_MAX);
    keep(this.#list, shown.length === 0 ? [{ id: 'none' }] : shown, {
      key: ({ id }) => id,
      create: (job) => (job.id === 'none' ? make('li', { class: 'soft none' }, 'Nothing runs for longer than a look takes.') : create()),
      update: (item, job) => job.id !== 'none' && update(item, job, at),
    });
  }
}

function create() {
  return make('li', { class: 'job' },
    make('div', { class: 'title' }, make('b'), make('span', { class: 'soft' })),
    make('div', { class: 'bar', role: 'progressbar', 'aria-valuemin': '0' }, make('i')),
    make('ul', { class: 'outcomes' }));
}

function update(item, { name, caller, startedMs, deadlineMs, outcomes }, at) {
  const [title, bar, list] = item.children;
  const done = outcomes.filter(({ status }) => status !== 'running').length;
  write(title.children[0], name);
  write(title.children[1], `by ${caller} · for ${ms(Math.max(0, at - startedMs))}, ${ms(Math.max(0, deadlineMs - at))} left`);
  set(bar, { 'aria-valuemax': outcomes.length, 'aria-valuenow': done, 'aria-label': `${name}: ${done} of ${outcomes.length} nodes` });
  bar.firstChild.style.setProperty('--part', outcomes.length === 0 ? 0 : done / outcomes.length);
  const sorted = [...outcomes].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  keep(list, sorted, {
    key: ({ node }) => node,
    create: () => make('li', {}, make('i', { 'aria-hidden': 'true' }), make('span'), make('span', { class: 'unseen' })),
    update: (outcome, { name: node, status }) => {
      set(outcome, { class: `outcome is-${status}`, title: `${node}: ${status}` });
      const [sign, label, word] = outcome.children;
      write(sign, SIGNS[status] ?? '?');
      write(label, node);
      write(word, `: ${status}`);
    },
  });
}
