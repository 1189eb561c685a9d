// Where the breast lies in a mammogram, as far as placing something on it needs: its first and last column.

import { chestWallEdge } from './orientation.js';

const SAMPLES = 200; // rows and columns that are looked at
const AIR = 0.05; // of the range of grey values: what differs more from the air is no air
const LABELS = 0.1; // of the rows: a column with less of what is no air holds a label or a speck

/**
 * The columns [from, to) of an image that the breast covers, nipple included; the whole width if nothing tells it from
 * the air. `values`: grey values row by row, dark or bright air.
 */
export function breastColumns(instance, values, columns, rows) {
  const air = airOf(instance, values, columns, rows);
  const sampled = spread(rows).flatMap(row => spread(columns).map(column => values[row * columns + column]));
  const range = sampled.reduce((most, value) => Math.max(most, Math.abs(value - air)), 0);
  const isTissue = value => Math.abs(value - air) > AIR * range;
  const places = spread(rows);
  const covered = spread(columns).filter(
    column => places.filter(row => isTissue(values[row * columns + column])).length > LABELS * places.length
  );
  return covered.length ? [covered[0], covered.at(-1) + 1] : [0, columns];
}

/** The median of the edge that faces away from the chest wall. */
function airOf(instance, values, columns, rows) {
  const column = chestWallEdge(instance) === 'right' ? 0 : columns - 1;
  const edge = spread(rows).map(row => values[row * columns + column]);
  return edge.sort((one, other) => one - other)[edge.length >> 1];
}

/** Indices spread evenly over so many, first and last among them. */
function spread(count) {
  const samples = Math.min(SAMPLES, count);
  return Array.from({ length: samples }, (_, index) => Math.round((index * (count - 1)) / Math.max(1, samples - 1)));
}
