/** The watch page: finds out what can be played, plays it, and says why when it cannot. */

import { busy } from "./busy.js";
import { controlsOf } from "./controls.js";
import { byId, copyText, setText, toast } from "./dom.js";
import { clock, duration, parseTime, timeParameter } from "./format.js";
import { actionFor } from "./keys.js";
import { keepPlace, placeOf } from "./places.js";
import { Player } from "./player.js";

// How long to wait for something playable: 1.5 s, then half as much again each time, up to 15 s; some 8 minutes in all.
const [FIRST_WAIT, WAIT_GROWTH, LONGEST_WAIT, ATTEMPTS] = [1.5, 1.5, 15, 36];
const KEPT_EVERY_SECONDS = 5; // how much of a place a crash may cost

const video = byId("video");
// The page for people, which is also where a film is described; ours may be the one that is shown in others (/embed/ID).
const page = location.pathname.replace(/\/+$/, "").replace(/\/embed(?=\/[^/]+$)/, "/watch");
const player = new Player(video, {
  onLost: (at) => load(at),
  onChange: () => controls.refresh(),
  onSkip: () => toast("A part of this film could not be made. It goes on after it."),
  fullscreen: () => controls.fullscreen(),
});
const controls = controlsOf({
  seek: (seconds) => player.seek(seconds),
  menus: () => player.menus,
  storyboard: findStoryboard,
});
let asset = null;

function say(title, text = "", { again = false, download = null } = {}) {
  byId("message").hidden = false;
  byId("player").hidden = true;
  controls.hide();
  setText(byId("message-title"), title);
  setText(byId("message-text"), text);
  byId("again").hidden = !again;
  byId("download").hidden = !download;
  if (download) byId("download").href = download;
  byId("tools").hidden = byId("keys").hidden = byId("note").hidden = true;
}

function sayFailed() {
  const { code, detail } = asset.error ?? {};
  const text = `${detail || "The file could not be used."}${code ? ` (${code})` : ""}`;
  say("This video could not be made ready", text, { download: asset.playback.original?.url });
}

function describe() {
  document.title = asset.title;
  setText(byId("title"), asset.title);
  if (asset.playback.poster) video.poster = asset.playback.poster;
  // It came with what is known of the film, and is what there is to see until the poster lies over it.
  const { placeholder } = asset.playback;
  if (placeholder && video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
    byId("stage").style.setProperty("--placeholder", `url("${placeholder}")`);
  }
  if (asset.width && asset.height) Object.assign(video, { width: asset.width, height: asset.height });
  byId("stage").classList.toggle("sound", isSound());
}

const isSound = () => asset.width === null && asset.duration !== null;

function showPlayer() {
  byId("message").hidden = true;
  for (const node of [byId("player"), byId("tools"), byId("keys")]) node.hidden = false;
  showTime();
  controls.show({ sound: isSound(), previews: asset.previews });
  const failed = player.source.original && asset.state === "failed";
  setText(byId("note"), failed ? "The conversion failed; this is the file itself." : "");
}

/** Where the scrub bar's pictures are listed. While there are none, or more to come, the asset is asked again. */
async function findStoryboard() {
  if (!asset.previews?.complete) {
    const response = await fetch(`${page}/asset.json`, { cache: "no-store" });
    if (response.ok) asset = { ...asset, ...(({ previews, playback }) => ({ previews, playback }))(await response.json()) };
  }
  return { url: asset.playback.storyboard_json, complete: Boolean(asset.previews?.complete) };
}

