// The players that the tests try, and a bare <video>, behind one interface: window.player. Loaded into an empty page of the service's own
// origin by tests/support/players.py, with the globals `readFrame` and, if wanted, `shaka` there before it.

const errors = [];
const loaded = []; // addresses of the segments that the player has got whole
const isSegment = (url) => /\/(?!init)[^/]+\.m4s$/.test(new URL(url).pathname);

/** What was fetched since `since` (ms on the page's clock), oldest first; times in ms. */
function requests(since = 0) {
  return performance
    .getEntriesByType("resource")
    .filter(({ startTime }) => startTime >= since)
    .map(({ name, responseStatus, startTime, responseStart, responseEnd, encodedBodySize }) => ({
      url: name,
      status: responseStatus, // 0: broken off before it was answered
      segment: isSegment(name),
      first_byte_ms: responseStart ? responseStart - startTime : null,
      complete_ms: responseEnd - startTime,
      bytes: encodedBodySize,
    }));
}

const once = (target, name) => new Promise((done) => target.addEventListener(name, done, { once: true }));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

let lastFrame = null; // the presentation time of the frame that got to the screen last

function watchFrames(video) {
  const note = (_, { mediaTime }) => {
    lastFrame = mediaTime;
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
}

const isShown = (seconds) => lastFrame !== null && Math.abs(lastFrame - seconds) <= 0.25;

/** Until the frame on the screen is one of about `seconds`; or as long as any machine needs, so that it can be judged. */
async function shownAt(seconds) {
  const deadline = performance.now() + 2000;
  while (!isShown(seconds) && performance.now() < deadline) await pause(5);
  return lastFrame;
}

/**
 * Until the first frame has been told of, and the next will be. Chromium tells nobody of a frame that comes while it tells of another,
 * and a film that stands still shows no third one.
 */
async function watched(video) {
  const deadline = performance.now() + 2000;
  while (video.videoWidth && lastFrame === null && performance.now() < deadline) await pause(5);
  await new Promise(requestAnimationFrame);
}

/** A file, and nothing but the browser. */
async function openFile(video, url, { at }) {
  const ready = once(video, "loadedmetadata");
  video.src = at ? `${url}#t=${at}` : url;
  await ready;
  return { close: () => video.removeAttribute("src"), shown: () => null, renditions: () => [] };
}

async function openHls(video, url, { rendition, at }) {
  const { default: Hls } = await import("/ui/vendor/hls.mjs");
  const { renditionOf, settings, twins } = await import("/ui/js/streaming.js");
  const hls = new Hls(settings({ at, speed: 1e9 }));
  hls.on(Hls.Events.ERROR, (_, { type, details, fatal, reason, error }) => {
    errors.push({ type, details, fatal, words: String(reason ?? error ?? "") });
  });
  hls.on(Hls.Events.FRAG_LOADED, (_, { frag }) => loaded.push(frag.url));
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    twins(hls.levels).forEach((level) => hls.removeLevel(level));
    if (!rendition) return;
    const level = hls.levels.findIndex(({ uri }) => renditionOf(uri) === rendition);
    if (level < 0) errors.push({ type: "test", details: `no level ${rendition}`, fatal: true, words: "" });
    hls.loadLevel = hls.startLevel = level;
  });
  const ready = once(video, "loadedmetadata");
  hls.loadSource(url);
  hls.attachMedia(video);
  await ready;
  return {
    close: () => hls.destroy(),
    shown: () => renditionOf(hls.levels[hls.currentLevel]?.uri ?? ""),
    renditions: () => hls.levels.map(({ uri }) => renditionOf(uri)),
  };
}

