/** The page of one asset: the player, the timeline as it fills, where to get it, what it is and what happened to it. */

import { Api, currentSession } from "./api.js";
import { Deletions } from "./deletions.js";
import { byId, element, setProgress, setText, toast } from "./dom.js";
import { follow } from "./events.js";
import { facts, happened } from "./facts.js";
import { clock } from "./format.js";
import { downloadUrl, embedUrl, embedWords, isSigned, links, plays } from "./links.js";
import { edited } from "./rename.js";
import { Screen } from "./screen.js";
import { linkRow, showSigning } from "./signing.js";
import { Timeline } from "./timeline.js";
import { canRetry, errorWords, factsLine, seekWords, stateWords } from "./words.js";

const id = decodeURIComponent(location.pathname.replace(/\/+$/, "").split("/").at(-1));
const [AGAIN_MS, POSTER_PLACES] = [1500, 1000]; // how often the history is read again at most; milliseconds are enough

const signIn = () => location.replace(`/admin?next=${encodeURIComponent(id)}`);
const announce = (text) => (byId("announce").textContent = text);

function say(title, text) {
  byId("asset").hidden = true;
  byId("trouble").hidden = false;
  setText(byId("trouble-title"), title);
  setText(byId("trouble-text"), text);
}

class AssetPage {
  #api;
  #asset = null;
  #deletions;
  #screen = new Screen((seconds, sought) => this.#filmIsAt(seconds, sought));
  #timeline = new Timeline(byId("timeline"), (seconds) => this.#screen.seek(seconds));
  #over = new AbortController();
  #cuts = ""; // which renditions the timeline was read with
  #reading = null;
  #unread = false; // something came while it was read
  #typed = false; // a time of the poster, which is not sent yet

