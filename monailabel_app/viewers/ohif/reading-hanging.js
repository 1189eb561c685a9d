// How a case hangs: in rows and columns of the study's protocol.

import { linked } from './links.js';
import { services } from './ohif.js';
import { arranged } from './reading-answers.js';
import { reading } from './reading-now.js';
import { stackOptions } from './viewer.js';

const NUMBER = 'mammosynthReadingImage';

/** What the mode names. */
export const HANGING = 'mammosynth.reading';

// Two of the same, in turn: OHIF 3.10 never makes the active protocol anew, and cases differ in rows and columns.
const TURNS = [HANGING, `${HANGING}.turned`];

/** As OHIF wants it: made when it is applied, as it depends on the case. */
export const hangingModule = () => TURNS.map(name => ({ name, protocol: () => ({ protocol: protocol(name) }) }));

/** Teach OHIF's matching which image of the case a display set is. */
export function addAttribute() {
  services().hangingProtocolService.addCustomAttribute(NUMBER, 'Which image of the case it is', numberOf);
}

/** Hang the case that is read now; its images are loaded. */
export function hangCase() {
  const { hangingProtocolService, displaySetService } = services();
  const StudyInstanceUID = reading.current.study_instance_uid;
  const displaySets = displaySetService.getActiveDisplaySets().filter(set => set.StudyInstanceUID === StudyInstanceUID);
  const study = { StudyInstanceUID, series: [] };
  const next = TURNS.find(name => name !== hangingProtocolService.getActiveProtocol().protocol?.id);
  hangingProtocolService.run({ studies: [study], activeStudy: study, displaySets }, next, {});
}

const numberOf = ({ instances = [] }) => {
  const uids = instances.map(({ SOPInstanceUID }) => SOPInstanceUID);
  return reading.current.images.find(image => uids.includes(image.sop_instance_uid))?.number ?? 0;
};

function protocol(id) {
  const { images, hanging } = reading.current;
  const hung = arranged(images, hanging);
  const name = `reading-${hanging.rows}x${hanging.columns}`;
  const viewports = Array.from({ length: hanging.rows * hanging.columns }, (_, index) =>
    viewport(hung[index], `${name}-${index}`)
  );
  return {
    id,
    name: 'Reading',
    locked: true,
    toolGroupIds: ['default'],
    numberOfPriorsReferenced: 0,
    protocolMatchingRules: [], // chosen by the mode
    displaySetSelectors: Object.fromEntries(images.map(({ number }) => [`image ${number}`, selector(number)])),
    stages: [{ name: 'only', viewportStructure: { layoutType: 'grid', properties: hanging }, viewports }],
  };
}

const selector = number => ({
  seriesMatchingRules: [{ weight: 10, attribute: NUMBER, constraint: { equals: { value: number } }, required: true }],
});

/** Windowed alike, moved apart. OHIF keeps those of the same names for the next case: canvases are slow to make. */
const viewport = (image, viewportId) => ({
  viewportOptions: { ...stackOptions(linked('case', { moves: false })), viewportId },
  displaySets: image ? [{ id: `image ${image.number}` }] : [],
});
