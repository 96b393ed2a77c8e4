/** Numbers and times as people read them. Pure. */

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/** 1 230 000 -> "1.2 MB"; powers of 1000, as disks and networks are labelled. */
export function bytes(count) {
  let unit = 0;
  let value = count;
  // 999.5 would be printed as "1000 kB"
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const two = (number) => String(number).padStart(2, "0");

/** Whole seconds, rounded down: 3723.9 -> "1:02:03". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** With milliseconds, rounded to the nearest: 93.25 -> "1:33.250". */
export function clock(seconds) {
  const thousandths = Math.max(0, Math.round(seconds * 1000));
  return `${duration(Math.floor(thousandths / 1000))}.${String(thousandths % 1000).padStart(3, "0")}`;
}

export const percent = (fraction) => `${Math.floor(fraction * 100)} %`;

/** Coarse on purpose: a number that jumps about says less than a calm one. */
export function timeLeft(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 5) return "a few seconds left";
  if (seconds < 60) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 3600) return `about ${Math.ceil(seconds / 60)} min left`;
  return `about ${(seconds / 3600).toFixed(1)} h left`;
}

/** "93", "93.5", "1:33", "1:02:03.5", "1h2m3s" -> seconds; null for anything else. */
export function parseTime(text) {
  const units = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?$/i.exec(text ?? "");
  if (units && text) return units.slice(1).reduce((sum, part) => sum * 60 + Number(part ?? 0), 0);
  if (!/^(\d{1,6}:){0,2}\d{1,9}(\.\d{1,9})?$/.test(text ?? "")) return null;
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Seconds as the shortest `t=` that comes back to the same millisecond: 93.250 -> "93.25". */
export const timeParameter = (seconds) => String(Math.round(seconds * 1000) / 1000);

/** "1080p as uploaded", "720p 12 of 450", "audio made": a rendition and how many of its segments are stored. */
export function rendition({ name, kind, packaged, width, height, label, segments, made_segments: made }) {
  if (packaged) return `${kind === "video" ? `${Math.min(width, height)}p` : label || name} as uploaded`;
  return `${name} ${made === segments ? "made" : `${made} of ${segments}`}`;
}
