// Brush strokes and outlines as pixels of a label map. Positions are in pixels of the image: (0, 0) is the outer corner
// of the first pixel, whose centre is (0.5, 0.5). A pixel belongs to a shape if its centre does.

/** Set every pixel within `radius` of the segment from `a` to `b`; what was touched, as a rectangle, or null. */
export function fillCapsule(map, a, b, radius, value) {
  const touched = within(map, [a, b], radius);
  if (!touched) return null;
  const length = (b.x - a.x) ** 2 + (b.y - a.y) ** 2;
  for (let row = touched.top; row < touched.bottom; row++) {
    for (let column = touched.left; column < touched.right; column++) {
      const x = column + 0.5 - a.x;
      const y = row + 0.5 - a.y;
      const along = length ? Math.min(1, Math.max(0, (x * (b.x - a.x) + y * (b.y - a.y)) / length)) : 0;
      const distance = (x - along * (b.x - a.x)) ** 2 + (y - along * (b.y - a.y)) ** 2;
      if (distance <= radius ** 2) map.pixels[row * map.columns + column] = value;
    }
  }
  return touched;
}

/** Set every pixel inside the closed outline (nonzero winding, so loops make no holes); what was touched, or null. */
export function fillPolygon(map, points, value) {
  const touched = within(map, points, 0);
  if (!touched) return null;
  for (let row = touched.top; row < touched.bottom; row++) {
    let winding = 0;
    crossings(points, row + 0.5).forEach(({ x, direction }, index, all) => {
      winding += direction;
      if (!winding) return;
      const next = all[index + 1].x; // a closed outline is left as often as it is entered
      const first = Math.max(touched.left, Math.ceil(x - 0.5));
      const end = Math.min(touched.right, Math.ceil(next - 0.5));
      if (first < end) map.pixels.fill(value, row * map.columns + first, row * map.columns + end);
    });
  }
  return touched;
}

/** The rectangle that holds both, either of which may be null. */
export function union(one, other) {
  if (!one || !other) return one || other;
  return {
    top: Math.min(one.top, other.top),
    left: Math.min(one.left, other.left),
    bottom: Math.max(one.bottom, other.bottom),
    right: Math.max(one.right, other.right),
  };
}

/** How many pixels of a map have a value, and the rectangle that holds them (null if none). */
export function find(map, value) {
  const first = map.pixels.indexOf(value);
  if (first < 0) return { count: 0, touched: null };
  const top = Math.floor(first / map.columns);
  const bottom = Math.floor(map.pixels.lastIndexOf(value) / map.columns) + 1;
  let [count, left, right] = [0, map.columns, 0];
  for (let row = top; row < bottom; row++) {
    for (let column = 0; column < map.columns; column++) {
      if (map.pixels[row * map.columns + column] !== value) continue;
      count++;
      if (column < left) left = column;
      if (column >= right) right = column + 1;
    }
  }
  return { count, touched: { top, left, bottom, right } };
}

/** A copy of the pixels of a map within a rectangle, row by row. */
export function cut(map, { top, left, bottom, right }) {
  const pixels = new Uint8Array((bottom - top) * (right - left));
  for (let row = top; row < bottom; row++) {
    const start = row * map.columns;
    pixels.set(map.pixels.subarray(start + left, start + right), (row - top) * (right - left));
  }
  return pixels;
}

/** Put such a copy back. */
export function paste(map, { top, left, bottom, right }, pixels) {
  const width = right - left;
  for (let row = top; row < bottom; row++) {
    map.pixels.set(pixels.subarray((row - top) * width, (row - top + 1) * width), row * map.columns + left);
  }
}

/** Give pixels the value of what lies nearest around them, of those values that `fills` marks; others become 0. */
export function fillFromAround(map, holes, fills) {
  const { pixels } = map;
  const isOpen = new Uint8Array(pixels.length);
  for (const index of holes) {
    isOpen[index] = 1;
    pixels[index] = 0;
  }
  const from = new Int32Array(holes.length); // from where each pixel of the queue gets its value
  const queue = new Int32Array(holes.length);
  let end = 0;
  const close = (index, source) => {
    isOpen[index] = 0;
    queue[end] = index;
    from[end++] = source;
  };
  for (const index of holes) {
    const source = around(map, index).find(other => fills[pixels[other]]);
    if (source !== undefined) close(index, source);
  }
  for (let at = 0; at < end; at++) {
    pixels[queue[at]] = pixels[from[at]];
    for (const other of around(map, queue[at])) if (isOpen[other]) close(other, queue[at]);
  }
}

/** Indices of the pixels above, below, left and right of one. */
function around({ rows, columns }, index) {
  const column = index % columns;
  const found = [];
  if (index >= columns) found.push(index - columns);
  if (index < (rows - 1) * columns) found.push(index + columns);
  if (column > 0) found.push(index - 1);
  if (column < columns - 1) found.push(index + 1);
  return found;
}

function within(map, points, margin) {
  const x = points.map(point => point.x);
  const y = points.map(point => point.y);
  const least = values => values.reduce((a, b) => Math.min(a, b));
  const most = values => values.reduce((a, b) => Math.max(a, b));
  const touched = {
    top: Math.max(0, Math.floor(least(y) - margin)),
    left: Math.max(0, Math.floor(least(x) - margin)),
    bottom: Math.min(map.rows, Math.ceil(most(y) + margin)),
    right: Math.min(map.columns, Math.ceil(most(x) + margin)),
  };
  return touched.top < touched.bottom && touched.left < touched.right ? touched : null;
}

function crossings(points, y) {
  const found = [];
  let a = points[points.length - 1];
  for (const b of points) {
    if (a.y <= y !== b.y <= y) {
      found.push({ x: a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x), direction: a.y < b.y ? 1 : -1 });
    }
    a = b;
  }
  return found.sort((one, other) => one.x - other.x);
}
