/** How hls.js is to play what this service serves, and what its choices are called. Pure. */

const UNKNOWN_LINE = 20e6; // bits/s: a line is taken for a good one until it shows that it is not
const TELLING_BYTES = 100_000; // a smaller download says more about latency than about the line
const [PAUSED_SECONDS, PLAYING_SECONDS] = [8, 24];

/** How far ahead to load: a viewer who pauses and looks around should not have the film made around every place. */
export const bufferSeconds = (paused) => (paused ? PAUSED_SECONDS : PLAYING_SECONDS);

/** Bits/s of the line, from PerformanceResourceTiming entries of what the page has loaded; a guess without any. */
export function lineSpeed(entries) {
  const telling = entries.filter(({ transferSize }) => transferSize >= TELLING_BYTES);
  const speeds = telling.map((each) => (8000 * each.transferSize) / Math.max(1, each.responseEnd - each.responseStart));
  return speeds.length ? Math.max(...speeds) : UNKNOWN_LINE;
}

/**
 * The numbers of hls.js' levels that only show a picture once more, with a larger sound, the last first. Browsers mix
 * 5.1 down; left in the list, every change of the sound would look like one of the quality, and load all of it again.
 */
export const twins = (levels) =>
  levels.flatMap(({ uri }, at) => (levels.findIndex((other) => other.uri === uri) < at ? [at] : [])).reverse();

/** hls.js' configuration for a start at `at` seconds over a line of `speed` bits/s. */
export function settings({ at, speed }) {
  // A segment that has to be made is held back for up to 8 s; then comes a 503, and asking again joins the same work.
  const patience = { maxNumRetry: 8, retryDelayMs: 1000, maxRetryDelayMs: 1000 };
  const fragments = { maxTimeToFirstByteMs: 15_000, maxLoadTimeMs: 120_000 };
  return {
    startPosition: at,
    // Fragmented MP4 is passed through: there is nothing for a worker to do.
    enableWorker: false,
    // Without it hls.js begins with the smallest picture, which somebody would have to encode.
    abrEwmaDefaultEstimate: speed,
    maxBufferLength: PAUSED_SECONDS,
    // These two would load many minutes of a film that is small.
    maxBufferSize: 0,
    maxMaxBufferLength: PLAYING_SECONDS,
    fragLoadPolicy: { default: { ...fragments, errorRetry: patience, timeoutRetry: { ...patience, maxNumRetry: 2 } } },
  };
}

/** The rendition that a media playlist or segment belongs to: its address is .../hls/{rendition}/... */
export const renditionOf = (url) => /\/hls\/([^/]+)\//.exec(url)?.[1] ?? null;

/** "source" of 1920 x 1080 -> "Original (1080p)"; made ones are named by their height already. */
function pictureName({ uri, width, height }) {
  const rendition = renditionOf(uri);
  if (rendition !== "source") return rendition;
  return width && height ? `Original (${Math.min(width, height)}p)` : "Original";
}

/** [{ value, words, short }] for hls.js' levels, best first; `value` is the level's number. One picture is no choice: []. */
export function qualities(levels) {
  const named = levels.map((level, value) => ({ value, words: pictureName(level) }));
  const kinds = new Map(named.filter(({ words }) => words).map((each) => [each.words, each]));
  if (kinds.size < 2) return [];
  return [{ value: -1, words: "Automatic", short: "Automatic" }, ...[...kinds.values()].sort((a, b) => b.value - a.value)];
}

/** [{ value, words }] for hls.js' audio or subtitle tracks; `value` is the track's number, names that recur are numbered. */
export function tracks(list) {
  const names = list.map(({ name, lang }, at) => name || lang || `Track ${at + 1}`);
  const recurs = (words) => names.indexOf(words) !== names.lastIndexOf(words);
  return names.map((words, value) => ({ value, words: recurs(words) ? `${words} (${value + 1})` : words }));
}
