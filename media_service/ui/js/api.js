/** The service's interface as the admin page uses it. Every failure is a Problem: something to show to a person. */

const ASSETS = "/api/v1/assets";

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
  const known = { 401: "The token is not accepted", 413: "The file is too large", 507: "The storage is full" };
  return new Problem({ status, code: "http", title: known[status] ?? `The server answered ${status}` });
}

const unreachable = () => new Problem({ title: "The server cannot be reached" });

export class Api {
  #headers;

  constructor(token) {
    this.#headers = { Authorization: `Bearer ${token}` };
  }

  async #call(path, method = "GET") {
    let response;
    try {
      response = await fetch(path, { method, headers: this.#headers, cache: "no-store" });
    } catch {
      throw unreachable();
    }
    const text = await response.text();
    if (!response.ok) throw problemFrom(response.status, text);
    return text ? JSON.parse(text) : null;
  }

  /** One page, newest first: { items, next_cursor }. */
  list(limit, cursor = null) {
    const query = new URLSearchParams({ limit, ...(cursor && { cursor }) });
    return this.#call(`${ASSETS}?${query}`);
  }

  /** Deleting what is gone already is what was wanted. */
  async remove(id) {
    try {
      await this.#call(`${ASSETS}/${encodeURIComponent(id)}`, "DELETE");
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
  }

  /** The asset made of `file`. XMLHttpRequest, because fetch does not tell how far an upload is. */
  upload(file, { signal, onProgress }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", `${ASSETS}?${new URLSearchParams({ filename: file.name })}`);
      for (const [name, value] of Object.entries(this.#headers)) request.setRequestHeader(name, value);
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
    } catch (problem) {
      return problem;
    }
    const detail = "The connection broke off. The file may be too large, or unreadable here, or the line was lost.";
    return new Problem({ code: "broken_off", title: "The upload broke off", detail });
  }
}
