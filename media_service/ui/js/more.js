/** A button that opens a short list of things to do. A <details>: it opens, closes and tells so by itself. */

import { element } from "./dom.js";

export function moreMenu() {
  const dots = element("span", { className: "dots", "aria-hidden": "true", textContent: "⋯" });
  const list = element("div", { className: "menu-list" });
  const node = element("details", { className: "menu" }, element("summary", { title: "More" }, dots), list);
  node.addEventListener("keydown", (event) => {
    if (!node.open) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      close(node);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...list.querySelectorAll("button, a")];
    const at = items.indexOf(document.activeElement);
    items.at(at < 0 ? Math.min(0, step) : (at + step) % items.length).focus();
  });
  node.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !node.contains(relatedTarget)) node.open = false;
  });
  return node;
}

function close(node) {
  node.open = false;
  node.querySelector("summary").focus();
}

/**
 * Fill it with `groups`: { title, items: [{ words, run(event) } | { words, href }] }; an item with `danger` is red.
 * Made anew only when the words or addresses change: an open one stays as it is while news come in.
 */
export function fill(node, groups) {
  const key = JSON.stringify(groups);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const sections = groups.map(({ title, items }) => {
    const heading = title ? [element("p", { textContent: title, "aria-hidden": "true" })] : [];
    const group = element("div", {}, ...heading, ...items.map((each) => item(node, each)));
    if (title) Object.assign(group, { role: "group", ariaLabel: title });
    return group;
  });
  node.querySelector(".menu-list").replaceChildren(...sections);
}

function item(node, { words, run, href, danger }) {
  if (href) return element("a", { href, textContent: words, download: "" });
  const onclick = (event) => {
    close(node);
    run(event);
  };
  return element("button", { type: "button", className: danger ? "danger" : "", textContent: words, onclick });
}

/** For all of the page: a click beside an open one closes it. */
export function closeOnClickBeside() {
  addEventListener("click", ({ target }) => {
    for (const open of document.querySelectorAll(".menu[open]")) if (!open.contains(target)) open.open = false;
  });
}
