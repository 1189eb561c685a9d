// <mammosynth-drawing>: draw lesions, or a whole breast by the classes of a model, on the mammogram in the active
// viewport; store them in the study as DICOM SEG.

import { classOf, colourOf, coloursOf, isClassName, saying, tableOf, useTable } from './classes.js';
import { BACKGROUND, drawingOf } from './lesions.js';
import { canDrawOn, instanceOf, Pen } from './pen.js';
import { labelsIn } from './preview.js';
import { labelsOf, onSegmentations, segmentationsOf, storeDrawing } from './segmentations.js';
import { counted, title } from './sentences.js';
import { preview } from './server.js';
import { addShortcuts } from './shortcuts.js';
import { sheet } from './style.js';
import { referenceTo } from './sources.js';
import { activeView, describe, isSynthesized, onChange } from './viewer.js';

const SIZES_MM = { least: 0.5, most: 30, step: 0.5 }; // chosen: from a calcification to a large mass
const TOOLS = { outline: 'Outline', brush: 'Brush', eraser: 'Eraser', move: 'Move' };
const KEYS = { outline: 'f', brush: 'b', eraser: 'e', move: 'm' };
const HIDE = 'x';
const LESION_CLASSES = ['benign', 'malignant'].map(name => ({ name }));
const NO_TABLE = { parts: [], lesions: [] };

const css = `
  li { display: flex; gap: 8px; align-items: center; padding: 4px 0; }
  ul { list-style: none; margin: 0; padding: 0; }
  .swatch { width: 14px; height: 14px; border: 1px solid #fff; border-radius: 3px; flex: none; }
  .lesion { display: grid; grid-template-columns: auto auto 1fr auto; gap: 4px 8px; }
  .lesion select { grid-column: 3; }
  .lesion.lesion input[type=text][readonly] { border-color: transparent; background: none; }
  .area { min-width: 72px; text-align: right; }
  .part label { flex: 1; color: inherit; font-size: 14px; }
  .part .swatch.none { background: repeating-linear-gradient(45deg, #000 0 3px, #555 3px 5px); }
  #parts { display: grid; grid-template-columns: minmax(0, 1fr); }
`;
const own = new CSSStyleSheet();
own.replaceSync(css);

const html = `
  <section class="stack" aria-labelledby="title">
    <div class="row spread">
      <h3 id="title">Drawing</h3>
      <a href="/docs-site/tutorials/draw-a-lesion.html" target="_blank" rel="noopener">How to draw</a>
    </div>
    <p id="image" class="muted"></p>
    <div class="row" role="group" aria-label="Drawing tools">
      ${Object.entries(TOOLS)
        .map(([tool, name]) => `<button data-tool="${tool}" aria-keyshortcuts="${KEYS[tool]}">${name}</button>`)
        .join('')}
      <button id="undo" aria-keyshortcuts="Control+Z">Undo</button>
      <button id="redo" aria-keyshortcuts="Control+Shift+Z">Redo</button>
      <button id="hide" aria-keyshortcuts="${HIDE}">Hide</button>
    </div>
    <label class="field">
      <span>Brush diameter: <output id="size-mm"></output> mm</span>
      <input id="size" type="range" min="${SIZES_MM.least}" max="${SIZES_MM.most}" step="${SIZES_MM.step}">
    </label>
    <div id="breast" class="stack" hidden>
      <button id="take">Begin with the breast of this image</button>
      <p id="about-breast" class="muted"></p>
      <ul id="parts" aria-label="Parts of the breast"></ul>
    </div>
    <ul id="lesions" aria-label="Lesions of this image"></ul>
    <p id="nothing" class="muted">Nothing is drawn on this image. Press New lesion, and draw around it.</p>
    <div class="row">
      <button id="add">New lesion</button>
      <button id="save" class="primary">Save to the study</button>
    </div>
    <p id="notice" class="notice" role="status" hidden></p>
    <p id="unsaved" class="muted" hidden>
      Not saved yet. It is kept while you look at other images, and lost with this page.
    </p>
    <p id="status" role="status"></p>
    <p id="error" class="error" role="alert" hidden></p>
  </section>`;

