/** What of the library is shown, and in which order; and how that stands in the page's address. Pure. */

export const SORTS = {
  "created desc": "Newest first",
  "created asc": "Oldest first",
  "title asc": "Title, A to Z",
  "title desc": "Title, Z to A",
  "duration desc": "Longest first",
  "duration asc": "Shortest first",
  "size desc": "Largest first",
  "size asc": "Smallest first",
};
const STATES = new Set(["probing", "playable", "ready", "failed"]);

export const ALL = { q: "", state: "", sort: "created", order: "desc" };

/** The view that an address's query names; whatever it does not know is as in ALL. */
export function viewFrom(query) {
  const told = new URLSearchParams(query);
  const { q, state, sort, order } = { ...ALL, ...Object.fromEntries(told) };
  const known = Object.hasOwn(SORTS, `${sort} ${order}`) ? { sort, order } : { sort: ALL.sort, order: ALL.order };
  return { q: q.slice(0, 200), state: STATES.has(state) ? state : "", ...known };
}

/** What differs from ALL: for the page's address and for the service, which have the same words. */
export const changed = (view) => Object.fromEntries(Object.entries(view).filter(([name, value]) => value !== ALL[name]));

const caseless = (text) => text.toUpperCase().toLowerCase(); // by way of the capitals ß is ss, as the service has it

/** As the service sorts titles: case and accents make no difference, and numbers count as numbers. */
function titleKey(title) {
  const letters = caseless(title.normalize("NFKD")).replace(/\p{M}/gu, "");
  return letters.replace(/[0-9]+/g, (digits) => digits.padStart(10, "0"));
}

const KEYS = {
  created: ({ created_at: instant }) => instant,
  title: ({ title }) => titleKey(title),
  duration: ({ duration }) => duration,
  size: ({ size }) => size,
};
const compared = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** Compares two assets in the order of `view`: below 0 when `a` stands before `b`. Those without the value come last. */
export function inOrder({ sort, order }, a, b) {
  const [one, other] = [KEYS[sort](a), KEYS[sort](b)];
  if ((one === null) !== (other === null)) return one === null ? 1 : -1;
  const direction = order === "desc" ? -1 : 1;
  return direction * (compared(one, other) || compared(a.id, b.id));
}

const folded = (text) => caseless(text.normalize("NFKC"));

/** Whether `asset` belongs to what is shown, as far as one can tell without asking. */
export function matches({ q, state }, asset) {
  if (state && asset.state !== state) return false;
  return folded(`${asset.title}\n${asset.filename}`).includes(folded(q));
}
