// <mammosynth-reading>: the questions of the case, how far the reader is, and what leads on.

import { isHalf, missingOf, nextOpen, placeId, targetName } from './reading-answers.js';
import { controlFor } from './reading-controls.js';
import { LEFT } from './reading-case.js';
import { keyList } from './reading-keys.js';
import { onMarking, chosenMark } from './reading-marks.js';
import { leaveForRoom, reading } from './reading-now.js';
import { resetImages } from './reading-view.js';
import { reportOf } from './reading-words.js';
import { keepControlKeys } from './shortcuts.js';
import { sheet } from './style.js';

const markup = `
  <div id="scroll">
    <header class="section">
      <h2 id="where"></h2>
      <progress id="progress" aria-label="Cases read in this session"></progress>
      <p id="title" class="muted"></p>
      <p class="muted">Research only, not for diagnosis</p>
    </header>
    <p id="loading" class="section" role="status">Loading the images.</p>
    <div id="failure" class="section stack" hidden>
      <p class="error" role="alert"></p>
      <button type="button" id="again">Try again</button>
    </div>
    <form id="questions" novalidate></form>
    <section id="feedback" aria-labelledby="feedback-heading" hidden>
      <h3 id="feedback-heading" tabindex="-1">The truth</h3>
      <dl></dl>
      <p></p>
    </section>
  </div>
  <footer class="stack">
    <p id="problem" class="error" role="alert" hidden></p>
    <div class="row">
      <button type="button" id="back">Back</button>
      <button type="button" id="forward" class="primary"><span></span> <small>Ctrl+Enter</small></button>
    </div>
    <div class="row minor">
      <button type="button" id="pause">Pause (Esc)</button>
      <button type="button" id="reset">Reset images</button>
      <button type="button" id="keys">Keys (F1)</button>
    </div>
    <p id="saved" role="status"></p>
  </footer>`;

const own = new CSSStyleSheet();
own.replaceSync(`
  :host { height: 100%; display: flex; flex-direction: column; background: #090c29; }
  #scroll { flex: 1; overflow-y: auto; scroll-padding: 24px 0 40px; }
  footer { padding: 8px 12px; border-top: 1px solid #2c4a7c; background: #0b1233; }
  fieldset {
    margin: 0; padding: 10px 12px; border: 0; border-left: 4px solid transparent; border-bottom: 1px solid #1f2e57;
    min-width: 0;
  }
  fieldset.now { border-left-color: #5acce6; background: #0b1a3a; }
  legend { float: left; width: 100%; padding: 0 0 6px; color: #fff; font-weight: 600; }
  legend + * { clear: both; }
  legend .target { display: block; color: #9fe3f4; font-weight: 600; }
  legend .optional, legend .state { color: #a9bcdb; font-weight: 400; font-size: 12px; }
  .body { display: flex; flex-direction: column; gap: 8px; }
  .choices { display: flex; flex-wrap: wrap; gap: 6px; }
  .choices.levels { flex-direction: column; }
  label.choice {
    display: flex; gap: 8px; align-items: center; min-height: 32px; padding: 4px 10px; border: 1px solid #5d77a8;
    border-radius: 4px; color: #fff; cursor: pointer;
  }
  label.choice input { margin: 0; }
  label.choice .words { color: #c7d5ec; overflow-wrap: anywhere; }
  label.choice:has(:checked) { background: #1c4f8a; border-color: #9fe3f4; }
  label.choice:has(:focus-visible) { outline: 2px solid #fff; outline-offset: 2px; }
  label.choice:has(:disabled) { cursor: default; }
  label.choice kbd { margin-left: auto; }
  .share { display: grid; grid-template-columns: 1fr 72px; gap: 4px 8px; align-items: center; }
  .share input[type=range] { grid-column: 1 / -1; margin: 0; }
  .share .unset { opacity: .45; }
  [aria-invalid=true] { border-color: #ff8a80 !important; background: #3b1118 !important; }
  .items th[scope=row] { color: #e6ecf5; }
  .items td, .items th[scope=col] { text-align: center; }
  .marks { margin: 0; padding: 0; list-style: none; counter-reset: mark; display: flex; flex-direction: column; gap: 6px; }
  .marks li { display: flex; gap: 8px; align-items: center; counter-increment: mark; }
  .marks li::before { content: counter(mark); min-width: 14px; color: #ffb84d; font-weight: 600; }
  .marks li.chosen .words { color: #fff; font-weight: 600; }
  .marks .words { flex: 1; }
  .marks input { width: 68px !important; flex: none; }
  .marks button { min-height: 28px; padding: 2px 8px; font-size: 12px; }
  textarea { resize: vertical; }
  .minor { gap: 4px; justify-content: space-between; }
  .minor button { min-height: 28px; padding: 2px 6px; border-color: #5d77a8; font-size: 12px; }
  header progress { margin: 4px 0; display: block; }
  #saved { font-size: 12px; color: #a9bcdb; }
  #saved.trouble { color: #ffd9d6; }
  #forward { flex: 1; padding: 4px; }
  small { white-space: nowrap; font-size: 11px; }
  #feedback { background: #10233f; }
  #feedback dl { display: block; font-size: 13px; }
  #feedback dt { margin-top: 6px; }
  #feedback p { margin-top: 8px; white-space: pre-line; }
  button kbd { margin-left: 4px; }
  dialog {
    width: min(34rem, 92vw); max-height: 90vh; overflow: auto; padding: 20px 24px; color: #fff; background: #041c4a;
    border: 1px solid #5acce6; border-radius: 8px;
  }
  dialog::backdrop { background: rgb(0 0 0 / .6); }
  dialog.over::backdrop { background: #000; }
  dialog h2 { font-size: 18px; margin-bottom: 8px; }
  dialog .row { margin-top: 16px; }
`);

