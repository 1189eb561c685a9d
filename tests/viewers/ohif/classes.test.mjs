import assert from 'node:assert/strict';
import { test } from 'node:test';

import { classOf, coloursOf, isKnown, saying, tableOf, useTable } from '../../../monailabel_app/viewers/ohif/classes.js';

const classes = { 1: 'adipose', 6: 'benign lesion', 7: 'malignant lesion', 8: 'calcification' };
const slot = { classes, lesions: [6, 7, 8] };
const entry = (number, label, lesionClass = null, isLesion = true) => ({ number, label, lesionClass, isLesion });

test('a slot of lesions alone, or without classes, has no parts to draw', () => {
  assert.deepEqual(tableOf({ classes: { 1: 'benign' }, lesions: [] }), { parts: [], lesions: [] });
  assert.deepEqual(tableOf(null), { parts: [], lesions: [] });
  assert.deepEqual(tableOf(slot).parts, [{ number: 1, name: 'adipose' }]);
});

test('what an entry says is its class as the server reads it', () => {
  useTable(slot);
  for (const [name, given] of [['malignant lesion', 'Mass'], ['calcification', 'Mass'], ['benign lesion', 'calcification']]) {
    const said = saying({ name }, entry(9, given));
    assert.equal(classOf(said).name, name);
    assert.equal(said.label, { 'malignant lesion': 'Mass', calcification: 'calcification' }[name] ?? 'Lesion 9');
  }
  assert.deepEqual(saying({ name: '' }, entry(9, 'calcification')), { label: 'Lesion 9', lesionClass: null });
  assert.equal(classOf(entry(1, 'Mass')), undefined);
});

test('colours are of the classes in a breast, and of the numbers where lesions are alone', () => {
  useTable(slot);
  const lesions = [entry(1, 'Lesion 1', 'malignant'), entry(2, 'Lesion 2', 'malignant')];
  assert.deepEqual([...coloursOf(lesions).values()], ['#e69f00', '#56b4e9']);
  const whole = coloursOf([...lesions, entry(3, 'adipose', null, false)]);
  assert.deepEqual([...whole.values()], ['#d55e00', '#d55e00', '#e69f00']);
});

test('tissues of another table cannot be drawn on', () => {
  useTable(slot);
  const segmentation = label => ({ segments: [{ label, is_lesion: false }, { label: 'Lesion 1', is_lesion: true }] });
  assert.deepEqual([isKnown(segmentation('adipose')), isKnown(segmentation('Fatty tissue of breast'))], [true, false]);
});
