// Tokens of readers: made, shown once, revoked.

import { button, element, find, table } from './elements.js';
import { agreed, attempt, makeToken, readTokens, revokeToken } from './server.js';
import { when } from './words.js';

let found = { you: '', asks_for_tokens: false, tokens: [] };
const listeners = new Set();

/** Whose tokens there are, as the server said last. */
export const tokens = () => found;

/** Hear of every change of the tokens. */
export const onTokens = listener => listeners.add(listener);

/** Ask the server for the tokens. */
export async function loadTokens() {
  found = await readTokens();
  listeners.forEach(listener => listener());
}

/** A button that makes a reader's token. */
export const makeButton = name =>
  button('Make token', () => make(name), { 'aria-label': `Make a token for ${name}` });

/** A button that revokes it. */
export const revokeButton = name =>
  button('Revoke', () => revoke(name), { className: 'danger', 'aria-label': `Revoke the token of ${name}` });

/** Let a section list the tokens and make them. */
export function showTokens(section) {
  const form = section.querySelector('#make-token');
  form.addEventListener('submit', event => {
    event.preventDefault();
    make(form.querySelector('#reader').value.trim()).then(done => done && form.reset());
  });
  onTokens(() => {
    const row = ({ name, role, created }) => [name, role, when(created), role === 'reader' ? revokeButton(name) : ''];
    const heads = ['Name', 'Role', 'Made', element('span', { className: 'visually-hidden' }, 'Revoke')];
    section.querySelector('#token-table').replaceChildren(
      ...(found.tokens.length ? [table('Who can sign in', heads, found.tokens.map(row))] : [])
    );
    section.querySelector('#no-tokens').hidden = found.asks_for_tokens;
    form.hidden = !found.asks_for_tokens;
    find('#you').textContent = `Signed in as ${found.you}`;
    find('#sign-out').hidden = !found.asks_for_tokens;
  });
  const dialog = find('#token-dialog');
  const token = find('#token');
  const copied = dialog.querySelector('#copied');
  dialog.querySelector('#copy').addEventListener('click', async () => {
    token.select();
    copied.textContent = await navigator.clipboard.writeText(token.value).then(
      () => 'Copied',
      () => 'Copy the marked text yourself: the browser does not allow it'
    );
  });
  dialog.addEventListener('close', () => {
    token.value = '';
    copied.textContent = '';
  });
}

const make = name =>
  attempt(async () => {
    const made = await makeToken(name);
    const dialog = find('#token-dialog');
    dialog.querySelector('#token-title').textContent = `Token of ${made.name}`;
    find('#token').value = made.token;
    dialog.querySelector('#sign-in-address').textContent = `${location.origin}/sign-in`;
    dialog.showModal();
    await loadTokens();
  });

async function revoke(name) {
  const text = `${name} is signed out at once, and for good. Answers stay. You can make a new token afterwards.`;
  if (!(await agreed(`Revoke the token of ${name}?`, text, 'Revoke'))) return;
  await attempt(async () => {
    await revokeToken(name);
    await loadTokens();
  });
  find('#token-table').focus(); // its button is gone
}
