// The synthesis that runs; kept apart from the panel, which OHIF takes down whenever it is folded away.

import { showBeside } from './beside.js';
import { FOUR_PAIRS, hang, OTHER_VIEWS } from './hanging.js';
import { viewName } from './orientation.js';
import { refreshSegmentations } from './segmentations.js';
import { readable } from './sentences.js';
import { synthesize } from './server.js';
import { drawStored } from './stored.js';
import { describe, displaySetsOf, forget, loadSeries, mammograms, studyUid, views } from './viewer.js';

const [HANGS_WITHIN_MS, POLL_MS] = [5000, 100];
const NOTHING = { running: false, progress: 0, message: '', error: '', refused: [], link: '', remarks: [], study: '', series: [], inputs: {} };

const changes = new EventTarget();
let controller = null;
let state = NOTHING;

/**
 * {running, progress 0-1, message, error, refused: sentences, link: address of a new study, remarks of `study` on what
 * was drawn: {source_sop_instance_uid, role, sentence}, series: UIDs of what was made, inputs: references by role} of
 * the last synthesis.
 */
export const generationState = () => state;

/** Call back with every new state; returns what ends it. */
export function onGeneration(callback) {
  const listener = () => callback(state);
  changes.addEventListener('change', listener);
  return () => changes.removeEventListener('change', listener);
}

/** Run an order ({model, inputs, parameters}) of a study and hang what it gives, if the study is still open then. */
export async function generate(order, study) {
  controller = new AbortController();
  set({ ...NOTHING, running: true, message: 'Sending the request' });
  try {
    const result = await synthesize(order, ({ progress, message }) => set({ progress, message }), controller.signal);
    const refused = result.refused.map(each => readable(each, nameOf));
    const series = result.outputs.map(output => output.series_instance_uid);
    set({ progress: 1, message: 'Loading the result', refused, remarks: result.remarks ?? [], study, series, inputs: order.inputs });
    set({ ...(await show(result, study)), running: false });
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
export const clearGeneration = () => state.running || set(NOTHING);

/** Forget it if one of these series was its result: they were deleted. */
export const clearGenerationOf = series => series.some(uid => state.series.includes(uid)) && clearGeneration();

/** Show a result; resolves to what to say of it. */
async function show({ outputs, viewer_url }, study) {
  const here = outputs.filter(output => output.study_instance_uid === study);
  if (!here.length) return { message: 'Done: the result is a study of its own.', link: viewer_url };
  const left = { message: 'Done: the result is in its study.' };
  if (studyUid() !== study) return left;
  const images = here.filter(({ modality }) => modality === 'MG');
  const displaySets = await load(images, study);
  if (studyUid() !== study) return left;
  const results = images.filter(({ role }) => role !== 'uncertainty').map(image => ({ ...image, displaySets }));
  const hung = results.length > 1 ? await hangPairs(results) : await hangBeside(results[0]);
  await drawLabels(here.filter(({ modality }) => modality === 'SEG'), study);
  const places = results.some(isOtherView) ? 'in their places' : 'beside their sources';
  return { message: doneText(results.length, hung, places) };
}

/** Load the series of images; a series that grew since it was loaded is loaded again. */
async function load(images, study) {
  const isLoaded = ({ series_instance_uid, sop_instance_uid }) =>
    displaySetsOf(series_instance_uid).some(set => holds(set, sop_instance_uid));
  forget(images.filter(image => !isLoaded(image)).flatMap(image => displaySetsOf(image.series_instance_uid)));
  return loadSeries(study, [...new Set(images.map(image => image.series_instance_uid))]);
}

async function hangBeside(result) {
  const source = result && holding(mammograms(), result.source_sop_instance_uid);
  if (!source) return false;
  const synthesized = holding(result.displaySets, result.sop_instance_uid);
  return showBeside(source, [synthesized], result.source_sop_instance_uid);
}

/** Hang every result beside the acquired image of its view; whether all of them are on the screen then. */
async function hangPairs(results) {
  hang(results.some(isOtherView) ? OTHER_VIEWS : FOUR_PAIRS);
  const areShown = uids => uids.every(uid => views().some(({ sopInstanceUid }) => sopInstanceUid === uid));
  const wanted = results.flatMap(result => [result.sop_instance_uid, result.source_sop_instance_uid]);
  const until = Date.now() + HANGS_WITHIN_MS;
  while (!areShown(wanted) && Date.now() < until) await new Promise(resolve => setTimeout(resolve, POLL_MS));
  return areShown(wanted);
}

/** Draw label maps that were made on their images; of several on one, the first, as an image shows one at a time. */
async function drawLabels(labels, study) {
  if (!labels.length) return;
  const uids = labels.map(({ sop_instance_uid }) => sop_instance_uid);
  const stored = await refreshSegmentations(study);
  const made = uids.map(uid => stored.find(each => each.sop_instance_uid === uid)).filter(Boolean);
  const first = new Map(made.toReversed().map(each => [each.source_sop_instance_uid, each]));
  for (const segmentation of first.values()) await drawStored(study, segmentation);
}

/** Whether a result shows another view than the image that it was made from. */
function isOtherView({ sop_instance_uid, source_sop_instance_uid }) {
  const images = mammograms().flatMap(({ instances }) => instances);
  const [made, source] = [sop_instance_uid, source_sop_instance_uid].map(uid =>
    images.find(({ SOPInstanceUID }) => SOPInstanceUID === uid)
  );
  return Boolean(made && source) && viewName(made) !== viewName(source);
}

function doneText(count, hung, places) {
  if (!count) return 'Done.';
  if (count === 1) {
    return hung
      ? 'Done: the result hangs beside its source.'
      : 'Done: the result is in the study; show it from the history below.';
  }
  return hung
    ? `Done: ${count} results hang ${places}.`
    : `Done: ${count} results are in the study; show them from the history below.`;
}

const holds = ({ instances }, uid) => instances.some(({ SOPInstanceUID }) => SOPInstanceUID === uid);

const holding = (displaySets, uid) => displaySets.find(set => set.instances && holds(set, uid));

/** What an image that is loaded is called; '' for others. */
export function nameOf(sopInstanceUid) {
  const displaySet = holding(mammograms(), sopInstanceUid);
  return displaySet ? describe({ displaySet, sopInstanceUid }) : '';
}

function set(changed) {
  state = { ...state, ...changed };
  changes.dispatchEvent(new Event('change'));
}
