// The segmentations of the open study as the archive holds them, asked for once and told to every section.

import { existingDrawing, onDrawing } from './lesions.js';
import * as server from './server.js';

const changes = new EventTarget();
const preferred = new Map(); // SOP Instance UID of the segmentation last saved or loaded, by that of its image
let known = { study: null, found: [] };
const seen = new WeakMap(); // the state of each drawing
let asked = 0; // how often the archive was asked
let answered = 0; // the newest of those whose answer is known

/** The segmentations of a study as far as they are known, newest first. */
export const segmentationsOf = study => (known.study === study ? known.found : []);

// What a step back or forth brings to the screen is the one that is meant, if a segmentation holds it.
onDrawing(drawing => {
  const { state, archivedAs, sopInstanceUid } = drawing;
  if (state === seen.get(drawing)) return;
  seen.set(drawing, state);
  if (archivedAs) prefer({ sop_instance_uid: archivedAs, source_sop_instance_uid: sopInstanceUid });
});

/** Call back when they change; returns what ends it. */
export function onSegmentations(callback) {
  const listener = () => callback();
  changes.addEventListener('change', listener);
  return () => changes.removeEventListener('change', listener);
}

/** Ask the archive again; an answer that is overtaken by that to a later question is not taken in. */
export async function refreshSegmentations(study) {
  const turn = ++asked;
  const found = study ? await server.segmentations(study) : [];
  if (turn < answered) return found;
  answered = turn;
  const isListed = ({ sop_instance_uid: uid }) => found.some(({ sop_instance_uid }) => sop_instance_uid === uid);
  const gone = segmentationsOf(study).filter(each => !isListed(each));
  gone.forEach(each => existingDrawing(each.source_sop_instance_uid)?.markDeleted(each.sop_instance_uid));
  known = { study, found };
  changes.dispatchEvent(new Event('change'));
  return found;
}

/**
 * Store what is drawn on an image in its study, unless it is there already, as after undo: stored twice it would be
 * another input, with results of its own. It is the one that is meant from then on.
 */
export async function storeDrawing(study, drawing) {
  const { archivedAs } = drawing;
  const { segments, mask, state } = drawing.forArchive();
  const isSame = ({ sop_instance_uid }) => sop_instance_uid === archivedAs;
  const there = archivedAs && (await refreshSegmentations(study)).find(isSame);
  const saved =
    there || (await server.saveSegmentation(study, { sop_instance_uid: drawing.sopInstanceUid, segments }, mask));
  drawing.markSaved(state, saved.sop_instance_uid);
  if (!there) await refreshSegmentations(study);
  prefer(saved);
  return saved;
}

/** Take a segmentation as the one that is meant on its image. */
export function prefer({ sop_instance_uid, source_sop_instance_uid }) {
  preferred.set(source_sop_instance_uid, sop_instance_uid);
  changes.dispatchEvent(new Event('change'));
}

/** The segmentation of an image that was saved or loaded last; '' if none was. */
export const preferredOn = sopInstanceUid => preferred.get(sopInstanceUid) || '';

/** What its segments are called: "Mass (malignant), Lesion 2"; parts of the breast are one "Label map". */
export function labelsOf({ segments }) {
  const lesions = segments.filter(({ is_lesion }) => is_lesion !== false);
  const textOf = ({ label, lesion_class: found }) => (found && !label.includes(found) ? `${label} (${found})` : label);
  const names = lesions.map(textOf).join(', ');
  if (lesions.length === segments.length) return names;
  return `Label map ${names ? `with ${names}` : 'without lesions'}`;
}

/** When it was made, in words; '' if its header does not say it. */
export function madeAt({ created }) {
  const time = created && new Date(created);
  return time && !isNaN(time.getTime()) ? time.toLocaleString() : '';
}
