/**
 * How much of a file has arrived. Pure.
 *
 * Browsers count what they have handed to the system, which on a slow line is megabytes ahead of what has gone. So it is the
 * service's last word that counts, and what has left since then.
 */
export class Arrival {
  #left = null; // in the browser's view
  #leftThen = 0; // at the service's last word
  #there = 0; // by that word
  #told = false;

  /** So many bytes of the file have left. The first time: an attempt begins there, where the service says. */
  left(bytes) {
    if (this.#left === null) [this.#leftThen, this.#there] = [bytes, bytes];
    this.#left = bytes;
  }

  /** The service has so many bytes. True if they have become more. */
  told(offset) {
    const more = offset > this.#there;
    if (this.#left !== null) [this.#there, this.#leftThen, this.#told] = [offset, this.#left, true];
    return more;
  }

  /** Bytes; null before anything is known. */
  get bytes() {
    if (this.#left === null) return null;
    return this.#told ? this.#there + this.#left - this.#leftThen : this.#there;
  }
}
