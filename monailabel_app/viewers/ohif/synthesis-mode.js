// OHIF mode for mammography: the tools of the build's own viewer, our hanging protocols, our panel on the right.

import { keepFitted } from './fit.js';
import { hangOpening, OPENING } from './hanging.js';
import { labelViewports } from './labels.js';
import { refuseLeftStudies } from './left.js';
import { PANEL } from './mammosynth.js';
import { modeOf } from './mode.js';
import { restyle } from './style.js';
import { mammograms, studyUid, syncStudy } from './viewer.js';

const WIDE = 1600; // pixels of the window: in a narrower one the list of series would cost the images too much
const SAID_BY_LABELS = ['cornerstoneOverlayTopLeft', 'cornerstoneOverlayBottomRight']; // of OHIF's own overlay
// OHIF 3.10 cuts what a series is called through its third line.
const WHOLE_DESCRIPTIONS =
  '[data-cy="study-browser-thumbnail"], [data-cy="study-browser-thumbnail"] .mt-3 { height: auto; }';
const TOOLS = ['Zoom', 'Pan', 'WindowLevel', 'MeasurementTools', 'Capture', 'Layout', 'MoreTools'];

/** Load results that OHIF does not know of, since it keeps the first answer about a study, and hang them. */
async function followArchive() {
  const before = mammograms().length;
  await syncStudy(studyUid());
  if (mammograms().length !== before) hangOpening();
}

export default modeOf({
  name: 'synthesis',
  displayName: 'Synthesis',
  isValidMode: ({ modalities }) => ({
    valid: modalities.split('\\').includes('MG'),
    description: 'Synthesis is for mammography (MG) only',
  }),
  panels: () => ({
    leftPanels: ['@ohif/extension-default.panelModule.seriesList'],
    leftPanelClosed: window.innerWidth < WIDE,
    leftPanelResizable: true,
    rightPanels: [PANEL],
  }),
  hangingProtocol: OPENING,
  hidden: SAID_BY_LABELS,
  tools: TOOLS,
  enter: () => [refuseLeftStudies(), keepFitted(), labelViewports(), restyle(WHOLE_DESCRIPTIONS)],
  onSetupRouteComplete: () => {
    followArchive().catch(console.error);
  },
});
