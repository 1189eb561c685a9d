import assert from 'node:assert/strict';
import { test } from 'node:test';

import { breastColumns } from '../../../monailabel_app/viewers/ohif/breast.js';

const [COLUMNS, ROWS] = [60, 80];
const LEFT = { ImageLaterality: 'L' };
const RIGHT = { ImageLaterality: 'R' };

/** Grey values of an image: `grey(column, row)`. */
const image = grey =>
  Float32Array.from({ length: COLUMNS * ROWS }, (_, index) => grey(index % COLUMNS, Math.floor(index / COLUMNS)));

/** Half an ellipse at the left edge, 30 columns deep. */
const isBreast = (column, row) => (column / 30) ** 2 + ((row - 40) / 35) ** 2 < 1;

function assertNear([from, to], [first, last]) {
  assert.ok(Math.abs(from - first) <= 1 && Math.abs(to - last) <= 3, `[${from}, ${to})`); // the tip is a few rows high
}

test('a breast covers its columns up to the nipple, in dark and in bright air', () => {
  assertNear(breastColumns(LEFT, image((x, y) => (isBreast(x, y) ? 2000 : 10)), COLUMNS, ROWS), [0, 30]);
  assertNear(breastColumns(LEFT, image((x, y) => (isBreast(x, y) ? 2000 : 4095)), COLUMNS, ROWS), [0, 30]);
});

test('a right breast lies at the right edge', () => {
  const mirrored = image((x, y) => (isBreast(COLUMNS - 1 - x, y) ? 2000 : 10));
  const [from, to] = breastColumns(RIGHT, mirrored, COLUMNS, ROWS);
  assertNear([COLUMNS - to, COLUMNS - from], [0, 30]);
});

test('a label in the air is no breast', () => {
  const isLabel = (x, y) => x >= 50 && x < 58 && y >= 2 && y < 8;
  const grey = (x, y) => (isBreast(x, y) || isLabel(x, y) ? 2000 : 10);
  assertNear(breastColumns(LEFT, image(grey), COLUMNS, ROWS), [0, 30]);
});

test('an image of one grey value is taken whole', () => {
  assert.deepEqual(breastColumns(LEFT, image(() => 7), COLUMNS, ROWS), [0, COLUMNS]);
});
