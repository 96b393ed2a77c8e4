/** What is known of a file, as people want to read it. Pure. */

import { bytes, clock } from "./format.js";
import { day } from "./words.js";

const RANGES = { smpte2084: "HDR (PQ)", "arib-std-b67": "HDR (HLG)" };
const CHANNELS = { 1: "mono", 2: "stereo", 6: "5.1", 8: "7.1" };

const rate = ([frames, seconds]) => `${Number((frames / seconds).toFixed(3))} frames/s`;
const joined = (...parts) => parts.filter(Boolean).join(", ");
const level = ({ codec, level: number }) => (codec === "h264" && number > 0 ? `level ${(number / 10).toFixed(1)}` : null);

function picture(video) {
  const { codec, profile, width, height, frame_rate: frames, bit_depth: bits, color_transfer: transfer, rotation } = video;
  const shape = joined(`${width} × ${height}`, frames && rate(frames), rotation ? `turned by ${rotation}°` : null);
  const depth = bits > 8 ? `${bits} bits` : null;
  const more = joined(depth, RANGES[transfer], video.interlaced ? "interlaced" : null);
  return [["Picture", joined(codec, profile, level(video))], ["Frames", joined(shape, more)]];
}

function sound({ codec, channels, sample_rate: samples, language, title, decodable }) {
  const words = joined(codec, CHANNELS[channels] ?? `${channels} channels`, `${samples / 1000} kHz`, language === "und" ? null : language, title);
  return ["Sound", decodable ? words : `${words} (cannot be decoded)`];
}

/** [[term, words]] */
export function facts(asset) {
  const { filename, size, media_type: type, duration: seconds, sha256, created_at: created, facts: known, id } = asset;
  const found = [["File", filename], ["Size", `${bytes(size)} (${size.toLocaleString()} bytes)`], ["Type", type]];
  if (seconds !== null) found.push(["Length", clock(seconds)]);
  if (seconds) found.push(["Data rate", `${((8 * size) / seconds / 1e6).toFixed(2)} Mbit/s`]);
  if (known?.video) found.push(...picture(known.video));
  for (const track of known?.audio ?? []) found.push(sound(track));
  const subtitles = asset.playback.subtitles.map(({ label, language }) => label || language || "unnamed");
  if (subtitles.length) found.push(["Subtitles", subtitles.join(", ")]);
  found.push(["Uploaded", day(created)], ["SHA-256", sha256], ["Id", id]);
  return found.filter(([, words]) => words);
}

const HAPPENED = {
  uploaded: "Uploaded",
  playable: "Can be played",
  rendition: "Stored",
  rendition_failed: "Could not be made",
  previews: "Previews are there",
  poster: "The poster is there",
  clip: "The short clip is there",
  waveform: "The waveform is there",
  ready: "Ready: all is stored",
  failed: "Failed",
  incomplete: "A part could not be made",
  retried: "Tried again",
  changed: "Changed",
};

/** One entry of an asset's history as { time, words, bad }. */
export function happened({ at, event, code, detail }) {
  const words = HAPPENED[event] ?? event;
  const told = [detail ? `${words}: ${detail}` : words, code ? `(${code})` : ""].filter(Boolean).join(" ");
  return { time: day(at), words: told, bad: ["failed", "incomplete", "rendition_failed"].includes(event) };
}
