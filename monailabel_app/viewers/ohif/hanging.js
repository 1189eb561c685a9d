// Hanging protocols for mammography: a pair, the four views, and each view beside what was synthesized from it.
//
// OHIF's own `hpMammo` (3.10) leaves R MLO empty and waits for ever for an image without View Code Sequence, so what
// an image shows is worked out here, from its tags, and offered to OHIF's matching as attributes.

import { chestWallEdge, isMirrored, sideOf, viewPositionOf } from './orientation.js';
import {
  createdAt,
  isMammogram,
  isSynthesized,
  isUncertainty,
  mammograms,
  pair as shownPair,
  services,
  sourceOf,
  stackOptions,
} from './viewer.js';

const ROLE = 'mammosynthRole';
const SCREENING = ['RCC', 'LCC', 'RMLO', 'LMLO'];

const selector = role => ({
  seriesMatchingRules: [{ weight: 10, attribute: ROLE, constraint: { contains: role }, required: true }],
});
const computed = (custom, view, defaultValue) => ({ custom, view, defaultValue });

/** A viewport for one role; `view` picks the image of a series that shows it, and puts its chest wall to the edge. */
const viewport = (role, { view, link }) => ({
  viewportOptions: {
    ...stackOptions(link),
    flipHorizontal: computed('mammosynthMirrored', view, false),
    ...(view && {
      displayArea: computed('mammosynthDisplayArea', view, null),
      initialImageOptions: computed('mammosynthImage', view, null),
    }),
  },
  displaySets: [{ id: role }],
});

const stage = (name, rows, viewports) => ({
  name,
  viewportStructure: { layoutType: 'grid', properties: { rows, columns: viewports.length / rows } },
  viewports,
});

const protocol = (id, name, stages) => ({
  id,
  name,
  locked: true,
  toolGroupIds: ['default'],
  numberOfPriorsReferenced: 0,
  protocolMatchingRules: [], // chosen by mode, address or panel, never by OHIF itself
  displaySetSelectors: Object.fromEntries(
    stages.flatMap(({ viewports }) => viewports.map(({ displaySets: [{ id: role }] }) => [role, selector(role)]))
  ),
  stages,
});

/** Offered in the panel, in this order. */
export const protocols = [
  protocol('mammosynth.pair', 'Source and synthesized image', [
    stage('side by side', 1, ['source', 'synthesized'].map(role => viewport(role, { link: 'pair' }))),
  ]),
  protocol('mammosynth.screening', 'Four views, acquired', [
    stage('four views', 2, SCREENING.map(view => viewport(`acquired ${view}`, { view, link: 'screening' }))),
    stage('one image', 1, [viewport('acquired', { link: 'screening' })]),
  ]),
  protocol('mammosynth.current-synthesized', 'Four views, each beside its synthesized image', [
    stage(
      'four pairs',
      2,
      SCREENING.flatMap(view =>
        ['acquired', 'newest'].map(made => viewport(`${made} ${view}`, { view, link: `current-${view}` }))
      )
    ),
  ]),
];

/** Teach OHIF's matching what our protocols ask for. */
export function addAttributes() {
  const { hangingProtocolService: hanging } = services();
  hanging.addCustomAttribute(ROLE, 'What a mammogram is for MammoSynth', rolesOf);
  // OHIF calls these with the options that name them as `this`.
  hanging.addCustomAttribute('mammosynthMirrored', 'Stored against the convention', function (displaySets) {
    const image = imageOf(displaySets, this.view);
    return image && isMirrored(image);
  });
  hanging.addCustomAttribute('mammosynthDisplayArea', 'Chest wall at the edge', function (displaySets) {
    const image = imageOf(displaySets, this.view);
    return image ? displayArea(image) : undefined;
  });
  hanging.addCustomAttribute('mammosynthImage', 'Which image of a series shows a view', function ([displaySet]) {
    const index = displaySet?.instances.findIndex(instance => nameOf(instance) === this.view);
    return index > 0 ? { index } : undefined;
  });
}

