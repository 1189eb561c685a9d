// One study: how far its readers are, and what its owner can do.

import { blindingSection } from './blinding.js';
import { button, element, field, find, section, table } from './elements.js';
import { agreed, attempt, close, download, override, verify } from './server.js';
import { makeButton, revokeButton } from './tokens.js';
import { counted, progress, sessionName, summary, tokenOf, waitingSessions, when } from './words.js';

/** Show a study in a place; nothing if there is none. `changed` is called after something was done to it. */
export function showStudy(place, study, tokens, changed) {
  if (!study) return place.replaceChildren();
  const isOpen = study.state === 'open';
  const hadFocus = place.contains(document.activeElement);
  place.replaceChildren(
    element(
      'section',
      { 'aria-labelledby': 'study-heading', className: 'stack' },
      element('h2', { id: 'study-heading' }, study.study),
      element('p', {}, study.title),
      element('p', { className: 'muted' }, `${summary(study)}; opened ${when(study.opened)}`),
      element('div', { className: 'wide' }, readersTable(study, tokens))
    ),
    ...(isOpen ? [blindingSection(study, changed), overrideSection(study, changed), closeSection(study, changed)] : [resultsSection(study)]),
    recordsSection(study)
  );
  if (hadFocus) place.focus(); // what had it is gone
}

function readersTable({ readers, state }, { tokens, asks_for_tokens }) {
  const numbers = [...new Set(readers.flatMap(({ sessions }) => sessions.map(({ session }) => session)))].sort();
  const cell = ({ sessions }, number) => {
    const found = sessions.find(({ session }) => session === number);
    return found ? progress(state === 'open' ? found : { ...found, earliest: null }) : '';
  };
  const rows = readers.map(each => [
    each.reader,
    ...numbers.map(number => cell(each, number)),
    when(each.last_activity),
    asks_for_tokens ? tokenCell(each.reader, tokens) : 'none needed',
  ]);
  return table('Readers', ['Reader', ...numbers.map(sessionName), 'Last activity', 'Token'], rows);
}

function tokenCell(reader, tokens) {
  const { token, warning } = tokenOf(reader, tokens);
  if (warning) return element('strong', { className: 'warning' }, warning);
  return token ? revokeButton(reader) : makeButton(reader);
}

function overrideSection({ study, readers }, changed) {
  const waiting = waitingSessions(readers);
  if (!waiting.length) return '';
  const options = waiting.map(each => new Option(`${each.reader}, ${sessionName(each.session)}`, JSON.stringify(each)));
  const choice = element('select', { id: 'early', required: true }, ...options);
  const reason = element('textarea', { id: 'early-reason', required: true, maxLength: 2000 });
  const form = element(
    'form',
    { className: 'stack' },
    element('p', { className: 'muted' }, 'The reason is kept for good, and counted in the report.'),
    field('Reader and session', choice),
    field('Reason', reason),
    element('div', {}, element('button', {}, 'Let it begin'))
  );
  form.addEventListener('submit', event => {
    event.preventDefault();
    attempt(async () => {
      const { reader, session } = JSON.parse(choice.value);
      await override(study, { reader, session, reason: reason.value });
      await changed();
      const told = `${sessionName(session)} of ${reader} may begin as soon as what comes before it is finished.`;
      find('#told').textContent = told;
    });
  });
  return section('Cut a wash-out short', form, element('p', { id: 'told', role: 'status' }));
}

function closeSection({ study, done, readings }, changed) {
  const unfinished = readings - done;
  const reason = element('textarea', { id: 'close-reason', required: unfinished > 0, maxLength: 2000 });
  const form = element(
    'form',
    { className: 'stack' },
    element('p', {}, 'After closing, nobody can answer any more, and results can be seen. Nothing opens it again.'),
    ...(unfinished ? [element('p', { className: 'notice' }, `${counted(unfinished, 'reading')} not finished.`)] : []),
    field(unfinished ? 'Reason to close it so' : 'Remark', reason),
    element('div', {}, element('button', { className: 'danger' }, 'Close the study'))
  );
  form.addEventListener('submit', async event => {
    event.preventDefault();
    const text = unfinished ? `${counted(unfinished, 'reading')} not finished, which stay so.` : 'All readings are finished.';
    if (!(await agreed(`Close ${study} for good?`, text, 'Close it'))) return;
    await attempt(async () => {
      await close(study, reason.value);
      await changed();
    });
  });
  return section('Close', form);
}

function resultsSection({ study }) {
  const files = [
    ['report', 'Report and tables', `${study}.zip`],
    ['export', 'Answers as tables', `${study}-tables.zip`],
    ['structured-reports', 'Answers as DICOM SR', `${study}-sr.zip`],
    ['backup', 'Backup', `${study}.backup.json`],
  ];
  const told = element('p', { role: 'status' });
  const offer = ([what, text, file]) =>
    button(text, async () => {
      told.textContent = `${text}: being made, which can take a minute ...`;
      const done = await attempt(() => download(study, what, file));
      told.textContent = done ? `${file} is in your downloads.` : '';
    });
  return section('Results', element('div', { className: 'row' }, ...files.map(offer)), told);
}

function recordsSection({ study, records, head }) {
  const told = element('p', { role: 'status' });
  const check = () =>
    attempt(async () => {
      const found = await verify(study);
      told.textContent = found.problems.length
        ? `Not as it was: ${found.problems.join('; ')}`
        : `${counted(found.records, 'record')}: all as they were.`;
      told.className = found.problems.length ? 'error' : '';
    });
  return section(
    'Records',
    element('p', {}, `${counted(records, 'record')}, each chained to the one before. Hash of the last, to be noted elsewhere:`),
    element('code', {}, head),
    element('div', {}, button('Verify', check)),
    told
  );
}

