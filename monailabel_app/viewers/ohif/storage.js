// What lasts as long as the tab, through reloads.

/** What was kept under a name; null if nothing. */
export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? 'null');
  } catch {
    return null; // storage is forbidden, or holds something else
  }
}

/** Keep a value of JSON. */
export function keep(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    // without storage, or with a full one, it lasts as long as the page
  }
}
