// What may be drawn: the class table of the model's label map, its parts of the breast and its lesions. Rules without a
// screen.

/**
 * The colour of a class, or of a lesion that is told by its number: Okabe and Ito (2008), Color Universal Design, in an
 * order in which lesions stand out from the tissues of the breast.
 */
export const colourOf = number => COLOURS[(number - 1) % COLOURS.length];

const COLOURS = ['#e69f00', '#56b4e9', '#0072b2', '#f0e442', '#cc79a7', '#009e73', '#d55e00', '#ffffff'];
const UNCLASSED = '#ff4dff'; // in a breast, where every lesion needs a class
const LESION_CLASSES = ['benign', 'malignant']; // what a segment says of its class; all else is told by its label
const NOTHING = { classes: [], lesions: [] };

const changes = new EventTarget();
let table = NOTHING; // of the last model that had one: drawings keep their colours when another is chosen

/** The table of a slot of label maps: {parts, lesions}, each a list of {number, name}; no parts if it is of lesions. */
export function tableOf(slot) {
  const classes = Object.entries(slot?.classes || {}).map(([number, name]) => ({ number: Number(number), name }));
  const isLesion = ({ number }) => (slot.lesions || []).includes(number);
  const [lesions, parts] = [classes.filter(isLesion), classes.filter(each => !isLesion(each))];
  return lesions.length && parts.length ? { parts, lesions } : { parts: [], lesions: [] };
}

/** Take over the table of a slot, if it has one. */
export function useTable(slot) {
  const { parts, lesions } = tableOf(slot);
  if (!parts.length) return;
  table = { classes: [...parts, ...lesions], lesions };
  changes.dispatchEvent(new Event('change'));
}

/** Call back when a table is taken over; returns what ends it. */
export function onTable(callback) {
  const listener = () => callback();
  changes.addEventListener('change', listener);
  return () => changes.removeEventListener('change', listener);
}

/** The class of an entry of a drawing or of a stored segment, by lesion class or label; undefined if it has none. */
export function classOf({ label, lesionClass = null }, classes = table.classes) {
  const words = [lesionClass, lesionClass && `${lesionClass} lesion`, label].filter(Boolean).map(word => word.toLowerCase());
  return words.map(word => classes.find(({ name }) => name.toLowerCase() === word)).find(Boolean);
}

/** What an entry must say to be of a class: {label, lesionClass}; a lesion that had a class as its name gets another. */
export function saying({ name }, { label, number }) {
  if (!name) return { label: isClassName(label) ? `Lesion ${number}` : label, lesionClass: null };
  const lesionClass = LESION_CLASSES.find(each => name === each || name === `${each} lesion`) || null;
  if (!lesionClass) return { label: name, lesionClass };
  return { label: isClassName(label) ? `Lesion ${number}` : label, lesionClass };
}

/** Whether a label is that of a class, not a name that a person gave. */
export const isClassName = label => table.classes.some(({ name }) => name.toLowerCase() === label.toLowerCase());

/** Whether every part of the breast in a stored segmentation is one of the table: such can be drawn on. */
export const isKnown = ({ segments }) =>
  segments.every(({ label, is_lesion }) => is_lesion || (table.classes.length > 0 && isClassName(label)));

/** Colours of the entries of a drawing, by number: by class where parts of the breast are drawn, else by number. */
export function coloursOf(lesions) {
  const hasParts = lesions.some(({ isLesion }) => !isLesion);
  const ofClass = entry => (classOf(entry) ? colourOf(classOf(entry).number) : UNCLASSED);
  return new Map(lesions.map(entry => [entry.number, hasParts ? ofClass(entry) : colourOf(entry.number)]));
}
