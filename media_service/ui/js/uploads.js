/** The uploads of this browser: two at a time, the others wait their turn; what a reload cut off waits for its file. */

import { confirmed } from "./confirm.js";
import { byId, element, toast } from "./dom.js";
import { bytes, percent } from "./format.js";
import { hold } from "./holding.js";
import { ask, picked } from "./picking.js";
import { Transfer } from "./transfer.js";
import { forget, isOf, keep, noted, noteOf, unfinished } from "./unfinished.js";
import { Upload } from "./upload.js";
import { UploadsSummary } from "./uploads_summary.js";

const AT_ONCE = 2; // more would only share the same line, and each would take longer to be watchable
const PRECIOUS = 100e6; // bytes that took somebody time to send: they are not thrown away by one wrong click

// Files of uploads that a sign-in which ran out has stopped: note id -> { file, paused }. Signing in again goes on with them.
const atHand = new Map();

export class Uploads {
  #uploads = new Set();
  #api;
  #hooks;
  #over = new AbortController();
  #summary = new UploadsSummary(
    () => [...this.#uploads],
    (pause) => this.#all(pause),
  );

  /** `api` of who is signed in. hooks: announce(text), onDone(asset), onRefused() when the sign-in is over. */
  constructor(api, hooks) {
    [this.#api, this.#hooks] = [api, hooks];
    for (const note of unfinished(api.name)) {
      if (note.dropped) this.#discard(note);
      else hold(note.id, this.#over.signal, (release) => this.#recall(note, release));
    }
  }

  /** Would an upload stop if the page were left now? Those that are whole, paused or failed would not. */
  get busy() {
    return [...this.#uploads].some((upload) => upload.underWay);
  }

  /** What `picked` made of a drop or a choice. */
  add(found) {
    this.#take(found);
  }

  /** Ask for files; `input` stands in where the browser has no better dialogue, and brings them to `add`. */
  choose(input) {
    ask(input, (found) => this.#take(found));
  }

  /** Nobody is signed in any more. What is not finished goes on after the next sign-in by the same name. */
  end() {
    this.#over.abort();
    for (const { note, file, state, stop, release } of this.#uploads) {
      if (file) atHand.set(note.id, { file, paused: state === "paused" });
      stop.abort();
      release();
    }
    this.#uploads.clear();
    this.#summary.end();
    byId("uploads").replaceChildren();
  }

  #take(found) {
    for (const { file, handle } of found) {
      const known = [...this.#uploads].find((upload) => upload.concerns(file) && !upload.rejected);
      if (!known) this.#begin(file, handle);
      else if (!known.file || known.state === "failed") this.#give(known, file);
      else toast(`${file.name} is being uploaded already.`);
    }
  }

  #begin(file, handle) {
    const note = noteOf(file, this.#api.name);
    keep(note);
    hold(note.id, this.#over.signal, (release) => {
      const upload = this.#enter(note, release);
      upload.remember(handle);
      this.#give(upload, file);
    });
  }

  #enter(note, release) {
    const upload = new Upload(note, release, { act: (it) => this.#act(it), drop: (it) => this.#drop(it) });
    this.#uploads.add(upload);
    byId("uploads").append(upload.card.node);
    return upload;
  }

  /** A note that an earlier page, or another window, has left behind: what has become of it since? */
  async #recall({ id }, release) {
    const note = noted(id);
    if (!note || note.dropped || this.#over.signal.aborted) return release();
    const upload = this.#enter(note, release);
    const { file = null, paused = false } = atHand.get(id) ?? {};
    atHand.delete(id);
    const sent = await upload.whereIs(this.#api);
    const again = file ?? (upload.whole ? null : await upload.reopen());
    // It may have been discarded meanwhile, or its file have been chosen.
    if (!this.#uploads.has(upload) || upload.state !== "missing") return undefined;
    upload.card.missing(sent, { reopens: upload.reopens });
    upload.file = again;
    if (again && paused) return this.#pause(upload);
    return again || upload.whole ? this.#queue(upload) : undefined;
  }

  #give(upload, file) {
    upload.file = file;
    this.#queue(upload);
  }

  #queue(upload) {
    upload.state = "queued";
    upload.card.queued();
    this.#next();
  }

  #next() {
    const all = [...this.#uploads];
    let free = AT_ONCE - all.filter(({ state }) => state === "running").length;
    for (const upload of all) if (upload.state === "queued" && free-- > 0) this.#run(upload);
  }

  async #run(upload) {
    const { note, card, whole } = upload;
    upload.state = "running";
    const stop = (upload.stop = new AbortController());
    upload.transfer = new Transfer(this.#api, note, upload.file, this.#told(upload), { whole });
    card.started();
    try {
      const asset = await upload.transfer.run(stop.signal);
      this.#leave(upload);
      forget(note);
      this.#hooks.announce(`${note.name}: uploaded`);
      if (asset) this.#hooks.onDone(asset);
    } catch (problem) {
      // Stopped: whoever did that has said what it is now.
      if (!stop.signal.aborted) this.#fail(upload, problem);
    }
    this.#next();
  }

  #told({ note, card }) {
    return {
      onArrived: (there) => {
        const back = card.waits;
        card.sending(there);
        if (back) this.#nudge(); // what one has found again, the others need not wait for
      },
      onChecking: () => card.checking(),
      onWaiting: (words) => {
        if (!card.waits) this.#hooks.announce(`${note.name}: ${words}`);
        card.waiting(words);
      },
      onBegun: () => note.dropped && this.#discard(note),
    };
  }

  #nudge() {
    for (const { card, transfer } of this.#uploads) if (card.waits) transfer.nudge();
  }

  #fail(upload, problem) {
    const { note, card } = upload;
    if (problem.status === 401) return this.#hooks.onRefused();
    if (problem.code === "unreadable") {
      [upload.state, upload.file] = ["missing", null];
      return card.missing(card.sent, { words: `${problem.title}. ${problem.message}` });
    }
    upload.state = "failed";
    upload.rejected = problem.code === "rejected";
    if (upload.rejected) forget(note);
    return card.failed(problem, { again: !upload.rejected });
  }

  /** What the first button of the card is for. */
  #act(upload) {
    if (upload.state === "missing") return this.#reopen(upload);
    if (upload.state === "paused" || upload.state === "failed") return this.#queue(upload);
    if (upload.card.waits) return upload.transfer.nudge();
    return this.#pause(upload);
  }

  #pause(upload) {
    upload.state = "paused";
    upload.stop.abort();
    upload.card.paused();
    this.#next();
  }

