/** What an upload does about a problem: try again, and when, or give up. Pure. */

const DELAYS_MS = [1000, 2000, 4000, 8000, 15000, 30000]; // growing, so that a server that starts is not met by a crowd
const UNHEARD = new Set([0, 502, 503, 504]); // nobody there, or nginx with nobody behind it
const HEARD = new Set(["busy", "catalog_unavailable"]); // 503s of a service that is there
const PASSING = new Set([408, 409, 423, 425, 429, 460, 500, 502, 503, 504]); // docs/uploads.md, "When it does not go on"
const BROKEN_TRIES = 6; // a server that says "internal error" so often in a row means it

/**
 * `problem`: { status, code, title, wait } with the milliseconds that the service asked for, if it did. `begun`: the service
 * knows the upload; `tries`: in vain so far. null: it is of no use; else { delay, words, anew }, `anew` meaning from the start.
 */
export function verdict({ status, code, title, wait = 0 }, { begun, tries }, random = Math.random) {
  if (status === 404 || status === 410) return begun ? { delay: 0, words: "", anew: true } : null;
  if (code === "csrf" && tries < 2) return { delay: 0, words: "", anew: false }; // another tab has signed in anew
  if (code === "upload_taken_over") return null; // by another window or program; to take it back would go on for ever
  const unheard = UNHEARD.has(status) && !HEARD.has(code);
  if (!unheard && (!PASSING.has(status) || (status === 500 && tries >= BROKEN_TRIES))) return null;
  const delay = DELAYS_MS[Math.min(tries, DELAYS_MS.length - 1)] * (0.75 + random() / 2);
  return { delay: Math.max(wait, delay), words: unheard ? "Waiting for the connection…" : `Waiting: ${title}`, anew: false };
}
