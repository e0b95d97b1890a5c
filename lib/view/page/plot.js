/* A plot over time: lines, and the same as text and as a table. */

import { draw, keep, make, set, write } from './dom.js';
import { NOTHING, time } from './format.js';

const SPAN_MS_MIN = 60_000;
const SPAN_MS_MAX = 300_000;
/** Samples further apart than this are not joined by a line. */
const GAP_MS = 4000;
const TABLE_STEP_MS = 15_000;
const MARGIN = { left: 46, right: 10, top: 10, bottom: 20 };
/** On the right if there is a scale of its own. */
const MARGIN_SCALE = 46;

export class Plot {
  #series;
  #isLog;
  #rightMin;
  #say;
  #right;
  #svg;
  #grid;
  #lines;
  #area;
  #cursor;
  #values;
  #body;
  #details;
  #title;
  #samples = [];
  /** Of the sample that is pointed at; otherwise the last is told. */
  #pointed;
  #readout;

  /**
   * @param {HTMLElement} figure
   * @param {object} about
   * @param {string} about.title
   * @param {{key: string, label: string, format: (value: number | null) => string, isRight?: boolean}[]} about.series
   *   `isRight`: on a scale of its own, of which each line is as much above the one below
   * @param {(text: string) => void} about.say to who cannot see it
   * @param {boolean} [about.isLog] each line of the grid is ten times the one below
   * @param {number} [about.rightMin] the least that the scale on the right reaches to
   */
  constructor(figure, { title, series, say, isLog = false, rightMin = 0 }) {
    this.#series = series;
    this.#say = say;
    this.#isLog = isLog;
    this.#rightMin = rightMin;
    this.#right = series.some(({ isRight }) => isRight) ? MARGIN_SCALE : MARGIN.right;
    this.#title = title;
    this.#grid = draw('g', { class: 'grid' });
    this.#area = draw('path', { class: 'area series-0' });
    this.#lines = series.map((_, index) => draw('path', { class: `curve series-${index}` }));
    this.#cursor = draw('g', { class: 'cursor' }, draw('line', {}), ...series.map((_, index) => draw('circle', { r: 3.5, class: `series-${index}` })));
    this.#svg = draw('svg', { role: 'img', tabindex: '0' }, this.#grid, this.#area, ...this.#lines, this.#cursor);
    this.#values = series.map(() => make('b', {}, NOTHING));
    this.#readout = make('span', { class: 'soft when' });
    const legend = make('ul', { class: 'legend' }, ...series.map(({ label }, index) => (
      make('li', {}, make('i', { class: `dot series-${index}` }), this.#values[index], ` ${label}`))));
    this.#body = make('tbody');
    const head = make('tr', {}, make('th', { scope: 'col' }, 'Time'),
      ...series.map(({ label }) => make('th', { scope: 'col', class: 'number' }, label)));
    this.#details = make('details', {}, make('summary', {}, 'As a table'),
      make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${title}, as a table` },
        make('table', {}, make('thead', {}, head), this.#body)));
    figure.append(make('figcaption', {}, make('h2', {}, title), this.#readout, legend), this.#svg, this.#details);
    this.#listen();
    new ResizeObserver(() => this.#draw()).observe(this.#svg);
  }

  update(samples) {
    this.#samples = samples;
    this.#draw();
  }

  #draw() {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (this.#samples.length === 0 || width === 0) return;
    const { end, span } = this.#span();
    const shown = this.#samples.filter(({ at }) => at >= end - span);
    const x = (at) => width - this.#right - ((end - at) / span) * (width - MARGIN.left - this.#right);
    const place = (part) => height - MARGIN.bottom - part * (height - MARGIN.top - MARGIN.bottom);
    const scaleOf = (isRight) => {
      const values = shown.flatMap((sample) => this.#series
        .filter((series) => Boolean(series.isRight) === isRight)
        .map(({ key }) => sample[key]).filter((value) => value != null));
      if (isRight) return even([this.#rightMin, ...values]);
      return this.#isLog ? decades(values) : even(values);
    };
    const scales = [scaleOf(false), scaleOf(true)];
    const ys = this.#series.map(({ isRight }) => (value) => place(scales[isRight ? 1 : 0].part(value)));
    set(this.#svg, { viewBox: `0 0 ${width} ${height}` });
    this.#drawGrid({ width, height, span, x, end, place, scales });
    for (const [index, { key }] of this.#series.entries()) set(this.#lines[index], { d: curve(shown, key, x, ys[index]) || null });
    set(this.#area, { d: area(shown, this.#series[0].key, x, ys[0], place(0)) || null });
    this.#tell(shown, { x, ys, height });
    this.#tabulate(shown);
  }

  /** How the numbers of a scale are written. */
  #formatOf(isRight) {
    return this.#series.find((series) => Boolean(series.isRight) === isRight).format;
  }

  /** When the plot ends, and how long it is. */
  #span() {
    const end = this.#samples.at(-1).at;
    return { end, span: Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, end - this.#samples[0].at)) };
  }

  #drawGrid({ width, height, span, x, end, place, scales: [left, right] }) {
    const hasRight = this.#right === MARGIN_SCALE;
    const rows = left.ticks.map((value, index) => ({ id: `y${index}`, y: place(left.part(value)), text: this.#formatOf(false)(value) }));
    const others = hasRight ? right.ticks.map((value, index) => ({ id: `r${index}`, y: place(right.part(value)), text: this.#formatOf(true)(value), isRight: true })) : [];
    const step = span > 120_000 ? 60_000 : 30_000;
    const columns = Array.from({ length: Math.floor(span / step) }, (_, index) => {
      const ago = (index + 1) * step;
      return { id: `x${ago}`, x: x(end - ago), text: ago % 60_000 === 0 ? `−${ago / 60_000} min` : `−${ago / 1000} s` };
    });
    keep(this.#grid, [...rows, ...others, ...columns, { id: 'now', x: x(end), text: 'now', isLast: true }], {
      key: ({ id }) => id,
      create: () => draw('g', {}, draw('line', {}), draw('text', {})),
      update: (group, mark) => {
        const [line, text] = group.children;
        if (mark.y === undefined) {
          const anchor = mark.isLast && !hasRight ? 'end' : mark.x < MARGIN.left + 20 ? 'start' : 'middle';
          set(line, { x1: mark.x, x2: mark.x, y1: height - MARGIN.bottom, y2: height - MARGIN.bottom + 4 });
          set(text, { x: mark.x, y: height - 4, 'text-anchor': anchor });
        } else if (mark.isRight) {
          set(text, { x: width - this.#right + 8, y: mark.y + 4, class: 'series-1' });
        } else {
          set(line, { x1: MARGIN.left, x2: width - this.#right, y1: mark.y, y2: mark.y });
          set(text, { x: MARGIN.left - 8, y: mark.y + 4, 'text-anchor': 'end', class: hasRight ? 'series-0' : null });
        }
        write(text, mark.text);
      },
    });
  }

  /** The values of the last sample, or of the one that is pointed at. */
  #tell(shown, { x, ys, height }) {
    const pointed = shown.find(({ at }) => at === this.#pointed);
    const sample = pointed ?? shown.at(-1);
    const texts = this.#series.map(({ key, format }) => format(sample[key]));
    for (const [index, text] of texts.entries()) write(this.#values[index], text);
    write(this.#readout, pointed ? `at ${time(sample.at)}` : '');
    const said = this.#series.map(({ key, label, format }, index) => `${texts[index]} ${label}, at most ${format(most(shown, key))}`);
    set(this.#svg, { 'aria-label': `${this.#title}, ${pointed ? time(sample.at) : 'the last minutes'}: ${said.join('; ')}. Arrow keys go back and forth.` });
    set(this.#cursor, { hidden: pointed ? null : 'hidden' });
    if (!pointed) return;
    const [line, ...dots] = this.#cursor.children;
    set(line, { x1: x(sample.at), x2: x(sample.at), y1: MARGIN.top, y2: height - MARGIN.bottom });
    for (const [index, { key }] of this.#series.entries()) {
      const value = sample[key];
      set(dots[index], value == null ? { visibility: 'hidden' } : { visibility: null, cx: x(sample.at), cy: ys[index](value) });
    }
  }

  #tabulate(shown) {
    if (!this.#details.open) return;
    const last = shown.at(-1).at;
    const rows = shown.filter(({ at }, index) => {
      const before = shown[index + 1]?.at ?? Infinity;
      return at === last || Math.floor(at / TABLE_STEP_MS) !== Math.floor(before / TABLE_STEP_MS);
    }).reverse();
    keep(this.#body, rows, {
      key: ({ at }) => at,
      create: () => make('tr', {}, make('th', { scope: 'row' }), ...this.#series.map(() => make('td', { class: 'number' }))),
      update: (row, sample) => {
        write(row.children[0], time(sample.at));
        for (const [index, { key, format }] of this.#series.entries()) write(row.children[index + 1], format(sample[key]));
      },
    });
  }

  #listen() {
    this.#details.addEventListener('toggle', () => this.#draw());
    this.#svg.addEventListener('pointermove', (event) => {
      const { left, width } = this.#svg.getBoundingClientRect();
      if (this.#samples.length === 0) return;
      const { end, span } = this.#span();
      const at = end - ((left + width - this.#right - event.clientX) / (width - MARGIN.left - this.#right)) * span;
      this.#point(this.#samples.reduce((best, sample) => (
        best === undefined || Math.abs(sample.at - at) < Math.abs(best.at - at) ? sample : best), undefined)?.at);
    });
    for (const event of ['pointerleave', 'blur']) this.#svg.addEventListener(event, () => this.#point(undefined));
    this.#svg.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const from = this.#samples.findIndex(({ at }) => at === this.#pointed);
      const start = from < 0 ? this.#samples.length - 1 : from;
      const sample = this.#samples[Math.max(0, Math.min(this.#samples.length - 1, start + step))];
      if (sample === undefined) return;
      this.#point(sample.at);
      this.#say(`${time(sample.at)}: ${this.#series.map(({ key, label, format }) => `${format(sample[key])} ${label}`).join(', ')}`);
    });
  }

  #point(at) {
    if (this.#pointed === at) return;
    this.#pointed = at;
    this.#draw();
  }
}

function most(samples, key) {
  const known = samples.map((sample) => sample[key]).filter((value) => value != null);
  return known.length === 0 ? null : Math.max(...known);
}

/** The pieces of a line, between samples that have no value or are missing. */
function pieces(samples, key) {
  const all = [];
  let last;
  for (const sample of samples) {
    if (sample[key] == null) {
      last = undefined;
      continue;
    }
    if (last === undefined || sample.at - last > GAP_MS) all.push([]);
    all.at(-1).push(sample);
    last = sample.at;
  }
  return all;
}

function curve(samples, key, x, y) {
  return pieces(samples, key)
    .map((piece) => `M${piece.map((sample) => `${x(sample.at).toFixed(1)} ${y(sample[key]).toFixed(1)}`).join('L')}`)
    .join('');
}

function area(samples, key, x, y, bottom) {
  return pieces(samples, key).map((piece) => {
    const points = piece.map((sample) => `${x(sample.at).toFixed(1)} ${y(sample[key]).toFixed(1)}`);
    return `M${x(piece[0].at).toFixed(1)} ${bottom}L${points.join('L')}L${x(piece.at(-1).at).toFixed(1)} ${bottom}Z`;
  }).join('');
}

/** From 0 to a number that divides well. */
function even(values) {
  const most = Math.max(0, ...values);
  const power = 10 ** Math.floor(Math.log10(most || 1));
  const top = most === 0 ? 1 : [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= most);
  return { ticks: [0, top / 2, top], part: (value) => value / top };
}

/** From one power of ten to another. */
function decades(values) {
  const known = values.filter((value) => value > 0);
  const low = known.length === 0 ? 0 : Math.floor(Math.log10(Math.min(...known)));
  const high = known.length === 0 ? 1 : Math.max(low + 1, Math.ceil(Math.log10(Math.max(...known))));
  const step = high - low > 4 ? 2 : 1;
  const ticks = [];
  for (let power = low; power <= high; power += step) ticks.push(10 ** power);
  return { ticks, part: (value) => (value > 0 ? Math.max(0, (Math.log10(value) - low) / (high - low)) : 0) };
}
