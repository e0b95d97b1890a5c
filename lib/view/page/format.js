/* Numbers and times for people. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

export const NOTHING = '–';

export function count(number) {
  if (number == null) return NOTHING;
  return number < 10_000 ? whole.format(number) : compact.format(number);
}

/** So many in a second. */
export function rate(number) {
  if (number == null) return NOTHING;
  return number < 10 && !Number.isInteger(number) ? tenths.format(number) : count(number);
}

export function ms(number) {
  if (number == null) return NOTHING;
  if (number > 0 && number < 1) return `${Math.round(number * 1000)} µs`;
  if (number < 10) return `${tenths.format(number)} ms`;
  if (number < 1000) return `${whole.format(number)} ms`;
  if (number < 60_000) return `${tenths.format(number / 1000)} s`;
  if (number < 3_600_000) return `${whole.format(number / 60_000)} min`;
  return `${tenths.format(number / 3_600_000)} h`;
}

export function bytes(number) {
  if (number == null) return NOTHING;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = number < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(number) / 10));
  return `${(power === 0 ? whole : tenths).format(number / 1024 ** power)} ${units[power]}`;
}

export function time(at) {
  return clock.format(at);
}

export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? '' : 's'}`;
}

/** A path as people write it: dotted where that will do. */
export function dotted(path) {
  if (path.length === 0) return 'all of the state';
  return path.every((segment) => segment !== '' && !segment.includes('.')) ? path.join('.') : JSON.stringify(path);
}
