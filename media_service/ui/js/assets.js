/** The library: rows that change in place, so that focus, selection and screen readers are not disturbed. */

import { byId, copyText, element, setProgress, setText } from "./dom.js";
import { bytes, duration, percent, rendition } from "./format.js";

const WORDS = {
  receiving: "Receiving",
  probing: "Checking",
  playable: "Playable",
  ready: "Ready",
  failed: "Failed",
};

/** Whether `a` stands above `b`: newest first, as the service pages. */
const above = (a, b) => (a.created_at === b.created_at ? a.id > b.id : a.created_at > b.created_at);

export class Assets {
  complete = false; // whether the oldest asset is shown
  #rows = new Map();
  #deleted = new Set();
  #hooks;

  /** hooks: remove(asset), announce(text). */
  constructor(hooks) {
    this.#hooks = hooks;
    byId("assets").replaceChildren();
  }

  get size() {
    return this.#rows.size;
  }

  ids() {
    return [...this.#rows.keys()];
  }

  /** Of the rows `before`, forget those that the first page `items` should hold and does not: deleted unseen. */
  drop(before, items, complete) {
    const kept = new Set(items.map(({ id }) => id));
    const oldest = items.at(-1);
    const inPage = (asset) => complete || (oldest && above(asset, oldest));
    for (const id of before) if (!kept.has(id) && inPage(this.#rows.get(id)?.asset ?? oldest)) this.remove(id);
  }

  /** `fromList`: read at some earlier moment, so it never takes back what an event has told since. */
  put(asset, { fromList = false } = {}) {
    const row = this.#rows.get(asset.id);
    if (this.#deleted.has(asset.id)) return;
    if (!row) return this.#insert(asset, fromList);
    if (asset.updated_at < row.asset.updated_at || (fromList && asset.updated_at === row.asset.updated_at)) return;
    if (asset.state !== row.asset.state) {
      this.#hooks.announce(`${asset.title}: ${WORDS[asset.state] ?? asset.state}`);
    }
    row.show(asset);
  }

  #insert(asset, fromList) {
    const list = byId("assets");
    const next = [...list.children].find((node) => above(asset, this.#rows.get(node.dataset.id).asset));
    // Older than all that is shown: it belongs to a page that was not loaded yet.
    if (!next && !fromList && !this.complete && this.size) return;
    const row = new AssetRow(asset, this.#hooks);
    this.#rows.set(asset.id, row);
    list.insertBefore(row.node, next ?? null);
  }

  remove(id) {
    const row = this.#rows.get(id);
    this.#deleted.add(id);
    if (!row) return;
    const next = row.node.nextElementSibling ?? row.node.previousElementSibling;
    const focused = row.node.contains(document.activeElement) || document.activeElement === document.body;
    row.node.remove();
    this.#rows.delete(id);
    if (focused) (next?.querySelector("a, button") ?? byId("choose")).focus();
  }
}

class AssetRow {
  #poster = element("img", { alt: "", loading: "lazy", decoding: "async", hidden: true });
  #title = element("a", { className: "name", target: "_blank", rel: "noopener" });
  #badge = element("span", { className: "badge" });
  #meta = element("span");
  #bar = element("progress", { max: 1 });
  #renditions = element("ul", { className: "renditions" });
  #problem = element("p", { className: "problem" });
  #open = element("a", { className: "button", target: "_blank", rel: "noopener", textContent: "Open" });
  #copy = element("details", { className: "menu" });
  #delete = element("button", { type: "button", className: "quiet danger", textContent: "Delete" });

  constructor(asset, { remove }) {
    const words = element("div", { className: "words" }, this.#title);
    words.append(element("p", { className: "meta" }, this.#badge, this.#meta), this.#bar, this.#renditions);
    words.append(this.#problem);
    const actions = element("div", { className: "actions" }, this.#open, this.#copy, this.#delete);
    this.#delete.onclick = () => remove(this.asset);
    this.#poster.addEventListener("error", () => (this.#poster.hidden = true));
    this.#copy.addEventListener("keydown", ({ key }) => key === "Escape" && this.#closeMenu());
    this.#copy.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !this.#copy.contains(relatedTarget)) this.#copy.open = false;
    });
    const thumb = element("div", { className: "thumb" }, this.#poster);
    this.node = element("li", { className: "card row asset" }, thumb, words, actions);
    this.show(asset);
  }

  show(asset) {
    this.asset = asset;
    const { playback, state, title } = asset;
    const playable = Boolean(playback.original || playback.hls || playback.mp4);
    Object.assign(this.node.dataset, { id: asset.id, state });
    setText(this.#title, title || asset.filename || asset.id);
    setText(this.#badge, this.#words(playable));
    for (const link of [this.#title, this.#open]) {
      if (playable) link.href = playback.watch;
      else link.removeAttribute("href");
    }
    this.#open.hidden = !playable;
    this.#open.setAttribute("aria-label", `Open ${title} in a new tab`);
    this.#delete.setAttribute("aria-label", `Delete ${title}`);
    setText(this.#meta, this.#facts().join(" · "));
    this.#showProgress();
    this.#showRenditions();
    setText(this.#problem, asset.error ? `${asset.error.detail || "It could not be used."} (${asset.error.code})` : "");
    if (playback.poster && this.#poster.getAttribute("src") !== playback.poster) {
      this.#poster.src = playback.poster;
      this.#poster.hidden = false;
    }
    this.#showLinks();
  }

  #words(playable) {
    const { progress, state } = this.asset;
    if (state !== "playable") return WORDS[state] ?? state;
    if (progress === null) return playable ? "Playable, waiting" : "Waiting";
    return playable ? "Playable, converting" : "Converting";
  }

  #facts() {
    const { duration: seconds, width, height, size, created_at, progress, state } = this.asset;
    const created = new Date(created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const facts = [seconds === null ? null : duration(seconds), width ? `${width} × ${height}` : null];
    facts.push(size === null ? null : bytes(size), created);
    if (state === "playable" && progress !== null) facts.unshift(percent(progress));
    return facts.filter(Boolean);
  }

  #showProgress() {
    const { progress, state, title } = this.asset;
    // One that waits for its turn shows no bar: a dozen moving ones would say that much is going on.
    this.#bar.hidden = state === "ready" || state === "failed" || (state === "playable" && progress === null);
    this.#bar.setAttribute("aria-label", `Conversion of ${title}`);
    setProgress(this.#bar, progress);
  }

  /** All of them play at once; those that are made, or need not be, without an encoder. */
  #showRenditions() {
    const items = this.asset.renditions.map((each) => {
      const whole = each.made_segments === each.segments;
      return element("li", { className: whole ? "made" : "", textContent: rendition(each) });
    });
    this.#renditions.setAttribute("aria-label", `Renditions of ${this.asset.title}`);
    this.#renditions.replaceChildren(...items);
    this.#renditions.hidden = !items.length;
  }

  /** Rebuilt only when the links change: an open menu stays open while progress comes in. */
  #showLinks() {
    const { playback, title } = this.asset;
    const { original, mp4, hls, dash } = playback;
    const links = { "Watch page": original || mp4 || hls ? playback.watch : null };
    Object.assign(links, { "Original file": original?.url, "MP4 for any player": mp4 });
    Object.assign(links, { "HLS playlist": hls, "DASH manifest": dash });
    const found = Object.entries(links).filter(([, url]) => url);
    const key = JSON.stringify(found);
    this.#copy.hidden = !found.length;
    if (this.#copy.dataset.links === key) return;
    this.#copy.dataset.links = key;
    const summary = element("summary", { textContent: "Copy link", "aria-label": `Copy a link to ${title}` });
    const items = found.map(([words, url]) => {
      const onclick = () => {
        copyText(new URL(url, location.href).href, `Copied: ${words}`);
        this.#closeMenu();
      };
      return element("button", { type: "button", textContent: words, onclick });
    });
    this.#copy.replaceChildren(summary, element("div", {}, ...items));
  }

  #closeMenu() {
    this.#copy.open = false;
    this.#copy.querySelector("summary").focus();
  }
}
