'use strict';

/** Rounds in, medians and ratios out; a table for people. */

function median(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (known.length === 0) return null;
  const middle = known.length >> 1;
  return known.length % 2 ? known[middle] : (known[middle - 1] + known[middle]) / 2;
}

/**
 * One row's figures. Of each rival: `ratio` is ours to it, of the medians; `low` and `high` are the
 * extremes over the rounds, the sides of a round having run one right after the other.
 */
function summarize(row, figures) {
  const rounds = Object.fromEntries(Object.entries(figures)
    .map(([side, measured]) => [side, measured.map((values) => values[row.id] ?? null)]));
  const medians = Object.fromEntries(Object.entries(rounds)
    .map(([side, values]) => [side, median(values)]));
  const versus = {};
  for (const rival of Object.keys(figures).filter((side) => side !== 'ours')) {
    const perRound = rounds.ours
      .slice(0, rounds[rival].length)
      .map((value, round) => ratioOf(value, rounds[rival][round]))
      .filter((ratio) => ratio !== null);
    versus[rival] = {
      ratio: ratioOf(medians.ours, medians[rival]),
      low: perRound.length ? Math.min(...perRound) : null,
      high: perRound.length ? Math.max(...perRound) : null,
    };
  }
  return { ...row, medians, versus, rounds };
}

/** Null where there is nothing to compare, also where a clock was too coarse to see anything. */
function ratioOf(ours, plain) {
  return ours > 0 && plain > 0 ? ours / plain : null;
}

function markdown({ machine, scenarios, absent, missed }) {
  const lines = [machineLine(machine), ''];
  for (const { name, cases } of scenarios) {
    for (const { title, rounds, sides, rows, profile } of cases) {
      const rivals = sides.filter((side) => side !== 'ours');
      const heads = rivals.map((rival) => `ours to ${rival} (range over rounds)`);
      lines.push(`**${name}: ${title}** (${rounds} ${rounds === 1 ? 'round' : 'rounds'})`, '');
      lines.push(cells(['', ...heads, ...sides]));
      lines.push(cells(['---', ...heads.map(() => '---'), ...sides.map(() => '---:')]));
      for (const row of rows) {
        const verdicts = rivals.map((rival) => verdict(row, row.versus[rival]));
        const amounts = sides.map((side) => amount(row.medians[side], row.unit));
        lines.push(cells([row.title, ...verdicts, ...amounts]));
      }
      lines.push('');
      if (profile.length > 0) lines.push(profileLine(profile), '');
    }
  }
  for (const line of [...absent, ...missed]) lines.push(`* ${line}`);
  return lines.join('\n').trimEnd();
}

/** Of the first round, the largest first. */
function profileLine(profile) {
  const parts = profile
    .filter(({ round }) => round === profile[0].round)
    .map(({ place, share }) => `${place} ${Math.round(share * 100)} %`);
  return `CPU of all processes: ${parts.join('; ')}.`;
}

function cells(texts) {
  return `| ${texts.join(' | ')} |`.replace(/\|  \|/g, '| |');
}

function machineLine(machine) {
  const { cores, cpu, memoryGb, platform, node, date, ours, plain } = machine;
  const [before, after] = [machine.loadAtStart, machine.loadAtEnd].map((load) => load.toFixed(1));
  return `${cores} cores (${cpu}), ${memoryGb} GB, ${platform}, Node.js ${node}, ${date}, `
    + `load ${before} before and ${after} after. Ours: ${ours}; plain: ${plain}.`;
}

/** "3.20 times as fast (3.00 to 3.50)": turned so that the median's number is above 1. */
function verdict({ more, words }, { ratio, low, high }) {
  if (ratio === null) return '–';
  const better = more ? ratio >= 1 : ratio <= 1;
  const turned = better !== Boolean(more);
  const times = (value) => significant(turned ? 1 / value : value, { keepZeros: true });
  const [least, most] = turned ? [high, low] : [low, high];
  return `**${times(ratio)} times as ${words[better ? 0 : 1]}** (${times(least)} to ${times(most)})`;
}

function amount(value, unit) {
  if (value === null) return '–';
  return `${significant(value)}${unit.startsWith('/') ? '' : ' '}${unit}`;
}

/** Three significant digits from 1 up, two below; never an exponent. */
function significant(value, { keepZeros = false } = {}) {
  const digits = Math.abs(value) >= 1 ? 3 : 2;
  return value.toLocaleString('en', {
    maximumSignificantDigits: digits,
    minimumSignificantDigits: keepZeros ? digits : 1,
  });
}

module.exports = { summarize, markdown, amount, significant };
