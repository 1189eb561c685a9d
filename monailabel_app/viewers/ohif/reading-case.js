// The images of a case: loaded, hung, drawn, and those of the next one fetched before it is asked for.
//
// Cases change within the mode: leaving and entering it, as OHIF does for another study, takes longer than drawing them.

import { cornerstone, services, viewportOf } from './ohif.js';
import { isFitted } from './fit.js';
import { hangCase } from './reading-hanging.js';
import { nameInAddress, reading } from './reading-now.js';
import { answer, mammograms, retrieve, views } from './viewer.js';

const APPEARS_WITHIN_MS = 30000;
const LOOKS_EACH_MS = 10;

/** The browser's mark of when a case was left; what it measures from there to the next one drawn is `NEXT_CASE`. */
export const LEFT = 'mammosynth: case left';
const NEXT_CASE = 'mammosynth: next case';

/** Show the case that is read now; resolves once every image is drawn. */
export async function showCase() {
  nameInAddress();
  await load(reading.current.study_instance_uid, reading.current.images.map(seriesOf));
  if (!isShown()) hangCase();
  await drawn();
  if (performance.getEntriesByName(LEFT).length) performance.measure(NEXT_CASE, LEFT);
}

/** Resolves once every image of the case is drawn. */
export async function drawn() {
  const { RENDERED } = cornerstone().cornerstone.Enums.ViewportStatus;
  const isDrawn = viewport => isFitted(viewport) && viewport.viewportStatus === RENDERED;
  const until = Date.now() + APPEARS_WITHIN_MS;
  while (!isShown() || !shownViewports().every(isDrawn)) {
    if (Date.now() > until) throw new Error('The images of this case could not be shown; try again.');
    await new Promise(resolve => setTimeout(resolve, LOOKS_EACH_MS));
  }
}

/** Fetch the images of the next case into memory, unseen; what fails is fetched when it is needed. */
export async function fetchAhead() {
  const { ahead } = reading.current;
  if (!ahead) return;
  const { cornerstone: core } = cornerstone();
  const sets = await load(ahead.study_instance_uid, ahead.frames.map(seriesIn));
  const imageIds = sets.flatMap(({ instances }) => instances.map(({ imageId }) => imageId));
  await Promise.all(imageIds.map(imageId => core.imageLoader.loadAndCacheImage(imageId)));
}

let before = ''; // Study Instance UID of the case that was shown before

/** Take out of memory what neither this case needs, nor the next one, nor the one before it, to which a way leads back. */
export function forgetOthers() {
  const { study_instance_uid, ahead } = reading.current;
  const needed = [study_instance_uid, ahead?.study_instance_uid, before];
  before = study_instance_uid;
  const { cache } = cornerstone().cornerstone;
  for (const { StudyInstanceUID, instances } of mammograms()) {
    if (needed.includes(StudyInstanceUID)) continue;
    for (const { imageId } of instances) if (cache.getImageLoadObject(imageId)) cache.removeImageLoadObject(imageId);
  }
}

const seriesOf = ({ series_instance_uid }) => series_instance_uid;

const seriesIn = address => /\/series\/([\d.]+)\//.exec(address)[1];

const shownViewports = () => views().map(({ viewportId }) => viewportOf(viewportId));

/** Whether the viewports show the case that is read now. */
function isShown() {
  const shown = views().map(({ sopInstanceUid }) => sopInstanceUid);
  const wanted = reading.current.images.map(({ sop_instance_uid }) => sop_instance_uid);
  return shown.length === wanted.length && wanted.every(uid => shown.includes(uid));
}

/** Load the series of a case, if they are not loaded; resolves to their display sets. */
async function load(studyUid, seriesUids) {
  const known = () => mammograms().filter(set => set.StudyInstanceUID === studyUid);
  const isComplete = () => seriesUids.every(uid => known().some(set => set.SeriesInstanceUID === uid));
  if (!isComplete()) await retrieve(studyUid, seriesUids);
  if (!(await answer(() => isComplete() || null, APPEARS_WITHIN_MS))) {
    throw new Error('The images of this case could not be loaded; try again.');
  }
  return known();
}
