import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ReadingSession } from '../../../monailabel_app/viewers/ohif/reading-session.js';

const QUESTION = {
  name: 'lesion', type: 'yes_no', per: 'case', targets: ['case'], required: true, suspicion: true, keys: {},
};

/** A case as the server tells it. */
const caseAt = (position, more = {}) => ({
  state: 'reading', session: 1, is_training: false, position, readings: 2, done: 0, study_instance_uid: `2.25.${position}`,
  images: [], hanging: { rows: 1, columns: 1 }, questions: [QUESTION], answers: {}, is_complete: false,
  may_go_back: position > 1, feedback: null, ahead: null, ...more,
});

/** A session with a server in memory; `server.down` lets it fail. */
function sessionOver(first, storage = storageOf()) {
  const server = { asked: [], down: false, feedback: null };
  const ask = async (path, options = {}) => {
    const action = path.split('/').at(-1);
    const body = options.body && JSON.parse(options.body);
    if (server.down) throw new Error('no server');
    server.asked.push([action, body]);
    if (action === 'answers') return { receipts: [], is_complete: true, feedback: server.feedback };
    if (action === 'show') return body.position > first.readings ? { state: 'session_over' } : caseAt(body.position);
    return structuredClone(first);
  };
  return { server, storage, session: new ReadingSession({ ask, storage, now: () => 0 }) };
}

function storageOf() {
  const kept = new Map();
  return {
    kept: name => structuredClone(kept.get(name) ?? null),
    keep: (name, value) => (value === null ? kept.delete(name) : kept.set(name, structuredClone(value))),
    names: () => [...kept.keys()],
  };
}

async function opened(first, storage) {
  const made = sessionOver(first, storage);
  await made.session.open('study');
  made.session.setReady();
  return { ...made, place: made.session.places[0] };
}

test('a whole answer goes to the server, a half one stays here', async () => {
  const { server, session, storage, place } = await opened(caseAt(1));
  session.change(place, { answer: 'yes' });
  assert.deepEqual([session.halves, session.outbox.isEmpty], [[place], true]);
  session.change(place, { answer: 'yes', suspicion: 70 });
  assert.equal(await session.outbox.settled(), true);
  const [, [action, body]] = server.asked;
  assert.deepEqual([action, body.session, body.position], ['answers', 1, 1]);
  assert.deepEqual(body.answers[0].value, { answer: 'yes', suspicion: 70 });
  assert.deepEqual(storage.names(), [], 'nothing is left in the browser');
});

test('what the server never got is sent when the browser comes back', async () => {
  const { server, session, storage, place } = await opened(caseAt(1));
  server.down = true;
  session.change(place, { answer: 'no', suspicion: 3 });
  const again = await opened(caseAt(1), storage);
  assert.deepEqual(again.session.draftOf(again.place), { answer: 'no', suspicion: 3 });
  assert.equal(await again.session.outbox.settled(), true);
  assert.deepEqual(again.server.asked.map(([action]) => action), ['current', 'answers']);
  server.down = false; // or it would be asked for ever
});

test('what another reader or another study left in the browser is neither shown nor sent', async () => {
  const { server, session, storage, place } = await opened(caseAt(1));
  server.down = true;
  session.change(place, { answer: 'no', suspicion: 3 });
  const other = await opened(caseAt(1, { study_instance_uid: '2.25.99' }), storage);
  assert.equal(other.session.draftOf(other.place), null);
  assert.deepEqual([other.session.outbox.isEmpty, other.server.asked.length], [true, 1]);
  server.down = false;
});

test('text that is being typed is kept here before it is sent', async () => {
  const note = { name: 'note', type: 'text', per: 'case', targets: ['case'], required: false, keys: {} };
  const { session, storage, place } = await opened(caseAt(1, { questions: [note] }));
  session.type(place, 'A ves');
  assert.deepEqual([session.outbox.isEmpty, session.saving.state], [true, 'saving']);
  const again = await opened(caseAt(1, { questions: [note] }), storage);
  assert.equal(again.session.draftOf(again.place), 'A ves');
  assert.equal(await again.session.outbox.settled(), true);
  session.change(place, 'A ves');
  assert.equal(await session.outbox.settled(), true);
  assert.equal(session.saving.state, 'saved');
});

test('nobody leaves a case before its answers are with the server', async () => {
  const { server, session, place } = await opened(caseAt(1));
  session.change(place, { answer: 'no', suspicion: 3 });
  server.down = true;
  await assert.rejects(session.go(1), /no server/);
  assert.equal(session.current.position, 1);
  server.down = false;
});

test('the next case comes with the times of the one before; after the last one the session ends', async () => {
  const { server, session } = await opened(caseAt(2));
  let ended = false;
  session.addEventListener('end', () => (ended = true));
  await session.go(-1);
  assert.equal(session.current.position, 1);
  session.setReady();
  await session.go(1);
  session.setReady();
  await session.go(1);
  assert.equal(ended, true);
  const shows = server.asked.filter(([action]) => action === 'show').map(([, body]) => body);
  assert.deepEqual(shows.map(({ position }) => position), [1, 2, 3]);
  assert.deepEqual(shows[0].left, { seconds: 0, hidden_s: 0, focus_losses: 0, position: 2 });
});

test('answers of a training case are sent when the truth is asked for, and stay then', async () => {
  const { server, session, place } = await opened(caseAt(1, { is_training: true, session: 0 }));
  session.change(place, { answer: 'no', suspicion: 3 });
  assert.equal(session.outbox.isEmpty, true);
  server.feedback = { truth: {}, generated: false, feedback: 'A cyst.' };
  await session.tell();
  assert.equal(session.isTold, true);
  session.change(place, { answer: 'yes', suspicion: 90 });
  assert.deepEqual(session.draftOf(place), { answer: 'no', suspicion: 3 });
});

test('an answer that the server has already is not sent again', async () => {
  const answers = { lesion: { case: { suspicion: 5, answer: 'no' } } };
  const { session, place } = await opened(caseAt(1, { answers }));
  session.change(place, { answer: 'no', suspicion: 5 });
  assert.equal(session.outbox.isEmpty, true);
});
