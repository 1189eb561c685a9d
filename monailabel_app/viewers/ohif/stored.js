// <mammosynth-stored>: drawings that the archive holds of a study: lesions are drawn when it opens, a whole label map
// when it is loaded; both can be deleted and uploaded.

import { isKnown, onTable } from './classes.js';
import { drawingOf } from './lesions.js';
import { labelsOf, madeAt, onSegmentations, prefer, refreshSegmentations, segmentationsOf } from './segmentations.js';
import { counted } from './sentences.js';
import { deleteSegmentation, segmentationMask, uploadSegmentation } from './server.js';
import { sheet } from './style.js';
import { isForLater, Turns } from './turns.js';
import { describe, mammograms, onChange, services, studyUid, views } from './viewer.js';

const own = new CSSStyleSheet();
own.replaceSync(`
  ul { list-style: none; margin: 0; padding: 0; }
  li { display: flex; gap: 8px; align-items: center; justify-content: space-between; flex-wrap: wrap; padding: 4px 0; }
`);

const html = `
  <section class="stack" aria-labelledby="title">
    <h3 id="title">Drawings saved in this study</h3>
    <ul id="stored" aria-labelledby="title"></ul>
    <p id="none" class="muted">None yet. Draw above and press Save to the study, or upload one.</p>
    <p id="others" class="muted" hidden></p>
    <label class="upload"><span>Upload a DICOM SEG</span>
      <input id="file" class="visually-hidden" type="file" accept=".dcm,application/dicom">
    </label>
    <p id="status" role="status"></p>
    <p id="error" class="error" role="alert" hidden></p>
  </section>`;

const begun = new Set(); // images whose stored lesions were drawn, or were being drawn, since the page was opened

/** The section of the panel. */
export class StoredSection extends HTMLElement {
  #study = null;
  #ends = [];
  #listing = this.#turns(refreshSegmentations);
  #opening = this.#turns(drawOnOpening);

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.#ends = [
      onChange(() => this.#follow()),
      onSegmentations(() => this.#show()),
      onTable(() => this.#show()),
      () => this.#listing.leave(),
      () => this.#opening.leave(),
    ];
    this.#follow();
  }

  disconnectedCallback() {
    this.#ends.forEach(end => end());
    this.#study = null;
  }

  #build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = html;
    this.#find('file').addEventListener('change', ({ target }) => this.#try(() => this.#upload(target)));
  }

