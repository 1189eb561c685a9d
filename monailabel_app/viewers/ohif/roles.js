// What each mammogram of a study may be hung as: a view that was acquired, the newest result of a view, half of a pair.

import { sideOf, viewPositionOf } from './orientation.js';
import {
  activeView,
  createdAt,
  isMammogram,
  isSynthesized,
  isUncertainty,
  mammograms,
  pair,
  sourceOf,
  sourcesOf,
} from './viewer.js';

/** The places of a screening exam: right breasts on the left, CC above MLO. */
export const SCREENING = ['RCC', 'LCC', 'RMLO', 'LMLO'];

let asked = {}; // {source, synthesized, single}: what was active when a layout was chosen, {displaySet, sopInstanceUid}

/** Let the next layout show what is active now. */
export function keepActive() {
  const view = activeView();
  asked = { ...pair(), single: isMammogram(view?.displaySet) ? view : null };
}

/** Side and view of an image in one word, such as RMLO. */
export const nameOf = instance => sideOf(instance) + viewPositionOf(instance);

/** The views of a screening exam that were acquired, in the order of the grid. */
export const acquiredViews = () => SCREENING.filter(view => acquired().some(shows(view)));

/** The views that were synthesized from another view, in the same order. */
export const otherViews = () => SCREENING.filter(newestOther);

/** What a display set may be hung as. */
export function rolesOf(displaySet) {
  if (!isMammogram(displaySet) || !displaySet.instances?.length) return [];
  const halves = Object.entries(toHang()).filter(([, image]) => image?.displaySet === displaySet);
  const views = displaySet.instances.map(nameOf);
  const roles = isSynthesized(displaySet)
    ? views.flatMap(view => [
        ...(newest(view) === displaySet ? [`newest ${view}`] : []),
        ...(newestOther(view) === displaySet ? [`other ${view}`] : []),
      ])
    : views.map(view => `acquired ${view}`);
  return [...halves.map(([role]) => role), ...roles];
}

/** Which image of a display set to show in a role. */
export function indexIn(displaySet, role) {
  const [, view] = role.split(' ');
  const uid = toHang()[role]?.sopInstanceUid;
  const isMeant = instance => (view ? nameOf(instance) === view : instance.SOPInstanceUID === uid);
  return Math.max(0, displaySet.instances.findIndex(isMeant));
}

/** How a study opens: 'pairs' if each view has a result, else the newest 'pair', the 'views', or a 'single' image. */
export function opening() {
  const views = acquiredViews();
  if (views.length > 1 && views.every(newest)) return 'pairs';
  if (results().some(sourceOf)) return 'pair';
  return views.length > 1 ? 'views' : 'single';
}

/** The images that the address names, else those that were active, else the newest result with its source. */
function toHang() {
  const isLoaded = image => mammograms().includes(image?.displaySet);
  const named = namedSeries();
  const isNamed = ({ SeriesInstanceUID }) => named.includes(SeriesInstanceUID);
  const first = displaySet => displaySet && { displaySet, sopInstanceUid: displaySet.instances[0].SOPInstanceUID };
  const alone = results().filter(set => !sourceOf(set));
  const singles = [...acquired(), ...alone];
  const single = isLoaded(asked.single) ? asked.single : first(singles.find(isNamed) || singles[0]);
  if (isLoaded(asked.synthesized) && isLoaded(asked.source)) return { ...asked, single };
  const synthesized = first(results().find(isNamed) || results().filter(sourceOf).sort(byAge)[0]);
  return { source: (synthesized && imageBefore(synthesized)) || single, synthesized, single };
}

/** Series that the address names, as ours do or by OHIF's own filter; OHIF reads names in any case. */
const namedSeries = () =>
  [...new URLSearchParams(location.search)]
    .filter(([name]) => ['initialseriesinstanceuid', 'seriesinstanceuids', 'seriesinstanceuid'].includes(name.toLowerCase()))
    .flatMap(([, value]) => value.split(','));

/** The image that a result was made from, as {displaySet, sopInstanceUid}. */
function imageBefore({ displaySet, sopInstanceUid }) {
  const source = sourceOf(displaySet);
  const uids = sourcesOf(displaySet, sopInstanceUid);
  const image = source?.instances.find(({ SOPInstanceUID }) => uids.includes(SOPInstanceUID));
  return image && { displaySet: source, sopInstanceUid: image.SOPInstanceUID };
}

const acquired = () => mammograms().filter(set => !isSynthesized(set) && set.instances?.length);

const results = () => mammograms().filter(set => isSynthesized(set) && !isUncertainty(set) && set.instances?.length);

const shows = view => displaySet => displaySet.instances.some(instance => nameOf(instance) === view);

const byAge = (a, b) => createdAt(b).localeCompare(createdAt(a));

/** The newest result of a view that was made from that view; an MLO that was made from a CC is none. */
const newest = view => newestOf(view, source => !source || nameOf(source) === view);

/** The newest result that shows a view, and was made from another one. */
const newestOther = view => newestOf(view, source => source && nameOf(source) !== view);

const newestOf = (view, isWanted) =>
  results().filter(set => set.instances.some(image => nameOf(image) === view && isWanted(sourceIn(set, image)))).sort(byAge)[0];

/** The acquired image that an image of a result was made from; undefined if it is not loaded. */
function sourceIn(set, { SOPInstanceUID }) {
  const uids = sourcesOf(set, SOPInstanceUID);
  return acquired().flatMap(({ instances }) => instances).find(image => uids.includes(image.SOPInstanceUID));
}
