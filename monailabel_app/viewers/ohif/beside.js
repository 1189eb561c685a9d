// Images beside each other in one row, linked: a source, what was made from it and, on request, its uncertainty.

import { fit } from './fit.js';
import { linked } from './links.js';
import { services, viewportOf } from './ohif.js';
import { answer, createdAt, isUncertainty, madeFrom, mammograms, pair, stackOptions, viewOf, views } from './viewer.js';

const HANGS_WITHIN_MS = 30000;

let withUncertainty = false; // as it was last asked for

/**
 * Hang a source and others side by side; of series with several images, that image. Resolves to whether they really
 * hang: they do not if the layout was changed meanwhile, or an image cannot be shown.
 */
export async function showBeside(source, others, sopInstanceUid = source.instances[0].SOPInstanceUID) {
  const uncertainty = withUncertainty && others.length === 1 && uncertaintyOf(others[0], sopInstanceUid);
  const hung = [source, ...others, uncertainty].filter(Boolean).map((set, position) => ({
    set,
    viewportId: `mammosynth-${position}`,
    index: Math.max(0, set.instances.indexOf(madeFrom(set, sopInstanceUid))),
  }));
  await services().viewportGridService.setLayout({
    numRows: 1,
    numCols: hung.length,
    layoutOptions: [],
    findOrCreateViewport: position => viewport(hung[position]),
  });
  const hangs = await answer(hanging(hung), HANGS_WITHIN_MS);
  if (hangs) hung.forEach(({ viewportId }) => fit(viewportOf(viewportId)));
  return Boolean(hangs);
}

/** The map that was made with the result of an image; undefined if there is none. */
export function uncertaintyOf(result, sopInstanceUid) {
  const moment = set => createdAt({ instances: [madeFrom(set, sopInstanceUid)] });
  const maps = mammograms().filter(set => isUncertainty(set) && madeFrom(set, sopInstanceUid));
  return isUncertainty(result) ? undefined : maps.find(set => moment(set) === moment(result));
}

/** Of the pair that hangs: whether a map 'exists' and whether it 'isShown'. */
export function uncertaintyOfPair() {
  const { source, synthesized } = pair() || {};
  const map = source && uncertaintyOf(synthesized.displaySet, source.sopInstanceUid);
  return { exists: Boolean(map), isShown: Boolean(map) && views().some(({ displaySet }) => displaySet === map) };
}

/** Hang the uncertainty beside the pair, also of those that are shown after it; or take it away. */
export async function toggleUncertainty() {
  const { source, synthesized } = pair() || {};
  const { exists, isShown } = uncertaintyOfPair();
  if (!exists) return;
  withUncertainty = !isShown;
  await showBeside(source.displaySet, [synthesized.displaySet], source.sopInstanceUid);
}

/** A map has grey values of its own, which do not go with those of images. */
const viewport = ({ set, viewportId, index }) => ({
  displaySetInstanceUIDs: [set.displaySetInstanceUID],
  displaySetOptions: [{}],
  viewportOptions: {
    ...stackOptions(linked('beside', { windows: !isUncertainty(set) })),
    viewportId,
    initialImageOptions: { index },
  },
});

/** Asks whether display sets hang in their viewports: null as long as they may yet do so. */
function hanging(hung) {
  let wereThere = false;
  const isShown = ({ viewportId, set }) =>
    viewOf(viewportId)?.displaySet === set && Boolean(viewportOf(viewportId)?.getImageData?.());
  return () => {
    const { viewports } = services().viewportGridService.getState();
    const areThere = hung.every(({ viewportId }) => viewports.has(viewportId));
    if (wereThere && !areThere) return false;
    wereThere = areThere;
    return (areThere && hung.every(isShown)) || null;
  };
}
