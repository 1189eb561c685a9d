import assert from 'node:assert/strict';
import { test } from 'node:test';

import { imageOf, provenanceOf, summaryOf } from '../../../monailabel_app/viewers/ohif/entries.js';

const entry = {
  role: 'image',
  bundle: 'breast_cem_residual',
  bundle_version: '0.2.0',
  weights_sha256: '0123456789abcdef',
  rendering: 'expected',
  seed: 7,
  parameters: { seed: 7, uncertainty: true, view_position: null, tile_mm: 20 },
  sources: [{ role: 'source', name: '1.2' }, { role: 'lesions', name: '3.4' }],
  source_sop_instance_uids: ['1.2'],
  created: null,
};

test('one line tells model, rendering, seed and settings', () => {
  assert.equal(summaryOf(entry), 'breast_cem_residual 0.2.0, expected, seed 7, uncertainty yes, tile mm 20');
  const name = 'SYNTHETIC contrast R CC expected breast_cem_residual 0.2.0';
  assert.equal(summaryOf(entry, name), 'seed 7, uncertainty yes, tile mm 20');
  assert.equal(summaryOf({}), '');
});

test('results of another rendering, seed or setting read differently', () => {
  const others = [{ rendering: 'sampled' }, { seed: 0 }, { parameters: {} }, { bundle_version: '0.3.0' }];
  const lines = [entry, ...others.map(other => ({ ...entry, ...other }))].map(each => summaryOf(each));
  assert.equal(new Set(lines).size, lines.length);
});

test('provenance names what is known and nothing else', () => {
  assert.deepEqual(provenanceOf(entry), [
    ['Model', 'breast_cem_residual 0.2.0'],
    ['Rendering', 'expected'],
    ['Seed', 7],
    ['Uncertainty', 'yes'],
    ['Tile mm', '20'],
    ['Lesions', '3.4'],
    ['Weights', '0123456789ab', '0123456789abcdef'],
  ]);
});

test('an uncertainty finds the image that it is of among others of the same source', () => {
  const uncertainty = { ...entry, role: 'uncertainty' };
  const others = [{ ...entry, seed: 8 }, { ...entry, source_sop_instance_uids: ['1.9'] }, uncertainty];
  assert.equal(imageOf(uncertainty, [...others, entry]), entry);
  assert.equal(imageOf(uncertainty, others), undefined);
});
