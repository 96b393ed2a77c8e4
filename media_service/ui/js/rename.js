/** A title that is edited where it stands: Enter or leaving the field keeps it, Escape does not. */

import { element } from "./dom.js";

const LONGEST = 200; // characters, as the service allows

/** Put a field in place of `node`, which shows `title`; then `back` has the focus. The new title, or null when it stays as it was. */
export function edited(node, title, back = node) {
  const field = element("input", { type: "text", className: "rename", value: title, maxLength: LONGEST });
  field.setAttribute("aria-label", `Title of ${title}`);
  node.hidden = true;
  node.after(field);
  field.focus();
  field.select();
  return new Promise((done) => {
    let over = false;
    const end = (text) => {
      if (over) return;
      over = true;
      field.remove();
      node.hidden = false;
      back.focus();
      const tidy = text?.trim();
      done(tidy && tidy !== title ? tidy : null);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      end(event.key === "Enter" ? field.value : null);
    });
    // Who goes to another window is not done: the field has the focus again when he comes back.
    field.addEventListener("blur", () => document.activeElement !== field && end(field.value));
  });
}
