// Canvases laid over OHIF's viewports, drawn anew whenever the viewport is.

import { cornerstone } from './ohif.js';

/**
 * From pixels of the image (outer corner at 0, 0) to those of the viewport's canvas; null before it is loaded or once
 * it is gone.
 */
export function imageToCanvas(viewport) {
  if (viewport.isDisabled) return null;
  const image = viewport.getImageData?.()?.imageData;
  if (!image) return null;
  const [columns, rows] = image.getDimensions();
  const at = (x, y) => viewport.worldToCanvas(image.indexToWorld([x - 0.5, y - 0.5, 0])); // indices are at centres
  const [origin, right, below] = [at(0, 0), at(columns, 0), at(0, rows)];
  const scale = window.devicePixelRatio || 1;
  return new DOMMatrix([
    ...[0, 1].map(axis => (scale * (right[axis] - origin[axis])) / columns),
    ...[0, 1].map(axis => (scale * (below[axis] - origin[axis])) / rows),
    ...[0, 1].map(axis => scale * origin[axis]),
  ]);
}

/** A canvas over a viewport, under or over its annotations; `draw(context, imageToCanvas, overlay)` fills it. */
export class Overlay {
  constructor(viewport, name, draw, { underAnnotations = false } = {}) {
    this.viewport = viewport;
    this.element = viewport.element;
    this.draw = draw;
    this.canvas = document.createElement('canvas');
    this.canvas.className = `mammosynth-${name}`;
    this.canvas.style.cssText = 'position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none;';
    if (underAnnotations) viewport.getCanvas().after(this.canvas);
    else this.element.append(this.canvas);
    this.redraw = this.redraw.bind(this);
    this.event = cornerstone().cornerstone.Enums.Events.IMAGE_RENDERED;
    this.element.addEventListener(this.event, this.redraw);
    this.redraw();
  }

  /** Draw now, as the viewport shows its image. */
  redraw() {
    const { width, height } = this.viewport.getCanvas();
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext('2d');
    context.resetTransform();
    context.clearRect(0, 0, width, height);
    const matrix = imageToCanvas(this.viewport);
    if (matrix) this.draw(context, matrix, this);
  }

  /** Where on the image an event of the mouse or pen is, in pixels of the image. */
  position({ clientX, clientY }) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / width;
    const point = new DOMPoint((clientX - left) * scale, (clientY - top) * scale);
    return imageToCanvas(this.viewport).inverse().transformPoint(point);
  }

  /** Take it away. */
  remove() {
    this.element.removeEventListener(this.event, this.redraw);
    this.canvas.remove();
  }
}
