/** The watch page: finds out what can be played, plays it, and says why when it cannot. */

import { busy } from "./busy.js";
import { byId, copyText, element, setText, toast } from "./dom.js";
import { clock, duration, parseTime, timeParameter } from "./format.js";
import { actionFor } from "./keys.js";
import { Player } from "./player.js";

// How long to wait for something playable: 1.5 s, then half as much again each time, up to 15 s; some 8 minutes in all.
const [FIRST_WAIT, WAIT_GROWTH, LONGEST_WAIT, ATTEMPTS] = [1.5, 1.5, 15, 36];

const video = byId("video");
// The page for people, which is also where a film is described; ours may be the one that is shown in others (/embed/ID).
const page = location.pathname.replace(/\/+$/, "").replace(/\/embed(?=\/[^/]+$)/, "/watch");
const player = new Player(video, {
  onLost: (at) => load(at),
  onChange: showMenus,
  onSkip: () => toast("A part of this film could not be made. It goes on after it."),
});
let asset = null;

function say(title, text = "", { again = false, download = null } = {}) {
  byId("message").hidden = false;
  video.hidden = true;
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
  if (asset.width && asset.height) Object.assign(video, { width: asset.width, height: asset.height });
  byId("stage").classList.toggle("sound", asset.width === null && asset.duration !== null);
}

function showPlayer() {
  byId("message").hidden = true;
  for (const node of [video, byId("tools"), byId("keys")]) node.hidden = false;
  showTime();
  showMenus();
  const failed = player.source.original && asset.state === "failed";
  setText(byId("note"), failed ? "The conversion failed; this is the file itself." : "");
}

/** Made anew when something else can be chosen; not while somebody has one of them in hand. */
function showMenus() {
  const node = byId("menus");
  if (node.contains(document.activeElement)) return;
  const menus = player.menus.map(({ name, options, value: chosen, choose }) => {
    const onchange = ({ target }) => {
      target.blur(); // so that the player's keys are the player's again
      choose(Number(target.value));
    };
    const items = options.map(({ value, words }) => new Option(words, value, false, value === chosen));
    return element("label", { textContent: `${name} ` }, element("select", { onchange }, ...items));
  });
  node.replaceChildren(...menus);
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
  video.hidden = false; // hidden, some browsers load nothing
  if (await player.open(asset, at ?? asset.playback.starts_at)) {
    showPlayer();
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
for (const name of ["timeupdate", "seeking", "seeked"]) video.addEventListener(name, () => asset && showTime());
busy(video, (text) => setText(byId("busy"), text), () => player.making);

// Capturing, so that the player's own controls do not act on the same key a second time.
addEventListener(
  "keydown",
  (event) => {
    const action = actionFor(event);
    const { target } = event;
    if (!action || !player.source || target.closest?.("input, textarea, select")) return;
    // Space presses what has the focus.
    if (event.key === " " && target.closest?.("button, a, summary")) return;
    event.preventDefault();
    event.stopPropagation();
    player.act(action);
  },
  { capture: true },
);

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