  #all(pause) {
    const wanted = pause ? (upload) => upload.underWay : ({ state }) => state === "paused";
    // All at once, so that what waits its turn does not begin in between.
    const found = [...this.#uploads].filter(wanted);
    for (const upload of found) upload.state = "paused";
    for (const upload of found) pause ? this.#pause(upload) : this.#queue(upload);
    this.#summary.show();
  }

  async #reopen(upload) {
    const again = upload.reopens && (await upload.reopen({ asking: true }));
    if (again) return this.#give(upload, again);
    const input = element("input", { type: "file", accept: byId("files").accept });
    input.onchange = () => this.#offer(upload, picked(input.files));
    return ask(input, (found) => this.#offer(upload, found), { multiple: false });
  }

  #offer(upload, [{ file, handle }]) {
    if (!isOf(upload.note, file)) {
      const words = `${file.name} is not the file that was begun: its size or date differs.`;
      return upload.card.missing(upload.card.sent, { words });
    }
    upload.remember(handle);
    return this.#give(upload, file);
  }

  async #drop(upload) {
    const { note, card } = upload;
    if (card.sent > PRECIOUS && upload.state !== "failed") {
      const text = `${percent(card.sent / note.size)} of ${bytes(note.size)} has been sent. It would have to be sent again.`;
      const asked = { title: "Cancel this upload?", name: note.name, text, yes: "Cancel the upload", no: "Keep it" };
      if (!(await confirmed(asked)) || !this.#uploads.has(upload)) return;
    }
    upload.stop.abort();
    this.#leave(upload);
    if (upload.state !== "failed") this.#hooks.announce(`${note.name}: upload cancelled`);
    this.#discard(note);
    this.#next();
  }

  /** Off the page; the focus goes to what is next. */
  #leave(upload) {
    const { node } = upload.card;
    const beside = node.nextElementSibling ?? node.previousElementSibling;
    const focused = node.contains(document.activeElement);
    node.remove();
    if (focused) (beside?.querySelector("button:not([hidden])") ?? byId("choose")).focus();
    this.#uploads.delete(upload);
    upload.release();
  }

  /** What was sent is deleted; if that cannot be now, then when the page is opened next. */
  async #discard(note) {
    note.dropped = true;
    keep(note);
    try {
      if (note.url) await this.#api.dropUpload(note.url);
      forget(note);
    } catch {
      // the note stays
    }
  }
}
