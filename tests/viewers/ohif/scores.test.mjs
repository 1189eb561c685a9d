import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decimalsOf, scoreCells } from '../../../monailabel_app/viewers/ohif/scores.js';

test('a score has the digits that its interval allows, floor and ceiling as many', () => {
  const score = { name: 'PSNR', unit: 'dB', value: 20.54504, interval: [19.0213, 21.1337], floor: 19.84, ceiling: 26.61 };
  assert.deepEqual(scoreCells(score), ['PSNR (dB)', '20.5 [19.0, 21.1]', '19.8', '26.6']);
});

test('a narrow interval shows more digits, a wide one none behind the point', () => {
  const area = { name: 'AUROC', value: 0.873412, interval: [0.8512, 0.8921], floor: 0.5, ceiling: 1 };
  assert.deepEqual(scoreCells(area), ['AUROC', '0.873 [0.851, 0.892]', '0.500', '1.000']);
  assert.equal(decimalsOf({ value: 4.2, interval: [3.1, 140] }), 0);
});

test('without an interval there are three significant digits', () => {
  assert.deepEqual(scoreCells({ name: 'Lesion contrast', value: 0.41273, floor: null }), [
    'Lesion contrast', '0.413', '', '',
  ]);
  assert.equal(decimalsOf({ value: 0 }), 0);
  assert.equal(decimalsOf({ value: 12.3456, interval: [12.3456, 12.3456] }), 1);
});
