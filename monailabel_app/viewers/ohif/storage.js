// What lasts as long as the tab, through reloads, or longer than the browser.

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

/** What outlives the browser. */
export const lasting = {
  /** Keep a value of JSON; null: keep it no longer. */
  keep(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
    } catch {
      // as above
    }
  },

  /** What was kept under a name; null if nothing. */
  kept(name) {
    try {
      return JSON.parse(localStorage.getItem(name) ?? 'null');
    } catch {
      return null;
    }
  },
};
