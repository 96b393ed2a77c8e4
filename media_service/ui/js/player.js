/** One video element, several sources: the first that really plays wins, and a seek never gets lost on the way. */

import { clamp } from "./keys.js";
import { nativeMenus } from "./native_tracks.js";
import { candidates } from "./sources.js";
import { Stream } from "./stream.js";

const [SHORTEST_FRAME, USUAL_FRAME] = [1 / 240, 1 / 30]; // seconds
const REMEMBERED = 30; // frames
const LAST = 0.5; // seconds before the end: hls.js waits for ever when it is to begin later
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

export class Player {
  source = null;
  #video;
  #stream = null;
  #left = [];
  #asset;
  #frame = { time: 0, count: 0, lengths: [] };
  #start = null; // an AbortController while a source is tried
  #hooks;

  #subtitles = 0; // the ones that the key brings back

  /**
   * hooks: onLost(at): a source that had played broke, and no other one plays; onChange(), onSkip(): see Stream;
   * fullscreen(): into it or out of it.
   */
  constructor(video, hooks) {
    this.#video = video;
    this.#hooks = hooks;
    video.addEventListener("error", () => this.#broken());
    video.addEventListener("seeking", () => this.#stayInside());
    const changes = [[video, "ratechange"], [video.textTracks, "change"], [video.textTracks, "addtrack"]];
    for (const [target, name] of changes) target.addEventListener(name, () => hooks.onChange());
    if (video.requestVideoFrameCallback) this.#watchFrames();
  }

  /** Seconds up to which seeking works. */
  get end() {
    const { seekable, duration } = this.#video;
    if (seekable.length) return seekable.end(seekable.length - 1);
    return Number.isFinite(duration) ? duration : 0;
  }

  /** What a viewer can choose: see Stream. */
  get menus() {
    if (!this.source) return [];
    const video = this.#video;
    const options = SPEEDS.map((value) => ({ value, words: value === 1 ? "Normal" : `${value}\u00d7` }));
    // The default too: it is what another source of the same film begins with.
    const choose = (to) => (video.defaultPlaybackRate = video.playbackRate = to);
    const speed = { name: "Speed", options, value: video.playbackRate, choose };
    return [...(this.#stream?.menus ?? nativeMenus(video)), speed];
  }

  /** Whether the part that is waited for has to be encoded first. */
  get making() {
    return this.#stream?.making ?? false;
  }

  /** Try the asset's sources from `at` seconds on; false when none plays (yet). */
  async open(asset, at) {
    this.#asset = asset;
    this.#left = candidates(asset.playback, {
      canPlay: (type) => this.#video.canPlayType(type),
      mse: (globalThis.ManagedMediaSource && "managed") || (globalThis.MediaSource && "plain") || "none",
      finished: asset.state === "ready" || asset.state === "failed",
    });
    return this.#next(clamp(at, 0, (asset.duration ?? Infinity) - LAST), false);
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
    const { onChange, onSkip } = this.#hooks;
    const hooks = { onChange, onSkip, onFatal: () => this.#stream === stream && this.#broken() };
    const stream = await Stream.open(this.#video, url, at, hooks).catch(() => null);
    if (trial.signal.aborted) stream?.close();
    else if (stream) this.#stream = stream;
    else trial.abort();
  }

  async #broken() {
    if (this.#start) return this.#start.abort();
    if (!this.source) return;
    const { currentTime, paused } = this.#video;
    this.source = null;
    if (!(await this.#next(currentTime, !paused))) this.#hooks.onLost(currentTime);
  }

  #close() {
    this.source = null;
    this.#stream?.close();
    this.#stream = null;
    if (!this.#video.getAttribute("src")) return;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** A link may open a part of the film: what lies before it cannot be had. */
  #stayInside() {
    const first = this.#asset?.playback.starts_at ?? 0;
    if (this.#video.currentTime < first) this.#video.currentTime = first;
  }

  /** Go to `seconds`. */
  seek(seconds) {
    const { seekable } = this.#video;
    this.#video.currentTime = clamp(seconds, seekable.length ? seekable.start(0) : 0, this.end);
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
    } else if (name === "subtitles") this.#toggleSubtitles();
    else this.#hooks.fullscreen();
  }

  #toggleSubtitles() {
    const menu = this.menus.find(({ name }) => name === "Subtitles");
    if (!menu) return;
    if (menu.value >= 0) this.#subtitles = menu.value;
    menu.choose(menu.value >= 0 ? -1 : Math.min(this.#subtitles, menu.options.length - 2));
    this.#hooks.onChange();
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
