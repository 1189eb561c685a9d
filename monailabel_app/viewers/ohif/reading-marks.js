// Marks on the images of a case: drawn, set and moved with the mouse, or by the keyboard with a crosshair.

import { ellipseAt, indexNear, movedTo, pointAt, within } from './marks.js';
import { viewportOf } from './ohif.js';
import { Overlay } from './overlay.js';
import { imageName, imagesFor } from './reading-answers.js';
import { reading } from './reading-now.js';
import { onChange, viewOf, views } from './viewer.js';

const COLOURS = { lesion: '#ffb84d', artefact: '#6cc5ff', hallucination: '#ff9ce0' };
const TRUTH = '#7dff9b';
const [ARM, GRAB] = [9, 12]; // pixels of the screen: half a cross, and how near to a mark's centre it is caught

/** What is being set: {place, shape, number, x, y, isSizing} of the crosshair, or null. */
let aim = null;
let chosen = null; // {place, index} of the mark that was set or touched last
const changes = new EventTarget();
const tell = name => changes.dispatchEvent(new CustomEvent(name));

/** Call back when a mark is being set, no longer, or was ('set'); returns what ends it. */
export function onMarking(callback) {
  const listener = ({ type }) => callback(type);
  ['aim', 'set'].forEach(name => changes.addEventListener(name, listener));
  return () => ['aim', 'set'].forEach(name => changes.removeEventListener(name, listener));
}

/** What is being set; null if nothing is. */
export const aimed = () => aim;

/** The mark that was set or touched last, {place, index}. */
export const chosenMark = () => chosen;

/** Begin to set a mark of a question; with the keyboard its crosshair is shown at once. */
export function startMark(place, shape, { byKeyboard = false } = {}) {
  const [image] = imagesFor(place, reading.current.images);
  if (!image) return;
  aim = { place, shape, isByKeyboard: byKeyboard, ...crosshairOn(image) };
  tell('aim');
}

/** Set no mark after all. */
export function stopMark() {
  if (!aim) return;
  aim = null;
  tell('aim');
}

/** Move the crosshair, or change an ellipse's radii, by so many pixels of the image. */
export function moveCrosshair(right, down) {
  const image = imageOf(aim.number);
  if (aim.isSizing) {
    aim.radius_x = Math.max(1, aim.radius_x + right);
    aim.radius_y = Math.max(1, aim.radius_y - down);
  } else Object.assign(aim, within(image, { x: aim.x + right, y: aim.y + down }));
  tell('aim');
}

/** Pixels of the image that a step of the crosshair is: four of the screen. */
export const crosshairStep = () => 4 / scaleOf(aim.number);

/** Take the crosshair to the next image. */
export function changeImage() {
  const images = imagesFor(aim.place, reading.current.images);
  const index = images.findIndex(({ number }) => number === aim.number);
  Object.assign(aim, crosshairOn(images[(index + 1) % images.length]));
  tell('aim');
}

/** Set the mark at the crosshair; an ellipse first takes its centre, then its radii. */
export function setAtCrosshair() {
  const image = imageOf(aim.number);
  if (aim.shape === 'point') return add(pointAt(image, aim));
  if (aim.isSizing) return add(ellipseAt(image, aim, { x: aim.x + aim.radius_x, y: aim.y + aim.radius_y }));
  const radius = 40 / scaleOf(aim.number);
  Object.assign(aim, { isSizing: true, radius_x: radius, radius_y: radius });
  tell('aim');
}

/** What the crosshair asks for, in words. */
export function aimText() {
  if (!aim) return '';
  const where = imageName(imageOf(aim.number));
  if (!aim.isByKeyboard) {
    return aim.shape === 'point' ? 'Click on the place. Esc: none.' : 'Press at the centre, drag to the edge. Esc: none.';
  }
  const next = imagesFor(aim.place, reading.current.images).length > 1 ? ' Tab: next image.' : '';
  return aim.isSizing
    ? `Ellipse in ${where}. Arrows: size (Shift: larger steps). Enter: done. Esc: none.`
    : `Crosshair in ${where}. Arrows: move (Shift: larger steps). Enter: set.${next} Esc: none.`;
}

/** Take a mark away. */
export function removeMark(place, index) {
  chosen = null;
  reading.change(place, reading.draftOf(place).filter((_, number) => number !== index));
}

/** Draw marks on the viewports, and let them be set, from now on; returns what ends it. */
export function drawMarks() {
  const pen = new MarkPen();
  const stops = [onChange(() => pen.follow()), onMarking(() => pen.dress())];
  const redraw = () => pen.redraw();
  ['case', 'answer', 'pause'].forEach(name => reading.addEventListener(name, redraw));
  return () => {
    stops.forEach(stop => stop());
    ['case', 'answer', 'pause'].forEach(name => reading.removeEventListener(name, redraw));
    pen.remove();
  };
}

