/* Tables: of all nodes, and of the peers of the one that was chosen. */

import { keep, make, set, write } from './dom.js';
import { bytes, count, ms, rate } from './format.js';
import { level, words } from './lag.js';
import { standing } from './mesh.js';

export function updateNodes(body, { nodes, links }, chosen) {
  keep(body, nodes, {
    key: ({ id }) => id,
    create: () => make('tr', {}, make('th', { scope: 'row' }), ...Array.from({ length: 8 }, (_, index) => (
      make('td', { class: index === 0 ? 'code' : index === 2 ? 'lag' : 'number' })))),
    update: (row, node) => {
      const mine = links.filter(({ a, b }) => a === node.id || b === node.id);
      const state = standing(node, mine, nodes.length);
      set(row, { class: `${state.class}${node.id === chosen ? ' is-chosen' : ''}`, 'data-id': node.id });
      const { rates } = node;
      const cells = [
        node.name, node.address ?? 'does not listen', count(mine.length), state.words, count(node.paths),
        rate(rates?.writes), rate(rates?.received), rate(rates?.jobs), rates ? `${bytes(rates.bytesOut)}/s` : '–',
      ];
      for (const [index, cell] of cells.entries()) write(row.children[index], cell);
    },
  });
}

/** The links of the node that was chosen. */
export function updateChosen(element, { nodes, links }, chosen) {
  const node = nodes.find(({ id }) => id === chosen);
  set(element, { hidden: node === undefined });
  if (node === undefined) return;
  if (element.children.length === 0) {
    const columns = ['Peer', 'Round trip', 'Lag'].map((title, index) => make('th', { scope: 'col', class: index === 1 ? 'number' : null }, title));
    element.append(make('p', {}, make('b'), make('span', { class: 'soft' })),
      make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Its links' },
        make('table', {}, make('thead', {}, make('tr', {}, ...columns)), make('tbody'))));
  }
  const [about, { firstChild: table }] = element.children;
  write(about.children[0], node.name);
  const tags = Object.entries(node.tags ?? {}).map(([key, value]) => `${key}: ${value}`);
  write(about.children[1], ` ${[node.address, ...tags, node.id].filter(Boolean).join(' · ')}`);
  const names = new Map(nodes.map(({ id, name }) => [id, name]));
  const mine = links.filter(({ a, b }) => a === chosen || b === chosen)
    .map((link) => ({ ...link, peer: link.a === chosen ? link.b : link.a }))
    .sort((a, b) => nodes.findIndex(({ id }) => id === a.peer) - nodes.findIndex(({ id }) => id === b.peer));
  keep(table.tBodies[0], mine, {
    key: ({ peer }) => peer,
    create: () => make('tr', {}, make('th', { scope: 'row' }), make('td', { class: 'number' }), make('td', { class: 'lag' })),
    update: (row, link) => {
      set(row, { class: link.isBusy ? 'is-busy' : `level-${level(link)}` });
      write(row.children[0], names.get(link.peer) ?? link.peer);
      write(row.children[1], ms(link.rtt));
      write(row.children[2], link.isBusy ? `busy, ${words(link)}` : words(link));
    },
  });
}
