/** The page's one question before something is lost. */

import { byId, setText } from "./dom.js";

/** Ask; true when the answer is `yes`, which is also what that button says. */
export async function confirmed({ title, name, text, yes, no }) {
  const dialog = byId("confirm");
  const words = { "confirm-title": title, "confirm-name": name, "confirm-text": text, "confirm-yes": yes, "confirm-no": no };
  for (const [id, said] of Object.entries(words)) setText(byId(id), said);
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "yes";
}
