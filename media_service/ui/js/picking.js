/** Files from a drop or from a dialogue; with the file's handle, where the browser gives one (see unfinished.js). */

const CANCELLED = "AbortError";

/** [{ file, handle }] of Files or DataTransferItems; `handle` is a promise of a handle or null. In the event, not after it. */
export function picked(list) {
  return [...list].map((item) => {
    if (item instanceof File) return { file: item, handle: Promise.resolve(null) };
    const handle = item.getAsFileSystemHandle?.() ?? null;
    return { file: item.getAsFile(), handle: Promise.resolve(handle).catch(() => null) };
  });
}

/** Ask for files like those that `input` takes; `input` itself is asked where the browser has no better dialogue. */
export async function ask(input, onPicked, { multiple = true } = {}) {
  if (!window.showOpenFilePicker) return input.click();
  try {
    const handles = await window.showOpenFilePicker({ multiple, types: [kinds(input.accept)] });
    const files = await Promise.all(handles.map((handle) => handle.getFile()));
    onPicked(files.map((file, nth) => ({ file, handle: Promise.resolve(handles[nth]) })));
  } catch (error) {
    if (error.name !== CANCELLED) input.click();
  }
}

/** The `accept` of an input as the other dialogue wants it. */
function kinds(accept) {
  const words = accept.split(",").map((word) => word.trim());
  const suffixes = words.filter((word) => word.startsWith("."));
  const types = words.filter((word) => word.includes("/"));
  return { description: "Films and sound", accept: Object.fromEntries(types.map((type, nth) => [type, nth ? [] : suffixes])) };
}

/** The file behind a handle that was kept; null when it is gone, or may not be read without asking and `asking` is false. */
export async function reopened(handle, { asking = false } = {}) {
  try {
    const mode = { mode: "read" };
    let allowed = await handle.queryPermission(mode);
    if (allowed === "prompt" && asking) allowed = await handle.requestPermission(mode);
    return allowed === "granted" ? await handle.getFile() : null;
  } catch {
    return null; // moved or deleted
  }
}
