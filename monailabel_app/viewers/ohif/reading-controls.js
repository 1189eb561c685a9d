// What a question is answered with: buttons for choices, numbers, levels of items, lists of marks, text.

import { choicesOf, chosenOf, imageName, imagesFor, isShare, keysOf, levelsOf, shareOf } from './reading-answers.js';
import { aimText, aimed, chosenMark, removeMark, startMark, stopMark } from './reading-marks.js';
import { reading } from './reading-now.js';
import { capitalized } from './sentences.js';

const TYPING_MS = 1000; // text is taken when nothing was typed for so long
const WORDS = { yes: 'Yes', no: 'No', real: 'Real', generated: 'Generated' };
let count = 0;

/** Build the control of a place: {parts, update(draft, isStill), first(draft)}; `onDone` is called when it is left. */
export function controlFor(place, onDone) {
  const { type } = place.question;
  const build = { items, marks, text }[type] || choice;
  return build(place, onDone);
}

function choice(place, onDone) {
  const { question } = place;
  const name = `choice-${count++}`;
  const keys = keysOf(question);
  const buttons = choicesOf(question).map(([value, words], index) => radio({ name, value, words, key: keys[index] }));
  const row = element('div', { className: question.type === 'likert' ? 'choices levels' : 'choices' });
  row.append(...buttons.map(({ label }) => label));
  for (const { input, value } of buttons) {
    input.addEventListener('change', () => reading.change(place, withChoice(place, value)));
    input.addEventListener('click', event => event.detail > 0 && reading.choose(place, value)); // by the mouse
  }
  const shareName = shareOf(question);
  const beside = shareName ? share(capitalized(shareName), value => setShare(place, shareName, value), onDone) : null;
  return {
    parts: [row, ...(beside ? [beside.root] : [])],
    update(draft, isStill) {
      const chosen = chosenOf(question, draft);
      buttons.forEach(({ input, value }) => Object.assign(input, { checked: value === chosen, disabled: isStill }));
      beside?.update(draft?.[shareName], isStill);
    },
    first: draft =>
      chosenOf(question, draft) !== null && beside ? beside.number : (buttons.find(({ input }) => input.checked) || buttons[0]).input,
  };
}

const withChoice = (place, value) =>
  shareOf(place.question) ? { ...reading.draftOf(place), answer: value } : value;

const setShare = (place, name, value) => reading.change(place, { ...reading.draftOf(place), [name]: value });

/** A choice that looks like a button. */
function radio({ name, value, words, key }) {
  const input = element('input', { type: 'radio', name });
  const label = element('label', { className: 'choice' });
  const title = element('span', { textContent: WORDS[value] || String(value), className: 'value' });
  label.append(input, title);
  if (words) label.append(element('span', { textContent: words, className: 'words' }));
  if (key) label.append(element('kbd', { textContent: key }));
  return { input, label, value };
}

/** A number from 0 to 100, typed or slid. */
function share(words, take, onDone) {
  const id = `share-${count++}`;
  const root = element('div', { className: 'share' });
  const label = element('label', { textContent: `${words}, 0 to 100` });
  label.htmlFor = id;
  const number = element('input', { type: 'number', id, min: '0', max: '100', step: '1', inputMode: 'numeric' });
  const slider = element('input', { type: 'range', min: '0', max: '100', step: '1', value: '0', tabIndex: -1 });
  slider.setAttribute('aria-label', `${words}, slider`);
  const takeNumber = () => {
    const value = number.value === '' ? undefined : Number(number.value);
    const isGood = value === undefined || isShare(value);
    number.setAttribute('aria-invalid', String(!isGood));
    if (isGood) take(value);
  };
  number.addEventListener('change', takeNumber);
  number.addEventListener('keydown', event => {
    if (event.key !== 'Enter' || event.ctrlKey) return;
    event.preventDefault(); // else the same stroke would press what gets the keyboard next, and leave the case
    takeNumber();
    if (isShare(Number(number.value)) && number.value !== '') onDone();
  });
  slider.addEventListener('input', () => (number.value = slider.value));
  slider.addEventListener('change', takeNumber);
  slider.addEventListener('pointerup', () => slider.value === '0' && number.value === '' && ((number.value = '0'), takeNumber()));
  root.append(label, number, slider);
  return {
    root,
    number,
    update(value, isStill) {
      number.disabled = slider.disabled = isStill;
      slider.classList.toggle('unset', value === undefined || value === null);
      if (number.getRootNode().activeElement === number && number.value !== '') return; // it is being typed
      number.value = value ?? '';
      slider.value = value ?? 0;
    },
  };
}

function items(place, onDone) {
  const { question } = place;
  const levels = levelsOf(question.levels);
  const table = element('table', { className: 'items' });
  const head = table.createTHead().insertRow();
  head.append(element('td', {}), ...levels.map((level, index) => headCell(level, question.labels[index])));
  const body = table.createTBody();
  const rows = Object.entries(question.items).map(([item, title]) => {
    const row = body.insertRow();
    const words = element('th', { textContent: title, scope: 'row' });
    const name = `item-${count++}`;
    const inputs = levels.map(level => {
      const input = element('input', { type: 'radio', name });
      input.setAttribute('aria-label', `${title}: ${level}`);
      input.addEventListener('change', () => set(item, level));
      return input;
    });
    row.append(words, ...inputs.map(cellOf));
    return { item, inputs };
  });
  const set = (item, level) => reading.change(place, { ...reading.draftOf(place), [item]: level });
  const open = draft => rows.find(({ item }) => !draft?.[item]);
  return {
    parts: [table, element('p', { className: 'muted', textContent: `Keys ${levels[0]} to ${levels.at(-1)}, one item after the other.` })],
    update(draft, isStill) {
      for (const { item, inputs } of rows) {
        inputs.forEach((input, index) => Object.assign(input, { checked: draft?.[item] === levels[index], disabled: isStill }));
      }
    },
    first: draft => (open(draft) || rows[0]).inputs[0],
    /** Take a level for the item that has the focus, or the next without one. */
    takeLevel(level) {
      const focused = rows.find(({ inputs }) => inputs.includes(table.getRootNode().activeElement));
      const row = focused || open(reading.draftOf(place)) || rows[0];
      set(row.item, level);
      const next = open(reading.draftOf(place));
      if (next) next.inputs[0].focus();
      else onDone();
    },
  };
}

