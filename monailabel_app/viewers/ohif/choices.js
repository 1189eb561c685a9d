// What a label-map slot of a model may be filled with, and whether JSON fits: words and rules without a screen.

import { classOf, tableOf } from './classes.js';
import { labelsOf, madeAt } from './segmentations.js';
import { title } from './sentences.js';

/** The choice that stands for what is drawn on the image now and is not stored yet. */
export const DRAWING = 'drawing';

/**
 * [value, text] of everything that may fill a label-map slot; `on` is the image that it must be drawn on, if any, and
 * `instead` what is used where none is chosen.
 */
export function choicesFor(slot, { segmentations, on, hasDrawing, instead = '' }) {
  const { parts } = tableOf(slot);
  const isPart = ({ label, is_lesion }) => is_lesion !== false || !parts.length || classOf({ label }, parts);
  const isLesion = ({ is_lesion }) => is_lesion !== false;
  const fitting = segmentations.filter(
    each =>
      (!slot.on || each.source_sop_instance_uid === on) && each.segments.every(slot.only_lesions ? isLesion : isPart)
  );
  const textOf = each => [labelsOf(each), madeAt(each)].filter(Boolean).join(', ');
  const stored = fitting.map(each => [each.sop_instance_uid, textOf(each)]);
  const none = slot.required ? (stored.length || hasDrawing ? 'Choose one' : 'None yet: draw one below') : instead ? `None: ${instead}` : 'None';
  return [['', none], ...(hasDrawing ? [[DRAWING, 'What is drawn now (is saved first)']] : []), ...stored];
}

/**
 * The choice to begin with: the first that is offered of what was chosen ('' is a choice where none is needed), what
 * is drawn now, what was saved or loaded last; else the one that is needed.
 */
export function presetFor(slot, choices, ...wanted) {
  const values = choices.map(([value]) => value);
  const found = wanted.find((value, index) => values.includes(value) && (value || (index === 0 && !slot.required)));
  return found ?? (slot.required ? values[1] : '') ?? '';
}

/** Why what is drawn cannot fill a slot, as a sentence: a lesion without a class of the slot; '' if it can. */
export function unclassed({ classes }, lesions) {
  const named = Object.values(classes || {}).map(name => ({ name }));
  const without = lesions.find(entry => named.length && !classOf(entry, named));
  return without ? `${without.label} has no class: choose it under Drawing.` : '';
}

/** The help of a slot of drawings: its sentence, then what a lesion may be, unless the drawing offers it as a list. */
export function drawingHelp(slot) {
  const { description, classes } = slot;
  const names = tableOf(slot).parts.length ? [] : Object.values(classes || {});
  const classed = `Each must have one of these classes or names: ${names.join(', ')}.`;
  return names.length ? `${description} ${classed}` : description;
}

/** The help of a slot of JSON: its sentence, then what its schema says of the values. */
export function jsonHelp({ description, json_schema: schema }) {
  const lines = [description, schema?.description !== description && schema?.description];
  const properties = Object.entries(schema?.properties || {}).map(([name, each]) => {
    const need = (schema.required || []).includes(name) ? 'required' : 'optional';
    const kind = each.enum ? each.enum.map(value => JSON.stringify(value)).join(' | ') : each.type;
    const about = each.description ? `: ${each.description}` : '';
    return `${JSON.stringify(name)} (${[kind, need].filter(Boolean).join(', ')})${about}`;
  });
  return [...lines.filter(Boolean), ...properties].join('\n');
}

/** The value of a text of JSON; undefined if it is empty. Throws a sentence that names the slot if it is not valid. */
export function parseJson({ role }, text) {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${title(role)} is not valid JSON (${error.message}); correct it or upload a file.`);
  }
}

/** Why inputs cannot be sent, as a sentence: what is required and missing; '' if all is there. */
export function missingInput(slots, inputs) {
  const missing = slots.find(({ role, required }) => required && inputs[role] === undefined);
  if (!missing) return '';
  const cure = {
    image: 'choose an image in the list of sources or click on a viewport that shows one',
    label_map: 'draw one under Drawing below, or choose one that is stored',
    json: 'type it or upload a file',
  };
  return `${title(missing.role)} is missing: ${cure[missing.kind]}.`;
}