/** Hang the loaded images by one of our protocols; a pair is that of the active viewport where it shows one. */
export function hang(protocolId) {
  const { hangingProtocolService: hanging, displaySetService } = services();
  const { activeStudy } = hanging.getActiveProtocol();
  const displaySets = displaySetService.getActiveDisplaySets();
  const shown = protocolId === 'mammosynth.pair' && shownPair();
  const chosen = role => [`${activeStudy.StudyInstanceUID}:${role}:0`, shown[role].displaySet.displaySetInstanceUID];
  const displaySetSelectorMap = shown ? Object.fromEntries(['source', 'synthesized'].map(chosen)) : {};
  hanging.run({ studies: hanging.studies, activeStudy, displaySets }, protocolId, { displaySetSelectorMap });
}

/** Where the four views find nothing to hang (no exam of known views), hang the first image. */
export function hangAtLeastOne() {
  const { hangingProtocolService: hanging } = services();
  const { protocol: active, viewportMatchDetails } = hanging.getActiveProtocol();
  const isFilled = ({ displaySetsInfo: [first] }) => Boolean(first?.displaySetInstanceUID);
  const matched = [...viewportMatchDetails.values()].some(isFilled);
  if (active?.id === 'mammosynth.screening' && !matched) hanging.setProtocol(active.id, { stageIndex: 1 });
}

/** The protocol that the screen follows; '' if it was arranged otherwise. */
export function activeProtocol() {
  const { hangingProtocolService: hanging, viewportGridService } = services();
  const id = viewportGridService.getState().isHangingProtocolLayout && hanging.getActiveProtocol().protocol?.id;
  return protocols.some(known => known.id === id) ? id : '';
}

const nameOf = instance => sideOf(instance) + viewPositionOf(instance);

const imageOf = ([displaySet], view) =>
  view ? displaySet?.instances.find(instance => nameOf(instance) === view) : displaySet?.instances[0];

/** What a display set may be hung as. */
function rolesOf(displaySet) {
  if (!isMammogram(displaySet) || !displaySet.instances?.length) return [];
  const views = displaySet.instances.map(nameOf);
  const { source, synthesized } = pairToHang();
  const roles = displaySet === source ? ['source'] : displaySet === synthesized ? ['synthesized'] : [];
  if (!isSynthesized(displaySet)) return [...roles, 'acquired', ...views.map(view => `acquired ${view}`)];
  return [...roles, ...views.filter(view => newest(view) === displaySet).map(view => `newest ${view}`)];
}

const results = () => mammograms().filter(set => isSynthesized(set) && !isUncertainty(set));

const byAge = (a, b) => createdAt(b).localeCompare(createdAt(a));

const newest = view => results().filter(({ instances }) => instances.some(i => nameOf(i) === view)).sort(byAge)[0];

/** The series that the address names, else the newest synthesized one with its source, else the first acquired one. */
function pairToHang() {
  const named = (new URLSearchParams(location.search).get('initialSeriesInstanceUID') || '').split(',');
  const isNamed = ({ SeriesInstanceUID }) => named.includes(SeriesInstanceUID);
  const synthesized = results().find(isNamed) || results().sort(byAge)[0];
  const acquired = mammograms().filter(set => !isSynthesized(set));
  return { source: (synthesized && sourceOf(synthesized)) || acquired.find(isNamed) || acquired[0], synthesized };
}

/** The whole image, its chest wall at the edge of the viewport; OHIF mirrors after it has placed the image. */
function displayArea(image) {
  const x = { left: 0, right: 1 }[chestWallEdge(image)] ?? 0.5;
  const point = [x, 0.5];
  return { storeAsInitialCamera: true, imageArea: [1, 1], imageCanvasPoint: { imagePoint: point, canvasPoint: point } };
}
