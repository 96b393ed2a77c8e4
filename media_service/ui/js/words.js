/** What an asset's state and its seekability are called. Pure. */

import { bytes, duration, percent } from "./format.js";

const STATES = { receiving: "Receiving", probing: "Checking", ready: "Ready", failed: "Failed" };
const SEEKS = {
  excellent: "Seeks at once",
  good: "Seeks quickly",
  fair: "Seeks with a short wait",
  poor: "Seeks slowly",
};

/** A few words for the badge: "Playable, converting". */
export function stateWords({ state, progress, error, playback: { original, hls, mp4 } }) {
  if (state !== "playable") return STATES[state] ?? state;
  const playable = Boolean(original || hls || mp4);
  if (error) return "Playable, with a gap";
  if (progress === null) return playable ? "Playable, waiting" : "Waiting";
  return playable ? "Playable, converting" : "Converting";
}

/** How well one can jump about in the original; "" while nobody knows. */
export const seekWords = ({ seekability }) => SEEKS[seekability?.verdict] ?? "";

/** One sentence and its code; "" when nothing is wrong. */
export const errorWords = ({ error }) => (error ? `${error.detail || "It could not be used."} (${error.code})` : "");

export const day = (instant) => new Date(instant).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** Whether there is something that may be tried again. */
export const canRetry = ({ error, state }) => Boolean(error) && (state === "failed" || state === "playable");

/** The line below a title: how far, how long unless that is shown elsewhere, how large, since when. */
export function factsLine(asset, { length = true } = {}) {
  const { width, height, size, created_at: created, progress, state, duration: seconds } = asset;
  const facts = [state === "playable" && progress !== null ? percent(progress) : null];
  facts.push(length && seconds !== null ? duration(seconds) : null, width ? `${width} × ${height}` : null);
  facts.push(size === null ? null : bytes(size), day(created));
  return facts.filter(Boolean).join(" · ");
}
