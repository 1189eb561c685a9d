// The one reading session of this page, and the way back to the page where sessions begin.

import { ReadingSession } from './reading-session.js';
import { ask } from './server.js';
import { lasting } from './storage.js';

const ROOM = '/reading-room';

/** The session. */
export const reading = new ReadingSession({ ask, storage: lasting });

/** Leave for the page where sessions begin. */
export const leaveForRoom = () => location.assign(ROOM);

/** Ask for the case that is shown now, and let the viewer's address name it; without any, go to the reading room. */
export async function openReading() {
  const study = new URLSearchParams(location.search).get('study');
  const current = study && (await reading.open(study).catch(() => null));
  if (current && reading.isReading) return nameInAddress();
  location.replace(ROOM);
  return new Promise(() => {}); // the page is left
}

/** Let the address name the case, so that a reload opens it again, without a way back to another one. */
export function nameInAddress() {
  const query = new URLSearchParams({ StudyInstanceUIDs: reading.current.study_instance_uid, study: reading.study });
  history.replaceState(history.state, '', `/ohif/reading?${query}`);
}

addEventListener('pagehide', () => reading.current && reading.leave());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload()); // another case may be shown by now
const follow = () => reading.clock?.setAway(document.hidden || !document.hasFocus());
for (const name of ['blur', 'focus']) addEventListener(name, follow);
document.addEventListener('visibilitychange', follow);
