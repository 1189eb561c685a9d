import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BACKGROUND, Drawing } from '../../../monailabel_app/viewers/ohif/lesions.js';

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

test('what undo does not reach any more is not saved for that', () => {
  const drawing = new Drawing(image);
  for (let step = 0; step < 51; step++) drawing.outline(row(step));
  for (let step = 0; step < 51; step++) drawing.undo();
  assert.deepEqual([drawn(drawing), drawing.canUndo, drawing.isUnsaved], [60, false, true]);
});

test('a drawing that began with stored lesions is saved already, and undo comes back to them', () => {
  const drawing = new Drawing(image);
  drawing.begin(stored(), segments, '1.2.3');
  assert.deepEqual([drawn(drawing), drawing.isUnsaved, drawing.canUndo, drawing.isStroking], [60, false, false, false]);
  drawing.outline(row(9));
  assert.deepEqual([drawn(drawing), drawing.isUnsaved], [120, true]);
  drawing.undo();
  assert.deepEqual([drawn(drawing), drawing.isUnsaved, drawing.lesions[0].label], [60, false, 'Mass']);
});

test('every step that a segmentation holds is saved, until it is deleted; so is nothing', () => {
  const drawing = new Drawing(image);
  drawing.outline(row(0));
  drawing.markSaved(drawing.state, '1.2.3');
  drawing.outline(row(9));
  drawing.markSaved(drawing.state, '1.2.4');
  drawing.undo();
  assert.deepEqual([drawing.isUnsaved, drawing.archivedAs], [false, '1.2.3']);
  drawing.markDeleted('1.2.3');
  assert.deepEqual([drawing.isUnsaved, drawing.archivedAs], [true, undefined]);
  drawing.undo();
  assert.deepEqual([drawing.isUnsaved, drawing.isBegun], [false, true]);
  drawing.redo();
  drawing.redo();
  assert.deepEqual([drawing.isUnsaved, drawing.archivedAs], [false, '1.2.4']);
});

test('stored lesions never replace by themselves what was drawn', () => {
  const drawing = new Drawing(image);
  drawing.outline(row(9));
  drawing.begin(stored(), segments, '1.2.3');
  assert.equal(drawing.pixels[0], 0);
  drawing.load(stored(), segments, '1.2.3');
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
  assert.deepEqual(kept, [{ number: 1, label: 'Lesion 2', lesion_class: null, is_lesion: true }]);
  assert.equal(mask.filter(value => value === 1).length, 60);
  assert.equal(drawing.measure(2).areaMm2.toFixed(3), '0.600');
});

// A breast of 40 rows: adipose tissue on the left, gland on the right, air below.
const PARTS = [{ number: 1, name: 'adipose' }, { number: 2, name: 'fibroglandular' }];
const breast = () =>
  Uint8Array.from({ length: 3600 }, (_, index) => (index >= 2400 ? 0 : index % 60 < 30 ? 1 : 2));
const square = (left, top, side = 4) => [
  { x: left, y: top }, { x: left + side, y: top }, { x: left + side, y: top + side }, { x: left, y: top + side },
];
const labelAt = (drawing, x, y) =>
  drawing.lesions.find(({ number }) => number === drawing.pixels[60 * y + x])?.label ?? null;
function withBreast(...squares) {
  const drawing = new Drawing(image);
  for (const each of squares) {
    drawing.addLesion();
    drawing.outline(square(...each));
  }
  drawing.takeBreast(breast(), PARTS);
  return drawing;
}

test('a breast is put under the lesions, which lie within it, in one step', () => {
  const drawing = withBreast([10, 10], [10, 50]);
  assert.deepEqual([[11, 11], [5, 5], [40, 5], [11, 51]].map(at => labelAt(drawing, ...at)), [
    'Lesion 1', 'adipose', 'fibroglandular', null,
  ]);
  drawing.undo();
  assert.deepEqual([labelAt(drawing, 11, 51), labelAt(drawing, 5, 5)], ['Lesion 2', null]);
  assert.equal(drawing.hasBreast, false);
  assert.throws(() => drawing.takeBreast(breast().slice(1), PARTS), /3599 pixels, the image 60 x 60/);
});

test('tissue is where a lesion was deleted, erased or moved away, and undo brings it back', () => {
  const drawing = withBreast([10, 10], [40, 20]);
  const [first, second] = drawing.lesions.filter(({ isLesion }) => isLesion).map(({ number }) => number);
  drawing.remove(first);
  assert.deepEqual([labelAt(drawing, 11, 11), drawing.measure(first).count], ['adipose', 0]);
  drawing.stroke({ x: 42, y: 22 }, { x: 42, y: 22 }, 9, { erase: true });
  drawing.keep();
  assert.equal(labelAt(drawing, 42, 22), 'fibroglandular');
  assert.equal(drawing.pixels.filter(Boolean).length, 2400);
  drawing.undo();
  assert.equal(labelAt(drawing, 42, 22), 'Lesion 2');
  drawing.move(second, { x: -30, y: 2.4 });
  assert.deepEqual([labelAt(drawing, 42, 22), labelAt(drawing, 12, 24), drawing.measure(second).count], [
    'fibroglandular', 'Lesion 2', 16,
  ]);
  drawing.undo();
  assert.equal(labelAt(drawing, 42, 22), 'Lesion 2');
});

test('a lesion is never drawn or moved out of the breast, which is said', () => {
  const drawing = withBreast();
  drawing.addLesion();
  drawing.outline(square(20, 50));
  assert.deepEqual([drawing.measure(drawing.active).count, drawing.notice.startsWith('A lesion lies within')], [0, true]);
  drawing.outline(square(20, 38));
  assert.equal(drawing.measure(drawing.active).count, 8);
  drawing.move(drawing.active, { x: 0, y: 30 });
  assert.deepEqual([drawing.measure(drawing.active).count, drawing.notice.startsWith('The lesion stays')], [8, true]);
  drawing.move(drawing.active, { x: 0, y: -9 });
  assert.deepEqual([drawing.measure(drawing.active).count, drawing.notice], [8, '']);
});

test('parts of the breast are drawn anywhere, and background takes them away', () => {
  const drawing = withBreast();
  drawing.choosePart('fibroglandular');
  drawing.outline(square(5, 38));
  assert.deepEqual([labelAt(drawing, 6, 41), drawing.lesions.length], ['fibroglandular', 2]);
  drawing.choosePart('nipple');
  drawing.outline(square(30, 38));
  assert.deepEqual([labelAt(drawing, 31, 41), drawing.lesions.length], ['nipple', 3]);
  drawing.active = BACKGROUND;
  drawing.outline(square(5, 38));
  drawing.undo();
  drawing.redo();
  assert.deepEqual([labelAt(drawing, 6, 39), drawing.active], [null, BACKGROUND]);
});

test('a lesion alone is moved and erased as before', () => {
  const drawing = new Drawing(image);
  drawing.outline(square(10, 10));
  drawing.move(drawing.lesionAt({ x: 11.5, y: 12 }), { x: 48, y: 0 });
  assert.deepEqual([drawn(drawing), labelAt(drawing, 58, 11), labelAt(drawing, 11, 11)], [8, 'Lesion 1', null]);
  assert.equal(drawing.lesionAt({ x: 11.5, y: 12 }), 0);
});
