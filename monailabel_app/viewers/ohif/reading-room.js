// OHIF extension of the reading room, loaded instead of ours for synthesis: the panel of questions, and how a case hangs.

import { element } from './element.js';
import { addLinks } from './links.js';
import { setManagers } from './ohif.js';
import { addAttribute, hangingModule } from './reading-hanging.js';
import { openReading } from './reading-now.js';
import { ReadingPanel } from './reading-panel.js';

const ID = 'mammosynth.reading-room';
const ELEMENT = 'mammosynth-reading';

/** What a mode names to have the panel. */
export const PANEL = `${ID}.panelModule.panel`;

export default {
  id: ID,
  version: '0.1.0',
  /** OHIF waits for it: which case is shown is known before the viewer reads its address. */
  async preRegistration(managers) {
    setManagers(managers);
    managers.appConfig.showPatientInfo = 'disabled';
    addAttribute();
    addLinks();
    if (!customElements.get(ELEMENT)) customElements.define(ELEMENT, ReadingPanel);
    await openReading();
  },
  getPanelModule: () => [
    { name: 'panel', iconName: 'tab-linear', iconLabel: 'Reading', label: 'Reading', component: () => element(ELEMENT) },
  ],
  getHangingProtocolModule: hangingModule,
};
