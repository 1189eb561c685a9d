// Controls for what a model needs beside its source: further images, label maps that are drawn, JSON values.

import { DRAWING, choicesFor, drawingHelp, jsonHelp, missingInput, parseJson, presetFor, unclassed } from './choices.js';
import { existingDrawing } from './lesions.js';
import { labelled } from './parameters.js';
import { PreviewedValues } from './preview.js';
import { preferredOn, segmentationsOf, storeDrawing } from './segmentations.js';
import { title } from './sentences.js';

/** The control of every slot of a model but its source, in an element of the panel. */
export class SlotControls {
  #slots = [];
  #controls = new Map();
  #previewed = new Map(); // values that stand for a label map, by role
  #chosen = new Map(); // what a person chose or typed, by role, whatever the model
  #offered = { source: null, active: null, study: null, images: [] };

  constructor(element) {
    this.element = element;
  }

  /** Build the controls for a model; values of roles that it shares with the last one are kept. */
  build(model, slots) {
    this.leave();
    this.#slots = slots;
    const source = sourceSlot(slots);
    const others = slots.filter(slot => slot !== source);
    this.#controls = new Map(others.map(slot => [slot.role, this.#control(slot)]));
    this.element.replaceChildren(...others.map(slot => this.#field(model, slot)));
    this.offer(this.#offered);
  }

  /** End what is under way. */
  leave() {
    this.#previewed.forEach(each => each.leave());
    this.#previewed.clear();
  }

  /**
   * Renew the choices: the source and the images ({sopInstanceUid, name, reference}), what the active viewport shows
   * ({sopInstanceUid}), and the study that is open.
   */
  offer(offered) {
    this.#offered = offered;
    for (const slot of this.#slots) {
      const control = this.#controls.get(slot.role);
      if (!control || slot.kind === 'json') continue;
      const choices = slot.kind === 'image' ? this.#images(slot) : this.#labelMaps(slot);
      const key = JSON.stringify(choices);
      if (control.dataset.choices !== key) {
        control.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
        control.dataset.choices = key;
      }
      control.value = presetFor(slot, choices, ...this.#wanted(slot));
    }
    this.#previewed.forEach(each => {
      each.image = offered.source;
      each.isReplaced = this.#hasLabelMap();
    });
  }

  /** References and values by role, as POST /synthesis takes them; a drawing is saved first. Throws a sentence. */
  async read({ allViews = false } = {}) {
    const inputs = {};
    const source = sourceSlot(this.#slots);
    const asked = allViews ? this.#slots.filter(isForEveryView) : this.#slots;
    for (const slot of asked) {
      const value = slot === source ? this.#sourceReference(allViews) : this.#valueOf(slot);
      if (value !== undefined) inputs[slot.role] = value;
    }
    const problem = missingInput(asked, inputs);
    if (problem) throw new Error(problem);
    for (const slot of asked) {
      if (inputs[slot.role] === DRAWING) inputs[slot.role] = await this.#storeDrawing(slot);
    }
    return inputs;
  }

  /** What a slot may begin with, best first: what was chosen, unless something was drawn, saved or loaded since. */
  #wanted(slot) {
    const { value, ...before } = this.#chosen.get(slot.role) || {};
    if (slot.kind === 'image') return [value];
    const { image, state, preferred, isUnsaved } = this.#drawn(slot);
    const isChanged = isUnsaved && state !== before.state;
    const isOlder = image === before.image ? isChanged || preferred !== before.preferred : isUnsaved;
    return [isOlder ? undefined : value, isUnsaved ? DRAWING : '', preferred];
  }

  #choose(slot, value) {
    this.#chosen.set(slot.role, { value, ...(slot.kind === 'label_map' && this.#drawn(slot)) });
  }

  /** How the drawing stands that may fill a slot. */
  #drawn(slot) {
    const image = this.#imageOf(slot)?.sopInstanceUid;
    const drawing = existingDrawing(image);
    const isFitting = drawing?.isDrawn && !(slot.only_lesions && drawing.hasBreast);
    const isUnsaved = Boolean(drawing?.isUnsaved && isFitting);
    return { image, state: drawing?.state, preferred: preferredOn(image), isUnsaved };
  }