/** The section of the panel that draws lesions. */
export class DrawingSection extends HTMLElement {
  #drawing = null;
  #view = null;
  #listed = null;
  #model = '';
  #slot = null; // of label maps
  #table = NO_TABLE;
  #ends = [];
  #onDrawing = () => this.#showDrawing();

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.pen = new Pen();
    this.pen.addEventListener('tool', () => this.#showTool());
    this.#ends = [
      onChange(() => this.#follow()),
      onSegmentations(() => this.#showDrawing()),
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
  }

  /** Offer the classes of a model's label map, if it has parts of the breast. */
  offer(model, slots) {
    this.#model = model;
    this.#slot = slots.find(({ kind }) => kind === 'label_map') || null;
    this.#table = tableOf(this.#slot);
    useTable(this.#slot);
    this.#listed = null;
    this.#showDrawing();
    this.pen?.redraw();
  }

  #build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = html;
    const on = (id, event, handle) => this.#find(id).addEventListener(event, handle);
    this.#tools().forEach(button => button.addEventListener('click', () => this.pen.choose(button.dataset.tool)));
    on('undo', 'click', () => this.#drawing?.undo());
    on('redo', 'click', () => this.#drawing?.redo());
    on('hide', 'click', () => this.pen.hide(!this.pen.isHidden));
    on('size', 'input', event => this.#resize(Number(event.target.value)));
    on('take', 'click', () => this.#try(() => this.#takeBreast()));
    on('add', 'click', () => this.#try(() => this.#addLesion()));
    on('save', 'click', () => this.#try(() => this.#save()));
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
      { keys: [HIDE], label: 'Hide what is drawn, or not', run: () => this.pen.hide(!this.pen.isHidden) },
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
  }

  #watch(drawing) {
    if (drawing === this.#drawing && drawing) return;
    this.#drawing?.removeEventListener('change', this.#onDrawing);
    this.#drawing = drawing;
    drawing?.addEventListener('change', this.#onDrawing);
    this.#listed = null;
    this.#find('image').textContent = drawing
      ? `On ${describe(this.#view)}, ${drawing.columns} x ${drawing.rows} pixels`
      : 'Choose a viewport that shows a mammogram to draw on it.';
    this.#showDrawing();
  }

  #showTool() {
    this.#tools().forEach(button => {
      button.setAttribute('aria-pressed', String(button.dataset.tool === this.pen.tool));
    });
    this.#find('hide').setAttribute('aria-pressed', String(this.pen.isHidden));
  }

  #resize(sizeMm) {
    const size = Math.min(SIZES_MM.most, Math.max(SIZES_MM.least, sizeMm));
    this.pen.resize(size);
    this.#find('size').value = size;
    this.#find('size-mm').value = size;
  }

  #showDrawing() {
    const drawing = this.#drawing;
    const allow = (id, is) => (this.#find(id).disabled = !is);
    this.#tools().forEach(button => (button.disabled = !drawing));
    allow('undo', drawing?.canUndo);
    allow('redo', drawing?.canRedo);
    allow('hide', drawing);
    allow('add', drawing);
    if (drawing?.isStroking) return; // areas follow when the stroke ends
    const areas = new Map((drawing?.lesions || []).map(({ number }) => [number, drawing.measure(number)]));
    this.#showParts(areas);
    this.#showLesions();
    this.shadowRoot.querySelectorAll('[data-area]').forEach(cell => {
      const area = areas.get(Number(cell.getAttribute('data-area')));
      cell.textContent = area ? areaText(area) : '';
    });
    this.#find('nothing').hidden = !drawing || drawing.lesions.length > 0;
    this.#find('notice').textContent = drawing?.notice || '';
    this.#find('notice').hidden = !drawing?.notice;
    allow('save', drawing?.isUnsaved && [...areas.values()].some(({ count }) => count));
    this.#find('unsaved').hidden = !drawing?.isUnsaved;
  }

  /** The classes that are no lesions, if the model has any; what is not drawn yet can be chosen, too. */
  #showParts(areas) {
    const drawing = this.#drawing;
    const { parts } = this.#table;
    this.#find('breast').hidden = !parts.length || !drawing;
    if (!parts.length || !drawing) return;
    const isMade = isSynthesized(this.#view.displaySet);
    const hasBreast = drawing.lesions.some(({ number, isLesion }) => !isLesion && areas.get(number).count);
    this.#find('take').hidden = !this.#slot.from_image || isMade;
    const about = !isMade ? WITHOUT_BREAST : this.#hasLabelMap() ? LOAD_BREAST : NO_LABEL_MAP;
    this.#find('about-breast').textContent = hasBreast ? WITH_BREAST : about;
    const entryOf = ({ name }) => drawing.lesions.find(each => !each.isLesion && classOf(each)?.name === name);
    const rows = parts.map(part => ({ ...part, entry: entryOf(part)?.number ?? 0 }));
    const key = JSON.stringify(rows);
    const list = this.#find('parts');
    if (list.dataset.rows !== key) {
      const focused = this.shadowRoot.activeElement?.id;
      list.replaceChildren(...rows.map(row => this.#partItem(row)), this.#partItem(NO_BREAST));
      if (focused) this.#find(focused)?.focus();
      list.dataset.rows = key;
    }
    list.querySelectorAll('input').forEach(radio => {
      radio.checked = Number(radio.value) !== 0 && Number(radio.value) === drawing.active;
    });
  }

  /** Whether the study holds a breast that was drawn on the image. */
  #hasLabelMap() {
    const { displaySet, sopInstanceUid } = this.#view;
    return segmentationsOf(displaySet.StudyInstanceUID).some(
      each => each.source_sop_instance_uid === sopInstanceUid && each.segments.some(({ is_lesion }) => !is_lesion)
    );
  }

  #partItem({ number, name, entry }) {
    const item = document.createElement('li');
    item.className = 'part';
    item.innerHTML = `
      <input type="radio" name="active">
      <span class="swatch"></span>
      <label></label>
      <span class="area muted"></span>`;
    const [radio, swatch, label, area] = item.children;
    Object.assign(radio, { id: `part-${number}`, value: entry });
    Object.assign(label, { htmlFor: radio.id, textContent: title(name) });
    area.setAttribute('data-area', String(entry));
    if (entry === BACKGROUND) swatch.classList.add('none');
    else swatch.setAttribute('style', `background: ${colourOf(number)}`);
    radio.addEventListener('change', () => {
      if (entry === BACKGROUND) this.#drawing.active = BACKGROUND;
      else this.#drawing.choosePart(name);
      this.#showDrawing();
    });
    return item;
  }

  /** Ask what the image shows and put it under the lesions. */
  async #takeBreast() {
    const [view, drawing, { parts }] = [this.#view, this.#drawing, this.#table];
    this.#say('Looking for the breast ...');
    const { png, classes } = await preview(this.#model, this.#slot.role, { measure: referenceTo(view) });
    const { data } = await labelsIn(png);
    const labels = Uint8Array.from({ length: data.length / 4 }, (_, index) => data[4 * index]);
    drawing.takeBreast(labels, parts.filter(({ number }) => number in classes && labels.includes(number)));
    this.#say('Done. Change what is wrong, then generate.');
  }

  /** Begin a lesion with a tool in the hand: without one, a stroke would change the window. */
  #addLesion() {
    this.#drawing.addLesion();
    if (!['outline', 'brush'].includes(this.pen.tool)) this.pen.choose('outline');
  }

  #showLesions() {
    const lesions = (this.#drawing?.lesions || []).filter(({ isLesion, label }) => isLesion || !this.#isPart(label));
    const list = this.#find('lesions');
    const key = JSON.stringify([lesions, [...coloursOf(this.#drawing?.lesions || [])]]);
    if (key !== this.#listed) {
      const focused = this.shadowRoot.activeElement?.getAttribute('data-focus');
      list.replaceChildren(...lesions.map(lesion => this.#lesionItem(lesion)));
      list.querySelector(`[data-focus="${focused}"]`)?.focus();
      this.#listed = key;
    }
    list.querySelectorAll('input[type=radio]').forEach(radio => {
      radio.checked = Number(radio.value) === this.#drawing.active;
    });
  }

  #isPart = label => this.#table.parts.some(({ name }) => name === label);

  #lesionItem(lesion) {
    const { number, label } = lesion;
    const choices = this.#table.lesions.length ? this.#table.lesions : LESION_CLASSES;
    const none = this.#table.lesions.length ? 'Class?' : 'Unspecified';
    const options = [['', none], ...choices.map(({ name }) => [short(name), title(short(name))])];
    const item = document.createElement('li');
    item.className = 'lesion';
    item.innerHTML = `
      <input type="radio" name="active">
      <span class="swatch"></span>
      <input type="text" maxlength="64">
      <span class="area muted"></span>
      <select></select>
      <button class="danger">Delete</button>`;
    const [radio, name] = item.querySelectorAll('input');
    const [select, remove] = [item.querySelector('select'), item.querySelector('button')];
    const drawing = this.#drawing;
    Object.entries({ active: radio, label: name, class: select, delete: remove }).forEach(([what, control]) => {
      control.setAttribute('data-focus', `${what}-${number}`);
    });
    item.querySelector('.swatch').setAttribute('style', `background: ${coloursOf(drawing.lesions).get(number)}`);
    item.querySelector('.area').setAttribute('data-area', String(number));
    radio.value = String(number);
    name.value = label;
    name.readOnly = isClassName(label);
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    select.value = short(classOf(lesion, choices)?.name || '');
    radio.setAttribute('aria-label', `Draw ${label}`);
    name.setAttribute('aria-label', `Name of ${label}`);
    select.setAttribute('aria-label', `Class of ${label}`);
    remove.setAttribute('aria-label', `Delete ${label}`);
    radio.addEventListener('change', () => (drawing.active = number));
    name.addEventListener('change', () => drawing.describe(number, { label: name.value.trim() || label }));
    select.addEventListener('change', () => drawing.describe(number, saying({ name: select.value }, lesion)));
    remove.addEventListener('click', () => drawing.remove(number));
    return item;
  }

  async #save() {
    this.#find('save').disabled = true; // until the drawing changes again, or it failed
    this.#say('Saving ...');
    const saved = await storeDrawing(this.#view.displaySet.StudyInstanceUID, this.#drawing);
    this.#say(`Saved: ${labelsOf(saved)}.`);
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

  /** @returns {HTMLButtonElement[]} */
  #tools() {
    return [...this.shadowRoot.querySelectorAll('button')].filter(button => button.dataset.tool);
  }

  /** @returns {any} the control of that id */
  #find(id) {
    return this.shadowRoot.getElementById(id);
  }
}

const short = name => name.replace(/ lesion$/, '');

const NO_BREAST = { number: BACKGROUND, name: 'background', entry: BACKGROUND };
const WITHOUT_BREAST =
  'Lesions alone get the breast that the image shows. To change the breast itself, or to take a lesion out of it, ' +
  'begin with it.';
const WITH_BREAST =
  'Brush and outline draw the chosen class. The eraser takes lesions off, and what lies around takes their place; ' +
  'background takes the breast itself away.';
const NO_LABEL_MAP = 'No label map of this image is stored; choose the mammogram that it was made from.';
const LOAD_BREAST = 'Load the label map of this image under Drawings saved in this study, and change it.';

function areaText({ count, areaMm2 }) {
  return areaMm2 === null ? counted(count, 'pixel') : `${areaMm2.toFixed(1)} mm²`;
}

if (!customElements.get('mammosynth-drawing')) customElements.define('mammosynth-drawing', DrawingSection);
