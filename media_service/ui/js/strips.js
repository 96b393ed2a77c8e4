/** A film at a glance: what the strips of the timeline show, and the same in words. Pure. */

import { duration } from "./format.js";

const NAMES_SHOWN = 4; // ranges told in words before "and so on": a reader wants to know how much, and where it begins

/** How many segments the half-open ranges `made` hold. */
export const count = (made) => made.reduce((sum, [first, stop]) => sum + stop - first, 0);

/** Ranges of segment numbers as times: [[begin, end], ...] in seconds; neighbours are one. */
export function times(made, grid) {
  const last = grid.length - 1;
  const found = [];
  for (const [first, stop] of made) {
    const [begin, end] = [grid[Math.min(first, last)], grid[Math.min(stop, last)]];
    const before = found.at(-1);
    if (before && before[1] >= begin) before[1] = end;
    else if (end > begin) found.push([begin, end]);
  }
  return found;
}

/** What `now` has that `before` has not: half-open ranges. Both ascend, and do not overlap in themselves. */
export function added(before, now) {
  const found = [];
  for (const [first, stop] of now) {
    let from = first;
    for (const [otherFirst, otherStop] of before) {
      if (otherStop <= from || otherFirst >= stop) continue;
      if (otherFirst > from) found.push([from, otherFirst]);
      from = Math.max(from, otherStop);
    }
    if (from < stop) found.push([from, stop]);
  }
  return found;
}

/** The number of the segment of `grid` that is shown at `seconds`. */
export function segmentAt(grid, seconds) {
  let [first, last] = [0, Math.max(0, grid.length - 2)];
  while (first < last) {
    const middle = Math.ceil((first + last) / 2);
    if (grid[middle] <= seconds) first = middle;
    else last = middle - 1;
  }
  return first;
}

export const isMade = (made, segment) => made.some(([first, stop]) => first <= segment && segment < stop);

/** What a strip is called: { name, kind } of a rendition, as the asset tells of it. */
export function stripName({ name, kind, packaged, label }) {
  if (!packaged) return kind === "audio" && name === "audio" ? "Sound" : name;
  return kind === "video" ? "Original" : label || "Sound";
}

/** How much of a rendition is there: "all", "12 of 45". */
export function stripCount({ made }, grid) {
  const [stored, all] = [count(made), grid.length - 1];
  return stored === all ? "all" : `${stored} of ${all}`;
}

/** One sentence on a rendition. */
export function stripWords(rendition, grid) {
  const { made, packaged } = rendition;
  const name = stripName(rendition);
  const [stored, all] = [count(made), grid.length - 1];
  if (packaged) return `${name}: all ${all} segments are cut out of the original.`;
  if (stored === all) return `${name}: all ${all} segments are stored.`;
  if (stored === 0) return `${name}: none of ${all} segments is stored yet; each is made when it is asked for.`;
  const ranges = times(made, grid).map(([begin, end]) => `${duration(begin)} to ${duration(end)}`);
  const told = ranges.slice(0, NAMES_SHOWN).join(", ");
  return `${name}: ${stored} of ${all} segments are stored: ${told}${ranges.length > NAMES_SHOWN ? " and more" : ""}.`;
}

/** One sentence on the keyframes. */
export function keyframeWords({ keyframe_count: found, duration: seconds }) {
  if (!found) return "No keyframes are known.";
  const distance = found > 1 ? `, one in ${(seconds / found).toFixed(1)} s on average` : "";
  return `${found.toLocaleString()} ${found === 1 ? "keyframe" : "keyframes"}${distance}.`;
}
