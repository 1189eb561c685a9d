// The keyboard of the reading room: answers by their keys, the way through the cases, images, crosshair.

import { choiceBy, levelsOf } from './reading-answers.js';
import { aimed, changeImage, crosshairStep, moveCrosshair, setAtCrosshair, stopMark } from './reading-marks.js';
import { reading } from './reading-now.js';
import { activateNext, changeWindow, pan, resetImages, zoom } from './reading-view.js';

const LARGE = 10; // steps of the crosshair with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CONTROLS = ['range', 'checkbox', 'radio', 'button']; // inputs that no text is typed into

/** Keys that work everywhere, also while text is typed: {keys, label, run}. */
const EVERYWHERE = [
  { keys: 'Ctrl+Enter', label: 'Next case (training: show the truth first)', run: () => reading.request('forward') },
  { keys: 'Ctrl+Shift+Enter', label: 'Case before', run: () => reading.request('back') },
  { keys: 'Escape', label: 'Pause, or set no mark', run: () => (aimed() ? stopMark() : reading.request('pause')) },
  { keys: 'F1', label: 'This list', run: () => reading.request('keys') },
  { keys: 'F6', label: 'Next image', run: activateNext },
];

const IMAGE = [
  { keys: 'Ctrl+ArrowUp', label: 'Enlarge the image', run: () => zoom(1) },
  { keys: 'Ctrl+ArrowDown', label: 'Reduce the image', run: () => zoom(-1) },
  { keys: 'Shift+ArrowLeft', label: 'Move the image left', run: () => pan(-1, 0) },
  { keys: 'Shift+ArrowRight', label: 'Move the image right', run: () => pan(1, 0) },
  { keys: 'Shift+ArrowUp', label: 'Move the image up', run: () => pan(0, -1) },
  { keys: 'Shift+ArrowDown', label: 'Move the image down', run: () => pan(0, 1) },
  { keys: 'Ctrl+Shift+ArrowUp', label: 'Brighter', run: () => changeWindow({ brightness: 1 }) },
  { keys: 'Ctrl+Shift+ArrowDown', label: 'Darker', run: () => changeWindow({ brightness: -1 }) },
  { keys: 'Ctrl+Shift+ArrowRight', label: 'More contrast', run: () => changeWindow({ contrast: 1 }) },
  { keys: 'Ctrl+Shift+ArrowLeft', label: 'Less contrast', run: () => changeWindow({ contrast: -1 }) },
  { keys: 'Ctrl+Home', label: 'All images whole, in their own window', run: resetImages },
];

/** What the list of keys shows, besides the answers' own. */
export const keyList = [
  ...EVERYWHERE,
  { keys: 'Tab', label: 'Next control; arrows change a choice' },
  { keys: 'Enter', label: 'In a number: on to the next question' },
  ...IMAGE,
];

/** Listen from now on; returns what ends it. */
export function readKeys() {
  window.addEventListener('keydown', onKey, true);
  return () => window.removeEventListener('keydown', onKey, true);
}

function onKey(event) {
  if (reading.isPaused || !reading.isReading || reading.ending) return;
  if (event.composedPath().some(({ tagName }) => tagName === 'DIALOG')) return;
  const run = actionOf(event);
  if (!run) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  run();
}

function actionOf(event) {
  const pressed = combination(event);
  const isTyping = isTextField(event.composedPath()[0]);
  if (aimed()?.isByKeyboard && pressed !== 'Escape') return aimAction(event);
  const everywhere = EVERYWHERE.find(({ keys }) => keys === pressed);
  if (everywhere) return event.repeat ? () => null : everywhere.run;
  if (isTyping) return null;
  return IMAGE.find(({ keys }) => keys === pressed)?.run || answerAction(event);
}

function aimAction({ key, shiftKey }) {
  if (ARROWS[key]) {
    const step = crosshairStep() * (shiftKey ? LARGE : 1);
    return () => moveCrosshair(...ARROWS[key].map(direction => direction * step));
  }
  return { Enter: setAtCrosshair, ' ': setAtCrosshair, Tab: changeImage }[key] || null;
}

function answerAction({ key, ctrlKey, metaKey, altKey, repeat }) {
  if (ctrlKey || metaKey || altKey || key.length !== 1 || key === ' ' || !reading.isReady || reading.isTold) return null;
  const { question } = reading.place || {};
  const level = Number(key);
  if (question?.type === 'items' && levelsOf(question.levels).includes(level)) {
    return () => repeat || reading.request(`level ${level}`);
  }
  const found = choiceBy(key, reading.places, reading.place) || choiceBy(key.toLowerCase(), reading.places, reading.place);
  return found && (() => repeat || reading.choose(found.place, found.choice));
}

function combination(event) {
  const words = [(event.ctrlKey || event.metaKey) && 'Ctrl', event.altKey && 'Alt', event.shiftKey && 'Shift', event.key];
  return words.filter(Boolean).join('+');
}

function isTextField(target) {
  if (target instanceof HTMLInputElement) return !CONTROLS.includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
