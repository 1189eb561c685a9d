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
