/** A link that opens one film for a while. */

import { byId, copyText, element, setText } from "./dom.js";
import { links } from "./links.js";
import { day } from "./words.js";

const COPIED_MS = 2000;

let showings = 0; // the dialog is one for all: what is answered late was asked for another film

/** Ask for how long, then show what opens. hooks: onRefused(). */
export function showSigning(api, asset, { onRefused }) {
  const dialog = byId("signing");
  const button = byId("signing-form").querySelector("[type=submit]");
  const mine = ++showings;
  const isShown = () => mine === showings && dialog.open;
  setText(byId("signing-name"), asset.title);
  setText(byId("signing-problem"), "");
  byId("signed").hidden = true;
  button.disabled = false;
  byId("signing-form").onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(byId("signing-problem"), "");
    try {
      const { playback, expires_at: end } = await api.sign(asset.id, Number(byId("signing-time").value));
      if (!isShown()) return;
      setText(byId("signed-until"), `They open until ${day(end)}, for whoever has them.`);
      const rows = links({ ...asset, playback }, location.origin).map(linkRow);
      byId("signed-links").replaceChildren(...rows);
      byId("signed").hidden = false;
      rows[0]?.querySelector("button").focus();
    } catch (problem) {
      if (!isShown()) return;
      if (problem.status === 401) {
        dialog.close();
        return onRefused();
      }
      setText(byId("signing-problem"), problem.message);
    } finally {
      if (isShown()) button.disabled = false;
    }
  };
  dialog.showModal();
}

/** A line with something to copy. */
export function linkRow({ words, text }) {
  const button = element("button", { type: "button", textContent: "Copy" });
  button.setAttribute("aria-label", `Copy: ${words}`);
  button.onclick = async () => {
    await copyText(text, `Copied: ${words}`);
    // Said where one looks, too: a dialog covers what pops up at the page's end.
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  };
  const field = element("input", { type: "text", readOnly: true, value: text });
  field.setAttribute("aria-label", words);
  field.onfocus = () => field.select();
  const label = element("span", { className: "link-words", "aria-hidden": "true", textContent: words });
  return element("li", { className: "link-row" }, label, field, button);
}
