// Controls for a model's parameters, built from what the server says of them and from nothing else.

// The same for every model, and rarely changed: folded away. The image is chosen in the panel, not typed.
const ADVANCED = ['seed', 'burned_in_mark', 'view_position', 'image_laterality'];
const CHOSEN_ELSEWHERE = ['sop_instance_uid'];
const NUMERIC = ['integer', 'number'];

/** Fill two elements with controls: what belongs to the model, and what is rarely changed. */
export function buildControls(descriptions, { main, advanced }) {
  const controls = descriptions.filter(({ name }) => !CHOSEN_ELSEWHERE.includes(name));
  const into = ({ name }) => (ADVANCED.includes(name) ? advanced : main);
  main.replaceChildren();
  advanced.replaceChildren();
  controls.forEach(description => into(description).append(buildField(description)));
}

/** The values of the controls below an element, by name; those left empty are left out. Throws on an invalid one. */
export function readValues(root) {
  const controls = [...root.querySelectorAll('[data-parameter]')];
  const wrong = controls.find(control => !control.checkValidity());
  if (wrong) {
    wrong.closest('details')?.setAttribute('open', '');
    wrong.focus();
    throw new Error(`${title(wrong.dataset.parameter)}: ${wrong.validationMessage}`);
  }
  return Object.fromEntries(
    controls.map(control => [control.dataset.parameter, valueOf(control)]).filter(([, value]) => value !== undefined)
  );
}

/** A parameter's name as words. */
export const title = name => name.replaceAll('_', ' ').replace(/^./, letter => letter.toUpperCase());

function valueOf({ type, checked, value, dataset }) {
  if (type === 'checkbox') return checked;
  if (value === '') return undefined;
  return NUMERIC.includes(dataset.type) ? Number(value) : value;
}

/** Label, control, unit and description of one parameter. */
function buildField(description) {
  const { name, type, unit } = description;
  const field = document.createElement('div');
  const label = document.createElement('label');
  const hint = document.createElement('p');
  const control = buildControl(description);
  field.className = 'field';
  control.id = `parameter-${name}`;
  control.dataset.parameter = name;
  control.dataset.type = type;
  control.setAttribute('aria-describedby', `${control.id}-hint`);
  label.htmlFor = control.id;
  label.textContent = unit ? `${title(name)} (${unit})` : title(name);
  hint.id = `${control.id}-hint`;
  hint.className = 'muted';
  hint.textContent = description.description;
  if (type === 'boolean') {
    const row = document.createElement('div');
    row.className = 'row';
    row.append(control, label);
    field.append(row, hint);
  } else {
    field.append(label, control, hint);
  }
  return field;
}

function buildControl({ type, default: preset, minimum, maximum, options }) {
  if (options?.length) return buildSelect(options, preset);
  const input = document.createElement('input');
  if (type === 'boolean') {
    input.type = 'checkbox';
    input.checked = Boolean(preset);
    return input;
  }
  if (type === 'segmentation') {
    input.readOnly = true;
    input.placeholder = 'none: draw or choose one below';
    return input;
  }
  input.type = NUMERIC.includes(type) ? 'number' : 'text';
  if (type === 'integer') input.step = 1;
  if (type === 'number') input.step = 'any';
  if (minimum !== undefined && minimum !== null) input.min = minimum;
  if (maximum !== undefined && maximum !== null) input.max = maximum;
  input.value = preset ?? '';
  return input;
}

function buildSelect(options, preset) {
  const select = document.createElement('select');
  const choices = preset === null || preset === undefined ? ['', ...options] : options;
  for (const choice of choices) select.append(new Option(choice === '' ? 'as in the header' : choice, choice));
  select.value = preset ?? '';
  return select;
}
