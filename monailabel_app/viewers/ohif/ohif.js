// What OHIF hands to an extension: its services, commands and the libraries that it draws with.

const COMMON = '@ohif/extension-cornerstone.utilityModule.common';

let managers;

/** Keep what OHIF hands over at the registration, and take from OHIF what fails. */
export function setManagers(given) {
  managers = given;
  const { appConfig } = given;
  appConfig.httpErrorHandler ??= ({ message }) => console.warn(message); // OHIF 3.10 calls it unasked
  appConfig.addWindowLevelActionMenu = false; // of colours and overlays; fails on a viewport that a step back took away
}

/** OHIF's services by name. */
export const services = () => managers.servicesManager.services;

/** What OHIF knows of extensions and data sources. */
export const extensionManager = () => managers.extensionManager;

/** The libraries {cornerstone, cornerstoneTools} that OHIF draws with. */
export const cornerstone = () => managers.extensionManager.getModuleEntry(COMMON).exports.getCornerstoneLibraries();

/** Cornerstone's viewport of this id; undefined if there is none now. */
export const viewportOf = viewportId => services().cornerstoneViewportService.getCornerstoneViewport(viewportId);
