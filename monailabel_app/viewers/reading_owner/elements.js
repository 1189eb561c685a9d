// Elements of a page, in one expression each.

/** What the page holds under a selector. */
export const find = selector => /** @type {any} */ (document.querySelector(selector));

/** An element with properties (`aria-...`, `scope`, `for` and data as attributes) and what it holds. */
export function element(name, properties = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...content);
  return made;
}

/** A table: a caption, heads of its columns, and rows whose first cell heads them. */
export function table(caption, heads, rows) {
  const head = text => element('th', { scope: 'col' }, text);
  const row = ([first, ...rest]) =>
    element('tr', {}, element('th', { scope: 'row' }, first), ...rest.map(each => element('td', {}, each)));
  return element(
    'table',
    {},
    element('caption', {}, caption),
    element('thead', {}, element('tr', {}, ...heads.map(head))),
    element('tbody', {}, ...rows.map(row))
  );
}

/** A button that does something. */
export const button = (text, action, properties = {}) =>
  element('button', { type: 'button', onclick: action, ...properties }, text);

/** A part of the page under a heading. */
export function section(title, ...content) {
  const id = `heading-${title.replace(/\W/g, '-')}`;
  return element('section', { 'aria-labelledby': id, className: 'stack' }, element('h3', { id }, title), ...content);
}

/** A control under its label. */
export const field = (label, control) =>
  element('div', { className: 'field' }, element('label', { for: control.id }, label), control);
