// Marks in an image, as a study keeps them: points and ellipses in pixels from the centre of the first one. Rules without
// a screen.

const LEAST_RADIUS = 1; // pixels

/** A mark without a rating at a position. */
export const pointAt = (image, { x, y }) => ({ shape: 'point', image: image.number, ...within(image, { x, y }) });

/** An ellipse about a centre, as far as a corner of the box that holds it. */
export const ellipseAt = (image, centre, corner) => ({
  shape: 'ellipse',
  image: image.number,
  ...within(image, centre),
  radius_x: rounded(Math.max(LEAST_RADIUS, Math.abs(corner.x - centre.x))),
  radius_y: rounded(Math.max(LEAST_RADIUS, Math.abs(corner.y - centre.y))),
  angle: 0,
});

/** A mark with its centre elsewhere. */
export const movedTo = (mark, image, position) => ({ ...mark, ...within(image, position) });

/** Which mark of an image has its centre within a distance of a position, the nearest; -1 if none. */
export function indexNear(marks, number, { x, y }, distance) {
  const away = mark => (mark.image === number ? Math.hypot(mark.x - x, mark.y - y) : Infinity);
  const nearest = marks.reduce((best, mark, index) => (away(mark) < away(marks[best] ?? {}) ? index : best), -1);
  return nearest >= 0 && away(marks[nearest]) <= distance ? nearest : -1;
}

/** A position that is in the image, to a hundredth of a pixel. */
export const within = ({ rows, columns }, { x, y }) => ({
  x: rounded(Math.min(Math.max(x, -0.5), columns - 0.5)),
  y: rounded(Math.min(Math.max(y, -0.5), rows - 0.5)),
});

const rounded = number => Math.round(number * 100) / 100;
