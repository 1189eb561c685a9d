// OHIF extension, loaded at run time by the viewer's configuration (no rebuild): our panel and hanging protocols.

import { element } from './element.js';
import { addAttributes, protocolModule } from './hanging.js';
import { addLinks } from './links.js';
import { setManagers } from './ohif.js';
import { MammoSynthPanel } from './panel.js';

const ID = 'mammosynth.extension';
const ELEMENT = 'mammosynth-panel';

/** What a mode names to have the panel. */
export const PANEL = `${ID}.panelModule.panel`;

export default {
  id: ID,
  version: '0.1.0',
  preRegistration(managers) {
    setManagers(managers);
    managers.appConfig.httpErrorHandler ??= ({ message }) => console.warn(message); // OHIF 3.10 calls it unasked
    managers.appConfig.addWindowLevelActionMenu = false; // it fails on a viewport that a step back has taken away
    addAttributes();
    addLinks();
    if (!customElements.get(ELEMENT)) customElements.define(ELEMENT, MammoSynthPanel);
  },
  getPanelModule: () => [
    {
      name: 'panel',
      iconName: 'tab-linear',
      iconLabel: 'Synthesis',
      label: 'Synthesis',
      component: () => element(ELEMENT),
    },
  ],
  getHangingProtocolModule: protocolModule,
};