  /** Requests about the open study; one that the server cannot answer now is made again. */
  #turns(ask) {
    let said = '';
    const send = async ({ study }) => {
      await ask(study);
      if (said && said === this.#find('error').textContent) this.#complain('');
      said = '';
    };
    return new Turns(send, ({ message }) => this.#complain((said = message)));
  }

  /** Turn to the study that is open; lesions of images that appear in it are drawn. */
  #follow() {
    const study = studyUid();
    if (study === this.#study) return this.#show();
    this.#study = study;
    this.#say('');
    this.#listing.put({ study, isOfNow: true });
  }

  /** List what can be drawn, by the names of what the viewer holds and the classes of the model. */
  #show() {
    const all = segmentationsOf(this.#study);
    const found = all.filter(isKnown);
    const others = all.length - found.length;
    const list = this.#find('stored');
    const key = JSON.stringify([others, found.map(each => [each, summary(each)])]);
    if (list.dataset.listed !== key) {
      list.replaceChildren(...found.map(each => this.#item(each)));
      list.dataset.listed = key;
      this.#find('none').hidden = all.length > 0;
      this.#find('others').hidden = !others;
      this.#find('others').textContent =
        `${counted(others, 'drawing')} of a whole breast, not listed: choose a model that knows its parts, as of the task mask.`;
    }
    this.#opening.put({ study: this.#study, isOfNow: true });
  }

  #item(segmentation) {
    const item = document.createElement('li');
    const text = Object.assign(document.createElement('span'), { textContent: summary(segmentation) });
    const buttons = Object.assign(document.createElement('span'), { className: 'row' });
    buttons.append(button('Load', text.textContent, () => this.#try(() => this.#load(segmentation))));
    if (segmentation.removable) {
      const remove = button('Delete', text.textContent, () => this.#try(() => this.#delete(segmentation)));
      remove.classList.add('danger');
      buttons.append(remove);
    }
    item.append(text, buttons);
    return item;
  }

  async #upload(input) {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    this.#say(`Storing ${file.name} ...`);
    const stored = await uploadSegmentation(this.#study, file);
    await refreshSegmentations(this.#study);
    prefer(stored);
    this.#say(`Stored: ${summary(stored)}. Load shows it.`);
  }

  async #load(segmentation) {
    const uid = segmentation.source_sop_instance_uid;
    const wasUnsaved = await drawStored(this.#study, segmentation);
    const shown = views().find(({ sopInstanceUid }) => sopInstanceUid === uid);
    if (shown) services().viewportGridService.setActiveViewportId(shown.viewportId);
    const where = shown ? '' : ` on ${nameOf(uid)}, which no viewport shows`;
    this.#say(`Loaded${where}.${wasUnsaved ? ' Undo brings back the drawing that was not saved.' : ''}`);
  }

  async #delete(segmentation) {
    if (!window.confirm(`Delete ${summary(segmentation)} from the archive? This cannot be undone.`)) return;
    await deleteSegmentation(this.#study, segmentation.sop_instance_uid);
    await refreshSegmentations(this.#study);
    this.#say('Deleted from the archive.');
  }

  /** Do it, and show in words what went wrong. */
  async #try(act) {
    this.#complain('');
    try {
      await act();
    } catch (error) {
      this.#say('');
      this.#complain(error.message);
    }
  }

  #complain(text) {
    this.#find('error').textContent = text;
    this.#find('error').hidden = !text;
  }

  #say(text) {
    this.#find('status').textContent = text;
  }

  #find(id) {
    return this.shadowRoot.getElementById(id);
  }
}

/** Replace the drawing on its image by a stored segmentation; resolves to whether what was there was not saved. */
export async function drawStored(study, segmentation) {
  const instance = instanceOfUid(segmentation.source_sop_instance_uid);
  if (!instance) throw new Error('The image that this segmentation was drawn on is not loaded in the viewer.');
  const drawing = drawingOf(instance);
  const wasUnsaved = drawing.isUnsaved;
  const uid = segmentation.sop_instance_uid;
  drawing.load(await segmentationMask(study, uid), segmentation.segments, uid);
  begun.add(instance.SOPInstanceUID);
  prefer(segmentation);
  return wasUnsaved;
}

/** Draw the newest lesions of every image that is loaded and on which nothing was drawn yet. */
async function drawOnOpening(study) {
  for (const segmentation of segmentationsOf(study)) {
    const uid = segmentation.source_sop_instance_uid;
    const instance = instanceOfUid(uid);
    const areLesions = segmentation.segments.every(({ is_lesion }) => is_lesion); // a whole breast would hide the image
    if (!areLesions || !instance || begun.has(uid)) continue;
    begun.add(uid);
    const mask = await segmentationMask(study, segmentation.sop_instance_uid).catch(error => {
      if (isForLater(error)) begun.delete(uid);
      throw error;
    });
    drawingOf(instance).begin(mask, segmentation.segments, segmentation.sop_instance_uid);
  }
}

function button(name, what, act) {
  const made = Object.assign(document.createElement('button'), { type: 'button', textContent: name });
  made.setAttribute('aria-label', `${name} ${what}`);
  made.addEventListener('click', act);
  return made;
}

const displaySetOfUid = uid =>
  mammograms().find(({ instances }) => instances?.some(({ SOPInstanceUID }) => SOPInstanceUID === uid));

const instanceOfUid = uid => displaySetOfUid(uid)?.instances.find(({ SOPInstanceUID }) => SOPInstanceUID === uid);

/** What an image is called; '' if it is not loaded. */
function nameOf(sopInstanceUid) {
  const displaySet = displaySetOfUid(sopInstanceUid);
  return displaySet ? describe({ displaySet, sopInstanceUid }) : '';
}

/** "Mass (malignant) on R CC, low energy, 27/11/2026". */
function summary(segmentation) {
  const image = nameOf(segmentation.source_sop_instance_uid);
  const named = `${labelsOf(segmentation)}${image && ` on ${image}`}`;
  return [named, madeAt(segmentation)].filter(Boolean).join(', ');
}

if (!customElements.get('mammosynth-stored')) customElements.define('mammosynth-stored', StoredSection);
