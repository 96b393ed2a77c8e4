/** One asset of the library. */

import { element, setProgress, setText } from "./dom.js";
import { duration, rendition } from "./format.js";
import { downloadUrl, links, plays } from "./links.js";
import { fill, moreMenu } from "./more.js";
import { edited } from "./rename.js";
import { canRetry, errorWords, factsLine, seekWords, stateWords } from "./words.js";

export const pageOf = ({ id }) => `/admin/assets/${encodeURIComponent(id)}`;

export class AssetRow {
  #poster = element("img", { alt: "", loading: "lazy", decoding: "async", hidden: true });
  #length = element("span", { className: "length" });
  #title = element("a", { className: "name" });
  #badge = element("span", { className: "badge" });
  #spoken = element("span", { className: "unseen" }); // the length, which is written on the picture
  #meta = element("span");
  #seeks = element("span", { className: "seeks" });
  #bar = element("progress", { max: 1 });
  #renditions = element("ul", { className: "renditions" });
  #error = element("span");
  #retry = element("button", { type: "button", textContent: "Try again" });
  #problem = element("p", { className: "problem" }, this.#error, this.#retry);
  #watch = element("a", { className: "button", target: "_blank", rel: "noopener", textContent: "Watch" });
  #menu = moreMenu();
  #thumb;
  #hooks;

  /** hooks: copy(link), sign(asset), rename(asset, title), retry(asset), remove(asset, byKeyboard), leaving(event). */
  constructor(asset, hooks) {
    this.#hooks = hooks;
    const words = element("div", { className: "words" }, this.#title);
    words.append(element("p", { className: "meta" }, this.#badge, this.#spoken, this.#meta, this.#seeks), this.#bar, this.#renditions);
    words.append(this.#problem);
    const actions = element("div", { className: "actions" }, this.#watch, this.#menu);
    this.#poster.addEventListener("error", () => (this.#poster.hidden = true));
    this.#title.addEventListener("click", (event) => hooks.leaving(event));
    this.#retry.onclick = () => hooks.retry(this.asset);
    this.#thumb = element("a", { className: "thumb", tabIndex: -1, "aria-hidden": "true" }, this.#poster, this.#length);
    this.#thumb.addEventListener("click", (event) => hooks.leaving(event));
    this.node = element("li", { className: "card row asset" }, this.#thumb, words, actions);
    this.show(asset);
  }

  show(asset) {
    this.asset = asset;
    const { duration: seconds, playback, state, title } = asset;
    Object.assign(this.node.dataset, { id: asset.id, state });
    setText(this.#title, title || asset.filename || asset.id);
    this.#title.href = this.#thumb.href = pageOf(asset);
    setText(this.#badge, stateWords(asset));
    setText(this.#meta, factsLine(asset, { length: false }));
    setText(this.#seeks, seekWords(asset));
    this.#seeks.dataset.verdict = asset.seekability?.verdict;
    this.#seeks.title = asset.seekability?.advice ?? "";
    for (const node of [this.#length, this.#spoken]) setText(node, seconds === null ? "" : duration(seconds));
    setText(this.#error, errorWords(asset));
    this.#problem.hidden = !asset.error;
    this.#retry.hidden = !canRetry(asset);
    this.#retry.setAttribute("aria-label", `Try again: ${title}`);
    this.#showProgress();
    this.#showRenditions();
    this.#showPoster(playback);
    this.#watch.hidden = !plays(asset);
    this.#watch.href = playback.watch;
    this.#watch.setAttribute("aria-label", `Watch ${title} in a new tab`);
    this.#showMenu();
  }

  #showPoster({ poster, placeholder }) {
    if (placeholder) this.#thumb.style.setProperty("--placeholder", `url("${placeholder}")`);
    if (!poster || this.#poster.getAttribute("src") === poster) return;
    this.#poster.src = poster;
    this.#poster.hidden = false;
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

  #showMenu() {
    const { asset } = this;
    this.#menu.querySelector("summary").setAttribute("aria-label", `More for ${asset.title}`);
    const copied = links(asset, location.origin).map((link) => ({ words: link.words, text: link.text, run: () => this.#hooks.copy(link) }));
    const rest = [
      { words: "Rename", run: () => this.rename() },
      ...(plays(asset) ? [{ words: "Signed link…", run: () => this.#hooks.sign(this.asset) }] : []),
      { words: "Download the original", href: downloadUrl(asset) },
      // A click that no mouse made has no detail.
      { words: "Delete", danger: true, run: ({ detail }) => this.#hooks.remove(this.asset, detail === 0) },
    ];
    const groups = copied.length ? [{ title: "Copy", items: copied }] : [];
    fill(this.#menu, [...groups, { title: "", items: rest }]);
  }

  async rename() {
    const title = await edited(this.#title, this.asset.title);
    if (title !== null) this.#hooks.rename(this.asset, title);
  }
}
