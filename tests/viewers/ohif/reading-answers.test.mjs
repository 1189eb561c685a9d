import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  arranged,
  choiceBy,
  choose,
  imagesFor,
  isHalf,
  keysOf,
  missingOf,
  nextOpen,
  placeId,
  placesOf,
  targetName,
  valueOf,
} from '../../../monailabel_app/viewers/ohif/reading-answers.js';

const bpe = {
  name: 'bpe', type: 'category', title: 'BPE', per: 'case', targets: ['case'], required: true,
  categories: ['a', 'b'], labels: ['minimal', 'mild'], keys: { a: '1', b: '2' },
};
const lesion = {
  name: 'lesion', type: 'yes_no', title: 'Lesion?', per: 'breast', targets: ['R', 'L'], required: true,
  suspicion: true, keys: { yes: 'y', no: 'n' },
};
const realism = { name: 'realism', type: 'likert', per: 'case', targets: ['case'], required: true, levels: 5, labels: [], keys: {} };
const note = { name: 'note', type: 'text', per: 'case', targets: ['case'], required: false };
const images = [
  { number: 1, laterality: 'R', view_position: 'CC' },
  { number: 2, laterality: 'R', view_position: 'MLO' },
  { number: 3, laterality: 'L', view_position: 'CC' },
  { number: 4, laterality: 'L', view_position: 'MLO' },
];
const places = placesOf([bpe, lesion, realism, note]);

test('a question is asked once of each of its targets', () => {
  assert.deepEqual(places.map(placeId), ['bpe case', 'lesion R', 'lesion L', 'realism case', 'note case']);
});

test('an answer with a number beside it is whole once both are there', () => {
  const draft = choose(lesion, null, 'yes');
  assert.equal(valueOf(lesion, draft), undefined);
  assert.equal(isHalf(lesion, draft), true);
  assert.equal(missingOf(lesion, draft), 'the suspicion from 0 to 100');
  assert.deepEqual(valueOf(lesion, { ...draft, suspicion: 0 }), { answer: 'yes', suspicion: 0 });
  assert.equal(missingOf(lesion, { suspicion: 10 }), 'a choice');
  for (const suspicion of [101, -1, 2.5, NaN]) assert.equal(valueOf(lesion, { ...draft, suspicion }), undefined);
});

test('marks are whole once each is rated, and no mark is an answer', () => {
  const marks = { type: 'marks', rated: true };
  assert.equal(valueOf(marks, null), undefined);
  assert.deepEqual(valueOf(marks, []), []);
  assert.equal(valueOf(marks, [{ rating: 5 }, { rating: null }]), undefined);
  assert.deepEqual(valueOf({ type: 'marks', rated: false }, [{ x: 1 }]), [{ x: 1 }]);
});

test('items are whole once each has a level', () => {
  const items = { type: 'items', items: { noise: 'Noise', contrast: 'Contrast' } };
  assert.equal(valueOf(items, { noise: 2 }), undefined);
  assert.deepEqual(valueOf(items, { noise: 2, contrast: 5 }), { noise: 2, contrast: 5 });
});

test('a key answers the current question, else the next one that the protocol gives it to', () => {
  const [first, right, left, level] = places;
  assert.deepEqual(choiceBy('2', places, first), { place: first, choice: 'b' });
  assert.deepEqual(choiceBy('y', places, first), { place: right, choice: 'yes' });
  assert.deepEqual(choiceBy('y', places, left), { place: left, choice: 'yes' });
  assert.deepEqual(choiceBy('2', places, level), { place: level, choice: 2 }, 'digits of its own while it is current');
  assert.deepEqual(choiceBy('2', places, left), { place: first, choice: 'b' }, 'else they are the protocol\'s');
  assert.equal(choiceBy('5', places, first), null);
  assert.deepEqual(keysOf(realism), ['1', '2', '3', '4', '5']);
});

test('the next open question is a required one, after the current one and then from the start', () => {
  const drafts = { 'lesion R': { answer: 'no', suspicion: 1 } };
  assert.equal(nextOpen(places, drafts, null), places[0]);
  assert.equal(nextOpen(places, drafts, places[0]), places[2]);
  assert.equal(nextOpen(places, { ...drafts, 'lesion L': { answer: 'no', suspicion: 1 }, 'realism case': 3 }, places[3]), places[0]);
  assert.equal(nextOpen([places[4]], {}, null), null);
});

test('what a question is about is said, and limits where its marks lie', () => {
  assert.equal(targetName(places[1], images), 'Right breast');
  assert.equal(targetName(places[0], images), '');
  assert.equal(targetName({ question: { per: 'image' }, target: '2' }, images), 'Image 2, R MLO');
  assert.deepEqual(imagesFor({ question: { per: 'breast' }, target: 'L' }, images), [images[2], images[3]]);
  assert.deepEqual(imagesFor({ question: { per: 'image' }, target: '2' }, images), [images[1]]);
});

test('a screening exam hangs with right breasts on the left, CC above MLO, whatever the order of the protocol', () => {
  const [rcc, rmlo, lcc, lmlo] = images;
  assert.deepEqual(arranged(images, { rows: 2, columns: 2 }), [rcc, lcc, rmlo, lmlo]);
  assert.deepEqual(arranged(images, { rows: 1, columns: 4 }), images, 'a row is as the protocol says');
  assert.deepEqual(arranged([lcc, rcc], { rows: 1, columns: 2 }), [rcc, lcc]);
  assert.deepEqual(arranged([lmlo, rcc], { rows: 1, columns: 2 }), [lmlo, rcc]);
});
