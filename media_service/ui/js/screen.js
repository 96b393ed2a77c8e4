/** The player of the asset's page: our own player's page in a frame, of which the film's time is read and set. */

import { byId } from "./dom.js";

const TIMES = ["timeupdate", "seeking", "seeked", "play", "pause", "loadedmetadata"];

export class Screen {
  #frame = byId("player");
  #onTime;
  #wanted = null; // seconds to go to once there is a film
  #signed = null; // whether the address has a token; null: nothing is shown yet

  /** `onTime(seconds, sought)`: where the film is now; `sought`: it was sent there. */
  constructor(onTime) {
    this.#onTime = onTime;
    this.#frame.addEventListener("load", () => this.#listen());
  }

  /** Show the page at `address`. What plays goes on, unless it needs a token now that it has not, or the other way. */
  open(address, signed) {
    if (this.#signed === signed) return;
    this.#signed = signed;
    this.#frame.contentWindow.location.replace(address); // no step in the page's own history
  }

  /** Nothing plays any more, and nothing is fetched. */
  close() {
    this.#signed = null;
    this.#frame.contentWindow.location.replace("about:blank");
  }

  /** The shape of the picture; without one there is only sound. */
  shape(width, height) {
    const node = byId("screen");
    node.classList.toggle("sound", !(width && height));
    node.style.setProperty("--ratio", width && height ? `${Math.max(width / height, 0.9)}` : "");
  }

  get #video() {
    return this.#frame.contentDocument?.querySelector("video");
  }

  seek(seconds) {
    const video = this.#video;
    if (video?.readyState) video.currentTime = seconds;
    else this.#wanted = seconds;
  }

  #listen() {
    // Media events do not bubble, but they can be caught on their way down.
    const film = this.#frame.contentDocument;
    for (const name of TIMES) film?.addEventListener(name, ({ target, type }) => this.#tell(target, type === "seeking"), { capture: true });
    if (this.#video) this.#tell(this.#video);
  }

  #tell(video, sought = false) {
    if (video.readyState && this.#wanted !== null) {
      video.currentTime = this.#wanted;
      this.#wanted = null;
    }
    this.#onTime(video.currentTime, sought);
    if (!video.paused && !video.ended && this.#running !== video) this.#run(video);
  }

  #running = null; // the video whose frames are followed
  #run(video) {
    // One whose page was left says for ever that it plays.
    const goes = video === this.#video && !video.paused && !video.ended;
    this.#running = goes ? video : null;
    if (!goes) return;
    this.#onTime(video.currentTime, false);
    requestAnimationFrame(() => this.#run(video));
  }
}
