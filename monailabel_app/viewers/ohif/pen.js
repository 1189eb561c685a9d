// Drawing with mouse, pen or finger on the viewports: outline, brush, eraser and move, and how it looks.

import { coloursOf } from './classes.js';
import { drawingOf, existingDrawing, onDrawing } from './lesions.js';
import { viewName } from './orientation.js';
import { Overlay } from './overlay.js';
import { isMammogram, isUncertainty, services, sourcesOf, viewOf, views } from './viewer.js';

const INSIDE_ALPHA = 64; // chosen, of 255: the tissue below stays visible
const PART_ALPHA = 32; // of a part of the breast, which covers much of the image
const EDGE_ALPHA = 230;
const ROWS_PER_EDGE = 700; // chosen: an edge of one pixel of a full-size image would not be seen on a screen
const LEAST_RADIUS = 0.71; // pixels: half a diagonal, so that every dab marks something

/** Whether lesions can be drawn on what a viewport shows. */
export const canDrawOn = view =>
  Boolean(view?.sopInstanceUid) && isMammogram(view.displaySet) && !isUncertainty(view.displaySet);

/** The OHIF instance that a view shows. */
export const instanceOf = ({ displaySet, sopInstanceUid }) =>
  displaySet.instances.find(({ SOPInstanceUID }) => SOPInstanceUID === sopInstanceUid);

/** An overlay that shows the size of the brush. */
class PenOverlay extends Overlay {
  cursor = document.createElement('div');
}

/** Draws on all viewports with the chosen tool ('outline', 'brush', 'eraser', 'move' or null); dispatches 'tool'. */
export class Pen extends EventTarget {
  #overlays = new Map();
  #stroke = null;
  #listening = new AbortController();
  #unwatch;

