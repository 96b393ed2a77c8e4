/** One upload of this browser: its note, its file while that is at hand, and its card. */

import { handleOf, isOf, keepHandle } from "./unfinished.js";
import { reopened } from "./picking.js";
import { UploadCard } from "./upload_card.js";

export class Upload {
  state = "missing"; // its file; queued, running, paused, failed
  whole = false; // the service has all its bytes
  rejected = false; // it is no film: another try would be told the same
  file = null;
  transfer = null;
  stop = new AbortController();
  #handle = null;

  /** `release()` lets another window have it (holding.js). */
  constructor(note, release, { act, drop }) {
    [this.note, this.release] = [note, release];
    this.card = new UploadCard(note, { act: () => act(this), drop: () => drop(this) });
  }

  /** Is it the upload of this very file? */
  concerns(file) {
    return file.name === this.note.name && isOf(this.note, file);
  }

  /** Would it end early if the page were left now? */
  get underWay() {
    return !this.whole && (this.state === "queued" || (this.state === "running" && !this.card.complete));
  }

  /** A handle, or null, or the promise of one: kept over reloads. */
  async remember(handle) {
    this.#handle = await handle;
    if (this.#handle) keepHandle(this.note, this.#handle);
  }

  /** How many bytes of it the service has; null if that cannot be asked now. */
  async whereIs(api) {
    const { note } = this;
    if (!note.url) return 0;
    try {
      const { offset } = await api.upload(note.url);
      this.whole = offset === note.size;
      return offset;
    } catch (problem) {
      if (problem.status !== 404) return null;
      note.url = null; // it has expired
      return 0;
    }
  }

  /** Is there a handle that a click may open? */
  get reopens() {
    return this.#handle !== null;
  }

  /** The file by the handle that was kept, if it is the same still; without `asking` nobody is asked for permission. */
  async reopen({ asking = false } = {}) {
    this.#handle ??= await handleOf(this.note);
    const file = this.#handle && (await reopened(this.#handle, { asking }));
    if (file && isOf(this.note, file)) return file;
    if (asking) this.#handle = null; // it leads nowhere any more
    return null;
  }
}
