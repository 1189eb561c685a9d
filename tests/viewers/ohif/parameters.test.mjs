import assert from 'node:assert/strict';
import { test } from 'node:test';

import { allows, fieldsOf, keptValues } from '../../../monailabel_app/viewers/ohif/parameters.js';

const schema = properties => ({ type: 'object', properties, required: [] });
const seed = { type: 'integer', default: 0, minimum: 0, maximum: 100 };

test('a schema gives fields in its order, with names, units and what is rarely changed', () => {
  const dose = { type: 'number', default: 1.5, minimum: 0, maximum: 2, unit: 'mGy', description: 'Dose.' };
  const [first, second] = fieldsOf({ ...schema({ dose, seed: { ...seed, advanced: true } }), required: ['dose'] });
  assert.deepEqual([first.name, first.type, first.unit, first.required, Boolean(first.advanced)], [
    'dose', 'number', 'mGy', true, false,
  ]);
  assert.deepEqual([second.name, second.advanced, second.required], ['seed', true, false]);
});

test('one rendering is no choice, two are', () => {
  const rendering = names => schema({ rendering: { type: 'string', enum: names, default: names[0] } });
  assert.deepEqual(fieldsOf(rendering(['expected'])), []);
  assert.deepEqual(fieldsOf(rendering(['expected', 'sampled']))[0].enum, ['expected', 'sampled']);
});

test('a change of model keeps the seed and what else both allow, and takes the presets of the new one', () => {
  const rendering = options => ({ type: 'string', enum: options, default: options[0] });
  const before = schema({ seed, rendering: rendering(['expected', 'sampled']), strength: { type: 'number', default: 1 } });
  const after = schema({
    seed: { ...seed, default: 5 },
    rendering: rendering(['expected', 'fast']),
    strength: { type: 'number', default: 3, maximum: 4 },
  });
  const kept = values => keptValues(values, before, after);
  assert.deepEqual(kept({ seed: 7, rendering: 'expected', strength: 1 }), { seed: 7 });
  assert.deepEqual(kept({ seed: 0, rendering: 'sampled', strength: 9 }), {});
  assert.deepEqual(kept({ strength: 2, gone: true }), { strength: 2 });
});

test('values are checked against type and range', () => {
  assert.equal(allows({ type: 'integer', minimum: 0 }, 1.5), false);
  assert.equal(allows({ type: 'integer', minimum: 0 }, -1), false);
  assert.equal(allows({ type: 'number', maximum: 2 }, 2), true);
  assert.equal(allows({ type: 'boolean' }, 'yes'), false);
  assert.equal(allows({ type: 'string' }, 'yes'), true);
  assert.equal(allows({ type: 'string', enum: ['CC', 'MLO'] }, 'XCCL'), false);
});