  #sourceReference(allViews) {
    const { source, study } = this.#offered;
    if (allViews) return study ? { study_instance_uid: study } : undefined;
    return source?.reference;
  }

  #valueOf(slot) {
    if (this.#previewed.has(slot.role)) {
      return this.#hasLabelMap() ? undefined : this.#previewed.get(slot.role).value;
    }
    const { value } = this.#controls.get(slot.role);
    if (slot.kind === 'json') return parseJson(slot, value);
    if (!value || value === DRAWING) return value || undefined;
    if (slot.kind === 'image') return this.#offered.images.find(image => image.sopInstanceUid === value)?.reference;
    return { study_instance_uid: this.#offered.study, sop_instance_uid: value };
  }

  /** Whether a label map is chosen, which goes before values that stand for one. */
  #hasLabelMap() {
    return this.#slots.some(({ kind, role }) => kind === 'label_map' && this.#controls.get(role)?.value);
  }

  /** The image that a label map must be drawn on; for one that stands for itself, the active one. */
  #imageOf({ on }) {
    const source = sourceSlot(this.#slots);
    if (!on) return this.#offered.active;
    if (on === source?.role) return this.#offered.source;
    return this.#offered.images.find(({ sopInstanceUid }) => sopInstanceUid === this.#controls.get(on)?.value);
  }

  #images({ required }) {
    const none = ['', required ? 'Choose one' : 'None'];
    return [none, ...this.#offered.images.map(({ sopInstanceUid, name }) => [sopInstanceUid, name])];
  }

  #labelMaps(slot) {
    const { image: on, isUnsaved: hasDrawing } = this.#drawn(slot);
    const segmentations = segmentationsOf(this.#offered.study);
    const instead = this.#previewed.size ? 'breast by numbers' : '';
    return choicesFor(slot, { segmentations, on, hasDrawing, instead });
  }

  async #storeDrawing(slot) {
    const drawing = existingDrawing(this.#imageOf(slot).sopInstanceUid);
    const problem = unclassed(slot, drawing.lesions.filter(({ number }) => drawing.pixels.includes(number)));
    if (problem) throw new Error(problem);
    const saved = await storeDrawing(this.#offered.study, drawing);
    return { study_instance_uid: this.#offered.study, sop_instance_uid: saved.sop_instance_uid };
  }

  #control(slot) {
    const control = document.createElement(slot.kind === 'json' ? 'textarea' : 'select');
    control.setAttribute('aria-required', String(slot.required));
    if (slot.kind === 'json') {
      Object.assign(control, { rows: 4, spellcheck: false, value: this.#chosen.get(slot.role)?.value || '' });
    }
    control.addEventListener(slot.kind === 'json' ? 'input' : 'change', () => {
      this.#choose(slot, control.value);
      if (slot.kind !== 'json') this.offer(this.#offered); // other choices depend on it
    });
    return control;
  }

  #field(model, slot) {
    const control = this.#controls.get(slot.role);
    const hint = slot.preview ? '' : slot.kind === 'json' ? jsonHelp(slot) : drawingHelp(slot);
    const text = `${title(slot.role)}${slot.required ? ' (required)' : ''}`;
    const field = labelled(control, { id: `slot-${slot.role}`, text, hint });
    if (slot.kind === 'json') field.append(this.#upload(slot, control));
    if (!slot.preview) return field;
    const previewed = new PreviewedValues(model, slot, field);
    this.#previewed.set(slot.role, previewed);
    return previewed.element;
  }

  #upload({ role }, control) {
    const label = document.createElement('label');
    label.className = 'upload';
    label.innerHTML = '<span></span><input class="visually-hidden" type="file" accept=".json,application/json">';
    label.querySelector('span').textContent = `Upload ${title(role).toLowerCase()} as a file`;
    label.querySelector('input').addEventListener('change', async ({ target }) => {
      const [file] = /** @type {HTMLInputElement} */ (target).files;
      if (!file) return;
      control.value = await file.text();
      this.#chosen.set(role, { value: control.value });
      this.#previewed.get(role)?.readJson();
    });
    return label;
  }
}

/** The slot of the source: the first image; undefined if a model starts from none. */
export const sourceSlot = slots => slots.find(({ kind }) => kind === 'image');

/** Whether every view of a study can be made at once: from images alone, since drawings are of one image. */
export const canMakeAllViews = slots =>
  Boolean(sourceSlot(slots)) && slots.every(slot => isForEveryView(slot) || !slot.required) &&
  slots.filter(({ kind }) => kind === 'image').length === 1;

const isForEveryView = ({ kind }) => kind !== 'label_map';
