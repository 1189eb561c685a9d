// What an owner is told of studies, readers and tokens.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { attackSentences, blindingSentence, checkedSentences, counted, progress, sessionName, summary, tokenOf, waitingSessions, when } from '../../../monailabel_app/viewers/reading_owner/words.js';

test('sessions are called by their number, and the one before them training', () => {
  assert.deepEqual([0, 1, 2].map(sessionName), ['Training', 'Session 1', 'Session 2']);
});

test('a session that has not begun is told from one that has, with its wash-out', () => {
  const waiting = { readings: 4, done: 0, started: null, may_start: false, earliest: null };
  assert.equal(progress(waiting), '0 of 4, not begun');
  assert.equal(progress({ ...waiting, may_start: true }), '0 of 4, may begin');
  assert.match(progress({ ...waiting, earliest: '2026-03-02T12:00:00+00:00' }), /^0 of 4, may begin on .*2026/);
  assert.equal(progress({ readings: 4, done: 0, started: '2026-01-01T00:00:00+00:00' }), '0 of 4');
  assert.equal(progress({ readings: 4, done: 4, started: '2026-01-01T00:00:00+00:00' }), '4 of 4, finished');
});

test('simulated readers are never passed over', () => {
  const study = { state: 'closed', done: 1, readings: 2, is_simulated: true };
  assert.equal(summary(study), 'closed, 1 of 2 readings, simulated readers');
  assert.equal(summary({ ...study, is_simulated: false }), 'closed, 1 of 2 readings');
});

test('a study of one is told without plurals', () => {
  const one = { study: 's', title: 't', cases: 1, patients: 1, training_cases: 0, readers: 1, readings: 1 };
  const [, cases, readers] = checkedSentences({ ...one, most_readings_in_a_session: 1 });
  assert.equal(cases, '1 case of 1 patient, and 0 for training.');
  assert.equal(readers, '1 reader, 1 reading, at most 1 in a session.');
  assert.equal(summary({ state: 'open', done: 0, readings: 1 }), 'open, 0 of 1 reading');
});

test('a reader who can see more than a case is warned of', () => {
  const tokens = [{ name: 'ann', role: 'reader' }, { name: 'bob', role: 'user' }, { name: 'eve', role: 'owner' }];
  assert.deepEqual(tokenOf('ann', tokens), { token: tokens[0], warning: '' });
  assert.match(tokenOf('bob', tokens).warning, /a user, too, and can see the archive/);
  assert.match(tokenOf('eve', tokens).warning, /an owner, too/);
  assert.deepEqual(tokenOf('dan', tokens), { token: undefined, warning: '' });
});

test('a wash-out can be cut short before sessions behind one only', () => {
  const sessions = [0, 1, 2, 3].map(session => ({ session, started: session === 2 ? 'yes' : null }));
  assert.deepEqual(waitingSessions([{ reader: 'ann', sessions }]), [{ reader: 'ann', session: 3 }]);
});

test('whether readers can begin is told of the copies', () => {
  const none = { is_blinded: false, state: 'none', done: 0, total: 0, message: '' };
  assert.match(blindingSentence(none), /readers cannot begin/);
  assert.equal(blindingSentence({ ...none, state: 'running', done: 2, total: 4 }), '2 of 4 copies made');
  assert.equal(blindingSentence({ ...none, state: 'running', done: 0, total: 1 }), '0 of 1 copy made');
  assert.match(blindingSentence({ ...none, state: 'running' }), /Looking/);
  assert.equal(blindingSentence({ ...none, state: 'failed', message: 'no image' }), 'Not blinded: no image');
  assert.match(blindingSentence({ ...none, is_blinded: true }), /readers can begin/);
});

test('an attack is told with what it found', () => {
  const clean = { arms: ['a', 'b'], copies: [20, 20], scores: 50, classifier: [0.512, 0.4, 0.61], leaks: [] };
  assert.deepEqual(attackSentences(clean), [
    'a and b, 20 and 20 copies: none of 50 traces tells them apart.',
    'A classifier on all traces: AUC 0.51 (95 % interval 0.40 to 0.61; 0.50 is chance).',
  ]);
  const [head, , leak] = attackSentences({ ...clean, leaks: [{ kind: 'comb', what: 'gaps', auc: 0.987 }] });
  assert.match(head, /told apart by 1 of 50 traces/);
  assert.equal(leak, 'comb: gaps (AUC 0.99)');
});

test('numbers and times are words', () => {
  assert.deepEqual([counted(1, 'record'), counted(2, 'record')], ['1 record', '2 records']);
  assert.equal(when(null), 'never');
  assert.match(when('2026-03-02T10:00:00+00:00'), /2026/);
});
