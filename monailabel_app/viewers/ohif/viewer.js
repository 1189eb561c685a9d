// What the panels need of OHIF: what is on the screen, series that appear without a page reload, linked viewports.

import { extensionManager, services } from './ohif.js';
import { viewName } from './orientation.js';

export { cornerstone, services } from './ohif.js';

const APPEARS_WITHIN_MS = 30000;
const SEGMENTATION = '1.2.840.10008.5.1.4.1.1.66.4'; // SOP class of DICOM SEG, PS3.4 B.5

/** Whether a display set is a mammogram, acquired or synthesized. */
export const isMammogram = displaySet => displaySet?.Modality === 'MG';

/** Whether this software made it; what a phantom's simulated device acquired is a source, as in the server. */
export const isSynthesized = ({ SeriesDescription }) => /^SYNTHETIC(?! PHANTOM)/i.test(SeriesDescription || '');

/** Whether it shows the uncertainty of a synthesized image. */
export const isUncertainty = displaySet =>
  isSynthesized(displaySet) && / uncertainty\b/.test(displaySet.SeriesDescription);

/** SOP Instance UIDs of the images that a display set, or one image of it, was synthesized from. */
export const sourcesOf = ({ instances }, sopInstanceUid) =>
  list(instances)
    .filter(({ SOPInstanceUID }) => !sopInstanceUid || SOPInstanceUID === sopInstanceUid)
    .flatMap(sourceUids);

/** Whether an image is among what it was made from, and not only a label map, or numbers. */
export const isMadeFromImage = ({ instances }) =>
  list(instances)
    .flatMap(({ SourceImageSequence }) => list(SourceImageSequence))
    .some(({ ReferencedSOPClassUID }) => ReferencedSOPClassUID !== SEGMENTATION);

/** The image of a display set with that SOP Instance UID, or that was synthesized from it. */
export const madeFrom = ({ instances }, sopInstanceUid) =>
  instances.find(image => image.SOPInstanceUID === sopInstanceUid || sourceUids(image).includes(sopInstanceUid));

/** When it was made, as text that sorts by time; '' if its header does not say it. */
export const createdAt = ({ instances }) =>
  `${instances?.[0]?.InstanceCreationDate ?? ''}${instances?.[0]?.InstanceCreationTime ?? ''}`;

/** What to call an image in words: its view, then its series. */
export function describe({ displaySet, sopInstanceUid }) {
  const image = displaySet.instances.find(({ SOPInstanceUID }) => SOPInstanceUID === sopInstanceUid);
  const series = displaySet.SeriesDescription || 'series without description';
  return `${viewName(image || displaySet.instances[0])}, ${series}`;
}

/** The studies that the address opens. */
export const openStudies = () =>
  new URLSearchParams(location.search).getAll('StudyInstanceUIDs').flatMap(uids => uids.split(','));

/** The study that is looked at: that of the active viewport, else the first one of the address. */
export const studyUid = () => activeView()?.displaySet.StudyInstanceUID || openStudies()[0];

/** Acquired and synthesized mammograms that are loaded. */
export const mammograms = () => services().displaySetService.getActiveDisplaySets().filter(isMammogram);

/** What a viewport shows: {viewportId, displaySet, sopInstanceUid, imageId}; null if nothing. */
export function viewOf(viewportId) {
  const { viewportGridService, displaySetService, cornerstoneViewportService } = services();
  const [uid] = viewportGridService.getDisplaySetsUIDsForViewport(viewportId) || [];
  const displaySet = uid && displaySetService.getDisplaySetByUID(uid);
  if (!displaySet) return null;
  const shown = cornerstoneViewportService.getCornerstoneViewport(viewportId)?.getCurrentImageId?.();
  const instances = displaySet.instances || [];
  const instance = instances.find(({ imageId }) => imageId === shown) || instances[0];
  return { viewportId, displaySet, sopInstanceUid: instance?.SOPInstanceUID, imageId: instance?.imageId };
}

/** What the active viewport shows, as `viewOf`. */
export const activeView = () => viewOf(services().viewportGridService.getActiveViewportId());

/** What every viewport shows, in the order of the grid; empty ones are left out. */
export const views = () => [...services().viewportGridService.getState().viewports.keys()].map(viewOf).filter(Boolean);

/** A source and what was synthesized from it, as they hang; the pair of the active viewport first. Null if none. */
export function pair() {
  const { activeViewportId } = services().viewportGridService.getState();
  const shown = views().filter(({ displaySet }) => isMammogram(displaySet));
  const pairs = shown
    .filter(({ displaySet }) => isSynthesized(displaySet) && !isUncertainty(displaySet))
    .map(synthesized => {
      const uids = sourcesOf(synthesized.displaySet, synthesized.sopInstanceUid);
      const source = shown.find(view => !isSynthesized(view.displaySet) && uids.includes(view.sopInstanceUid));
      return source && { source, synthesized };
    })
    .filter(Boolean);
  const isActive = ({ source, synthesized }) => [source, synthesized].some(v => v.viewportId === activeViewportId);
  return pairs.find(isActive) || pairs[0] || null;
}

/**
 * Load series of a study that the viewer does not have yet, without a page reload; resolves to their display sets, none
 * if the study is left meanwhile. OHIF makes one display set of each mammogram, so a series may have several.
 */
export async function loadSeries(studyUid, seriesUids) {
  const missing = seriesUids.filter(uid => !displaySetsOf(uid).length);
  if (missing.length) await retrieve(studyUid, missing);
  return (await Promise.all(seriesUids.map(uid => appeared(studyUid, uid)))).flat();
}

