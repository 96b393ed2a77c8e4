/** One attempt to bring a file's missing bytes to the service, by tus-js-client. */

import "../vendor/tus.js"; // leaves `tus` in the window
import { Problem, problemFrom } from "./api.js";
import { Arrival } from "./arrival.js";

const ENDPOINT = "/api/v1/uploads";
const SILENCE_MS = 45000; // a line over which nothing has gone for so long is dead (a lid was closed)
const [FIRST_LOOK_MS, LOOK_MS] = [1000, 2500]; // the service makes what arrives durable about once a second
const LOST = new Set([0, 404, 410, 502, 503, 504]); // answers that say that what is being sent comes to nothing

/** What an error of tus-js-client is to a person. */
function problemOf({ originalRequest: request, originalResponse: answer, message }) {
  if (!request) return new Problem({ status: -1, code: "broken", title: "The upload could not begin", detail: message });
  if (!answer) return new Problem({ title: "The server cannot be reached" });
  const problem = problemFrom(answer.getStatus(), answer.getBody());
  problem.wait = 1000 * (Number.parseInt(answer.getHeader("Retry-After"), 10) || 0);
  return problem;
}

/**
 * Ask the service again and again, until `over`, what has arrived; `leave(problem)` when it comes to nothing. Browsers send a body
 * to its end before they look at the answer, and nginx whose service has died lets them; and a line that was cut by a
 * closed lid says nothing either. `arrived(offset)` tells whether that is more than before.
 */
function watch(api, note, { over, leave, arrived }) {
  let heard = Date.now();
  let asking = false;
  const look = async () => {
    if (Date.now() - heard > SILENCE_MS) return leave(new Problem({ title: "The line is dead" }));
    if (asking || !note.url) return undefined;
    asking = true;
    try {
      const { offset } = await api.upload(note.url, { signal: over });
      if (arrived(offset)) heard = Date.now();
    } catch (problem) {
      if (LOST.has(problem.status) && !over.aborted) return leave(problem);
    }
    asking = false;
    return undefined;
  };
  const timers = [setTimeout(look, FIRST_LOOK_MS), setInterval(look, LOOK_MS)];
  over.addEventListener("abort", () => timers.forEach(clearTimeout)); // which ends intervals as well
  return { hear: () => (heard = Date.now()) };
}

/**
 * Resolves when all bytes are there, rejects with a Problem or `signal`'s reason. `onBegun(url)`: the service knows the
 * upload; this may still come after an abort. `onArrived(bytes)`: so much of the file is there.
 *
 * The library's own retries are off: it gives up after some, and takes the 502 of a server that just starts for news that
 * the upload is gone, and begins anew.
 */
export function send(api, note, file, { signal, onBegun, onArrived }) {
  const over = new AbortController();
  return new Promise((resolve, reject) => {
    const arrival = new Arrival();
    const show = () => !over.signal.aborted && arrival.bytes !== null && onArrived(arrival.bytes);
    const leave = (reason) => {
      // The answer that names a new upload is waited for: else nobody could go on with it, nor delete it.
      if (note.url) upload.abort();
      reject(reason);
    };
    const arrived = (offset) => {
      const more = arrival.told(offset);
      show();
      return more;
    };
    const { hear } = watch(api, note, { over: over.signal, leave, arrived });
    const upload = new window.tus.Upload(file, {
      ...(note.url ? { uploadUrl: note.url } : { endpoint: ENDPOINT }),
      metadata: { filename: note.name },
      retryDelays: null,
      storeFingerprintForResuming: false,
      onBeforeRequest: (request) => {
        for (const [name, value] of Object.entries(api.proof)) request.setHeader(name, value);
        if (request.getMethod() === "POST") request.setHeader("Idempotency-Key", note.id);
      },
      onUploadUrlAvailable: () => {
        if (!note.url) onBegun(new URL(upload.url, location.href).pathname);
        if (over.signal.aborted) upload.abort();
      },
      onProgress: (sent) => {
        hear();
        arrival.left(sent);
        show();
      },
      onSuccess: resolve,
      onError: (error) => reject(problemOf(error)),
    });
    signal.addEventListener("abort", () => leave(signal.reason), { signal: over.signal });
    upload.start();
  }).finally(() => over.abort());
}
