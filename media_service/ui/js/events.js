/**
 * Server-Sent Events over fetch. EventSource does not tell a refusal from a broken line, and does not notice a line
 * that is dead. Parsing as in the HTML standard, section 9.2.6 ("Interpreting an event stream").
 */

const LONGEST = 1 << 20; // characters in one event; an asset's JSON is a few thousand
const SILENCE_MS = 45000; // the service sends a comment every 15 s: three missing and the line is dead
const [RETRY_MS, RETRY_MOST_MS] = [1000, 30000];
const UNSEEN_MS = 5000;

/** Bytes in, events out; holds whatever is incomplete. */
export class EventStreamParser {
  lastEventId = "";
  retry = null; // milliseconds, if the stream said so
  #decoder = new TextDecoder(); // strips one byte order mark, replaces broken UTF-8
  #rest = "";
  #afterReturn = false;
  #type = "";
  #data = [];
  #held = 0;
  #id = "";

  constructor(lastEventId = "") {
    this.lastEventId = this.#id = lastEventId;
  }

  /** The events that `bytes` (a Uint8Array) completes: [{ type, data, id }]. Throws RangeError when one is too long. */
  feed(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return [];
    // A line may end in CR, LF or CRLF, and a CRLF may be cut in two.
    if (this.#afterReturn && text[0] === "\n") text = text.slice(1);
    this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    const events = lines.map((line) => this.#line(line)).filter(Boolean);
    if (this.#rest.length + this.#held > LONGEST) throw new RangeError("an event is too long");
    return events;
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment: the heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") {
      this.#data.push(value);
      this.#held += value.length;
    } else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return null;
  }

  #dispatch() {
    const event = this.#data.length
      ? { type: this.#type || "message", data: this.#data.join("\n"), id: this.#id }
      : null;
    this.lastEventId = this.#id;
    [this.#type, this.#data, this.#held] = ["", [], 0];
    return event;
  }
}

/**
 * Whether anybody may be looking at the page. One that has been hidden for a while lets go of its line: over HTTP/1.1 a browser
 * has six to a service, for all its tabs.
 */
class Sight {
  lost = false;
  #timer;
  #back = () => {};

  constructor(signal, onLost) {
    const page = globalThis.document;
    const look = () => {
      clearTimeout(this.#timer);
      if (page?.hidden && !signal.aborted) this.#timer = setTimeout(() => onLost((this.lost = true)), UNSEEN_MS);
      else this.#back((this.lost = false));
    };
    page?.addEventListener("visibilitychange", look, { signal });
    signal.addEventListener("abort", look, { once: true });
    look();
  }

  /** Resolves when the page is looked at, or `signal` has aborted. */
  async back() {
    if (this.lost) await new Promise((resolve) => (this.#back = resolve));
  }
}

/**
 * Follow the stream at `url` until `signal` aborts, reconnecting with back-off from where it broke off; nobody listens while
 * the page is hidden.
 * `onEvent(event)`; `onState("open" | "lost" | "refused" | "gone")`, after "refused" (401, 403) and "gone" (404, 410: what
 * it is about is no more) it is over.
 */
export async function follow(url, { onEvent, onState, signal }) {
  const place = { lastEventId: "", retry: RETRY_MS, failures: 0 };
  let line;
  const sight = new Sight(signal, () => line.abort());
  for (;;) {
    await sight.back();
    if (signal.aborted) return;
    line = new AbortController();
    const hangUp = () => line.abort();
    signal.addEventListener("abort", hangUp, { once: true });
    try {
      const headers = { Accept: "text/event-stream" };
      if (place.lastEventId) headers["Last-Event-ID"] = place.lastEventId;
      const response = await fetch(url, { headers, signal: line.signal, cache: "no-store" });
      if (response.status === 401 || response.status === 403) return onState("refused");
      if (response.status === 404 || response.status === 410) return onState("gone");
      if (!response.ok) throw new TypeError(`the event stream answered ${response.status}`);
      onState("open");
      await listen(response, line, place, onEvent);
    } catch (error) {
      // Broken lines are part of the day; a mistake of ours is not, and must be seen.
      const broken = error instanceof TypeError || error instanceof RangeError || error.name === "AbortError";
      if (!broken && !signal.aborted) reportError(error);
    } finally {
      signal.removeEventListener("abort", hangUp);
      line.abort();
    }
    if (signal.aborted) return;
    if (sight.lost) continue;
    onState("lost");
    const pause = Math.min(RETRY_MOST_MS, place.retry * 2 ** place.failures++);
    // Spread out, so that a restarted service does not meet all its clients in one instant.
    await new Promise((done) => setTimeout(done, pause * (0.75 + Math.random() / 2)));
  }
}

/** A mistake in a handler is no broken line: it is reported, and what comes next is heard. */
function hear(event, onEvent) {
  try {
    onEvent(event);
  } catch (error) {
    reportError(error);
  }
}

async function listen(response, line, place, onEvent) {
  const parser = new EventStreamParser(place.lastEventId);
  const reader = response.body.getReader();
  for (;;) {
    const silence = setTimeout(() => line.abort(), SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    place.failures = 0;
    for (const event of parser.feed(value)) hear(event, onEvent);
    place.lastEventId = parser.lastEventId;
    place.retry = parser.retry ?? place.retry;
  }
}
