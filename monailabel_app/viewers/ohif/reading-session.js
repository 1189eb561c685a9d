// The case that is read now, as the server and this browser know it: its questions, answers, times, and the way to the
// next one. Knows nothing of the viewer.

import { choose, isHalf, placeId, placesOf, valueOf } from './reading-answers.js';
import { ReadingClock } from './reading-clock.js';
import { Outbox } from './reading-outbox.js';

const KEPT = 'mammosynth.reading.'; // and the Study Instance UID, which is another one for every reader and reading

/**
 * One reader's way through a session. It dispatches 'case' with another case, 'answer' when an answer or what is known
 * of it changes, 'typed' while it is still being typed, 'chosen' and 'place' as questions are gone through, 'request'
 * for what the panel does, 'saved' with the state of saving, 'pause', 'failed' when images cannot be shown and 'again' to
 * try once more, and 'end'.
 */
export class ReadingSession extends EventTarget {
  #ask;
  #storage;
  #now;
  #typed = new Set(); // placeIds of what is being typed, and goes to the server a moment later
  current = null;
  drafts = {}; // by placeId
  places = [];
  place = null; // that is looked at
  isPaused = false;
  failure = '';
  ending = null; // what the server said when the session was over
  isReady = false; // whether the images are on the screen, so that times count

  /** `ask(path, options)` asks the server for JSON; `storage` ({keep, kept}, as `lasting`) what is not with it yet. */
  constructor({ ask, storage, now = () => performance.now() }) {
    super();
    this.#ask = ask;
    this.#storage = storage;
    this.#now = now;
  }

  /** Ask for the case that is shown now in a study; resolves to what the server says. */
  async open(study) {
    this.study = study;
    await this.#take(await this.#ask(this.#path('current')));
    return this.current;
  }

  /** Whether there is a case to read. */
  get isReading() {
    return this.current?.state === 'reading';
  }

  get isComplete() {
    return this.places.every(
      place => !place.question.required || valueOf(place.question, this.draftOf(place)) !== undefined
    );
  }

  /** Answers that lack a part. */
  get halves() {
    return this.places.filter(place => isHalf(place.question, this.draftOf(place)));
  }

  /** Whether the truth of a training case was told, so that its answers stay. */
  get isTold() {
    return Boolean(this.current?.feedback);
  }

  draftOf = place => this.drafts[placeId(place)] ?? null;

  /** Take an answer, or what there is of it; a whole one goes to the server, in training once the truth is asked for. */
  change(place, draft) {
    if (this.isTold) return;
    this.drafts = { ...this.drafts, [placeId(place)]: draft };
    this.#typed.delete(placeId(place));
    this.#keep();
    if (!this.current.is_training) this.#put(place);
    this.dispatchEvent(new Event('answer'));
  }

  /** Take what is still being typed: kept here, and sent when it is taken by `change`. */
  type(place, draft) {
    if (this.isTold) return;
    this.drafts = { ...this.drafts, [placeId(place)]: draft };
    if (!this.current.is_training) this.#typed.add(placeId(place));
    this.#keep();
    this.dispatchEvent(new Event('typed'));
  }

