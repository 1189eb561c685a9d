// The blinded copies of a study: without them, nothing can be shown to readers.

import { button, element, section } from './elements.js';
import { attack, attempt, blind, blinding } from './server.js';
import { attackSentences, blindingSentence } from './words.js';

const POLL_MS = 1000;

/** How far the copies of a study are, and a button that makes them; `changed` is called once they are made. */
export function blindingSection({ study }, changed) {
  const told = element('p', { role: 'status' });
  const bar = element('progress', { 'aria-label': 'Blinded copies', hidden: true });
  const make = button('Make blinded copies', () => follow(() => blind(study)));
  const result = element('div', { role: 'status' });
  const test = button('Attack the copies', async () => {
    result.replaceChildren('Looking for what tells the arms apart, which can take minutes ...');
    let sentences = [];
    await attempt(async () => {
      sentences = (await attack(study)).flatMap(attackSentences);
    });
    result.replaceChildren(...sentences.map(each => element('p', {}, each)));
  });
  const made = section(
    'Blinded copies',
    element(
      'p',
      { className: 'muted' },
      'Readers see copies that differ in the anatomy only. They are made of the images of the archive that the protocol ' +
        'names by SOP Instance UID; of files, by ',
      element('code', {}, `mammosynth study blind ${study} --images FOLDER`),
      ' at the server.'
    ),
    told,
    bar,
    element('div', { className: 'row' }, make, test),
    result
  );

  let wasBlinded = true; // until it is known
  const follow = (asked = () => blinding(study)) =>
    attempt(async () => {
      const found = await asked();
      const sentence = blindingSentence(found);
      if (told.textContent !== sentence) told.textContent = sentence;
      told.className = found.state === 'failed' ? 'error' : '';
      const isRunning = found.state === 'running';
      bar.hidden = !isRunning;
      Object.assign(bar, { max: found.total || 1, value: found.done });
      make.disabled = isRunning || found.is_blinded;
      test.disabled = isRunning || !found.is_blinded;
      if (isRunning && made.isConnected) setTimeout(() => follow(), POLL_MS);
      const isNews = found.is_blinded && !wasBlinded; // also if it was done before it was asked for a second time
      wasBlinded = found.is_blinded;
      if (isNews && made.isConnected) await changed(); // the key is a record
    });
  setTimeout(() => follow()); // once the section is on the page
  return made;
}