  constructor(api, asset) {
    this.#api = api;
    this.#deletions = new Deletions(this.#api, {
      onBack: () => this.#dim(false),
      onGone: () => location.assign("/admin"),
      onFailed: (_, problem) => {
        this.#dim(false);
        this.#refused(problem, "Not deleted.");
      },
      home: () => byId("title"),
    });
    this.#listen();
    this.#show(asset);
    this.#sayFramers();
    follow(`/api/v1/assets/${encodeURIComponent(id)}/events`, {
      signal: this.#over.signal,
      onEvent: (event) => this.#hear(event),
      onState: (state) => this.#lineIs(state),
    });
  }

  #hear({ type, data }) {
    const told = JSON.parse(data);
    if (type === "asset") this.#show(told);
    if (type === "made") this.#made(told.renditions);
    if (type === "deleted") this.#gone();
  }

  #lineIs(state) {
    if (state === "refused") return signIn();
    if (state === "gone") return this.#gone();
    const live = byId("live");
    const again = state === "open" && live.dataset.state === "lost";
    live.dataset.state = state;
    setText(live, state === "open" ? "Live" : "Reconnecting…");
    if (again) this.#look();
  }

  /** As it is now. */
  async #look() {
    await this.#do(() => this.#api.look(id), "");
  }

  #gone() {
    this.#over.abort();
    if (!this.#deletions.has(id)) say("This video is gone", "Somebody has deleted it.");
  }

  #show(asset) {
    const before = this.#asset;
    if (before && asset.updated_at < before.updated_at) return;
    this.#asset = asset;
    byId("asset").hidden = false;
    document.title = asset.title;
    byId("asset").dataset.state = asset.state;
    if (before && before.state !== asset.state) announce(stateWords(asset));
    setText(byId("title"), asset.title);
    setText(byId("badge"), stateWords(asset));
    setText(byId("meta"), factsLine(asset));
    this.#showProgress();
    this.#showProblem();
    this.#showSeeking();
    this.#showScreen();
    this.#showLinks(before);
    const shown = facts(asset).map(([term, words]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: words })));
    if (JSON.stringify(before && facts(before)) !== JSON.stringify(facts(asset))) byId("facts").replaceChildren(...shown);
    this.#read();
  }

  #showProgress() {
    const { progress, state } = this.#asset;
    byId("progress").hidden = state === "ready" || state === "failed" || (state === "playable" && progress === null);
    setProgress(byId("progress"), progress);
  }

  #showProblem() {
    const { state, playback } = this.#asset;
    const words = errorWords(this.#asset);
    byId("problem").hidden = !words;
    setText(byId("problem-title"), state === "failed" ? "This video could not be made ready" : "A part of it could not be made");
    setText(byId("problem-text"), words);
    byId("retry").hidden = !canRetry(this.#asset);
    byId("download").href = downloadUrl(this.#asset);
    byId("sign").hidden = !plays(this.#asset);
    byId("download").hidden = state === "probing" && !playback.original;
  }

  #showSeeking() {
    const { seekability } = this.#asset;
    const words = seekWords(this.#asset);
    for (const node of [byId("seeks"), byId("verdict")]) {
      setText(node, words);
      node.dataset.verdict = seekability?.verdict;
    }
    byId("seek-section").hidden = !words;
    setText(byId("advice"), seekability?.advice ?? "");
  }

  #showScreen() {
    const { width, height } = this.#asset;
    byId("screen").hidden = !plays(this.#asset);
    if (!plays(this.#asset) || this.#deletions.has(id)) return;
    this.#screen.shape(width, height);
    this.#screen.open(embedUrl(this.#asset), isSigned(this.#asset));
  }

  /** The rows stay as they are while nothing of them changes: somebody may be just copying. */
  #showLinks(before) {
    const asset = this.#asset;
    const found = links(asset, location.origin);
    if (!before || JSON.stringify(links(before, location.origin)) !== JSON.stringify(found)) {
      byId("links").replaceChildren(...found.map(linkRow));
    }
    byId("links").parentElement.hidden = !found.length;
    byId("links-note").hidden = !isSigned(asset);
    if (document.activeElement !== byId("visibility")) byId("visibility").value = asset.visibility ?? "";
    byId("poster-form").hidden = !(asset.width && plays(asset));
    byId("poster-auto").hidden = asset.poster_time === null;
    const { poster } = asset.playback;
    byId("poster").hidden = !poster;
    if (poster && byId("poster").getAttribute("src") !== poster) byId("poster").src = poster;
  }

  /** Who may show the player, the policy of its page tells. */
  async #sayFramers() {
    const answer = await fetch(embedUrl(this.#asset), { method: "HEAD" }).catch(() => null);
    setText(byId("embed-note"), embedWords(answer?.headers.get("Content-Security-Policy") ?? ""));
  }

  /** The history, and the timeline where its cuts may have changed: soon, and not more often than is of use. */
  #read() {
    if (this.#reading) {
      this.#unread = true;
      return;
    }
    const run = async () => {
      this.#unread = false;
      try {
        if (this.#deletions.has(id) || this.#over.signal.aborted) return;
        await Promise.all([this.#readHistory(), this.#readTimeline()]);
      } catch (problem) {
        if (problem.status === 401) signIn(); // other failures mend themselves with the next news
      } finally {
        this.#reading = null;
      }
      if (this.#unread) this.#read();
    };
    this.#reading = setTimeout(run, this.#cuts ? AGAIN_MS : 0);
  }

  async #readHistory() {
    const { items } = await this.#api.look(id, "history");
    const entries = items.map(happened).reverse();
    const rows = entries.map(({ time, words, bad }) => {
      const said = element("span", { className: bad ? "bad" : "", textContent: words });
      return element("li", {}, said, element("time", { textContent: time }));
    });
    byId("history").replaceChildren(...rows);
  }

  async #readTimeline() {
    const { renditions, previews, playback, state } = this.#asset;
    const cuts = JSON.stringify([renditions.map(({ name, segments }) => [name, segments]), previews, playback.waveform]);
    // While it is looked at there are renditions already, but no answer yet.
    if (!renditions.length || state === "probing" || cuts === this.#cuts) return;
    await this.#timeline.read(() => this.#api.look(id, "timeline"), this.#asset);
    this.#cuts = cuts;
    byId("timeline-section").hidden = false;
    this.#sayTimeline();
  }

  #made(renditions) {
    this.#timeline.made(renditions);
    this.#sayTimeline();
  }

  #sayTimeline() {
    const [list, sentences] = [byId("timeline-words"), this.#timeline.sentences];
    // Line by line: somebody may be reading, or marking, one that stays.
    while (list.children.length > sentences.length) list.lastChild.remove();
    while (list.children.length < sentences.length) list.append(element("li"));
    sentences.forEach((words, at) => setText(list.children[at], words));
  }

  /** A number that somebody has typed stays until it is sent or another place is looked for, in the film that goes on too. */
  #filmIsAt(seconds, sought) {
    this.#timeline.time(seconds);
    byId("timeline-now").textContent = clock(seconds);
    const field = byId("poster-time");
    if (sought) this.#typed = false;
    if (document.activeElement !== field && !this.#typed) field.value = Math.round(seconds * POSTER_PLACES) / POSTER_PLACES;
  }

  /** It is about to be deleted, or not after all. */
  #dim(on) {
    byId("asset").classList.toggle("leaving", on);
    byId("asset").inert = on;
    if (on) this.#screen.close();
    else this.#look(); // with the player, and what happened meanwhile
  }

  #listen() {
    const edit = (changes, failed) => this.#do(() => this.#api.edit(id, changes), failed);
    byId("rename").onclick = async () => {
      const title = await edited(byId("title"), this.#asset.title, byId("rename"));
      if (title !== null) edit({ title }, "Not renamed.");
    };
    byId("sign").onclick = () => showSigning(this.#api, this.#asset, { onRefused: signIn });
    byId("retry").onclick = () => this.#do(() => this.#api.retry(id), "Not tried again.");
    byId("visibility").onchange = async ({ target }) => {
      if (!(await edit({ visibility: target.value || null }, "Not changed."))) target.value = this.#asset.visibility ?? "";
    };
    byId("poster-auto").onclick = () => edit({ poster_time: null }, "Not changed.");
    byId("poster-time").oninput = ({ target }) => (this.#typed = target.value !== "");
    byId("poster-form").onsubmit = async (event) => {
      event.preventDefault();
      const seconds = Number(byId("poster-time").value);
      if (!(await edit({ poster_time: seconds }, "Not changed."))) return;
      this.#typed = false;
      toast(`The poster is now the frame at ${clock(seconds)}`);
    };
    byId("delete").onclick = ({ detail }) => {
      this.#deletions.add(this.#asset);
      this.#dim(true);
      if (detail === 0) byId("undo").querySelector("button").focus();
    };
  }

  /** `action()` gives the asset as it then is. Whether it went well. */
  async #do(action, failed) {
    try {
      this.#show(await action());
      return true;
    } catch (problem) {
      this.#refused(problem, failed);
      return false;
    }
  }

  #refused(problem, failed) {
    if (problem.status === 401) return signIn();
    if (problem.status === 404) return this.#gone();
    toast(`${failed} ${problem.message}`.trim());
  }
}

try {
  const session = await currentSession();
  if (!session.csrf_token) signIn();
  else {
    const api = new Api(session);
    new AssetPage(api, await api.look(id));
  }
} catch (problem) {
  if (problem.status === 404) say("There is no such video", "It may have been deleted.");
  else say("This video cannot be shown", problem.message);
}
