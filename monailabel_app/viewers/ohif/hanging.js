// Hanging protocols for mammography: one image, a pair, the views, each view beside what was synthesized from it, and
// views that were synthesized from others in their own places.
//
// OHIF's own `hpMammo` (3.10) leaves R MLO empty and waits for ever for an image without View Code Sequence, so what
// an image shows is worked out from its tags (roles.js), and offered to OHIF's matching as an attribute.

import { linked } from './links.js';
import { services } from './ohif.js';
import { acquiredViews, indexIn, keepActive, opening, otherViews, rolesOf, SCREENING } from './roles.js';
import { stackOptions } from './viewer.js';

const ROLE = 'mammosynthRole';
const INDEX = 'mammosynthImage';

/** Hangs a study by what it holds; what a mode names. */
export const OPENING = 'mammosynth.opening';

/** Hangs what was made of each view beside it. */
export const FOUR_PAIRS = 'mammosynth.current-synthesized';

/** Hangs views that were made from others where a screening exam has them. */
export const OTHER_VIEWS = 'mammosynth.other-views';

/** Offered in the panel, in this order. */
export const protocols = [
  { id: 'mammosynth.pair', name: 'Source and synthesized image', hang: () => grid(1, pairOf('source', 'synthesized')) },
  {
    id: 'mammosynth.screening',
    name: 'Four views, acquired',
    hang: () => byView(view => [viewport(`acquired ${view}`, 'views', { turns: false })]),
  },
  {
    id: FOUR_PAIRS,
    name: 'Four views with their results',
    hang: () => byView(view => pairOf(`acquired ${view}`, `newest ${view}`)),
  },
  { id: OTHER_VIEWS, name: 'Synthesized views in their places', hang: byPlace },
  { id: 'mammosynth.single', name: 'One image', hang: () => grid(1, [viewport('single', 'single')]) },
];

const OPENS_BY = {
  pair: 'mammosynth.pair',
  views: 'mammosynth.screening',
  pairs: FOUR_PAIRS,
  single: 'mammosynth.single',
};

/** As OHIF wants them: made when they are applied, as they depend on what is loaded. */
export const protocolModule = () => [
  ...protocols.map(({ id }) => ({ name: id, protocol: () => ({ protocol: protocolOf(id) }) })),
  { name: OPENING, protocol: () => ({ protocol: protocolOf(OPENS_BY[opening()]) }) },
];

/** Teach OHIF's matching what our protocols ask for. */
export function addAttributes() {
  const { hangingProtocolService: hanging } = services();
  hanging.addCustomAttribute(ROLE, 'What a mammogram is for MammoSynth', rolesOf);
  // OHIF calls it with the options that name it as `this`.
  hanging.addCustomAttribute(INDEX, 'Which image of a series to show', function ([displaySet]) {
    return displaySet && { index: indexIn(displaySet, this.role) };
  });
}

/** Hang the loaded images by one of our protocols; a pair or one image is what is active, where there is one. */
export function hang(protocolId) {
  keepActive();
  run(protocolId);
}

/** Hang the study as it would open now, by its address or what it holds, unless it was arranged otherwise since. */
export function hangOpening() {
  const isAsked = new URLSearchParams(location.search).has('hangingprotocolId');
  const active = activeProtocol();
  if (active) run(isAsked ? active : OPENS_BY[opening()]);
}

/** The protocol that the screen follows; '' if it was arranged otherwise. */
export function activeProtocol() {
  const { hangingProtocolService: hanging, viewportGridService } = services();
  const id = viewportGridService.getState().isHangingProtocolLayout && hanging.getActiveProtocol().protocol?.id;
  return protocols.some(known => known.id === id) ? id : '';
}

function run(protocolId) {
  const { hangingProtocolService: hanging, displaySetService } = services();
  const { activeStudy } = hanging.getActiveProtocol();
  const displaySets = displaySetService.getActiveDisplaySets();
  hanging.run({ studies: hanging.studies, activeStudy, displaySets }, protocolId, {});
}

function protocolOf(id) {
  const { name, hang: stageOf } = protocols.find(known => known.id === id);
  const stage = stageOf();
  return {
    id,
    name,
    locked: true,
    toolGroupIds: ['default'],
    numberOfPriorsReferenced: 0,
    protocolMatchingRules: [], // chosen by mode, address or panel, never by OHIF itself
    displaySetSelectors: Object.fromEntries(
      stage.viewports.map(({ displaySets: [{ id: role }] }) => [role, selector(role)])
    ),
    stages: [stage],
  };
}

const selector = role => ({
  seriesMatchingRules: [{ weight: 10, attribute: ROLE, constraint: { contains: role }, required: true }],
});

/** One or two views in a row, more of them in the places of a screening exam. */
function byView(viewportsOf) {
  const views = acquiredViews();
  const isFew = views.length === 1 || views.length === 2;
  return grid(isFew ? 1 : 2, (isFew ? views : SCREENING).flatMap(viewportsOf));
}

/** Each view where a screening exam has it: acquired, synthesized from the other view, or both side by side. */
function byPlace() {
  const [acquired, others] = [acquiredViews(), otherViews()];
  const rows = ['CC', 'MLO'].filter(name => [...acquired, ...others].some(view => view.slice(1) === name));
  const places = rows.flatMap((name, row) =>
    ['R', 'L'].flatMap((side, column) => {
      const view = side + name;
      const roles = [acquired.includes(view) && `acquired ${view}`, others.includes(view) && `other ${view}`].filter(Boolean);
      const hung = roles.length ? roles : [`acquired ${view}`]; // an empty place, as nobody has that view
      const width = 1 / 2 / hung.length;
      const at = { y: row / rows.length, width, height: 1 / rows.length };
      return hung.map((role, index) => ({ role, view, at: { ...at, x: column / 2 + index * width } }));
    })
  );
  const stage = grid(rows.length, places.map(({ role, view }) => viewport(role, `acquired-${view}`)));
  const layoutOptions = places.map(({ at }) => at);
  Object.assign(stage.viewportStructure.properties, { columns: 4, layoutOptions });
  return stage;
}

const grid = (rows, viewports) => ({
  name: 'only',
  viewportStructure: { layoutType: 'grid', properties: { rows, columns: viewports.length / rows } },
  viewports,
});

const pairOf = (source, synthesized) => [source, synthesized].map(role => viewport(role, source));

/** A viewport for one role, linked with others by a name. */
const viewport = (role, link, options) => ({
  viewportOptions: {
    ...stackOptions(linked(link.replace(' ', '-'), options)),
    initialImageOptions: { custom: INDEX, role, defaultValue: null },
  },
  displaySets: [{ id: role }],
});
