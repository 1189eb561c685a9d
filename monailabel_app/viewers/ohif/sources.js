// The image to synthesize from: that of the active viewport, or one that was chosen among those that a model accepts.

import { readable } from './sentences.js';
import { sources } from './server.js';
import { activeView, describe, isMammogram, isSynthesized, mammograms, sourceOf, sourcesOf } from './viewer.js';

const CHOOSE = 'Choose a viewport or an image.';
const NO_MAMMOGRAM =
  'This study holds no mammogram (MG) to start from. Open another one from the study list, or choose a model of the ' +
  'task Mask, which needs none.';

/** A list of sources with a sentence below it, which follows the viewer; `changed` is called when the source does. */
export class SourceChoice {
  #select;
  #about;
  #changed;
  #refused = new Map(); // why the model does not accept an image, by SOP Instance UID
  #asked = '';

  constructor(select, about, changed) {
    this.#select = select;
    this.#about = about;
    this.#changed = changed;
    select.addEventListener('change', () => this.#tell());
  }

  /** The image, as {displaySet, sopInstanceUid}; null if there is none. */
  get source() {
    const chosen = this.#select.value;
    if (chosen) return acquiredImages().find(({ sopInstanceUid }) => sopInstanceUid === chosen) || null;
    return activeSource();
  }

  /** What the active viewport shows, or what that was made from, whatever was chosen; null if there is none. */
  get active() {
    return activeSource();
  }

  /** Why the model would refuse it, as a sentence; '' if it would not. */
  get refusal() {
    return this.#refused.get(this.source?.sopInstanceUid) || '';
  }

  /** Every image that the model accepts. */
  get accepted() {
    return acquiredImages().filter(({ sopInstanceUid }) => !this.#refused.has(sopInstanceUid));
  }

  /** Learn which images of a study a model accepts; `again` also if it was asked before. */
  async ask(study, model) {
    const asked = study && model ? `${study} ${model}` : '';
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#refused = new Map();
    const found = asked ? await sources(study, model) : [];
    if (asked !== this.#asked) return; // another study or model was chosen meanwhile
    const refused = found.filter(({ accepted }) => !accepted);
    this.#refused = new Map(
      refused.map(({ sop_instance_uid, reason }) => [sop_instance_uid, readable(reason || 'The model refuses it.')])
    );
    this.follow();
  }

  /** Show what the viewer holds now. */
  follow() {
    const select = this.#select;
    const chosen = select.value;
    const images = this.accepted;
    const active = activeSource();
    const choices = [
      ['', active ? `Active: ${describe(active)}` : 'The active viewport shows no mammogram'],
      ...images.map(image => [image.sopInstanceUid, describe(image)]),
    ];
    const key = JSON.stringify(choices);
    if (select.dataset.choices !== key) {
      select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
      select.dataset.choices = key;
      select.value = choices.some(([value]) => value === chosen) ? chosen : '';
    }
    this.#tell();
  }

  /** Say in full what the list cuts short, and what keeps it from being a source. */
  #tell() {
    const source = this.source;
    this.#about.textContent = source ? describe(source) : acquiredImages().length ? CHOOSE : NO_MAMMOGRAM;
    this.#changed();
  }
}

/** An image as requests name it. */
export const referenceTo = ({ displaySet, sopInstanceUid }) => ({
  study_instance_uid: displaySet.StudyInstanceUID,
  series_instance_uid: displaySet.SeriesInstanceUID,
  sop_instance_uid: sopInstanceUid,
});

/** What the active viewport shows, or what that was made from. */
function activeSource() {
  const view = activeView();
  if (!view || !isMammogram(view.displaySet)) return null;
  if (!isSynthesized(view.displaySet)) return view;
  const displaySet = sourceOf(view.displaySet);
  const [sopInstanceUid] = sourcesOf(view.displaySet, view.sopInstanceUid);
  return displaySet ? { displaySet, sopInstanceUid } : null;
}

/** Every acquired mammogram that is loaded. */
function acquiredImages() {
  const images = displaySet =>
    displaySet.instances.map(({ SOPInstanceUID: sopInstanceUid }) => ({ displaySet, sopInstanceUid }));
  return mammograms().filter(set => !isSynthesized(set)).flatMap(images);
}