class MarkPen {
  #overlays = new Map();
  #stroke = null;
  #listening = new AbortController();

  constructor() {
    const options = { capture: true, signal: this.#listening.signal };
    const listen = (name, handle) => window.addEventListener(name, handle.bind(this), options);
    listen('pointerdown', this.#start);
    listen('pointermove', this.#move);
    listen('pointerup', this.#end);
    listen('pointercancel', () => (this.#stroke = null));
    this.follow();
  }

  follow() {
    const viewports = views().map(({ viewportId }) => viewportOf(viewportId)).filter(Boolean);
    const elements = new Map(viewports.map(viewport => [viewport.element, viewport]));
    for (const [element, overlay] of this.#overlays) {
      if (elements.get(element) === overlay.viewport) continue;
      overlay.remove();
      this.#overlays.delete(element);
    }
    for (const [element, viewport] of elements) {
      if (!this.#overlays.has(element)) {
        this.#overlays.set(element, new Overlay(viewport, 'marks', (...drawn) => this.#draw(...drawn)));
      }
    }
    this.dress();
  }

  dress() {
    for (const { canvas, viewport } of this.#overlays.values()) {
      const image = aim && imageIn(viewport.id);
      const isOpen = image && imagesFor(aim.place, reading.current.images).includes(image);
      canvas.style.pointerEvents = isOpen ? 'auto' : 'none';
      canvas.style.cursor = isOpen ? 'crosshair' : '';
    }
    this.redraw();
  }

  redraw() {
    this.#overlays.forEach(overlay => overlay.redraw());
  }

  remove() {
    this.#listening.abort();
    this.#overlays.forEach(overlay => overlay.remove());
  }

  #overlayAt = ({ target }) => [...this.#overlays.values()].find(({ element }) => element.contains(target));

  #start(event) {
    const overlay = event.button === 0 && event.isPrimary && !isStill() && this.#overlayAt(event);
    const image = overlay && imageIn(overlay.viewport.id);
    if (!image) return;
    const position = this.#position(overlay, event);
    if (aim) {
      if (!imagesFor(aim.place, reading.current.images).includes(image)) return;
      this.#stroke = { overlay, image, from: position, to: position };
    } else {
      const caught = caughtAt(image, position);
      if (!caught) return;
      chosen = caught;
      this.#stroke = { overlay, image, caught };
    }
    swallow(event);
    this.redraw();
  }

  #move(event) {
    if (!this.#stroke) return;
    swallow(event);
    this.#stroke.to = this.#position(this.#stroke.overlay, event);
    this.redraw();
  }

  #end(event) {
    if (!this.#stroke) return;
    swallow(event);
    const { caught, image, to } = this.#stroke;
    const made = this.#made();
    this.#stroke = null;
    if (!caught) return add(made);
    if (to) {
      const move = (mark, index) => (index === caught.index ? movedTo(mark, image, to) : mark);
      reading.change(caught.place, reading.draftOf(caught.place).map(move));
    }
    tell('set');
  }

  #made() {
    const { image, from, to, caught } = this.#stroke;
    if (caught || !aim) return null;
    return aim.shape === 'point' ? pointAt(image, to) : ellipseAt(image, from, to);
  }

  /** In pixels from the centre of the first one. */
  #position(overlay, event) {
    const { x, y } = overlay.position(event);
    return { x: x - 0.5, y: y - 0.5 };
  }

  #draw(context, matrix, { viewport }) {
    const image = imageIn(viewport.id);
    if (!image || reading.isPaused) return;
    const { overlay, caught, to } = this.#stroke ?? {};
    for (const place of markPlaces()) {
      (reading.draftOf(place) || []).forEach((mark, index) => {
        const isCaught = caught?.place === place && caught.index === index;
        if (mark.image !== image.number) return;
        const isChosen = chosen?.place === place && chosen.index === index;
        const shown = isCaught && to ? movedTo(mark, image, to) : mark;
        drawMark(context, matrix, shown, { colour: COLOURS[place.question.finding], text: index + 1, isChosen });
      });
    }
    truths().filter(each => each.image === image.number).forEach(each => drawTruth(context, matrix, each));
    if (aim && overlay?.viewport === viewport && !caught) {
      drawMark(context, matrix, this.#made(), { colour: COLOURS[aim.place.question.finding], isChosen: true });
    }
    if (aim?.isByKeyboard && aim.number === image.number) drawCrosshair(context, matrix, image);
  }
}

/** Whether marks stay as they are. */
const isStill = () => reading.isTold || reading.isPaused || !reading.isReady;

const markPlaces = () => reading.places.filter(({ question }) => question.type === 'marks');

/** Where marks should have been, once that is told. */
const truths = () => {
  const { feedback, questions } = reading.current;
  const names = questions.filter(({ type }) => type === 'marks').map(({ name }) => name);
  return names.flatMap(name => Object.values(feedback?.truth?.[name] || {}).flat());
};

const imageOf = number => reading.current.images.find(image => image.number === number);

function imageIn(viewportId) {
  const uid = viewOf(viewportId)?.sopInstanceUid;
  return reading.current.images.find(image => image.sop_instance_uid === uid);
}

const crosshairOn = ({ number, rows, columns }) => ({ number, x: (columns - 1) / 2, y: (rows - 1) / 2, isSizing: false });

/** Pixels of the screen for one of an image. */
function scaleOf(number) {
  const view = views().find(({ viewportId }) => imageIn(viewportId)?.number === number);
  const viewport = view && viewportOf(view.viewportId);
  const image = viewport?.getImageData?.()?.imageData;
  if (!image) return 1;
  const [a, b] = [0, 1].map(x => viewport.worldToCanvas(image.indexToWorld([x, 0, 0])));
  return Math.hypot(b[0] - a[0], b[1] - a[1]);
}

function caughtAt(image, position) {
  for (const place of markPlaces()) {
    const index = indexNear(reading.draftOf(place) || [], image.number, position, GRAB / scaleOf(image.number));
    if (index >= 0) return { place, index };
  }
  return null;
}

function add(mark) {
  const { place } = aim;
  const marks = reading.draftOf(place) || [];
  chosen = { place, index: marks.length };
  aim = null;
  reading.change(place, [...marks, place.question.rated ? { ...mark, rating: null } : mark]);
  tell('set');
}

function swallow(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function drawMark(context, matrix, mark, { colour, text = '', isChosen = false }) {
  const scale = window.devicePixelRatio || 1;
  const { x, y } = matrix.transformPoint(new DOMPoint(mark.x + 0.5, mark.y + 0.5));
  const path = new Path2D();
  if (mark.shape === 'ellipse') {
    const ellipse = new Path2D();
    ellipse.ellipse(mark.x + 0.5, mark.y + 0.5, mark.radius_x, mark.radius_y, (mark.angle * Math.PI) / 180, 0, 2 * Math.PI);
    path.addPath(ellipse, matrix);
  }
  for (const [right, down] of [[1, 0], [0, 1]]) {
    path.moveTo(x - right * ARM * scale, y - down * ARM * scale);
    path.lineTo(x + right * ARM * scale, y + down * ARM * scale);
  }
  context.resetTransform();
  for (const [style, width] of [['#000000', 4], [colour, isChosen ? 3 : 1.5]]) {
    context.strokeStyle = style;
    context.lineWidth = width * scale;
    context.stroke(path);
  }
  context.font = `600 ${13 * scale}px sans-serif`;
  context.lineWidth = 3 * scale;
  context.strokeStyle = '#000000';
  context.strokeText(text, x + 6 * scale, y - 6 * scale);
  context.fillStyle = colour;
  context.fillText(text, x + 6 * scale, y - 6 * scale);
}

/** A true place: a dashed circle of its radius, or of a few pixels of the screen. */
function drawTruth(context, matrix, { x, y, radius }) {
  const scale = window.devicePixelRatio || 1;
  const centre = matrix.transformPoint(new DOMPoint(x + 0.5, y + 0.5));
  const reach = radius ? radius * Math.hypot(matrix.a, matrix.b) : GRAB * scale;
  context.resetTransform();
  context.beginPath();
  context.arc(centre.x, centre.y, reach, 0, 2 * Math.PI);
  context.setLineDash([6 * scale, 4 * scale]);
  context.lineWidth = 2 * scale;
  context.strokeStyle = TRUTH;
  context.stroke();
  context.setLineDash([]);
}

function drawCrosshair(context, matrix, image) {
  const at = (x, y) => matrix.transformPoint(new DOMPoint(x + 0.5, y + 0.5));
  const lines = [
    [at(-0.5, aim.y), at(image.columns - 0.5, aim.y)],
    [at(aim.x, -0.5), at(aim.x, image.rows - 0.5)],
  ];
  context.resetTransform();
  context.lineWidth = window.devicePixelRatio || 1;
  context.strokeStyle = '#ffffff';
  for (const [from, to] of lines) {
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }
  if (!aim.isSizing) return;
  const mark = ellipseAt(image, aim, { x: aim.x + aim.radius_x, y: aim.y + aim.radius_y });
  drawMark(context, matrix, mark, { colour: COLOURS[aim.place.question.finding], isChosen: true });
}
