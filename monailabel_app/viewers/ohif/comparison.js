// A synthesized image over its source, through the source's own camera: mixed, subtracted, or beside a divider.

import { imageToCanvas, Overlay } from './overlay.js';
import { cornerstone } from './ohif.js';

const NEUTRAL = [64, 64, 64]; // chosen: dark enough to read beside a mammogram, and told from black
const LOWER = [77, 166, 255];
const HIGHER = [255, 140, 26]; // blue and orange stay apart for colour-blind readers

/** The colours of a difference, from the lowest over none to the highest, as CSS. */
export const DIFFERENCE_COLOURS = [LOWER, NEUTRAL, HIGHER].map(rgb => `rgb(${rgb})`);

/** Draws over the source's viewport; `settings`: mode, opacity and position (0 to 1), range (grey levels). */
export class Comparison {
  constructor(source, synthesized, settings) {
    this.synthesized = synthesized;
    this.settings = settings;
    this.overlay = new Overlay(source, 'comparison', (...drawn) => this.#draw(...drawn), { underAnnotations: true });
    this.event = cornerstone().cornerstone.Enums.Events.IMAGE_RENDERED;
    synthesized.element.addEventListener(this.event, this.overlay.redraw);
  }

  /** Change how it is shown. */
  set(settings) {
    Object.assign(this.settings, settings);
    this.overlay.redraw();
  }

  remove() {
    this.synthesized.element.removeEventListener(this.event, this.overlay.redraw);
    this.overlay.remove();
  }

  #draw(context, toSource, { viewport, canvas }) {
    const { mode, opacity, position } = this.settings;
    const fromSynthesized = imageToCanvas(this.synthesized);
    if (!fromSynthesized || mode === 'side') return;
    const place = between(sized(viewport, toSource), sized(this.synthesized, fromSynthesized));
    if (mode === 'difference') {
      this.#drawDifference(context, viewport.getCanvas(), place, sized(viewport, toSource));
      return;
    }
    context.save();
    context.beginPath();
    context.rect(0, 0, mode === 'swipe' ? Math.round(position * canvas.width) : canvas.width, canvas.height);
    context.clip();
    context.globalAlpha = mode === 'overlay' ? opacity : 1;
    context.setTransform(place);
    context.drawImage(this.synthesized.getCanvas(), 0, 0);
    context.restore();
  }

  #drawDifference(context, shown, place, image) {
    const { width, height } = context.canvas;
    const source = greyLevels(shown, new DOMMatrix(), width, height);
    const synthesized = greyLevels(this.synthesized.getCanvas(), place, width, height);
    const colours = coloursOf(this.settings.range);
    const words = new Uint32Array(synthesized.data.buffer);
    for (let index = 0; index < words.length; index++) {
      words[index] = colours[255 + synthesized.data[4 * index] - source.data[4 * index]];
    }
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext('2d').putImageData(synthesized, 0, 0);
    context.save();
    context.setTransform(image); // beside the image there is nothing to compare
    context.beginPath();
    context.rect(0, 0, 1, 1);
    context.clip();
    context.resetTransform();
    context.drawImage(canvas, 0, 0);
    context.restore();
  }
}

/** The matrix for positions of 0 to 1 across the image, as two images may differ in pixels. */
function sized(viewport, matrix) {
  const [columns, rows] = viewport.getImageData().imageData.getDimensions();
  return matrix.scale(columns, rows);
}

/** From one canvas to the other; exactly none where both show the same part, so that nothing is interpolated. */
function between(toSource, toSynthesized) {
  const matrix = toSource.multiply(toSynthesized.inverse());
  const isSame = [matrix.a - 1, matrix.b, matrix.c, matrix.d - 1].every(value => Math.abs(value) < 1e-4);
  return isSame && Math.hypot(matrix.e, matrix.f) < 0.05 ? new DOMMatrix() : matrix;
}

function greyLevels(canvas, matrix, width, height) {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.setTransform(matrix);
  context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/** The colour of each difference from -255 to 255, as four bytes in the order of memory. */
function coloursOf(range) {
  return Uint32Array.from({ length: 511 }, (_, index) => {
    const share = Math.max(-1, Math.min(1, (index - 255) / range));
    const end = share < 0 ? LOWER : HIGHER;
    const rgb = NEUTRAL.map((value, channel) => Math.round(value + Math.abs(share) * (end[channel] - value)));
    return new Uint32Array(Uint8Array.of(...rgb, 255).buffer)[0];
  });
}
