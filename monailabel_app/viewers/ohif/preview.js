// Values of a slot that stand for a label map: sliders built from the slot's JSON Schema, and the map as it changes.

import { colourOf } from './classes.js';
import { labelled } from './parameters.js';
import { digitsOf, fitting, partsOf, presetsOf, resolved, settled, stepOf, withValue } from './schema.js';
import { title } from './sentences.js';
import { preview } from './server.js';
import { keep, kept } from './storage.js';
import { Turns } from './turns.js';

const KEPT = 'mammosynth.values.';
const AIR = [0, 0, 0];
const UNUSABLE = 422; // HTTP status
const html = `
  <div class="row" role="group" aria-label="Begin with"></div>
  <div class="stage">
    <canvas role="img" width="3" height="4"></canvas>
    <ul class="legend" aria-label="What is drawn"></ul>
    <p class="error" role="alert" hidden></p>
    <p class="muted said" role="status"></p>
  </div>
  <p class="notice" hidden>Not used now: a label map is chosen above. Choose None there to use this breast.</p>
  <fieldset class="controls"></fieldset>`;

/** The controls of one slot with their picture; dispatches 'drawn' whenever the picture shows the values. */
export class PreviewedValues extends EventTarget {
  #values = null;
  #removed = new Map(); // optional parts that were switched off, by path
  #image = null;
  #problem = ''; // why the values cannot be used
  #turns = new Turns(
    (request, signal) => this.#ask(request, signal),
    ({ message, status }, { isOfNow = false }) => this.#fail(message, { isOfValues: isOfNow && status === UNUSABLE })
  );

  constructor(model, slot, jsonField) {
    super();
    this.model = model;
    this.slot = slot;
    this.root = slot.json_schema;
    this.json = jsonField.querySelector('textarea');
    this.element = document.createElement('section');
    this.element.className = 'stack previewed';
    this.element.setAttribute('aria-labelledby', `slot-${slot.role}-heading`);
    const heading = Object.assign(document.createElement('h4'), { id: `slot-${slot.role}-heading` });
    heading.textContent = `${title(slot.role)} by numbers`;
    const about = Object.assign(document.createElement('p'), { className: 'muted', textContent: slot.description });
    this.element.innerHTML = html;
    this.element.prepend(heading, about);
    const [buttons] = this.#all('[role=group]');
    buttons.append(...slot.preview.suggestions.map(name => this.#suggestionButton(name)));
    if (slot.preview.can_measure) buttons.append(this.#measureButton());
    this.element.append(this.#jsonDetails(jsonField));
    this.#begin();
  }

  /** The values to generate from. Throws what is wrong with them. */
  get value() {
    if (this.#problem) throw new Error(`${title(this.slot.role)}: ${this.#problem}`);
    return this.#values ?? undefined;
  }

  /** Say that the values are not used, or that they are. */
  set isReplaced(is) {
    this.#all('.notice')[0].hidden = !is;
    this.element.classList.toggle('unused', is);
  }

  /** The image that can be measured ({name, reference}); null if there is none. */
  set image(image) {
    this.#image = image;
    this.#all('.measure').forEach(button => (button.disabled = !image));
  }

  /** End what is under way. */
  leave() {
    this.#turns.leave();
  }

  #begin() {
    const values = kept(KEPT + this.slot.role);
    if (!values) return this.#suggest(this.slot.preview.suggestions[0]);
    this.#take(values);
    this.#draw();
  }

  #suggestionButton(name) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: title(name) });
    button.addEventListener('click', () => this.#suggest(name));
    return button;
  }

  #measureButton() {
    const button = Object.assign(document.createElement('button'), { type: 'button', className: 'measure' });
    button.textContent = 'Measured in the active image';
    button.disabled = true;
    button.addEventListener('click', () => {
      const { name, reference } = this.#image;
      this.#say(`Measuring ${name} ...`);
      this.#turns.put({ body: () => ({ measure: reference }), said: `Measured in ${name}.` });
    });
    return button;
  }

  #suggest(suggestion) {
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    const body = () => ({ values: this.#values ?? {}, suggestion, seed });
    this.#turns.put({ body, said: `${title(suggestion)}: done.` });
  }

  #jsonDetails(field) {
    const details = document.createElement('details');
    details.innerHTML = '<summary>As JSON</summary>';
    details.append(field);
    details.addEventListener('toggle', () => this.#writeJson());
    this.json.addEventListener('change', () => this.readJson());
    return details;
  }

  /** Take over what was typed or uploaded. */
  readJson() {
    try {
      const values = JSON.parse(this.json.value);
      if (!values || Array.isArray(values) || typeof values !== 'object') throw new Error('expected an object');
      this.#turns.put({ body: () => ({ values }) });
    } catch (error) {
      const problem = `This is not valid JSON (${error.message}); correct it or upload a file.`;
      this.#fail(problem, { isOfValues: true });
    }
  }

  /** Let the picture follow the controls. */
  #draw() {
    this.#turns.put({ body: () => ({ values: this.#values }), isOfNow: true });
  }

  /** Draw an answer. Other values than those of the controls are taken over; if these changed meanwhile, it is late. */
  async #ask(request, signal) {
    const before = this.#values;
    const { values, png, classes } = await preview(this.model, this.slot.role, request.body(), signal);
    const labels = await labelsIn(png);
    signal.throwIfAborted();
    if (!request.isOfNow && this.#values !== before) return this.#turns.put(request);
    if (!request.isOfNow) this.#take(values);
    this.#show(labels, classes, request.said ?? '');
  }

  #show(labels, classes, said) {
    this.#fail('');
    this.#say(said);
    const [canvas] = this.#all('canvas');
    paint(canvas, labels);
    const shares = sharesOf(labels, classes);
    canvas.setAttribute('aria-label', `Label map: ${shares.map(({ text }) => text).join(', ')}`);
    this.#all('.legend')[0].replaceChildren(...shares.map(legendItem));
    this.dispatchEvent(new Event('drawn'));
  }

  #fail(text, { isOfValues = false } = {}) {
    const [error] = this.#all('.error');
    this.#problem = isOfValues ? text : '';
    if (text) this.#say('');
    error.hidden = !text;
    if (error.textContent !== text) error.textContent = text; // a screen reader says every change
    this.#all('canvas')[0].classList.toggle('old', isOfValues);
  }

  #say(text) {
    const [said] = this.#all('.said');
    if (said.textContent !== text) said.textContent = text;
  }

  /** Change one value; `rebuild` where other controls appear or go. */
  #change(path, value, { rebuild = false } = {}) {
    const before = this.#values;
    const after = withValue(before, path, value);
    this.#values = settled(this.root, after, before, this.root);
    keep(KEPT + this.slot.role, this.#values);
    if (rebuild) this.#take(this.#values);
    this.#writeJson();
    this.#draw();
  }

  #take(values) {
    this.#values = values;
    keep(KEPT + this.slot.role, values);
    const focused = this.element.getRootNode()['activeElement']?.id;
    const [controls] = this.#all('.controls');
    controls.replaceChildren(...this.#object(this.root, values, []));
    if (focused) controls.querySelector(`#${focused}`)?.focus();
    this.#writeJson();
  }

  #writeJson() {
    if (this.json.closest('details')?.open) this.json.value = JSON.stringify(this.#values, null, 1);
  }

  #object(schema, values, path) {
    return partsOf(schema, values, this.root).map(part => this.#part(part, values[part.name], [...path, part.name]));
  }

  #part(part, value, path) {
    if (part.type === 'array' && part.items.$ref) return this.#list(part, value ?? part.default, path);
    if (part.properties || part.oneOf) return this.#group(part, value, path);
    return this.#scalar(part, value ?? part.default, path);
  }

  /** An object: its parts under one heading; one that may be missing has a switch. */
  #group(part, value, path) {
    const group = fieldset(title(part.name));
    if (part.nullable) group.append(this.#switch(part, value, path));
    if (!value) return group;
    const schema = fitting(part, value, this.root);
    const parts = partsOf(schema, value, this.root).filter(({ type }) => type !== 'array');
    group.append(...parts.map(each => this.#part(each, value[each.name], [...path, each.name])));
    if (!parts.length) group.append(muted('A free outline; it can be changed as JSON.'));
    return group;
  }

  #switch(part, value, path) {
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = Boolean(value);
    box.addEventListener('change', () => this.#toggle(part, value, path, box));
    return labelled(box, { id: idOf(this.slot, path), text: `With ${title(part.name).toLowerCase()}`, hint: '' });
  }

  async #toggle(part, value, path, box) {
    const key = path.join('.');
    if (!box.checked) {
      this.#removed.set(key, value);
      return this.#change(path, null, { rebuild: true });
    }
    try {
      const again = this.#removed.get(key) ?? presetsOf(part, this.root) ?? (await this.#suggested(path));
      this.#change(path, again, { rebuild: true });
    } catch (error) {
      box.checked = false;
      this.#fail(error.message);
    }
  }

  /** What the first suggestion has at a path. */
  async #suggested(path) {
    const [suggestion] = this.slot.preview.suggestions;
    const { values } = await preview(this.model, this.slot.role, { values: this.#values, suggestion });
    return path.reduce((found, name) => found[name], values);
  }

  #list(part, items, path) {
    const group = fieldset(`${title(part.name)}: ${items.length || 'none'}`);
    const schema = resolved(part.items, this.root);
    group.append(
      ...items.map((item, index) => {
        const each = fieldset(`${title(part.name).replace(/s$/, '')} ${index + 1}`);
        const remove = Object.assign(document.createElement('button'), { type: 'button', className: 'danger' });
        remove.id = idOf(this.slot, [...path, index, 'remove']);
        remove.textContent = `Remove ${each.firstChild.textContent.toLowerCase()}`;
        remove.addEventListener('click', () => {
          this.#change(path, items.filter((_, other) => other !== index), { rebuild: true });
          this.#all('.controls button.danger, [role=group] button').at(-1).focus();
        });
        each.append(...this.#object(schema, item, [...path, index]), remove);
        return each;
      })
    );
    return group;
  }

  #scalar(part, value, path) {
    const id = idOf(this.slot, path);
    const unit = part.unit === 'image heights' ? '' : part.unit || '';
    const text = title(part.name.replace(/_mm$/, '')) + (unit ? ` (${unit})` : '');
    const hint = [part.description, part.unit && !unit ? `In ${part.unit}.` : ''].filter(Boolean).join(' ');
    if (part.enum || part.type === 'boolean') {
      const control = part.enum ? selectOf(part.enum, value) : document.createElement('input');
      if (!part.enum) Object.assign(control, { type: 'checkbox', checked: value });
      const read = () => (part.enum ? control.value : /** @type {HTMLInputElement} */ (control).checked);
      control.addEventListener('change', () => this.#change(path, read(), { rebuild: true }));
      return labelled(control, { id, text, hint });
    }
    const slider = document.createElement('input');
    const exact = document.createElement('input');
    const limits = { min: part.minimum, max: part.maximum };
    Object.assign(slider, { type: 'range', ...limits, step: stepOf(part) });
    Object.assign(exact, { type: 'number', ...limits, step: part.type === 'integer' ? 1 : 'any', className: 'exact' });
    exact.setAttribute('aria-label', `${text}, exactly`);
    const shown = number => String(Number(number.toFixed(digitsOf(part))));
    const write = number => {
      if (slider.valueAsNumber !== number) slider.valueAsNumber = number;
      slider.setAttribute('aria-valuetext', `${shown(number)} ${part.unit || ''}`.trim());
    };
    write(value);
    exact.value = shown(value);
    slider.addEventListener('input', () => {
      exact.value = shown(slider.valueAsNumber);
      write(slider.valueAsNumber);
      this.#change(path, slider.valueAsNumber);
    });
    exact.addEventListener('change', () => {
      if (!exact.value || !exact.checkValidity()) {
        const problem = exact.validationMessage || 'a number is missing.';
        return this.#fail(`${text}: ${problem}`, { isOfValues: true });
      }
      write(exact.valueAsNumber);
      this.#change(path, exact.valueAsNumber);
    });
    const field = labelled(slider, { id, text, hint });
    field.classList.add('slider');
    field.insertBefore(exact, slider);
    return field;
  }

  /** @returns {any[]} */
  #all(selector) {
    return [...this.element.querySelectorAll(selector)];
  }
}

