/** Which key does what on the watch page. Pure. */

const FIXED = {
  ArrowLeft: ["by", -5],
  ArrowRight: ["by", 5],
  j: ["by", -10],
  l: ["by", 10],
  k: ["toggle"],
  " ": ["toggle"],
  ",": ["frame", -1],
  ".": ["frame", 1],
  m: ["mute"],
  c: ["subtitles"],
  f: ["fullscreen"],
};

/** [action, amount] for a keydown event's `key`, or null; shortcuts of the browser (Ctrl-L, Alt-←) are left alone. */
export function actionFor({ key, ctrlKey, altKey, metaKey, shiftKey }) {
  if (ctrlKey || altKey || metaKey || (shiftKey && key.startsWith("Arrow"))) return null;
  if (/^[0-9]$/.test(key)) return ["tenth", Number(key)];
  const name = key.length === 1 ? key.toLowerCase() : key;
  return Object.hasOwn(FIXED, name) ? FIXED[name] : null;
}

/** Where a seek lands: inside what can be sought, [first, last] in seconds. */
export const clamp = (seconds, first, last) => Math.min(Math.max(seconds, first), Math.max(first, last));
