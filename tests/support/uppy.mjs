// Uppy with its tus plugin, as a page of somebody's own would have it: it uploads what is chosen in the page's file input.
// What happens is noted in `window.seen`. Put together by esbuild (tests/support/uppy.py).
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

window.begin = (token) => {
  const seen = { requests: [], sent: 0, asset: null, error: null };
  const uppy = new Uppy({ autoProceed: true });
  uppy.use(Tus, {
    endpoint: "/api/v1/uploads",
    headers: { Authorization: `Bearer ${token}` },
    retryDelays: [200, 500, 1000, 2000, 2000, 2000], // milliseconds
    removeFingerprintOnSuccess: true,
    onBeforeRequest: (request) => {
      seen.requests.push([request.getMethod(), request.getHeader("Upload-Offset") ?? null]);
    },
  });
  uppy.on("upload-progress", (_, progress) => (seen.sent = progress.bytesUploaded));
  uppy.on("upload-error", (_, error) => (seen.error = String(error)));
  uppy.on("upload-success", (_, response) => {
    seen.asset = response.body.xhr.getResponseHeader("Upload-Asset");
  });
  const [file] = document.querySelector("input").files;
  uppy.addFile({ name: file.name, type: file.type, data: file });
  window.seen = seen;
};
