/** The keys of programs: make one, see them, revoke one. */

import { confirmed } from "./confirm.js";
import { byId, copyText, element, setText, toast } from "./dom.js";

const day = (instant) => new Date(instant).toLocaleDateString([], { dateStyle: "medium" });
/** In one line, wherever the text around it breaks. */
const unbroken = (text) => text.replaceAll(" ", "\u00a0");

export class Access {
  #api;
  #hooks;

  /** hooks: onRefused() when nobody is signed in any more. */
  constructor(api, hooks) {
    this.#api = api;
    this.#hooks = hooks;
    byId("key-form").onsubmit = (event) => this.#make(event);
    byId("new-key-copy").onclick = () => copyText(byId("new-key-text").textContent, "Copied: the key");
    byId("new-key-done").onclick = () => {
      this.#hide();
      byId("key-name").focus();
    };
    this.load();
  }

  /** Nothing stays in the page when somebody signs out. */
  end() {
    this.#hide();
    byId("access").replaceChildren();
    byId("key-form").reset();
  }

  async load() {
    await this.#try(async () => {
      const rows = (await this.#api.keys()).map((key) => this.#row(key));
      byId("access").replaceChildren(...rows);
    });
  }

  #row(key) {
    const used = key.last_used_at ? `last used ${day(key.last_used_at)}` : "never used";
    const scopes = key.scopes.map((scope) => element("li", { className: "made", textContent: scope }));
    const words = element("div", { className: "words" }, element("p", { className: "name", textContent: key.name }));
    words.append(element("ul", { className: "renditions", "aria-label": `Scopes of ${key.name}` }, ...scopes));
    const story = `${unbroken(`made ${day(key.created_at)}`)} · ${unbroken(used)}`;
    words.append(element("p", { className: "meta", textContent: story }));
    const revoke = element("button", { type: "button", className: "quiet danger", textContent: "Revoke" });
    revoke.setAttribute("aria-label", `Revoke ${key.name}`);
    revoke.onclick = () => this.#revoke(key);
    return element("li", { className: "card row key" }, words, element("div", { className: "actions" }, revoke));
  }

  async #make(event) {
    event.preventDefault();
    const form = event.target;
    const scopes = [...form.elements.scope].filter(({ checked }) => checked).map(({ value }) => value);
    this.#hide();
    if (!scopes.length) return setText(byId("key-problem"), "Choose what the key may do.");
    const submit = form.querySelector("[type=submit]");
    submit.disabled = true;
    await this.#try(async () => {
      const made = await this.#api.addKey(byId("key-name").value, scopes);
      byId("new-key-text").textContent = made.key;
      byId("new-key").hidden = false;
      byId("new-key-copy").focus();
      form.reset();
      await this.load();
    });
    submit.disabled = false;
  }

  async #revoke(key) {
    const text = "Programs that use it are refused from now on. What they uploaded stays.";
    const asked = { title: "Revoke this key?", name: key.name, text, yes: "Revoke", no: "Keep it" };
    if (!(await confirmed(asked))) return;
    await this.#try(async () => {
      await this.#api.revokeKey(key.id);
      toast(`Revoked: ${key.name}`);
      await this.load();
      byId("key-name").focus();
    });
  }

  async #try(action) {
    setText(byId("key-problem"), "");
    try {
      await action();
    } catch (problem) {
      if (problem.status === 401) return this.#hooks.onRefused();
      setText(byId("key-problem"), problem.message);
    }
  }

  #hide() {
    byId("new-key").hidden = true;
    byId("new-key-text").textContent = "";
  }
}
