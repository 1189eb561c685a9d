// Viewports that go together: moved, turned and windowed alike. A link waits until both images lie in their viewports.

import { isFitted, place, placeOf } from './fit.js';
import { cornerstone, services } from './ohif.js';

const CAMERA = 'mammosynthcamera';
const WINDOW = 'mammosynthwindow';

/** Teach OHIF our links. */
export function addLinks() {
  const { syncGroupService } = services();
  syncGroupService.addSynchronizerType(CAMERA, createCameraLink);
  syncGroupService.addSynchronizerType(WINDOW, createWindowLink);
}

/** Sync groups of a viewport, by a name of the link: `moves` and `turns` (mirrored and rotated), `windows` alike. */
export const linked = (name, { moves = true, turns = true, windows = true } = {}) => [
  ...(moves
    ? [{ type: CAMERA, id: `mammosynth-camera-${name}`, source: true, target: true, options: { turns } }]
    : []),
  ...(windows ? [{ type: WINDOW, id: `mammosynth-window-${name}`, source: true, target: true }] : []),
];

/** Moved alike from where each was fitted, so that images may differ in pixels, and viewports in size. */
function createCameraLink(id) {
  return createLink(id, 'CAMERA_MODIFIED', (source, target, { options }) => place(target, placeOf(source), options));
}

/** Windows move together in proportion to each image's own default window, as their values may differ in range. */
function createWindowLink(id) {
  return createLink(id, 'VOI_MODIFIED', (source, target, { detail: { range, invert, invertStateChanged } }) => {
    const [a, b] = [defaultWindow(source), defaultWindow(target)];
    if (!range || !a || !b) return;
    // Beside an image whose high values are dark, the other's low values play their part.
    const { lower, upper } = a.inverse === b.inverse ? range : mirrored(range, a);
    const map = value => b.lower + ((value - a.lower) / (a.upper - a.lower)) * (b.upper - b.lower);
    target.setProperties({
      voiRange: { lower: map(lower), upper: map(upper) },
      ...(invertStateChanged && { invert }),
    });
    target.render();
  });
}

function createLink(id, event, follow) {
  const { cornerstone: core, cornerstoneTools: tools } = cornerstone();
  const viewport = ({ renderingEngineId, viewportId }) =>
    core.getRenderingEngine(renderingEngineId)?.getViewport(viewportId);
  return tools.SynchronizerManager.createSynchronizer(id, core.Enums.Events[event], (link, from, to, { detail }) => {
    const [source, target] = [viewport(from), viewport(to)];
    if (!isFitted(source) || !isFitted(target)) return;
    follow(source, target, { detail, options: link.getOptions(to.viewportId) });
  });
}

const mirrored = ({ lower, upper }, within) => ({
  lower: within.lower + within.upper - upper,
  upper: within.lower + within.upper - lower,
});

/** The window that a header asks for, else the whole range; whether high values are dark. Null before it is loaded. */
function defaultWindow(viewport) {
  const { cornerstone: core } = cornerstone();
  const imageId = viewport.getCurrentImageId();
  const inverse = core.metaData.get('imagePixelModule', imageId)?.photometricInterpretation === 'MONOCHROME1';
  const { windowCenter, windowWidth } = core.metaData.get('voiLutModule', imageId) || {};
  const [center, width] = [windowCenter, windowWidth].map(value => Number([value].flat()[0]));
  if (width > 0) return { lower: center - width / 2, upper: center + width / 2, inverse };
  const image = core.cache.getImage(imageId);
  return image ? { lower: image.minPixelValue, upper: image.maxPixelValue, inverse } : null;
}
