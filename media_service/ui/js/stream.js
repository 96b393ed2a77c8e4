/** One film through hls.js: loads it, gets over what fails, and knows what there is to choose. */

import { bufferSeconds, lineSpeed, qualities, renditionOf, settings, tracks, twins } from "./streaming.js";

const HLS_JS = "/ui/vendor/hls.mjs";
const NEAR_SECONDS = 0.5; // a film waits before a hole, not exactly at it: sound and picture end apart

export class Stream {
  #hls;
  #video;
  #hooks;
  #loading = new Map(); // the fragments that are being loaded, by their type: picture and sound come side by side
  #hole = null; // the fragment that cannot be had; nothing is loaded until the viewer is at it or somewhere else
  #recovered = false;
  #flushed; // the name of hls.js' event
  #over = new AbortController();

  /** hooks: onFatal(), onChange() when there is something else to choose, onSkip() when a part cannot be had. */
  static async open(video, url, at, hooks) {
    const { default: Hls } = await import(HLS_JS);
    return Hls.isSupported() ? new Stream(Hls, video, url, at, hooks) : null;
  }

  constructor(Hls, video, url, at, hooks) {
    this.#video = video;
    this.#hooks = hooks;
    const speed = lineSpeed(performance.getEntriesByType("resource"));
    const hls = (this.#hls = new Hls(settings({ at, speed })));
    const { Events } = Hls;
    this.#flushed = Events.BUFFER_FLUSHED;
    hls.on(Events.FRAG_LOADING, (_, { frag }) => this.#loading.set(frag.type, frag));
    for (const name of [Events.FRAG_LOADED, Events.FRAG_LOAD_EMERGENCY_ABORTED]) {
      hls.on(name, (_, { frag }) => this.#loading.get(frag.type) === frag && this.#loading.delete(frag.type));
    }
    hls.on(Events.MANIFEST_PARSED, () => twins(hls.levels).forEach((level) => hls.removeLevel(level)));
    const changes = [Events.LEVELS_UPDATED, Events.LEVEL_SWITCHED, Events.AUDIO_TRACK_SWITCHED, Events.SUBTITLE_TRACK_SWITCH];
    changes.push(Events.MANIFEST_PARSED, Events.AUDIO_TRACKS_UPDATED, Events.SUBTITLE_TRACKS_UPDATED);
    for (const name of changes) hls.on(name, () => hooks.onChange());
    hls.on(Events.ERROR, (_, data) => data.fatal && this.#fatal(Hls, data));
    const { signal } = this.#over;
    const adjust = () => (hls.config.maxBufferLength = bufferSeconds(video.paused));
    for (const name of ["play", "pause"]) video.addEventListener(name, adjust, { signal });
    for (const name of ["waiting", "seeking"]) video.addEventListener(name, () => this.#passHole(), { signal });
    hls.loadSource(url);
    hls.attachMedia(video);
  }

  close() {
    this.#over.abort();
    this.#hls.destroy();
  }

  #fatal(Hls, { type, frag, response }) {
    if (type === Hls.ErrorTypes.MEDIA_ERROR && !this.#recovered) {
      this.#recovered = true;
      return this.#hls.recoverMediaError();
    }
    // 404: this part could not be made, in any quality, and will not be. The rest plays.
    const lost = type === Hls.ErrorTypes.NETWORK_ERROR && response?.code === 404 && Number.isInteger(frag?.sn);
    if (!lost || frag.end >= this.#video.duration) return this.#hooks.onFatal();
    this.#hole = frag;
    this.#passHole();
  }

  #passHole() {
    if (!this.#hole) return;
    const [{ start, end }, video] = [this.#hole, this.#video];
    const inside = video.currentTime >= start - NEAR_SECONDS && video.currentTime < end;
    if (!inside && !video.seeking) return; // there is something to see before it
    this.#hole = null;
    // A little behind its end: rounding must not lead back into it.
    if (inside) video.currentTime = end + 0.01;
    this.#hls.startLoad(video.currentTime);
    if (inside) this.#hooks.onSkip();
  }

  /** Whether what is loaded right now has to be encoded first: not a byte has come, and it is not cut out of the original. */
  get making() {
    const made = (frag) => !frag.stats.loading.first && renditionOf(frag.url) !== "source";
    return [...this.#loading.values()].some(made);
  }

  /** [{ name, options: [{ value, words }], value, choose(value) }] */
  get menus() {
    const hls = this.#hls;
    const { autoLevelEnabled, currentLevel, levels } = hls;
    const pictures = qualities(levels);
    const shown = pictures.find(({ value }) => value === currentLevel);
    if (shown && autoLevelEnabled) pictures[0].words += `, now ${shown.words}`;
    const sounds = tracks(hls.audioTracks);
    const subtitles = tracks(hls.subtitleTracks);
    const menus = [
      { name: "Quality", options: pictures, value: autoLevelEnabled ? -1 : hls.manualLevel, choose: (to) => this.#show(to) },
      { name: "Sound", options: sounds, value: hls.audioTrack, choose: (to) => (hls.audioTrack = to) },
      {
        name: "Subtitles",
        options: subtitles.length ? [{ value: -1, words: "Off" }, ...subtitles] : [],
        value: hls.subtitleTrack,
        choose: (to) => (hls.subtitleTrack = to),
      },
    ];
    return menus.filter(({ options }) => options.length > 1);
  }

  /** While it plays the change comes with the next segment, unnoticed; a still picture changes at once. */
  #show(level) {
    const [hls, video] = [this.#hls, this.#video];
    if (video.paused) {
      // Without the seek the old picture would stand until it plays. Sound that is emptied besides tells nothing.
      const look = (_, { type }) => {
        if (type === "audio") return;
        hls.off(this.#flushed, look);
        video.currentTime = video.currentTime;
      };
      hls.on(this.#flushed, look);
      hls.currentLevel = level;
    } else hls.nextLevel = level;
    this.#hooks.onChange();
  }
}
