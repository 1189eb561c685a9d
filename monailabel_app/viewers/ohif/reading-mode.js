// OHIF mode of the reading room: one case at a time, tools that only change how it is looked at, and the questions.

import { keepFitted } from './fit.js';
import { labelViewports } from './labels.js';
import { modeOf } from './mode.js';
import { viewName } from './orientation.js';
import { drawn, fetchAhead, forgetOthers, showCase } from './reading-case.js';
import { HANGING } from './reading-hanging.js';
import { readKeys } from './reading-keys.js';
import { drawMarks } from './reading-marks.js';
import { reading } from './reading-now.js';
import { PANEL } from './reading-room.js';
import { restyle } from './style.js';

const CORNERS = ['TopLeft', 'TopRight', 'BottomLeft', 'BottomRight'];
const TOOLS = ['WindowLevel', 'Zoom', 'Pan'];

// OHIF 3.10 has no setting for the corner of its header, whose menu leads out of the case.
const PLAIN_HEADER = 'div:has(> div > [data-cy="return-to-work-list"]) > .right-0 { display: none; }';

/** Tell the session, and so the panel, once a case is drawn, or why it is not; then fetch the next one. */
async function follow(shown) {
  try {
    await shown;
  } catch (error) {
    reading.fail(error.message);
    return;
  }
  reading.setReady();
  forgetOthers();
  fetchAhead().catch(console.warn);
}

function enter() {
  const next = () => follow(showCase());
  reading.addEventListener('case', next);
  reading.addEventListener('again', next);
  const stop = () => ['case', 'again'].forEach(name => reading.removeEventListener(name, next));
  const label = () => labelViewports((_, image) => [viewName(image)]);
  return [stop, restyle(PLAIN_HEADER), keepFitted(), label(), drawMarks(), readKeys()];
}

export default modeOf({
  name: 'reading',
  displayName: 'Reading',
  isValidMode: () => ({ valid: true, description: '' }),
  panels: () => ({ leftPanels: [], rightPanels: [PANEL] }),
  hangingProtocol: HANGING,
  hotkeys: [], // ours are in reading-keys.js; OHIF's take digits and letters that answer questions
  hidden: CORNERS.map(corner => `cornerstoneOverlay${corner}`),
  tools: TOOLS,
  enter,
  onSetupRouteComplete: () => {
    follow(drawn());
  },
});
