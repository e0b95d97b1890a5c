/* Where nodes stand in the picture. */

/** Room for a name beside a node, or above and below it. */
const SIDE = 124;
const SIDE_NARROW = 52;
const LINES = 44;
const EDGE = 12;
/** Narrower than this names stand above and below. */
const NARROW = 480;

/** Up to so many nodes there is room for more than their names. */
export const ROOMY_MAX = 12;

/**
 * Places on an ellipse that fills the room there is, from the top on, clockwise.
 *
 * @param {number} count
 * @param {{width: number, height: number}} size
 * @returns {{radius: number, places: object[]}} places as `{x, y, out, side, isTop}`: `out` is the
 *   way outwards, of length 1; `side` where the name stands, 0 above or below
 */
export function layout(count, { width, height }) {
  const isNarrow = width < NARROW;
  const radius = count <= ROOMY_MAX ? 25 : count <= 32 ? 13 : 6;
  const start = count === 2 ? Math.PI : -Math.PI / 2;
  const points = Array.from({ length: count }, (_, index) => {
    const angle = start + (index / count) * 2 * Math.PI;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    return { x, y, out: { x, y }, side: isNarrow || Math.abs(x) < (count <= ROOMY_MAX ? 0.3 : 0.12) ? 0 : Math.sign(x), isTop: y < -0.3 };
  });
  const hasBelow = points.some(({ side, isTop }) => side === 0 && !isTop);
  const side = isNarrow ? SIDE_NARROW : SIDE + radius;
  const across = scale(points.map(({ x }) => x), side, width - side);
  const down = scale(points.map(({ y }) => y), radius + LINES, height - radius - (hasBelow ? LINES : EDGE));
  return { radius, places: points.map(({ x, y, ...point }) => ({ x: across(x), y: down(y), ...point })) };
}

/** From the extent of some numbers to what lies between two others; to its middle if they are one. */
function scale(numbers, from, to) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  if (high - low < 1e-6) return () => (from + to) / 2;
  return (number) => from + ((number - low) / (high - low)) * Math.max(0, to - from);
}
