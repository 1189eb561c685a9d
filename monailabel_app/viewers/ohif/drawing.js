// <mammosynth-drawing>: draw lesions on the mammogram in the active viewport, store them in the study as DICOM SEG.

import { drawingOf } from './lesions.js';
import { canDrawOn, colourOf, instanceOf, Pen } from './pen.js';
import { deleteSegmentation, saveSegmentation, segmentationMask, segmentations, uploadSegmentation } from './server.js';
import { addShortcuts } from './shortcuts.js';
import { sheet } from './style.js';
import { activeView, mammograms, onChange, services, views } from './viewer.js';

const SIZES_MM = { least: 0.5, most: 30, step: 0.5 }; // chosen: from a calcification to a large mass
const TOOLS = { outline: 'Outline', brush: 'Brush', eraser: 'Eraser' };
const KEYS = { outline: 'f', brush: 'b', eraser: 'e' };
const CLASSES = { '': 'Unspecified', benign: 'Benign', malignant: 'Malignant' };

const css = `
  li { display: flex; gap: 8px; align-items: center; padding: 4px 0; }
  ul { list-style: none; margin: 0; padding: 0; }
  .swatch { width: 14px; height: 14px; border: 1px solid #fff; border-radius: 3px; flex: none; }
  .lesion { display: grid; grid-template-columns: auto auto 1fr auto; gap: 4px 8px; }
  .lesion select { grid-column: 3; }
  .area { min-width: 72px; text-align: right; }
  .saved { justify-content: space-between; flex-wrap: wrap; }
  .upload { display: inline-block; cursor: pointer; }
  .upload:focus-within { outline: 2px solid #fff; outline-offset: 2px; }
  .upload span { display: inline-block; padding: 4px 12px; border: 1px solid #5acce6; border-radius: 4px; }
  .upload span { color: #9fe3f4; }
`;
const own = new CSSStyleSheet();
own.replaceSync(css);

const html = `
  <section class="stack" aria-labelledby="title">
    <h3 id="title">Lesions</h3>
    <p id="image" class="muted"></p>
    <div class="row" role="group" aria-label="Drawing tools">
      ${Object.entries(TOOLS)
        .map(([tool, name]) => `<button data-tool="${tool}" aria-keyshortcuts="${KEYS[tool]}">${name}</button>`)
        .join('')}
      <button id="undo" aria-keyshortcuts="Control+Z">Undo</button>
      <button id="redo" aria-keyshortcuts="Control+Shift+Z">Redo</button>
    </div>
    <label class="field">
      <span>Brush diameter: <output id="size-mm"></output> mm</span>
      <input id="size" type="range" min="${SIZES_MM.least}" max="${SIZES_MM.most}" step="${SIZES_MM.step}">
    </label>
    <ul id="lesions" aria-label="Lesions of this image"></ul>
    <div class="row">
      <button id="add">New lesion</button>
      <button id="save" class="primary">Save to the study</button>
    </div>
    <p id="unsaved" class="muted" hidden>
      Not saved yet. It is kept while you look at other images, and lost with this page.
    </p>
    <p id="status" role="status"></p>
    <p id="error" class="error" role="alert" hidden></p>
    <h4 id="stored-title">Saved in this study</h4>
    <ul id="stored" aria-labelledby="stored-title"></ul>
    <p id="none" class="muted">None.</p>
    <label class="upload"><span>Upload a DICOM SEG</span>
      <input id="file" class="visually-hidden" type="file" accept=".dcm,application/dicom">
    </label>
  </section>`;