/** Rules of the panel's sheet that belong to these controls. */
export const previewCss = `
  .previewed { padding: 8px; border: 1px solid #2c4a7c; border-radius: 4px; }
  .previewed.unused > :not(h4, .notice) { display: none; }
  .previewed fieldset {
    display: flex; flex-direction: column; gap: 6px; margin: 0; padding: 0; border: 0; min-width: 0;
  }
  .previewed fieldset fieldset { padding: 6px 8px; border: 1px solid #1f2e57; border-radius: 4px; }
  .previewed legend { padding: 0 4px; color: #fff; font-size: 13px; }
  .previewed .stage {
    position: sticky; top: 0; z-index: 1; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 8px;
    align-items: start; padding: 6px 0; background: #090c29;
  }
  .previewed .stage p { grid-column: 1 / -1; }
  /* Over the picture, so that nothing moves under the mouse. */
  .previewed .stage .error { grid-row: 1; align-self: center; z-index: 1; font-size: 12px; }
  .previewed .said { min-height: 17px; width: 100%; }
  .previewed .controls :is(input, select, button) { scroll-margin-top: 240px; } /* not to be focused behind the stage */
  .previewed button { min-height: 28px; padding: 2px 8px; font-size: 13px; }
  .previewed canvas { grid-area: 1 / 1; height: 150px; border: 1px solid #1f2e57; }
  .previewed canvas.old { opacity: .35; }
  .legend { grid-area: 1 / 2; list-style: none; margin: 0; padding: 0; font-size: 11px; min-width: 0; }
  .legend li { display: flex; gap: 6px; align-items: baseline; }
  .legend .swatch { width: 10px; height: 10px; border: 1px solid #fff; flex: none; }
  @media (min-height: 1000px) {
    .previewed .stage { grid-template-columns: minmax(0, 1fr); justify-items: center; }
    .previewed canvas { height: min(28vh, 310px); }
    .legend { grid-area: 2 / 1; columns: 2; width: 100%; }
    .previewed .controls :is(input, select, button) { scroll-margin-top: 440px; }
  }
  .slider { display: grid; grid-template-columns: minmax(0, 1fr) 76px; gap: 2px 8px; align-items: center; }
  .slider input[type=range], .slider p { grid-column: 1 / -1; }
  .slider input[type=range] { margin: 0; }
  .slider input.exact.exact.exact { min-height: 24px; padding: 0 4px; }
`;