/** Load mammograms that are new in the archive, and forget synthesized ones that it no longer has. */
export async function syncStudy(studyUid) {
  const before = synthesizedOf(studyUid);
  const uids = await archivedSeries(studyUid);
  forget(before.filter(set => !uids.includes(set.SeriesInstanceUID)));
  return loadSeries(studyUid, uids);
}

/** Forget synthesized images that are not `listed` (Series Instance UIDs) and not in the archive; resolves to them. */
export async function forgetDeleted(studyUid, listed) {
  const unlisted = synthesizedOf(studyUid).filter(set => !listed.includes(set.SeriesInstanceUID));
  if (!unlisted.length) return [];
  const uids = await archivedSeries(studyUid); // a list leaves out what is damaged, or another software's
  const deleted = synthesizedOf(studyUid).filter(
    set => unlisted.includes(set) && !uids.includes(set.SeriesInstanceUID)
  );
  forget(deleted);
  return deleted;
}

/** The display sets of a series, as far as they are loaded. */
export const displaySetsOf = seriesUid =>
  mammograms().filter(({ SeriesInstanceUID }) => SeriesInstanceUID === seriesUid);

/** Take display sets out of the viewer; where one was shown, its source (or nothing) is shown instead. */
export function forget(displaySets) {
  const { viewportGridService, displaySetService } = services();
  for (const displaySet of displaySets) {
    const uid = displaySet.displaySetInstanceUID;
    const source = sourceOf(displaySet);
    const displaySetInstanceUIDs = source ? [source.displaySetInstanceUID] : [];
    const shownIn = views().filter(view => view.displaySet === displaySet);
    viewportGridService.setDisplaySetsForViewports(
      shownIn.map(({ viewportId }) => ({ viewportId, displaySetInstanceUIDs }))
    );
    displaySetService.deleteDisplaySet(uid);
  }
}

/** The acquired display set that another was synthesized from; undefined if it is not loaded. */
export function sourceOf(displaySet) {
  const uids = sourcesOf(displaySet);
  return mammograms().find(
    set => !isSynthesized(set) && set.instances?.some(({ SOPInstanceUID }) => uids.includes(SOPInstanceUID))
  );
}

/** Options of a stack viewport with these sync groups. */
export const stackOptions = syncGroups => ({
  viewportType: 'stack',
  toolGroupId: 'default',
  allowUnmatchedView: true,
  syncGroups,
});

/** Call back when the active viewport, the grid or the loaded series change; returns what ends it. */
export function onChange(callback) {
  const { viewportGridService, displaySetService, cornerstoneViewportService } = services();
  const subscribe = (service, names) => names.map(name => service.subscribe(service.EVENTS[name], () => callback()));
  const subscriptions = [
    ...subscribe(viewportGridService, ['ACTIVE_VIEWPORT_ID_CHANGED', 'GRID_STATE_CHANGED', 'LAYOUT_CHANGED']),
    ...subscribe(displaySetService, ['DISPLAY_SETS_ADDED', 'DISPLAY_SETS_REMOVED', 'DISPLAY_SETS_CHANGED']),
    ...subscribe(cornerstoneViewportService, ['VIEWPORT_DATA_CHANGED']),
  ];
  return () => subscriptions.forEach(subscription => subscription.unsubscribe());
}

const synthesizedOf = studyUid =>
  mammograms().filter(set => set.StudyInstanceUID === studyUid && isSynthesized(set));

/** Series Instance UIDs of the mammograms of a study that the archive has now. */
async function archivedSeries(studyUid) {
  const found = await extensionManager().getActiveDataSource()[0].query.series.search(studyUid);
  return found.filter(({ modality }) => modality === 'MG').map(({ seriesInstanceUid }) => seriesInstanceUid);
}

const list = value => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]);

const sourceUids = ({ SourceImageSequence }) =>
  list(SourceImageSequence).map(({ ReferencedSOPInstanceUID }) => ReferencedSOPInstanceUID);

/**
 * Load series of a study through a throw-away data source: OHIF keeps the first answer about a study for ever, by the
 * source's name.
 */
export async function retrieve(StudyInstanceUID, seriesInstanceUID) {
  const manager = extensionManager();
  const active = manager.activeDataSourceName || manager.activeDataSource;
  const definition = manager.dataSourceDefs[active];
  const sourceName = `${active}-${crypto.randomUUID()}`;
  const configuration = { ...definition.configuration, name: sourceName };
  manager.addDataSource({ ...definition, sourceName, configuration }, { activate: false });
  try {
    const [source] = manager.getDataSources(sourceName);
    await source.initialize({ params: {}, query: new URLSearchParams() });
    const filters = { seriesInstanceUID };
    await source.retrieve.series.metadata({ StudyInstanceUID, filters, madeInClient: false, returnPromises: false });
  } finally {
    delete manager.dataSourceMap[sourceName];
    delete manager.dataSourceDefs[sourceName];
  }
}

/** Resolves to the display sets of a series as soon as OHIF has made them; to none once its study is left. */
async function appeared(study, seriesUid) {
  const isLeft = () => !openStudies().includes(study) && !mammograms().some(set => set.StudyInstanceUID === study);
  const made = () => (displaySetsOf(seriesUid).length || isLeft() ? displaySetsOf(seriesUid) : null);
  const found = await answer(made, APPEARS_WITHIN_MS);
  if (!found) throw new Error('The series is in the archive, but the viewer does not show it; reload the page.');
  return found;
}

/** Resolves to the first answer that is not null, asked again whenever the viewer changes; null if none in time. */
export function answer(question, withinMs) {
  return new Promise(resolve => {
    const end = found => {
      clearTimeout(late);
      stop();
      resolve(found);
    };
    const ask = () => {
      const found = question();
      if (found !== null) end(found);
    };
    const late = setTimeout(() => end(null), withinMs);
    const stop = onChange(ask);
    ask();
  });
}
