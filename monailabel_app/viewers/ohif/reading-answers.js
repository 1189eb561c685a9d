// What an answer to each kind of question is while it is given, when it is whole, and which key gives it. Rules without
// a screen. A draft is an answer as far as it was given; null: nothing yet.

const DIGITS = 9; // choices that a digit can name

/** Everything that is to be answered, in order: {question, target}. */
export const placesOf = questions => questions.flatMap(question => question.targets.map(target => ({ question, target })));

/** A name of a place that no other has. */
export const placeId = ({ question, target }) => `${question.name} ${target}`;

/** The choices of a question as [value, words]; none if it is answered otherwise. */
export function choicesOf({ type, levels, labels, categories }) {
  if (type === 'likert') return levelsOf(levels).map((level, index) => [level, labels[index] || '']);
  if (type === 'category') return categories.map((name, index) => [name, labels[index] || '']);
  if (type === 'yes_no') return [['yes', ''], ['no', '']];
  if (type === 'real_or_generated') return [['real', ''], ['generated', '']];
  return [];
}

/** Levels from 1. */
export const levelsOf = count => Array.from({ length: count }, (_, index) => index + 1);

/** What is asked from 0 to 100 beside the choice: 'suspicion', 'confidence', or ''. */
export const shareOf = ({ type, suspicion, confidence }) =>
  (type === 'yes_no' && suspicion && 'suspicion') || (type === 'real_or_generated' && confidence && 'confidence') || '';

/** The choice that was made, whole or not; null if none. */
export const chosenOf = (question, draft) => (shareOf(question) ? draft?.answer : draft) ?? null;

/** The draft after a choice. */
export const choose = (question, draft, choice) => (shareOf(question) ? { ...draft, answer: choice } : choice);

/** The answer as the server takes it; undefined while something of it is missing. */
export function valueOf(question, draft) {
  if (draft === null || draft === undefined) return undefined;
  const share = shareOf(question);
  if (share) return draft.answer && isShare(draft[share]) ? { answer: draft.answer, [share]: draft[share] } : undefined;
  if (question.type === 'items') return Object.keys(question.items).every(item => draft[item]) ? draft : undefined;
  if (question.type === 'marks') return draft.every(mark => !question.rated || isShare(mark.rating)) ? draft : undefined;
  return draft;
}

/** Whether something was answered and something of it is missing. */
export const isHalf = (question, draft) => draft !== null && draft !== undefined && valueOf(question, draft) === undefined;

/** What is still missing of a half answer, in words. */
export function missingOf(question, draft) {
  const share = shareOf(question);
  if (question.type === 'marks') return 'a rating from 0 to 100 of each mark';
  if (question.type === 'items') return 'a level of each item';
  return share && chosenOf(question, draft) === null ? 'a choice' : `the ${share} from 0 to 100`;
}

/** Whether a number from 0 to 100 was given. */
export const isShare = value => Number.isInteger(value) && value >= 0 && value <= 100;

/** The key of each choice: the protocol's, else digits, which count while the question is the current one. */
export function keysOf(question) {
  const own = Object.entries(question.keys || {});
  const choices = choicesOf(question);
  if (own.length) return choices.map(([value]) => question.keys[value] ?? '');
  return choices.map((_, index) => (index < DIGITS ? String(index + 1) : ''));
}

/** What a key chooses, {place, choice}: of the current place, else of the next one whose protocol names it. */
export function choiceBy(key, places, current) {
  const start = Math.max(0, places.indexOf(current));
  for (const place of [...places.slice(start), ...places.slice(0, start)]) {
    const hasOwn = Object.keys(place.question.keys || {}).length > 0;
    if (place !== current && !hasOwn) continue;
    const index = keysOf(place.question).indexOf(key);
    if (index >= 0) return { place, choice: choicesOf(place.question)[index][0] };
  }
  return null;
}

/** The next required place that is not answered, after the given one and then from the start; null if there is none. */
export function nextOpen(places, drafts, after) {
  const start = places.indexOf(after) + 1;
  const isOpen = place => place.question.required && valueOf(place.question, drafts[placeId(place)]) === undefined;
  return [...places.slice(start), ...places.slice(0, start)].find(isOpen) || null;
}

/** What a place is about, in words; '' for the whole case. */
export function targetName({ question, target }, images) {
  if (question.per === 'breast') return { R: 'Right breast', L: 'Left breast' }[target] || target;
  if (question.per !== 'image') return '';
  const image = images.find(({ number }) => String(number) === target);
  return `Image ${target}${image ? `, ${imageName(image)}` : ''}`;
}

/** Such as R MLO. */
export const imageName = ({ laterality, view_position, number }) =>
  [laterality, view_position].filter(Boolean).join(' ') || `image ${number}`;

/** The images that a question's marks may lie in. */
export function imagesFor({ question, target }, images) {
  if (question.per === 'image') return images.filter(({ number }) => String(number) === target);
  if (question.per === 'breast') return images.filter(({ laterality }) => laterality === target);
  return images;
}

const SCREENING = ['R CC', 'L CC', 'R MLO', 'L MLO'];

/**
 * The images as they hang, row by row: in the protocol's order, but a screening exam in 2 x 2, and one view of both
 * breasts side by side, as radiologists expect: right breasts on the left, CC above MLO.
 */
export function arranged(images, { rows, columns }) {
  const names = images.map(imageName);
  const inOrder = wanted => wanted.map(name => images[names.indexOf(name)]);
  const isExam = rows === 2 && columns === 2 && images.length === 4 && SCREENING.every(name => names.includes(name));
  if (isExam) return inOrder(SCREENING);
  const [first, second] = images;
  const isPair = rows === 1 && images.length === 2 && first.view_position === second.view_position;
  return isPair && first.laterality === 'L' && second.laterality === 'R' ? [second, first] : images;
}
