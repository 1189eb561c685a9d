import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  DRAWING,
  choicesFor,
  drawingHelp,
  jsonHelp,
  missingInput,
  parseJson,
  presetFor,
  unclassed,
} from '../../../monailabel_app/viewers/ohif/choices.js';

const stored = (uid, image, label) => ({
  sop_instance_uid: uid,
  source_sop_instance_uid: image,
  segments: [{ label, lesion_class: 'malignant' }],
  created: null,
});
const segmentations = [stored('1.1', '9.1', 'Mass'), stored('1.2', '9.2', 'Spot')];
const lesions = { role: 'lesions', kind: 'label_map', on: 'source', required: true, description: 'Where.' };

test('only segmentations of the image may be chosen, and what is drawn on it now', () => {
  const choices = choicesFor(lesions, { segmentations, on: '9.1', hasDrawing: true });
  assert.deepEqual(choices.map(([value]) => value), ['', DRAWING, '1.1']);
  assert.equal(choices[2][1], 'Mass (malignant)');
  assert.equal(presetFor(lesions, choices, undefined, ''), DRAWING);
});

test('a label map that stands for itself may be of any image', () => {
  const choices = choicesFor({ ...lesions, on: null }, { segmentations, on: '9.1', hasDrawing: false });
  assert.deepEqual(choices.map(([value]) => value), ['', '1.1', '1.2']);
});

test('what was chosen or saved last is taken, if it is still there; an optional one may be left out', () => {
  const choices = choicesFor(lesions, { segmentations, on: '9.1', hasDrawing: false });
  assert.equal(presetFor(lesions, choices, DRAWING, '1.1'), '1.1');
  assert.equal(presetFor({ ...lesions, required: false }, choices, undefined, ''), '');
  assert.equal(presetFor(lesions, [['', 'None yet']], '1.7'), '');
});

test('None is a choice where nothing is needed, and says what is used instead', () => {
  const optional = { ...lesions, required: false };
  const choices = choicesFor(optional, { segmentations, on: '9.1', hasDrawing: true, instead: 'numbers' });
  assert.equal(choices[0][1], 'None: numbers');
  assert.equal(presetFor(optional, choices, '', DRAWING, '1.1'), '');
  assert.equal(presetFor(optional, choices, undefined, DRAWING, '1.1'), DRAWING);
  assert.equal(presetFor(lesions, choices, '', '', '1.1'), '1.1');
});

test('segmentations of tissues that the slot does not know are not offered', () => {
  const slot = { ...lesions, on: null, classes: { 1: 'adipose', 7: 'malignant lesion' }, lesions: [7] };
  const tissue = (uid, label) => ({ ...stored(uid, '9.1', label), segments: [{ label, is_lesion: false }] });
  const known = choicesFor(slot, { segmentations: [tissue('1.1', 'adipose'), tissue('1.2', 'Fatty tissue')], on: '9.1' });
  assert.deepEqual(known.map(([value]) => value), ['', '1.1']);
});

test('a slot of lesions alone is offered no drawing with parts of the breast', () => {
  const tissue = { ...stored('1.3', '9.1', 'adipose'), segments: [{ label: 'adipose', is_lesion: false }, { label: 'Mass' }] };
  const values = slot => choicesFor(slot, { segmentations: [tissue, ...segmentations], on: '9.1' }).map(([value]) => value);
  assert.deepEqual(values({ ...lesions, only_lesions: true }), ['', '1.1']);
  assert.deepEqual(values(lesions), ['', '1.3', '1.1']);
});

test('a lesion without a class is told before anything is sent', () => {
  const slot = { classes: { 1: 'adipose', 7: 'malignant lesion', 8: 'calcification' } };
  const entry = (label, lesionClass = null) => ({ label, lesionClass });
  assert.equal(unclassed(slot, [entry('Mass', 'malignant'), entry('calcification'), entry('adipose')]), '');
  assert.match(unclassed(slot, [entry('Lesion 2')]), /^Lesion 2 has no class/);
  assert.equal(unclassed({ classes: {} }, [entry('Lesion 2')]), '');
});

test('a required input that is missing is named with its cure', () => {
  assert.equal(missingInput([lesions], {}), 'Lesions is missing: draw one under Drawing below, or choose one that is stored.');
  assert.equal(missingInput([lesions], { lesions: { sop_instance_uid: '1.1' } }), '');
  assert.equal(missingInput([{ ...lesions, required: false }], {}), '');
});

test('JSON is read, left out when empty, and refused with a sentence that names the slot', () => {
  const slot = { role: 'breast_shape' };
  assert.deepEqual(parseJson(slot, ' {"a": [1]} '), { a: [1] });
  assert.equal(parseJson(slot, ' \n'), undefined);
  assert.throws(() => parseJson(slot, '{"a": }'), /^Error: Breast shape is not valid JSON \(.+\); correct it/);
});

test('a schema is told as help', () => {
  const properties = { density: { enum: ['a', 'b'], description: 'BI-RADS.' }, note: { type: 'string' } };
  const help = jsonHelp({ description: 'The patient.', json_schema: { properties, required: ['density'] } });
  assert.equal(help, 'The patient.\n"density" ("a" | "b", required): BI-RADS.\n"note" (string, optional)');
});

test('the classes that a drawing may have are named', () => {
  assert.equal(drawingHelp(lesions), 'Where.');
  const classes = { 1: 'malignant', 2: 'benign' };
  assert.match(drawingHelp({ ...lesions, classes }), /^Where\. Each .+: malignant, benign\.$/);
  assert.equal(drawingHelp({ ...lesions, classes: { 1: 'adipose', 7: 'malignant lesion' }, lesions: [7] }), 'Where.');
});
