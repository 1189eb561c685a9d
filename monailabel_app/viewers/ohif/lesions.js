// What is drawn on each image: lesions, or a whole breast with its lesions, at the image's own resolution, with undo.
// Kept until the page is left, so that another image, study or mode may be visited in between.

import { viewName } from './orientation.js';
import { cut, fillCapsule, fillFromAround, fillPolygon, find, paste, union } from './raster.js';

/** What is active when the breast is taken away, not drawn. */
export const BACKGROUND = -1;

const STEPS = 50; // chosen; the memory of a step is twice the rectangle that it touched
const MOST_LESIONS = 255; // one byte a pixel
const CUT_OFF = 'A lesion lies within the breast: what would lie outside was left out.';
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

/**
 * Lesions, and parts of the breast where a whole one is drawn, and their label map. Lesions lie within the breast, and
 * tissue is under them when they are taken off. Dispatches 'change' with the touched rectangle (null: only names).
 */
export class Drawing extends EventTarget {
  #done = [];
  #undone = [];
  #base = {}; // the state that undo cannot go behind
  #archived = new WeakMap(); // UID of the segmentation that holds a state
  #kept;
  #touched = null;
  #isWithinBreast = false; // of the stroke that has begun
  #isCut = false;
  #isErasing = false;

  constructor(instance) {
    super();
    this.sopInstanceUid = instance.SOPInstanceUID;
    this.view = viewName(instance);
    this.rows = instance.Rows;
    this.columns = instance.Columns;
    this.spacing = spacingOf(instance);
    this.pixels = new Uint8Array(this.rows * this.columns);
    this.lesions = []; // {number, label, lesionClass, isLesion}
    this.active = 0;
    this.notice = ''; // why the last step did not do all that was asked
    this.#kept = { columns: this.columns, pixels: this.pixels.slice(), lesions: this.lesions };
  }

  /** Whether something is drawn that no segmentation holds. */
  get isUnsaved() {
    return this.lesions.length > 0 && !this.archivedAs;
  }

  /** Whether anything is drawn, or was. */
  get isBegun() {
    return this.lesions.length > 0 || this.canUndo || this.canRedo;
  }

  /** The last step; another one after every change, and the same one again after undo. */
  get state() {
    return this.#done.at(-1) ?? this.#base;
  }

  /** SOP Instance UID of the segmentation that holds what is drawn now; undefined if none was stored or loaded. */
  get archivedAs() {
    return this.#archived.get(this.state);
  }

