'use strict';

/** Rounds in, medians and ratios out; a table for people. */

function median(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (known.length === 0) return null;
  const middle = known.length >> 1;
  return known.length % 2 ? known[middle] : (known[middle - 1] + known[middle]) / 2;
}

/**
 * One row's figures. `ratio` is ours to plain, of the medians; `ratioLow` and `ratioHigh` are the
 * extremes over the rounds, each round's two halves having run one right after the other.
 */
function summarize(row, ours, plain) {
  const oursRounds = ours.map((figures) => figures[row.id]);
  const plainRounds = plain.map((figures) => figures[row.id]);
  const perRound = oursRounds
    .slice(0, plainRounds.length)
    .map((value, round) => ratioOf(value, plainRounds[round]))
    .filter((ratio) => ratio !== null);
  return {
    ...row,
    ours: median(oursRounds),
    plain: median(plainRounds),
    ratio: ratioOf(median(oursRounds), median(plainRounds)),
    ratioLow: perRound.length ? Math.min(...perRound) : null,
    ratioHigh: perRound.length ? Math.max(...perRound) : null,
    rounds: { ours: oursRounds, plain: plainRounds },
  };
}

/** Null where there is nothing to compare, also where a clock was too coarse to see anything. */
function ratioOf(ours, plain) {
  return ours > 0 && plain > 0 ? ours / plain : null;
}

function markdown({ machine, scenarios, missed }) {
  const lines = [machineLine(machine), ''];
  for (const { name, cases } of scenarios) {
    for (const { title, rounds, rows } of cases) {
      lines.push(`**${name}: ${title}** (${rounds} ${rounds === 1 ? 'round' : 'rounds'})`, '');
      lines.push('| | ours is (range over rounds) | ours | plain |', '| --- | --- | ---: | ---: |');
      for (const row of rows) {
        const [ours, plain] = [row.ours, row.plain].map((value) => amount(value, row.unit));
        lines.push(`| ${row.title} | ${verdict(row)} | ${ours} | ${plain} |`);
      }
      lines.push('');
    }
  }
  for (const line of missed) lines.push(`* ${line}`);
  return lines.join('\n').trimEnd();
}

function machineLine(machine) {
  const { cores, cpu, memoryGb, platform, node, date, ours, plain } = machine;
  const [before, after] = [machine.loadAtStart, machine.loadAtEnd].map((load) => load.toFixed(1));
  return `${cores} cores (${cpu}), ${memoryGb} GB, ${platform}, Node.js ${node}, ${date}, `
    + `load ${before} before and ${after} after. Ours: ${ours}; plain: ${plain}.`;
}

/** "3.20 times as fast (3.00 to 3.50)": turned so that the median's number is above 1. */
function verdict({ ratio, ratioLow, ratioHigh, more, words }) {
  if (ratio === null) return '–';
  const better = more ? ratio >= 1 : ratio <= 1;
  const turned = better !== Boolean(more);
  const times = (value) => significant(turned ? 1 / value : value, { keepZeros: true });
  const [low, high] = turned ? [ratioHigh, ratioLow] : [ratioLow, ratioHigh];
  return `**${times(ratio)} times as ${words[better ? 0 : 1]}** (${times(low)} to ${times(high)})`;
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

module.exports = { summarize, markdown, amount };
