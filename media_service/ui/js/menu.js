/** A menu of radio groups behind a button: a first page with all of them and what is chosen, then a page for each. */

import { element } from "./dom.js";

const ROWS = "[role^=menuitem]";

export class Menu {
  #button;
  #panel;
  #hooks;
  #page = null; // the name of the group that is open, or null: the first page

  /**
   * hooks: groups(): [{ name, options: [{ value, words, short }], value, choose(value) }], where
   * `short` is for the first page, if `words` are too many; onToggle(open).
   */
  constructor(button, panel, hooks) {
    this.#button = button;
    this.#panel = panel;
    this.#hooks = hooks;
    button.onclick = () => (this.open ? this.close() : this.#enter(null));
    panel.onkeydown = (event) => this.#key(event);
    panel.addEventListener("focusout", ({ relatedTarget }) => {
      // Rows that are made anew lose the focus to nothing.
      if (relatedTarget && relatedTarget !== button && !panel.contains(relatedTarget)) this.close();
    });
    addEventListener("pointerdown", ({ target }) => {
      if (this.open && !panel.contains(target) && !button.contains(target)) this.close();
    });
  }

  get open() {
    return !this.#panel.hidden;
  }

  close() {
    if (!this.open) return;
    const inside = this.#panel.contains(document.activeElement);
    this.#panel.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    if (inside) this.#button.focus();
    this.#hooks.onToggle(false);
  }

  /** There may be something else to choose. What has the focus keeps it. */
  refresh() {
    const groups = this.#hooks.groups();
    this.#button.hidden = groups.length === 0;
    if (!this.open) return;
    const at = [...this.#panel.querySelectorAll(ROWS)].indexOf(document.activeElement);
    this.#fill(groups);
    if (at >= 0) this.#rows.at(Math.min(at, this.#rows.length - 1))?.focus();
  }

  get #rows() {
    return [...this.#panel.querySelectorAll(ROWS)];
  }

  /** Show a page, with the focus on what is chosen there, or on the row that led to the page before. */
  #enter(page) {
    const from = this.#page;
    this.#page = page;
    const wasOpen = this.open;
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.#fill(this.#hooks.groups());
    const chosen = this.#panel.querySelector("[aria-checked=true]");
    const before = page === null && this.#rows.find(({ dataset }) => dataset.group === from);
    (chosen ?? (before || this.#rows[0]))?.focus();
    if (!wasOpen) this.#hooks.onToggle(true);
  }

  #fill(groups) {
    const group = groups.find(({ name }) => name === this.#page);
    if (!group) this.#page = null;
    this.#panel.setAttribute("aria-label", group ? group.name : "Settings");
    this.#panel.replaceChildren(...(group ? this.#choices(group) : groups.map((each) => this.#group(each))));
    this.#panel.classList.toggle("inner", Boolean(group));
  }

  #group({ name, options, value }) {
    const chosen = options.find((option) => option.value === value);
    const words = element("span", { textContent: chosen?.short ?? chosen?.words ?? "", className: "chosen" });
    const row = element("button", { type: "button", role: "menuitem", "aria-haspopup": "menu" }, element("span", { textContent: name }), words);
    row.dataset.group = name;
    row.onclick = () => this.#enter(name);
    return row;
  }

  #choices({ name, options, value, choose }) {
    const back = element("button", { type: "button", role: "menuitem", className: "back", textContent: name });
    back.setAttribute("aria-label", `${name}: back to the settings`);
    back.onclick = () => this.#enter(null);
    const rows = options.map((option) => {
      const row = element("button", { type: "button", role: "menuitemradio", textContent: option.words });
      row.setAttribute("aria-checked", String(option.value === value));
      row.onclick = () => {
        choose(option.value);
        this.close();
      };
      return row;
    });
    return [back, ...rows];
  }

  #key(event) {
    const rows = this.#rows;
    const at = rows.indexOf(document.activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    if (event.key in moves) rows.at(moves[event.key] % rows.length)?.focus();
    else if (event.key === "ArrowRight" && rows[at]?.hasAttribute("aria-haspopup")) rows[at].click();
    else if (event.key === "ArrowLeft" && this.#page !== null) this.#enter(null);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Tab") return this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
