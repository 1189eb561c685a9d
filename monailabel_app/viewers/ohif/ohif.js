// What OHIF hands to an extension: its services, commands and the libraries that it draws with.

const COMMON = '@ohif/extension-cornerstone.utilityModule.common';

let managers;

/** Keep what OHIF hands over at the registration. */
export function setManagers(given) {
  managers = given;
}

/** OHIF's services by name. */
export const services = () => managers.servicesManager.services;

/** What OHIF knows of extensions and data sources. */
export const extensionManager = () => managers.extensionManager;

/** The libraries {cornerstone, cornerstoneTools} that OHIF draws with. */
export const cornerstone = () => managers.extensionManager.getModuleEntry(COMMON).exports.getCornerstoneLibraries();

/** Cornerstone's viewport of this id; undefined if there is none now. */
export const viewportOf = viewportId => services().cornerstoneViewportService.getCornerstoneViewport(viewportId);