/** The panel on the right of the viewer. */
export class ReadingPanel extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.listening = new AbortController();
    const on = (name, act) => reading.addEventListener(name, act, { signal: this.listening.signal });
    on('case', () => this.showCase());
    on('answer', () => this.update());
    on('typed', () => this.showSaving());
    on('saved', () => this.onSaving());
    on('failed', () => this.update());
    on('place', () => this.showPlace());
    on('chosen', ({ detail }) => this.leadOn(detail));
    on('request', ({ detail }) => this.do(detail));
    on('end', () => this.showEnd());
    this.stop = onMarking(what => this.onMark(what));
    this.showCase();
  }

  disconnectedCallback() {
    this.listening.abort();
    this.stop();
  }

  find(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = markup;
    keepControlKeys(this);
    this.find('form').addEventListener('submit', event => event.preventDefault());
    this.find('form').addEventListener('focusin', ({ target }) => {
      const index = this.fieldsets.indexOf(target.closest('fieldset'));
      if (index >= 0) reading.attend(reading.places[index]);
    });
    const click = (id, act) => this.find(id).addEventListener('click', act);
    click('#back', () => this.do('back'));
    click('#forward', () => this.do('forward'));
    click('#pause', () => this.do('pause'));
    click('#keys', () => this.do('keys'));
    click('#reset', resetImages);
    click('#again', () => reading.showAgain());
  }

  /** Build what belongs to another case. */
  showCase() {
    const { title, session, is_training, position, readings } = reading.current;
    this.find('#title').textContent = title;
    this.find('#where').textContent = `${is_training ? 'Training' : `Session ${session}`}, case ${position} of ${readings}`;
    this.find('#problem').hidden = true;
    this.controls = reading.places.map(place => controlFor(place, () => this.leadOn(place)));
    this.fieldsets = reading.places.map((place, index) => fieldsetOf(place, this.controls[index]));
    this.find('#questions').replaceChildren(...this.fieldsets);
    this.find('#scroll').scrollTop = 0;
    this.isFocused = false;
    this.update();
  }

  /** Show answers, and what is known of them, as they are now. */
  update() {
    const { isReady, isTold, failure } = reading;
    const isStill = !isReady || isTold || this.isGoing;
    reading.places.forEach((place, index) => {
      const draft = reading.draftOf(place);
      this.controls[index].update(draft, isStill);
      setText(this.fieldsets[index].querySelector('.state'), stateOf(place, draft));
    });
    this.find('#loading').hidden = isReady || Boolean(failure);
    this.find('#failure').hidden = isReady || !failure;
    setText(this.find('#failure p'), isReady ? '' : failure);
    this.showWay();
    this.showSaving();
    this.showFeedback();
    if (isReady && !this.isFocused) this.begin();
  }

  /** What kept the reader from going on is over once all is saved. */
  onSaving() {
    if (this.isHeldUp && reading.outbox.state === 'saved') this.tell('');
    this.update();
  }

  showWay() {
    const { is_training, position, readings, may_go_back, done } = reading.current;
    Object.assign(this.find('#progress'), { max: readings, value: Math.max(done, position - 1) });
    this.find('#back').disabled = !reading.isReady || this.isGoing || !may_go_back;
    const forward = this.find('#forward');
    const isLast = position === readings;
    const words = is_training && !reading.isTold ? 'Show the truth' : isLast ? 'Finish the session' : 'Next case';
    setText(forward.firstElementChild, words);
    forward.disabled = !reading.isReady || this.isGoing;
  }

  showSaving() {
    const { state, message } = reading.saving;
    const isHeld = reading.current.is_training && !reading.isTold;
    const words = {
      saved: isHeld ? 'Training: answers are sent when you ask for the truth.' : 'All answers are saved.',
      saving: 'Saving.',
      waiting: `Not saved yet, trying again. ${message}`,
      refused: `Not saved. ${message}`,
    };
    setText(this.find('#saved'), words[state]);
    this.find('#saved').className = state === 'waiting' || state === 'refused' ? 'trouble' : '';
  }

  showFeedback() {
    const { feedback } = reading.current;
    this.find('#feedback').hidden = !feedback;
    if (!feedback || this.find('#feedback dl').childElementCount) return this.forgetFeedback(feedback);
    const lines = reportOf(feedback, reading.current.questions);
    const pairs = lines.flatMap(([name, words]) => [textElement('dt', name), textElement('dd', words)]);
    this.find('#feedback dl').replaceChildren(...pairs);
    this.find('#feedback p').textContent = feedback.feedback || '';
    this.find('#feedback').scrollIntoView({ block: 'nearest' });
  }

  forgetFeedback(feedback) {
    if (!feedback) this.find('#feedback dl').replaceChildren();
  }

  /** Once the images are there: the first question that is open is the current one. */
  begin() {
    this.isFocused = true;
    this.focusOn(nextOpen(reading.places, reading.drafts, null));
  }

  /** Let a question have the keyboard; without any, what leads on. */
  focusOn(place) {
    const index = reading.places.indexOf(place);
    const target = place ? this.controls[index].first(reading.draftOf(place)) : this.find('#forward');
    target.focus();
    target.closest?.('fieldset')?.scrollIntoView({ block: 'nearest' });
  }

  /** After an answer: what it lacks, else the next question that is open. */
  leadOn(place) {
    const isLacking = isHalf(place.question, reading.draftOf(place));
    this.focusOn(isLacking ? place : nextOpen(reading.places, reading.drafts, place));
  }

  showPlace() {
    this.fieldsets.forEach((fieldset, index) => fieldset.classList.toggle('now', reading.places[index] === reading.place));
  }

  onMark(what) {
    this.update();
    if (what !== 'set' || !chosenMark()) return;
    const { place } = chosenMark();
    const index = reading.places.indexOf(place);
    this.controls[index].last().focus();
    this.fieldsets[index].scrollIntoView({ block: 'nearest' });
  }

  do(what) {
    if (what === 'forward') this.forward();
    else if (what === 'back') this.go(-1);
    else if (what === 'pause') this.pause();
    else if (what === 'keys') this.showKeys();
    else if (what === 'stay') this.focusOn(reading.place);
    else if (what.startsWith('level ')) this.controls[reading.places.indexOf(reading.place)].takeLevel(Number(what.slice(6)));
  }

  forward() {
    this.takeTyped();
    const open = nextOpen(reading.places, reading.drafts, null);
    if (open) {
      this.tell(`${nameOf(open)} is not answered yet.`);
      return this.focusOn(open);
    }
    if (reading.current.is_training && !reading.isTold) return this.go(0);
    this.go(1);
  }

  /** Take what is being typed. */
  takeTyped() {
    const typed = this.shadowRoot.activeElement;
    if (typed?.matches('[type=number]')) typed.dispatchEvent(new Event('change'));
    this.controls.forEach(control => control.take?.());
  }

  /** Leave the case, or ask for its truth (0), once its answers are with the server. */
  async go(step) {
    if (this.isGoing || !reading.isReady || (step < 0 && !reading.current.may_go_back)) return;
    this.takeTyped();
    const wrong = this.find('[type=number][aria-invalid=true]');
    if (wrong) {
      this.tell('A whole number from 0 to 100 is needed.');
      return wrong.focus();
    }
    const [half] = reading.halves;
    if (half) {
      this.tell(`${nameOf(half)}: ${missingOf(half.question, reading.draftOf(half))} is missing.`);
      return this.focusOn(half);
    }
    this.setGoing(true);
    performance.mark(LEFT);
    try {
      if (step) await reading.go(step);
      else await reading.tell();
      this.tell('');
    } catch (error) {
      this.tell(error.message);
      this.isHeldUp = !reading.outbox.isEmpty;
      if (reading.outbox.state === 'refused') reading.outbox.sendAgain();
    } finally {
      this.setGoing(false);
    }
    if (!step) this.find('#forward').focus();
  }

  setGoing(isGoing) {
    this.isGoing = isGoing;
    this.update();
  }

  tell(problem) {
    this.isHeldUp = false;
    setText(this.find('#problem'), problem);
    this.find('#problem').hidden = !problem;
  }

  pause() {
    reading.setPaused(true);
    const dialog = this.dialog('Paused', 'over');
    dialog.append(textElement('p', 'Your answers are kept. The time does not run.'));
    const [resume, leave] = buttons(dialog, ['Go on', 'Leave for the reading room']);
    resume.addEventListener('click', () => dialog.close());
    leave.addEventListener('click', leaveForRoom);
    dialog.addEventListener('close', () => {
      reading.setPaused(false);
      this.focusOn(reading.place || nextOpen(reading.places, reading.drafts, null));
    });
    dialog.showModal();
    resume.focus();
  }

  showKeys() {
    const dialog = this.dialog('Keys');
    const table = document.createElement('table');
    for (const { keys, label } of keyList) {
      const row = table.insertRow();
      row.append(Object.assign(textElement('th', spoken(keys)), { scope: 'row' }), textElement('td', label));
    }
    dialog.append(textElement('p', 'Answers have their keys beside them.'), table);
    const [close] = buttons(dialog, ['Close']);
    close.addEventListener('click', () => dialog.close());
    dialog.showModal();
  }

  showEnd() {
    const { is_training, session } = reading.current;
    const dialog = this.dialog(is_training ? 'The training is over' : `Session ${session} is finished`, 'over');
    dialog.append(textElement('p', 'All answers are saved. Thank you.'));
    const [leave] = buttons(dialog, ['To the reading room']);
    leave.addEventListener('click', leaveForRoom);
    dialog.addEventListener('cancel', event => event.preventDefault());
    dialog.showModal();
  }

  dialog(title, className = '') {
    const dialog = Object.assign(document.createElement('dialog'), { className });
    const heading = Object.assign(textElement('h2', title), { id: 'dialog-title' });
    dialog.setAttribute('aria-labelledby', heading.id);
    dialog.append(heading);
    dialog.addEventListener('close', () => dialog.remove());
    this.shadowRoot.append(dialog);
    return dialog;
  }
}

