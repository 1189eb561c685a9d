import assert from 'node:assert/strict';
import { test } from 'node:test';

import { adviceOn, patches } from '../../../monailabel_app/viewers/reading_room/display-check.js';
import { actionOf, wordsOf, wordsOfStudy } from '../../../monailabel_app/viewers/reading_room/sessions.js';

const session = { session: 1, readings: 40, done: 0, started: null, may_start: false, earliest: null };
const study = { state: 'not_started' };

test('eighteen patches from black to white, each with a square that differs by four grey values', () => {
  const all = patches();
  assert.deepEqual([all.length, all[0].grey, all.at(-1).grey], [18, 0, 255]);
  assert.ok(all.every(({ grey, target }) => Math.abs(grey - target) === 4 && target >= 0 && target <= 255));
});

test('a display that does not show every square, or a small window, is said', () => {
  assert.equal(adviceOn(18, 2560, 1440), '');
  assert.match(adviceOn(15, 2560, 1440), /dim the room/);
  assert.match(adviceOn(18, 1000, 1440), /enlarge it/);
  assert.equal(adviceOn(null, 1280, 800), '');
});

test('a session says how far it is, or when it may begin', () => {
  assert.equal(wordsOf({ ...session, done: 3, started: 'x' }), '3 of 40 cases read');
  assert.equal(wordsOf({ ...session, may_start: true }), '40 cases, not begun');
  assert.equal(wordsOf({ ...session, earliest: 'T' }, time => `on ${time}`), '40 cases, may begin on on T');
  assert.equal(wordsOf(session), '40 cases, after what comes before it');
  assert.equal(wordsOf({ ...session, done: 40, started: 'x' }), 'finished, 40 cases');
});

test('what may be done with a session', () => {
  assert.equal(actionOf({ ...session, may_start: true }, study), 'Begin');
  assert.equal(actionOf({ ...session, started: 'x', done: 1 }, study), 'Go on');
  assert.equal(actionOf(session, study), '');
  assert.equal(actionOf({ ...session, started: 'x', done: 1 }, { state: 'closed' }), '');
  assert.equal(wordsOfStudy({ state: 'closed' }), 'This study is closed.');
});
