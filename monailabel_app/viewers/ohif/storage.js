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

const DATABASE = 'mammosynth';
const STORE = 'kept';

/** What outlives the browser, even one that is killed: local storage would be written seconds later. */
export const lasting = {
  /** Keep a value of JSON; null: keep it no longer. Later calls come after earlier ones. */
  async keep(name, value) {
    await inStore('readwrite', store => (value === null ? store.delete(name) : store.put(value, name)));
  },

  /** Resolves to what was kept under a name; null if nothing. */
  kept: async name => (await inStore('readonly', store => store.get(name))) ?? null,
};

let opening = null;

/** Resolves to what a request to the store gives; null without storage, or with a full one. */
async function inStore(mode, ask) {
  try {
    const database = await (opening ??= opened());
    const transaction = database.transaction(STORE, mode);
    const request = ask(transaction.objectStore(STORE));
    transaction.commit(); // at once, without the way there and back of the request
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    return request.result;
  } catch (error) {
    console.warn('Nothing can be kept in this browser:', error);
    return null;
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      request.result.onclose = () => (opening = null); // signing out in another tab deletes it
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
}
