/** Where viewers stopped watching, in this browser alone: { id: [seconds, when] }. The rules are pure, the storage is not. */

const KEY = "media-service:places";
const [FILMS, EARLY_SECONDS, LATE_FRACTION] = [100, 5, 0.05];

/** Whether `at` is worth remembering: not at the beginning, and not where the film is as good as over. */
export function isPlace(at, duration) {
  return at >= EARLY_SECONDS && at <= duration - Math.max(EARLY_SECONDS, duration * LATE_FRACTION);
}

/** `places` with that of `id` set, or gone when it is not one; the films that were watched last are kept. */
export function withPlace(places, id, at, duration, now) {
  const others = Object.entries(places).filter(([other]) => other !== id);
  const found = isPlace(at, duration) ? [...others, [id, [Math.round(at * 1000) / 1000, now]]] : others;
  return Object.fromEntries(found.sort(([, a], [, b]) => b[1] - a[1]).slice(0, FILMS));
}

/** What `text` says, if it is what `withPlace` makes: somebody may have written something else there. */
export function readPlaces(text) {
  try {
    const isSound = ([, place]) => Array.isArray(place) && place.length === 2 && place.every(Number.isFinite);
    return Object.fromEntries(Object.entries(JSON.parse(text) ?? {}).filter(isSound));
  } catch {
    return {};
  }
}

// The storage may be forbidden, or full: then nothing is remembered.
function stored() {
  try {
    return readPlaces(localStorage.getItem(KEY));
  } catch {
    return {};
  }
}

/** Seconds, or null. */
export const placeOf = (id) => stored()[id]?.[0] ?? null;

export function keepPlace(id, at, duration) {
  try {
    localStorage.setItem(KEY, JSON.stringify(withPlace(stored(), id, at, duration, Date.now())));
  } catch {
    // as above
  }
}
