// What still comes of a study that was left while it loaded.
//
// OHIF ends what it began for a study only if the study was loaded by then (3.10, ModeRoute): else its images join those
// of the study that is open, and hang in their places, under the other patient's name.

import { services } from './ohif.js';
import { openStudies } from './viewer.js';

/** Take only what belongs to the study that is open, or to another one of its patient; returns what ends it. */
export function refuseLeftStudies() {
  const { displaySetService, hangingProtocolService } = services();
  const ends = [
    guard(displaySetService, 'makeDisplaySets', ([image]) => belongs([image].flat()[0])),
    guard(hangingProtocolService, 'run', ({ activeStudy }) => !activeStudy || belongs(activeStudy)),
  ];
  return () => ends.forEach(end => end());
}

/** Let a method of a service do nothing unless it `accepts` what it is given. */
function guard(service, name, accepts) {
  const method = service[name];
  service[name] = (...given) => (accepts(...given) ? method.apply(service, given) : undefined);
  return () => {
    service[name] = method;
  };
}

function belongs({ StudyInstanceUID, PatientID }) {
  const open = openStudies();
  const images = services().displaySetService.getActiveDisplaySets().flatMap(({ instances }) => instances ?? []);
  const isOfPatient = image => image.PatientID === PatientID && open.includes(image.StudyInstanceUID);
  return open.includes(StudyInstanceUID) || Boolean(PatientID && images.some(isOfPatient));
}