  /** {state, message} of the way to the server, as the outbox has them; what is still being typed is on it, too. */
  get saving() {
    const { state, message } = this.outbox;
    return { state: state === 'saved' && this.#typed.size ? 'saving' : state, message };
  }

  /** Take a choice, and say so, that the reader may be led on. */
  choose(place, choice) {
    this.change(place, choose(place.question, this.draftOf(place), choice));
    this.dispatchEvent(new CustomEvent('chosen', { detail: place }));
  }

  /** Ask for what the panel does: 'forward', 'back', 'pause' or 'keys'. */
  request(what) {
    this.dispatchEvent(new CustomEvent('request', { detail: what }));
  }

  /** The question that is looked at from now on. */
  attend(place) {
    this.place = place;
    this.clock.attend(place && placeId(place));
    this.dispatchEvent(new Event('place'));
  }

  /** The images are on the screen. */
  setReady() {
    if (this.isReady) return;
    this.isReady = true;
    this.failure = '';
    this.clock = this.#newClock();
    this.attend(this.place);
    this.dispatchEvent(new Event('answer'));
  }

  /** The images cannot be shown. */
  fail(message) {
    this.failure = message;
    this.dispatchEvent(new Event('failed'));
  }

  /** Try to show the images again. */
  showAgain() {
    this.dispatchEvent(new Event('again'));
  }

  /** Of a training case: send its answers, and learn the truth. */
  async tell() {
    this.places.forEach(place => this.#put(place));
    if (!(await this.outbox.settled())) throw new Error(this.#unsaved());
    if (!this.isTold) throw new Error('The server does not tell the truth of this case yet; answer what is missing.');
  }

  /** Go to the case that is so many further, or out of the session after its last one, once all is with the server. */
  async go(step) {
    const { session, position, study_instance_uid } = this.current;
    if (!(await this.outbox.settled())) throw new Error(this.#unsaved());
    const next = await this.#post('show', { session, position: position + step, left: this.#left });
    this.#storage.keep(KEPT + study_instance_uid, null);
    if (next.state === 'reading') await this.#take(next);
    else this.#end(next);
  }

  /** Pause, or go on; times of a pause do not count. */
  setPaused(isPaused) {
    if (isPaused === this.isPaused) return;
    this.isPaused = isPaused;
    this.clock.setPaused(isPaused);
    this.dispatchEvent(new Event('pause'));
  }

  /** Tell the server how long the case was looked at, when the page goes away. */
  leave() {
    if (!this.isReady || this.ending) return;
    const { session, position } = this.current;
    this.#post('show', { session, position, left: this.#left }, { keepalive: true }).catch(() => null);
    this.clock = this.#newClock();
  }

  /** What to say of answers that are not with the server. */
  #unsaved = () => this.outbox.message || 'Some answers are not saved yet; wait a moment.';

  /** How the case was looked at, and which one, since another window of the reader may have gone on. */
  get #left() {
    return { ...this.clock.attention, position: this.current.position };
  }

  #end(next) {
    this.ending = next;
    this.dispatchEvent(new Event('end'));
  }

  #newClock() {
    const clock = new ReadingClock(this.#now);
    clock.setPaused(this.isPaused);
    return clock;
  }

  async #take(current) {
    const kept = (current.feedback ? null : await this.#storage.kept(KEPT + current.study_instance_uid)) ?? {};
    this.current = current;
    this.isReady = false;
    this.place = null;
    this.#typed.clear();
    this.clock = this.#newClock();
    if (!this.isReading) return;
    this.places = placesOf(current.questions);
    this.drafts = { ...this.#answered(), ...kept };
    this.outbox = new Outbox(answers => this.#save(current, answers));
    this.outbox.addEventListener('change', () => this.#onSaving());
    if (!current.is_training) this.places.forEach(place => this.#put(place));
    this.dispatchEvent(new Event('case'));
  }

  #answered() {
    const { answers } = this.current;
    const known = this.places.filter(({ question, target }) => answers[question.name]?.[target] !== undefined);
    return Object.fromEntries(known.map(place => [placeId(place), this.#known(place)]));
  }

  #known = ({ question, target }) => this.current.answers[question.name]?.[target];

  /** Send a whole answer that the server does not have. */
  #put(place) {
    const { question, target } = place;
    const value = valueOf(question, this.draftOf(place));
    if (value === undefined || (isSame(value, this.#known(place)) && !this.outbox.holds(placeId(place)))) return;
    const duration_s = this.clock.secondsOf(placeId(place));
    this.outbox.put(placeId(place), { question: question.name, target, value, duration_s });
  }

  async #save({ session, position }, answers) {
    const said = await this.#post('answers', { session, position, answers });
    for (const { question, target, value } of answers) {
      this.current.answers[question] = { ...this.current.answers[question], [target]: value };
    }
    this.current.is_complete = said.is_complete;
    this.current.feedback = said.feedback ?? null;
  }

  #onSaving() {
    this.#keep();
    this.dispatchEvent(new Event('saved'));
    if (this.outbox.state === 'saved') this.dispatchEvent(new Event('answer'));
  }

  /** Keep in this browser what is not with the server, in case that either is killed. */
  #keep() {
    const isUnsaved = place => !isSame(this.draftOf(place) ?? undefined, this.#known(place));
    const unsaved = this.places.filter(isUnsaved).map(place => [placeId(place), this.draftOf(place)]);
    this.#storage.keep(KEPT + this.current.study_instance_uid, unsaved.length ? Object.fromEntries(unsaved) : null);
  }

  #post(action, body, options = {}) {
    const headers = { 'Content-Type': 'application/json' };
    return this.#ask(this.#path(action), { method: 'POST', headers, body: JSON.stringify(body), ...options });
  }

  #path = action => `/reading-room/studies/${encodeURIComponent(this.study)}/${action}`;
}

const isSame = (one, other) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

/** The same value with its parts in the order of their names. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map(name => [name, sorted(value[name])]));
}
