/** Where an asset can be had: addresses and what people paste. Pure. */

const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** An address of the asset beside its watch page, with the same token before it: "embed/ID", "media/ID". */
const beside = (playback, folder) => playback.watch.replace(/\/watch\/(?=[^/]*$)/, `/${folder}/`);

export const embedUrl = ({ playback }) => beside(playback, "embed");
export const downloadUrl = ({ playback }) => `${beside(playback, "media")}/download`;

/** Whether anything of it can be played now. */
export const plays = ({ playback: { original, hls, mp4 } }) => Boolean(original || hls || mp4);

/** Whether its addresses hold a token, and expire with it. */
export const isSigned = ({ playback }) => playback.watch.startsWith("/t/");

/** What a page of somebody else needs to show the player. */
export function embedCode(asset, origin) {
  const { title, width, height } = asset;
  const ratio = width && height ? `${width} / ${height}` : "16 / 3";
  const source = new URL(embedUrl(asset), origin).href;
  return (
    `<iframe src="${escaped(source)}" title="${escaped(title)}" allow="autoplay; fullscreen; picture-in-picture" ` +
    `style="width: 100%; aspect-ratio: ${ratio}; border: 0"></iframe>`
  );
}

/** On whose pages the embed code shows the player, by the `policy` (CSP) that it comes with; "" when on everybody's. */
export function embedWords(policy) {
  const [, sources] = /(?:^|;)\s*frame-ancestors ([^;]*)/.exec(policy) ?? [];
  if (sources === undefined) return "";
  const others = sources.split(/\s+/).filter((source) => source && !source.startsWith("'"));
  if (others.includes("*")) return "";
  if (others.length) return `The embed code works on pages of ${others.join(", ")} only.`;
  return "The embed code works on no page of others: this service allows none (CORS_ORIGINS).";
}

/** [{ words, text }] of what there is to copy; `origin` is the service's own. */
export function links(asset, origin) {
  const { playback } = asset;
  const address = (path) => path && new URL(path, origin).href;
  const found = [
    ["Watch page", plays(asset) && address(playback.watch)],
    ["Embed code", plays(asset) && embedCode(asset, origin)],
    ["HLS playlist", address(playback.hls)],
    ["DASH manifest", address(playback.dash)],
    ["MP4 file", address(playback.mp4)],
    ["Original file", address(playback.original?.url)],
  ];
  return found.filter(([, text]) => text).map(([words, text]) => ({ words, text }));
}
