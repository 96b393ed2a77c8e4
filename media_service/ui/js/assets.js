/** The rows of the library: they change in place, so that focus, selection and screen readers are not disturbed. */

import { byId } from "./dom.js";
import { AssetRow } from "./row.js";
import { ALL, inOrder, matches } from "./view.js";
import { stateWords } from "./words.js";

export class Assets {
  complete = false; // whether the last asset is shown
  cursor = null; // where the next page begins; null while that is not known
  total = null; // how many there are to show, if that is known
  most = Infinity; // rows that may be shown; what comes by itself pushes out the last
  #view = ALL;
  #rows = new Map();
  #deleted = new Set();
  #hooks;

  /** hooks: announce(text), and those of AssetRow. */
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

  /** Show another part of the library, or another order: these are its first page. Rows that stay are the same rows. */
  show(view, items, complete) {
    const before = this.#rows;
    this.#view = view;
    this.#rows = new Map();
    this.complete = complete;
    for (const asset of items) {
      if (this.#deleted.has(asset.id)) continue;
      const row = before.get(asset.id) ?? new AssetRow(asset, this.#hooks);
      this.#renew(row, asset);
      this.#rows.set(asset.id, row);
    }
    byId("assets").replaceChildren(...[...this.#rows.values()].map(({ node }) => node));
  }

  /** Of the rows `before`, take away those that the first page `items` should hold and does not: deleted, or something else by now. */
  drop(before, items, complete) {
    const kept = new Set(items.map(({ id }) => id));
    const last = items.at(-1);
    const inPage = ({ asset }) => complete || (last && inOrder(this.#view, asset, last) < 0);
    for (const id of before) if (!kept.has(id) && this.#rows.has(id) && inPage(this.#rows.get(id))) this.#take(id);
  }

  /** `fromList`: read at some earlier moment, so it never takes back what an event has told since. */
  put(asset, { fromList = false } = {}) {
    const row = this.#rows.get(asset.id);
    if (this.#deleted.has(asset.id)) return;
    if (!row) return this.#insert(asset, fromList);
    if (fromList && asset.updated_at <= row.asset.updated_at) return this.#renew(row, asset);
    if (asset.updated_at < row.asset.updated_at) return;
    if (asset.state !== row.asset.state) this.#hooks.announce(`${asset.title}: ${stateWords(asset)}`);
    row.show(asset);
    // What has become something else than is asked for goes, but not from under somebody's hands.
    if (!matches(this.#view, asset) && !row.node.contains(document.activeElement)) this.#take(asset.id);
  }

  /** What a list tells of a row. Where nothing of the film has changed its addresses may have: those with tokens grow old. */
  #renew(row, asset) {
    const { updated_at: known, playback } = row.asset;
    const fresh = asset.updated_at === known && JSON.stringify(asset.playback) !== JSON.stringify(playback);
    if (asset.updated_at > known || fresh) row.show(asset);
  }

  #insert(asset, fromList) {
    if (!fromList && !matches(this.#view, asset)) return;
    const list = byId("assets");
    const behind = (node) => inOrder(this.#view, asset, this.#rows.get(node.dataset.id).asset) < 0;
    const next = [...list.children].find(behind);
    // Behind all that is shown: it belongs to a page that was not loaded yet.
    if (!next && !fromList && !this.complete && this.size) return;
    const row = new AssetRow(asset, this.#hooks);
    this.#rows.set(asset.id, row);
    list.insertBefore(row.node, next ?? null);
    if (fromList) return;
    if (this.total !== null) this.total += 1;
    while (this.size > this.most) this.#cut(list.lastElementChild);
  }

  /** There is more than can be shown: the last row goes to the pages that are not loaded. */
  #cut(node) {
    this.#rows.delete(node.dataset.id);
    node.remove();
    [this.complete, this.cursor] = [false, null];
  }

  /** It is deleted. What stands beside it gets the focus if its row had it, or if it is to be there (`focus`). */
  remove(id, { focus = false } = {}) {
    this.#deleted.add(id);
    this.#take(id, focus);
  }

  /** It was not deleted after all. */
  bringBack(asset) {
    this.#deleted.delete(asset.id);
    if (!matches(this.#view, asset)) return;
    this.#insert(asset, true);
    if (this.total !== null) this.total += 1;
    this.#rows.get(asset.id)?.node.querySelector(".name").focus();
  }

  #take(id, focus = false) {
    const row = this.#rows.get(id);
    if (!row) return;
    const next = row.node.nextElementSibling ?? row.node.previousElementSibling;
    const focused = row.node.contains(document.activeElement);
    row.node.remove();
    this.#rows.delete(id);
    if (this.total !== null) this.total -= 1;
    if (focus || focused) (next?.querySelector(".name") ?? byId("choose")).focus();
  }
}