async function openShaka(video, url, { rendition, at, exact }) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  const note = ({ code, category, severity, data }) => {
    const fatal = severity === shaka.util.Error.Severity.CRITICAL;
    errors.push({ type: `category ${category}`, details: `code ${code}`, fatal, words: JSON.stringify(data ?? null) });
  };
  player.addEventListener("error", ({ detail }) => note(detail));
  await player.attach(video);
  player.getNetworkingEngine().registerResponseFilter((type, { uri }) => {
    if (type === shaka.net.NetworkingEngine.RequestType.SEGMENT) loaded.push(uri);
  });
  const ready = once(video, "loadedmetadata");
  // HLS: the address of the media playlist as it was written, {rendition}/index.m3u8; DASH: the representation's id.
  const named = (id) => id?.split("/")[0];
  const nameOf = (track) => named(track?.originalVideoId ?? track?.originalAudioId);
  // From the first choice on: what it would begin with by itself, somebody might have to encode.
  class OnlyOne extends shaka.abr.SimpleAbrManager {
    setVariants(variants) {
      const wanted = variants.filter(({ video, audio }) => !rendition || named((video ?? audio).originalId) === rendition);
      if (!wanted.length) errors.push({ type: "test", details: `no variant ${rendition}`, fatal: true, words: "" });
      super.setVariants(wanted);
    }
  }
  player.configure({ abrFactory: () => new OnlyOne(), abr: { defaultBandwidthEstimate: 1e9 } });
  // By itself it looks for what is shown two seconds before, and takes a refusal of that for the end.
  if (exact) player.configure("streaming.inaccurateManifestTolerance", 0);
  await player.load(url, at).catch((error) => {
    note(error);
    throw new Error(`Shaka: ${errors.at(-1).details} ${errors.at(-1).words}`);
  });
  await ready;
  return {
    close: () => player.destroy(),
    shown: () => nameOf(player.getVariantTracks().find(({ active }) => active)),
    renditions: () => [...new Set(player.getVariantTracks().map(nameOf))],
  };
}

let video;
let playing;

window.player = {
  /** `kind`: "hls.js" | "shaka" | "file"; `rendition`: the one to play throughout, null: the player decides; `exact`: ask for nothing before. */
  async open(kind, url, { rendition = null, at = 0, exact = false } = {}) {
    performance.setResourceTimingBufferSize(20_000);
    video = Object.assign(document.createElement("video"), { muted: true, width: 640, height: 360 });
    document.body.replaceChildren(video);
    watchFrames(video);
    const open = { "hls.js": openHls, shaka: openShaka, file: openFile }[kind];
    playing = await open(video, url, { rendition, at, exact });
    await watched(video);
    return { duration: video.duration, width: video.videoWidth, renditions: playing.renditions() };
  },

  /** Goes there and tells what is on the screen then, and what was fetched for it. */
  async seek(seconds) {
    const begun = performance.now();
    const seeked = once(video, "seeked");
    video.currentTime = seconds;
    await seeked;
    const seeked_ms = performance.now() - begun;
    const media_time = video.videoWidth ? await shownAt(seconds) : null;
    const shown_ms = isShown(seconds) ? performance.now() - begun : null;
    return {
      aim: seconds,
      landed: video.currentTime,
      media_time,
      frame: video.videoWidth ? readFrame(video) : null,
      seeked_ms,
      shown_ms,
      rendition: playing.shown(),
      requests: requests(begun),
    };
  },

  /** Plays `seconds` of the film, or to its end, four times as fast as it is; tells where it then is. */
  async play(seconds) {
    video.playbackRate = 4;
    const stop = Math.min(video.currentTime + seconds, video.duration);
    await video.play();
    while (video.currentTime < stop && !video.ended) await Promise.race([once(video, "timeupdate"), once(video, "ended")]);
    video.pause();
    return video.currentTime;
  },

  /** All that happened since `open`. */
  report() {
    const { buffered } = video;
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    return {
      errors,
      requests: requests(),
      loaded: loaded.filter(isSegment),
      buffered: Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)]),
      rendition: playing.shown(),
      frames: totalVideoFrames,
      dropped: droppedVideoFrames,
    };
  },

  close: () => playing.close(),
};
