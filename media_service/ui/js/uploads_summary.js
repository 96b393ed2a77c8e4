/** One line above several uploads: how far all of them are, and one button for all. */

import { byId, element, setText } from "./dom.js";
import { bytes, percent, timeLeft } from "./format.js";

const FEW = 2; // up to here the cards say it all
const EVERY_MS = 1000;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** { words, act }: `act` is what the button does, "Pause all" or "Resume all", or "" for none. Pure. */
export function summary(uploads) {
  const going = uploads.filter(({ state }) => state === "queued" || state === "running");
  const paused = uploads.filter(({ state }) => state === "paused");
  const counted = going.length ? going : paused;
  const size = sum(counted.map(({ note }) => note.size));
  const sent = sum(counted.map(({ card }) => card.sent));
  const speed = sum(going.map(({ card }) => card.speed ?? 0));
  const words = [`${counted.length} ${going.length ? "uploads" : "uploads paused"}`];
  if (size) words.push(`${percent(sent / size)} of ${bytes(size)}`);
  if (speed) words.push(`${bytes(speed)}/s`, timeLeft((size - sent) / speed));
  const act = going.some((upload) => upload.underWay) ? "Pause all" : paused.length ? "Resume all" : "";
  return { words: counted.length ? words.filter(Boolean).join(" · ") : "", act };
}

export class UploadsSummary {
  #node;
  #words = element("p", { className: "meta" });
  #button;
  #timer;

  /** `uploads()`: those that there are; `all(pause)`: pause or resume them. */
  constructor(uploads, all) {
    this.#button = element("button", { type: "button", onclick: () => all(this.#button.textContent === "Pause all") });
    this.#node = element("div", { className: "uploads-summary", hidden: true }, this.#words, this.#button);
    byId("uploads").before(this.#node);
    const show = () => {
      const list = uploads();
      const { words, act } = summary(list);
      this.#node.hidden = list.length <= FEW || !words;
      setText(this.#words, words);
      setText(this.#button, act);
    };
    this.show = show;
    this.#timer = setInterval(show, EVERY_MS);
  }

  end() {
    clearInterval(this.#timer);
    this.#node.remove();
  }
}
