// OHIF mode for mammography: the tools of the build's own viewer, our hanging protocols, our panel on the right.

import { keepFitted } from './fit.js';
import { hangOpening, OPENING } from './hanging.js';
import { labelViewports } from './labels.js';
import { PANEL } from './mammosynth.js';
import { mammograms, studyUid, syncStudy } from './viewer.js';

const STACK = '@ohif/extension-default.sopClassHandlerModule.stack';
const WIDE = 1600; // pixels of the window: in a narrower one the list of series would cost the images too much
const SAID_BY_LABELS = ['cornerstoneOverlayTopLeft', 'cornerstoneOverlayBottomRight']; // of OHIF's own overlay
const TOOLS = ['Zoom', 'Pan', 'WindowLevel', 'MeasurementTools', 'Capture', 'Layout', 'MoreTools'];

// Made anew each time: OHIF takes the panels out of what it is given.
const layout = () => ({
  id: '@ohif/extension-default.layoutTemplateModule.viewerLayout',
  props: {
    leftPanels: ['@ohif/extension-default.panelModule.seriesList'],
    leftPanelClosed: window.innerWidth < WIDE,
    leftPanelResizable: true,
    rightPanels: [PANEL],
    rightPanelClosed: false,
    rightPanelResizable: true,
    viewports: [
      { namespace: '@ohif/extension-cornerstone.viewportModule.cornerstone', displaySetsToDisplay: [STACK] },
    ],
  },
});

/** Load results that OHIF does not know of, since it keeps the first answer about a study, and hang them. */
async function followArchive() {
  const before = mammograms().length;
  await syncStudy(studyUid());
  if (mammograms().length !== before) hangOpening();
}

export default {
  id: 'mammosynth.synthesis',
  extensionDependencies: {},
  async modeFactory({ loadModules }) {
    const [longitudinal] = await loadModules(['@ohif/mode-longitudinal']);
    const base = await longitudinal.modeFactory({ modeConfiguration: {}, loadModules });
    let ends = [];
    return {
      ...base,
      id: 'mammosynth.synthesis',
      routeName: 'synthesis',
      displayName: 'Synthesis',
      isValidMode: ({ modalities }) => ({
        valid: modalities.split('\\').includes('MG'),
        description: 'Synthesis is for mammography (MG) only',
      }),
      routes: [{ path: 'synthesis', layoutTemplate: layout }],
      hangingProtocol: OPENING,
      sopClassHandlers: [STACK],
      onModeEnter(given) {
        base.onModeEnter.call(this, given);
        ends = [keepFitted(), labelViewports()];
        const { customizationService, toolbarService } = given.servicesManager.services;
        customizationService.addModeCustomizations(SAID_BY_LABELS.map(id => ({ id, items: [] })));
        toolbarService.clearButtonSection('primary');
        toolbarService.createButtonSection('primary', TOOLS);
      },
      onModeExit(given) {
        ends.forEach(end => end());
        base.onModeExit.call(this, given);
      },
      onSetupRouteComplete() {
        followArchive().catch(console.error);
      },
    };
  },
};
