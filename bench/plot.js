'use strict';

/** The headline ratios as a picture: one line for each row and rival, on a logarithmic scale. */

const { significant } = require('./report');

const LABELS = 430;
const WIDTH = 900;
const RIGHT = 70;
const LINE = 17;
const GAP = 9;
const TOP = 64;
const COLOURS = { plain: '#5b7a99', redis: '#b8483c', lmdb: '#8a6d1d', moleculer: '#6b4fa0', nats: '#2b7f62' };
const FALLBACK = '#666';

/** SVG text. */
function plot({ machine, scenarios }) {
  const rows = rowsOf(scenarios);
  const values = rows.flatMap(({ marks }) => marks.flatMap(({ low, high }) => [low, high]));
  const least = Math.floor(Math.log10(Math.min(0.5, ...values)));
  const most = Math.ceil(Math.log10(Math.max(20, ...values)));
  const x = (times) => LABELS + (Math.log10(times) - least) / (most - least) * (WIDTH - LABELS - RIGHT);

  const parts = [];
  let y = TOP;
  for (const { label, marks } of rows) {
    const middle = y + marks.length * LINE / 2;
    parts.push(`<text x="${LABELS - 12}" y="${middle + 4}" text-anchor="end">${escape(label)}</text>`);
    for (const mark of marks) {
      parts.push(drawn(mark, x, y + LINE / 2));
      y += LINE;
    }
    y += GAP;
  }
  const height = y + 30;
  const axis = [];
  for (let power = least; power <= most; power++) {
    const at = x(10 ** power);
    const strong = power === 0 ? ' class="one"' : '';
    axis.push(`<line x1="${at}" x2="${at}" y1="${TOP - 8}" y2="${y}"${strong}/>`);
    const text = power === 0 ? 'equal' : power > 0 ? `${10 ** power}x` : `1/${10 ** -power}`;
    axis.push(`<text x="${at}" y="${TOP - 14}" text-anchor="middle" class="axis">${text}</text>`);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">
<title id="title">How many times better collective-io is than each rival</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #222 }
.axis, .note { fill: #666 }
line { stroke: #ddd }
.one { stroke: #888 }
.head { font-size: 15px; font-weight: 600 }
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="26" class="head">collective-io beside its rivals: times as good; further right is better</text>
${axis.join('\n')}
${parts.join('\n')}
<text x="16" y="${height - 10}" class="note">${escape(noteOf(machine))}</text>
</svg>
`;
}

function rowsOf(scenarios) {
  const rows = [];
  for (const { name, cases } of scenarios) {
    for (const { title, rows: all } of cases) {
      for (const row of all.filter(({ plotted }) => plotted)) {
        const marks = Object.entries(row.versus)
          .filter(([, { ratio }]) => ratio !== null)
          .map(([rival, versus]) => ({ rival, ...turned(row, versus) }));
        if (marks.length > 0) rows.push({ label: labelOf(name, title, row.title), marks });
      }
    }
  }
  return rows;
}

/** Above 1 is where ours is better. */
function turned({ more }, { ratio, low, high }) {
  return more ? { ratio, low, high } : { ratio: 1 / ratio, low: 1 / high, high: 1 / low };
}

function labelOf(scenario, title, row) {
  const text = `${scenario === 'reads' ? 'get' : title}: ${row}`;
  return text.length <= 68 ? text : `${text.slice(0, 67)}…`;
}

function drawn({ rival, ratio, low, high }, x, y) {
  const colour = COLOURS[rival] ?? FALLBACK;
  return `<line x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}" style="stroke:${colour};stroke-width:2"/>`
    + `<circle cx="${x(ratio)}" cy="${y}" r="4.5" fill="${colour}"/>`
    + `<text x="${x(Math.max(high, ratio)) + 9}" y="${y + 4}" style="fill:${colour}">${rival} ${significant(ratio)}x</text>`;
}

function noteOf({ cores, cpu, node, date }) {
  return `${cores} cores (${cpu}), Node.js ${node}, ${date}; dots are medians, lines the range over the rounds`;
}

function escape(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

module.exports = { plot };