const idOf = ({ role }, path) => ['slot', role, ...path].join('-');

function fieldset(text) {
  const made = document.createElement('fieldset');
  made.append(Object.assign(document.createElement('legend'), { textContent: text }));
  return made;
}

const muted = textContent => Object.assign(document.createElement('p'), { className: 'muted', textContent });

function selectOf(options, value) {
  const select = document.createElement('select');
  select.append(...options.map(option => new Option(title(String(option)), option)));
  select.value = value;
  return select;
}

/** Class numbers of a PNG in base64, as they come with a preview: {data: one byte in four, width, height}. */
export async function labelsIn(png) {
  const bytes = Uint8Array.from(atob(png), letter => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Draw each class in its colour. */
function paint(canvas, labels) {
  const { width, height, data } = labels;
  const pixels = new ImageData(width, height);
  const colours = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const number = data[at];
    if (!colours.has(number)) colours.set(number, number ? rgb(colourOf(number)) : AIR);
    pixels.data.set(colours.get(number), at);
    pixels.data[at + 3] = 255;
  }
  Object.assign(canvas, { width, height });
  canvas.getContext('2d').putImageData(pixels, 0, 0);
}

const rgb = colour => [1, 3, 5].map(start => parseInt(colour.slice(start, start + 2), 16));

/** Number and text ("adipose 61 %") of every class that is drawn, as a share of the breast. */
function sharesOf({ data }, classes) {
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) counts.set(data[at], (counts.get(data[at]) || 0) + 1);
  counts.delete(0);
  const whole = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const text = (number, count) => `${classes[number] ?? number} ${percent(count / whole)}`;
  return [...counts].sort(([a], [b]) => a - b).map(([number, count]) => ({ number, text: text(number, count) }));
}

const percent = share => (share < 0.01 ? '< 1 %' : `${Math.round(100 * share)} %`);

function legendItem({ number, text }) {
  const item = document.createElement('li');
  const swatch = Object.assign(document.createElement('span'), { className: 'swatch' });
  swatch.style.background = colourOf(number);
  item.append(swatch, text);
  return item;
}
