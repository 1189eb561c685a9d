// How an image lies in its viewport: at first whole, its chest wall at the viewport's edge, right breasts on the left;
// then moved, enlarged, turned and mirrored from there.
//
// OHIF gives a viewport the camera that it, or its image, had in an earlier layout, and centres the image on every
// reset and resize (3.10), so each of these is mended here.

import { cornerstone, services, viewportOf } from './ohif.js';
import { conventionalEdge, isMirrored } from './orientation.js';
import { imageToCanvas } from './overlay.js';

const fits = new WeakMap(); // viewport -> {camera, imageId, isFlipped, box, width, height, place}
const watched = new WeakSet(); // elements of viewports

/** Whether an image lies in its viewport as it was put here, or was moved since by a tool. */
export function isFitted(viewport) {
  const fit = viewport && fits.get(viewport);
  return Boolean(fit) && fit.camera === viewport.initialCamera && fit.imageId === viewport.getCurrentImageId();
}

/** Show the whole image, its chest wall at the edge, and forget how it was moved before. */
export function fit(viewport) {
  const imageId = viewport?.getCurrentImageId?.();
  const image = imageId && cornerstone().cornerstone.metaData.get('instance', imageId);
  if (image?.Modality !== 'MG' || !imageToCanvas(viewport)) return;
  fits.delete(viewport);
  viewport.resetCamera();
  const isFlipped = isMirrored(image);
  if (isFlipped) viewport.setCamera({ flipHorizontal: true });
  const { clientWidth: width, clientHeight: height } = viewport.getCanvas();
  const centred = boxOf(viewport);
  viewport.setZoom(Math.min(width / centred.width, height / centred.height), true);
  const whole = boxOf(viewport);
  const shift = { left: -whole.left, right: width - whole.right }[conventionalEdge(image)] ?? 0;
  viewport.setPan([shift, 0], true);
  fits.set(viewport, { camera: viewport.initialCamera, imageId, isFlipped, box: whole, width, height });
  viewport.setCamera({}); // says that it was modified, to those that are linked
  viewport.render();
}

/** Where the image was moved since it was fitted: {zoom, pan in widths of the image, mirrored, upended, rotation}. */
export function placeOf(viewport) {
  const { box, isFlipped } = fits.get(viewport);
  const { flipHorizontal, flipVertical } = viewport.getCamera();
  return {
    zoom: viewport.getZoom(),
    pan: viewport.getPan().map(pixels => pixels / box.width),
    mirrored: flipHorizontal !== isFlipped,
    upended: flipVertical,
    rotation: viewport.getRotation(),
  };
}

/** Move an image as `placeOf` says of another; without `turns` it is neither mirrored nor rotated. */
export function place(viewport, { zoom, pan, mirrored, upended, rotation }, { turns = true } = {}) {
  const { box, isFlipped } = fits.get(viewport);
  if (turns) {
    viewport.setCamera({ flipHorizontal: mirrored !== isFlipped, flipVertical: upended });
    if (viewport.getRotation() !== rotation) viewport.setRotation(rotation);
  }
  viewport.setZoom(zoom);
  viewport.setPan(pan.map(share => share * box.width));
  viewport.render();
}

/** Fit every mammogram that OHIF shows from now on; returns what ends it. */
export function keepFitted() {
  const { cornerstoneViewportService: service } = services();
  const { unsubscribe } = service.subscribe(service.EVENTS.VIEWPORT_DATA_CHANGED, ({ viewportId }) => {
    const viewport = viewportOf(viewportId);
    fit(viewport);
    if (viewport) watch(viewport.element);
  });
  return unsubscribe;
}

function watch(element) {
  if (watched.has(element)) return;
  watched.add(element);
  const { CAMERA_MODIFIED, IMAGE_RENDERED } = cornerstone().cornerstone.Enums.Events;
  const shown = ({ detail }) => viewportOf(detail.viewportId);
  // Once a reset or resize is through, and before it is drawn.
  element.addEventListener(CAMERA_MODIFIED, event => queueMicrotask(() => mend(shown(event))));
  element.addEventListener(IMAGE_RENDERED, event => {
    mend(shown(event));
    remember(shown(event));
  });
}

/** Fit again what was reset, resized or scrolled to another image; what was only resized stays where it was moved. */
function mend(viewport) {
  const before = viewport && fits.get(viewport);
  if (!before || isFitted(viewport)) return;
  const { clientWidth, clientHeight } = viewport.getCanvas();
  const isResized = clientWidth !== before.width || clientHeight !== before.height;
  fit(viewport);
  const isSame = isFitted(viewport) && before.imageId === viewport.getCurrentImageId();
  if (!isResized || !isSame || !before.place) return;
  fits.get(viewport).place = before.place; // OHIF resizes twice
  place(viewport, before.place);
}

function remember(viewport) {
  if (isFitted(viewport)) fits.get(viewport).place = placeOf(viewport);
}

/** Where the image is in the viewport, in its pixels on the screen. */
function boxOf(viewport) {
  const [columns, rows] = viewport.getImageData().imageData.getDimensions();
  const matrix = imageToCanvas(viewport);
  const scale = window.devicePixelRatio || 1;
  const corners = [new DOMPoint(0, 0), new DOMPoint(columns, rows)].map(corner => matrix.transformPoint(corner));
  const [xs, ys] = [corners.map(({ x }) => x / scale), corners.map(({ y }) => y / scale)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  return { left, right, width: right - left, height: Math.abs(ys[0] - ys[1]) };
}
