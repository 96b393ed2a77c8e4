// Players whose scrub bars show previews, as pages of somebody's own have them: window.scrubbing. Put together by esbuild and
// loaded into an empty page by tests/support/scrubbing.py, with `shaka` there before it if wanted.
import Hls from "hls.js";
import "media-chrome";
import "vidstack/player";
import "vidstack/player/ui";

const errors = [];
const once = (target, name) => new Promise((done) => target.addEventListener(name, done, { once: true }));

const STYLE = `
  body { margin: 0 }
  video, media-controller, media-player, .shaka { display: block; width: 800px; height: 450px }
  media-time-slider { display: block; position: absolute; top: 460px; width: 800px; height: 20px }
  media-slider-preview { bottom: 30px }
  media-slider-thumbnail { display: block; overflow: hidden; width: var(--thumbnail-width); height: var(--thumbnail-height) }
`;

function page(markup) {
  document.body.innerHTML = `<style>${STYLE}</style>${markup}`;
}

/** hls.js's player of image I-frames, which shows in an <img> what is at the time that it is told. */
async function openHls({ hls: url }) {
  page(`<video muted></video><img id="preview">`);
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, { details, fatal }) => errors.push(`${details} ${fatal}`));
  const parsed = new Promise((done) => hls.on(Hls.Events.MANIFEST_PARSED, done));
  hls.loadSource(url);
  hls.attachMedia(document.querySelector("video"));
  await parsed;
  const images = hls.createImageIFramePlayer();
  images.on(Hls.Events.ERROR, (_, { details, fatal }) => errors.push(`${details} ${fatal}`));
  images.attachImage(document.querySelector("img"));
  return { preview: "#preview", show: (seconds) => images.loadMediaAt(seconds) };
}

/** Shaka with its own user interface; `mjpg`: the previews that are I-frames. */
async function openShaka(url, { mjpg = false } = {}) {
  page(`<div class="shaka"><video muted></video></div>`);
  const video = document.querySelector("video");
  const player = new shaka.Player();
  await player.attach(video);
  const overlay = new shaka.ui.Overlay(player, document.querySelector(".shaka"), video);
  overlay.configure({ fadeDelay: 600 });
  player.addEventListener("error", ({ detail }) => errors.push(`Shaka ${detail.code}`));
  if (mjpg) player.getNetworkingEngine().registerResponseFilter((_, response) => withoutImageFiles(response));
  await player.load(url);
  return { preview: ".shaka-player-ui-thumbnail-image-container", bar: ".shaka-seek-bar", inset: 6 };
}

/** Leaves Shaka no other previews than those that are I-frames: of two it takes the files. */
function withoutImageFiles(response) {
  const text = new TextDecoder().decode(response.data);
  if (!text.startsWith("#EXTM3U")) return;
  response.data = new TextEncoder().encode(text.replace(/#EXT-X-IMAGE-STREAM-INF.*\n/, ""));
}

/** media-chrome: the previews are a track of the video. */
async function openMediaChrome({ file, vtt }) {
  page(`
    <media-controller>
      <video slot="media" muted crossorigin src="${file}"><track label="thumbnails" default kind="metadata" src="${vtt}"></video>
      <media-time-range></media-time-range>
    </media-controller>`);
  const track = document.querySelector("track");
  if (track.readyState !== HTMLTrackElement.LOADED) await once(track, "load");
  // A pointer that moves before the bar knows how long the film is, and has its pictures, asks for nothing.
  const bar = document.querySelector("media-time-range");
  await new Promise((done) => {
    const told = () => bar.hasAttribute("mediaduration") && done();
    new MutationObserver(told).observe(bar, { attributeFilter: ["mediaduration"] });
    told();
  });
  return { preview: "media-time-range media-preview-thumbnail", bar: "media-time-range #range" };
}

/** Vidstack: its slider fetches the previews, as WebVTT or JSON. */
async function openVidstack({ file }, previews) {
  page(`
    <media-player load="eager" muted crossorigin src="${file}">
      <media-provider></media-provider>
      <media-time-slider>
        <media-slider-preview><media-slider-thumbnail src="${previews}"></media-slider-thumbnail></media-slider-preview>
      </media-time-slider>
    </media-player>`);
  await once(document.querySelector("media-player"), "can-play");
  return { preview: "media-slider-thumbnail", bar: "media-time-slider" };
}

let opened;

window.scrubbing = {
  /** `at`: the addresses of the film's `hls`, `dash`, `file`, `vtt` and `json`. Gives selectors of the preview and the
   * bar, and how far (px) from its ends the film begins and ends on it. */
  async open(kind, at) {
    const ways = {
      "hls.js": () => openHls(at),
      "Shaka, HLS": () => openShaka(at.hls),
      "Shaka, HLS I-frames": () => openShaka(at.hls, { mjpg: true }),
      "Shaka, DASH": () => openShaka(at.dash),
      "media-chrome": () => openMediaChrome(at),
      "Vidstack, WebVTT": () => openVidstack(at, at.vtt),
      "Vidstack, JSON": () => openVidstack(at, at.json),
    };
    opened = await ways[kind]();
    const { preview, bar = null, inset = 0 } = opened;
    return { preview, bar, inset };
  },

  /** Has the preview of that time shown by a player that has no bar. */
  show: (seconds) => opened.show(seconds),

  errors: () => errors,
};
