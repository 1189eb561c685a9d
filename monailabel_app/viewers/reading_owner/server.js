// What the page asks the server, and how it tells what went wrong.

import { ask, send } from '/ohif/extensions/server.js';
import { find } from './elements.js';

const place = study => `/reading/studies/${encodeURIComponent(study)}`;
const holder = name => `/reading/tokens/${encodeURIComponent(name)}`;
const post = (path, body) =>
  ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

/** Names of all studies. */
export const studyNames = async () => (await ask('/reading/studies')).studies;

/** How far a study is. */
export const status = study => ask(place(study));

/** What a protocol comes to; its text as YAML. */
export const check = text => ask('/reading/check', { method: 'POST', body: text });

/** Freeze a protocol and begin to take answers. */
export const open = text => ask('/reading/studies', { method: 'POST', body: text });

/** Make the blinded copies of a study, in the background. */
export const blind = study => ask(`${place(study)}/blind`, { method: 'POST' });

/** How far they are: {is_blinded, state, done, total, message}. */
export const blinding = study => ask(`${place(study)}/blind`);

/** What tells the arms of a blinded study apart, besides the anatomy: an attack on each two of them. */
export const attack = async study => (await ask(`${place(study)}/attack`, { method: 'POST' })).attacks;

/** Let a session begin before the wash-out is over. */
export const override = (study, body) => post(`${place(study)}/override`, body);

/** Take no more answers, for good. */
export const close = (study, reason) => post(`${place(study)}/close`, { reason });

/** Whether any row of a study was changed. */
export const verify = study => ask(`${place(study)}/verification`);

/** Who asks, and whose tokens there are. */
export const readTokens = () => ask('/reading/tokens');

/** A token for a reader. */
export const makeToken = name => ask(holder(name), { method: 'POST' });

/** Sign a reader out for good. */
export const revokeToken = name => ask(holder(name), { method: 'DELETE' });

/** Keep what the server makes of a study as a file. */
export async function download(study, what, file) {
  const answer = await send(`${place(study)}/${what}`);
  const url = URL.createObjectURL(await answer.blob());
  Object.assign(document.createElement('a'), { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Do something; what it fails by is told at the top of the page. Resolves to whether it went well. */
export async function attempt(action) {
  const error = find('#error');
  error.hidden = true;
  try {
    await action();
    return true;
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
    error.scrollIntoView({ block: 'nearest' });
    return false;
  }
}

/** Ask a person before something that cannot be taken back; resolves to whether they agree. */
export function agreed(title, text, yes) {
  const dialog = find('#question');
  const words = { '#question-title': title, '#question-text': text, '#question-yes': yes };
  for (const [selector, word] of Object.entries(words)) dialog.querySelector(selector).textContent = word;
  dialog.returnValue = 'no'; // as Escape leaves it
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