function fieldsetOf(place, control) {
  const { question } = place;
  const fieldset = document.createElement('fieldset');
  const legend = textElement('legend', question.title);
  const target = targetName(place, reading.current.images);
  if (target) legend.append(Object.assign(textElement('span', target), { className: 'target' }));
  if (!question.required) legend.append(Object.assign(textElement('span', ' (optional)'), { className: 'optional' }));
  legend.append(Object.assign(textElement('span', ''), { className: 'state' }));
  const body = Object.assign(document.createElement('div'), { className: 'body' });
  if (question.help) body.append(Object.assign(textElement('p', question.help), { className: 'muted' }));
  body.append(...control.parts);
  const area = body.querySelector('textarea');
  if (area) area.setAttribute('aria-label', [question.title, target].filter(Boolean).join(', '));
  fieldset.append(legend, body);
  return fieldset;
}

/** What is known of an answer, in words: nothing while it is open or saved. */
function stateOf(place, draft) {
  if (isHalf(place.question, draft)) return ` - ${missingOf(place.question, draft)} is missing`;
  return reading.outbox.holds(placeId(place)) ? ' - saving' : '';
}

const nameOf = place => [place.question.title, targetName(place, reading.current.images)].filter(Boolean).join(', ');

function buttons(dialog, names) {
  const row = Object.assign(document.createElement('div'), { className: 'row' });
  const made = names.map((name, index) =>
    Object.assign(textElement('button', name), { type: 'button', className: index ? '' : 'primary' })
  );
  row.append(...made);
  dialog.append(row);
  return made;
}

const spoken = keys => keys.replace('Escape', 'Esc').replace('Arrow', 'Arrow ');

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text; // a screen reader says every change
}

const textElement = (name, textContent) => Object.assign(document.createElement(name), { textContent });
