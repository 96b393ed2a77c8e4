/** Seeking by the scrub bar: while it is dragged, one seek at a time, and always to where it is let go. */

const PATIENCE_MS = 250; // a seek that takes longer is overtaken: its part may have to be encoded first

export class Scrubber {
  #range;
  #video;
  #hooks;
  #wanted = null;
  #last = -Infinity;
  #timer = null;

  /** hooks: seek(seconds); onLook(seconds): what the pointer is at, whether it is pressed or not. */
  constructor(range, controller, hooks) {
    this.#range = range;
    this.#video = controller.querySelector("video");
    this.#hooks = hooks;
    // Before media-chrome sees it, which would seek with every pixel.
    const take = (event) => {
      event.stopPropagation();
      this.#aim(event.detail);
    };
    controller.addEventListener("mediaseekrequest", take, { capture: true });
    this.#video.addEventListener("seeked", () => this.#go());
    addEventListener("pointerup", () => this.#go());
    for (const name of ["pointermove", "pointerdown"]) addEventListener(name, (event) => this.#look(event));
  }

  #aim(seconds) {
    this.#wanted = seconds;
    const wait = this.#video.seeking ? this.#last + PATIENCE_MS - performance.now() : 0;
    if (wait <= 0) this.#go();
    else this.#timer ??= setTimeout(() => this.#go(), wait);
  }

  #go() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#wanted === null) return;
    const seconds = this.#wanted;
    this.#wanted = null;
    this.#last = performance.now();
    this.#hooks.seek(seconds);
  }

  #look(event) {
    const { dragging, range } = this.#range;
    const { duration } = this.#video;
    if (!range || !(duration > 0) || !(dragging || event.composedPath().includes(this.#range))) return;
    const { left, width } = range.getBoundingClientRect();
    const at = Math.min(Math.max((event.clientX - left) / width, 0), 1);
    this.#hooks.onLook(at * duration);
  }
}
