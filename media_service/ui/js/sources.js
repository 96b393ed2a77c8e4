/** Which of an asset's representations a browser should play, best first. Pure. */

export const HLS_TYPE = "application/vnd.apple.mpegurl";

/** The MIME type with its codecs parameter (RFC 6381). */
export const fullType = ({ media_type: type, codecs }) => (codecs ? `${type}; codecs="${codecs}"` : type);

/**
 * [{ kind: "file" | "hls" | "hls.js", url, original }] from an asset's `playback`. `canPlay(type)` is the video
 * element's canPlayType; `mse`: "none", "plain" or "managed" Media Source Extensions; `finished`: nothing more is made.
 */
export function candidates({ original, mp4, hls, packaged }, { canPlay, mse, finished }) {
  const found = [];
  const file = original && { kind: "file", url: original.url, original: true };
  // QuickTime files are MP4 by another name: Chromium plays them and says that it does not.
  const type = original && fullType(original).replace(/^video\/quicktime/, "video/mp4");
  const claimed = Boolean(original) && Boolean(canPlay(fullType(original)) || canPlay(type));
  const native = hls && canPlay(HLS_TYPE) ? [{ kind: "hls", url: hls, original: false }] : [];
  const script = hls && mse !== "none" ? [{ kind: "hls.js", url: hls, original: false }] : [];
  // Safari (the one with managed MSE, or with none) plays HLS best by itself; Chromium's own has no say in the quality.
  const streams = mse === "plain" ? [...script, ...native] : [...native, ...script];
  // The same picture either way, if HLS is cut out of the original: then a seek costs one segment instead of the 8 MB
  // that Chromium reads ahead in a file, what was seen is in every cache on the way, a slow line gets a smaller
  // picture, and other languages and subtitles can be chosen. Else the file comes first: it needs no encoder.
  if (claimed && !packaged) found.push(file);
  found.push(...streams);
  if (claimed && packaged) found.push(file);
  if (mp4) found.push({ kind: "file", url: mp4, original: false });
  // The last resort: canPlayType may be too modest, and nothing better will come.
  if (original && !claimed && finished) found.push(file);
  return found;
}
