import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chestWallEdge, isMirrored, viewName } from '../../../monailabel_app/viewers/ohif/orientation.js';

test('side and view are named from tags or codes', () => {
  assert.equal(viewName({ ImageLaterality: 'R', ViewPosition: 'MLO' }), 'R MLO');
  assert.equal(viewName({ Laterality: 'L', ViewCodeSequence: [{ CodeValue: '399162004' }] }), 'L CC');
  assert.equal(viewName({}), 'unknown view');
});

test('the chest wall lies where rows begin anterior or end posterior, else where the convention says', () => {
  assert.equal(chestWallEdge({ PatientOrientation: ['P', 'L'] }), 'right');
  assert.equal(chestWallEdge({ PatientOrientation: 'A\\R' }), 'left');
  assert.equal(chestWallEdge({ ImageLaterality: 'R' }), 'right');
  assert.equal(chestWallEdge({}), null);
});

test('only an image against the convention is mirrored', () => {
  assert.equal(isMirrored({ ImageLaterality: 'R', PatientOrientation: ['A', 'L'] }), true);
  assert.equal(isMirrored({ ImageLaterality: 'R', PatientOrientation: ['P', 'L'] }), false);
  assert.equal(isMirrored({}), false);
});