function headCell(level, words) {
  const cell = element('th', { textContent: String(level), scope: 'col' });
  if (words) cell.title = words;
  return cell;
}

function cellOf(input) {
  const cell = element('td', {});
  cell.append(input);
  return cell;
}

function marks(place, onDone) {
  const { question } = place;
  const row = element('div', { className: 'row' });
  const starters = question.shapes.map(shape => {
    const button = element('button', { type: 'button', textContent: shape === 'point' ? 'Point' : 'Ellipse' });
    button.setAttribute('aria-label', shape === 'point' ? 'Set a point' : 'Set an ellipse');
    button.addEventListener('click', event => {
      if (aimed()?.place === place && aimed().shape === shape) stopMark();
      else startMark(place, shape, { byKeyboard: event.detail === 0 });
    });
    row.append(button);
    return { shape, button };
  });
  const none = element('button', { type: 'button', textContent: 'None' });
  none.addEventListener('click', () => {
    reading.change(place, []);
    onDone();
  });
  row.append(none);
  const help = element('p', { className: 'muted', role: 'status' });
  const list = element('ol', { className: 'marks' });
  const lines = [];
  return {
    parts: [row, help, list],
    update(draft, isStill) {
      const { images } = reading.current;
      const isHere = aimed()?.place === place;
      for (const { shape, button } of starters) {
        button.disabled = isStill || !imagesFor(place, images).length;
        button.setAttribute('aria-pressed', String(isHere && aimed().shape === shape));
      }
      none.disabled = isStill || Boolean(draft?.length);
      none.setAttribute('aria-pressed', String(draft?.length === 0));
      const text = isHere ? aimText() : '';
      if (help.textContent !== text) help.textContent = text;
      while (lines.length > (draft?.length || 0)) lines.pop().root.remove();
      (draft || []).forEach((mark, index) => {
        if (!lines[index]) {
          lines.push(markLine(place, index, onDone));
          list.append(lines[index].root);
        }
        lines[index].update(mark, isStill);
      });
    },
    first: draft => {
      const unrated = question.rated ? (draft || []).findIndex(mark => !isShare(mark.rating)) : -1;
      return lines[unrated]?.number || starters[0].button;
    },
    /** What asks for the rating of the mark that was set last. */
    last: () => lines[chosenMark()?.index]?.number || starters[0].button,
  };
}

function markLine(place, index, onDone) {
  const root = element('li', {});
  const words = element('span', { className: 'words' });
  const id = `rating-${count++}`;
  const number = place.question.rated && element('input', { type: 'number', id, min: '0', max: '100', step: '1', inputMode: 'numeric' });
  const remove = element('button', { type: 'button', className: 'danger', textContent: 'Remove' });
  const take = () => {
    const value = number.value === '' ? null : Number(number.value);
    const isGood = value === null || isShare(value);
    number.setAttribute('aria-invalid', String(!isGood));
    const rated = reading.draftOf(place).map((mark, at) => (at === index ? { ...mark, rating: value } : mark));
    if (isGood) reading.change(place, rated);
    return isShare(value);
  };
  remove.addEventListener('click', () => {
    removeMark(place, index);
    reading.request('stay');
  });
  root.append(words);
  if (number) {
    number.addEventListener('change', take);
    number.addEventListener('keydown', event => {
      if (event.key !== 'Enter' || event.ctrlKey) return;
      event.preventDefault(); // else the same stroke would press what gets the keyboard next, and leave the case
      if (take()) onDone();
    });
    root.append(number);
  }
  root.append(remove);
  return {
    root,
    number,
    update(mark, isStill) {
      const image = reading.current.images.find(({ number: at }) => at === mark.image);
      const text = `${image ? imageName(image) : mark.image}, ${mark.shape}`;
      if (words.textContent !== text) words.textContent = text;
      remove.setAttribute('aria-label', `Remove mark ${index + 1}`);
      remove.disabled = isStill;
      root.classList.toggle('chosen', chosenMark()?.place === place && chosenMark()?.index === index);
      if (!number) return;
      number.setAttribute('aria-label', `Rating of mark ${index + 1}, 0 to 100`);
      number.placeholder = '0-100';
      number.disabled = isStill;
      if (number.getRootNode().activeElement !== number) number.value = mark.rating ?? '';
    },
  };
}

function text(place) {
  const { question } = place;
  const area = element('textarea', { rows: 2, maxLength: question.max_characters });
  let late = null;
  const take = () => {
    if (late === null) return;
    clearTimeout(late);
    late = null;
    reading.change(place, area.value);
  };
  area.addEventListener('input', () => {
    reading.type(place, area.value);
    clearTimeout(late);
    late = setTimeout(take, TYPING_MS);
  });
  area.addEventListener('change', take);
  return {
    parts: [area],
    take,
    update(draft, isStill) {
      area.disabled = isStill;
      if (area.getRootNode().activeElement !== area) area.value = draft ?? '';
    },
    first: () => area,
  };
}

function element(name, properties) {
  const { role, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  if (role) made.setAttribute('role', role);
  return made;
}
