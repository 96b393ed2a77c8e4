/** The service's interface as the admin page uses it. Every failure is a Problem: something to show to a person. */

const ASSETS = "/api/v1/assets";
const KEYS = "/api/v1/keys";
const SESSION = "/admin/session";

/** An RFC 9457 problem, or what stands in for one when the answer was no JSON. Status 0: no answer at all. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", title, detail }) {
    super(detail || title);
    Object.assign(this, { status, code, title, detail });
  }
}

function problemFrom(status, text) {
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

async function call(path, { method = "GET", headers = {}, body } = {}) {
  const sent = body === undefined ? headers : { ...headers, "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body: JSON.stringify(body), cache: "no-store" });
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
  #proof; // what a change must carry beside the cookie

  constructor(session) {
    this.#proof = session.csrf_token;
  }

  /** `action(headers)`, which changes something. Another tab may have signed in anew: then once more with its proof. */
  async #change(action) {
    try {
      return await action({ "X-CSRF-Token": this.#proof });
    } catch (problem) {
      if (problem.code !== "csrf") throw problem;
      const { csrf_token: proof } = await currentSession();
      if (!proof) throw new Problem({ status: 401, title: "You are not signed in any more" });
      this.#proof = proof;
      return action({ "X-CSRF-Token": proof });
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

  /** One page, newest first: { items, next_cursor }. */
  list(limit, cursor = null) {
    const query = new URLSearchParams({ limit, ...(cursor && { cursor }) });
    return call(`${ASSETS}?${query}`);
  }

  remove(id) {
    return this.#gone(`${ASSETS}/${encodeURIComponent(id)}`);
  }

  /** Deleting what is gone already is what was wanted. */
  async #gone(path) {
    try {
      await this.#change((headers) => call(path, { method: "DELETE", headers }));
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
  }

  /** The asset made of `file`. XMLHttpRequest, because fetch does not tell how far an upload is. */
  upload(file, { signal, onProgress }) {
    return this.#change((headers) => this.#send(file, headers, { signal, onProgress }));
  }

  #send(file, headers, { signal, onProgress }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", `${ASSETS}?${new URLSearchParams({ filename: file.name })}`);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
      request.upload.onprogress = ({ loaded }) => onProgress(loaded);
      request.onload = () => {
        if (request.status !== 201) return reject(problemFrom(request.status, request.responseText));
        resolve(JSON.parse(request.responseText));
      };
      request.onerror = () => this.#whyBroken().then(reject);
      request.onabort = () => reject(signal.reason);
      signal.addEventListener("abort", () => request.abort(), { once: true });
      request.send(file);
    });
  }

  /** A server that refuses a body closes the line, and browsers then show no answer. Ask what is the matter. */
  async #whyBroken() {
    try {
      await this.list(1);
      const { csrf_token: proof } = await currentSession();
      if (proof !== this.#proof) return new Problem({ status: 403, code: "csrf", title: "Somebody has signed in anew" });
    } catch (problem) {
      return problem;
    }
    const detail = "The connection broke off. The file may be too large, or unreadable here, or the line was lost.";
    return new Problem({ code: "broken_off", title: "The upload broke off", detail });
  }
}
