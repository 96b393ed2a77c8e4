/** Of several windows one has an upload; the others take it over when that one is closed. */

const NAME = "upload:";
const [ANSWER_MS, AGAIN_MS] = [300, 5000];

/** Hold the upload `id` for this window: `work(release)` once it is ours. Given up when `signal` is aborted before. */
export function hold(id, signal, work) {
  if (!navigator.locks) return ask(id, signal, work);
  const held = () => new Promise((release) => work(release));
  // The only rejection there is: `signal` was aborted while waiting.
  return navigator.locks.request(NAME + id, { signal }, held).catch(() => {});
}

// Web Locks exist in secure contexts only. On plain http windows ask each other.
const mine = new Set();
const channel = navigator.locks ? null : new BroadcastChannel("uploads");
const answer = ({ data: { whose } }) => mine.has(whose) && channel.postMessage({ held: whose });
channel?.addEventListener("message", answer);

async function ask(id, signal, work) {
  while (!signal.aborted) {
    if (!(await isHeld(id))) {
      mine.add(id);
      return work(() => mine.delete(id));
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  return undefined;
}

function isHeld(id) {
  return new Promise((resolve) => {
    const listening = new AbortController();
    const end = (held) => (listening.abort(), resolve(held));
    channel.addEventListener("message", ({ data }) => data.held === id && end(true), { signal: listening.signal });
    channel.postMessage({ whose: id });
    setTimeout(end, ANSWER_MS, false);
  });
}
