// What a JSON Schema says of nested values: parts to control, what they begin with. Rules without a screen.

const isNull = ({ type }) => type === 'null';

/** A schema without reference, and without the alternative of null, which `nullable` tells; `$defs` are the root's. */
export function resolved(schema, root) {
  const { $ref, anyOf, ...own } = schema;
  if ($ref) return { ...resolved(root.$defs[$ref.split('/').at(-1)], root), ...own };
  if (!anyOf) return own;
  const others = anyOf.filter(each => !isNull(each));
  const flat = others.length === 1 ? resolved(others[0], root) : { oneOf: others };
  return { ...flat, ...own, nullable: others.length < anyOf.length };
}

/** The schema that fits a value among alternatives: the first whose required names the value all has. */
export function fitting(schema, value, root) {
  const choices = (schema.oneOf || []).map(each => resolved(each, root));
  const found = choices.find(({ required = [] }) => required.every(name => name in (value || {})));
  return choices.length ? { ...schema, ...(found || choices[0]) } : schema;
}

/** The properties of an object's schema, each with its name, whose `only_with` the values satisfy. */
export const partsOf = (schema, values, root) =>
  Object.entries(schema.properties || {})
    .map(([name, each]) => ({ name, ...resolved(each, root) }))
    .filter(part => isAllowed(part, values));

/** The values after one of them changed: what that excludes is taken out, what it brings in begins with its presets. */
export function settled(schema, values, before, root) {
  const bound = Object.entries(schema.properties || {})
    .map(([name, each]) => ({ name, ...resolved(each, root) }))
    .filter(part => part.only_with && isAllowed(part, values) !== isAllowed(part, before));
  const changes = bound.map(part => [part.name, isAllowed(part, values) ? presetsOf(part, root) ?? null : null]);
  return { ...values, ...Object.fromEntries(changes) };
}

/** What an object begins with; null if its schema does not say it of everything that it requires. */
export function presetsOf(schema, root) {
  const { properties, required = [] } = fitting(schema, null, root);
  if (!properties || required.some(name => resolved(properties[name], root).default === undefined)) return null;
  return Object.fromEntries(Object.keys(properties).map(name => [name, resolved(properties[name], root).default]));
}

/** A copy of nested values with another one at a path of names and numbers. */
export function withValue(values, path, value) {
  const [first, ...rest] = path;
  const copy = Array.isArray(values) ? [...values] : { ...values };
  copy[first] = rest.length ? withValue(copy[first], rest, value) : value;
  return copy;
}

/** The step of a slider: 1, 2 or 5 times a power of ten, of which its range has some two hundred. */
export function stepOf({ minimum, maximum, type }) {
  const least = (maximum - minimum) / 200;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = Number(((least / power >= 5 ? 5 : least / power >= 2 ? 2 : 1) * power).toPrecision(1));
  return type === 'integer' ? Math.max(1, Math.round(step)) : step;
}

/** How many decimals of a value are worth showing: one more than its steps have. */
export const digitsOf = part => Math.max(0, 1 - Math.floor(Math.log10(stepOf(part))));

const isAllowed = ({ only_with: needed = {} }, values) =>
  Object.entries(needed).every(([name, value]) => values[name] === value);
