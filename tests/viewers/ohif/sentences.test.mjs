import assert from 'node:assert/strict';
import { test } from 'node:test';

import { counted, detailOf, readable, refusalOf, title } from '../../../monailabel_app/viewers/ohif/sentences.js';

const UID = '2.25.207868622605944502100430434446828380484.42';

test('a refusal begins with its sentence, not with a UID', () => {
  assert.equal(readable(`${UID}: expected low energy; choose another image`), 'Expected low energy; choose another image');
  assert.equal(readable(`${UID}.dcm: ${UID}: it is a scout`), 'It is a scout');
});

test('a UID gives way to the name of its image', () => {
  const nameOf = uid => (uid === UID ? 'R MLO' : '');
  assert.equal(readable(`${UID}: it is recombined`, nameOf), 'R MLO: It is recombined');
  assert.equal(readable(`1.2.840.1: it is recombined`, nameOf), 'It is recombined');
});

test('other beginnings stay, numbers among them', () => {
  assert.equal(readable('no study 1.2.3; search again'), 'No study 1.2.3; search again');
  assert.equal(readable('1.5: too thick'), '1.5: too thick');
  assert.equal(readable('(0018,5101) View Position is XCCL'), '(0018,5101) View Position is XCCL');
});

test('what the checks of a request found is one sentence', () => {
  const detail = [{ loc: ['body', 'inputs', 'source'], msg: 'Field required' }, { loc: ['body'], msg: 'Not JSON' }];
  assert.equal(detailOf({ detail }), 'Inputs.source: Field required; request: Not JSON');
  assert.equal(detailOf({ detail: `${UID}: it is a scout` }), 'It is a scout');
  assert.equal(detailOf({}), '');
});

test('who is signed out is told to sign in, not how a program does', () => {
  const detail = "a token is needed: send 'Authorization: Bearer TOKEN'";
  assert.match(refusalOf({ status: 401, statusText: 'Unauthorized' }, '/info/', { detail }), /^You are signed out, .*Reload/);
  assert.equal(refusalOf({ status: 403, statusText: 'Forbidden' }, '/info/', { detail: 'no' }), 'No');
  assert.equal(refusalOf({ status: 502, statusText: 'Bad' }, '/info/', {}), 'The server answered 502 Bad to /info/.');
});

test('a name in code is said in words', () => assert.equal(title('image_laterality'), 'Image laterality'));

test('one thing is no plural', () => {
  assert.deepEqual([0, 1, 2].map(number => counted(number, 'image')), ['0 images', '1 image', '2 images']);
});
