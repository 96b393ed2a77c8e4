/** The service's interface as the admin page uses it. Every failure is a Problem: something to show to a person. */

const ASSETS = "/api/v1/assets";
const KEYS = "/api/v1/keys";
const SESSION = "/admin/session";

const assetAt = (id, part = "") => [ASSETS, encodeURIComponent(id), part].filter(Boolean).join("/");

/** An RFC 9457 problem, or what stands in for one when the answer was no JSON. Status 0: no answer at all. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", title, detail }) {
    super(detail || title);
    Object.assign(this, { status, code, title, detail });
  }
}

export function problemFrom(status, text) {
  try {
    const { title, detail, code } = JSON.parse(text);
    if (title || detail) return new Problem({ status, code, title: title || detail, detail });
  } catch {
    // a proxy's HTML page; its status has to do
  }
  const known = { 401: "You are not signed in any more", 413: "The file is too large", 507: "The storage is full" };
  return new Problem({ status, code: "http", title: known[status] ?? `The server answered ${status}` });
}

const unreachable = () => new Problem({ title: "The server cannot be reached" });

async function call(path, { method = "GET", headers = {}, body, ...more } = {}) {
  const sent = body === undefined ? headers : { ...headers, "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body: JSON.stringify(body), cache: "no-store", ...more });
  } catch {
    throw unreachable();
  }
  const text = await response.text();
  if (!response.ok) throw problemFrom(response.status, text);
  return text ? JSON.parse(text) : null;
}

/** Who is signed in: { name, csrf_token, expires_at }, all null when nobody is. The cookie itself no script can read. */
export const currentSession = () => call(SESSION);
export const signIn = (token) => call(SESSION, { method: "POST", body: { token } });

export class Api {
  name; // whose session it is
  #proof; // what a change must carry beside the cookie

  constructor(session) {
    this.name = session.name;
    this.#proof = session.csrf_token;
  }

  /** `action(headers)`, which changes something. Another tab may have signed in anew: then once more with its proof. */
  async #change(action) {
    try {
      return await action(this.proof);
    } catch (problem) {
      if (problem.code !== "csrf") throw problem;
      await this.renew();
      return action(this.proof);
    }
  }

  signOut() {
    return this.#change((headers) => call(SESSION, { method: "DELETE", headers }));
  }

  /** The keys that are not revoked, oldest first. */
  async keys() {
    return (await call(KEYS)).items;
  }

  /** The new key; its `key` is what opens, and is never told again. */
  addKey(name, scopes) {
    return this.#change((headers) => call(KEYS, { method: "POST", headers, body: { name, scopes } }));
  }

  revokeKey(id) {
    return this.#gone(`${KEYS}/${encodeURIComponent(id)}`);
  }

  /** One page: { items, next_cursor, total }. `view`: { q, state, sort, order }, those that matter. */
  list(limit, cursor = null, view = {}) {
    const query = new URLSearchParams({ limit, ...view, ...(cursor && { cursor }) });
    return call(`${ASSETS}?${query}`);
  }

  /** The asset itself, or below it "timeline" and "history". */
  look(id, part = "") {
    return call(assetAt(id, part));
  }

  /** The asset with `changes`: title, visibility, poster_time. */
  edit(id, changes) {
    return this.#change((headers) => call(assetAt(id), { method: "PATCH", headers, body: changes }));
  }

  /** Have made anew what could not be made; the asset. */
  retry(id) {
    return this.#change((headers) => call(assetAt(id, "retry"), { method: "POST", headers }));
  }

  /** { token, expires_at, playback }: addresses that open for so many seconds. */
  sign(id, seconds) {
    const body = { expires_in: seconds };
    return this.#change((headers) => call(assetAt(id, "playback-tokens"), { method: "POST", headers, body }));
  }

  /** `keepalive`: it is sent although the page is being left. */
  remove(id, { keepalive = false } = {}) {
    return this.#gone(assetAt(id), { keepalive });
  }

  /** Deleting what is gone already is what was wanted. */
  async #gone(path, { headers: own = {}, ...how } = {}) {
    try {
      await this.#change((headers) => call(path, { method: "DELETE", headers: { ...own, ...headers }, ...how }));
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
  }

  /** How an upload stands: { state, offset, length, asset, error }; asking disturbs nobody. `url` as the service named it. */
  upload(url, { signal } = {}) {
    return call(url, { signal });
  }

  /** Give an upload up. */
  dropUpload(url) {
    return this.#gone(url, { headers: { "Tus-Resumable": "1.0.0" } });
  }

  /** What a change that goes its own way (an upload's) must carry. */
  get proof() {
    return { "X-CSRF-Token": this.#proof };
  }

  /** Ask whether we are still signed in, and for the proof of now. */
  async renew() {
    const { csrf_token: proof } = await currentSession();
    if (!proof) throw new Problem({ status: 401, code: "unauthorized", title: "You are not signed in any more" });
    this.#proof = proof;
  }
}
