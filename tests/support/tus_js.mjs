// tus-js-client under Node.js: one upload of a file, remembered in `store` until it is done. Prints what it did as JSON.
import { createReadStream, readFileSync } from "node:fs";

import * as tus from "tus-js-client";

const { endpoint, file, token, protocol, store } = JSON.parse(process.argv[2]);
const requests = [];

// Resumed from a stream, 4.3.1 never says `Upload-Complete: ?1` in the IETF dialect: for it only what reaches from the very
// beginning to the end is the last piece (lib/node/sources/FileSource.js). From memory it counts rightly.
const source = protocol === "tus-v1" ? createReadStream(file) : readFileSync(file);
const upload = new tus.Upload(source, {
  endpoint,
  protocol,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: "film.mp4", filetype: "video/mp4" },
  retryDelays: [100, 200, 500, 1000, 1000, 1000, 1000, 1000], // milliseconds
  urlStorage: new tus.FileUrlStorage(store),
  removeFingerprintOnSuccess: true,
  onBeforeRequest: (request) => {
    requests.push([request.getMethod(), request.getHeader("Upload-Offset") ?? null]);
  },
  onSuccess: ({ lastResponse }) => {
    console.log(JSON.stringify({ requests, asset: lastResponse.getHeader("Upload-Asset") ?? null }));
  },
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
});

const [previous] = await upload.findPreviousUploads();
if (previous) upload.resumeFromPreviousUpload(previous);
upload.start();
