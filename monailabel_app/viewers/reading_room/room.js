// The page of the reading room: who reads, which sessions there are, and the check of the display before one begins.

import { ask } from '/ohif/extensions/server.js';
import { adviceOn, drawPattern, STEPS } from './display-check.js';
import { actionOf, nameOf, wordsOf, wordsOfStudy } from './sessions.js';

const MOST_LUMINANCE = 10000; // cd/m2
const find = id => /** @type {any} */ (document.getElementById(id));
let chosen = null; // {study, session} that the display is checked for

show();
addEventListener('pageshow', ({ persisted }) => persisted && show()); // the viewer was left by the Back button
addEventListener('resize', () => chosen && showSize());
find('check').addEventListener('submit', event => {
  event.preventDefault();
  begin();
});
find('cancel').addEventListener('click', () => show());
find('steps').addEventListener('input', showSize);

/** Say who reads what, and how far it is. */
async function show() {
  chosen = null;
  find('check').hidden = true;
  try {
    const { reader, studies } = await ask('/reading-room/studies');
    find('reader').textContent = `Signed in as ${reader}`;
    find('studies').replaceChildren(...(studies.length ? studies.map(sectionOf) : [nothing()]));
    find('studies').hidden = false;
    tell('');
  } catch (error) {
    tell(error.message);
  }
}

function sectionOf(study) {
  const section = made('section');
  const table = made('table');
  const title = made('h2', study.title);
  for (const session of study.sessions) {
    const row = table.insertRow();
    const name = made('th', nameOf(session));
    name.scope = 'row';
    row.append(name, made('td', wordsOf(session)), cellOf(study, session));
  }
  const words = wordsOfStudy(study);
  section.append(title, ...(words ? [made('p', words)] : []), table);
  return section;
}

function cellOf(study, session) {
  const cell = made('td');
  const action = actionOf(session, study);
  if (!action) return cell;
  const button = made('button', action);
  button.type = 'button';
  button.setAttribute('aria-label', `${action}: ${nameOf(session)}, ${study.title}`);
  button.addEventListener('click', () => enter(study.study, session).catch(error => tell(error.message)));
  cell.append(button);
  return cell;
}

const nothing = () => made('p', 'There is nothing here for you to read yet. Whoever runs the study will tell you when there is.');

/** Go on with the case that is shown, or check the display first. */
async function enter(study, session) {
  const current = await ask(`/reading-room/studies/${encodeURIComponent(study)}/current`);
  if (current.state === 'reading' && current.session === session.session) return open(current);
  chosen = { study, session: session.session };
  find('studies').hidden = true;
  find('check').hidden = false;
  find('check').reset();
  find('begin').textContent = session.started ? 'Go on' : `Begin ${nameOf(session).toLowerCase()}`;
  drawPattern(find('pattern'));
  showSize();
  find('check-title').focus();
}

function showSize() {
  const { innerWidth, innerHeight, devicePixelRatio } = window;
  const pixels = [innerWidth, innerHeight].map(length => Math.round(length * devicePixelRatio)).join(' x ');
  find('size').textContent = `This window has ${pixels} pixels.`;
  find('advice').textContent = adviceOn(numberIn('steps'), innerWidth, innerHeight);
}

async function begin() {
  const [steps, luminance] = [numberIn('steps'), numberIn('luminance')];
  const areGood = [
    judge('steps', Number.isInteger(steps) && steps >= 0 && steps <= STEPS),
    judge('luminance', isEmpty('luminance') || (luminance >= 1 && luminance <= MOST_LUMINANCE)),
  ];
  if (areGood.includes(false)) return;
  const display = {
    luminance_cd_m2: luminance,
    steps_seen: steps,
    window_width: innerWidth,
    window_height: innerHeight,
    device_pixel_ratio: devicePixelRatio,
  };
  const { study, session } = chosen;
  try {
    open(
      await ask(`/reading-room/studies/${encodeURIComponent(study)}/sessions/${session}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ display }),
      })
    );
  } catch (error) {
    tell(error.message);
  }
}

/** Open the viewer on the case that is shown. */
function open({ study_instance_uid, study }) {
  location.assign(`/ohif/reading?${new URLSearchParams({ StudyInstanceUIDs: study_instance_uid, study })}`);
}

/** Say whether a field is right; the first that is wrong gets the keyboard. */
function judge(id, isGood) {
  if (!isGood && !document.querySelector('[aria-invalid=true]')) find(id).focus();
  find(id).setAttribute('aria-invalid', String(!isGood));
  find(`${id}-problem`).hidden = isGood;
  return isGood;
}

const isEmpty = id => find(id).value === '' && !find(id).validity.badInput;

const numberIn = id => (find(id).value === '' ? null : Number(find(id).value));

function tell(problem) {
  find('problem').textContent = problem;
  find('problem').hidden = !problem;
}

const made = (name, textContent = '') => Object.assign(document.createElement(name), { textContent });
