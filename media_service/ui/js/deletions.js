/** Deleting with a way back: gone from the page at once, from the service only when nobody has wanted it back for a while. */

import { byId, element } from "./dom.js";

const GRACE_MS = 8000;

export class Deletions {
  #api;
  #hooks;
  #waiting = new Map(); // id -> asset
  #leaving = new Set(); // the ids of those that are just being deleted
  #timer;
  #over = new AbortController();

  /** hooks: onBack(asset) when it is wanted back, onGone(asset), onFailed(asset, problem), home(): what gets the focus next. */
  constructor(api, hooks) {
    this.#api = api;
    this.#hooks = hooks;
    // Who leaves has not asked for it back. The page may be kept and shown again: then there is nothing to undo any more.
    addEventListener("pagehide", () => this.settle({ keepalive: true }), { signal: this.#over.signal });
  }

  /** Nobody is signed in any more: what waits is not deleted. */
  end() {
    this.#over.abort();
    this.#waiting.clear();
    this.#hide();
  }

  /** Somebody else has deleted it: there is nothing to have back. */
  gone(id) {
    if (this.#waiting.delete(id) && !this.#waiting.size) this.#hide();
  }

  has(id) {
    return this.#waiting.has(id) || this.#leaving.has(id);
  }

  add(asset) {
    this.#waiting.set(asset.id, asset);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.settle(), GRACE_MS);
    const { size } = this.#waiting;
    const undo = element("button", { type: "button", textContent: "Undo", onclick: () => this.#undo() });
    const words = size === 1 ? `Deleted: ${asset.title}` : `Deleted: ${size} videos`;
    byId("undo").replaceChildren(element("span", { textContent: words }), undo);
    byId("undo").classList.add("shown");
  }

  #undo() {
    const back = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#hide();
    for (const asset of back) this.#hooks.onBack(asset);
  }

  /** Now or never: what waits is deleted. */
  async settle({ keepalive = false } = {}) {
    const gone = [...this.#waiting.values()];
    if (!gone.length) return;
    this.#waiting.clear();
    this.#hide();
    await Promise.all(gone.map((asset) => this.#remove(asset, keepalive)));
  }

  async #remove(asset, keepalive) {
    this.#leaving.add(asset.id);
    try {
      await this.#api.remove(asset.id, { keepalive });
      this.#hooks.onGone(asset);
    } catch (problem) {
      this.#leaving.delete(asset.id);
      this.#hooks.onFailed(asset, problem);
    }
  }

  #hide() {
    clearTimeout(this.#timer);
    const node = byId("undo");
    const focused = node.contains(document.activeElement);
    node.classList.remove("shown");
    node.replaceChildren();
    if (focused) this.#hooks.home()?.focus();
  }
}
