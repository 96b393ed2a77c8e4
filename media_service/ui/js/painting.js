/** Draws the strips of the timeline. Widths and heights are in CSS pixels, times in seconds. */

const SEPARATED = 5; // pixels: segments that are narrower run together
const FLASH_MS = 1500;
const QUIETEST = 8; // of 128: below that it is noise, and stays as small as it is

/** The canvas' context, cleared, in CSS pixels; null while it has no size. */
function clean(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const scale = devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return { context, width, height };
}

/** The page's own colours, which are others in the dark. */
export function colours(node) {
  const style = getComputedStyle(node);
  const names = ["accent", "sunk", "line", "soft", "card", "ink"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** `spans`: [[begin, end], ...]; `flashes`: [{ spans, age }] of what has just come, age in ms. */
export function paintSegments(canvas, { grid, spans, flashes, packaged }, total, colour) {
  const { context, width, height } = clean(canvas) ?? {};
  if (!context) return;
  const at = (seconds) => (width * seconds) / total;
  const fill = (some, style, alpha) => {
    context.fillStyle = style;
    context.globalAlpha = alpha;
    for (const [begin, end] of some) context.fillRect(at(begin), 0, Math.max(1, at(end) - at(begin)), height);
    context.globalAlpha = 1;
  };
  context.fillStyle = colour.sunk;
  context.fillRect(0, 0, width, height);
  fill(spans, colour.accent, packaged ? 0.4 : 1);
  for (const { spans: fresh, age } of flashes) fill(fresh, colour.ink, 0.6 * Math.max(0, 1 - age / FLASH_MS));
  if (width / (grid.length - 1) < SEPARATED) return;
  context.fillStyle = colour.card;
  for (const time of grid.slice(1, -1)) context.fillRect(at(time) - 0.5, 0, 1, height);
}

export const isOver = ({ at }, now) => now - at >= FLASH_MS;

export function paintKeyframes(canvas, keyframes, total, colour) {
  const { context, width, height } = clean(canvas) ?? {};
  if (!context) return;
  // Many in a pixel would be one grey bar: then each says only that it is there.
  context.globalAlpha = Math.min(1, Math.max(0.15, width / (4 * keyframes.length)));
  context.fillStyle = colour.soft;
  for (const time of keyframes) context.fillRect((width * time) / total, 0, 1, height);
}

/** `wave`: the JSON of peaks.js. */
export function paintWave(canvas, { data, length, sample_rate: rate, samples_per_pixel: samples }, total, colour) {
  const { context, width, height } = clean(canvas) ?? {};
  if (!context) return;
  context.fillStyle = colour.soft;
  const perPixel = ((total / width) * rate) / samples;
  const half = height / 2;
  // What is quiet all along fills its strip as well: when it is louder is what one looks for.
  const loudest = data.reduce((most, level) => Math.max(most, Math.abs(level)), QUIETEST);
  for (let x = 0; x < width; x++) {
    let [low, high] = [0, 0];
    const stop = Math.min(length, Math.ceil((x + 1) * perPixel));
    for (let point = Math.floor(x * perPixel); point < stop; point++) {
      low = Math.min(low, data[2 * point]);
      high = Math.max(high, data[2 * point + 1]);
    }
    const [top, bottom] = [half - (high / loudest) * half, half - (low / loudest) * half];
    context.fillRect(x, top, 1, Math.max(1, bottom - top));
  }
}

/** `pictures`: [{ image, x }], each as wide as `across`. */
export function paintPictures(canvas, pictures, across) {
  const { context, height } = clean(canvas) ?? {};
  if (!context) return;
  for (const { image, x } of pictures) if (image.complete && image.naturalWidth) context.drawImage(image, x, 0, across, height);
}
