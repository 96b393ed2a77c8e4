/** A file on its way to the service: it goes on after every break, and finds out what became of it. */

import { Problem } from "./api.js";
import { verdict } from "./patience.js";
import { send } from "./sending.js";
import { keep } from "./unfinished.js";

const OUTCOME_MS = [300, 1000, 2000, 4000, 8000]; // between questions what becomes of the whole

export class Transfer {
  #api;
  #note;
  #file;
  #tell;
  #whole; // all bytes are there
  #tries = 0; // in vain, in a row
  #nudge = () => {};

  /**
   * `note` as in unfinished.js, kept up to date here. `tell` has onArrived(bytes), onChecking(), onWaiting(words) and
   * onBegun(), which may come after the end. `file` is null of an upload that is `whole`.
   */
  constructor(api, note, file, tell, { whole = false } = {}) {
    [this.#api, this.#note, this.#file, this.#tell, this.#whole] = [api, note, file, tell, whole];
  }

  /** The asset; null when it is gone already. Throws a Problem when trying on is of no use, and the signal's reason. */
  async run(signal) {
    for (;;) {
      try {
        // A body that is refused looks like a broken line: whether we are still signed in has to be asked.
        if (this.#tries) await this.#api.renew();
        signal.throwIfAborted();
        if (!this.#whole) await this.#send(signal);
        signal.throwIfAborted();
        this.#whole = true;
        this.#tell.onChecking();
        return await this.#outcome(signal);
      } catch (problem) {
        signal.throwIfAborted();
        await this.#patience(problem, signal);
      }
    }
  }

  /** Wait no longer. */
  nudge() {
    this.#nudge();
  }

  #send(signal) {
    let from = null;
    const onArrived = (there) => {
      from ??= there;
      if (there > from) this.#tries = 0;
      this.#tell.onArrived(there);
    };
    const onBegun = (url) => {
      this.#noteThat(url);
      this.#tell.onBegun();
    };
    return send(this.#api, this.#note, this.#file, { signal, onBegun, onArrived });
  }

  async #outcome(signal) {
    for (let turn = 0; ; turn += 1) {
      const { state, offset, length, asset, error } = await this.#api.upload(this.#note.url);
      signal.throwIfAborted();
      if (state === "rejected") throw new Problem({ status: 422, ...error, code: "rejected" });
      if (state === "finished") return this.#asset(asset);
      if (offset !== length) throw new Problem({ status: 409, title: "Bytes are missing" });
      await this.#pause(OUTCOME_MS[Math.min(turn, OUTCOME_MS.length - 1)], signal);
    }
  }

  async #asset(address) {
    try {
      return await this.#api.look(address.split("/").pop());
    } catch (problem) {
      if (problem.status === 404) return null;
      throw problem;
    }
  }

  async #patience(problem, signal) {
    if (problem.status === 0 && this.#file) await this.#checkFile();
    signal.throwIfAborted();
    const then = verdict(problem, { begun: this.#note.url !== null, tries: this.#tries });
    if (!then || (!this.#file && (then.anew || problem.status === 409))) throw problem;
    this.#tries += 1;
    if (then.anew || problem.status === 409) this.#whole = false;
    if (then.anew) this.#noteThat(null);
    if (!then.delay) return;
    this.#tell.onWaiting(then.words);
    await this.#pause(then.delay, signal);
  }

  /** A file that was changed or taken away looks like a broken line, too. */
  async #checkFile() {
    try {
      await this.#file.slice(0, 1).arrayBuffer();
    } catch {
      const detail = "It was changed, moved or deleted since it was chosen.";
      throw new Problem({ status: -1, code: "unreadable", title: "The file cannot be read any more", detail });
    }
  }

  /** So long, or until the browser is online again, or until somebody is impatient. */
  async #pause(delay, signal) {
    signal.throwIfAborted();
    const over = new AbortController();
    try {
      await new Promise((resolve, reject) => {
        this.#nudge = resolve;
        const timer = setTimeout(resolve, delay);
        over.signal.addEventListener("abort", () => clearTimeout(timer));
        addEventListener("online", resolve, { signal: over.signal });
        signal.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
      });
    } finally {
      over.abort();
    }
  }

  #noteThat(url) {
    this.#note.url = url;
    keep(this.#note);
  }
}
