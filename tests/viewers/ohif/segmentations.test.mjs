import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Drawing } from '../../../monailabel_app/viewers/ohif/lesions.js';
import { preferredOn, storeDrawing } from '../../../monailabel_app/viewers/ohif/segmentations.js';

const square = left => [{ x: left, y: 0 }, { x: left + 2, y: 0 }, { x: left + 2, y: 2 }, { x: left, y: 2 }];
const stroke = (drawing, left) => drawing.outline(square(left));

/** A drawing on an image of a study, and the segmentations that its archive holds from now on. */
function begun(uid) {
  const archive = [];
  let count = 0;
  globalThis.fetch = async (path, { method = 'GET', body } = {}) => {
    if (method === 'GET') return Response.json({ segmentations: archive });
    const { sop_instance_uid, segments } = JSON.parse(body.get('description'));
    const sop = `${uid}.${++count}`;
    archive.unshift({ sop_instance_uid: sop, source_sop_instance_uid: sop_instance_uid, segments });
    return Response.json(archive[0]);
  };
  return { archive, drawing: new Drawing({ SOPInstanceUID: uid, Rows: 8, Columns: 8 }) };
}

const stored = async drawing => (await storeDrawing('1.1', drawing)).sop_instance_uid;

test('what undo and redo come back to is the segmentation that was stored of it, not another one', async () => {
  const { archive, drawing } = begun('1.2');
  stroke(drawing, 0);
  assert.equal(await stored(drawing), '1.2.1');
  stroke(drawing, 4);
  assert.equal(await stored(drawing), '1.2.2');
  drawing.undo();
  assert.equal(await stored(drawing), '1.2.1');
  assert.deepEqual([drawing.isUnsaved, preferredOn('1.2')], [false, '1.2.1']);
  drawing.redo();
  assert.equal(await stored(drawing), '1.2.2');
  assert.equal(archive.length, 2);
  stroke(drawing, 6);
  assert.equal(await stored(drawing), '1.2.3');
});

test('a drawing that began with a segmentation, or loaded one, is that one after undo', async () => {
  const { archive, drawing } = begun('1.3');
  const segments = [{ number: 1, label: 'Mass', lesion_class: null }];
  archive.push({ sop_instance_uid: '1.9', source_sop_instance_uid: '1.3', segments });
  drawing.begin(new Uint8Array(64).fill(1, 0, 3), segments, '1.9');
  stroke(drawing, 4);
  assert.equal(await stored(drawing), '1.3.1');
  drawing.undo();
  assert.equal(await stored(drawing), '1.9');
  drawing.load(new Uint8Array(64).fill(1, 9, 12), segments, '1.3.1');
  assert.equal(await stored(drawing), '1.3.1');
  assert.equal(archive.length, 2);
});

test('a segmentation that was deleted from the archive is stored again', async () => {
  const { archive, drawing } = begun('1.4');
  stroke(drawing, 0);
  await stored(drawing);
  stroke(drawing, 4);
  await stored(drawing);
  archive.pop();
  drawing.undo();
  assert.equal(await stored(drawing), '1.4.3');
  assert.equal(archive.length, 2);
});
