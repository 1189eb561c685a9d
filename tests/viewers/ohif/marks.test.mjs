import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ellipseAt, indexNear, movedTo, pointAt } from '../../../monailabel_app/viewers/ohif/marks.js';

const image = { number: 2, rows: 100, columns: 80 };

test('a point lies in the image, in hundredths of a pixel from the centre of the first one', () => {
  assert.deepEqual(pointAt(image, { x: 10.12345, y: 20 }), { shape: 'point', image: 2, x: 10.12, y: 20 });
  assert.deepEqual(pointAt(image, { x: -9, y: 200 }), { shape: 'point', image: 2, x: -0.5, y: 99.5 });
});

test('an ellipse reaches from its centre to where the mouse was let go, in any direction', () => {
  const ellipse = ellipseAt(image, { x: 40, y: 50 }, { x: 30, y: 70 });
  assert.deepEqual(ellipse, { shape: 'ellipse', image: 2, x: 40, y: 50, radius_x: 10, radius_y: 20, angle: 0 });
  assert.equal(ellipseAt(image, { x: 4, y: 4 }, { x: 4, y: 4 }).radius_x, 1);
});

test('the nearest mark of the image is caught, if it is near enough', () => {
  const marks = [{ image: 2, x: 10, y: 10 }, { image: 1, x: 20, y: 20 }, { image: 2, x: 16, y: 10 }];
  assert.equal(indexNear(marks, 2, { x: 14, y: 10 }, 5), 2);
  assert.equal(indexNear(marks, 2, { x: 20, y: 20 }, 5), -1, 'one of another image');
  assert.equal(indexNear([], 2, { x: 0, y: 0 }, 5), -1);
});

test('a mark that is moved keeps its size and rating', () => {
  const moved = movedTo({ shape: 'ellipse', radius_x: 3, rating: 5, image: 2, x: 1, y: 1 }, image, { x: 7, y: 8 });
  assert.deepEqual(moved, { shape: 'ellipse', radius_x: 3, rating: 5, image: 2, x: 7, y: 8 });
});
