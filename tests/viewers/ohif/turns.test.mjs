import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Turns } from '../../../monailabel_app/viewers/ohif/turns.js';

const AGAIN_MS = 5;
const pause = (milliseconds = 0) => new Promise(resolve => setTimeout(resolve, milliseconds));
const failure = status => Object.assign(new Error(`status ${status}`), { status });
const now = name => ({ name, isOfNow: true });

/** Turns of a server that refuses as often as it is told; what it answered, and what was said of failures. */
function turnsWith(...failures) {
  const got = [];
  const said = [];
  const send = async ({ name }, signal) => {
    await pause();
    signal.throwIfAborted();
    if (failures.length) throw failures.shift();
    got.push(name);
  };
  const turns = new Turns(send, ({ message }, { name }) => said.push(`${name}: ${message}`), AGAIN_MS);
  return { turns, got, said };
}

test('of values that change while a request is under way only the newest are asked', async () => {
  const { turns, got } = turnsWith();
  for (const name of ['a', 'b', 'c']) turns.put(now(name));
  await pause(200);
  assert.deepEqual(got, ['a', 'c']);
});

test('what was pressed is never left out, and comes in its order', async () => {
  const { turns, got } = turnsWith();
  for (const name of ['benign', 'malignant', 'random']) turns.put({ name });
  turns.put(now('moved'));
  await pause(200);
  assert.deepEqual(got, ['benign', 'malignant', 'random', 'moved']);
});

test('a server that is busy, away or starting again is asked again', async () => {
  const { turns, got, said } = turnsWith(failure(429), failure(0), failure(502), failure(503), failure(504));
  turns.put(now('a'));
  await pause(200);
  assert.deepEqual(got, ['a']);
  assert.equal(said.length, 5);
});

test('older values are not asked again after newer ones were answered', async () => {
  const { turns, got } = turnsWith(failure(429));
  turns.put(now('old'));
  await pause(2);
  turns.put(now('new'));
  await pause(50);
  assert.deepEqual(got, ['new']);
});

test('older values are not asked again if newer ones came while they were refused', async () => {
  const { turns, got } = turnsWith(failure(429));
  turns.put(now('old'));
  turns.put(now('new'));
  await pause(50);
  assert.deepEqual(got, ['new']);
});

test('what is refused for good is said once, and does not hold up the next', async () => {
  const { turns, got, said } = turnsWith(failure(422), failure(undefined));
  for (const name of ['a', 'b', 'c']) turns.put({ name });
  await pause(50);
  assert.deepEqual(got, ['c']);
  assert.deepEqual(said, ['a: status 422', 'b: status undefined']);
});

test('nothing is asked, said or tried again after leaving', async () => {
  const { turns, got, said } = turnsWith(failure(429));
  turns.put(now('a'));
  await pause(2);
  turns.leave();
  turns.put(now('b'));
  turns.put(now('c'));
  turns.leave();
  await pause(50);
  assert.deepEqual(got, []);
  assert.deepEqual(said, ['a: status 429']);
});
