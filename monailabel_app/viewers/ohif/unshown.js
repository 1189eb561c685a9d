// Why an image is not there, in words: cornerstone leaves its viewport black.

import { cornerstone } from './ohif.js';
import { send } from './server.js';

/** How what is said of an image that cannot be shown begins. */
export const UNSHOWN = 'This image cannot be shown.';

const reasons = new Map(); // by imageId
const changes = new EventTarget();

/** Keep what goes wrong with images from now on; returns what ends it. */
export function watchImages() {
  const { eventTarget, Enums } = cornerstone().cornerstone;
  const { IMAGE_LOAD_FAILED, IMAGE_LOADED } = Enums.Events;
  const failed = ({ detail }) => explain(detail.imageId);
  const loaded = ({ detail }) => reasons.delete(detail.image.imageId) && changed();
  eventTarget.addEventListener(IMAGE_LOAD_FAILED, failed);
  eventTarget.addEventListener(IMAGE_LOADED, loaded);
  return () => {
    eventTarget.removeEventListener(IMAGE_LOAD_FAILED, failed);
    eventTarget.removeEventListener(IMAGE_LOADED, loaded);
    reasons.clear();
  };
}

/** What is said of an image that cannot be shown; '' of others. */
export function unshownBecause(sopInstanceUid) {
  const id = [...reasons.keys()].find(each => each.includes(`/instances/${sopInstanceUid}/`));
  return id ? `${UNSHOWN} ${reasons.get(id)}` : '';
}

/** Call back whenever that has changed; returns what ends it. */
export function onUnshown(callback) {
  changes.addEventListener('change', callback);
  return () => changes.removeEventListener('change', callback);
}

/** Cornerstone keeps no words of the server, so it is asked once more. */
async function explain(imageId) {
  const decoded = 'The browser could not decode it; whoever runs the archive can store it in another transfer syntax.';
  const reason = await send(imageId.replace(/^wado[a-z]*:/, '')).then(() => decoded, ({ message }) => message);
  reasons.set(imageId, reason);
  changed();
}

const changed = () => changes.dispatchEvent(new Event('change'));