  constructor() {
    super();
    this.tool = null;
    this.sizeMm = 5;
    this.isHidden = false;
    const options = { capture: true, signal: this.#listening.signal };
    const listen = (name, handle) => window.addEventListener(name, handle.bind(this), options);
    listen('pointerdown', this.#start);
    listen('pointermove', this.#move);
    listen('pointerup', this.#end);
    listen('pointercancel', this.#end);
    listen('dblclick', this.#swallow); // OHIF would enlarge the viewport
    this.#unwatch = onDrawing(() => this.redraw());
    this.follow();
  }

  /** Choose a tool, or none when it is chosen already. */
  choose(tool) {
    this.tool = this.tool === tool ? null : tool;
    if (this.tool && this.isHidden) this.hide(false);
    this.#overlays.forEach(overlay => this.#dress(overlay));
    this.dispatchEvent(new Event('tool'));
  }

  /** Hide what is drawn, or show it again; a tool shows it, too. */
  hide(isHidden) {
    this.isHidden = isHidden;
    if (isHidden && this.tool) this.choose(null);
    this.redraw();
    this.dispatchEvent(new Event('tool'));
  }

  /** Change the brush's diameter. */
  resize(sizeMm) {
    this.sizeMm = sizeMm;
    this.#overlays.forEach(overlay => (overlay.cursor.hidden = true));
  }

  /** Cover the viewports that there are now. */
  follow() {
    const { cornerstoneViewportService } = services();
    const viewports = views().map(({ viewportId }) => cornerstoneViewportService.getCornerstoneViewport(viewportId));
    const elements = new Map(viewports.filter(Boolean).map(viewport => [viewport.element, viewport]));
    for (const [element, overlay] of this.#overlays) {
      if (elements.get(element) !== overlay.viewport) this.#uncover(element);
    }
    for (const [element, viewport] of elements) {
      if (!this.#overlays.has(element)) this.#overlays.set(element, this.#cover(viewport));
    }
    this.redraw();
  }

  /** Draw every overlay anew. */
  redraw() {
    this.#overlays.forEach(overlay => overlay.redraw());
  }

  /** Leave the viewports as they were. */
  remove() {
    this.#listening.abort();
    this.#unwatch();
    [...this.#overlays.keys()].forEach(element => this.#uncover(element));
  }

  #cover(viewport) {
    const overlay = new PenOverlay(viewport, 'lesions', (...drawn) => this.#draw(...drawn));
    overlay.cursor.className = 'mammosynth-brush';
    overlay.cursor.style.cssText =
      'position: absolute; border: 1px solid #fff; outline: 1px solid #000; border-radius: 50%; ' +
      'transform: translate(-50%, -50%); pointer-events: none;';
    overlay.cursor.hidden = true;
    overlay.element.append(overlay.cursor);
    overlay.canvas.addEventListener('pointerleave', () => (overlay.cursor.hidden = true));
    this.#dress(overlay);
    return overlay;
  }

  #uncover(element) {
    const overlay = this.#overlays.get(element);
    overlay.cursor.remove();
    overlay.remove();
    this.#overlays.delete(element);
  }

  #dress({ canvas, cursor }) {
    canvas.style.pointerEvents = this.tool ? 'auto' : 'none';
    canvas.style.touchAction = 'none';
    canvas.style.cursor = { outline: 'crosshair', move: 'move' }[this.tool] || 'none';
    if (this.tool !== 'brush' && this.tool !== 'eraser') cursor.hidden = true;
  }

  #draw(context, matrix, { viewport }) {
    if (this.isHidden) return;
    const view = viewOf(viewport.id);
    context.setTransform(matrix);
    context.imageSmoothingEnabled = Math.hypot(matrix.a, matrix.b) < 1; // enlarged pixels keep their edges
    for (const drawing of drawingsOn(view)) {
      context.drawImage(paintingOf(drawing), 0, 0);
      if (this.#stroke?.drawing === drawing) this.#drawStroke(context);
    }
  }

  #drawStroke(context) {
    const { drawing, points, ghost, first, last } = this.#stroke;
    if (points) drawPath(context, points, coloursOf(drawing.lesions).get(drawing.active));
    if (ghost) context.drawImage(ghost, Math.round(last.x - first.x), Math.round(last.y - first.y));
  }

  #overlayAt({ target }) {
    return this.tool && [...this.#overlays.values()].find(({ canvas }) => canvas === target);
  }

  #start(event) {
    const overlay = event.button === 0 && event.isPrimary && this.#overlayAt(event);
    const view = overlay && viewOf(overlay.viewport.id);
    if (!canDrawOn(view)) return;
    this.#swallow(event); // also keeps cornerstone's tools from it
    const { viewportGridService } = services();
    if (viewportGridService.getActiveViewportId() !== view.viewportId) {
      viewportGridService.setActiveViewportId(view.viewportId); // this click chooses, the next one draws
      return;
    }
    const drawing = drawingOf(instanceOf(view));
    overlay.canvas.setPointerCapture(event.pointerId);
    const last = overlay.position(event);
    this.#stroke = { overlay, drawing, last };
    if (this.tool === 'outline') this.#stroke.points = [last];
    else if (this.tool === 'move') this.#lift(drawing.lesionAt(last));
    else this.#brush(last);
  }

  /** Begin to move a lesion. */
  #lift(number) {
    const { drawing, last } = this.#stroke;
    if (!number) {
      this.#stroke = null;
      return;
    }
    drawing.active = number;
    Object.assign(this.#stroke, { number, first: last, ghost: ghostOf(drawing, number) });
    this.redraw();
  }

  #move(event) {
    const overlay = this.#stroke?.overlay || this.#overlayAt(event);
    if (!overlay) return;
    this.#showCursor(overlay, event);
    if (!this.#stroke) return;
    this.#swallow(event);
    const events = event.getCoalescedEvents?.() || [];
    for (const one of events.length ? events : [event]) this.#reach(overlay.position(one));
    if (this.#stroke.points || this.#stroke.ghost) overlay.redraw();
  }

  #end(event) {
    if (!this.#stroke) return;
    this.#swallow(event);
    const { drawing, points, number, first, last } = this.#stroke;
    this.#stroke = null;
    if (points) drawing.outline(points);
    else if (number) drawing.move(number, { x: last.x - first.x, y: last.y - first.y });
    else drawing.keep();
    this.redraw();
  }

  #reach(point) {
    if (this.#stroke.points) this.#stroke.points.push(point);
    else if (this.#stroke.ghost) this.#stroke.last = point;
    else this.#brush(point);
  }

  #brush(point) {
    const { drawing, last } = this.#stroke;
    drawing.stroke(last, point, radiusOf(drawing, this.sizeMm), { erase: this.tool === 'eraser' });
    this.#stroke.last = point;
  }

  #showCursor({ cursor, canvas, viewport }, event) {
    if (this.tool !== 'brush' && this.tool !== 'eraser') return;
    const view = viewOf(viewport.id);
    cursor.hidden = !canDrawOn(view);
    if (cursor.hidden) return;
    const { left, top, width } = canvas.getBoundingClientRect();
    const [a, b] = [0, 1].map(x => viewport.worldToCanvas(viewport.getImageData().imageData.indexToWorld([x, 0, 0])));
    const pixel = Math.hypot(b[0] - a[0], b[1] - a[1]);
    const diameter = 2 * radiusOf(drawingOf(instanceOf(view)), this.sizeMm) * pixel;
    Object.assign(cursor.style, {
      left: `${event.clientX - left}px`,
      top: `${event.clientY - top}px`,
      width: `${diameter}px`,
      height: `${diameter}px`,
    });
  }

  #swallow(event) {
    if (event.type === 'dblclick' && !this.#overlayAt(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

/** What is drawn on the image of a view and, where it lies on the same pixels, on its source or on its results. */
export function drawingsOn(view) {
  if (!view) return [];
  const instance = instanceOf(view);
  if (!instance) return [];
  const isAsTheImage = ({ rows, columns, view: name }) =>
    rows === instance.Rows && columns === instance.Columns && name === viewName(instance);
  const others = views().filter(other => areOfOneExposure(view, other));
  const uids = new Set([...sourcesOf(view.displaySet, view.sopInstanceUid), ...others.map(uidOf), view.sopInstanceUid]);
  const drawings = [...uids].map(existingDrawing).filter(Boolean);
  return drawings.filter(isAsTheImage); // another view has other pixels, also in a matrix of the same size
}

const areOfOneExposure = (one, other) =>
  [[one, other], [other, one]].some(([made, source]) =>
    sourcesOf(made.displaySet, made.sopInstanceUid).includes(source.sopInstanceUid)
  );

const uidOf = ({ sopInstanceUid }) => sopInstanceUid;

/** The brush's radius in pixels; without a known spacing a millimetre counts as ten pixels (most detectors' 0.1 mm). */
function radiusOf({ spacing }, sizeMm) {
  const pixelMm = spacing ? (spacing.row + spacing.column) / 2 : 0.1;
  return Math.max(LEAST_RADIUS, sizeMm / 2 / pixelMm);
}

function drawPath(context, points, colour = '#ffffff') {
  const path = new Path2D();
  points.forEach(({ x, y }) => path.lineTo(x, y));
  const { a, b } = context.getTransform();
  context.lineWidth = 2 / Math.hypot(a, b);
  context.strokeStyle = colour;
  context.stroke(path);
}

const paintings = new WeakMap();

/** A canvas of the image's size that shows a drawing, painted anew where it changes. */
function paintingOf(drawing) {
  if (paintings.has(drawing)) return paintings.get(drawing);
  const canvas = Object.assign(document.createElement('canvas'), { width: drawing.columns, height: drawing.rows });
  paintings.set(drawing, canvas);
  const all = { top: 0, left: 0, bottom: drawing.rows, right: drawing.columns };
  const context = canvas.getContext('2d');
  paint(context, drawing, all);
  let lesions = drawing.lesions;
  drawing.addEventListener('change', ({ detail }) => {
    const isRecoloured = drawing.lesions !== lesions; // a class may have changed
    lesions = drawing.lesions;
    if (isRecoloured || detail) paint(context, drawing, isRecoloured ? all : detail);
  });
  return canvas;
}

/** A canvas of the image's size that shows one lesion while it is moved. */
function ghostOf(drawing, number) {
  const { rows, columns, lesions, pixels } = drawing;
  const canvas = Object.assign(document.createElement('canvas'), { width: columns, height: rows });
  const alone = { rows, columns, lesions, pixels: pixels.map(value => (value === number ? value : 0)) };
  paint(canvas.getContext('2d'), alone, drawing.measure(number).touched);
  return canvas;
}

function paint(context, { rows, columns, pixels, lesions }, touched) {
  const colours = coloursOf(lesions);
  const [inside, edge] = [new Uint32Array(256), new Uint32Array(256)];
  for (const { number, isLesion } of lesions) {
    inside[number] = rgbaOf(colours.get(number), isLesion ? INSIDE_ALPHA : PART_ALPHA);
    edge[number] = rgbaOf(colours.get(number), EDGE_ALPHA);
  }
  const reach = Math.max(1, Math.round(rows / ROWS_PER_EDGE));
  const top = Math.max(0, touched.top - reach); // a neighbour's edge may have changed
  const left = Math.max(0, touched.left - reach);
  const width = Math.min(columns, touched.right + reach) - left;
  const height = Math.min(rows, touched.bottom + reach) - top;
  const image = context.createImageData(width, height);
  const rgba = new Uint32Array(image.data.buffer);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const index = (top + row) * columns + left + column;
      const value = pixels[index];
      if (!value) continue;
      const isInside =
        pixels[index - reach] === value && pixels[index + reach] === value &&
        pixels[index - reach * columns] === value && pixels[index + reach * columns] === value;
      rgba[row * width + column] = (isInside ? inside : edge)[value];
    }
  }
  context.putImageData(image, left, top);
}

/** Four bytes in the order of memory. */
function rgbaOf(colour, alpha) {
  const [red, green, blue] = [1, 3, 5].map(start => parseInt(colour.slice(start, start + 2), 16));
  return new Uint32Array(Uint8Array.of(red, green, blue, alpha).buffer)[0];
}
