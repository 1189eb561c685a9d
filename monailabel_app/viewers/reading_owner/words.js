// What the server says of studies, readers and tokens, in words for an owner.

/** What a session is called. */
export const sessionName = number => (number === 0 ? 'Training' : `Session ${number}`);

/** A time of the server as a person reads it, where they are. */
export const when = text =>
  text ? new Date(text).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }) : 'never';

/** A number of things. */
export const counted = (number, thing, things = `${thing}s`) => `${number} ${number === 1 ? thing : things}`;

/** How far a session is. */
export function progress({ readings, done, started, may_start, earliest }) {
  const count = `${done} of ${readings}`;
  if (done === readings) return `${count}, finished`;
  if (started) return count;
  if (may_start) return `${count}, may begin`;
  return earliest ? `${count}, may begin on ${when(earliest)}` : `${count}, not begun`;
}

/** How far a study is, in a few words. */
export function summary({ state, done, readings, is_simulated }) {
  return `${state}, ${done} of ${counted(readings, 'reading')}${is_simulated ? ', simulated readers' : ''}`;
}

/** What a checked protocol comes to, as sentences. */
export const checkedSentences = found => [
  `${found.study}: ${found.title}`,
  `${counted(found.cases, 'case')} of ${counted(found.patients, 'patient')}, and ${found.training_cases} for training.`,
  `${counted(found.readers, 'reader')}, ${counted(found.readings, 'reading')}, at most ` +
    `${found.most_readings_in_a_session} in a session.`,
  'Opening freezes the protocol: it cannot be changed afterwards.',
];

/** How far the blinded copies of a study are. */
export function blindingSentence({ is_blinded, state, done, total, message }) {
  if (state === 'failed') return `Not blinded: ${message}`;
  if (state === 'running') return total ? `${done} of ${counted(total, 'copy', 'copies')} made` : 'Looking at the images ...';
  return is_blinded ? 'Made: readers can begin.' : 'Not made yet: readers cannot begin.';
}

/** What an attack on two arms came to, as sentences: what it found, and how well all traces together tell them apart. */
export function attackSentences({ arms, copies, scores, classifier, leaks }) {
  const [auc, low, high] = classifier.map(value => value.toFixed(2));
  const found = leaks.map(({ kind, what, auc: area }) => `${kind}: ${what} (AUC ${area.toFixed(2)})`);
  return [
    `${arms.join(' and ')}, ${copies.join(' and ')} copies: ` +
      (leaks.length ? `told apart by ${leaks.length} of ${scores} traces.` : `none of ${scores} traces tells them apart.`),
    `A classifier on all traces: AUC ${auc} (95 % interval ${low} to ${high}; 0.50 is chance).`,
    ...found,
  ];
}

/** Whether a reader of a study can sign in, and may: {token, warning}. */
export function tokenOf(reader, tokens) {
  const token = tokens.find(({ name }) => name === reader);
  const unblinds = token && token.role !== 'reader';
  const warning = unblinds ? `Is ${token.role === 'owner' ? 'an owner' : 'a user'}, too, and can see the archive` : '';
  return { token, warning };
}

/** Sessions that an owner may let begin early: those behind a wash-out that have not begun. */
export const waitingSessions = readers =>
  readers.flatMap(({ reader, sessions }) =>
    sessions.filter(({ session, started }) => session > 1 && !started).map(({ session }) => ({ reader, session }))
  );
