'use strict';

/** Plots in a terminal. */

const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/** For terminals that have no others. */
const ASCII = [' ', '.', '.', ':', ':', '|', '|', '#', '#'];

/**
 * Bars of the latest values, the last at the right, as lines from top to bottom.
 *
 * @param {number[]} values not negative; what is not finite is left out
 * @param {{width: number, height: number, isUnicode?: boolean}} size
 */
function plot(values, { width, height, isUnicode = true }) {
  const levels = isUnicode ? BLOCKS : ASCII;
  const steps = levels.length - 1;
  const shown = values.slice(-width);
  const most = Math.max(...shown.filter(Number.isFinite), 0);
  const bars = shown.map((value) => {
    if (!(value > 0) || !Number.isFinite(value)) return 0;
    return Math.max(1, Math.round((value / most) * height * steps));
  });
  return Array.from({ length: height }, (_, line) => {
    const below = (height - 1 - line) * steps;
    const row = bars.map((bar) => levels[Math.min(steps, Math.max(0, bar - below))]).join('');
    return row.padStart(width);
  });
}

module.exports = { plot };
