/** The timeline of a film: pictures, keyframes, and which segments of which rendition are stored, as they are made. */

import { element, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { colours, isOver, paintKeyframes, paintPictures, paintSegments, paintWave } from "./painting.js";
import { storyboard, tileAt } from "./storyboard.js";
import { added, isMade, keyframeWords, segmentAt, stripCount, stripName, stripWords, times } from "./strips.js";

const [STEP, SHORT_STEP, SHORT_FILM] = [5, 1, 60]; // seconds: of the arrow keys, and in films below a minute
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Timeline {
  #node;
  #onSeek;
  #over = element("div", { className: "over", tabIndex: 0, role: "slider" });
  #head = element("div", { className: "head" });
  #hover = element("div", { className: "hover", hidden: true });
  #picture = element("div", { className: "hover-picture" });
  #words = element("div", { className: "hover-words" });
  #lanes = []; // { node, paint(), at: the rendition it is of }
  #told = null;
  #news = {}; // what was told to be stored since it was last asked for
  #asset = null;
  #tiles = [];
  #images = new Map();
  #wave = null;
  #flashes = [];
  #now = 0;
  #sources = {};

  /** `onSeek(seconds)` when somebody points at a time. */
  constructor(node, onSeek) {
    this.#node = node;
    this.#onSeek = onSeek;
    this.#over.setAttribute("aria-label", "Place in the film");
    this.#hover.append(this.#picture, this.#words);
    this.#over.append(this.#head, this.#hover);
    this.#listen();
    new ResizeObserver(() => this.#paint()).observe(this.#over);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  /** `ask()` gives the service's answer to .../timeline; `asset`: its JSON. */
  async read(ask, asset) {
    this.#news = {};
    const told = await ask();
    // The answer may have been on its way when these came.
    for (const each of told.renditions) each.made = this.#news[each.name] ?? each.made;
    this.#show(told, asset);
  }

  #show(told, asset) {
    const labels = new Map(asset.renditions.map(({ name, label }) => [name, label]));
    for (const each of told.renditions) each.label = labels.get(each.name);
    const same = this.#told && JSON.stringify(told.grids) === JSON.stringify(this.#told.grids);
    const before = this.#told;
    this.#told = told;
    this.#asset = asset;
    this.#over.ariaValueMin = "0";
    this.#over.ariaValueMax = String(Math.floor(told.duration));
    if (!same || before.renditions.length !== told.renditions.length) this.#build();
    else this.#lanes.forEach((lane) => lane.rendition && (lane.rendition = told.renditions.find(({ name }) => name === lane.rendition.name) ?? lane.rendition));
    this.#fetch();
    this.time(this.#now);
    this.#paint();
  }

  /** What is stored by now: { rendition: [[first, stop], ...] } of segment numbers. */
  made(renditions) {
    Object.assign(this.#news, renditions);
    for (const rendition of this.#told?.renditions ?? []) {
      const now = renditions[rendition.name];
      if (!now) continue;
      const fresh = added(rendition.made, now);
      rendition.made = now;
      if (fresh.length && !rendition.packaged && !calm.matches) {
        this.#flashes.push({ rendition, spans: times(fresh, this.#grid(rendition)), at: performance.now() });
      }
    }
    this.#paint();
  }

  /** The film is at `seconds`. */
  time(seconds) {
    this.#now = seconds;
    if (!this.#told) return;
    this.#head.style.left = `${this.#percent(seconds)}%`;
    const whole = String(Math.floor(seconds));
    if (this.#over.ariaValueNow === whole) return;
    this.#over.ariaValueNow = whole;
    this.#over.ariaValueText = `${duration(seconds)} of ${duration(this.#told.duration)}`;
  }

  /** All of it in sentences. */
  get sentences() {
    if (!this.#told) return [];
    return [keyframeWords(this.#told), ...this.#told.renditions.map((each) => stripWords(each, this.#grid(each)))];
  }

  #grid = ({ grid }) => this.#told.grids[grid];
  #percent = (seconds) => Math.min(100, (100 * seconds) / this.#told.duration);

  #build() {
    this.#lanes = [];
    const nodes = [];
    const lane = (words, kind, paint, rendition = null) => {
      const canvas = element("canvas", { className: `strip ${kind}` });
      const note = element("span", { className: "strip-count" });
      const made = { canvas, note, rendition, kind, paint: () => paint(canvas, made) };
      this.#lanes.push(made);
      nodes.push(element("span", { className: "strip-name", textContent: words, title: words }), canvas, note);
    };
    const { duration: total, keyframes } = this.#told;
    lane("Previews", "pictures", (canvas) => this.#paintPictures(canvas));
    // Each packet of a sound is one.
    if (this.#asset.width) lane("Keyframes", "ticks", (canvas) => paintKeyframes(canvas, keyframes, total, this.#colours));
    for (const rendition of this.#told.renditions) {
      lane(stripName(rendition), "segments", (canvas, made) => this.#paintRendition(canvas, made), rendition);
    }
    lane("Loudness", "wave", (canvas) => this.#wave && paintWave(canvas, this.#wave, total, this.#colours));
    for (const one of nodes) one.ariaHidden = "true";
    this.#node.replaceChildren(...nodes, this.#over);
  }

  #paintRendition(canvas, { rendition, note }) {
    const [grid, now] = [this.#grid(rendition), performance.now()];
    const flashes = this.#flashes.filter((flash) => flash.rendition.name === rendition.name);
    const shown = flashes.map(({ spans, at }) => ({ spans, age: now - at }));
    const strip = { grid, spans: times(rendition.made, grid), flashes: shown, packaged: rendition.packaged };
    paintSegments(canvas, strip, this.#told.duration, this.#colours);
    setText(note, stripCount(rendition, grid));
  }

  #paintPictures(canvas) {
    const [{ clientWidth: width, clientHeight: height }, [first]] = [canvas, this.#tiles];
    if (!first || !width) return;
    const across = (height * first.width) / first.height;
    const pictures = [];
    for (let x = 0; x < width; x += across) {
      const tile = tileAt(this.#tiles, ((x + across / 2) / width) * this.#told.duration);
      pictures.push({ image: this.#image(this.#tiles.indexOf(tile)), x });
    }
    paintPictures(canvas, pictures, across);
  }

  /** Picture number `at` alone: the sheets of a long film are many times as large. */
  #image(at) {
    const { sheet } = this.#tiles[at];
    const address = new URL(`tiles/${at}.jpg${new URL(sheet).search}`, sheet).href;
    if (!this.#images.has(address)) {
      const image = new Image();
      image.addEventListener("load", () => this.#later());
      image.src = address;
      this.#images.set(address, image);
    }
    return this.#images.get(address);
  }

  /** Once for all that comes in one frame. */
  #asked = false;
  #later() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#paint();
    });
  }

  #paint() {
    if (!this.#told) return;
    this.#colours = colours(this.#node);
    const now = performance.now();
    this.#flashes = this.#flashes.filter((flash) => !isOver(flash, now));
    let row = 0;
    for (const { canvas, kind, paint } of this.#lanes) {
      const empty = (kind === "pictures" && !this.#tiles.length) || (kind === "wave" && !this.#wave);
      row += empty ? 0 : 1;
      for (const node of [canvas.previousSibling, canvas, canvas.nextSibling]) {
        node.classList.toggle("away", empty);
        node.style.setProperty("--row", row);
      }
      paint();
    }
    this.#node.style.setProperty("--rows", row);
    if (this.#flashes.length) this.#later();
  }
  #colours = {};

  /** The pictures and the loudness, when they are there or others than before. */
  #fetch() {
    const { storyboard_json: board, waveform } = this.#asset.playback;
    this.#get("board", board, `${board}#${this.#asset.previews?.count}`, (list) => {
      this.#tiles = storyboard(list, new URL(board, location.href));
      this.#images.clear();
    });
    this.#get("wave", waveform, waveform, (wave) => (this.#wave = wave));
  }

  /** `show(what lies at address)`, unless a newer version is asked for by then. What cannot be had the next change asks for again. */
  async #get(name, address, version, show) {
    if (!address || this.#sources[name] === version) return;
    this.#sources[name] = version;
    try {
      const found = await (await fetch(address)).json();
      if (this.#sources[name] !== version) return;
      show(found);
      this.#paint();
    } catch (problem) {
      if (!(problem instanceof TypeError || problem instanceof SyntaxError)) throw problem;
      if (this.#sources[name] === version) this.#sources[name] = null;
    }
  }

  #timeAt({ clientX }) {
    const { left, width } = this.#over.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width)) * this.#told.duration;
  }

  #listen() {
    const over = this.#over;
    over.addEventListener("pointermove", (event) => {
      this.#showHover(event);
      if (over.hasPointerCapture(event.pointerId)) this.#onSeek(this.#timeAt(event));
    });
    over.addEventListener("pointerleave", () => (this.#hover.hidden = true));
    over.addEventListener("pointerup", ({ pointerType }) => (this.#hover.hidden ||= pointerType === "touch"));
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      over.setPointerCapture(event.pointerId);
      this.#go(this.#timeAt(event));
    });
    over.addEventListener("keydown", (event) => {
      const { duration: total } = this.#told;
      const step = total < SHORT_FILM ? SHORT_STEP : STEP;
      const steps = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -total / 10, PageUp: total / 10 };
      const to = { Home: 0, End: total }[event.key] ?? this.#now + steps[event.key];
      if (Number.isNaN(to) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.#go(Math.min(total, Math.max(0, to)));
    });
  }

  #go(seconds) {
    this.time(seconds);
    this.#onSeek(seconds);
  }

  #showHover(event) {
    const seconds = this.#timeAt(event);
    const tile = tileAt(this.#tiles, seconds);
    this.#hover.hidden = false;
    this.#hover.style.left = `${this.#percent(seconds)}%`;
    this.#picture.hidden = !tile;
    if (tile) {
      Object.assign(this.#picture.style, {
        width: `${tile.width}px`,
        height: `${tile.height}px`,
        backgroundImage: `url("${tile.sheet}")`,
        backgroundPosition: `-${tile.x}px -${tile.y}px`,
      });
    }
    const lines = [clock(seconds), this.#segmentWords(event, seconds)].filter(Boolean);
    this.#words.replaceChildren(...lines.map((textContent) => element("div", { textContent })));
    // Near the edges it stays inside.
    const { left, width } = this.#over.getBoundingClientRect();
    const half = this.#hover.offsetWidth / 2;
    const x = event.clientX - left;
    const inside = Math.min(Math.max(x, half), Math.max(half, width - half));
    this.#hover.style.setProperty("--shift", `${inside - x}px`);
  }

  /** What lies under the pointer: "720p, segment 12, stored". */
  #segmentWords({ clientY }, seconds) {
    const under = ({ rendition, canvas }) => {
      const { top, bottom } = canvas.getBoundingClientRect();
      return rendition && clientY >= top && clientY < bottom;
    };
    const { rendition } = this.#lanes.find(under) ?? {};
    if (!rendition) return "";
    const segment = segmentAt(this.#grid(rendition), seconds);
    const state = rendition.packaged ? "from the original" : isMade(rendition.made, segment) ? "stored" : "not made yet";
    return `${stripName(rendition)}, segment ${segment}, ${state}`;
  }
}