/** The section of the panel that draws lesions. */
export class DrawingSection extends HTMLElement {
  #drawing = null;
  #view = null;
  #study = null;
  #listed = null;
  #ends = [];
  #onDrawing = () => this.#showDrawing();

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.pen = new Pen();
    this.pen.addEventListener('tool', () => this.#showTool());
    this.#ends = [
      onChange(() => this.#follow()),
      addShortcuts('Drawing', this.#shortcuts()),
      () => this.pen.remove(),
      () => this.#watch(null),
    ];
    this.#resize(this.pen.sizeMm);
    this.#showTool();
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
    const on = (id, event, handle) => this.#find(id).addEventListener(event, handle);
    root.querySelectorAll('[data-tool]').forEach(button => {
      button.addEventListener('click', () => this.pen.choose(button.dataset.tool));
    });
    on('undo', 'click', () => this.#drawing?.undo());
    on('redo', 'click', () => this.#drawing?.redo());
    on('size', 'input', event => this.#resize(Number(event.target.value)));
    on('add', 'click', () => this.#try(() => this.#drawing.addLesion()));
    on('save', 'click', () => this.#try(() => this.#save()));
    on('file', 'change', event => this.#try(() => this.#upload(event.target)));
  }

  #shortcuts() {
    const choose = tool => ({
      keys: [KEYS[tool]],
      label: `${TOOLS[tool]} on or off`,
      run: () => this.pen.choose(tool),
    });
    const step = factor => () => this.#resize(this.pen.sizeMm + factor * (this.pen.sizeMm < 5 ? 0.5 : 1));
    return [
      ...Object.keys(TOOLS).map(choose),
      { keys: ['['], label: 'Smaller brush', run: step(-1) },
      { keys: [']'], label: 'Larger brush', run: step(1) },
      { keys: ['ctrl+z'], label: 'Undo', run: () => this.#drawing?.undo() },
      { keys: ['ctrl+shift+z', 'ctrl+y'], label: 'Redo', run: () => this.#drawing?.redo() },
    ];
  }

  /** Turn to what the active viewport shows. */
  #follow() {
    const view = activeView();
    this.#view = canDrawOn(view) ? view : null;
    this.#watch(this.#view && drawingOf(instanceOf(this.#view)));
    this.pen.follow();
    const study = view?.displaySet.StudyInstanceUID || null;
    if (study === this.#study) return;
    this.#study = study;
    this.#try(() => this.#list());
  }

  #watch(drawing) {
    if (drawing === this.#drawing && drawing) return;
    this.#drawing?.removeEventListener('change', this.#onDrawing);
    this.#drawing = drawing;
    drawing?.addEventListener('change', this.#onDrawing);
    this.#listed = null;
    this.#find('image').textContent = drawing
      ? `On ${describe(this.#view.displaySet)}, ${drawing.columns} x ${drawing.rows} pixels`
      : 'Choose a viewport that shows a mammogram to draw on it.';
    this.#showDrawing();
  }

  #showTool() {
    this.shadowRoot.querySelectorAll('[data-tool]').forEach(button => {
      button.setAttribute('aria-pressed', String(button.dataset.tool === this.pen.tool));
    });
  }

  #resize(sizeMm) {
    const size = Math.min(SIZES_MM.most, Math.max(SIZES_MM.least, sizeMm));
    this.pen.resize(size);
    this.#find('size').value = size;
    this.#find('size-mm').value = size;
  }

  #showDrawing() {
    const drawing = this.#drawing;
    this.pen.redraw();
    const allow = (id, is) => (this.#find(id).disabled = !is);
    this.shadowRoot.querySelectorAll('[data-tool]').forEach(button => (button.disabled = !drawing));
    allow('undo', drawing?.canUndo);
    allow('redo', drawing?.canRedo);
    allow('add', drawing);
    if (drawing?.isStroking) return; // areas follow when the stroke ends
    this.#showLesions();
    const areas = new Map((drawing?.lesions || []).map(({ number }) => [number, drawing.measure(number)]));
    areas.forEach((area, number) => {
      this.#find('lesions').querySelector(`[data-area="${number}"]`).textContent = areaText(area);
    });
    allow('save', drawing?.isUnsaved && [...areas.values()].some(({ count }) => count));
    this.#find('unsaved').hidden = !drawing?.isUnsaved;
  }

  #showLesions() {
    const lesions = this.#drawing?.lesions || [];
    const list = this.#find('lesions');
    if (lesions !== this.#listed) {
      const focused = this.shadowRoot.activeElement?.dataset.focus;
      list.replaceChildren(...lesions.map(lesion => this.#lesionItem(lesion)));
      this.shadowRoot.querySelector(`[data-focus="${focused}"]`)?.focus();
      this.#listed = lesions;
    }
    list.querySelectorAll('input[type=radio]').forEach(radio => {
      radio.checked = Number(radio.value) === this.#drawing.active;
    });
  }

  #lesionItem({ number, label, lesionClass }) {
    const item = document.createElement('li');
    item.className = 'lesion';
    item.innerHTML = `
      <input type="radio" name="active" value="${number}" data-focus="active-${number}">
      <span class="swatch" style="background: ${colourOf(number)}"></span>
      <input type="text" maxlength="64" data-focus="label-${number}">
      <span class="area muted" data-area="${number}"></span>
      <select data-focus="class-${number}">${Object.entries(CLASSES)
        .map(([value, text]) => `<option value="${value}">${text}</option>`)
        .join('')}</select>
      <button class="danger" data-focus="delete-${number}">Delete</button>`;
    const [radio, name] = item.querySelectorAll('input');
    const [select, remove] = [item.querySelector('select'), item.querySelector('button')];
    const drawing = this.#drawing;
    name.value = label;
    select.value = lesionClass || '';
    radio.setAttribute('aria-label', `Draw ${label}`);
    name.setAttribute('aria-label', `Name of ${label}`);
    select.setAttribute('aria-label', `Class of ${label}`);
    remove.setAttribute('aria-label', `Delete ${label}`);
    radio.addEventListener('change', () => (drawing.active = number));
    name.addEventListener('change', () => drawing.describe(number, { label: name.value.trim() || label }));
    select.addEventListener('change', () => drawing.describe(number, { lesionClass: select.value || null }));
    remove.addEventListener('click', () => drawing.remove(number));
    return item;
  }

  async #save() {
    const drawing = this.#drawing;
    const { segments, mask, state } = drawing.forArchive();
    this.#find('save').disabled = true; // until the drawing changes again, or it failed
    this.#say('Saving ...');
    const description = { sop_instance_uid: drawing.sopInstanceUid, segments };
    const saved = await saveSegmentation(this.#study, description, mask);
    drawing.markSaved(state);
    await this.#list();
    this.#say(`Saved: ${summary(saved)}.`);
    this.#announce(saved);
  }

  async #upload(input) {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    this.#say(`Storing ${file.name} ...`);
    const stored = await uploadSegmentation(this.#study, file);
    await this.#list();
    this.#say(`Stored: ${summary(stored)}. Load shows it.`);
    this.#announce(stored);
  }

  async #load(segmentation) {
    const uid = segmentation.source_sop_instance_uid;
    const instance = instanceOfUid(uid);
    if (!instance) throw new Error('The image that this segmentation was drawn on is not loaded in the viewer.');
    const drawing = drawingOf(instance);
    const wasUnsaved = drawing.isUnsaved;
    drawing.load(await segmentationMask(this.#study, segmentation.sop_instance_uid), segmentation.segments);
    const shown = views().find(({ sopInstanceUid }) => sopInstanceUid === uid);
    if (shown) services().viewportGridService.setActiveViewportId(shown.viewportId);
    const where = shown ? '' : ` on ${describe(displaySetOfUid(uid))}, which no viewport shows`;
    this.#say(`Loaded${where}.${wasUnsaved ? ' Undo brings back the drawing that was not saved.' : ''}`);
    this.#announce(segmentation);
  }

  async #delete(segmentation) {
    if (!window.confirm(`Delete ${summary(segmentation)} from the archive? This cannot be undone.`)) return;
    await deleteSegmentation(this.#study, segmentation.sop_instance_uid);
    await this.#list();
    this.#say('Deleted from the archive.');
  }

  async #list() {
    const study = this.#study;
    const found = study ? await segmentations(study) : [];
    if (study !== this.#study || !this.isConnected) return;
    const items = found.map(segmentation => this.#storedItem(segmentation));
    this.#find('stored').replaceChildren(...items);
    this.#find('none').hidden = items.length > 0;
  }

  #storedItem(segmentation) {
    const item = document.createElement('li');
    item.className = 'saved';
    const text = document.createElement('span');
    text.textContent = `${summary(segmentation)}${when(segmentation.created)}`;
    const buttons = document.createElement('span');
    buttons.className = 'row';
    for (const [name, act] of [
      ['Load', () => this.#load(segmentation)],
      ['Delete', () => this.#delete(segmentation)],
    ]) {
      const button = document.createElement('button');
      button.textContent = name;
      button.setAttribute('aria-label', `${name} ${text.textContent}`);
      button.classList.toggle('danger', name === 'Delete');
      button.addEventListener('click', () => this.#try(act));
      buttons.append(button);
    }
    item.append(text, buttons);
    return item;
  }

  #announce({ sop_instance_uid, source_sop_instance_uid }) {
    const detail = { sopInstanceUid: sop_instance_uid, sourceSopInstanceUid: source_sop_instance_uid };
    this.dispatchEvent(new CustomEvent('mammosynth-segmentation', { bubbles: true, composed: true, detail }));
  }

  /** Do it, and show in words what went wrong. */
  async #try(act) {
    this.#find('error').hidden = true;
    try {
      await act();
    } catch (error) {
      this.#say('');
      this.#showDrawing();
      this.#find('error').textContent = error.message;
      this.#find('error').hidden = false;
    }
  }

  #say(text) {
    this.#find('status').textContent = text;
  }

  #find(id) {
    return this.shadowRoot.getElementById(id);
  }
}

const displaySetOfUid = uid =>
  mammograms().find(({ instances }) => instances?.some(({ SOPInstanceUID }) => SOPInstanceUID === uid));

const instanceOfUid = uid => displaySetOfUid(uid)?.instances.find(({ SOPInstanceUID }) => SOPInstanceUID === uid);

const describe = ({ SeriesDescription }) => SeriesDescription || 'an image without description';

function summary({ segments, source_sop_instance_uid }) {
  const displaySet = displaySetOfUid(source_sop_instance_uid);
  const names = segments.map(({ label, lesion_class }) => (lesion_class ? `${label} (${lesion_class})` : label));
  return `${names.join(', ')}${displaySet ? ` on ${describe(displaySet)}` : ''}`;
}

function when(created) {
  const time = created && new Date(created);
  return time && !isNaN(time) ? `, ${time.toLocaleString()}` : '';
}

function areaText({ count, areaMm2 }) {
  return areaMm2 === null ? `${count} pixels` : `${areaMm2.toFixed(1)} mm²`;
}

if (!customElements.get('mammosynth-drawing')) customElements.define('mammosynth-drawing', DrawingSection);
