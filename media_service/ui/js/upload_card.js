/** What a person sees of one upload: how far it is, what it waits for, and what can be done about it. */

import { element, setProgress, setText } from "./dom.js";
import { bytes, percent, timeLeft } from "./format.js";
import { Speed } from "./speed.js";

export class UploadCard {
  #name;
  #size;
  #sent = 0;
  #bar;
  #status = element("p", { className: "meta" });
  #problem = element("p", { className: "problem", role: "alert", hidden: true });
  #act;
  #drop;
  #speed = new Speed();
  speed = null; // bytes per second, while that is known

  /** `act()`: the one thing that the card's first button offers just now; `drop()`: be rid of it. */
  constructor({ name, size }, { act, drop }) {
    [this.#name, this.#size] = [name, size];
    this.#bar = element("progress", { max: 1, "aria-label": `Upload of ${name}` });
    this.#act = element("button", { type: "button", onclick: act });
    this.#drop = element("button", { type: "button", onclick: drop });
    const words = element("div", { className: "words" }, element("p", { className: "name", textContent: name }));
    words.append(this.#bar, this.#status, this.#problem);
    const actions = element("div", { className: "actions" }, this.#act, this.#drop);
    this.node = element("li", { className: "card row upload" }, words, actions);
  }

  /** What has arrived so far, in bytes. */
  get sent() {
    return this.#sent;
  }

  /** Is all of it there? */
  get complete() {
    return this.node.dataset.state === "checking";
  }

  /** Does it wait for something that is not in our hands? */
  get waits() {
    return this.node.dataset.state === "waiting";
  }

  #look(state, status, act, drop = "Cancel") {
    this.node.dataset.state = state;
    this.speed = null;
    const focused = document.activeElement === this.#act;
    setText(this.#status, status);
    if (state !== "failed" && state !== "missing") setText(this.#problem, "");
    this.#bar.hidden = state === "failed";
    for (const [button, words] of [[this.#act, act], [this.#drop, drop]]) {
      setText(button, words);
      button.setAttribute("aria-label", `${words}: ${this.#name}`);
    }
    if (focused && this.#act.hidden) this.#drop.focus();
  }

  get #soFar() {
    return this.#sent ? `${percent(this.#sent / this.#size)} of ${bytes(this.#size)} sent` : bytes(this.#size);
  }

  #setSent(sent) {
    this.#sent = sent;
    setProgress(this.#bar, this.#size ? Math.min(1, sent / this.#size) : 0);
  }

  queued() {
    this.#setSent(this.#sent);
    this.#look("queued", `Waiting its turn · ${this.#soFar}`, "Pause");
  }

  /** A new attempt: what was measured of the line counts no more. */
  started() {
    this.#speed = new Speed();
    this.#look("sending", `Starting · ${this.#soFar}`, "Pause");
  }

  sending(sent) {
    if (sent >= this.#size) return this.checking();
    if (this.node.dataset.state !== "sending") this.#speed = new Speed();
    this.#setSent(sent);
    let speed = this.#speed.add(sent, performance.now());
    if (speed < 0) speed = null; // a guess that was put right
    const parts = [percent(sent / this.#size), `${bytes(sent)} of ${bytes(this.#size)}`];
    if (speed !== null) parts.push(`${bytes(speed)}/s`, timeLeft((this.#size - sent) / speed));
    this.#look("sending", parts.filter(Boolean).join(" · "), "Pause");
    this.speed = speed;
  }

  checking() {
    this.#sent = this.#size;
    setProgress(this.#bar, null);
    this.#look("checking", `${percent(1)} · checking and storing ${bytes(this.#size)}`, "");
  }

  /** It goes on by itself; `words` say what it waits for. */
  waiting(words) {
    this.#setSent(this.#sent);
    this.#look("waiting", `${words} · ${this.#soFar}`, "Try now");
  }

  paused() {
    this.#setSent(this.#sent);
    this.#look("paused", `Paused · ${this.#soFar}`, "Resume");
  }

  /** The file itself is needed once more; `reopens`: a click is enough. `sent`: null if unknown. `words`: why not this one. */
  missing(sent, { reopens = false, words = "" } = {}) {
    this.#setSent(sent ?? 0);
    const so = sent === null ? "Not finished" : `Not finished · ${this.#soFar}`;
    this.#look("missing", reopens ? so : `${so} · choose the file again to go on`, reopens ? "Go on" : "Choose file", "Discard");
    setText(this.#problem, words);
  }

  /** `again`: whether another try makes sense. */
  failed({ title, message }, { again }) {
    this.#look("failed", `Not uploaded · ${bytes(this.#size)}`, again ? "Try again" : "", "Dismiss");
    setText(this.#problem, message === title ? title : `${title}. ${message}`);
  }
}
