// What is drawn on each image: lesions and their pixels at the image's own resolution, with undo. Kept until the page
// is left, so that another image, study or mode may be visited in between.

import { cut, fillCapsule, fillPolygon, find, paste, union } from './raster.js';

const STEPS = 50; // chosen; the memory of a step is twice the rectangle that it touched
const MOST_LESIONS = 255; // one byte a pixel
const drawings = new Map();
const watchers = new Set();

globalThis.addEventListener?.('beforeunload', event => {
  if ([...drawings.values()].some(({ isUnsaved }) => isUnsaved)) event.preventDefault();
});

/** The drawing on an image (an OHIF instance), empty at first. */
export function drawingOf(instance) {
  const uid = instance.SOPInstanceUID;
  if (!drawings.has(uid)) drawings.set(uid, new Drawing(instance));
  return drawings.get(uid);
}

/** The drawing on the image of this UID, if there is one. */
export const existingDrawing = sopInstanceUid => drawings.get(sopInstanceUid);

/** Call back with every drawing that changes; returns what ends it. */
export function onDrawing(callback) {
  watchers.add(callback);
  return () => watchers.delete(callback);
}

/** Lesions and their label map; dispatches 'change' with the touched rectangle (null: only names) as detail. */
export class Drawing extends EventTarget {
  #done = [];
  #undone = [];
  #saved;
  #kept;
  #touched = null;

  constructor(instance) {
    super();
    this.sopInstanceUid = instance.SOPInstanceUID;
    this.rows = instance.Rows;
    this.columns = instance.Columns;
    this.spacing = spacingOf(instance);
    this.pixels = new Uint8Array(this.rows * this.columns);
    this.lesions = [];
    this.active = 0;
    this.#kept = { columns: this.columns, pixels: this.pixels.slice(), lesions: this.lesions };
  }

  get isUnsaved() {
    return this.#done.at(-1) !== this.#saved;
  }

  /** Whether a stroke has begun and not ended. */
  get isStroking() {
    return this.#touched !== null;
  }

