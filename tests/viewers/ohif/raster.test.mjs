import assert from 'node:assert/strict';
import { test } from 'node:test';

import { cut, fillCapsule, fillPolygon, find, paste, union } from '../../../monailabel_app/viewers/ohif/raster.js';

const blank = (rows, columns) => ({ rows, columns, pixels: new Uint8Array(rows * columns) });
const at = (x, y) => ({ x, y });
const count = ({ pixels }) => pixels.filter(Boolean).length;

test('an outline holds the pixels whose centres it encloses', () => {
  const map = blank(8, 9);
  const touched = fillPolygon(map, [at(2.4, 1.6), at(6.6, 1.6), at(6.6, 4.5), at(2.4, 4.5)], 3);
  assert.deepEqual(find(map, 3), { count: 10, touched: { top: 2, left: 2, bottom: 4, right: 7 } });
  assert.deepEqual(touched, { top: 1, left: 2, bottom: 5, right: 7 });
  const triangle = blank(10, 10);
  fillPolygon(triangle, [at(0, 0), at(10, 0), at(0, 10)], 1);
  assert.equal(count(triangle), 45); // x + y < 10 at centres: 9 + 8 + ... + 1
});

test('an outline that crosses itself has no hole and may leave the image', () => {
  const twice = [at(1, 1), at(7, 1), at(7, 7), at(1, 7)];
  const map = blank(8, 8);
  fillPolygon(map, [...twice, ...twice], 1);
  assert.equal(count(map), 36);
  const partly = blank(8, 8);
  fillPolygon(partly, [at(-5, -5), at(3, -5), at(3, 2), at(-5, 2)], 1);
  assert.equal(count(partly), 6);
  assert.equal(fillPolygon(blank(8, 8), [at(20, 20), at(30, 20), at(30, 30)], 1), null);
});

test('a brush stroke holds the pixels whose centres are near enough to it', () => {
  const map = blank(48, 64);
  const [a, b, radius] = [at(8.3, 9.1), at(50.2, 33.7), 4.2];
  fillCapsule(map, a, b, radius, 1);
  const steps = Array.from({ length: 2001 }, (_, step) => step / 2000);
  const path = steps.map(share => at(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)));
  for (let row = 0; row < map.rows; row++) {
    for (let column = 0; column < map.columns; column++) {
      const distance = Math.min(...path.map(({ x, y }) => Math.hypot(column + 0.5 - x, row + 0.5 - y)));
      assert.equal(map.pixels[row * map.columns + column], Number(distance <= radius), `${row}, ${column}`);
    }
  }
  const dot = blank(5, 5);
  fillCapsule(dot, at(2.5, 2.5), at(2.5, 2.5), 1, 1);
  assert.equal(count(dot), 5); // the pixel and its four neighbours
});

test('what is cut out can be put back', () => {
  const map = blank(6, 6);
  fillCapsule(map, at(1, 1), at(5, 5), 1.5, 2);
  const before = map.pixels.slice();
  const rectangle = { top: 1, left: 2, bottom: 5, right: 6 };
  const kept = cut(map, rectangle);
  map.pixels.fill(0);
  paste(map, { top: 0, left: 0, bottom: 6, right: 6 }, before);
  paste(map, rectangle, kept);
  assert.deepEqual(map.pixels, before);
  assert.deepEqual(union(rectangle, null), rectangle);
  assert.deepEqual(union(rectangle, { top: 0, left: 3, bottom: 2, right: 4 }), { ...rectangle, top: 0 });
});
