import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Drawing } from '../../../monailabel_app/viewers/ohif/lesions.js';

const image = { SOPInstanceUID: '1.2', Rows: 60, Columns: 60, ImagerPixelSpacing: [0.1, 0.1] };
const row = y => [{ x: 0, y }, { x: 60, y }, { x: 60, y: y + 1 }, { x: 0, y: y + 1 }];
const drawn = drawing => drawing.pixels.filter(Boolean).length;
const stored = () => new Uint8Array(3600).fill(1, 0, 60);
const segments = [{ number: 1, label: 'Mass', lesion_class: 'benign' }];

test('fifty steps can be undone and done again', () => {
  const drawing = new Drawing(image);
  for (let step = 0; step < 50; step++) drawing.outline(row(step));
  assert.equal(drawn(drawing), 3000);
  for (let step = 0; step < 50; step++) drawing.undo();
  assert.deepEqual([drawn(drawing), drawing.lesions.length, drawing.canUndo, drawing.isUnsaved], [0, 0, false, false]);
  for (let step = 0; step < 50; step++) drawing.redo();
  assert.equal(drawn(drawing), 3000);
});

test('a drawing that began with stored lesions is saved already, and undo comes back to them', () => {
  const drawing = new Drawing(image);
  drawing.begin(stored(), segments);
  assert.deepEqual([drawn(drawing), drawing.isUnsaved, drawing.canUndo, drawing.isStroking], [60, false, false, false]);
  drawing.outline(row(9));
  assert.deepEqual([drawn(drawing), drawing.isUnsaved], [120, true]);
  drawing.undo();
  assert.deepEqual([drawn(drawing), drawing.isUnsaved, drawing.lesions[0].label], [60, false, 'Mass']);
});

test('stored lesions never replace by themselves what was drawn', () => {
  const drawing = new Drawing(image);
  drawing.outline(row(9));
  drawing.begin(stored(), segments);
  assert.equal(drawing.pixels[0], 0);
  drawing.load(stored(), segments);
  assert.deepEqual([drawing.pixels[0], drawing.isUnsaved], [1, false]);
  drawing.undo();
  assert.deepEqual([drawing.pixels[0], drawn(drawing)], [0, 60]);
});

test('for the archive lesions are numbered without gaps, and those without a pixel are left out', () => {
  const drawing = new Drawing(image);
  drawing.addLesion();
  drawing.addLesion();
  drawing.outline(row(3));
  assert.equal(drawing.isDrawn, true);
  const { segments: kept, mask } = drawing.forArchive();
  assert.deepEqual(kept, [{ number: 1, label: 'Lesion 2', lesion_class: null }]);
  assert.equal(mask.filter(value => value === 1).length, 60);
  assert.equal(drawing.measure(2).areaMm2.toFixed(3), '0.600');
});
