// The line on a viewport that parts two images: dragged with the mouse, moved with the arrow keys.

const STEP = 0.02; // chosen, of the width
const [COLOUR, FOCUSED] = ['#fff', '#5acce6'];
const CSS =
  'position: absolute; top: 0; bottom: 0; width: 24px; margin-left: -12px; cursor: ew-resize; touch-action: none; ' +
  'z-index: 2; outline: none;';
/** One line, black at its sides: an outline round the whole of what can be grabbed would cover the image with two more. */
const lineOf = colour =>
  'linear-gradient(to right, transparent 10px, #000 10px, #000 11px, ' +
  `${colour} 11px, ${colour} 13px, #000 13px, #000 14px, transparent 14px)`;
const KEYS = {
  ArrowLeft: -STEP,
  ArrowDown: -STEP,
  ArrowRight: STEP,
  ArrowUp: STEP,
  PageDown: -5 * STEP,
  PageUp: 5 * STEP,
  Home: -1,
  End: 1,
};

/** A divider on an element at `position` (0 to 1); `report` is told each new position. */
export function createDivider(element, label, report) {
  const divider = document.createElement('div');
  divider.className = 'mammosynth-divider';
  divider.style.cssText = CSS;
  divider.style.background = lineOf(COLOUR);
  divider.tabIndex = 0;
  Object.entries({ role: 'slider', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100 }).forEach(pair =>
    divider.setAttribute(...pair)
  );
  let now;
  const move = position => {
    now = Math.max(0, Math.min(1, position));
    divider.style.left = `${100 * now}%`;
    divider.setAttribute('aria-valuenow', String(Math.round(100 * now)));
    return now;
  };
  const follow = ({ clientX }) => {
    const { left, width } = element.getBoundingClientRect();
    report(move((clientX - left) / width));
  };
  divider.addEventListener('focus', () => (divider.style.background = lineOf(FOCUSED)));
  divider.addEventListener('blur', () => (divider.style.background = lineOf(COLOUR)));
  divider.addEventListener('pointerdown', event => {
    divider.setPointerCapture(event.pointerId);
    divider.focus();
    follow(event);
  });
  divider.addEventListener('pointermove', event => divider.hasPointerCapture(event.pointerId) && follow(event));
  divider.addEventListener('keydown', event => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    event.stopPropagation(); // OHIF goes to the next viewport with these
    report(move(now + KEYS[event.key]));
  });
  for (const name of ['mousedown', 'mousemove', 'touchstart', 'dblclick']) {
    divider.addEventListener(name, event => event.stopPropagation()); // the viewport's tools would act upon them
  }
  element.append(divider);
  return { element: divider, move, focus: () => divider.focus(), remove: () => divider.remove() };
}
