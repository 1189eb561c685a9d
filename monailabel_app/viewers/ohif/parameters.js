// Controls for a model's parameters, built from the JSON Schema that the server gives of them and from nothing else.

import { capitalized, title } from './sentences.js';

const NUMERIC = ['integer', 'number'];

/** The parameters of a schema that a person can choose, each with its name; one option alone is no choice. */
export function fieldsOf({ properties = {}, required = [] }) {
  return Object.entries(properties)
    .map(([name, given]) => ({ ...given, name, required: required.includes(name) }))
    .filter(field => field.enum?.length !== 1 || field.required);
}

/** Of the values that were chosen for one schema, those that another allows too; presets of the first are dropped. */
export function keptValues(values, before, after) {
  const presets = Object.fromEntries(fieldsOf(before).map(field => [field.name, field.default]));
  const fields = new Map(fieldsOf(after).map(field => [field.name, field]));
  const isKept = ([name, value]) => value !== presets[name] && fields.has(name) && allows(fields.get(name), value);
  return Object.fromEntries(Object.entries(values).filter(isKept));
}

/** Whether a value may be given for a field. */
export function allows({ type, enum: options, minimum, maximum }, value) {
  if (options) return options.includes(value);
  if (type === 'boolean') return typeof value === 'boolean';
  if (!NUMERIC.includes(type)) return typeof value === 'string';
  const isNumber = type === 'integer' ? Number.isInteger(value) : Number.isFinite(value);
  return isNumber && value >= (minimum ?? -Infinity) && value <= (maximum ?? Infinity);
}

/** Fill two elements with controls: what belongs to the model, and what is rarely changed. */
export function buildControls(schema, { main, advanced }, values = {}) {
  main.replaceChildren();
  advanced.replaceChildren();
  for (const field of fieldsOf(schema)) {
    const preset = field.name in values ? values[field.name] : field.default;
    (field.advanced ? advanced : main).append(buildField({ ...field, default: preset }));
  }
}

/** The values of the controls below an element, by name; those left empty are left out. Throws on an invalid one. */
export function readValues(root) {
  const controls = controlsOf(root);
  const wrong = controls.find(control => !control.checkValidity());
  if (wrong) {
    wrong.closest('details')?.setAttribute('open', '');
    wrong.focus();
    throw new Error(`${title(wrong.dataset.parameter)}: ${wrong.validationMessage}`);
  }
  return valuesOf(controls);
}

/** The same without those that are invalid. */
export const validValues = root => valuesOf(controlsOf(root).filter(control => control.validity.valid));

const controlsOf = root => /** @type {HTMLInputElement[]} */ ([...root.querySelectorAll('[data-parameter]')]);

const valuesOf = controls =>
  Object.fromEntries(
    controls.map(control => [control.dataset.parameter, valueOf(control)]).filter(([, value]) => value !== undefined)
  );

function valueOf({ type, checked, value, dataset }) {
  if (type === 'checkbox') return checked;
  if (value === '') return undefined;
  return NUMERIC.includes(dataset.type) ? Number(value) : value;
}

/**
 * Label, control, unit and description of one parameter.
 * @param {any} field
 */
function buildField({ name, unit, description, ...field }) {
  const control = buildControl(field);
  const element = labelled(control, {
    id: `parameter-${name}`,
    text: unit ? `${title(name)} (${unit})` : title(name),
    hint: description,
  });
  Object.assign(control.dataset, { parameter: name, type: field.type });
  return element;
}

/** A control with its label and a sentence of help. */
export function labelled(control, { id, text, hint }) {
  const element = Object.assign(document.createElement('div'), { className: 'field' });
  const label = Object.assign(document.createElement('label'), { htmlFor: id, textContent: text });
  const help = Object.assign(document.createElement('p'), { id: `${id}-hint`, className: 'muted' });
  control.id = id;
  control.setAttribute('aria-describedby', help.id);
  help.textContent = hint || '';
  if (control.type === 'checkbox') {
    const row = Object.assign(document.createElement('div'), { className: 'row' });
    row.append(control, label);
    element.append(row, help);
  } else {
    element.append(label, control, help);
  }
  return element;
}

/** @param {any} field */
function buildControl({ type, default: preset, minimum, maximum, enum: options, required, empty }) {
  if (options) return buildSelect(options, preset, required, empty);
  const input = document.createElement('input');
  input.required = required && type !== 'boolean';
  if (type === 'boolean') {
    input.type = 'checkbox';
    input.checked = Boolean(preset);
    return input;
  }
  input.type = NUMERIC.includes(type) ? 'number' : 'text';
  if (NUMERIC.includes(type)) input.step = type === 'integer' ? '1' : 'any';
  if (minimum !== undefined && minimum !== null) input.min = minimum;
  if (maximum !== undefined && maximum !== null) input.max = maximum;
  input.value = preset ?? '';
  return input;
}

function buildSelect(options, preset, required, empty = 'not stated') {
  const select = document.createElement('select');
  select.required = required;
  if (preset === null || preset === undefined) select.append(new Option(capitalized(empty), ''));
  for (const option of options) select.append(new Option(title(String(option)), option));
  select.value = preset ?? '';
  return select;
}
