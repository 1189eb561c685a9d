// The synthesis that runs; kept apart from the panel, which OHIF takes down whenever it is folded away.

import { synthesize } from './server.js';
import { displaySetsOf, forget, loadSeries, showBeside, studyUid } from './viewer.js';

const changes = new EventTarget();
let controller = null;
let state = { running: false, progress: 0, message: '', error: '' };

/** {running, progress 0-1, message, error} of the last synthesis. */
export const generationState = () => state;

/** Call back with every new state; returns what ends it. */
export function onGeneration(callback) {
  const listener = () => callback(state);
  changes.addEventListener('change', listener);
  return () => changes.removeEventListener('change', listener);
}

/** Synthesize an image and hang the result beside it, if its study is still open then. Never throws. */
export async function generate(task, { displaySet, sopInstanceUid }, parameters) {
  controller = new AbortController();
  set({ running: true, progress: 0, message: 'Sending the request', error: '' });
  try {
    const order = { task, source: displaySet, sopInstanceUid, parameters };
    const result = await synthesize(order, ({ progress, message }) => set({ progress, message }), controller.signal);
    set({ progress: 1, message: 'Loading the result' });
    await show(displaySet, sopInstanceUid, result);
    set({ running: false, message: 'Done: the result hangs beside its source.' });
  } catch (error) {
    const cancelled = error.name === 'AbortError';
    set({ running: false, message: cancelled ? 'Cancelled.' : '', error: cancelled ? '' : error.message });
  }
}

/** Stop the running synthesis on the server. */
export function cancelGeneration() {
  set({ message: 'Cancelling' });
  controller?.abort();
}

/** Forget what the last synthesis said. */
export const clearGeneration = () => state.running || set({ progress: 0, message: '', error: '' });

async function show(source, sopInstanceUid, { series_instance_uid, sop_instance_uids, uncertainty }) {
  const study = source.StudyInstanceUID;
  if (studyUid() !== study) return; // what was made is loaded when the study is entered again
  const made = [{ series_instance_uid, sop_instance_uids }, uncertainty].filter(Boolean);
  const holds = (set, images) => set.instances.some(({ SOPInstanceUID }) => images.includes(SOPInstanceUID));
  for (const { series_instance_uid: uid, sop_instance_uids: images } of made) {
    const loaded = displaySetsOf(uid);
    if (!loaded.some(set => holds(set, images))) forget(loaded); // a series grows with each view: load it again
  }
  const sets = await loadSeries(study, made.map(series => series.series_instance_uid));
  const synthesized = sets.find(set => holds(set, sop_instance_uids));
  await showBeside(source, [synthesized], sopInstanceUid);
}

function set(changed) {
  state = { ...state, ...changed };
  changes.dispatchEvent(new Event('change'));
}
