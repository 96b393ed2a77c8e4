/** The admin page: sign in, upload, a library that keeps itself up to date, and the keys of programs. */

import { Access } from "./access.js";
import { Api, currentSession, signIn } from "./api.js";
import { Assets } from "./assets.js";
import { confirmed } from "./confirm.js";
import { byId, setText, toast } from "./dom.js";
import { follow } from "./events.js";
import { Uploads } from "./uploads.js";

const PAGE = 30; // assets per page of the list

const announce = (text) => (byId("announce").textContent = text);

/** All that lives from sign-in to sign-out. */
class Session {
  #api;
  #assets;
  #uploads;
  #access;
  #cursor = null;
  #over = new AbortController();

  constructor(session) {
    this.#api = new Api(session);
    this.#assets = new Assets({ announce, remove: (asset) => this.#remove(asset) });
    const onDone = (asset) => this.#change(() => this.#assets.put(asset));
    this.#uploads = new Uploads(this.#api, { announce, onDone, onRefused });
    this.#access = new Access(this.#api, { onRefused });
    follow("/api/v1/events", {
      signal: this.#over.signal,
      onEvent: (event) => this.#hear(event),
      onState: (state) => this.#lineIs(state),
    });
    this.load();
  }

  get busy() {
    return this.#uploads.busy;
  }

  upload(files) {
    this.#uploads.add(files);
  }

  end() {
    this.#over.abort();
    this.#uploads.cancelAll();
    this.#access.end();
  }

  signOut() {
    return this.#api.signOut();
  }

  /** The first page; again after each reconnection, for what was missed; with `more`, the page after the last one. */
  async load({ more = false } = {}) {
    byId("list-problem").hidden = true;
    byId("loading").hidden = this.#assets.size > 0;
    byId("more").disabled = more;
    const before = this.#assets.ids();
    try {
      const first = this.#cursor === null;
      const { items, next_cursor: cursor } = await this.#api.list(PAGE, more ? this.#cursor : null);
      if (this.#over.signal.aborted) return;
      if (more || first) {
        this.#cursor = cursor;
        this.#assets.complete = cursor === null;
      }
      if (!more) this.#assets.drop(before, items, cursor === null);
      for (const asset of items) this.#assets.put(asset, { fromList: true });
      this.#change();
    } catch (problem) {
      if (this.#over.signal.aborted) return;
      if (problem.status === 401) return onRefused();
      byId("list-problem").hidden = false;
      byId("list-problem-text").textContent = problem.message;
    } finally {
      byId("loading").hidden = true;
      byId("more").disabled = false;
    }
  }

  #change(action = () => {}) {
    action();
    byId("empty").hidden = this.#assets.size > 0;
    byId("more").hidden = this.#assets.complete;
  }

  #hear({ type, data }) {
    if (type === "asset") this.#change(() => this.#assets.put(JSON.parse(data)));
    if (type === "deleted") this.#change(() => this.#assets.remove(JSON.parse(data).id));
  }

  #lineIs(state) {
    if (state === "refused") return onRefused();
    const live = byId("live");
    const again = state === "open" && live.dataset.state === "lost";
    live.hidden = false;
    live.dataset.state = state;
    setText(live, state === "open" ? "Live" : "Reconnecting…");
    if (again) this.load();
  }

  async #remove(asset) {
    const text = "The file and everything made from it will be gone. This cannot be undone.";
    const asked = { title: "Delete this video?", name: asset.title, text, yes: "Delete", no: "Keep it" };
    if (!(await confirmed(asked))) return;
    try {
      await this.#api.remove(asset.id);
      this.#change(() => this.#assets.remove(asset.id));
      toast(`Deleted: ${asset.title}`);
    } catch (problem) {
      if (problem.status === 401) return onRefused();
      toast(`Not deleted. ${problem.message}`);
    }
  }
}

let session = null;

function enter(found) {
  for (const id of ["panel", "sign-out"]) byId(id).hidden = false;
  byId("sign-in").hidden = true;
  session = new Session(found);
}

function leave(words = "") {
  session?.end();
  session = null;
  byId("confirm").close();
  for (const id of ["panel", "sign-out", "live"]) byId(id).hidden = true;
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
byId("choose").onclick = () => byId("files").click();
byId("more").onclick = () => session.load({ more: true });
byId("list-retry").onclick = () => session.load();
byId("files").onchange = ({ target }) => {
  session.upload(target.files);
  target.value = ""; // so that the same file can be chosen again
};

// The whole window takes the drop: a file that misses the zone must not replace the page.
const carriesFiles = (event) => session && event.dataTransfer?.types.includes("Files");
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
  const folder = (item) => item.webkitGetAsEntry?.()?.isDirectory;
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  if (items.some(folder)) toast("Folders are left out: please drop the files in them.");
  session.upload(items.filter((item) => !folder(item)).map((item) => item.getAsFile()));
});

addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(target)) menu.open = false;
});
addEventListener("beforeunload", (event) => session?.busy && event.preventDefault());

try {
  const found = await currentSession();
  if (found.csrf_token) enter(found);
  else leave();
} catch (problem) {
  leave(problem.message);
}
