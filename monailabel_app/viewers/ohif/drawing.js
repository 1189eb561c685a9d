// <mammosynth-drawing>: draw lesions on the mammogram in the active viewport, store them in the study as DICOM SEG.

import { drawingOf } from './lesions.js';
import { canDrawOn, colourOf, instanceOf, Pen } from './pen.js';
import { labelsOf, storeDrawing } from './segmentations.js';
import { addShortcuts } from './shortcuts.js';
import { sheet } from './style.js';
import { activeView, describe, onChange } from './viewer.js';

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
  </section>`;

/** The section of the panel that draws lesions. */
export class DrawingSection extends HTMLElement {
  #drawing = null;
  #view = null;
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
  }

  #build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = html;
    const on = (id, event, handle) => this.#find(id).addEventListener(event, handle);
    this.#tools().forEach(button => button.addEventListener('click', () => this.pen.choose(button.dataset.tool)));
    on('undo', 'click', () => this.#drawing?.undo());
    on('redo', 'click', () => this.#drawing?.redo());
    on('size', 'input', event => this.#resize(Number(event.target.value)));
    on('add', 'click', () => this.#try(() => this.#drawing.addLesion()));
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
      const focused = this.shadowRoot.activeElement?.getAttribute('data-focus');
      list.replaceChildren(...lesions.map(lesion => this.#lesionItem(lesion)));
      list.querySelector(`[data-focus="${focused}"]`)?.focus();
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

function areaText({ count, areaMm2 }) {
  return areaMm2 === null ? `${count} pixels` : `${areaMm2.toFixed(1)} mm²`;
}

if (!customElements.get('mammosynth-drawing')) customElements.define('mammosynth-drawing', DrawingSection);
