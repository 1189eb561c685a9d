// How an image is looked at, for the keyboard: the active viewport zoomed, moved, windowed; all of them as they were.

import { fit } from './fit.js';
import { services, viewportOf } from './ohif.js';
import { activeView, views } from './viewer.js';

const [ZOOM, STEP, SHARE] = [1.15, 40, 0.08]; // of a key: factor, pixels of the screen, part of the window's width

/** Enlarge (1) or reduce (-1). */
export const zoom = direction => change(viewport => viewport.setZoom(viewport.getZoom() * ZOOM ** direction));

/** Move the image. */
export const pan = (right, down) =>
  change(viewport => {
    const [x, y] = viewport.getPan();
    viewport.setPan([x + right * STEP, y + down * STEP]);
  });

/** Brighter (1) or darker (-1), more (1) or less (-1) contrast. */
export const changeWindow = ({ brightness = 0, contrast = 0 }) =>
  change(viewport => {
    const { lower, upper } = viewport.getProperties().voiRange;
    const width = upper - lower;
    const [shift, narrow] = [brightness * SHARE * width, (contrast * SHARE * width) / 2];
    viewport.setProperties({ voiRange: { lower: lower - shift + narrow, upper: upper - shift - narrow } });
  });

/** Show every image whole, in its own window. */
export function resetImages() {
  for (const { viewportId } of views()) {
    const viewport = viewportOf(viewportId);
    viewport.resetProperties();
    fit(viewport);
    viewport.render();
  }
}

/** Make the next image the active one. */
export function activateNext() {
  const { viewportGridService } = services();
  const ids = views().map(({ viewportId }) => viewportId);
  const next = ids[(ids.indexOf(viewportGridService.getActiveViewportId()) + 1) % ids.length];
  if (next) viewportGridService.setActiveViewportId(next);
}

function change(act) {
  const view = activeView();
  const viewport = view && viewportOf(view.viewportId);
  if (!viewport?.getImageData?.()) return;
  act(viewport);
  viewport.render();
}
