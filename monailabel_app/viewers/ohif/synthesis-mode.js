// OHIF mode for mammography: the tools of the build's own viewer, our hanging protocols, our panel on the right.

import { hangAtLeastOne } from './hanging.js';
import { PANEL } from './mammosynth.js';
import { studyUid, syncStudy } from './viewer.js';

const STACK = '@ohif/extension-default.sopClassHandlerModule.stack';
const TOOLS = ['Zoom', 'Pan', 'WindowLevel', 'MeasurementTools', 'Capture', 'Layout', 'MoreTools'];

// Made anew each time: OHIF takes the panels out of what it is given.
const layout = () => ({
  id: '@ohif/extension-default.layoutTemplateModule.viewerLayout',
  props: {
    leftPanels: ['@ohif/extension-default.panelModule.seriesList'],
    leftPanelResizable: true,
    rightPanels: [PANEL],
    rightPanelClosed: false,
    rightPanelResizable: true,
    viewports: [
      { namespace: '@ohif/extension-cornerstone.viewportModule.cornerstone', displaySetsToDisplay: [STACK] },
    ],
  },
});

export default {
  id: 'mammosynth.synthesis',
  extensionDependencies: {},
  async modeFactory({ loadModules }) {
    const [longitudinal] = await loadModules(['@ohif/mode-longitudinal']);
    const base = await longitudinal.modeFactory({ modeConfiguration: {}, loadModules });
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
      hangingProtocol: 'mammosynth.screening',
      sopClassHandlers: [STACK],
      onModeEnter(given) {
        base.onModeEnter.call(this, given);
        const { toolbarService } = given.servicesManager.services;
        toolbarService.clearButtonSection('primary');
        toolbarService.createButtonSection('primary', TOOLS);
      },
      onSetupRouteComplete() {
        hangAtLeastOne();
        syncStudy(studyUid()).catch(console.error);
      },
    };
  },
};
