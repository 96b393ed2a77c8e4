/** The admin page: sign in, upload, a library that keeps itself up to date, and the keys of programs. */

import { Access } from "./access.js";
import { Api, currentSession, signIn } from "./api.js";
import { byId, setText, toast } from "./dom.js";
import { follow } from "./events.js";
import { Library } from "./library.js";
import { closeOnClickBeside } from "./more.js";
import { picked } from "./picking.js";
import { unfinished } from "./unfinished.js";

const PATIENCE_MS = 3000;

const announce = (text) => (byId("announce").textContent = text);

/** All that lives from sign-in to sign-out. */
class Session {
  #api;
  #library;
  #uploads = null;
  #fetching = null;
  #access;
  #over = new AbortController();

  constructor(session) {
    this.#api = new Api(session);
    this.#library = new Library(this.#api, { announce, onRefused, leaving: (event) => this.#leaving(event) });
    this.#access = new Access(this.#api, { onRefused });
    follow("/api/v1/events", {
      signal: this.#over.signal,
      onEvent: (event) => this.#hear(event),
      onState: (state) => this.#lineIs(state),
    });
    if (unfinished(this.#api.name).length) this.prepare();
  }

  get busy() {
    return this.#uploads?.busy ?? false;
  }

  /** What uploads is a third of the page: it is fetched when somebody is about to, or when there is something to go on with. */
  async prepare() {
    const onDone = (asset) => this.#library.put(asset);
    this.#fetching ??= import("./uploads.js").then(({ Uploads }) => {
      if (!this.#over.signal.aborted) this.#uploads = new Uploads(this.#api, { announce, onDone, onRefused });
    });
    try {
      await this.#fetching;
    } catch {
      this.#fetching = null;
      toast("The server cannot be reached");
    }
  }

  /** What picking.js made of a drop or a choice: only while their event lasts can anything be taken from them. */
  async upload(found) {
    if (!this.#uploads) await this.prepare();
    this.#uploads?.add(found);
  }

  async choose() {
    // The browser opens a dialogue for a few seconds behind a click: on a slow line the plain one must do.
    await Promise.race([this.prepare(), new Promise((done) => setTimeout(done, PATIENCE_MS))]);
    if (this.#uploads) this.#uploads.choose(byId("files"));
    else if (this.#fetching) byId("files").click();
  }

  end() {
    this.#over.abort();
    this.#library.end();
    this.#uploads?.end();
    this.#access.end();
  }

  async signOut() {
    await this.#library.settle();
    await this.#api.signOut();
  }

  #hear({ type, data }) {
    if (type === "asset") this.#library.put(JSON.parse(data));
    if (type === "deleted") this.#library.gone(JSON.parse(data).id);
    if (type === "reset") this.#library.load();
  }

  #lineIs(state) {
    if (state === "refused") return onRefused();
    const live = byId("live");
    live.hidden = false;
    live.dataset.state = state;
    setText(live, state === "open" ? "Live" : "Reconnecting…");
    if (state === "open") this.#library.again();
  }

  /** A click on a film while uploads run: they live in this page, so the film's opens beside it. */
  #leaving(event) {
    event.currentTarget.target = this.busy ? "_blank" : "";
  }
}

let session = null;
const next = new URLSearchParams(location.search).get("next"); // the asset whose page sent somebody here to sign in

function enter(found) {
  if (next) return location.replace(`/admin/assets/${encodeURIComponent(next)}`);
  for (const id of ["panel", "views", "sign-out"]) byId(id).hidden = false;
  byId("sign-in").hidden = true;
  session = new Session(found);
}

function leave(words = "") {
  session?.end();
  session = null;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const id of ["panel", "views", "sign-out", "live"]) byId(id).hidden = true;
  delete byId("live").dataset.state;
  byId("sign-in").hidden = false;
  setText(byId("sign-in-problem"), words);
  byId("token").focus();
}

function onRefused() {
  if (session) leave("You are no longer signed in. Please sign in again.");
}

byId("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("token");
  const submit = event.submitter ?? event.target.querySelector("[type=submit]");
  submit.disabled = true;
  setText(byId("sign-in-problem"), "");
  try {
    enter(await signIn(field.value.trim()));
    event.target.reset();
    byId("choose").focus();
  } catch (problem) {
    setText(byId("sign-in-problem"), problem.status === 401 ? "This token is not the right one." : problem.message);
    field.select();
  } finally {
    submit.disabled = false;
  }
});

byId("sign-out").onclick = async () => {
  try {
    await session.signOut();
  } catch (problem) {
    if (problem.status !== 401) return toast(`Not signed out. ${problem.message}`);
  }
  leave();
};
byId("choose").onclick = () => session.choose();
byId("files").onchange = ({ target }) => {
  session.upload(picked(target.files));
  target.value = ""; // so that the same file can be chosen again
};

// The whole window takes the drop: a file that misses the zone must not replace the page.
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
for (const name of ["focusin", "pointerenter"]) byId("drop").addEventListener(name, () => session?.prepare());
addEventListener("dragenter", (event) => carriesFiles(event) && session?.prepare());
const glow = (on) => byId("drop").classList.toggle("over", on);
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  glow(true);
});
addEventListener("dragleave", (event) => event.relatedTarget === null && glow(false));
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  glow(false);
  if (!session) return;
  const folder = (item) => item.webkitGetAsEntry?.()?.isDirectory;
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  if (items.some(folder)) toast("Folders are left out: please drop the files in them.");
  session.upload(picked(items.filter((item) => !folder(item))));
});

/** The library, or the keys: two views of one page, so that uploads go on. */
function showView() {
  const name = location.hash === "#keys" ? "keys" : "library";
  for (const view of document.querySelectorAll("[data-view]")) view.hidden = view.dataset.view !== name;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
addEventListener("hashchange", showView);
showView();

closeOnClickBeside();
addEventListener("beforeunload", (event) => session?.busy && event.preventDefault());

try {
  const found = await currentSession();
  if (found.csrf_token) enter(found);
  else leave();
} catch (problem) {
  leave(problem.message);
}
