// The owner's page: which studies there are, the chosen one, and the tokens of readers.

import { sheet } from '/ohif/extensions/style.js';
import { element, find } from './elements.js';
import { showOpening } from './opening.js';
import { attempt, status, studyNames } from './server.js';
import { showStudy } from './study.js';
import { loadTokens, onTokens, showTokens, tokens } from './tokens.js';
import { summary } from './words.js';

document.adoptedStyleSheets = [sheet];

/** The study that the address names. */
const chosen = () => decodeURIComponent(location.hash.slice(1));

async function showStudies() {
  const found = await Promise.all((await studyNames()).map(status));
  const link = study =>
    element(
      'a',
      { href: `#${encodeURIComponent(study.study)}`, ...(study.study === chosen() && { 'aria-current': 'page' }) },
      element('strong', {}, study.study),
      element('br'),
      element('span', { className: 'muted' }, summary(study))
    );
  find('#studies').replaceChildren(...found.map(study => element('li', {}, link(study))));
  find('#no-studies').hidden = found.length > 0;
  const study = found.find(each => each.study === chosen());
  document.title = `${study ? `${study.study} - ` : ''}Reader studies - MammoSynth`;
  showStudy(find('#study'), study, tokens(), refresh);
}

/** Ask the server again for everything that is shown. */
const refresh = () => attempt(showStudies);

showOpening(find('#open'), name => {
  if (chosen() === name) refresh();
  else location.hash = encodeURIComponent(name);
});
showTokens(find('#tokens'));
onTokens(refresh);
addEventListener('hashchange', async () => {
  await refresh();
  find('#study').focus();
});
attempt(loadTokens);