  /** Whether a pixel of a lesion is drawn. */
  get isDrawn() {
    return this.lesions.some(({ number }) => this.pixels.includes(number));
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Add a lesion, or say why not, and draw with it. */
  addLesion() {
    this.#add();
    this.keep();
  }

  /** Change the label or the class of a lesion. */
  describe(number, change) {
    this.lesions = this.lesions.map(lesion => (lesion.number === number ? { ...lesion, ...change } : lesion));
    this.keep();
  }

  /** Delete a lesion and its pixels. */
  remove(number) {
    const { touched } = this.measure(number);
    this.lesions = this.lesions.filter(lesion => lesion.number !== number);
    if (touched) {
      paste(this, touched, cut(this, touched).map(value => (value === number ? 0 : value)));
      this.#touch(touched);
    }
    this.keep();
  }

  /** A piece of a brush stroke of the active lesion, or of the eraser; positions and radius in pixels. */
  stroke(from, to, radius, { erase = false } = {}) {
    this.#touch(fillCapsule(this, from, to, radius, erase ? 0 : this.#lesionToDraw()));
  }

  /** Fill a closed outline with the active lesion. */
  outline(points) {
    this.#touch(fillPolygon(this, points, this.#lesionToDraw()));
    this.keep();
  }

  /** Replace everything by a stored label map, which can be undone. */
  load(pixels, segments) {
    this.#replace(pixels, segments);
    this.keep();
    this.markSaved(this.#done.at(-1));
  }

  /** Begin with a stored label map, if nothing was drawn or loaded yet: what undo comes back to. */
  begin(pixels, segments) {
    if (this.#done.length || this.#undone.length || this.isStroking) return;
    this.#replace(pixels, segments);
    this.#kept = { columns: this.columns, pixels: this.pixels.slice(), lesions: this.lesions };
    this.#touched = null;
    this.#changed(null);
  }

  /** Make what changed since the last step a step that can be undone. */
  keep() {
    const step = this.#stepSince();
    this.#touched = null;
    if (!step) return;
    this.#done.push(step);
    if (this.#done.length > STEPS) this.#done.shift();
    this.#undone = [];
    this.#apply(step.after, step.touched);
  }

  undo() {
    this.#move(this.#done, this.#undone, 'before');
  }

  redo() {
    this.#move(this.#undone, this.#done, 'after');
  }

  /** What `forArchive` gave is in the archive; drawing may have gone on since. */
  markSaved(state) {
    this.#saved = state;
    this.#changed(null);
  }

  /** Pixels of a lesion, their area (null without a spacing) and the rectangle that holds them. */
  measure(number) {
    const { count, touched } = find(this, number);
    return { count, touched, areaMm2: this.spacing && count * this.spacing.row * this.spacing.column };
  }

  /** The lesions that have pixels, numbered from 1 without gaps, their label map, and the state that this is. */
  forArchive() {
    const drawn = this.lesions.filter(({ number }) => this.pixels.includes(number));
    const numbers = new Uint8Array(256);
    drawn.forEach(({ number }, index) => (numbers[number] = index + 1));
    const mask = new Uint8Array(this.pixels.length);
    for (let index = 0; index < mask.length; index++) mask[index] = numbers[this.pixels[index]];
    const segments = drawn.map(({ number, label, lesionClass }) => ({
      number: numbers[number],
      label,
      lesion_class: lesionClass,
    }));
    return { segments, mask, state: this.#done.at(-1) };
  }

  #replace(pixels, segments) {
    if (pixels.length !== this.pixels.length) {
      throw new Error(`The segmentation has ${pixels.length} pixels, the image ${this.rows} x ${this.columns}.`);
    }
    const extent = () => this.lesions.map(({ number }) => this.measure(number).touched).reduce(union, null);
    const before = extent();
    this.pixels.set(pixels);
    this.lesions = segments.map(({ number, label, lesion_class }) => ({ number, label, lesionClass: lesion_class }));
    this.active = this.lesions[0]?.number || 0;
    this.#touch(union(before, extent()));
  }

  #add() {
    const number = 1 + Math.max(0, ...this.lesions.map(lesion => lesion.number));
    if (number > MOST_LESIONS) throw new Error(`An image can have ${MOST_LESIONS} lesions; delete the last one first.`);
    this.lesions = [...this.lesions, { number, label: `Lesion ${number}`, lesionClass: null }];
    this.active = number;
  }

  #lesionToDraw() {
    if (!this.lesions.length) this.#add();
    return this.active;
  }

  #touch(touched) {
    if (!touched) return;
    this.#touched = union(this.#touched, touched);
    this.#changed(touched);
  }

  #stepSince() {
    const touched = this.#touched;
    const state = map => ({ lesions: map.lesions, pixels: touched && cut(map, touched) });
    const [before, after] = [state(this.#kept), state(this)];
    const isSame = !touched || isEqual(before.pixels, after.pixels);
    return isSame && before.lesions === after.lesions ? null : { touched, before, after };
  }

  #move(from, to, state) {
    this.keep();
    const step = from.pop();
    if (!step) return;
    to.push(step);
    this.#apply(step[state], step.touched);
  }

  #apply({ lesions, pixels }, touched) {
    for (const map of [this, this.#kept]) {
      map.lesions = lesions;
      if (touched) paste(map, touched, pixels);
    }
    if (!lesions.some(({ number }) => number === this.active)) this.active = lesions.at(-1)?.number || 0;
    this.#changed(touched);
  }

  #changed(touched) {
    this.dispatchEvent(new CustomEvent('change', { detail: touched }));
    watchers.forEach(callback => callback(this));
  }
}

function isEqual(one, other) {
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

/** Millimetres a pixel in the breast, as OHIF measures: on the detector, less the magnification; null if unknown. */
function spacingOf({ ImagerPixelSpacing, PixelSpacing, EstimatedRadiographicMagnificationFactor: magnification }) {
  const [row, column] = (ImagerPixelSpacing || PixelSpacing || []).map(Number);
  if (!(row > 0 && column > 0)) return null;
  const factor = ImagerPixelSpacing && Number(magnification) > 0 ? Number(magnification) : 1;
  return { row: row / factor, column: column / factor };
}
