/** One video element, several sources: the first that really plays wins, and a seek never gets lost on the way. */

import { clamp } from "./keys.js";
import { candidates } from "./sources.js";

const HLS_JS = "/ui/vendor/hls.mjs";
const [SHORTEST_FRAME, USUAL_FRAME] = [1 / 240, 1 / 30]; // seconds
const REMEMBERED = 30; // frames

export class Player {
  source = null;
  #video;
  #hls = null;
  #left = [];
  #asset;
  #wanted = null; // a time that is not made yet, in seconds
  #frame = { time: 0, count: 0, lengths: [] };
  #start = null; // an AbortController while a source is tried
  #onLost;

  /** `onLost()`: a source that had played broke, and no other one plays. */
  constructor(video, onLost) {
    this.#video = video;
    this.#onLost = onLost;
    video.addEventListener("error", () => this.#broken());
    for (const name of ["durationchange", "progress"]) video.addEventListener(name, () => this.#seekWanted());
    if (video.requestVideoFrameCallback) this.#watchFrames();
  }

  /** Seconds up to which seeking works now. */
  get end() {
    const { seekable, duration } = this.#video;
    if (seekable.length) return seekable.end(seekable.length - 1);
    return Number.isFinite(duration) ? duration : 0;
  }

  /** Try the asset's sources from `at` seconds on; false when none plays (yet). */
  async open(asset, at) {
    this.#asset = asset;
    this.#left = candidates(asset.playback, {
      canPlay: (type) => this.#video.canPlayType(type),
      mse: (globalThis.ManagedMediaSource && "managed") || (globalThis.MediaSource && "plain") || "none",
      finished: asset.state === "ready" || asset.state === "failed",
    });
    return this.#next(at, false);
  }

  async #next(at, playing) {
    while (this.#left.length) {
      const source = this.#left.shift();
      if (await this.#try(source, at)) {
        this.source = source;
        if (at > 0 || source.kind !== "file") this.seek(at);
        // Autoplay may be refused; then the viewer presses play.
        if (playing) this.#video.play().catch(() => {});
        return true;
      }
    }
    this.#close();
    return false;
  }

  /** Whether the source gets as far as its metadata, with a picture if there should be one. */
  async #try(source, at) {
    this.#close();
    const video = this.#video;
    const trial = (this.#start = new AbortController());
    const loaded = new Promise((resolve) => {
      video.addEventListener("loadedmetadata", () => resolve(true), { signal: trial.signal });
      trial.signal.addEventListener("abort", () => resolve(false));
    });
    if (source.kind === "hls.js") await this.#attach(source.url, at, trial);
    else video.src = source.url;
    const good = (await loaded) && !(this.#asset.width && video.videoWidth === 0);
    this.#start = null;
    trial.abort();
    return good;
  }

  async #attach(url, at, trial) {
    let Hls;
    try {
      Hls = (await import(HLS_JS)).default;
    } catch {
      return trial.abort();
    }
    if (trial.signal.aborted || !Hls.isSupported()) return trial.abort();
    // Fragmented MP4 is passed through: there is nothing for a worker to do.
    const hls = (this.#hls = new Hls({ enableWorker: false, startPosition: at }));
    let recovered = false;
    hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal || this.#hls !== hls) return;
      if (type !== Hls.ErrorTypes.MEDIA_ERROR || recovered) return this.#broken();
      recovered = true;
      hls.recoverMediaError();
    });
    hls.loadSource(url);
    hls.attachMedia(this.#video);
  }

  async #broken() {
    if (this.#start) return this.#start.abort();
    if (!this.source) return;
    const { currentTime, paused } = this.#video;
    this.source = null;
    if (!(await this.#next(currentTime, !paused))) this.#onLost(currentTime);
  }

  #close() {
    this.source = null;
    this.#hls?.destroy();
    this.#hls = null;
    if (!this.#video.getAttribute("src")) return;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Go to `seconds`; if that is not made yet, go as far as it goes, and there as soon as it is. */
  seek(seconds) {
    const growing = this.end < (this.#asset.duration ?? 0) - 1;
    this.#wanted = growing && seconds > this.end ? seconds : null;
    const { seekable } = this.#video;
    this.#video.currentTime = clamp(seconds, seekable.length ? seekable.start(0) : 0, this.end);
  }

  #seekWanted() {
    if (this.#wanted !== null && this.source && this.end >= this.#wanted) this.seek(this.#wanted);
  }

  /** Do what keys.js decided. */
  act([name, amount]) {
    const video = this.#video;
    if (!this.source) return;
    if (name === "by") this.seek(video.currentTime + amount);
    else if (name === "tenth") this.seek(((this.#asset.duration ?? this.end) * amount) / 10);
    else if (name === "frame") this.#step(amount);
    else if (name === "mute") video.muted = !video.muted;
    else if (name === "toggle") {
      if (video.paused) video.play().catch(() => {});
      else video.pause();
    } else if (document.fullscreenElement) document.exitFullscreen();
    else (video.requestFullscreen ?? video.webkitEnterFullscreen)?.call(video);
  }

  /** Aim at the middle of the neighbouring frame: its edges are rounded differently by every browser. */
  #step(frames) {
    this.#video.pause();
    const { time } = this.#frame;
    // The shortest one known: a busy machine leaves frames out, and gaps look like long frames.
    const known = [this.#asset?.frame_seconds, ...this.#frame.lengths].filter(Boolean);
    const length = known.length ? Math.min(...known) : USUAL_FRAME;
    const now = this.#video.currentTime;
    // Only the frame that holds this very time counts: a busy machine tells late which one it shows.
    const fresh = time <= now + 0.001 && now < time + length;
    const from = fresh ? time : now;
    this.seek(from + (fresh ? frames + 0.5 : frames) * length);
  }

  /** Learn where frames begin and how long they are from the frames that are shown in a row. */
  #watchFrames() {
    const note = (_, { mediaTime, presentedFrames }) => {
      const length = mediaTime - this.#frame.time;
      const inRow = !this.#video.paused && presentedFrames === this.#frame.count + 1;
      if (inRow && length > SHORTEST_FRAME && length < 1) this.#frame.lengths.push(length);
      this.#frame.lengths.splice(0, this.#frame.lengths.length - REMEMBERED);
      Object.assign(this.#frame, { time: mediaTime, count: presentedFrames });
      this.#video.requestVideoFrameCallback(note);
    };
    this.#video.requestVideoFrameCallback(note);
  }
}
