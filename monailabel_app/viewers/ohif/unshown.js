// Why an image is not there, in words: cornerstone leaves its viewport black.

import { cornerstone } from './ohif.js';
import { send } from './server.js';
import { views } from './viewer.js';

/** How what is said of an image that cannot be shown begins. */
export const UNSHOWN = 'This image cannot be shown.';

const NOT_HANDLED = 'unhandledrejection';
const reasons = new Map(); // by imageId
const explanations = new Map(); // promises of imageId, by the error that cornerstone leaves to nobody
const changes = new EventTarget();

globalThis.addEventListener?.(NOT_HANDLED, sayOnce); // while modes are loaded: before OHIF listens

/** Keep what goes wrong with images from now on; returns what ends it. */
export function watchImages() {
  const { eventTarget, Enums } = cornerstone().cornerstone;
  const { IMAGE_LOAD_FAILED, IMAGE_LOADED } = Enums.Events;
  const failed = ({ detail: { error, imageId } }) => explanations.set(error, explain(imageId));
  const loaded = ({ detail }) => reasons.delete(detail.image.imageId) && changed();
  eventTarget.addEventListener(IMAGE_LOAD_FAILED, failed);
  eventTarget.addEventListener(IMAGE_LOADED, loaded);
  return () => {
    eventTarget.removeEventListener(IMAGE_LOAD_FAILED, failed);
    eventTarget.removeEventListener(IMAGE_LOADED, loaded);
    reasons.clear();
    explanations.clear();
  };
}

/** What is said of an image that cannot be shown; '' of others. */
export function unshownBecause(sopInstanceUid) {
  const id = [...reasons.keys()].find(each => isOf(each, sopInstanceUid));
  return id ? `${UNSHOWN} ${reasons.get(id)}` : '';
}

/** Call back whenever that has changed; returns what ends it. */
export function onUnshown(callback) {
  changes.addEventListener('change', callback);
  return () => changes.removeEventListener('change', callback);
}

/**
 * Of an error that nobody handles OHIF says that something went wrong (3.10, ErrorBoundary); an image that hangs says
 * itself why it is not there. Any other error is left to OHIF.
 */
async function sayOnce(event) {
  const { promise, reason } = event;
  const explanation = explanations.get(reason);
  if (!explanation) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const imageId = await explanation;
  if (views().some(({ sopInstanceUid }) => isOf(imageId, sopInstanceUid))) return;
  explanations.delete(reason);
  window.dispatchEvent(new PromiseRejectionEvent(NOT_HANDLED, { promise, reason, cancelable: true }));
}

/** Cornerstone keeps no words of the server, so it is asked once more; resolves to the imageId. */
async function explain(imageId) {
  const decoded = 'The browser could not decode it; whoever runs the archive can store it in another transfer syntax.';
  const reason = await send(imageId.replace(/^wado[a-z]*:/, '')).then(() => decoded, ({ message }) => message);
  reasons.set(imageId, reason);
  changed();
  return imageId;
}

const isOf = (imageId, sopInstanceUid) => imageId.includes(`/instances/${sopInstanceUid}/`);

const changed = () => changes.dispatchEvent(new Event('change'));
