/** The library: what of it is shown, page by page, kept up to date by what the service tells. */

import { Assets } from "./assets.js";
import { Deletions } from "./deletions.js";
import { byId, copyText, setText, toast } from "./dom.js";
import { showSigning } from "./signing.js";
import { ALL, SORTS, changed, viewFrom } from "./view.js";

const PAGE = 30; // assets per page of the list
const AT_ONCE = 200; // the most that the service gives in one page
const SOME = 300; // rows that what comes by itself may fill
const TYPING_MS = 250;
const FRESH_MS = 3600000; // addresses with tokens hold for hours

export class Library {
  #api;
  #hooks;
  #assets;
  #deletions;
  #view = viewFrom(location.search);
  #shown = ALL; // what the rows are of; behind #view while that is being fetched
  #loads = 0;
  #reading = null;
  #known = false; // whether the list has been read
  #over = new AbortController();

  /** hooks: announce(text), onRefused() when nobody is signed in any more, leaving(event) for clicks that leave the page. */
  constructor(api, hooks) {
    this.#api = api;
    this.#hooks = hooks;
    this.#deletions = new Deletions(api, {
      onBack: (asset) => this.#bringBack(asset),
      onGone: () => {},
      onFailed: (asset, problem) => this.#bringBack(asset, `Not deleted. ${problem.message}`),
      home: () => document.querySelector("#assets .name") ?? byId("choose"),
    });
    this.#assets = new Assets({
      announce: hooks.announce,
      leaving: (event) => this.#leaving(event),
      copy: ({ words, text }) => copyText(text, `Copied: ${words}`),
      sign: (asset) => showSigning(api, asset, hooks),
      rename: (asset, title) => this.#do(asset.id, () => api.edit(asset.id, { title }), "Not renamed."),
      retry: (asset) => this.#do(asset.id, () => api.retry(asset.id), "Not tried again."),
      remove: (asset, byKeyboard) => this.#remove(asset, byKeyboard),
    });
    this.#listen();
    this.load();
    const fresh = setInterval(() => this.load(), FRESH_MS);
    this.#over.signal.addEventListener("abort", () => clearInterval(fresh));
  }

  end() {
    this.#over.abort();
    this.#deletions.end();
  }

  /** What waits to be deleted is; before somebody signs out. */
  settle() {
    return this.#deletions.settle();
  }

  /** An asset as it is now. */
  put(asset) {
    if (this.#over.signal.aborted || this.#deletions.has(asset.id)) return;
    this.#assets.put(asset);
    this.#change();
  }

  gone(id) {
    this.#deletions.gone(id);
    this.#assets.remove(id);
    this.#change();
  }

  /** What is shown, as the service has it now. */
  load() {
    return (this.#reading = this.#read());
  }

  /** Once the line is open: what happened while there was none, nobody tells. */
  async again() {
    await this.#reading;
    if (!this.#over.signal.aborted) await this.load();
  }

  /** The next page, of what is shown when it is known what that is. */
  async more() {
    await this.#reading;
    await (this.#reading = this.#read(this.#view === this.#shown));
  }

  async #read(more = false) {
    const [view, number] = [this.#view, ++this.#loads];
    const other = view !== this.#shown;
    byId("list-problem").hidden = true;
    byId("loading").hidden = this.#assets.size > 0;
    byId("more").disabled = more || other;
    const before = this.#assets.ids();
    // Who comes back from a film finds as much as there was, and the place.
    const { rows = 0, top = 0 } = (!this.#known && history.state) || {};
    const many = more ? PAGE : Math.min(AT_ONCE, Math.max(PAGE, rows, other ? 0 : before.length));
    try {
      const page = await this.#page(more, many, changed(view), before);
      if (this.#over.signal.aborted || number !== this.#loads) return;
      this.#take(page, { view, before, more, other });
      if (!rows) return;
      scrollTo(0, top);
      history.replaceState(null, "");
    } catch (problem) {
      if (this.#over.signal.aborted || number !== this.#loads) return;
      if (problem.status === 401) return this.#hooks.onRefused();
      byId("list-problem").hidden = false;
      byId("list-problem-text").textContent = problem.message;
    } finally {
      if (number === this.#loads) {
        byId("loading").hidden = true;
        byId("more").disabled = false;
      }
    }
  }

  /** With `more` one that shows more: where rows were pushed out, the cursor of those that are left is to be found. */
  async #page(more, many, view, before) {
    const shown = new Set(before);
    let page = await this.#api.list(many, more ? this.#assets.cursor : null, view);
    while (more && page.next_cursor !== null && page.items.every(({ id }) => shown.has(id))) {
      page = await this.#api.list(AT_ONCE, page.next_cursor, view);
    }
    return page;
  }

  #take({ items, next_cursor: cursor, total = null }, { view, before, more, other }) {
    this.#known = true;
    if (other) {
      this.#assets.show(view, items, cursor === null);
      this.#shown = view;
    } else if (!more) this.#assets.drop(before, items, cursor === null);
    // A first page that is read once more leaves those behind it as they are.
    if (other || more || this.#assets.cursor === null) {
      this.#assets.cursor = cursor;
      this.#assets.complete = cursor === null;
    }
    for (const asset of items) this.#assets.put(asset, { fromList: true });
    this.#assets.total = total;
    this.#assets.most = Math.max(SOME, this.#assets.size + PAGE);
    this.#change();
    if (other) this.#hooks.announce(this.#counted());
  }

  #change() {
    if (!this.#known) return;
    const { size, complete } = this.#assets;
    // Of what is shown, not of what is asked for: no rows yet is not an empty library, and its tools must stay.
    const all = this.#shown.q === ALL.q && this.#shown.state === ALL.state;
    byId("empty").hidden = size > 0 || !all;
    byId("nothing").hidden = size > 0 || all;
    byId("more").hidden = complete;
    byId("library-tools").hidden = size === 0 && all;
    setText(byId("count"), size ? this.#counted() : "");
  }

  #counted() {
    const { size, complete, total } = this.#assets;
    const videos = (count) => `${count.toLocaleString()} ${count === 1 ? "video" : "videos"}`;
    if (complete) return size ? videos(size) : "Nothing found";
    return total === null ? `The first ${size.toLocaleString()}` : `${size.toLocaleString()} of ${videos(Math.max(size, total))}`;
  }

  #listen() {
    const { signal } = this.#over;
    const [search, state, sort] = ["search", "filter", "sort"].map(byId);
    if (!sort.options.length) sort.append(...Object.entries(SORTS).map(([value, words]) => new Option(words, value)));
    const show = () => {
      search.value = this.#view.q;
      state.value = this.#view.state;
      sort.value = `${this.#view.sort} ${this.#view.order}`;
    };
    let typing;
    const look = (changes) => {
      clearTimeout(typing);
      // What has just been typed counts too: who chooses an order at once wants what he searches in that order.
      this.#view = { ...this.#view, q: search.value.trim(), ...changes };
      const query = new URLSearchParams(changed(this.#view)).toString();
      history.replaceState(null, "", `${location.pathname}${query && `?${query}`}${location.hash}`);
      this.load();
    };
    const typed = () => {
      if (search.value.trim() !== this.#view.q) look();
    };
    const later = () => {
      clearTimeout(typing);
      typing = setTimeout(typed, TYPING_MS);
    };
    const ordered = () => {
      const [by, order] = sort.value.split(" ");
      look({ sort: by, order });
    };
    const clear = () => {
      look({ q: "", state: "" });
      show();
      search.focus();
    };
    search.addEventListener("input", later, { signal });
    byId("library-tools").addEventListener("submit", (event) => {
      event.preventDefault();
      typed();
    }, { signal });
    state.addEventListener("change", () => look({ state: state.value }), { signal });
    sort.addEventListener("change", ordered, { signal });
    byId("clear").addEventListener("click", clear, { signal });
    byId("more").addEventListener("click", () => this.more(), { signal });
    byId("list-retry").addEventListener("click", () => this.load(), { signal });
    show();
  }

  #leaving(event) {
    history.replaceState({ rows: this.#assets.size, top: scrollY }, "");
    this.#hooks.leaving(event);
  }

  #remove(asset, byKeyboard) {
    this.#deletions.add(asset);
    this.#assets.remove(asset.id, { focus: true });
    this.#change();
    if (byKeyboard) byId("undo").querySelector("button").focus();
  }

  #bringBack(asset, words = "") {
    if (this.#over.signal.aborted) return;
    this.#assets.bringBack(asset);
    this.#change();
    if (words) toast(words);
    // It may have gone on meanwhile, or be gone.
    this.#do(asset.id, () => this.#api.look(asset.id), "");
  }

  /** `action()` gives the asset `id` as it then is. */
  async #do(id, action, failed) {
    try {
      this.put(await action());
    } catch (problem) {
      if (this.#over.signal.aborted) return;
      if (problem.status === 401) return this.#hooks.onRefused();
      if (problem.status === 404) {
        this.gone(id);
        return toast("It has been deleted elsewhere.");
      }
      toast(`${failed} ${problem.message}`.trim());
    }
  }
}
