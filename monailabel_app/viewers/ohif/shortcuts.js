// Keys of our sections of the viewer, and the dialog that lists them.

const groups = new Map(); // name -> [{keys, label, run}]
const ARROWS = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'];
const OWN = new Set([' ', 'Enter', ...ARROWS, 'Home', 'End', 'PageUp', 'PageDown']);
const CONTROLS = ['range', 'checkbox', 'radio', 'button', 'file']; // inputs that no text is typed into
const SPOKEN = { ctrl: 'Ctrl', shift: 'Shift', escape: 'Esc' };

/** Listen to a group of keys ([{keys: ['ctrl+z'], label, run}]) until the returned function is called. */
export function addShortcuts(name, shortcuts) {
  if (!groups.size) window.addEventListener('keydown', onKey, true);
  groups.set(name, shortcuts);
  return () => {
    if (groups.get(name) !== shortcuts) return;
    groups.delete(name);
    if (!groups.size) window.removeEventListener('keydown', onKey, true);
  };
}

/** Keep keys that a focused control acts upon (space, arrows) from OHIF, which resets and moves viewports with them. */
export function keepControlKeys(host) {
  host.addEventListener('keydown', event => OWN.has(event.key) && event.stopPropagation());
}

/** Show every key of ours that works now. */
export function showShortcuts() {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'mammosynth-shortcuts');
  dialog.style.cssText =
    'margin: auto; padding: 16px 24px; max-height: 90vh; overflow: auto; color: #fff; background: #041c4a; ' +
    'border: 1px solid #5acce6; border-radius: 8px; font: 14px sans-serif;';
  const title = element('h2', 'Keyboard shortcuts');
  title.id = 'mammosynth-shortcuts';
  title.style.cssText = 'font-size: 18px; margin: 0 0 8px';
  const close = element('button', 'Close');
  close.style.cssText =
    'margin-top: 12px; padding: 4px 12px; border: 1px solid #5acce6; border-radius: 4px; background: #041c4a; ' +
    'color: #fff;';
  close.addEventListener('click', () => dialog.close());
  dialog.append(title, ...[...groups].flatMap(([name, shortcuts]) => [heading(name), table(shortcuts)]), close);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('keydown', event => event.stopPropagation());
  document.body.append(dialog);
  dialog.showModal();
}

function heading(name) {
  const made = element('h3', name);
  made.style.cssText = 'font-size: 14px; margin: 12px 0 4px; color: #5acce6';
  return made;
}

function table(shortcuts) {
  const made = document.createElement('table');
  for (const { keys, label } of shortcuts) {
    const row = made.insertRow();
    const name = element('th', keys.map(spoken).join(' or '));
    name.scope = 'row';
    name.style.cssText = 'text-align: left; padding: 2px 24px 2px 0; min-width: 150px; font-family: monospace';
    row.append(name);
    row.insertCell().textContent = label;
  }
  return made;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const spoken = keys =>
  keys
    .split('+')
    .map(key => SPOKEN[key] || key)
    .join('+');

function onKey(event) {
  if (isTyping(event.composedPath()[0]) || document.querySelector('dialog[open]')) return;
  const pressed = combination(event);
  const found = [...groups.values()].flat().find(({ keys }) => keys.includes(pressed));
  if (!found) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  found.run();
}

function isTyping(target) {
  if (target instanceof HTMLInputElement) return !CONTROLS.includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

function combination(event) {
  const key = event.key.toLowerCase();
  if (event.getModifierState('AltGraph')) return key; // how some keyboards type a bracket
  if (event.altKey) return `alt+${key}`;
  const isLetter = /^[a-z]$/.test(key);
  return (event.ctrlKey || event.metaKey ? 'ctrl+' : '') + (event.shiftKey && isLetter ? 'shift+' : '') + key;
}
