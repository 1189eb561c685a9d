import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Outbox } from '../../../monailabel_app/viewers/ohif/reading-outbox.js';

const soon = () => new Promise(resolve => setImmediate(resolve));
const failure = status => Object.assign(new Error(`status ${status}`), { status });

/** A server that refuses as often as it is told, and what it got. */
function serverThat(...failures) {
  const got = [];
  const send = async answers => {
    if (failures.length) throw failures.shift();
    got.push(answers);
  };
  return { got, send };
}

test('an answer is sent again until the server has it', async () => {
  const { got, send } = serverThat(failure(undefined), failure(503), failure(429));
  const outbox = new Outbox(send, soon);
  const states = [];
  outbox.addEventListener('change', () => states.push(outbox.state));
  outbox.put('bpe case', { value: 'a' });
  while (!outbox.isEmpty) await soon();
  assert.deepEqual(got, [[{ value: 'a' }]]);
  assert.deepEqual(states, ['saving', 'waiting', 'waiting', 'waiting', 'saved']);
});

test('of several answers to one question the last is sent, also if it came while another was under way', async () => {
  const got = [];
  const outbox = new Outbox(async answers => {
    got.push(answers.map(({ value }) => value));
    if (got.length === 1) outbox.put('bpe case', { value: 'c' });
    await soon();
  }, soon);
  outbox.put('bpe case', { value: 'a' });
  outbox.put('bpe case', { value: 'b' });
  assert.equal(await outbox.settled(), true);
  assert.deepEqual(got, [['b'], ['c']]);
});

test('what the server refuses for good is told and kept, and sent again with the next answer', async () => {
  const { got, send } = serverThat(failure(422));
  const outbox = new Outbox(send, soon);
  outbox.put('lesions case', { value: 'outside' });
  assert.equal(await outbox.settled(), false);
  assert.deepEqual([outbox.state, outbox.message], ['refused', 'status 422']);
  outbox.put('lesions case', { value: 'inside' });
  assert.equal(await outbox.settled(), true);
  assert.deepEqual(got, [[{ value: 'inside' }]]);
});

test('while the server does not answer, nobody is kept waiting', async () => {
  const { got, send } = serverThat(...Array.from({ length: 100 }, () => failure(undefined)));
  const outbox = new Outbox(send, soon);
  outbox.put('bpe case', { value: 'a' });
  assert.equal(await outbox.settled(), false);
  assert.deepEqual([outbox.isEmpty, got], [false, []]);
});
