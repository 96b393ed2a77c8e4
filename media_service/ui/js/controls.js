/** What lies over the picture: media-chrome's elements around our video, a scrub bar with pictures, and the menu. */

import { byId, element } from "./dom.js";
import { duration } from "./format.js";
import { Menu } from "./menu.js";
import { Previews } from "./previews.js";
import { Scrubber } from "./scrubber.js";

const MEDIA_CHROME = "/ui/vendor/media-chrome.js";
const LOW = 360; // pixels; in a lower player the menu may lie over the controls
const RESUMED_MS = 8000; // how long one can go back to the beginning by a single press

export class Controls {
  #controller;
  #video;
  #menu;
  #previews;
  #bar;
  #resumed;

  /**
   * `controller`: the <media-controller> with its <video>. hooks: seek(seconds), menus(): what can be chosen (see Player),
   * storyboard(): see Previews.
   */
  constructor(controller, hooks) {
    this.#controller = controller;
    this.#video = controller.querySelector("video");
    // Browsers from before 2023 cannot style media-chrome's elements; they have controls of their own.
    if (!("adoptedStyleSheets" in document)) {
      this.#video.controls = true;
      return;
    }
    this.#build(hooks);
    import(MEDIA_CHROME).catch(() => {
      this.#bar.hidden = true;
      this.#video.controls = true;
    });
    this.#video.addEventListener("dblclick", () => this.fullscreen());
  }

  /** A film is there. `sound`: it has no picture; `previews`: the size of those above the scrub bar, or null. */
  show({ sound, previews }) {
    this.#controller.toggleAttribute("audio", sound);
    if (!this.#bar) return;
    this.#bar.hidden = false;
    this.#previews.begin(previews);
    this.refresh();
  }

  hide() {
    if (this.#bar) this.#bar.hidden = true;
  }

  refresh() {
    this.#menu?.refresh();
  }

  fullscreen() {
    const name = document.fullscreenElement ? "mediaexitfullscreenrequest" : "mediaenterfullscreenrequest";
    this.#controller.dispatchEvent(new CustomEvent(name));
  }

  /** Say that the film goes on where it was left, and offer its beginning. */
  resumed(at, startOver) {
    if (!this.#resumed) return;
    const over = element("button", { type: "button", textContent: "Start over" });
    const hide = () => {
      if (this.#resumed.contains(document.activeElement)) this.#controller.focus();
      this.#resumed.hidden = true;
    };
    over.onclick = () => {
      startOver();
      hide();
    };
    this.#resumed.replaceChildren(element("span", { textContent: `Goes on at ${duration(at)}` }), over);
    this.#resumed.hidden = false;
    setTimeout(hide, RESUMED_MS);
  }

  #build(hooks) {
    const canvas = element("canvas", { hidden: true });
    const time = element("span", { className: "preview-time" });
    const range = element("media-time-range", {}, element("div", { className: "preview", slot: "preview" }, canvas, time));
    this.#previews = new Previews(canvas, { find: hooks.storyboard });
    new Scrubber(range, this.#controller, {
      seek: hooks.seek,
      onLook: (seconds) => {
        time.textContent = duration(seconds);
        this.#previews.show(seconds);
      },
    });
    this.#controller.addEventListener("pointerenter", () => this.#previews.prepare());
    this.#resumed = element("p", { className: "resumed", slot: "top-chrome", noautohide: "", hidden: true });
    this.#bar = element("div", { className: "controls", hidden: true }, range, this.#row(hooks));
    const start = element("media-play-button", { className: "start", slot: "centered-chrome", notooltip: "" });
    this.#controller.append(this.#resumed, start, this.#bar);
  }

  /** media-chrome's own is a button whose name is not what it shows. */
  #time() {
    const [video, node] = [this.#video, element("span", { className: "time" })];
    // To the millisecond: browsers end a film of a minute after 59.999999 s.
    const words = (seconds) => duration(Math.round(seconds * 1000) / 1000);
    const show = () => (node.textContent = `${words(video.currentTime)} / ${words(video.duration || 0)}`);
    for (const name of ["timeupdate", "durationchange", "seeking"]) video.addEventListener(name, show);
    return node;
  }

  #row(hooks) {
    const button = element("button", { type: "button", className: "settings", title: "Settings", "aria-haspopup": "menu" });
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", "Settings");
    const panel = element("div", { className: "panel", role: "menu", hidden: true });
    this.#menu = new Menu(button, panel, {
      groups: hooks.menus,
      onToggle: (open) => {
        const { clientHeight } = this.#controller;
        panel.classList.toggle("whole", clientHeight < LOW);
        panel.style.maxHeight = `${clientHeight - (clientHeight < LOW ? 16 : 80)}px`;
        // The controls do not go away under a menu that somebody reads.
        for (const node of [this.#controller, this.#bar]) node.toggleAttribute("noautohide", open);
      },
    });
    return element(
      "div",
      { className: "control-row" },
      element("media-play-button"),
      element("media-mute-button"),
      element("media-volume-range"),
      this.#time(),
      element("span", { className: "gap" }),
      button,
      element("media-airplay-button"),
      element("media-pip-button"),
      element("media-fullscreen-button"),
      panel,
    );
  }
}

export const controlsOf = (hooks) => new Controls(byId("player"), hooks);
