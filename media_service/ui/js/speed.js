/** How fast an upload goes, over the last few seconds. Pure: the caller brings the clock. */

const WINDOW_MS = 6000; // long enough to be calm, short enough to notice a lost Wi-Fi

export class Speed {
  #points = [];

  /** `sent` bytes in all at `now` milliseconds; returns bytes per second, or null while there is too little to tell. */
  add(sent, now) {
    this.#points.push([sent, now]);
    while (this.#points.length > 2 && now - this.#points[0][1] > WINDOW_MS) this.#points.shift();
    const [first, since] = this.#points[0];
    return now - since < 400 ? null : ((sent - first) * 1000) / (now - since);
  }
}
