// Words on each viewport: side and view, whether its image was synthesized, by which model, and how it was rendered; or why
// it is black.

import { cornerstone, viewportOf } from './ohif.js';
import { conventionalEdge, viewName } from './orientation.js';
import { onUnshown, UNSHOWN, unshownBecause, watchImages } from './unshown.js';
import { isSynthesized, isUncertainty, onChange, views } from './viewer.js';

const SMALL = 300; // pixels: a narrower viewport has smaller words
const RENDERING = /\b(expected|sampled( seed \d+)?)\b/; // of Series Description

/** Label what the viewports show from now on, by `lines` of an image; returns what ends it. */
export function labelViewports(lines = linesOf) {
  const { STACK_NEW_IMAGE } = cornerstone().cornerstone.Enums.Events;
  const labels = new Map();
  const follow = () => {
    const shown = new Map(views().map(view => [viewportOf(view.viewportId)?.element, view]));
    shown.delete(undefined);
    [...labels.keys()].filter(element => !shown.has(element)).forEach(remove);
    shown.forEach((view, element) => write(labels.get(element) || add(element), element, view, lines));
  };
  const add = element => {
    const label = document.createElement('div');
    label.className = 'mammosynth-label';
    element.append(label);
    element.addEventListener(STACK_NEW_IMAGE, follow);
    labels.set(element, label);
    return label;
  };
  const remove = element => {
    element.removeEventListener(STACK_NEW_IMAGE, follow);
    labels.get(element).remove();
    labels.delete(element);
  };
  const ends = [onChange(follow), onUnshown(follow), watchImages()];
  follow();
  return () => {
    ends.forEach(end => end());
    [...labels.keys()].forEach(remove);
  };
}

/** What is said of an image, a line each; the first is its side and view. */
export function linesOf(displaySet, image) {
  const { SeriesDescription: description = '', ManufacturerModelName, SoftwareVersions } = image;
  if (!isSynthesized(displaySet)) return [viewName(image), description, dateOf(image)].filter(Boolean);
  const version = [SoftwareVersions].flat().at(-1); // after that of the software
  const [rendering] = RENDERING.exec(description) || [];
  const kind = `SYNTHETIC${isUncertainty(displaySet) ? ': uncertainty' : ''}, not for diagnosis`;
  return [viewName(image), kind, [ManufacturerModelName, version].filter(Boolean).join(' '), rendering].filter(Boolean);
}

function write(label, element, { displaySet, sopInstanceUid }, linesFor) {
  const image = displaySet.instances?.find(({ SOPInstanceUID }) => SOPInstanceUID === sopInstanceUid);
  const [view, ...lines] = image ? linesFor(displaySet, image) : [];
  const isRight = image && conventionalEdge(image) === 'left'; // where there is no breast
  label.style.cssText =
    `position: absolute; top: 36px; ${isRight ? 'right: 12px; text-align: right' : 'left: 12px'}; max-width: 60%; ` +
    'z-index: 1; pointer-events: none; color: #fff; text-shadow: 0 0 3px #000, 0 0 3px #000; ' +
    'overflow-wrap: anywhere; ' +
    `font: ${element.clientWidth < SMALL ? 11 : 13}px/1.35 sans-serif;`;
  const heading = document.createElement('strong');
  heading.textContent = view || '';
  heading.style.cssText = 'display: block; font-size: 1.4em;';
  label.replaceChildren(heading, ...[...lines, unshownBecause(sopInstanceUid)].filter(Boolean).map(lineOf));
}

function lineOf(text) {
  const line = Object.assign(document.createElement('div'), { textContent: text });
  if (text.startsWith('SYNTHETIC')) line.style.cssText = 'color: #ffd166; font-weight: 600;';
  if (text.startsWith(UNSHOWN)) line.style.cssText = 'color: #ff9f92; font-weight: 600;';
  return line;
}

/** Such as 2026-01-31; '' where the header does not say it. */
const dateOf = ({ StudyDate = '' }) => String(StudyDate).replace(/^(\d{4})(\d{2})(\d{2})$/, '$1-$2-$3');
