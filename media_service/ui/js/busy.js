/** Says in words that the picture is being waited for, and for what. */

const [PATIENCE_MS, LOOK_MS] = [400, 200]; // what comes sooner needs no words
const EVENTS = ["waiting", "seeking", "seeked", "playing", "canplay", "pause", "emptied", "error"];

/** `say(text)`: "" when there is nothing to wait for; `making()`: whether that has to be encoded first. */
export function busy(video, say, making) {
  let since = null;
  let timer = null;
  const look = () => {
    const waits = video.seeking || (!video.paused && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA);
    if (!waits || video.error || !video.currentSrc) {
      clearInterval(timer);
      since = timer = null;
      return say("");
    }
    since ??= performance.now();
    timer ??= setInterval(look, LOOK_MS);
    if (performance.now() - since >= PATIENCE_MS) say(making() ? "This part is being made…" : "Loading…");
  };
  for (const name of EVENTS) video.addEventListener(name, look);
}
