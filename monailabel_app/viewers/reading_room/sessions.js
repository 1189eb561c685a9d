// What a study and its sessions are in words, and what may be done with them.

const STATES = { closed: 'This study is closed.', finished: 'You have read everything. Thank you.' };

/** What to say of a study; '' if its sessions say it. */
export const wordsOfStudy = ({ state }) => STATES[state] || '';

/** Such as Session 2. */
export const nameOf = ({ session }) => (session === 0 ? 'Training' : `Session ${session}`);

/** How far a session is, or when it may begin; `told` writes a time. */
export function wordsOf({ readings, done, started, may_start, earliest }, told = inWords) {
  const cases = `${readings} ${readings === 1 ? 'case' : 'cases'}`;
  if (done === readings) return `finished, ${cases}`;
  if (started) return `${done} of ${cases} read`;
  if (may_start) return `${cases}, not begun`;
  return earliest ? `${cases}, may begin on ${told(earliest)}` : `${cases}, after what comes before it`;
}

/** What may be done: 'Begin', 'Go on', or '' for nothing. */
export function actionOf({ readings, done, started, may_start }, { state }) {
  if (state === 'closed' || done === readings) return '';
  if (started) return 'Go on';
  return may_start ? 'Begin' : '';
}

const inWords = time => new Date(time).toLocaleString([], { dateStyle: 'long', timeStyle: 'short' });