/** One look at the asset. true: settled, whichever way; otherwise the seconds the service asks us to wait, or null. */
async function look(at) {
  let response;
  try {
    response = await fetch(`${page}/asset.json`, { cache: "no-store" });
  } catch {
    say("The server cannot be reached", "Trying again…");
    return null;
  }
  if (response.status === 404) {
    say("There is no such video", "It may have been deleted, or the link is not complete.");
    return true;
  }
  const after = Number(response.headers.get("Retry-After")) || null;
  if (response.status === 410) {
    say("This link has expired", "Ask for a new one where you got it.");
    return true;
  }
  if (response.status === 403) {
    const { code } = await response.json().catch(() => ({}));
    if (code === "token_not_yet") say("This link is not valid yet", "Its time has not come.");
    else say("This may not be played", "The link is not complete, or it is not for this video.");
    return true;
  }
  if (!response.ok) {
    say("The server is busy", "Trying again…");
    return after;
  }
  asset = await response.json();
  describe();
  byId("player").hidden = false; // hidden, some browsers load nothing
  const place = at === null && remembers() ? placeOf(asset.id) : null;
  if (await player.open(asset, at ?? place ?? asset.playback.starts_at)) {
    showPlayer();
    if (place !== null) controls.resumed(place, () => player.seek(0));
    return true;
  }
  const download = asset.playback.original?.url;
  if (asset.state === "failed") sayFailed();
  else if (asset.state === "ready") say("This browser cannot play the video", "", { again: true, download });
  else say("This video is being prepared", "It starts here by itself as soon as it can be played.");
  return asset.state === "failed" || asset.state === "ready" || after;
}

async function load(at) {
  let wait = FIRST_WAIT;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const seen = await look(at);
    if (seen === true) return;
    await new Promise((done) => setTimeout(done, 1000 * Math.min(LONGEST_WAIT, seen ?? wait)));
    wait *= WAIT_GROWTH;
  }
  say("This takes longer than expected", "", { again: true });
}

function showTime() {
  const total = asset.duration ?? player.end;
  byId("now").textContent = clock(video.currentTime);
  byId("total").textContent = total ? ` / ${clock(total)}` : "";
}

// Four timeupdates a second are too few for milliseconds that run; frames are asked for only while it plays.
function run() {
  showTime();
  if (!video.paused && !video.ended) requestAnimationFrame(run);
}
video.addEventListener("play", run);
video.addEventListener("loadeddata", () => byId("stage").style.removeProperty("--placeholder"));
for (const name of ["timeupdate", "seeking", "seeked"]) video.addEventListener(name, () => asset && showTime());
busy(video, (text) => setText(byId("busy"), text), () => player.making);

// In a frame the film belongs to somebody else's page; a part of a film has a beginning of its own.
const remembers = () => window.top === window && asset !== null && !asset.playback.starts_at;

let kept = 0; // where the place was last written down
function keep() {
  if (!player.source || !remembers() || !video.played.length) return;
  kept = video.currentTime;
  keepPlace(asset.id, kept, asset.duration ?? player.end);
}
video.addEventListener("timeupdate", () => Math.abs(video.currentTime - kept) >= KEPT_EVERY_SECONDS && keep());
for (const name of ["pause", "seeked", "ended"]) video.addEventListener(name, keep);
addEventListener("pagehide", keep);

// Capturing, so that the player's own controls do not act on the same key a second time.
addEventListener(
  "keydown",
  (event) => {
    const action = actionFor(event);
    const { target } = event;
    if (!action || !player.source || target.closest?.("input, textarea, select, [role=menu]")) return;
    // Space presses what has the focus, and arrows move it if it is a slider of something else.
    if (event.key === " " && target.closest?.("button, a, summary, [role=button]")) return;
    if (event.key.startsWith("Arrow") && target.closest?.("media-volume-range")) return;
    event.preventDefault();
    event.stopPropagation();
    player.act(action);
  },
  { capture: true },
);

byId("earlier").onclick = () => player.act(["frame", -1]);
byId("later").onclick = () => player.act(["frame", 1]);
byId("copy").onclick = () => {
  const link = new URL(page, location.href);
  link.searchParams.set("t", timeParameter(video.currentTime));
  copyText(link.href, `Link at ${duration(video.currentTime)} copied`);
};
byId("again").onclick = () => {
  say("Loading…");
  load(start);
};

const start = parseTime(new URLSearchParams(location.search).get("t"));
load(start);
