/** The small picture above the scrub bar: for any time its own, out of sheets that are fetched when they are looked at. */

import { storyboard, tileAt } from "./storyboard.js";

const LIST_AGE_MS = 10_000; // while more pictures are being made, the list is asked for anew after this long
const SHEETS = 12; // that are kept: decoded, each takes some MB

export class Previews {
  #canvas;
  #hooks;
  #tiles = [];
  #sheets = new Map(); // address -> promise of an image
  #listed = -Infinity;
  #final = false;
  #wanted = null; // the time that the pointer is at

  /** `hooks.find()`: a promise of { url, complete } of the storyboard as it is now; url null: there is none (yet). */
  constructor(canvas, hooks) {
    this.#canvas = canvas;
    this.#hooks = hooks;
  }

  /** Another film, whose pictures are of this size in pixels; null: none are known of. */
  begin(size) {
    this.#tiles = [];
    this.#sheets.clear();
    this.#listed = -Infinity;
    this.#final = false;
    // At once: what lies around the canvas is placed by its size.
    this.#canvas.hidden = size === null;
    if (size) this.#resize(size);
  }

  /** Somebody comes near: the list will be wanted. */
  async prepare() {
    if (this.#final || performance.now() - this.#listed < LIST_AGE_MS) return;
    this.#listed = performance.now();
    // Without pictures the time alone is shown; nobody need be told.
    const { url, complete } = (await this.#hooks.find().catch(() => null)) ?? {};
    const answer = url && (await fetch(url).catch(() => null));
    if (!answer?.ok) {
      this.#canvas.hidden = this.#tiles.length === 0;
      return;
    }
    const list = await answer.json().catch(() => null); // broken off on its way: the next look asks again
    if (!list) return;
    this.#tiles = storyboard(list, answer.url);
    this.#final = complete;
    if (this.#wanted !== null) this.show(this.#wanted);
  }

  /** Show the picture of `seconds` as soon as it is there; until then the one that was shown before stays. */
  async show(seconds) {
    this.#wanted = seconds;
    this.prepare();
    const tile = tileAt(this.#tiles, seconds);
    if (!tile) return;
    this.#canvas.hidden = false;
    const image = await this.#sheet(tile.sheet);
    if (this.#wanted === seconds && image) this.#draw(image, tile);
  }

  #sheet(address) {
    const kept = this.#sheets.get(address);
    this.#sheets.delete(address);
    if (kept) this.#sheets.set(address, kept); // the one that was looked at last
    else {
      const image = new Image();
      image.src = address;
      const loaded = image.decode().then(
        () => image,
        () => {
          this.#sheets.delete(address); // to be tried again when it is looked at again
          this.#listed = -Infinity; // it may be of an older list
          return null;
        },
      );
      this.#sheets.set(address, loaded);
      if (this.#sheets.size > SHEETS) this.#sheets.delete(this.#sheets.keys().next().value);
    }
    return this.#sheets.get(address);
  }

  #draw(image, { x, y, width, height }) {
    this.#resize({ width, height });
    this.#canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
  }

  #resize({ width, height }) {
    const canvas = this.#canvas;
    // Even the same size would empty it.
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }
}
