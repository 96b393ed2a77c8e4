/**
 * The uploads that this browser has begun and not finished: what a reload must not forget.
 *
 * localStorage has a note of each; IndexedDB the file's handle, where the browser gives one (Chromium's dialogue and drop, on
 * https or localhost). Where neither can be kept, uploads work all the same, and are forgotten with the page.
 */

const PREFIX = "upload:";
const [DATABASE, HANDLES] = ["uploads", "handles"];

/** A note of `file`: { id, owner, name, size, modified, url, begun, dropped }. `url` is null until the service knows of it. */
export function noteOf(file, owner) {
  // crypto.randomUUID exists in secure contexts only.
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const { name, size, lastModified: modified } = file;
  return { id, owner, name, size, modified, url: null, begun: Date.now(), dropped: false };
}

/** Could `file` be the one of this note? Its name may have changed; what changed its content has changed its date. */
export const isOf = (note, file) => file.size === note.size && file.lastModified === note.modified;

export function keep(note) {
  try {
    localStorage.setItem(PREFIX + note.id, JSON.stringify(note));
  } catch {
    // forbidden or full
  }
}

export function forget({ id }) {
  try {
    localStorage.removeItem(PREFIX + id);
  } catch {
    // forbidden: then there is nothing to forget
  }
  handles("readwrite", (store) => store.delete(id));
}

/** The note as it is now; null when somebody has forgotten it. */
export function noted(id) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + id));
  } catch {
    return null;
  }
}

/** The notes of this owner, oldest first. */
export function unfinished(owner) {
  let names = [];
  try {
    names = Object.keys(localStorage);
  } catch {
    // forbidden
  }
  const found = names.filter((name) => name.startsWith(PREFIX)).map((name) => noted(name.slice(PREFIX.length)));
  return found.filter((note) => note?.owner === owner).sort((one, other) => one.begun - other.begun);
}

export const keepHandle = ({ id }, handle) => handles("readwrite", (store) => store.put(handle, id));

/** The FileSystemFileHandle that was kept, or null. */
export const handleOf = async ({ id }) => (await handles("readonly", (store) => store.get(id))) ?? null;

/** What `action(store)` asks for, or undefined where IndexedDB is not to be had. */
function handles(mode, action) {
  return new Promise((resolve) => {
    const none = () => resolve(undefined);
    try {
      const opening = indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(HANDLES);
      opening.onerror = opening.onblocked = none;
      opening.onsuccess = () => {
        const database = opening.result;
        const transaction = database.transaction(HANDLES, mode);
        const request = action(transaction.objectStore(HANDLES));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onerror = transaction.onabort = none;
        database.close(); // when the transaction is over
      };
    } catch {
      none();
    }
  });
}
