/** Sounds and subtitles of a film that the browser plays by itself, as choices like those of Stream. */

import { tracks } from "./streaming.js";

const TEXT = new Set(["subtitles", "captions"]);
const named = (list) => list.map(({ label, language }) => ({ name: label, lang: language }));

/** [{ name, options: [{ value, words }], value, choose(value) }] */
export function nativeMenus(video) {
  const sounds = [...(video.audioTracks ?? [])];
  const texts = [...video.textTracks].filter(({ kind }) => TEXT.has(kind));
  const subtitles = tracks(named(texts));
  return [
    {
      name: "Sound",
      options: tracks(named(sounds)),
      value: sounds.findIndex(({ enabled }) => enabled),
      choose: (to) => sounds.forEach((track, at) => (track.enabled = at === to)),
    },
    {
      name: "Subtitles",
      options: subtitles.length ? [{ value: -1, words: "Off" }, ...subtitles] : [],
      value: texts.findIndex(({ mode }) => mode === "showing"),
      choose: (to) => texts.forEach((track, at) => (track.mode = at === to ? "showing" : "disabled")),
    },
  ].filter(({ options }) => options.length > 1);
}
