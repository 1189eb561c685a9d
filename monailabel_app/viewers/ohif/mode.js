// What our modes of OHIF share: the tools of the build's own viewer, our panel on the right, nothing written twice.

import { restyle } from './style.js';

const STACK = '@ohif/extension-default.sopClassHandlerModule.stack';
// OHIF 3.10 hides what is wider than the window, and browsers scroll there when something is brought into sight.
const UNMOVED = '.flex-nowrap.items-stretch.overflow-hidden { overflow: clip; }';
const VIEWPORT = '@ohif/extension-cornerstone.viewportModule.cornerstone';

/**
 * The layout, made anew each time: OHIF takes the panels out of what it is given. Later than the event that led here: after
 * a step back or forward React would draw it at once, while viewports still name what was shown, which is gone (3.10).
 */
async function layout(panels) {
  await new Promise(resolve => setTimeout(resolve));
  return layoutOf(panels());
}

const layoutOf = panels => ({
  id: '@ohif/extension-default.layoutTemplateModule.viewerLayout',
  props: {
    ...panels,
    rightPanelClosed: false,
    rightPanelResizable: true,
    viewports: [{ namespace: VIEWPORT, displaySetsToDisplay: [STACK] }],
  },
});

/**
 * Let OHIF load the whole study, as we do, where an address asks for some series: it calls each other series that comes
 * later "not part of the current study" (3.10, defaultRouteInit). Those that the address names are hung (roles.js).
 */
async function withoutFilter({ filters }) {
  delete filters.seriesInstanceUID;
}

/**
 * A mode of a name, which is its path, too. `panels()` gives those of the layout; `hidden` are overlays of OHIF's own
 * that it goes without, `tools` its toolbar; `enter()` begins what lasts as long as the mode, and returns what ends it.
 * Anything else is as OHIF has it.
 */
export const modeOf = ({ name, panels, hidden, tools, enter, ...own }) => ({
  id: `mammosynth.${name}`,
  extensionDependencies: {},
  async modeFactory({ loadModules }) {
    const [longitudinal] = await loadModules(['@ohif/mode-longitudinal']);
    const base = await longitudinal.modeFactory({ modeConfiguration: {}, loadModules });
    let ends = [];
    return {
      ...base,
      id: `mammosynth.${name}`,
      routeName: name,
      routes: [{ path: name, layoutTemplate: () => layout(panels), init: withoutFilter }],
      sopClassHandlers: [STACK],
      ...own,
      onModeEnter(given) {
        base.onModeEnter.call(this, given);
        ends = [...enter(), restyle(UNMOVED)];
        const { customizationService, toolbarService } = given.servicesManager.services;
        customizationService.addModeCustomizations(hidden.map(id => ({ id, items: [] })));
        toolbarService.clearButtonSection('primary');
        toolbarService.createButtonSection('primary', tools);
      },
      onModeExit(given) {
        ends.forEach(end => end());
        base.onModeExit.call(this, given);
      },
    };
  },
});
