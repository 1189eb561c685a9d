import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ReadingClock } from '../../../monailabel_app/viewers/ohif/reading-clock.js';

function clockAt() {
  const time = { now: 0 };
  return { time, clock: new ReadingClock(() => time.now) };
}

test('time counts for the question that is looked at, as often as it is', () => {
  const { time, clock } = clockAt();
  clock.attend('bpe');
  time.now = 2000;
  clock.attend('lesion');
  time.now = 5000;
  clock.attend('bpe');
  time.now = 5500;
  assert.equal(clock.secondsOf('bpe'), 2.5);
  assert.equal(clock.secondsOf('lesion'), 3);
  assert.deepEqual(clock.attention, { seconds: 5.5, hidden_s: 0, focus_losses: 0 });
});

test('time in another window counts for the case, not for a question', () => {
  const { time, clock } = clockAt();
  clock.attend('bpe');
  time.now = 1000;
  clock.setAway(true);
  clock.setAway(true); // blurred, then hidden: one loss
  time.now = 4000;
  clock.setAway(false);
  time.now = 4500;
  assert.equal(clock.secondsOf('bpe'), 1.5);
  assert.deepEqual(clock.attention, { seconds: 4.5, hidden_s: 3, focus_losses: 1 });
});

test('a pause counts nowhere, and whoever leaves the window meanwhile has lost nothing', () => {
  const { time, clock } = clockAt();
  clock.attend('bpe');
  time.now = 1000;
  clock.setPaused(true);
  clock.setAway(true);
  clock.setAway(false);
  time.now = 61000;
  clock.setPaused(false);
  time.now = 61200;
  assert.equal(clock.secondsOf('bpe'), 1.2);
  assert.deepEqual(clock.attention, { seconds: 1.2, hidden_s: 0, focus_losses: 0 });
});