  /** Whether a part of the breast is drawn. */
  get hasBreast() {
    return this.lesions.some(({ number, isLesion }) => !isLesion && this.pixels.includes(number));
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

  /** Draw with a part of the breast from now on. */
  choosePart(label) {
    const known = this.lesions.find(each => !each.isLesion && each.label === label);
    if (known) this.active = known.number;
    else this.#add({ label, isLesion: false });
    this.keep();
    this.#changed(null);
  }

  /** Change the label or the class of a lesion. */
  describe(number, change) {
    this.lesions = this.lesions.map(lesion => (lesion.number === number ? { ...lesion, ...change } : lesion));
    this.keep();
  }

  /** Delete a lesion and its pixels. */
  remove(number) {
    this.#takeOff(number);
    this.lesions = this.lesions.filter(lesion => lesion.number !== number);
    this.keep();
  }

  /** The lesion at a position; 0 if there is none. */
  lesionAt({ x, y }) {
    const number = this.#isInside(x, y) ? this.pixels[Math.floor(y) * this.columns + Math.floor(x)] : 0;
    return this.#numbers(true)[number] ? number : 0;
  }

  /** Move a lesion; what would lie outside the breast or the image is left out, and all of it stays if all would. */
  move(number, { x, y }) {
    const [dx, dy] = [Math.round(x), Math.round(y)];
    const cells = this.#cellsOf(number);
    const hasBreast = this.hasBreast;
    this.#takeOff(number);
    const moved = cells
      .map(index => [(index % this.columns) + dx, Math.floor(index / this.columns) + dy])
      .filter(([column, row]) => this.#isInside(column, row))
      .map(([column, row]) => row * this.columns + column)
      .filter(index => !hasBreast || this.pixels[index]);
    (moved.length ? moved : cells).forEach(index => (this.pixels[index] = number));
    this.#touch(this.measure(number).touched);
    this.keep();
    if (moved.length < cells.length) this.#tell(moved.length ? CUT_OFF : 'The lesion stays: it lies within the breast.');
  }

  /** Put a breast under the lesions that are drawn: its label map and what it is called, {number, name} of each part. */
  takeBreast(labels, parts) {
    if (labels.length !== this.pixels.length) throw new Error(this.#unlike(labels));
    const isLesion = this.#numbers(true);
    this.lesions = this.lesions.filter(each => each.isLesion);
    const active = this.active;
    const numbers = new Uint8Array(256);
    for (const { number, name } of parts) numbers[number] = this.#add({ label: name, isLesion: false });
    for (let index = 0; index < labels.length; index++) {
      if (!labels[index] || !isLesion[this.pixels[index]]) this.pixels[index] = numbers[labels[index]];
    }
    this.lesions = [...this.lesions.filter(each => !each.isLesion), ...this.lesions.filter(each => each.isLesion)];
    this.active = this.lesions.some(({ number }) => number === active) ? active : this.lesions[0].number;
    this.#touch({ top: 0, left: 0, bottom: this.rows, right: this.columns });
    this.keep();
  }

  /** A piece of a brush stroke of the active lesion, or of the eraser; positions and radius in pixels. */
  stroke(from, to, radius, { erase = false } = {}) {
    const value = erase ? 0 : this.#valueToDraw();
    this.#startStroke(erase);
    this.#touch(this.#bounded(fillCapsule(this, from, to, radius, value)));
  }

  /** Fill a closed outline with the active lesion. */
  outline(points) {
    const value = this.#valueToDraw();
    this.#startStroke();
    this.#touch(this.#bounded(fillPolygon(this, points, value)));
    this.keep();
  }

  /** Replace everything by a stored label map, which can be undone. */
  load(pixels, segments, sopInstanceUid) {
    this.#replace(pixels, segments);
    this.keep();
    this.markSaved(this.state, sopInstanceUid);
  }

  /** Begin with a stored label map, if nothing was drawn or loaded yet: what undo comes back to. */
  begin(pixels, segments, sopInstanceUid) {
    if (this.#done.length || this.#undone.length || this.isStroking) return;
    this.#replace(pixels, segments);
    this.#kept = { columns: this.columns, pixels: this.pixels.slice(), lesions: this.lesions };
    this.#touched = null;
    this.markSaved(this.state, sopInstanceUid);
  }

  /** Make what changed since the last step a step that can be undone. */
  keep() {
    this.notice = '';
    this.#endStroke();
    const step = this.#stepSince();
    this.#touched = null;
    if (!step) {
      if (this.notice) this.#changed(null);
      return;
    }
    this.#done.push(step);
    if (this.#done.length > STEPS) this.#base = this.#done.shift();
    this.#undone = [];
    this.#apply(step.after, step.touched);
  }

  undo() {
    this.#move(this.#done, this.#undone, 'before');
  }

  redo() {
    this.#move(this.#undone, this.#done, 'after');
  }

  /** What `forArchive` gave is in the archive, as that segmentation; drawing may have gone on since. */
  markSaved(state, sopInstanceUid) {
    this.#archived.set(state, sopInstanceUid);
    this.#changed(null);
  }

  /** A segmentation is in the archive no more. */
  markDeleted(sopInstanceUid) {
    const held = [this.#base, ...this.#done, ...this.#undone].filter(each => this.#archived.get(each) === sopInstanceUid);
    held.forEach(each => this.#archived.delete(each));
    if (held.length) this.#changed(null);
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
    const segments = drawn.map(({ number, label, lesionClass, isLesion }) => ({
      number: numbers[number],
      label,
      lesion_class: lesionClass,
      is_lesion: isLesion,
    }));
    return { segments, mask, state: this.state };
  }

  #replace(pixels, segments) {
    if (pixels.length !== this.pixels.length) {
      throw new Error(this.#unlike(pixels));
    }
    const extent = () => this.lesions.map(({ number }) => this.measure(number).touched).reduce(union, null);
    const before = extent();
    this.pixels.set(pixels);
    this.lesions = segments.map(({ number, label, lesion_class, is_lesion = true }) => ({
      number,
      label,
      lesionClass: lesion_class,
      isLesion: is_lesion,
    }));
    this.active = this.lesions[0]?.number || 0;
    this.#touch(union(before, extent()));
  }

  #add({ label = '', isLesion = true } = {}) {
    const number = 1 + Math.max(0, ...this.lesions.map(lesion => lesion.number));
    if (number > MOST_LESIONS) throw new Error(`An image can have ${MOST_LESIONS} lesions; delete the last one first.`);
    this.lesions = [...this.lesions, { number, label: label || this.#freeName(), lesionClass: null, isLesion }];
    this.active = number;
    return number;
  }

  #freeName() {
    const names = this.lesions.map(({ label }) => label);
    let count = 1 + this.lesions.filter(({ isLesion }) => isLesion).length;
    while (names.includes(`Lesion ${count}`)) count++;
    return `Lesion ${count}`;
  }

  #valueToDraw() {
    if (this.active === BACKGROUND) return 0;
    if (!this.lesions.length) this.#add();
    return this.active;
  }

  /** Flags by number: whether it is of a lesion, or of a part of the breast. */
  #numbers(areLesions) {
    const flags = new Uint8Array(256);
    this.lesions.filter(({ isLesion }) => isLesion === areLesions).forEach(({ number }) => (flags[number] = 1));
    return flags;
  }

  #isInside = (x, y) => x >= 0 && y >= 0 && x < this.columns && y < this.rows;

  #unlike = ({ length }) => `The segmentation has ${length} pixels, the image ${this.rows} x ${this.columns}.`;

  #cellsOf(number) {
    const cells = [];
    for (let at = this.pixels.indexOf(number); at >= 0; at = this.pixels.indexOf(number, at + 1)) cells.push(at);
    return cells;
  }

  /** Take a lesion off; what lies around it takes its place in a breast. */
  #takeOff(number) {
    const { touched } = this.measure(number);
    if (!touched) return;
    fillFromAround(this, this.#cellsOf(number), this.#numbers(false));
    this.#touch(touched);
  }

  #startStroke(isErasing = false) {
    if (this.isStroking) return;
    this.#isWithinBreast = this.hasBreast && (isErasing || Boolean(this.#numbers(true)[this.active]));
    this.#isErasing = isErasing;
  }

  /** In a breast a lesion is drawn nowhere else, and the eraser takes off nothing but lesions. */
  #bounded(touched) {
    if (!touched || !this.#isWithinBreast) return touched;
    const isLesion = this.#numbers(true);
    const { pixels } = this.#kept;
    for (let row = touched.top; row < touched.bottom; row++) {
      const [start, end] = [row * this.columns + touched.left, row * this.columns + touched.right];
      for (let index = start; index < end; index++) {
        if (this.#isErasing ? isLesion[pixels[index]] : pixels[index]) continue;
        if (!this.#isErasing && this.pixels[index]) this.#isCut = true;
        this.pixels[index] = pixels[index];
      }
    }
    return touched;
  }

  /** What a stroke leaves to be done: tissue where a lesion was erased. */
  #endStroke() {
    const touched = this.#touched;
    if (!touched || !this.#isWithinBreast) return;
    if (this.#isErasing) {
      const holes = [];
      for (let row = touched.top; row < touched.bottom; row++) {
        for (let column = touched.left; column < touched.right; column++) {
          const index = row * this.columns + column;
          if (this.#kept.pixels[index] && !this.pixels[index]) holes.push(index);
        }
      }
      fillFromAround(this, holes, this.#numbers(false));
    }
    if (this.#isCut) this.notice = CUT_OFF;
    this.#isWithinBreast = this.#isErasing = this.#isCut = false;
  }

  #tell(notice) {
    this.notice = notice;
    this.#changed(null);
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
    if (this.active !== BACKGROUND && !lesions.some(({ number }) => number === this.active)) this.active = lesions.at(-1)?.number || 0;
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
