import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  digitsOf,
  fitting,
  partsOf,
  presetsOf,
  resolved,
  settled,
  stepOf,
  withValue,
} from '../../../monailabel_app/viewers/ohif/schema.js';

const place = { type: 'number', minimum: -1, maximum: 2 };
const root = {
  $defs: {
    View: { enum: ['CC', 'MLO'], type: 'string' },
    Ellipse: { properties: { x: place, angle: { default: 0 } }, required: ['x'] },
    Outline: { properties: { points: { type: 'array' } }, required: ['points'] },
    Muscle: { properties: { width: { default: 0.25 } } },
  },
  properties: {
    view: { $ref: '#/$defs/View', default: 'CC' },
    glands: {
      anyOf: [{ oneOf: [{ $ref: '#/$defs/Ellipse' }, { $ref: '#/$defs/Outline' }] }, { type: 'null' }],
      description: 'Within.',
    },
    muscle: { anyOf: [{ $ref: '#/$defs/Muscle' }, { type: 'null' }], only_with: { view: 'MLO' } },
  },
};

test('references and the alternative of null are resolved; what stands beside them goes first', () => {
  assert.deepEqual(resolved(root.properties.view, root), { enum: ['CC', 'MLO'], type: 'string', default: 'CC' });
  const glands = resolved(root.properties.glands, root);
  assert.equal(glands.nullable, true);
  assert.equal(glands.description, 'Within.');
  assert.deepEqual(Object.keys(fitting(glands, { points: [] }, root).properties), ['points']);
  assert.deepEqual(Object.keys(fitting(glands, { x: 1 }, root).properties), ['x', 'angle']);
});

test('parts that other values exclude are not offered', () => {
  const names = values => partsOf(root, values, root).map(({ name }) => name);
  assert.deepEqual(names({ view: 'CC' }), ['view', 'glands']);
  assert.deepEqual(names({ view: 'MLO' }), ['view', 'glands', 'muscle']);
});

test('what a change excludes is taken out, what it brings in begins with its presets', () => {
  const [cc, mlo] = [{ view: 'CC', muscle: null }, { view: 'MLO', muscle: { width: 0.3 } }];
  assert.deepEqual(settled(root, { ...mlo, view: 'CC' }, mlo, root), cc);
  assert.deepEqual(settled(root, { ...cc, view: 'MLO' }, cc, root), { view: 'MLO', muscle: { width: 0.25 } });
  assert.deepEqual(settled(root, { ...mlo, muscle: null }, mlo, root), { view: 'MLO', muscle: null });
});

test('an object without presets of what it requires has none', () => {
  assert.equal(presetsOf(resolved(root.properties.glands, root), root), null);
  assert.deepEqual(presetsOf(resolved(root.properties.muscle, root), root), { width: 0.25 });
});

test('one value of many changes, in a copy', () => {
  const values = { lesions: [{ shape: { x: 1, y: 2 } }, { shape: { x: 3, y: 4 } }], a: 1 };
  const changed = withValue(values, ['lesions', 1, 'shape', 'x'], 5);
  assert.deepEqual(changed.lesions, [{ shape: { x: 1, y: 2 } }, { shape: { x: 5, y: 4 } }]);
  assert.equal(values.lesions[1].shape.x, 3);
  assert.equal(changed.lesions[0], values.lesions[0]);
});

test('a slider has some two hundred steps, of 1, 2 or 5', () => {
  assert.equal(stepOf({ minimum: 0.03, maximum: 1.5 }), 0.005);
  assert.equal(stepOf({ minimum: -180, maximum: 180 }), 1);
  assert.equal(stepOf({ minimum: 50, maximum: 500 }), 2);
  assert.equal(stepOf({ minimum: 0, maximum: 10, type: 'integer' }), 1);
  assert.equal(digitsOf({ minimum: 0.03, maximum: 1.5 }), 4);
  assert.equal(digitsOf({ minimum: -180, maximum: 180 }), 1);
});
