/** A storyboard: which small picture stands for which time of a film. Pure. */

/**
 * [{ start, sheet, x, y, width, height }] by time, from storyboard.json: its parsed value and its address. Times are in
 * seconds, the rest in pixels of `sheet`, an absolute address. What has no `#xywh` is no picture of ours, and left out.
 */
export function storyboard(items, address) {
  const found = items.map(({ startTime: start, text }) => {
    const sheet = new URL(text, address);
    const [x, y, width, height] = /^#xywh=(\d+),(\d+),(\d+),(\d+)$/.exec(sheet.hash)?.slice(1).map(Number) ?? [];
    sheet.hash = "";
    return { start, sheet: sheet.href, x, y, width, height };
  });
  return found.filter(({ width, height }) => width && height).sort((a, b) => a.start - b.start);
}

/** The last tile that does not begin after `seconds`, the first one before all; undefined without any. */
export function tileAt(tiles, seconds) {
  let [first, last] = [0, tiles.length - 1];
  while (first < last) {
    const middle = Math.ceil((first + last) / 2);
    if (tiles[middle].start <= seconds) first = middle;
    else last = middle - 1;
  }
  return tiles[first];
}
