/** The uploads under way: one card each, two at a time, the others wait their turn. */

import { byId, element, setProgress, setText } from "./dom.js";
import { bytes, percent, timeLeft } from "./format.js";
import { Speed } from "./speed.js";

const AT_ONCE = 2; // more would only share the same line, and each would take longer to be watchable

export class Uploads {
  #waiting = [];
  #running = new Set();
  #api;
  #hooks;

  /** hooks: onDone(asset), onRefused() when the token is no longer accepted, announce(text). */
  constructor(api, hooks) {
    this.#api = api;
    this.#hooks = hooks;
  }

  get busy() {
    return this.#waiting.length + this.#running.size > 0;
  }

  add(files) {
    for (const file of files) {
      const card = new UploadCard(file, {
        cancel: () => this.#cancel(card),
        retry: () => this.#queue(card),
      });
      byId("uploads").append(card.node);
      this.#queue(card);
    }
  }

  cancelAll() {
    for (const card of [...this.#waiting, ...this.#running]) this.#cancel(card);
    byId("uploads").replaceChildren();
  }

  #queue(card) {
    card.wait();
    this.#waiting.push(card);
    this.#next();
  }

  #cancel(card) {
    this.#waiting = this.#waiting.filter((other) => other !== card);
    card.abort.abort(new DOMException("cancelled", "AbortError"));
    card.node.remove();
  }

  #next() {
    while (this.#running.size < AT_ONCE && this.#waiting.length) this.#run(this.#waiting.shift());
  }

  async #run(card) {
    const { file } = card;
    this.#running.add(card);
    card.start();
    try {
      const onProgress = (sent) => card.show(sent, this.#hooks.announce);
      const asset = await this.#api.upload(file, { signal: card.abort.signal, onProgress });
      card.node.remove();
      this.#hooks.announce(`${file.name}: uploaded`);
      this.#hooks.onDone(asset);
    } catch (problem) {
      if (problem.name === "AbortError") this.#hooks.announce(`${file.name}: upload cancelled`);
      else card.fail(problem);
      if (problem.status === 401) this.#hooks.onRefused();
    } finally {
      this.#running.delete(card);
      this.#next();
    }
  }
}

class UploadCard {
  abort = new AbortController();
  #bar;
  #status = element("p", { className: "meta" });
  #problem = element("p", { className: "problem", role: "alert", hidden: true });
  #cancel;
  #retry;
  #speed;
  #quarter;

  constructor(file, { cancel, retry }) {
    this.file = file;
    this.#bar = element("progress", { max: 1, "aria-label": `Upload of ${file.name}` });
    this.#cancel = element("button", { type: "button", onclick: cancel });
    this.#retry = element("button", { type: "button", onclick: retry, textContent: "Try again" });
    const words = element("div", { className: "words" }, element("p", { className: "name", textContent: file.name }));
    words.append(this.#bar, this.#status, this.#problem);
    const actions = element("div", { className: "actions" }, this.#retry, this.#cancel);
    this.node = element("li", { className: "card row upload" }, words, actions);
  }

  #look(status, { failed = false } = {}) {
    this.#status.textContent = status;
    this.#problem.hidden = this.#retry.hidden = !failed;
    this.#bar.hidden = failed;
    this.#cancel.textContent = failed ? "Dismiss" : "Cancel";
    this.#cancel.setAttribute("aria-label", `${this.#cancel.textContent}: ${this.file.name}`);
  }

  wait() {
    this.abort = new AbortController();
    setProgress(this.#bar, 0);
    this.#look(`Waiting · ${bytes(this.file.size)}`);
  }

  start() {
    [this.#speed, this.#quarter] = [new Speed(), 0];
    this.show(0, () => {});
  }

  show(sent, announce) {
    const { size, name } = this.file;
    if (sent >= size) {
      setProgress(this.#bar, null);
      return this.#look(`${percent(1)} · checking and storing ${bytes(size)}`);
    }
    const speed = this.#speed.add(sent, performance.now());
    setProgress(this.#bar, sent / size);
    const parts = [percent(sent / size), `${bytes(sent)} of ${bytes(size)}`];
    if (speed !== null) parts.push(`${bytes(speed)}/s`, timeLeft((size - sent) / speed));
    this.#look(parts.filter(Boolean).join(" · "));
    // Each quarter is said aloud once; every percent would drown out everything else.
    if (Math.floor((4 * sent) / size) > this.#quarter) {
      this.#quarter = Math.floor((4 * sent) / size);
      announce(`${name}: ${25 * this.#quarter} % uploaded`);
    }
  }

  fail({ title, message }) {
    this.#look(`Not uploaded · ${bytes(this.file.size)}`, { failed: true });
    setText(this.#problem, message === title ? title : `${title}. ${message}`);
  }
}
