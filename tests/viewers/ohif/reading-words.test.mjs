import assert from 'node:assert/strict';
import { test } from 'node:test';

import { reportOf } from '../../../monailabel_app/viewers/ohif/reading-words.js';

const questions = [
  { name: 'bpe', type: 'category', title: 'BPE', categories: ['a', 'b'], labels: ['minimal', 'mild'] },
  { name: 'lesion', type: 'yes_no', title: 'Lesion?' },
  { name: 'lesions', type: 'marks', title: 'Mark lesions' },
];

test('the truth of a training case is told in the words of its questions', () => {
  const truth = { bpe: { case: 'b' }, lesion: { R: 'yes', L: 'no' }, lesions: { case: [{}] }, unknown: { case: 1 } };
  assert.deepEqual(reportOf({ truth, generated: true }, questions), [
    ['BPE', 'b mild'],
    ['Lesion? (right breast)', 'yes'],
    ['Lesion? (left breast)', 'no'],
    ['Mark lesions', '1 place'],
  ]);
});

test('whether images are real is told only where it was asked', () => {
  const origin = { name: 'origin', type: 'real_or_generated', title: 'Real?' };
  assert.deepEqual(reportOf({ truth: {}, generated: true }, [origin]), [['Real?', 'generated']]);
  assert.deepEqual(reportOf({ truth: {}, generated: true }, questions), []);
});
